// SPDX-License-Identifier: Apache-2.0
// Where a listener binds: an address and a port, as `127.0.0.1:9090` or `[::1]:9090`.

package import LoginEngine

package struct ListenAddress: Hashable, Sendable {
    package var host: NetworkAddress
    /// 0 lets the kernel choose; the bound port is read back.
    package var port: UInt16

    package init(host: NetworkAddress, port: UInt16) {
        self.host = host
        self.port = port
    }
}

/// Why a text is no address to listen on; the words go into an error as they are.
package struct ListenAddressError: Error, Equatable, CustomStringConvertible {
    package var description: String
}

extension ListenAddress: CustomStringConvertible {
    package init(_ text: some StringProtocol) throws(ListenAddressError) {
        let text = String(text)
        let shown = "\"\(text)\""
        if UInt16(text) != nil {
            throw ListenAddressError(description: "\(shown) is a port without an address; write \"0.0.0.0:\(text)\" or \"[::]:\(text)\"")
        }
        if let host = NetworkAddress(text) {
            let example = host.isIPv4 ? "\(host):1812" : "[\(host)]:1812"
            throw ListenAddressError(description: "\(shown) has no port; write \"\(example)\"")
        }
        guard let colon = text.lastIndex(of: ":") else {
            throw ListenAddressError(description: "\(shown) is not an address and a port, such as \"127.0.0.1:9090\" or \"[::1]:9090\"")
        }
        var hostText = text[..<colon]
        let bracketed = hostText.hasPrefix("[") && hostText.hasSuffix("]")
        if bracketed { hostText = hostText.dropFirst().dropLast() }
        guard let port = UInt16(text[text.index(after: colon)...]) else {
            throw ListenAddressError(description: "\(shown) ends in no port between 0 and 65535")
        }
        guard let host = NetworkAddress(hostText), bracketed == !host.isIPv4 || (bracketed && hostText.contains(":")) else {
            throw ListenAddressError(
                description:
                    "\(shown) does not begin with an IP address; write \"127.0.0.1:\(port)\", \"0.0.0.0:\(port)\" or \"[::1]:\(port)\"")
        }
        self.init(host: host, port: port)
    }

    package var description: String {
        host.isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
    }
}

extension ListenAddress {
    /// As a resolver takes it: without brackets.
    var hostText: String { host.description }

    private static let anyIPv4 = NetworkAddress(v4: 0)
    private static let anyIPv6 = NetworkAddress(bits: 0)

    /// Without repetitions, and without `0.0.0.0:p` beside `[::]:p`: NIO opens the latter for both families, so the former would be busy.
    static func separate(_ addresses: [ListenAddress]) -> [ListenAddress] {
        var kept: [ListenAddress] = []
        for address in addresses {
            if address.port != 0 {
                if kept.contains(address) { continue }
                if address.host == anyIPv4, addresses.contains(ListenAddress(host: anyIPv6, port: address.port)) { continue }
            }
            kept.append(address)
        }
        return kept
    }
}
