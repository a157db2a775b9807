// SPDX-License-Identifier: Apache-2.0
// What `sallyport login` needs of the node to play a client from the node's own host.

package import LoginEngine
internal import Store

/// Hands a client's shared secret to whoever administers the node: over the control socket, or on the data themselves.
package struct RevealClientSecret: AdminOperation {
    package static let verb = "client.secret"
    package var name: String

    package init(name: String) {
        self.name = name
    }

    package struct Answer: Codable, Sendable {
        package var secret: SecretText
        package var addresses: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let client = try operations.client(name)
        // The trail first: no secret leaves unnoticed.
        try await operations.records.append(
            operations.event(.clientSecretViewed, by: actor, client: client.id, ["client": client.name]))
        return Answer(secret: SecretText(client.settings.secret), addresses: client.settings.addresses.map(\.description))
    }
}

package struct NodeStatus: AdminOperation {
    package static let verb = "node.status"

    package init() {}

    package struct Answer: Codable, Sendable {
        /// Where RADIUS answers.
        package var radius: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        Answer(radius: operations.ports.radiusAddresses())
    }
}

/// A login from the node's own host: where to, and whether a client covers it.
package enum TestLogin {
    /// What a program on the same host sends to; an address that stands for all of them is reached over loopback.
    package static func destination(of listening: NetworkAddress) -> NetworkAddress {
        if listening == NetworkAddress(v4: 0) { return NetworkAddress(v4: 0x7F00_0001) }
        return listening == NetworkAddress(bits: 0) ? NetworkAddress(bits: 1) : listening
    }

    /// The client whose own address `destination` is, where that is another one: it would be asked for in a test from this host.
    package static func owner(
        of destination: NetworkAddress, instead client: String, among all: [(name: String, addresses: [String])]
    ) -> String? {
        func closest(_ addresses: [String]) -> Int {
            addresses.compactMap { AddressRange($0) }.filter { $0.contains(destination) }.map(\.prefixLength).max() ?? -1
        }
        let own = all.first { $0.name == client }.map { closest($0.addresses) } ?? -1
        // A wider range of another one gives way to the address alone.
        return all.first { $0.name != client && closest($0.addresses) == AddressRange(destination).prefixLength }.flatMap {
            own < AddressRange(destination).prefixLength ? $0.name : nil
        }
    }

    /// What to do where a request from this host would be one of an unknown client; nil where the client covers it.
    ///
    /// - Parameter destination: one of the host's own addresses, which the kernel sends from as well.
    package static func remedy(client: String, addresses: [String], destination: NetworkAddress) -> String? {
        guard !addresses.contains(where: { AddressRange($0)?.contains(destination) == true }) else { return nil }
        let all = (addresses + [destination.description]).map { " --address \($0)" }.joined()
        return "add \(destination) to the client to test from here: sallyport client set \(client)\(all)"
    }
}
