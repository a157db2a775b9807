// SPDX-License-Identifier: Apache-2.0
// Every kind of attribute both ways: FreeRADIUS's client writes it and we read it, we write it and FreeRADIUS's client reads it.

import Foundation
import RADIUS
import Synchronization
import Testing

@Suite(.enabled(if: Foreign.isHere("radclient"), "radclient (freeradius-utils) is not installed"))
struct RadclientAttributeInteropTests {
    /// As radclient writes and prints them; FreeRADIUS's words for values are ours too.
    static let attributes: [(String, String)] = [
        ("Filter-Id", "\"staff\""), ("Class", "0x00ff80"), ("Session-Timeout", "28800"), ("Service-Type", "Framed-User"),
        ("Framed-IP-Address", "192.168.1.5"), ("Framed-IPv6-Address", "2001:db8::5"), ("PMIP6-Home-IPv4-HoA", "10.20.0.0/16"),
        ("Framed-IPv6-Prefix", "2001:db8:1200::/40"), ("Framed-Interface-Id", "2a0:98ff:fe11:2233"),
        ("Fortinet-WirelessController-Device-MAC", "00:11:22:aa:bb:cc"), ("PKM-SAID", "258"),
        ("WiMAX-Device-Authentication-Indicator", "2"), ("WiMAX-GMT-Timezone-offset", "-3600"), ("Tunnel-Type:1", "VLAN"),
        ("Tunnel-Medium-Type:1", "IEEE-802"), ("Tunnel-Private-Group-Id:1", "\"120\""),
        ("ASA-Group-Policy", "\"vpn-staff\""), ("Fortinet-Group-Name", "\"vpn-staff\""), ("PaloAlto-User-Group", "\"vpn-staff\""),
        ("SonicWall-User-Group", "\"vpn-staff\""), ("Citrix-User-Groups", "\"vpn-staff\""), ("USR-Channel", "7"),
        ("Lucent-PPP-Circuit-Name", "\"ab\""), ("SN-Primary-DNS-Server", "192.0.2.53"), ("Response-Length", "8192"),
        ("IP-Port-Range-Start", "1024"), ("IP-Port-Local-Id", "\"x\""),
    ]
    /// radclient sends none of these in a request.
    static let hidden: [(String, String)] = [
        ("Tunnel-Password:1", "\"a tunnel password\""), ("MS-MPPE-Send-Key", "0x000102030405060708090a0b0c0d0e0f"),
        ("MS-MPPE-Recv-Key", "0x0f0e0d0c0b0a09080706050403020100"),
    ]

    @Test func bothWriteAndReadTheSame() async throws {
        let program = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        let secret = try #require(SharedSecret("testing123"))
        let dictionary = AttributeDictionary.builtIn
        let seen = Mutex<[DecodedAttribute]>([])
        func attribute(_ name: String, _ text: String) throws -> DecodedAttribute {
            let parts = name.split(separator: ":")
            let definition = try #require(dictionary[name: parts[0]])
            let value = try dictionary.value(text.replacing("\"", with: ""), for: definition)
            return DecodedAttribute(definition.oid, tag: parts.count > 1 ? UInt8(parts[1]) : nil, value)
        }
        let hidden = try Self.hidden.map { try attribute($0.0, $0.1) }
        let server = try OneAnswer { request in
            let key = AttributeKey(secret: secret, authenticator: request.authenticator)
            let decoded = dictionary.decode(request, key: key).filter { $0.oid != AttributeOID(.messageAuthenticator) }
            seen.withLock { $0 = decoded }
            var reply = PacketWriter(reply: .accessAccept, to: request)
            reply.addEncoded(try dictionary.encode(decoded + hidden, key: key, salt: 0x8001))
            return try reply.sign(with: secret)
        }
        let lines = Self.attributes.map { "\($0.0) = \($0.1)" } + ["Message-Authenticator = 0x00"]
        let end = try await program.run(
            ["-x", "-r", "1", "-t", "15", "127.0.0.1:\(server.port)", "auth", "testing123"], input: lines.joined(separator: "\n") + "\n")
        #expect(end.status == 0, "\(end.everything)")
        let received = try #require(end.output.range(of: "Received Access-Accept"), "\(end.everything)")
        let reply = String(end.output[received.upperBound...])
        var leaves: [DecodedAttribute] = []
        for attribute in seen.withLock({ $0 }) {
            if case .nested(let members) = attribute.value { leaves += members } else { leaves.append(attribute) }
        }
        #expect(leaves.allSatisfy { $0.form == .plain })
        for (name, text) in Self.attributes { #expect(leaves.contains(try attribute(name, text)), "\(name) from radclient") }
        for (name, text) in Self.attributes + Self.hidden {
            // Its output has a tag of 0 for none.
            #expect(reply.contains("\(name) = \(text)") || reply.contains("\(name):0 = \(text)"), "\(name) at radclient\n\(reply)")
        }
    }
}

/// A server on the loopback that answers as it is told.
final class OneAnswer: Sendable {
    let port: UInt16
    private let isStopped: Flag

    init(_ answer: @escaping @Sendable (Packet) throws -> [UInt8]) throws {
        let opened = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(opened, $0, length)
                _ = getsockname(opened, $0, &length)
            }
        }
        port = UInt16(bigEndian: name.sin_port)
        let isStopped = Flag()
        self.isStopped = isStopped
        Thread {
            defer { close(opened) }
            var buffer = [UInt8](repeating: 0, count: 4097)
            while !isStopped.isRaised {
                var wanted = pollfd(fd: opened, events: Int16(POLLIN), revents: 0)
                guard poll(&wanted, 1, 20) > 0 else { continue }
                var peer = sockaddr_in()
                var size = socklen_t(MemoryLayout<sockaddr_in>.size)
                let count = withUnsafeMutablePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(opened, &buffer, buffer.count, 0, $0, &size) }
                }
                guard count > 0, let request = try? Packet(decoding: Array(buffer[..<count])), let reply = try? answer(request) else {
                    continue
                }
                withUnsafePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = sendto(opened, reply, reply.count, 0, $0, size) }
                }
            }
        }.start()
    }

    deinit {
        isStopped.raise()
    }
}
