// SPDX-License-Identifier: Apache-2.0
// TLS in packets of EAP, the server's side: flights, fragments, alerts (RFC 5216 §2.1). What the three methods share.

internal import TLS

/// One handshake, and what is said under its protection.
struct TLSConversation {
    enum Event: Equatable {
        /// Goes out; the method has nothing to do with it.
        case request([UInt8])
        /// The handshake is done, and under its protection this came in the same message. What `flush` has is not sent yet.
        case established([UInt8])
        /// Came afterwards; empty: the peer has heard what was sent.
        case received([UInt8])
        case failed(EAPFailureReason)
    }

    /// Of what is protected: an inner packet has some hundred bytes.
    static let longestRecord = 16_384
    /// What OpenSSL 3.0 keeps for one session during its handshake, half of it a buffer for messages, and afterwards; roughly.
    private static let handshakeBytes = 47_104
    private static let sessionBytes = 16_384

    let session: TLSSession
    private let version: UInt8
    private var assembly = FragmentAssembly()
    private var queue: FragmentQueue
    /// An alert is out; once the peer has answered it, this is the end.
    private(set) var failure: EAPFailureReason?

    /// - Parameters:
    ///   - version: of the method, in the last bits of the flags.
    ///   - packet: the longest packet that reaches the peer.
    init(_ session: TLSSession, version: UInt8 = 0, packet: Int) {
        self.session = session
        self.version = version
        queue = FragmentQueue(packet: packet, version: version)
    }

    var keptBytes: Int {
        (session.isEstablished ? Self.sessionBytes : Self.handshakeBytes) + assembly.bytes.count + queue.bytes.count
    }

    /// RFC 5216 §2.1.1
    var start: [UInt8] { [FragmentFlags.start | version] }

    /// - Parameter response: what stands behind the type.
    mutating func take(_ response: ArraySlice<UInt8>) -> Event {
        // RFC 5216 §2.1.3: whatever the answer to an alert is, it is the last.
        if let failure { return .failed(failure) }
        let taken: FragmentAssembly.Taken
        do throws(FragmentError) {
            taken = try assembly.take(response)
        } catch {
            return .failed(.malformed(error.words))
        }
        guard queue.isEmpty else {
            guard taken == .acknowledgement else { return .failed(.malformed("answer to a fragment")) }
            return .request(queue.next())
        }
        switch taken {
        case .more: return .request([version])
        case .acknowledgement: return session.isEstablished ? .received([]) : .failed(.malformed("empty answer during the handshake"))
        case .message(let bytes): return session.isEstablished ? read(bytes) : shakeHands(bytes)
        }
    }

    /// Protects what goes to the peer; `flush` has it.
    mutating func write(_ bytes: [UInt8]) -> EAPFailureReason? {
        do throws(TLSError) {
            try session.write(bytes)
            return nil
        } catch {
            return Self.reason(error)
        }
    }

    /// The first packet of what is to be sent, without anything in it when there is nothing.
    mutating func flush() -> [UInt8] {
        var bytes: [UInt8] = []
        session.takeOutput(into: &bytes)
        queue.put(bytes)
        return queue.next()
    }

    private mutating func shakeHands(_ bytes: [UInt8]) -> Event {
        do throws(TLSError) {
            try session.put(bytes[...])
            guard try session.handshake() else {
                // A message is a whole flight; half of one is never answered.
                guard session.pendingOutput > 0 else { return .failed(.malformed("flight of the handshake")) }
                return .request(flush())
            }
            return .established(try session.readAll(atMost: Self.longestRecord) ?? [])
        } catch {
            return failed(error)
        }
    }

    private mutating func read(_ bytes: [UInt8]) -> Event {
        do throws(TLSError) {
            try session.put(bytes[...])
            guard let plain = try session.readAll(atMost: Self.longestRecord) else {
                return .failed(.refusedByPeer("it closed the tunnel"))
            }
            return .received(plain)
        } catch {
            return failed(error)
        }
    }

    /// Where OpenSSL has an alert to send it goes out first, and what the peer makes of it is waited for (RFC 5216 §2.1.3).
    private mutating func failed(_ error: TLSError) -> Event {
        let reason = Self.reason(error)
        guard session.pendingOutput > 0 else { return .failed(reason) }
        failure = reason
        return .request(flush())
    }

    private static func reason(_ error: TLSError) -> EAPFailureReason {
        switch error {
        case .handshake(.peerRefused, let words): .refusedByPeer(words)
        case .handshake(.notTLS, _): .tls("what came is no TLS")
        case .refused(let refusal):
            .certificate(
                EAPCertificateRefusal(
                    cause: refusal.cause.rawValue, reason: refusal.reason, subject: refusal.subject, issuer: refusal.issuer,
                    expected: refusal.expected, fingerprint: refusal.fingerprint))
        default: .tls(error.description)
        }
    }
}
