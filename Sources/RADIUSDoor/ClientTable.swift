// SPDX-License-Identifier: Apache-2.0
// Which client an address belongs to: the longest of the ranges that hold it.

package import LoginEngine
package import RADIUS

/// A source that must send Message-Authenticator from now on, because it was seen to always do so.
package struct ClientPin: Hashable, Sendable {
    package var client: Int64
    package var address: NetworkAddress

    package init(client: Int64, address: NetworkAddress) {
        self.client = client
        self.address = address
    }
}

/// A client with what every packet of it needs kept ready.
package final class ClientEntry: Sendable {
    package let client: Client
    package let secret: SharedSecret
    package let pins: Set<NetworkAddress>
    /// Whether it is asked over TLS: `secret` then protects nothing, and nobody on the way can write or turn a packet.
    let isProtected: Bool
    /// What its requests show; the same under every table.
    let traffic: ClientTraffic

    init(client: Client, secret: SharedSecret, pins: Set<NetworkAddress>, isProtected: Bool = false, traffic: ClientTraffic) {
        self.client = client
        self.secret = secret
        self.pins = pins
        self.isProtected = isProtected
        self.traffic = traffic
    }

    /// What is asked of Access-Requests from `source`.
    package func messageAuthenticatorMode(for source: NetworkAddress) -> MessageAuthenticatorMode {
        switch client.settings.messageAuthenticator {
        case .require: .require
        case .auto: .auto(pinned: pins.contains(source))
        case .allow: .allow
        }
    }
}

package enum ClientTableError: Error, Equatable, CustomStringConvertible {
    case rangeTaken(AddressRange, by: String, and: String)
    case emptySecret(client: String)

    package var description: String {
        switch self {
        case .rangeTaken(let range, let first, let second):
            "\(range) is given to two clients, \(first) and \(second); a range belongs to one"
        case .emptySecret(let client):
            "client \(client) has an empty shared secret; RFC 2865 §3 forbids it"
        }
    }
}

/// Clients by address. An immutable value, replaced as a whole; copying it is copying a pointer.
package struct ClientTable: Sendable {
    package static let empty = ClientTable(levels: [], peers: TLSPeers())

    /// All ranges of one prefix length.
    private struct Level: Sendable {
        let mask: UInt128
        var entries: [UInt128: ClientEntry] = [:]
    }

    private final class Storage: Sendable {
        let levels: [Level]
        let peers: TLSPeers

        init(_ levels: [Level], _ peers: TLSPeers) {
            self.levels = levels
            self.peers = peers
        }
    }

    private let storage: Storage

    private init(levels: [Level], peers: TLSPeers) {
        storage = Storage(levels, peers)
    }

    /// - Parameters:
    ///   - traffic: nil: what was learnt under another table is not found again.
    ///   - refused: SHA-256 of certificates that open nothing over TLS, whatever they name.
    /// - Throws: when one range belongs to two clients, whether enabled or not, or a client has no secret.
    package init(
        _ clients: [Client], pins: [ClientPin], traffic: GatewayTraffic? = nil, refused: Set<[UInt8]> = []
    ) throws(ClientTableError) {
        let known = traffic?.traffic(of: clients.map(\.id)) ?? [:]
        let traffics = clients.reduce(into: known) { all, client in all[client.id] = all[client.id] ?? ClientTraffic() }
        let pinned = Dictionary(grouping: pins, by: \.client).mapValues { Set($0.map(\.address)) }
        var levels: [Int: Level] = [:]
        for client in clients where !client.settings.addresses.isEmpty {
            guard let secret = client.settings.secret.reveal({ SharedSecret($0) }) else {
                throw .emptySecret(client: client.name)
            }
            let entry = ClientEntry(
                client: client, secret: secret, pins: pinned[client.id] ?? [], traffic: traffics[client.id] ?? ClientTraffic())
            for range in client.settings.addresses {
                let other = levels[range.prefixLength, default: Level(mask: range.mask)].entries.updateValue(
                    entry, forKey: range.base.bits & range.mask)
                if let other, other.client.id != client.id {
                    throw .rangeTaken(range, by: other.client.name, and: client.name)
                }
            }
        }
        self.init(levels: levels.sorted { $0.key > $1.key }.map(\.value), peers: TLSPeers(clients, traffics, refused: refused))
    }

    /// The client whose range holds the address; of several the one with the longest prefix.
    package func client(for address: NetworkAddress) -> ClientEntry? {
        for level in storage.levels {
            if let entry = level.entries[address.bits & level.mask] { return entry }
        }
        return nil
    }

    /// Who is known over TLS.
    var peers: TLSPeers { storage.peers }

    /// Whether both are the same table and not merely equal.
    func isIdentical(to other: ClientTable) -> Bool { storage === other.storage }
}
