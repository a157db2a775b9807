// SPDX-License-Identifier: Apache-2.0
// Names in filters (RFC 4515) and distinguished names (RFC 4514). Pure: what somebody typed never becomes syntax.

package import LoginEngine

package enum LDAPText {
    /// RFC 4515 §3: everything that could be syntax, and every byte beyond ASCII, as `\xx`.
    package static func filterValue(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "*"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "\\"), 0x00...0x1F, 0x7F...0xFF:
                text += "\\" + hex(byte)
            default: text.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        return text
    }

    package static func filterValue(_ text: String) -> String { filterValue(text.utf8) }

    /// RFC 4514 §2.4.
    package static func nameValue(_ value: String) -> String {
        var text = ""
        let bytes = Array(value.utf8)
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case 0x00...0x1F, 0x7F: text += "\\" + hex(byte)
            case UInt8(ascii: "\""), UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "<"), UInt8(ascii: ">"),
                UInt8(ascii: "\\"), UInt8(ascii: "="), 0x80...0xFF:
                text += "\\" + hex(byte)
            case UInt8(ascii: "#") where index == 0: text += "\\" + hex(byte)
            case UInt8(ascii: " ") where index == 0 || index == bytes.count - 1: text += "\\" + hex(byte)
            default: text.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        return text
    }

    private static func hex(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }

    package static func hex(_ bytes: some Sequence<UInt8>) -> String { bytes.map(hex).joined() }

    /// A template with the places of a name filled in, each escaped.
    package static func filled(_ template: String, _ name: DirectoryAccountName, _ escape: (String) -> String) -> String {
        // One pass: what was typed cannot be a place itself.
        var text = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            text += rest[..<open]
            switch rest[rest.index(after: open)..<close] {
            case "name": text += escape(name.name)
            case "account": text += escape(name.account)
            case "upn": text += escape(name.upn)
            default: text += rest[open...close]
            }
            rest = rest[rest.index(after: close)...]
        }
        return text + rest
    }

    /// Whether it holds a place of a name.
    package static func hasPlace(_ template: String) -> Bool {
        ["{name}", "{account}", "{upn}"].contains { template.contains($0) }
    }

    /// Balanced parentheses around everything; libldap judges the rest before anything is sent.
    package static func looksLikeFilter(_ text: String) -> Bool {
        guard text.hasPrefix("("), text.hasSuffix(")"), !text.contains("\0") else { return false }
        var depth = 0
        for (index, byte) in text.utf8.enumerated() {
            if byte == UInt8(ascii: "(") { depth += 1 }
            if byte == UInt8(ascii: ")") { depth -= 1 }
            if depth < 0 || depth == 0 && index != text.utf8.count - 1 { return false }
        }
        return depth == 0
    }
}

/// A distinguished name as a list of its parts, so that two writings of one are equal. Pure; nil for what is none.
package struct DistinguishedName: Sendable, Hashable {
    /// `type=value` in lower case, most specific first; several attributes of one part are joined by `+`.
    package let parts: [String]
    /// The value of the first part's first attribute, in its own letters.
    package let firstValue: String

    static let longest = 4_096
    static let mostParts = 64

    /// All parts in one text, which is that of no other name: what joins them is escaped in values.
    package var joined: String { parts.joined(separator: ",") }

    private static func escaped(_ value: String) -> String {
        let joining = [UInt8(ascii: ","), UInt8(ascii: "+"), UInt8(ascii: "\\")]
        guard value.utf8.contains(where: joining.contains) else { return value }
        return value.replacing("\\", with: "\\\\").replacing(",", with: "\\,").replacing("+", with: "\\+")
    }

    package init?(_ text: String) {
        guard text.utf8.count <= Self.longest else { return nil }
        var parts: [String] = []
        var (part, value, type) = ([String](), [UInt8](), [UInt8]())
        var (inValue, isQuoted) = (false, false)
        var first: String?
        // Blanks that were escaped stay, others at the end go.
        var keep = 0
        func trimmed(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes[...]
            while bytes.first == 0x20 { bytes = bytes.dropFirst() }
            while bytes.last == 0x20 { bytes = bytes.dropLast() }
            return Array(bytes)
        }
        func endAttribute() -> Bool {
            guard inValue else { return false }
            while value.count > keep, value.last == 0x20 { value.removeLast() }
            let name = String(decoding: trimmed(type), as: UTF8.self)
            guard !name.isEmpty, let text = String(validating: value, as: UTF8.self) else { return false }
            if first == nil { first = text }
            part.append("\(name.lowercased())=\(Self.escaped(text.lowercased()))")
            (value, type, inValue, keep) = ([], [], false, 0)
            return true
        }
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\\") where inValue:
                guard index + 1 < bytes.count else { return nil }
                if index + 2 < bytes.count, let high = Self.digit(bytes[index + 1]), let low = Self.digit(bytes[index + 2]) {
                    value.append(high << 4 | low)
                    index += 2
                } else {
                    value.append(bytes[index + 1])
                    index += 1
                }
                keep = value.count
            case UInt8(ascii: "\"") where inValue:
                isQuoted.toggle()
                keep = value.count
            case _ where isQuoted: value.append(byte)
            case UInt8(ascii: "=") where !inValue: inValue = true
            case UInt8(ascii: "+"): guard endAttribute() else { return nil }
            case UInt8(ascii: ","), UInt8(ascii: ";"):
                guard endAttribute() else { return nil }
                parts.append(part.sorted().joined(separator: "+"))
                part = []
            case 0x20 where inValue && value.isEmpty && keep == 0: break
            default: if inValue { value.append(byte) } else { type.append(byte) }
            }
            index += 1
        }
        guard !isQuoted, endAttribute(), parts.count < Self.mostParts, let first else { return nil }
        self.parts = parts + [part.sorted().joined(separator: "+")]
        firstValue = first
    }

    /// Whether it is the other one, or below it.
    package func isBelow(_ base: DistinguishedName) -> Bool {
        parts.count >= base.parts.count && parts.suffix(base.parts.count).elementsEqual(base.parts)
    }

    package static func == (left: DistinguishedName, right: DistinguishedName) -> Bool { left.parts == right.parts }
    package func hash(into hasher: inout Hasher) { hasher.combine(parts) }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
