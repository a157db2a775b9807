// SPDX-License-Identifier: Apache-2.0
// A RADIUS server on a port of the kernel's choice that answers as a test says.

import Directories
import Foundation
import LoginEngine
import RADIUS
import Synchronization
import Testing

/// Stops when it is let go.
final class ScriptedServer: Sendable {
    enum Datagram: Sendable {
        case reply(Code, to: Packet, signed: Bool)
        /// Made without the secret.
        case forgery(Code, to: Packet)
        case bytes([UInt8])
    }

    let address: ServerAddress
    private let descriptor: Int32
    private let seen: Seen

    /// What the thread and the test share; the thread must not keep the server alive.
    private final class Seen: Sendable {
        let requests = Mutex<[Packet]>([])
        /// In network order.
        let lastPort = Mutex<UInt16?>(nil)
        let isStopped = Atomic<Bool>(false)
        let ended = DispatchSemaphore(value: 0)
    }

    var requests: [Packet] { seen.requests.withLock { $0 } }

    /// - Parameters:
    ///   - port: 0 for one of the kernel's choice.
    ///   - deafTo: how many requests it lets pass first.
    init(_ secret: String, port: UInt16 = 0, deafTo: Int = 0, answer: @escaping @Sendable (Packet) -> [Datagram]) throws {
        let secret = try #require(SharedSecret(secret))
        let forger = try #require(SharedSecret("forger"))
        let opened = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        descriptor = opened
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        name.sin_port = port.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(opened, $0, length)
                _ = getsockname(opened, $0, &length)
            }
        }
        address = ServerAddress(NetworkAddress(v4: 0x7F00_0001), port: UInt16(bigEndian: name.sin_port))
        let seen = Seen()
        self.seen = seen
        let thread = Thread {
            defer { seen.ended.signal() }
            var buffer = [UInt8](repeating: 0, count: 4097)
            while !seen.isStopped.load(ordering: .acquiring) {
                var wanted = pollfd(fd: opened, events: Int16(POLLIN), revents: 0)
                guard poll(&wanted, 1, 20) > 0 else { continue }
                var peer = sockaddr_in()
                var size = socklen_t(MemoryLayout<sockaddr_in>.size)
                let count = withUnsafeMutablePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(opened, &buffer, buffer.count, 0, $0, &size) }
                }
                guard count > 0, let request = try? Packet(decoding: Array(buffer[..<count])) else { continue }
                seen.lastPort.withLock { $0 = peer.sin_port }
                let position = seen.requests.withLock { requests in
                    requests.append(request)
                    return requests.count
                }
                guard position > deafTo else { continue }
                for datagram in answer(request) {
                    let bytes = datagram.bytes(secret, forger: forger)
                    withUnsafePointer(to: &peer) { pointer in
                        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = sendto(opened, bytes, bytes.count, 0, $0, size) }
                    }
                }
            }
        }
        thread.start()
    }

    /// From this server's own port to whoever sent the last request to `other`.
    func send(_ bytes: [UInt8], toClientOf other: ScriptedServer) {
        guard let port = other.seen.lastPort.withLock({ $0 }) else { return }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        name.sin_port = port
        withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    deinit {
        seen.isStopped.store(true, ordering: .releasing)
        seen.ended.wait()
        close(descriptor)
    }
}

extension ScriptedServer.Datagram {
    fileprivate func bytes(_ secret: SharedSecret, forger: SharedSecret) -> [UInt8] {
        switch self {
        case .reply(let code, let request, let isSigned):
            (try? PacketWriter(reply: code, to: request, messageAuthenticator: isSigned).sign(with: secret)) ?? []
        case .forgery(let code, let request): (try? PacketWriter(reply: code, to: request).sign(with: forger)) ?? []
        case .bytes(let bytes): bytes
        }
    }
}
