// SPDX-License-Identifier: Apache-2.0
// Whether a decoded packet may be looked at: its code, and its Message-Authenticator by the client's rule.

import LoginEngine
import RADIUS

struct PacketCheck {
    /// Nil: go on.
    var drop: DropReason?
    /// What `PinRule` is to note: whether a right Message-Authenticator was there; nil for packets that do not count.
    var countsForPin: Bool?

    /// The NAS-Identifier of the built-in test client: it always signs, so its requests say nothing about the gateway.
    static let testClient = Array("sallyport-login".utf8)

    init(_ packet: Packet, of entry: ClientEntry, from source: NetworkAddress) {
        switch packet.code {
        case .accessRequest, .statusServer: break
        case .accountingRequest:
            drop = .accountingRequest
            return
        default:
            drop = .unexpectedCode
            return
        }
        if entry.isProtected {
            drop = Self.protected(packet, entry)
            return
        }
        let facts = RequestFacts(packet, secret: entry.secret)
        let mode = entry.messageAuthenticatorMode(for: source)
        drop =
            switch BlastRADIUSVerdict.judge(facts, mode: mode) {
            case .accept: nil
            case .wrongMessageAuthenticator: .wrongMessageAuthenticator
            case .proxyStateWithoutMessageAuthenticator: .proxyStateWithoutMessageAuthenticator
            case .eapWithoutMessageAuthenticator: .eapWithoutMessageAuthenticator
            case .missingMessageAuthenticator:
                if facts.isStatusServer {
                    .statusWithoutMessageAuthenticator
                } else {
                    mode == .auto(pinned: true) ? .pinnedWithoutMessageAuthenticator : .missingMessageAuthenticator
                }
            }
        if mode == .auto(pinned: false), !facts.isStatusServer, !facts.hasEAPMessage, facts.messageAuthenticator != .wrong,
            !Self.isTestClient(packet)
        {
            countsForPin = facts.messageAuthenticator == .right
        }
    }

    /// Inside TLS nobody can forge, so what is against BlastRADIUS does not apply; a wrong Message-Authenticator is a mistake all the same.
    private static func protected(_ packet: Packet, _ entry: ClientEntry) -> DropReason? {
        guard packet.version == .historic else { return nil }
        guard packet.contains(.messageAuthenticator) else {
            return packet.contains(.eapMessage) ? .eapWithoutMessageAuthenticator : nil
        }
        return packet.hasValidMessageAuthenticator(secret: entry.secret) ? nil : .wrongSecretInTLS
    }

    /// RFC 2866 §3: the Request Authenticator proves who wrote it; a Message-Authenticator that is there must be right too.
    init(accounting packet: Packet, of entry: ClientEntry) {
        switch packet.code {
        case .accountingRequest where packet.version == .tokens: break
        case .accountingRequest:
            if !packet.hasValidRequestAuthenticator(secret: entry.secret) {
                drop = entry.isProtected ? .wrongSecretInTLS : .wrongRequestAuthenticator
            } else if packet.contains(.messageAuthenticator), !packet.hasValidMessageAuthenticator(secret: entry.secret) {
                drop = entry.isProtected ? .wrongSecretInTLS : .wrongMessageAuthenticator
            }
        case .statusServer:
            if !packet.contains(.messageAuthenticator) {
                drop = .statusWithoutMessageAuthenticator
            } else if !packet.hasValidMessageAuthenticator(secret: entry.secret) {
                drop = .wrongMessageAuthenticator
            }
        case .accessRequest: drop = .accessRequest
        default: drop = .unexpectedCode
        }
    }

    static func isTestClient(_ packet: Packet) -> Bool {
        guard let name = packet.first(.nasIdentifier), name.range.count == testClient.count else { return false }
        return packet.value(of: name).elementsEqual(testClient)
    }
}
