// SPDX-License-Identifier: Apache-2.0
// One TCP connection: its TLS, what came of a packet so far, and what is not sent yet. Lives on the reading thread alone.

internal import CSockets
internal import Glibc
import LoginEngine
import RADIUS
import TLS

final class TLSConnection {
    /// Bytes that the peer may leave unread; beyond it, it is not alive.
    static let mostUnsent = 4 << 20
    /// From here on no more requests are read.
    private static let manyUnsent = 256 << 10

    enum Ending {
        /// By its peer, or in order.
        case closed
        case refused(ConnectionRefusal, words: String)
        case broken(String)
    }

    /// Never used again, also not by the process after this one.
    let number: UInt64
    let descriptor: Descriptor
    let peer: NetworkAddress
    let session: TLSSession
    /// As agreed on in the handshake.
    private(set) var version = RADIUSVersion.historic
    /// Nil until the peer has proven who it is.
    private(set) var proof: TLSProof?
    var entry: ClientEntry?
    var framing = PacketFraming()
    /// What this server asks the gateway.
    var asked = AskedQuestions()
    /// Requests that are being decided.
    var pending = 0
    let opened: Timestamp
    var lastHeard: Timestamp
    /// What the poller was told.
    var watched = (reads: true, writes: false)
    /// Requests wait in the buffers, because too many are being decided or too few answers are taken.
    var isPaused = false
    private var unsent: [UInt8] = []
    private var sent = 0

    init(number: UInt64, descriptor: Descriptor, peer: NetworkAddress, session: TLSSession, at now: Timestamp) {
        self.number = number
        self.descriptor = descriptor
        self.peer = peer
        self.session = session
        opened = now
        lastHeard = now
    }

    var route: TLSRoute { TLSRoute(connection: number, peer: peer) }
    var unsentCount: Int { unsent.count - sent }
    func isFull(_ mostPending: Int) -> Bool { pending >= mostPending || unsentCount >= Self.manyUnsent }

    /// Takes what is there, up to `scratch` a few times: others wait too.
    ///
    /// - Returns: nil, or how it ended.
    func receive(_ scratch: UnsafeMutableRawBufferPointer, at now: Timestamp) -> Ending? {
        guard let base = scratch.baseAddress else { return nil }
        for _ in 0..<4 {
            let count = streams_read(descriptor.number, base, scratch.count)
            if count == 0 { return .closed }
            if count < 0 {
                if -count == EAGAIN || -count == EINTR { return nil }
                return .broken(RADIUSServiceError.words(for: CInt(clamping: -count)))
            }
            lastHeard = now
            do throws(TLSError) {
                try session.put(UnsafeRawBufferPointer(start: base, count: count))
            } catch {
                return .broken(error.description)
            }
            if count < scratch.count { return nil }
        }
        return nil
    }

    /// Goes on with the handshake.
    ///
    /// - Returns: whether it is at its end now.
    func shakeHands() throws(TLSError) -> Bool {
        guard try session.handshake() else { return false }
        let proof: TLSProof
        if let certificate = session.peer {
            proof = .certificate(certificate, isChainTrusted: session.isChainTrusted)
        } else if let (identity, key) = session.peerKey {
            proof = .preSharedKey(PreSharedKey(identity: identity, key: Secret(key)))
        } else {
            throw .handshake(.noCertificate, words: "the peer showed no certificate")
        }
        if session.applicationProtocol == RADIUSVersion.tokens.applicationProtocol { version = .tokens }
        self.proof = proof
        return true
    }

    /// A peer that goes during its handshake without a word may have named a key that nobody has.
    func explained(_ ending: Ending) -> Ending {
        guard proof == nil, let unknownKey = session.unknownKey else { return ending }
        return Ending(unknownKey, of: peer)
    }

    func write(_ packet: [UInt8]) throws(TLSError) {
        try session.write(packet)
    }

    /// Sends what the socket takes.
    ///
    /// - Returns: false when nothing can be sent any more.
    func flush() -> Bool {
        session.takeOutput(into: &unsent)
        while sent < unsent.count {
            let count = unsent.withUnsafeBytes { streams_write(descriptor.number, $0.baseAddress! + sent, unsent.count - sent) }
            if count < 0 {
                if -count == EINTR { continue }
                return -count == EAGAIN && unsentCount <= Self.mostUnsent
            }
            sent += count
        }
        unsent.removeAll(keepingCapacity: unsent.capacity <= 16 << 10)
        sent = 0
        return true
    }
}

extension TLSConnection.Ending {
    /// With what to do about it, for the log.
    init(_ error: TLSError, of peer: NetworkAddress) {
        switch error {
        case .refused(let refusal):
            let remedy =
                refusal.cause == .untrusted
                ? "if it is a gateway of yours, let that authority sign its certificate, or: sallyport client set NAME --certificate"
                    + " sha256:\(refusal.fingerprint)" : "give the gateway a certificate that is in order"
            self = .refused(.certificate(refusal.cause), words: "TLS from \(peer): \(refusal); \(remedy)")
        case .handshake(let failure, let words):
            let remedy =
                switch failure {
                case .peerRefused: "see that the gateway trusts the authority of radsec.certificate, and expects its name"
                case .unknownKey: "enter the same at the gateway and by: sallyport client set NAME --psk-identity IDENTITY --psk-stdin"
                default: "see what \(peer) is set to"
                }
            self = .refused(.handshake(failure), words: "TLS from \(peer) did not come about: \(words); \(remedy)")
        case .unusable(let words), .broken(let words):
            self = .broken(words)
        }
    }
}

/// Connections whose peers have not proven yet who they are: few are admitted, and fewer of one address.
struct Handshakes {
    private let most: Int
    private let mostOfOneAddress: Int
    private(set) var count = 0
    private var ofAddress: [NetworkAddress: Int] = [:]

    init(_ settings: TLSListenSettings) {
        most = settings.handshakes
        mostOfOneAddress = settings.handshakesOfOneAddress
    }

    func hasRoom(for peer: NetworkAddress) -> Bool { count < most && ofAddress[peer, default: 0] < mostOfOneAddress }

    mutating func begin(_ peer: NetworkAddress) {
        count += 1
        ofAddress[peer, default: 0] += 1
    }

    mutating func end(_ peer: NetworkAddress) {
        count -= 1
        let left = (ofAddress[peer] ?? 1) - 1
        ofAddress[peer] = left > 0 ? left : nil
    }
}
