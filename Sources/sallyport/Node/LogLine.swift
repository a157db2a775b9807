// SPDX-License-Identifier: Apache-2.0
// One log line as bytes, for people or for machines. Whatever an attacker puts into a name stays one line.

import Foundation
import Logging

struct LogLine {
    var seconds: Int64
    var milliseconds: Int
    var level: Logger.Level
    var label: String
    var message: String
    var metadata: Logger.Metadata

    /// First in a line, in this order: what one looks for.
    static let leading = ["login", "user", "client", "source", "reason"]
    /// Their values should never come here; if one does, it goes no further.
    static let secretKeys: Set<String> = ["password", "secret", "otp", "token", "seed", "passphrase"]
    static let hidden = "<secret>"
    private static let reserved: Set<String> = ["time", "level", "label", "message"]

    /// `2026-11-21T11:37:40.123Z info    radius: message  login=3f… reason=wrong-code`
    func text(coloured: Bool) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        if coloured { line.append(ansi: "2") }
        line.append(contentsOf: timestamp.utf8)
        if coloured { line.append(ansi: "0") }
        line.append(UInt8(ascii: " "))
        if coloured { line.append(ansi: colour) }
        let name = level.rawValue
        line.append(contentsOf: name.utf8)
        if coloured { line.append(ansi: "0") }
        line.append(contentsOf: repeatElement(UInt8(ascii: " "), count: max(1, 9 - name.utf8.count)))
        line.append(contentsOf: label.utf8)
        line.append(contentsOf: ": ".utf8)
        line.append(escaping: message, quotes: false)
        if !metadata.isEmpty { line.append(UInt8(ascii: " ")) }
        for (key, value) in ordered {
            line.append(UInt8(ascii: " "))
            if coloured { line.append(ansi: key == "reason" ? "33" : "36") }
            line.append(escaping: key, quotes: false)
            if coloured { line.append(ansi: "0") }
            line.append(UInt8(ascii: "="))
            let text = Self.text(of: value, key: key)
            let plain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" && !$0.breaksLine }
            if plain {
                line.append(contentsOf: text.utf8)
            } else {
                line.append(UInt8(ascii: "\""))
                line.append(escaping: text, quotes: true)
                line.append(UInt8(ascii: "\""))
            }
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    var json: [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(320)
        line.append(contentsOf: "{\"time\":\"".utf8)
        line.append(contentsOf: timestamp.utf8)
        line.append(contentsOf: "\",\"level\":\"".utf8)
        line.append(contentsOf: level.rawValue.utf8)
        line.append(contentsOf: "\",\"label\":\"".utf8)
        line.append(escaping: label, quotes: true)
        line.append(contentsOf: "\",\"message\":\"".utf8)
        line.append(escaping: message, quotes: true)
        line.append(UInt8(ascii: "\""))
        for (key, value) in ordered {
            line.append(contentsOf: ",\"".utf8)
            line.append(escaping: Self.reserved.contains(key) ? key + "_" : key, quotes: true)
            line.append(contentsOf: "\":".utf8)
            line.append(json: value, key: key)
        }
        line.append(contentsOf: "}\n".utf8)
        return line
    }

    private var ordered: [(key: String, value: Logger.MetadataValue)] {
        if metadata.isEmpty { return [] }
        return metadata.sorted { left, right in
            let first = Self.leading.firstIndex(of: left.key) ?? .max
            let second = Self.leading.firstIndex(of: right.key) ?? .max
            return first == second ? left.key < right.key : first < second
        }
    }

    private var colour: String {
        switch level {
        case .trace, .debug: "2"
        case .info, .notice: "32"
        case .warning: "33"
        case .error, .critical: "1;31"
        }
    }

    /// RFC 3339, UTC. Foundation's formatter costs tens of microseconds a line.
    private var timestamp: String {
        let (year, month, day) = Self.date(daysSince1970: Int((Double(seconds) / 86400).rounded(.down)))
        let inDay = Int(seconds) - Int((Double(seconds) / 86400).rounded(.down)) * 86400
        func padded(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return text.count >= width ? text : String(repeating: "0", count: width - text.count) + text
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(inDay / 3600, 2)):\(padded(inDay / 60 % 60, 2)):"
            + "\(padded(inDay % 60, 2)).\(padded(milliseconds, 3))Z"
    }

    /// Gregorian date of a day number, by eras of 400 years that begin in March (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    fileprivate static func text(of value: Logger.MetadataValue, key: String) -> String {
        if secretKeys.contains(key) { return hidden }
        return switch value {
        case .dictionary(let elements):
            "{" + elements.sorted { $0.key < $1.key }.map { "\($0.key): \(text(of: $0.value, key: $0.key))" }.joined(separator: ", ") + "}"
        case .array(let elements): "[" + elements.map { text(of: $0, key: "") }.joined(separator: ", ") + "]"
        case .string, .stringConvertible: value.description
        @unknown default: value.description
        }
    }
}

extension Unicode.Scalar {
    /// Controls, and the marks that reorder or break a line on a screen (an escape sequence could recolour or forge one).
    fileprivate var breaksLine: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(ansi code: String) {
        append(contentsOf: "\u{1B}[\(code)m".utf8)
    }

    fileprivate mutating func append(escaping text: String, quotes: Bool) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where quotes: append(contentsOf: "\\\"".utf8)
            case "\\" where quotes: append(contentsOf: "\\\\".utf8)
            case "\n": append(contentsOf: "\\n".utf8)
            case "\r": append(contentsOf: "\\r".utf8)
            case "\t": append(contentsOf: "\\t".utf8)
            case _ where scalar.breaksLine:
                let hex = String(scalar.value, radix: 16)
                append(contentsOf: "\\u\(String(repeating: "0", count: Swift.max(0, 4 - hex.count)))\(hex)".utf8)
            default: append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }

    fileprivate mutating func append(json value: Logger.MetadataValue, key: String) {
        if LogLine.secretKeys.contains(key) {
            append(contentsOf: "\"\(LogLine.hidden)\"".utf8)
            return
        }
        switch value {
        case .array(let elements):
            append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                append(json: element, key: "")
            }
            append(UInt8(ascii: "]"))
        case .dictionary(let elements):
            append(UInt8(ascii: "{"))
            for (index, (name, element)) in elements.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                append(UInt8(ascii: "\""))
                append(escaping: name, quotes: true)
                append(contentsOf: "\":".utf8)
                append(json: element, key: name)
            }
            append(UInt8(ascii: "}"))
        default:
            append(UInt8(ascii: "\""))
            append(escaping: value.description, quotes: true)
            append(UInt8(ascii: "\""))
        }
    }
}
