// SPDX-License-Identifier: Apache-2.0
// sallyport bench respond: a server that accepts everybody, to see what the generator itself can do.

import Administration
import ArgumentParser
import CSockets
import Directories
import Foundation
import LoginEngine
import RADIUS

struct BenchRespond: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "respond", abstract: "Accept everybody, for measuring the load generator.", shouldDisplay: false)

    @Option(help: ArgumentHelp("Where to listen; loopback only.", valueName: "port")) var port: UInt16 = 0
    @Option(help: ArgumentHelp("A file with the shared secret.", valueName: "file")) var secretFile: String

    func run() throws {
        let secret = try ClientSecretSource.read(secretFile)
        var bound = port
        let socket = datagrams_open(datagram_address(high: 0, low: 0xFFFF_7F00_0001), false, &bound)
        guard socket >= 0, let batch = datagram_batch_create(64, Packet.maximumLength) else {
            throw Refusal(.unavailable, "127.0.0.1:\(port) cannot be opened: \(String(cString: strerror(-socket))).")
        }
        datagrams_grow_buffer(socket, 4 << 20)
        Output.write("127.0.0.1:\(bound)\n", STDOUT_FILENO)
        var bytes: [UInt8] = []
        var replies: [datagram_reply] = []
        while true {
            let count = datagram_batch_receive(batch, socket)
            guard count > 0 else { continue }
            bytes.removeAll(keepingCapacity: true)
            replies.removeAll(keepingCapacity: true)
            for index in 0..<count {
                let datagram = UnsafeBufferPointer(start: datagram_batch_bytes(batch, index), count: datagram_batch_length(batch, index))
                guard let request = try? Packet(decoding: datagram.span), request.hasValidMessageAuthenticator(secret: secret),
                    (try? request.password(secret: secret)) != nil,
                    let reply = try? PacketWriter(reply: .accessAccept, to: request).sign(with: secret)
                else { continue }
                replies.append(datagram_reply(route: datagram_batch_route(batch, index), offset: bytes.count, length: reply.count))
                bytes += reply
            }
            var sent = 0
            while sent < replies.count {
                let taken = replies.withUnsafeMutableBufferPointer { all in
                    all.baseAddress.map { datagrams_send(socket, false, bytes, $0 + sent, all.count - sent, false) } ?? 0
                }
                sent += max(1, Int(taken))
            }
        }
    }
}
