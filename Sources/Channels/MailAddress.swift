// SPDX-License-Identifier: Apache-2.0
// An address as mail servers take it (RFC 5321 §4.1.2), without the forms that nobody uses and strangers could abuse.

package struct MailAddress: Sendable, Hashable, CustomStringConvertible {
    /// RFC 5321 §4.5.3.1.1 to §4.5.3.1.3
    static let longestLocalPart = 64
    static let longest = 254

    package let localPart: String
    package let domain: String

    /// Nil for what no mail can be sent to: quoted local parts, addresses in brackets, letters beyond ASCII (RFC 6531) among it. A domain
    /// of another script is written as `xn--…`.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.longest, let at = text.lastIndex(of: "@") else { return nil }
        let (local, host) = (text[..<at], text[text.index(after: at)...])
        guard (1...Self.longestLocalPart).contains(local.utf8.count), Self.isDotted(local, Self.isOfAtom),
            Self.isDotted(host, Self.isOfHost), host.contains("."),
            host.split(separator: ".").allSatisfy({ $0.utf8.count <= 63 && $0.first != "-" && $0.last != "-" })
        else { return nil }
        localPart = String(local)
        domain = String(host)
    }

    package var description: String { "\(localPart)@\(domain)" }

    private static func isDotted(_ text: Substring, _ isFine: (UInt8) -> Bool) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(isFine) }
    }

    /// RFC 5322 §3.2.3: atext
    private static func isOfAtom(_ byte: UInt8) -> Bool {
        isOfHost(byte) || "!#$%&'*+/=?^_`{|}~".utf8.contains(byte)
    }

    private static func isOfHost(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
    }
}
