// SPDX-License-Identifier: Apache-2.0
// One TLS connection of the generator (RFC 6614): packets in records of their own, as a gateway sends them.

import Administration
import CSockets
import Directories
import Foundation
import LoginEngine
import RADIUS
import TLS

/// What the connections of a load are made with.
struct LoadTLS {
    var context: TLSContext
    var connections = 1

    /// RFC 6614 §2.3: what the digests inside TLS are made with.
    static let secret = "radsec"

    init(certificate: String, key: String, authority: String, connections: Int) throws {
        func bytes(_ path: String) throws -> [UInt8] {
            do { return Array(try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
                throw Refusal(.configuration, "The file cannot be read.", place: path)
            }
        }
        var settings = TLSSettings()
        settings.certificates = try bytes(certificate)
        settings.key = try bytes(key)
        settings.peerAuthorities = try bytes(authority)
        do throws(TLSError) {
            context = try TLSContext(.client(), settings)
        } catch {
            throw Refusal(.configuration, "\(error).", place: certificate)
        }
        self.connections = connections
    }
}

final class LoadConnection {
    let descriptor: Int32
    private let session: TLSSession
    private var unsent: [UInt8] = []
    private var received: [UInt8] = []
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 1)

    /// How long the server may take for its part of a handshake.
    private static let patience: UInt64 = 10_000_000_000

    /// Connects and shakes hands.
    init(to server: ServerAddress, _ context: TLSContext) throws {
        let words = datagram_address(
            high: UInt64(truncatingIfNeeded: server.address.bits >> 64), low: UInt64(truncatingIfNeeded: server.address.bits))
        let opened = streams_connect(words, !server.address.isIPv4, server.port)
        guard opened >= 0 else {
            throw Refusal(.unavailable, "\(server) takes no connection: \(String(cString: strerror(-opened))).")
        }
        descriptor = opened
        do {
            session = try TLSSession(context)
        } catch {
            close(opened)
            throw error
        }
        do throws(TLSError) {
            while try !session.handshake() {
                try push()
                guard datagrams_wait_readable([descriptor], 1, Self.patience), try fill() else {
                    throw .broken("the server ended the handshake, or said nothing")
                }
            }
            try push()
        } catch {
            throw Refusal(.unavailable, "No TLS with \(server): \(error).")
        }
    }

    deinit {
        close(descriptor)
        scratch.deallocate()
    }

    /// Whether the kernel did not take all of it yet.
    var isBehind: Bool { !unsent.isEmpty }

    func send(_ packets: [ArraySlice<UInt8>]) throws {
        do throws(TLSError) {
            for packet in packets { try session.write(Array(packet)) }
            try push()
        } catch {
            throw Self.ended(error)
        }
    }

    func receive(_ take: (UnsafeBufferPointer<UInt8>) -> Void) throws {
        do throws(TLSError) {
            guard try fill() else { throw .broken("the server closed the connection") }
            while true {
                guard let count = try session.read(into: scratch) else { throw .broken("the server closed the connection") }
                guard count > 0 else { break }
                received.append(contentsOf: scratch[..<count])
            }
        } catch {
            throw Self.ended(error)
        }
        var start = 0
        while received.count - start >= Packet.minimumLength {
            let length = Int(received[start + 2]) << 8 | Int(received[start + 3])
            guard length >= Packet.minimumLength else { throw Refusal(.failed, "What the server sends is no RADIUS.") }
            guard received.count - start >= length else { break }
            received.withUnsafeBufferPointer { take(UnsafeBufferPointer(rebasing: $0[start..<start + length])) }
            start += length
        }
        received.removeFirst(start)
    }

    /// - Returns: false when the server has ended the connection.
    private func fill() throws(TLSError) -> Bool {
        guard let base = scratch.baseAddress else { return false }
        while true {
            let count = streams_read(descriptor, base, scratch.count)
            guard count > 0 else { return count == -Int(EAGAIN) || count == -Int(EINTR) }
            try session.put(UnsafeRawBufferPointer(start: base, count: count))
            if count < scratch.count { return true }
        }
    }

    /// Sends what the kernel takes now.
    private func push() throws(TLSError) {
        session.takeOutput(into: &unsent)
        var sent = 0
        while sent < unsent.count {
            let count = unsent.withUnsafeBytes { bytes in
                bytes.baseAddress.map { streams_write(descriptor, $0 + sent, bytes.count - sent) } ?? 0
            }
            if count == -Int(EINTR) { continue }
            if count == -Int(EAGAIN) { break }
            guard count > 0 else { throw .broken("nothing can be sent any more") }
            sent += count
        }
        unsent.removeFirst(sent)
    }

    private static func ended(_ error: TLSError) -> Refusal {
        Refusal(.unavailable, "A connection ended: \(error).", remedy: "The server's log tells why.")
    }
}
