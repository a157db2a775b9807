// SPDX-License-Identifier: Apache-2.0
// Bytes of an unknown file as UTF-8, line by line.

/// A file's text in UTF-8 without a byte order mark, and without bytes that no text has.
struct ForeignText {
    let name: String
    let bytes: [UInt8]
    /// What it was in, where that was not UTF-8.
    let charset: String?

    /// - Throws: for a file that is too large, or that is no text.
    init(_ file: ForeignFile) throws(MigrationError) {
        name = file.name
        guard file.bytes.count <= ForeignFile.mostBytes else {
            throw MigrationError(
                Place(file.name, 0), "The file is larger than \(ForeignFile.mostBytes >> 20) MiB.",
                remedy: "Split it, or name the right one.")
        }
        if file.bytes.starts(with: [0xFF, 0xFE]) || file.bytes.starts(with: [0xFE, 0xFF]) {
            // Windows tools write UTF-16 with a mark.
            let isBig = file.bytes[0] == 0xFE
            let count = (file.bytes.count - 2) / 2
            let units = (0..<count).map { Self.unit(file.bytes[2 + 2 * $0], file.bytes[3 + 2 * $0], isBig: isBig) }
            guard file.bytes.count % 2 == 0, let text = String(validating: units, as: UTF16.self) else {
                throw MigrationError(Place(file.name, 1), "The file begins like UTF-16 and is not.", remedy: "Export it again.")
            }
            bytes = Array(text.utf8)
            charset = nil
        } else if String(validating: file.bytes, as: UTF8.self) != nil {
            bytes = file.bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(file.bytes.dropFirst(3)) : file.bytes
            charset = nil
        } else {
            // ISO 8859-1: each byte is the character of its number.
            bytes = Self.fromLatin1(file.bytes)
            charset = "Latin-1"
        }
        if let index = bytes.firstIndex(of: 0) {
            let line = bytes[..<index].count { $0 == 0x0A } + 1
            throw MigrationError(Place(file.name, line), "This is no text: it holds a null byte.", remedy: "Name the right file.")
        }
    }

    private static func unit(_ first: UInt8, _ second: UInt8, isBig: Bool) -> UInt16 {
        let (high, low) = isBig ? (first, second) : (second, first)
        return UInt16(high) << 8 | UInt16(low)
    }

    private static func fromLatin1(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + bytes.count / 8)
        for byte in bytes {
            if byte < 0x80 {
                result.append(byte)
            } else {
                result.append(0xC0 | (byte >> 6))
                result.append(0x80 | (byte & 0x3F))
            }
        }
        return result
    }

    /// Lines by number from 1, without their ends; LF, CR LF and CR end one.
    func eachLine<Failure: Error>(_ body: (Int, ArraySlice<UInt8>) throws(Failure) -> Void) throws(Failure) {
        var line = 1
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
            try body(line, bytes[start..<end])
            if end + 1 < bytes.count, bytes[end] == 0x0D, bytes[end + 1] == 0x0A { end += 1 }
            start = end + 1
            line += 1
        }
    }

    var startsWithMarkup: Bool { bytes.first { !Characters.isBlank($0) && $0 != 0x0A && $0 != 0x0D } == UInt8(ascii: "<") }

    func place(_ line: Int) -> Place { Place(name, line) }
}

/// Words about single characters, and cuts that do not look at what a text is.
enum Characters {
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    static func trimmed(_ slice: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var slice = slice
        while let first = slice.first, isBlank(first) { slice.removeFirst() }
        while let last = slice.last, isBlank(last) { slice.removeLast() }
        return slice
    }

    static func text(_ slice: ArraySlice<UInt8>) -> String { String(decoding: slice, as: UTF8.self) }

    static func isPrintable(_ text: String) -> Bool {
        !text.unicodeScalars.contains { $0.properties.generalCategory == .control || $0.properties.generalCategory == .format }
    }

    /// Short and harmless enough to stand in a report.
    static func shown(_ text: String, most: Int = 64) -> String {
        let scalars = text.unicodeScalars
        let safe = String(
            String.UnicodeScalarView(scalars.prefix(most).map { isPrintable(String($0)) && !isLineEnd($0) ? $0 : "·" }))
        return scalars.count > most ? safe + "…" : safe
    }

    private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool { scalar.value == 0x2028 || scalar.value == 0x2029 }

    /// Hexadecimal of an even count of digits; blanks, colons and hyphens between them do not count.
    static func hexadecimal(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var high: UInt8?
        for byte in text.utf8 where !isBlank(byte) && byte != UInt8(ascii: ":") && byte != UInt8(ascii: "-") {
            guard byte < 0x80, let value = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            if let first = high {
                bytes.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return high == nil ? bytes : nil
    }

    static func number(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
