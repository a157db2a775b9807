// SPDX-License-Identifier: Apache-2.0
// Which client a TLS peer is: by the certificate it showed, and then by its address.

import LoginEngine
import RADIUS
import TLS

/// What a peer proved in its handshake.
struct TLSProof {
    let certificate: PeerCertificate
    /// Whether its names count; of a certificate that nobody known signed, only the fingerprint does.
    let isChainTrusted: Bool
}

struct TLSPeers: Sendable {
    enum Verdict {
        case client(ClientEntry)
        case refused(ConnectionRefusal, words: String)
    }

    /// RFC 6614 §2.3: inside TLS the shared secret is this word.
    static let secret = SharedSecret("radsec")

    private var names: [String: ClientEntry] = [:]
    private var fingerprints: [[UInt8]: ClientEntry] = [:]

    init() {}

    init(_ clients: [Client]) {
        // A rule that two clients have tells neither from the other, so it is nobody's.
        let rules = clients.flatMap { Set($0.settings.certificates) }
        let shared = Dictionary(rules.map { ($0, 1) }, uniquingKeysWith: +).filter { $0.value > 1 }
        for client in clients where !client.settings.certificates.isEmpty {
            guard let secret = Self.secret else { continue }
            let entry = ClientEntry(client: client, secret: secret, pins: [], isProtected: true)
            for rule in client.settings.certificates where shared[rule] == nil {
                switch rule {
                case .name(let name): names[name] = entry
                case .fingerprint(let bytes): fingerprints[bytes] = entry
                }
            }
        }
    }

    func isRegistered(fingerprint: [UInt8]) -> Bool { fingerprints[fingerprint] != nil }

    func client(_ proof: TLSProof, from source: NetworkAddress) -> Verdict {
        let shown = proof.certificate
        var found: [ClientEntry] = []
        if let entry = fingerprints[shown.fingerprint] {
            found = [entry]
        } else if proof.isChainTrusted {
            for name in shown.names {
                if let entry = names[name], !found.contains(where: { $0 === entry }) { found.append(entry) }
            }
        }
        guard !found.isEmpty else { return .refused(.unknownClient, words: unknown(shown, from: source)) }
        let near = found.filter { $0.client.settings.allowsTLS(from: source) }
        guard let entry = near.first else {
            return .refused(
                .address,
                words: "client \(found[0].client.name) came by TLS from \(source), which is none of its addresses; to allow it: sallyport"
                    + " client set \(found[0].client.name) with --address for each of its addresses")
        }
        guard near.count == 1 else {
            return .refused(
                .unknownClient,
                words:
                    "the certificate \"\(shown.subject)\" names \(near.count) clients, \(near.map(\.client.name).joined(separator: ", "));"
                    + " register its fingerprint with one of them: \(Self.rule(shown))")
        }
        guard entry.client.settings.isEnabled else {
            return .refused(
                .clientDisabled,
                words: "client \(entry.client.name) is disabled: its connection is refused; to enable it: sallyport client set"
                    + " \(entry.client.name) --enable")
        }
        return .client(entry)
    }

    private func unknown(_ shown: PeerCertificate, from source: NetworkAddress) -> String {
        let names = shown.names.isEmpty ? "no names" : "the names \(shown.names.prefix(5).joined(separator: ", "))"
        return
            "no client is registered for the certificate \"\(shown.subject)\" with \(names), shown by \(source); to register it: sallyport"
            + " client set NAME --certificate \(shown.names.first.map { "name:\($0)" } ?? Self.rule(shown))"
    }

    static func rule(_ shown: PeerCertificate) -> String { "\(CertificateRule.fingerprint(shown.fingerprint))" }
}

extension ClientSettings {
    /// Without addresses a client is known by its certificate alone.
    fileprivate func allowsTLS(from source: NetworkAddress) -> Bool {
        addresses.isEmpty || addresses.contains { $0.contains(source) }
    }
}
