// SPDX-License-Identifier: Apache-2.0
// One connection: greeting, then requests one after the other. Whatever comes in, the answer is a sentence, never a hang.

internal import Administration
internal import Foundation
internal import Glibc
internal import Logging
internal import NIOCore

extension ControlService {
    func talk(_ connection: NIOAsyncChannel<ReceivedFrame, ByteBuffer>) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                do {
                    let actor = try await self.admit(connection.channel)
                    try await converse(inbound, outbound, actor: actor)
                } catch let refusal as Refusal {
                    logger.notice("control socket: \(refusal.message)")
                    // Not by `outbound`, which returns before the socket has taken it: the connection is closed next.
                    try await connection.channel.writeAndFlush(Self.buffer(ControlAnswer.frame(.failure(refusal)))).get()
                }
            }
        } catch {
            // The other end went away in the middle; nothing is owed to it.
            logger.debug("control socket: connection lost", metadata: ["error": "\(error)"])
        }
    }

    private func admit(_ channel: any Channel) async throws -> Actor {
        guard let provider = channel as? any SocketOptionProvider else {
            throw Refusal(.failed, "The socket cannot say who is at its other end.")
        }
        let credentials: PeerCredentials = try await provider.unsafeGetSocketOption(level: .socket, name: .init(rawValue: SO_PEERCRED))
            .get()
        guard let peer = identify(Peer(process: credentials.process, user: credentials.user)), peer.isAllowed(node: geteuid()) else {
            throw Refusal(
                .configuration, "User \(Peer.name(of: credentials.user)) may not administer this node.",
                remedy: "Run the command as \(Peer.name(of: geteuid())) or root: `sudo -u \(Peer.name(of: geteuid())) sallyport …`.")
        }
        return peer.actor(node: node)
    }

    private func converse(
        _ inbound: NIOAsyncChannelInboundStream<ReceivedFrame>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, actor: Actor
    ) async throws {
        var isGreeted = false
        for try await received in inbound {
            let frame: Data
            switch received {
            case .whole(let data): frame = data
            case .tooLong(let length):
                throw Refusal(
                    .invalid, "A request of \(length) bytes is larger than the \(ControlWire.longestRequest >> 20) MiB that are read.",
                    remedy: "Split the file, or use the `sallyport` of the node's own release.")
            }
            guard isGreeted else {
                guard let greeting = try? JSONDecoder().decode(Greeting.self, from: frame) else {
                    throw Refusal(
                        .invalid, "What came is no greeting of the control protocol.", remedy: "Only `sallyport` speaks over this socket.")
                }
                let own = Greeting(sallyport: ControlWire.version, release: release, node: node)
                // Ours goes out first, so that the older side can say which release it needs.
                try await outbound.write(Self.buffer(try JSONEncoder().encode(own)))
                try greeting.check(against: "command")
                isGreeted = true
                continue
            }
            let result: Result<Data, Refusal>
            do throws(Refusal) {
                let request = try ControlRequest(frame: frame)
                result = .success(try await Verbs.perform(request.verb, body: request.body, in: operations, by: actor))
            } catch {
                result = .failure(error)
            }
            try await outbound.write(Self.buffer(Self.bounded(result)))
        }
    }

    private static func bounded(_ result: Result<Data, Refusal>) -> Data {
        let frame = ControlAnswer.frame(result)
        guard frame.count > ControlWire.longestAnswer else { return frame }
        return ControlAnswer.frame(
            .failure(
                Refusal(.failed, "The answer is larger than \(ControlWire.longestAnswer >> 20) MiB.", remedy: "Ask for less with --limit."))
        )
    }

    private static func buffer(_ payload: Data) -> ByteBuffer {
        ByteBuffer(bytes: framed(payload))
    }
}
