// SPDX-License-Identifier: Apache-2.0
// Which client a TLS peer is: by the certificate it showed or the key it has, and then by its address.

import LoginEngine
import RADIUS
import TLS

/// What a peer proved in its handshake.
enum TLSProof {
    /// Of a certificate that nobody known signed, only the fingerprint counts, and no name.
    case certificate(PeerCertificate, isChainTrusted: Bool)
    case preSharedKey(PreSharedKey)

    /// For the log.
    var words: String {
        switch self {
        case .certificate(let certificate, _): certificate.subject
        case .preSharedKey(let key): "pre-shared key \(key.identity)"
        }
    }
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
    private var identities: [String: ClientEntry] = [:]
    private var refused: Set<[UInt8]> = []

    init() {}

    /// - Parameter refused: fingerprints of certificates that open nothing, whatever they name.
    init(_ clients: [Client], _ traffics: [Int64: ClientTraffic], refused: Set<[UInt8]> = []) {
        self.refused = refused
        // A rule that two clients have tells neither from the other, so it is nobody's.
        let rules = clients.flatMap { Set($0.settings.certificates) }
        let shared = Dictionary(rules.map { ($0, 1) }, uniquingKeysWith: +).filter { $0.value > 1 }
        let keys = clients.compactMap(\.settings.preSharedKey?.identity)
        let sharedKeys = Dictionary(keys.map { ($0, 1) }, uniquingKeysWith: +).filter { $0.value > 1 }
        for client in clients where client.settings.isKnownByTLS {
            guard let secret = Self.secret else { continue }
            let entry = ClientEntry(
                client: client, secret: secret, pins: [], isProtected: true, traffic: traffics[client.id] ?? ClientTraffic())
            for rule in client.settings.certificates where shared[rule] == nil {
                switch rule {
                case .name(let name): names[name] = entry
                case .fingerprint(let bytes): fingerprints[bytes] = entry
                }
            }
            if let key = client.settings.preSharedKey, sharedKeys[key.identity] == nil { identities[key.identity] = entry }
        }
    }

    func isRegistered(fingerprint: [UInt8]) -> Bool { fingerprints[fingerprint] != nil }

    /// Nil where nobody has it, or it does not open.
    func key(of identity: String) -> Secret? {
        guard let key = identities[identity]?.client.settings.preSharedKey?.key, !key.isEmpty else { return nil }
        return key
    }

    func client(_ proof: TLSProof, from source: NetworkAddress) -> Verdict {
        switch proof {
        case .certificate(let shown, let isChainTrusted): client(shown, isChainTrusted: isChainTrusted, from: source)
        case .preSharedKey(let key): client(key, from: source)
        }
    }

    /// Of a connection that is open the key may have been replaced meanwhile.
    private func client(_ shown: PreSharedKey, from source: NetworkAddress) -> Verdict {
        guard let entry = identities[shown.identity], entry.client.settings.preSharedKey == shown else {
            return .refused(
                .unknownClient,
                words: "no client has the pre-shared key \"\(shown.identity)\" any more, by which \(source) is connected; to register it:"
                    + " sallyport client set NAME --psk-identity \(shown.identity) --psk-stdin")
        }
        return admit(entry, from: source)
    }

    private func admit(_ entry: ClientEntry, from source: NetworkAddress) -> Verdict {
        let (name, settings) = (entry.client.name, entry.client.settings)
        guard settings.allowsTLS(from: source) else {
            return .refused(
                .address,
                words:
                    "client \(name) came by TLS from \(source), which is none of its addresses; to allow it: sallyport client set \(name)"
                    + " with --address for each of its addresses")
        }
        guard settings.isEnabled else {
            return .refused(
                .clientDisabled,
                words: "client \(name) is disabled: its connection is refused; to enable it: sallyport client set \(name) --enable")
        }
        return .client(entry)
    }

    private func client(_ shown: PeerCertificate, isChainTrusted: Bool, from source: NetworkAddress) -> Verdict {
        guard !refused.contains(shown.fingerprint) else {
            return .refused(
                .unknownClient,
                words:
                    "the certificate \"\(shown.subject)\", shown by \(source), was issued here and is revoked, or is no gateway's;"
                    + " to issue one for a gateway: sallyport ca issue NAME --usage client")
        }
        var found: [ClientEntry] = []
        if let entry = fingerprints[shown.fingerprint] {
            found = [entry]
        } else if isChainTrusted {
            for name in shown.names {
                if let entry = names[name], !found.contains(where: { $0 === entry }) { found.append(entry) }
            }
        }
        guard !found.isEmpty else { return .refused(.unknownClient, words: unknown(shown, from: source)) }
        let near = found.filter { $0.client.settings.allowsTLS(from: source) }
        // Of several that came from elsewhere, the first is told.
        guard let entry = near.first else { return admit(found[0], from: source) }
        guard near.count == 1 else {
            return .refused(
                .unknownClient,
                words:
                    "the certificate \"\(shown.subject)\" names \(near.count) clients, \(near.map(\.client.name).joined(separator: ", "));"
                    + " register its fingerprint with one of them: \(Self.rule(shown))")
        }
        return admit(entry, from: source)
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
