// SPDX-License-Identifier: Apache-2.0
// The devices of a load by EAP: one for each login that is open, with a full handshake each.

import Administration
import EAP
import LoginEngine
import RADIUS
import TLS

/// What every device has is made once; a login makes its session of TLS.
final class LoadDevices {
    enum Next {
        /// A packet for the server.
        case send([UInt8])
        /// As far as it was to go.
        case over
        case wrong
    }

    private struct Device {
        var peer: EAPPeer
        var user: [UInt8]
        /// Of EAP-TLS.
        var session: TLSSession?
        var rounds = 0
    }

    private let mode: BenchMode
    private let context: TLSContext
    /// With the certificate of each user, by name.
    private var own: [[UInt8]: TLSContext] = [:]
    /// What a user's next handshake takes up.
    private var kept: [[UInt8]: TLSSession] = [:]
    private(set) var wasResumed = false
    private let secret: SharedSecret
    private var devices: [Int: Device] = [:]
    private var random = FastRandom(state: monotonicNanoseconds())

    /// Fits FreeRADIUS' `fragment_size` of the same run (scripts/bench-freeradius): both send packets of one size.
    static let framedMTU = 1_024
    /// A half-open login ends behind so many replies: the server's flight of the handshake has come, and nothing is answered.
    private static let halfOpenRounds = 2

    /// Each has a context of OpenSSL's.
    static let mostWithCertificates = 20_000

    init(_ plan: LoadPlan) throws {
        (mode, secret) = (plan.mode, plan.secret)
        var settings = TLSSettings()
        // A load has nothing to hide. What signing costs the server is the same.
        settings.isPinned = { _ in true }
        settings.newestVersion = plan.newestTLS
        do throws(TLSError) {
            context = try TLSContext(.client(), settings)
            guard let authority = plan.deviceAuthority else { return }
            let now = NodeClock.now().wall.seconds
            for number in 0..<plan.users.count {
                let name = plan.users.name(number)
                let draft = CertificateDraft(
                    .client, commonName: name, begins: now - 3_600, ends: now + 86_400, serial: BufferedRandom.bytes(16))
                let issued = try IssuedCertificate(draft, key: .p256, by: authority)
                (settings.certificates, settings.key) = (issued.certificate, issued.key)
                own[Array(name.utf8)] = try TLSContext(.client(), settings)
            }
        } catch {
            throw Refusal(.failed, "\(error).")
        }
    }

    /// - Returns: what the gateway sends first.
    func begin(_ place: Int, _ user: [UInt8]) throws -> [UInt8] {
        let method: any EAPPeerMethod
        var session: TLSSession?
        switch mode {
        case .tls, .tlsResumed:
            let peer = try TLSPeer(context: own[user] ?? context, packet: Self.framedMTU, earlier: kept.removeValue(forKey: user))
            (method, session) = (peer, peer.tunnel.session)
        case .peapMSCHAPv2:
            method = try PEAPPeer(context: context, name: user, inner: MSCHAPv2Peer(name: user), nonce: nonce(), packet: Self.framedMTU)
        default: method = try TTLSPeer(context: context, name: user, inner: .pap, packet: Self.framedMTU)
        }
        let device = Device(peer: EAPPeer(identity: user, method: method), user: user, session: session)
        devices[place] = device
        return device.peer.introduction(identifier: 1)
    }

    private func nonce() -> [UInt8] {
        Authenticator(using: &random).bytes + Authenticator(using: &random).bytes
    }

    func forget(_ place: Int) {
        devices[place] = nil
    }

    /// - Parameter password: asked for once it is the user's turn.
    func take(_ bytes: UnsafeBufferPointer<UInt8>, _ place: Int, password: () -> [UInt8]) -> Next {
        guard var device = devices.removeValue(forKey: place), let reply = try? Packet(decoding: Array(bytes)),
            let message = reply.joined(.eapMessage)
        else { return .wrong }
        device.rounds += 1
        if mode == .halfOpen, device.rounds == Self.halfOpenRounds { return .over }
        var step = device.peer.take(message[...])
        while case .ask(let question) = step {
            guard let answer = answer(question, device.user, password) else { return .wrong }
            step = device.peer.take(answer: answer)
        }
        guard case .send(let packet) = step else { return .wrong }
        devices[place] = device
        return .send(packet)
    }

    private func answer(_ question: PeerQuestion, _ user: [UInt8], _ password: () -> [UInt8]) -> PeerAnswer? {
        switch question {
        case .password, .text: return .text(EAPSecret(password()))
        case .msCHAPv2(let identifier, let challenge):
            guard let hash = BenchUsers.ntHash, let challenge = Authenticator(challenge) else { return nil }
            return .msCHAPv2(MSCHAPv2Proof(hash, identifier, challenge, own: Authenticator(using: &random), name: user))
        case .chap: return nil
        }
    }

    /// Whether the accept says what it should, and its keys are those of the device.
    func isProof(_ bytes: UnsafeBufferPointer<UInt8>, _ place: Int, to request: Authenticator) -> Bool {
        guard var device = devices.removeValue(forKey: place), let reply = try? Packet(decoding: Array(bytes)),
            let message = reply.joined(.eapMessage), case .success(let keys?) = device.peer.take(message[...])
        else { return false }
        func key(_ type: UInt8) -> EAPSecret? {
            reply.first(vendor: MicrosoftAttribute.vendor, type: type)
                .flatMap { SaltedKey.reveal(reply.value(of: $0), authenticator: request, secret: secret) }.map { EAPSecret($0) }
        }
        wasResumed = device.session?.isResumed ?? false
        if mode == .tlsResumed { kept[device.user] = device.session }
        return key(MicrosoftAttribute.mppeReceiveKey) == keys.receive && key(MicrosoftAttribute.mppeSendKey) == keys.send
    }
}
