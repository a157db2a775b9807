// SPDX-License-Identifier: Apache-2.0
// `password,123456`, `password,push`, `password123456`: all readings of one field.

/// One way to read a field that may hold a password and what follows it.
package struct PasswordField: Sendable, Equatable {
    package var password: Secret
    /// A code, a keyword or a recovery code, as typed.
    package var tail: String

    /// A separator may occur in the password too; more readings than this are not tried.
    package static let mostReadings = 8
    /// Longer tails are nobody's code (a Yubico one-time password has 44 characters).
    package static let longestTail = 64

    /// Every split of a field, the one with the shortest tail first.
    ///
    /// - Parameters:
    ///   - separator: what stands between password and tail on this client; nil for none.
    ///   - tailLengths: digits of codes that may follow without a separator; empty where that is off.
    package static func splits(of field: Secret, separator: Character?, tailLengths: [Int]) -> [PasswordField] {
        field.reveal { bytes in
            var splits: [PasswordField] = []
            if let separator {
                let mark = Array(String(separator).utf8)
                var end = bytes.count
                while splits.count < mostReadings, let found = lastOccurrence(of: mark, in: bytes, before: end) {
                    if let tail = text(bytes[(found + mark.count)...]) {
                        splits.append(PasswordField(password: Secret(Array(bytes[..<found])), tail: tail))
                    }
                    end = found
                }
            }
            for length in Set(tailLengths).sorted() where length > 0 && bytes.count > length {
                let tail = bytes[(bytes.count - length)...]
                guard tail.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let tail = text(tail) else { continue }
                splits.append(PasswordField(password: Secret(Array(bytes[..<(bytes.count - length)])), tail: tail))
            }
            return splits
        }
    }

    /// Whether a password would be cut by an append client: its own end reads as a code, a keyword or a recovery code.
    ///
    /// Setting such a local password is refused: its owner could never log in with it alone.
    package static func tailReadsAsFactor(_ password: Secret, separator: Character?, fixedLengthTail: Bool) -> Bool {
        splits(of: password, separator: separator, tailLengths: fixedLengthTail ? [6, 7, 8] : []).contains(where: \.tailHasShapeOfFactor)
    }

    /// Whether the tail looks like a code, a recovery code or a keyword, whoever typed it.
    package var tailHasShapeOfFactor: Bool {
        let bare = Keyword.normalised(tail).filter { $0 != "-" && $0 != " " }
        return (6...8).contains(bare.utf8.count) && bare.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            || Keyword(tail) != nil || (bare.hasPrefix("sp") && bare.utf8.count == 18)
    }

    private static func lastOccurrence(of mark: [UInt8], in bytes: [UInt8], before end: Int) -> Int? {
        guard !mark.isEmpty, end >= mark.count else { return nil }
        var start = end - mark.count
        while start >= 0 {
            if bytes[start..<(start + mark.count)].elementsEqual(mark) { return start }
            start -= 1
        }
        return nil
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
        bytes.count <= longestTail ? String(validating: bytes, as: UTF8.self) : nil
    }
}

/// A word that asks for a factor: `push`, `phone`, `sms`, `email`, with an index when a user has several devices (`push2`).
package struct Keyword: Sendable, Equatable {
    package var word: String
    /// 1 for the first device.
    package var index: Int

    package static let words: Set<String> = ["push", "phone", "sms", "email"]

    /// - Returns: nil when the text is no keyword. Case and surrounding blanks do not matter.
    package init?(_ text: String) {
        // A code, which nearly everything is, is told by its first digit.
        guard text.utf8.count <= 32, let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return nil
        }
        let bare = Self.normalised(text)
        let digits = bare.reversed().prefix { $0.isASCII && $0.isNumber }
        word = String(bare.dropLast(digits.count))
        guard Self.words.contains(word), digits.count <= 2 else { return nil }
        index = digits.isEmpty ? 1 : Int(String(digits.reversed())) ?? 0
        guard index > 0 else { return nil }
    }

    static func normalised(_ text: String) -> String {
        var bare = Substring(text)
        while let first = bare.first, first.isWhitespace { bare.removeFirst() }
        while let last = bare.last, last.isWhitespace { bare.removeLast() }
        return bare.lowercased()
    }
}
