// SPDX-License-Identifier: Apache-2.0
// The node's end of the control socket: who may ask is the kernel's word, what is asked goes to Administration.

package import Administration
internal import Foundation
internal import Glibc
package import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

package final class ControlService: Service, Sendable {
    let operations: Operations
    let node: String
    let release: String
    let logger: Logger
    let identify: @Sendable (Peer) -> Peer?
    private let path: String
    private let group: MultiThreadedEventLoopGroup
    private let open = Atomic<Int>(0)
    private let bound = Mutex<NIOAsyncChannel<Connection, Never>?>(nil)

    private typealias Connection = NIOAsyncChannel<ReceivedFrame, ByteBuffer>

    /// - Parameters:
    ///   - node: the name that stands in actors, `cli:anna@node`.
    ///   - identify: who the kernel's answer stands for; another one in tests.
    package init(
        operations: Operations, dataDirectory: String, node: String, release: String, logger: Logger,
        identify: @escaping @Sendable (Peer) -> Peer? = { $0 }
    ) throws(Refusal) {
        self.operations = operations
        path = try ControlWire.path(in: dataDirectory)
        self.node = node
        self.release = release
        self.logger = logger
        self.identify = identify
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }

    /// Binds the socket, mode 0600. The caller holds the lock of the data directory, so a socket that is there is a dead node's.
    package func start() async throws(Refusal) {
        guard bound.withLock({ $0 == nil }) else { return }
        unlink(path)
        // Nobody else may connect in the instant before chmod either: the directory has 0700. (The mask is the whole process's, so it
        // is not for us to change.)
        do {
            let server = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .bind(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture { try Self.connection(channel) }
                }
            chmod(path, 0o600)
            bound.withLock { $0 = server }
        } catch {
            throw Refusal(
                .configuration, "\(path): the control socket cannot be made (\(error)).",
                remedy: "The data directory must be on a local file system and belong to the node's user.")
        }
    }

    private static func connection(_ channel: any Channel) throws -> Connection {
        try channel.pipeline.syncOperations.addHandler(
            ByteToMessageHandler(ControlFrameDecoder(limit: ControlWire.longestRequest)))
        return try Connection(wrappingChannelSynchronously: channel)
    }

    package func run() async throws {
        try await start()
        guard let server = bound.withLock({ $0 }) else { return }
        try await withGracefulShutdownHandler {
            try await serve(server)
        } onGracefulShutdown: {
            server.channel.close(promise: nil)
        }
        unlink(path)
        try await group.shutdownGracefully()
    }

    private func serve(_ server: NIOAsyncChannel<Connection, Never>) async throws {
        try await server.executeThenClose { inbound in
            try await withThrowingDiscardingTaskGroup { tasks in
                for try await connection in inbound {
                    guard self.open.load(ordering: .relaxed) < ControlWire.mostConnections else {
                        logger.warning(
                            "control socket: too many connections at once", metadata: ["limit": "\(ControlWire.mostConnections)"])
                        try? await connection.channel.close()
                        continue
                    }
                    self.open.add(1, ordering: .relaxed)
                    tasks.addTask {
                        await self.talk(connection)
                        self.open.subtract(1, ordering: .relaxed)
                    }
                }
            }
        }
    }
}
