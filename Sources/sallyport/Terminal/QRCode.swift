// SPDX-License-Identifier: Apache-2.0
// A QR code of text, drawn so that a phone reads it from a dark and from a light terminal.

import CQREncode
import Foundation

struct QRCode: Sendable, Equatable {
    /// Modules a side, without the quiet zone.
    let size: Int
    private let dark: [Bool]

    /// ISO 18004 asks for four light modules around; without them many phones see nothing.
    static let quietZone = 4

    /// - Returns: nil when the text is too long for a QR code, or the library has no memory.
    init?(_ text: String) {
        guard let code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M) else { return nil }
        defer { QRcode_free(code) }
        size = Int(code.pointee.width)
        guard let modules = code.pointee.data else { return nil }
        // The lowest bit of each byte is the colour (qrencode.h).
        dark = UnsafeBufferPointer(start: modules, count: size * size).map { $0 & 1 == 1 }
    }

    func isDark(_ row: Int, _ column: Int) -> Bool {
        (0..<size).contains(row) && (0..<size).contains(column) && dark[row * size + column]
    }

    /// Columns that the drawing takes.
    func width(_ terminal: Terminal) -> Int {
        (size + 2 * Self.quietZone) * (terminal.isUTF8 ? 1 : 2)
    }

    /// Black on white whatever the terminal's own colours are. Without colours, blocks stand for the light modules, as a dark terminal shows them.
    func lines(_ terminal: Terminal) -> [String] {
        terminal.isUTF8 ? halfBlocks(hasColor: terminal.hasColor) : blanks(hasColor: terminal.hasColor)
    }

    private func halfBlocks(hasColor: Bool) -> [String] {
        let range = -Self.quietZone..<(size + Self.quietZone)
        return stride(from: range.lowerBound, to: range.upperBound, by: 2).map { row in
            let line = range.map { column in
                let isLower = row + 1 >= range.upperBound ? hasColor ? false : true : isDark(row + 1, column)
                let (upper, lower) = hasColor ? (isDark(row, column), isLower) : (!isDark(row, column), !isLower)
                return upper ? lower ? "█" : "▀" : lower ? "▄" : " "
            }.joined()
            // 16 and 231 of the 256 colours are black and white, and no theme changes them.
            return hasColor ? "\u{1B}[38;5;16;48;5;231m\(line)\u{1B}[0m" : line
        }
    }

    /// Two blanks a module: for terminals without UTF-8.
    private func blanks(hasColor: Bool) -> [String] {
        let range = -Self.quietZone..<(size + Self.quietZone)
        return range.map { row in
            var line = ""
            var last: Bool?
            for column in range {
                let isDark = isDark(row, column)
                if hasColor, isDark != last { line += "\u{1B}[48;5;\(isDark ? 16 : 231)m" }
                line += hasColor ? "  " : isDark ? "  " : "##"
                last = isDark
            }
            return hasColor ? line + "\u{1B}[0m" : line
        }
    }
}
