// SPDX-License-Identifier: Apache-2.0
// Small pieces of sentences.

package enum Words {
    /// `1 user`, `3 users`
    package static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
        number == 1 ? "1 \(one)" : "\(number) \(many ?? one + "s")"
    }

    /// `a, b and c`
    package static func list(_ items: [String], _ last: String = "and") -> String {
        items.count < 2 ? items.joined() : items.dropLast().joined(separator: ", ") + " \(last) " + items[items.count - 1]
    }

    /// `a, b or c`, and of many the first and how many more.
    package static func some(_ items: [String], most: Int = 4) -> String {
        items.count <= most ? list(items, "or") : items.prefix(most - 1).joined(separator: ", ") + " or \(items.count - most + 1) more"
    }

    /// As it has to be typed in a shell.
    package static func argument(_ text: String) -> String {
        let plain = text.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || "-_.@+/:,=".utf8.contains($0)
        }
        if plain, !text.isEmpty { return text }
        return "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
