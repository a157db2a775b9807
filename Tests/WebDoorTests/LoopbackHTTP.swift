// SPDX-License-Identifier: Apache-2.0
// The smallest HTTP client: one request on a real socket, the whole answer as text.

import NIOCore
import NIOPosix

@testable import WebDoor

enum LoopbackHTTP {
    static func get(_ address: ListenAddress, _ path: String) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: address.hostText, port: Int(address.port)) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "GET \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n"))
            var answer = ""
            for try await part in inbound { answer += String(buffer: part) }
            return answer
        }
    }

    /// Opens a connection that begins a request and never ends it, from an address of its own where one is named.
    static func stall(_ address: ListenAddress, from source: String? = nil) async throws -> any Channel {
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        if let source { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0)) }
        let channel = try await bootstrap.connect(host: address.hostText, port: Int(address.port)).get()
        try await channel.writeAndFlush(ByteBuffer(string: "GET /livez HTTP/1.1\r\nHost:")).get()
        return channel
    }
}
