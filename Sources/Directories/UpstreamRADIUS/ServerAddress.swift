// SPDX-License-Identifier: Apache-2.0
// Where a RADIUS server is: `radius.example:1812`, `192.0.2.7`, `[2001:db8::1]:1812`.

internal import Glibc
package import LoginEngine

package struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    package var address: NetworkAddress
    package var port: UInt16

    /// RFC 2865 §3.
    package static let standardPort: UInt16 = 1812

    package init(_ address: NetworkAddress, port: UInt16 = standardPort) {
        self.address = address
        self.port = port
    }

    package var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

    /// Blocks while a name is looked up.
    package static func resolve(_ text: String) throws(ServerAddressError) -> ServerAddress {
        let (host, port) = try split(text)
        if let address = NetworkAddress(host) { return ServerAddress(address, port: port) }
        guard !host.isEmpty, !host.contains(where: { $0 == ":" || $0 == "[" || $0 == "]" || $0 == "\0" }) else { throw .malformed(text) }
        return ServerAddress(try addresses(of: host)[0], port: port)
    }

    /// All that a name stands for, in the system's order (RFC 6724); at least one. Blocks.
    package static func addresses(of host: String) throws(ServerAddressError) -> [NetworkAddress] {
        // RFC 6761 §6.3: this name is ours on a machine without a hosts file too.
        if host.lowercased() == "localhost" { return [NetworkAddress(v4: 0x7F00_0001)] }
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_DGRAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        var next = code == 0 ? found : nil
        var addresses: [NetworkAddress] = []
        while let entry = next {
            if let address = NetworkAddress(entry.pointee), !addresses.contains(address) { addresses.append(address) }
            next = entry.pointee.ai_next
        }
        guard addresses.isEmpty else { return addresses }
        throw .unknownHost(host, reason: code == 0 ? "it has no address" : String(cString: gai_strerror(code)))
    }

    private static func split(_ text: String) throws(ServerAddressError) -> (host: String, port: UInt16) {
        // An IPv6 address without brackets has no port behind it.
        if NetworkAddress(text) != nil { return (text, standardPort) }
        var host = Substring(text)
        var port = standardPort
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else { throw .malformed(text) }
            host = text[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard NetworkAddress(host) != nil else { throw .malformed(text) }
        }
        return (String(host), port)
    }
}

package enum ServerAddressError: Error, Equatable, CustomStringConvertible {
    case malformed(String)
    case unknownHost(String, reason: String)

    package var description: String {
        switch self {
        case .malformed(let text):
            "`\(text.prefix(80))` is no server: write it as 192.0.2.7:1812, [2001:db8::1]:1812 or radius.example:1812."
        case .unknownHost(let host, let reason): "The host `\(host.prefix(80))` is not known: \(reason)."
        }
    }
}

extension NetworkAddress {
    fileprivate init?(_ entry: addrinfo) {
        guard let raw = entry.ai_addr else { return nil }
        switch entry.ai_family {
        case AF_INET:
            let name = UnsafeRawPointer(raw).loadUnaligned(as: sockaddr_in.self)
            self.init(v4: UInt32(bigEndian: name.sin_addr.s_addr))
        case AF_INET6:
            let name = UnsafeRawPointer(raw).loadUnaligned(as: sockaddr_in6.self)
            self.init(bytes: withUnsafeBytes(of: name.sin6_addr) { Array($0) })
        default: return nil
        }
    }
}
