// SPDX-License-Identifier: Apache-2.0
// An LDAP server on a port of the kernel's choice that answers as a test says, in bytes.

import Foundation
import LoginEngine
import Synchronization
import Testing

/// Stops when it is let go.
final class ScriptedLDAP: Sendable {
    enum Request: Sendable, Equatable {
        case bind(name: String, password: [UInt8])
        case search(base: String)
        case unbind
        case other(UInt8)
    }

    enum Deed: Sendable {
        case bytes([UInt8])
        case close
    }

    let port: UInt16
    private let shared: Shared

    private final class Shared: Sendable {
        let requests = Mutex<[Request]>([])
        let connections = Atomic<Int>(0)
        let isStopped = Atomic<Bool>(false)
        let threads = DispatchGroup()
    }

    var requests: [Request] { shared.requests.withLock { $0 } }
    var binds: [Request] { requests.filter { if case .bind = $0 { true } else { false } } }
    var connections: Int { shared.connections.load(ordering: .acquiring) }
    let server: LDAPServer

    /// - Parameter answer: what is done for the message with this number; nothing leaves it without an answer.
    init(answer: @escaping @Sendable (_ number: Int, Request) -> [Deed]) throws {
        let listening = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(listening, $0, length)
                _ = getsockname(listening, $0, &length)
            }
        }
        try #require(listen(listening, 64) == 0)
        port = UInt16(bigEndian: name.sin_port)
        server = try #require(LDAPServer("ldap://127.0.0.1:\(port)"))
        let shared = Shared()
        self.shared = shared
        shared.threads.enter()
        Thread.detachNewThread {
            defer {
                close(listening)
                shared.threads.leave()
            }
            while !shared.isStopped.load(ordering: .acquiring) {
                var wanted = pollfd(fd: listening, events: Int16(POLLIN), revents: 0)
                guard poll(&wanted, 1, 20) > 0 else { continue }
                let connection = accept(listening, nil, nil)
                guard connection >= 0 else { continue }
                shared.connections.add(1, ordering: .releasing)
                shared.threads.enter()
                Thread.detachNewThread {
                    Self.serve(connection, shared, answer)
                    close(connection)
                    shared.threads.leave()
                }
            }
        }
    }

    deinit {
        shared.isStopped.store(true, ordering: .releasing)
        shared.threads.wait()
    }

    private static func serve(_ connection: CInt, _ shared: Shared, _ answer: (Int, Request) -> [Deed]) {
        var waiting: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !shared.isStopped.load(ordering: .acquiring) {
            var wanted = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, 20) > 0 else { continue }
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            waiting += buffer[..<count]
            while let (message, rest) = BER.take(waiting) {
                waiting = rest
                guard let (number, request) = parse(message.content) else { return }
                shared.requests.withLock { $0.append(request) }
                for deed in answer(number, request) {
                    switch deed {
                    case .bytes(let bytes): _ = send(connection, bytes, bytes.count, CInt(MSG_NOSIGNAL))
                    case .close: return
                    }
                }
            }
        }
    }

    private static func parse(_ content: [UInt8]) -> (Int, Request)? {
        guard let (id, rest) = BER.take(content), let (operation, _) = BER.take(rest) else { return nil }
        let number = id.content.reduce(0) { $0 << 8 | Int($1) }
        switch operation.tag {
        case 0x60:
            guard let (_, behind) = BER.take(operation.content), let (name, last) = BER.take(behind), let (password, _) = BER.take(last)
            else { return nil }
            return (number, .bind(name: String(decoding: name.content, as: UTF8.self), password: password.content))
        case 0x63:
            guard let (base, _) = BER.take(operation.content) else { return nil }
            return (number, .search(base: String(decoding: base.content, as: UTF8.self)))
        case 0x42: return (number, .unbind)
        default: return (number, .other(operation.tag))
        }
    }
}

/// As much of X.690 as LDAP's messages need.
enum BER {
    struct Element {
        var tag: UInt8
        var content: [UInt8]
    }

    static func take(_ bytes: [UInt8]) -> (Element, rest: [UInt8])? {
        guard bytes.count >= 2 else { return nil }
        var (length, start) = (Int(bytes[1]), 2)
        if length & 0x80 != 0 {
            let count = length & 0x7F
            guard bytes.count >= 2 + count else { return nil }
            length = bytes[2..<2 + count].reduce(0) { $0 << 8 | Int($1) }
            start = 2 + count
        }
        guard bytes.count >= start + length else { return nil }
        return (Element(tag: bytes[0], content: Array(bytes[start..<start + length])), Array(bytes[(start + length)...]))
    }

    static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let length: [UInt8] =
            content.count < 0x80 ? [UInt8(content.count)] : [0x82, UInt8(content.count >> 8), UInt8(content.count & 0xFF)]
        return [tag] + length + content
    }

    static func message(_ number: Int, _ operation: [UInt8]) -> [UInt8] { element(0x30, element(2, [UInt8(number & 0x7F)]) + operation) }

    private static func result(_ tag: UInt8, _ code: UInt8, _ diagnostic: String) -> [UInt8] {
        element(tag, element(0x0A, [code]) + element(4, []) + element(4, Array(diagnostic.utf8)))
    }

    static func bound(_ number: Int, _ code: UInt8 = 0, _ diagnostic: String = "") -> [UInt8] {
        message(number, result(0x61, code, diagnostic))
    }

    static func searchDone(_ number: Int, _ code: UInt8 = 0, _ diagnostic: String = "") -> [UInt8] {
        message(number, result(0x65, code, diagnostic))
    }

    static func entry(_ number: Int, _ dn: String, _ attributes: [(String, [[UInt8]])]) -> [UInt8] {
        let list = attributes.flatMap { name, values in
            element(0x30, element(4, Array(name.utf8)) + element(0x31, values.flatMap { element(4, $0) }))
        }
        return message(number, element(0x64, element(4, Array(dn.utf8)) + element(0x30, list)))
    }

    static func reference(_ number: Int, _ url: String) -> [UInt8] { message(number, element(0x73, element(4, Array(url.utf8)))) }
}
