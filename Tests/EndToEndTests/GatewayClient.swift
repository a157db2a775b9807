// SPDX-License-Identifier: Apache-2.0
// A VPN gateway with its own RADIUS client: sends, retransmits, and trusts no reply that is not proven.

import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Synchronization
import Testing

@testable import sallyport

final class GatewayClient: Sendable {
    let secret: SharedSecret
    private let descriptor: CInt
    private let patience: CInt
    private let identifiers = Atomic<UInt8>(0)

    /// - Parameters:
    ///   - source: 127.0.0.x, to be one of several gateways.
    ///   - patience: milliseconds until silence counts as no answer.
    init(_ endpoint: UDPEndpoint, from source: String? = nil, secret: String = TestNode.secret, patience: CInt = 15_000) throws {
        self.secret = try #require(SharedSecret(secret))
        self.patience = patience
        descriptor = socket(endpoint.address.isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        try #require(descriptor >= 0)
        if let source {
            let address = try #require(NetworkAddress(source))
            try #require(Self.withName(of: address, 0) { bind(descriptor, $0, $1) } == 0)
        }
        try #require(Self.withName(of: endpoint.address, endpoint.port) { connect(descriptor, $0, $1) } == 0)
    }

    convenience init(_ node: TestNode, from source: String? = nil, secret: String = TestNode.secret, patience: CInt = 15_000) throws {
        try self.init(node.endpoint, from: source, secret: secret, patience: patience)
    }

    deinit {
        close(descriptor)
    }

    // MARK: Packets

    /// A fresh Access-Request as bytes; sent again, it is a retransmission.
    func request(
        _ name: String, _ field: String?, state: [UInt8]? = nil, signed: Bool = true, _ add: (inout PacketWriter) -> Void = { _ in }
    ) throws -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        var writer = PacketWriter(
            request: .accessRequest, identifier: identifiers.wrappingAdd(1, ordering: .relaxed).newValue,
            authenticator: Authenticator(using: &random), messageAuthenticator: signed)
        writer.addText(.userName, name)
        if let field { writer.addPassword(Array(field.utf8), secret: secret) }
        if let state { writer.add(.state, state) }
        add(&writer)
        return try writer.sign(with: secret)
    }

    func statusServer(signed: Bool = true) throws -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        let writer = PacketWriter(
            request: .statusServer, identifier: identifiers.wrappingAdd(1, ordering: .relaxed).newValue,
            authenticator: Authenticator(using: &random), messageAuthenticator: signed)
        return try writer.sign(with: secret)
    }

    // MARK: Talking

    /// One login attempt; nil when nothing came back.
    func login(
        _ name: String, _ field: String?, state: [UInt8]? = nil, signed: Bool = true, _ add: (inout PacketWriter) -> Void = { _ in }
    ) async throws -> Packet? {
        try await exchange(try request(name, field, state: state, signed: signed, add))
    }

    /// Sends these bytes and waits for the reply to them.
    func exchange(_ bytes: [UInt8], within milliseconds: CInt? = nil) async throws -> Packet? {
        send(bytes)
        return try await reply(to: bytes, within: milliseconds)
    }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, 0)
    }

    /// The next reply with this request's identifier, which must be genuine; older ones are left out.
    func reply(to bytes: [UInt8], within milliseconds: CInt? = nil) async throws -> Packet? {
        let request = try Packet(decoding: bytes)
        let patience = milliseconds ?? self.patience
        return try await onThread { [self] in
            let end = ContinuousClock.now + .milliseconds(Int(patience))
            while true {
                let left = (end - ContinuousClock.now) / .milliseconds(1)
                guard let datagram = receive(within: max(0, CInt(left))) else { return nil }
                let reply = try Packet(decoding: datagram)
                if reply.identifier != request.identifier { continue }
                try #require(reply.verifyReply(to: request, secret: secret) == .genuine)
                // Message-Authenticator comes first in every reply.
                try #require(reply.attributes.first { _ in true }?.type == .messageAuthenticator)
                return reply
            }
        }
    }

    private func receive(within milliseconds: CInt) -> [UInt8]? {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, milliseconds) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 5000)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count >= 0 ? Array(bytes[..<count]) : nil
    }

    private static func withName(
        of address: NetworkAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        func call<Name>(_ name: inout Name) -> CInt {
            withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Name>.size)) }
            }
        }
        if address.isIPv4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.bits).bigEndian
            return call(&name)
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return call(&name)
    }
}

extension Packet {
    func all(_ type: AttributeType) -> [[UInt8]] {
        attributes.filter { $0.type == type }.map { Array(value(of: $0)) }
    }

    /// What an attacker could compare: everything but identifier, authenticators and Proxy-State.
    var visible: [[UInt8]] { visible(without: .proxyState) }

    func visible(without type: AttributeType) -> [[UInt8]] {
        [[code.rawValue]]
            + attributes.filter { $0.type != .proxyState && $0.type != type }.map { attribute in
                [attribute.type.rawValue]
                    + (attribute.type == .messageAuthenticator ? Array(repeating: 0, count: 16) : Array(value(of: attribute)))
            }
    }
}

/// `password,code`
func append(_ code: String, to password: String = TestNode.password) -> String { "\(password),\(code)" }

/// One GET over a connection of its own.
func httpGet(_ path: String, port: UInt16) async throws -> (status: Int, body: String) {
    try await onThread {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        try #require(isConnected)
        let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
        try #require(send(descriptor, request, request.count, 0) == request.count)
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { break }
            answer += piece[..<count]
        }
        let text = String(decoding: answer, as: UTF8.self)
        let status = text.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) } ?? 0
        return (status, text.range(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? "")
    }
}
