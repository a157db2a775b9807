// SPDX-License-Identifier: Apache-2.0
// A gateway that speaks RADIUS over TLS: one connection, blocking, on loopback.

internal import Glibc
package import TLS

/// Used by one thread at a time. Unchecked, because tests hand it from their task to a thread that may block and wait for that one: no two
/// are ever in it, which the compiler cannot see, and a lock would hide a test that breaks it.
package final class TLSGateway: @unchecked Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let descriptor: Int32
    package let session: TLSSession
    private var received: [UInt8] = []
    private var isOpen = true

    /// Connects and shakes hands.
    ///
    /// - Parameter patience: milliseconds until silence counts as none.
    package init(port: UInt16, isIPv6: Bool = false, _ context: TLSContext, patience: Int = 5000) throws {
        descriptor = try Self.connected(port: port, isIPv6: isIPv6, patience: patience)
        do {
            session = try TLSSession(context)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        while try !session.handshake() {
            try flush()
            guard try fill() else { throw Failure(description: "the server closed the connection during the handshake") }
        }
        try flush()
    }

    deinit {
        if isOpen { Glibc.close(descriptor) }
    }

    /// A plain TCP connection.
    package static func connected(port: UInt16, isIPv6: Bool = false, patience: Int = 5000) throws -> CInt {
        let descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "no socket") }
        var time = timeval(tv_sec: patience / 1000, tv_usec: patience % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        let result: CInt
        if isIPv6 {
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = port.bigEndian
            name.sin6_addr = in6addr_loopback
            result = withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        } else {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            result = withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        guard result == 0 else {
            Glibc.close(descriptor)
            throw Failure(description: "connect: \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    package func send(_ bytes: [UInt8]) throws {
        try session.write(bytes)
        try flush()
    }

    /// Nil: the server ended the connection, or said nothing for too long.
    package func receive() throws -> [UInt8]? {
        while true {
            if received.count >= 4 {
                let length = Int(received[2]) << 8 | Int(received[3])
                if received.count >= length {
                    defer { received.removeFirst(length) }
                    return Array(received[..<length])
                }
            }
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
            defer { room.deallocate() }
            guard let count = try session.read(into: room) else { return nil }
            if count > 0 {
                received += room[..<count]
                continue
            }
            guard try fill() else { return nil }
        }
    }

    /// Whether the server ends the connection; false after the patience.
    package func isEnded() -> Bool {
        while true {
            do {
                let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
                defer { room.deallocate() }
                if try session.read(into: room) == nil { return true }
                errno = 0
                if try !fill() { return errno != EAGAIN }
            } catch {
                return true
            }
        }
    }

    package func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }

    private func flush() throws {
        var bytes: [UInt8] = []
        session.takeOutput(into: &bytes)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, CInt(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Failure(description: "send: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    private func fill() throws -> Bool {
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return false }
        try bytes.withUnsafeBytes { try session.put(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        return true
    }
}

extension TLSContext {
    /// What a gateway connects with.
    package static func gateway(_ issued: TestAuthority.Issued?, trusting authority: TestAuthority, protocols: [String] = []) throws
        -> TLSContext
    {
        var settings = TLSSettings()
        if let issued { (settings.certificates, settings.key) = (issued.pem, issued.keyPEM) }
        settings.peerAuthorities = authority.pem
        settings.applicationProtocols = protocols
        return try TLSContext(.client(), settings)
    }
}
