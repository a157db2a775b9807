// SPDX-License-Identifier: Apache-2.0
// Tables of tokens as makers and programs write them: a line each, fields between commas, semicolons, tabs or blanks.

struct DelimitedLines {
    private enum Delimiter {
        case byte(UInt8)
        /// Runs of blanks: where there is nothing else.
        case blanks
    }

    /// - Throws: for a quote that is never closed; a field ends on its line in every one of these formats.
    static func eachRow(
        _ text: ForeignText, _ body: (Int, [String]) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        var delimiter: Delimiter?
        try text.eachLine { number, raw throws(MigrationError) in
            let line = Characters.trimmed(raw)
            guard let first = line.first, first != UInt8(ascii: "#") else { return }
            let chosen = delimiter ?? choice(line)
            delimiter = chosen
            try body(number, fields(line, chosen, text.place(number)))
        }
    }

    private static func choice(_ line: ArraySlice<UInt8>) -> Delimiter {
        for byte in [UInt8(ascii: ";"), UInt8(ascii: ","), 0x09] where line.contains(byte) { return .byte(byte) }
        return .blanks
    }

    private static func fields(_ line: ArraySlice<UInt8>, _ delimiter: Delimiter, _ place: Place) throws(MigrationError) -> [String] {
        guard case .byte(let mark) = delimiter else {
            return line.split(whereSeparator: Characters.isBlank).map(Characters.text)
        }
        var fields: [String] = []
        var index = line.startIndex
        while true {
            while index < line.endIndex, Characters.isBlank(line[index]), line[index] != mark { index += 1 }
            var field: [UInt8] = []
            if index < line.endIndex, line[index] == 0x22 {
                index += 1
                while true {
                    guard index < line.endIndex else {
                        throw MigrationError(
                            place, "A quote is opened and never closed.", remedy: "Close it on the same line, or double it.")
                    }
                    if line[index] == 0x22 {
                        guard index + 1 < line.endIndex, line[index + 1] == 0x22 else { break }
                        index += 1
                    }
                    field.append(line[index])
                    index += 1
                }
                index += 1
                while index < line.endIndex, line[index] != mark { index += 1 }
            } else {
                let start = index
                while index < line.endIndex, line[index] != mark { index += 1 }
                field = Array(Characters.trimmed(line[start..<index]))
            }
            fields.append(String(decoding: field, as: UTF8.self))
            guard index < line.endIndex else { return fields }
            index += 1
        }
    }
}
