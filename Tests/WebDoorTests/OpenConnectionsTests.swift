// SPDX-License-Identifier: Apache-2.0
// Who makes room when there are too many connections, of one address and of all.

import NIOCore
import NIOPosix
import Testing

@testable import WebDoor

@Suite struct OpenConnectionsTests {
    /// A listener that takes connections and says nothing.
    private func listening(_ body: (Int) async throws -> Void) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(ChannelOptions.backlog, value: 256).bind(host: "0.0.0.0", port: 0).get()
        try await body(listener.localAddress?.port ?? 0)
        try await listener.close()
    }

    /// Connections to the listener stand for those from it: what counts is the other end's address.
    private func connect(_ source: Int, _ port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.\(source)", port: port).get()
    }

    @Test func anAddressPushesOutItsOwnOldest() async throws {
        try await listening { port in
            let connections = OpenConnections()
            let other = try await connect(9, port)
            connections.add(other)
            var channels: [any Channel] = []
            for _ in 0..<OpenConnections.limitOfASource {
                channels.append(try await connect(2, port))
                connections.add(channels[channels.count - 1])
            }
            // A sign of life: now the second one was silent for longest.
            connections.note(channels[0])
            #expect(connections.hasAsked(channels[0]) && !connections.hasAsked(channels[1]))
            channels.append(try await connect(2, port))
            connections.add(channels[channels.count - 1])
            try await channels[1].closeFuture.get()
            #expect(([other] + channels).count(where: { $0.isActive }) == channels.count)
            for channel in [other] + channels { try? await channel.close() }
        }
    }

    @Test func aNewcomerTakesThePlaceOfTheOldestOfAll() async throws {
        try await listening { port in
            let connections = OpenConnections()
            var channels: [any Channel] = []
            for number in 0...OpenConnections.limit {
                channels.append(try await connect(2 + number % 8, port))
                connections.add(channels[number])
            }
            try await channels[0].closeFuture.get()
            #expect(channels.count(where: { $0.isActive }) == OpenConnections.limit)
            for channel in channels { try? await channel.close() }
        }
    }
}
