// SPDX-License-Identifier: Apache-2.0
// What a name, an address, a number must look like; each refusal says what would be right.

internal import Foundation
internal import LoginEngine

enum Valid {
    static func userName(_ text: String, field: String = "name") throws(Refusal) -> (name: String, key: String) {
        let name = trimmed(text)
        guard let key = UserName.key(of: name) else {
            throw Refusal(
                .invalid, name.isEmpty ? "The name is empty." : "`\(shown(name))` cannot be a login name.",
                remedy: "Use 1 to \(UserName.longest) bytes without control characters.", place: field)
        }
        return (name, key)
    }

    static func email(_ text: String) throws(Refusal) -> String {
        let text = trimmed(text)
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[1].contains("."), !parts[1].hasPrefix("."), !parts[1].hasSuffix("."),
            text.utf8.count <= 254, isPrintable(text), !text.contains(where: \.isWhitespace)
        else {
            throw Refusal(.invalid, "`\(shown(text))` is not an e-mail address.", remedy: "Write it as alice@example.org.", place: "email")
        }
        return text
    }

    /// E.164: `+` and 7 to 15 digits; blanks, dashes, dots, slashes and brackets between them are dropped.
    static func phone(_ text: String) throws(Refusal) -> String {
        let bare = text.filter { !" -./()".contains($0) && !$0.isWhitespace }
        guard bare.hasPrefix("+"), (7...15).contains(bare.utf8.count - 1), !bare.hasPrefix("+0"),
            bare.utf8.dropFirst().allSatisfy({ (0x30...0x39).contains($0) })
        else {
            throw Refusal(
                .invalid, "`\(shown(text))` is not a phone number with its country.", remedy: "Write it as +49 30 1234567.", place: "phone")
        }
        return bare
    }

    static func timeZone(_ text: String) throws(Refusal) -> String {
        let text = trimmed(text)
        let known = TimeZone.knownTimeZoneIdentifiers
        guard known.contains(text) || text == "UTC" else {
            let near = NearNames.nearest(to: text, among: known)
            throw Refusal(
                .invalid, "No time zone `\(shown(text))`.",
                remedy: near.isEmpty ? "Write it as Europe/Berlin or UTC." : NearNames.question(near),
                place: "time-zone")
        }
        return text
    }

    static func groupName(_ text: String) throws(Refusal) -> String {
        let name = trimmed(text)
        guard (1...64).contains(name.count), isPrintable(name) else {
            throw Refusal(
                .invalid, name.isEmpty ? "The group's name is empty." : "`\(shown(name))` cannot be a group's name.",
                remedy: "Use 1 to 64 characters without control characters.", place: "name")
        }
        return name
    }

    static func label(_ text: String) throws(Refusal) -> String {
        let label = trimmed(text)
        guard (1...64).contains(label.count), isPrintable(label), !label.contains(":") else {
            throw Refusal(
                .invalid, label.isEmpty ? "The label is empty." : "`\(shown(label))` cannot be a label.",
                remedy: "Use 1 to 64 characters without colons and control characters.", place: "label")
        }
        return label
    }

    static func clientName(_ text: String) throws(Refusal) -> String {
        guard (1...64).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-_.".utf8.contains($0) })
        else {
            throw Refusal(
                .invalid, text.isEmpty ? "The client's name is empty." : "`\(shown(text))` cannot be a client's name.",
                remedy: "Use 1 to 64 lower case letters, digits, `-`, `_` and `.`, such as office-vpn.", place: "name")
        }
        return text
    }

    /// `local` is where passwords live that no directory has.
    static func directoryName(_ text: String) throws(Refusal) -> String {
        guard (1...64).contains(text.utf8.count), isWord(text), text != Operations.local else {
            throw Refusal(
                .invalid, text.isEmpty ? "The directory's name is empty." : "`\(shown(text))` cannot be a directory's name.",
                remedy: "Use 1 to 64 lower case letters, digits, `-`, `_` and `.`, such as nps; `local` is this server's own.",
                place: "name")
        }
        return text
    }

    static func channelName(_ text: String) throws(Refusal) -> String {
        guard (1...64).contains(text.utf8.count), isWord(text) else {
            throw Refusal(
                .invalid, text.isEmpty ? "The channel's name is empty." : "`\(shown(text))` cannot be a channel's name.",
                remedy: "Use 1 to 64 lower case letters, digits, `-`, `_` and `.`, such as mail.", place: "name")
        }
        return text
    }

    static func policyName(_ text: String) throws(Refusal) -> String {
        guard (1...64).contains(text.utf8.count), isWord(text) else {
            throw Refusal(
                .invalid, text.isEmpty ? "The policy's name is empty." : "`\(shown(text))` cannot be a policy's name.",
                remedy: "Use 1 to 64 lower case letters, digits, `-`, `_` and `.`, such as staff.", place: "name")
        }
        return text
    }

    static func tag(_ text: String) throws(Refusal) -> String {
        guard (1...32).contains(text.utf8.count), isWord(text) else {
            throw Refusal(
                .invalid, text.isEmpty ? "A tag is empty." : "`\(shown(text))` cannot be a tag.",
                remedy: "Use 1 to 32 lower case letters, digits, `-`, `_` and `.`, such as vpn.", place: "tag")
        }
        return text
    }

    private static func isWord(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-_.".utf8.contains($0) }
    }

    static func address(_ text: String) throws(Refusal) -> AddressRange {
        if let range = AddressRange(text) { return range }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        // Bits beyond the prefix are the usual mistake: offer the network that was meant.
        if parts.count == 2, let base = NetworkAddress(parts[0]), let length = Int(parts[1]),
            (0...(base.isIPv4 ? 32 : 128)).contains(length)
        {
            let full = length + (base.isIPv4 ? 96 : 0)
            let mask = full == 0 ? 0 : UInt128.max << UInt128(128 - full)
            let network = "\(NetworkAddress(bits: base.isIPv4 ? base.bits & (mask | UInt128(0xFFFF) << 32) : base.bits & mask))/\(length)"
            if AddressRange(network) != nil {
                throw Refusal(
                    .invalid, "`\(text)` has bits set beyond its prefix.",
                    remedy: "Did you mean `\(network)`, or the one address `\(base)`?",
                    place: "address")
            }
        }
        throw Refusal(
            .invalid, "`\(shown(text))` is not an address or a range.", remedy: "Write it as 192.0.2.7, 10.20.0.0/16 or 2001:db8::/48.",
            place: "address")
    }

    /// A password that is set here. RFC 2865 §5.2 carries at most 128 bytes.
    static func password(_ secret: Secret) throws(Refusal) {
        guard !secret.isEmpty else {
            throw Refusal(.invalid, "The password is empty.", remedy: "Give one line on standard input.", place: "password")
        }
        guard let text = secret.revealText() else {
            throw Refusal(.invalid, "The password is not UTF-8 text.", place: "password")
        }
        guard isPrintable(text) else {
            throw Refusal(
                .invalid, "The password holds a control character.", remedy: "Gateways cannot send it; choose another.", place: "password")
        }
        guard text.count >= 8 else {
            throw Refusal(.invalid, "The password is shorter than 8 characters.", remedy: "Choose a longer one.", place: "password")
        }
        guard secret.count <= 128 else {
            throw Refusal(
                .invalid, "The password is longer than 128 bytes.", remedy: "RADIUS carries no more; choose a shorter one.",
                place: "password")
        }
    }

    static func number(_ value: Int, in range: ClosedRange<Int>, _ field: String, unit: String = "") throws(Refusal) -> Int {
        guard range.contains(value) else {
            throw Refusal(
                .invalid, "\(value) is out of range.", remedy: "It must be \(range.lowerBound) to \(range.upperBound)\(unit).", place: field
            )
        }
        return value
    }

    /// - Parameter value: 0 for any number, which is nil.
    static func mostSessions(_ value: Int) throws(Refusal) -> Int? {
        value == 0 ? nil : try number(value, in: SessionLimit.range, "sessions", unit: ", or any")
    }

    static func trimmed(_ text: String) -> String {
        text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func isPrintable(_ text: String) -> Bool {
        !text.unicodeScalars.contains { $0.properties.generalCategory == .control || $0.properties.generalCategory == .format }
    }

    /// What was typed, short and harmless enough to be quoted.
    static func shown(_ text: String) -> String {
        let safe = String(String.UnicodeScalarView(text.unicodeScalars.prefix(48).map { isPrintable(String($0)) ? $0 : "·" }))
        return text.unicodeScalars.count > 48 ? safe + "…" : safe
    }
}
