// SPDX-License-Identifier: Apache-2.0
// Users from a CSV file: a plan first, then all of it or nothing that is wrong.

internal import LoginEngine
internal import Store
internal import SwiftCSV

package struct ImportUsers: AdminOperation {
    package static let verb = "user.import"
    /// The file's text. Columns: name, email, phone, groups, aliases, password, directory; only name is needed.
    package var csv: SecretText
    package var isDryRun: Bool

    package static let columns = ["name", "email", "phone", "groups", "aliases", "password", "directory"]
    package static let mostRows = 20_000

    package init(csv: SecretText, isDryRun: Bool) {
        self.csv = csv
        self.isDryRun = isDryRun
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var isDryRun: Bool
        package var steps: [Step]
        package var warnings: [String]

        package struct Step: Codable, Sendable, Equatable {
            package var line: Int
            /// `add`, `change` or `keep`.
            package var action: String
            package var user: String
            /// `email: a@b.c → d@e.f`; never a password.
            package var differences: [String]
        }
    }
}

/// One line of the file.
struct ImportRow {
    var line: Int
    /// By column; only columns that the file has. Empty text is a value: it leaves the field alone.
    var fields: [String: String]

    subscript(_ column: String) -> String? {
        guard let text = fields[column], !text.isEmpty else { return nil }
        return text
    }

    /// Several values in one field stand between semicolons.
    func list(_ column: String) -> [String] {
        (fields[column] ?? "").split(separator: ";").map { Valid.trimmed(String($0)) }.filter { !$0.isEmpty }
    }
}

enum ImportTable {
    static func rows(of text: String) throws(Refusal) -> [ImportRow] {
        try rows(
            of: text, columns: ImportUsers.columns, needed: ["name"], example: "name,email,groups", untrimmed: "password",
            most: ImportUsers.mostRows)
    }

    /// - Parameters:
    ///   - columns: every one that a file may have.
    ///   - needed: those that it must have.
    ///   - example: a first line for who lacks one.
    ///   - untrimmed: the one in which blanks count.
    static func rows(
        of text: String, columns known: [String], needed: [String], example: String, untrimmed: String?, most: Int
    ) throws(Refusal) -> [ImportRow] {
        var text = text
        if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
        // The parser takes the rest of the file for one field when a quote is never closed.
        if let line = openQuoteLine(text) {
            throw Refusal(
                .invalid, "A quote is opened and never closed.", remedy: "Close it, or double it where it is meant.", place: "line \(line)")
        }
        let table: [[String]]
        do {
            // A semicolon separates the values inside a field, so it cannot separate the fields.
            table = try EnumeratedCSV(string: text, delimiter: .comma, loadColumns: false).withHeader
        } catch {
            throw Refusal(
                .invalid, "The file is not CSV: text stands behind a closing quote.", remedy: "Double quotes that are meant: \"\".")
        }
        guard let header = table.first, !header.allSatisfy(\.isEmpty) else {
            throw Refusal(
                .invalid, "The file is empty.", remedy: "Begin with a line of columns: \(known.joined(separator: ",")).", place: "line 1")
        }
        let columns = header.map { Valid.trimmed($0).lowercased() }
        for column in columns where !known.contains(column) {
            let near = NearNames.nearest(to: column, among: known)
            throw Refusal(
                .invalid, "No column `\(Valid.shown(column))`.",
                remedy: near.isEmpty ? "There are \(Words.list(known))." : NearNames.question(near), place: "line 1")
        }
        let missing = needed.first { !columns.contains($0) }
        guard missing == nil, Set(columns).count == columns.count else {
            throw Refusal(
                .invalid, missing.map { "The column `\($0)` is missing." } ?? "A column stands there twice.",
                remedy: "Begin with a line such as \(example).", place: "line 1")
        }
        var rows: [ImportRow] = []
        var line = 1
        for fields in table {
            defer { line += 1 + fields.reduce(0) { $0 + $1.count { $0.isNewline } } }
            if line == 1 || fields.allSatisfy({ Valid.trimmed($0).isEmpty }) { continue }
            guard fields.count <= columns.count else {
                throw Refusal(
                    .invalid, "There are \(fields.count) fields for \(columns.count) columns.",
                    remedy: "Put fields with a comma in quotes; separate several groups by semicolons.", place: "line \(line)")
            }
            let pairs = zip(columns, fields).map { ($0, $0 == untrimmed ? $1 : Valid.trimmed($1)) }
            rows.append(ImportRow(line: line, fields: Dictionary(uniqueKeysWithValues: pairs)))
            guard rows.count <= most else {
                throw Refusal(.invalid, "The file has more than \(most) lines.", remedy: "Split it.", place: "line \(line)")
            }
        }
        return rows
    }

    private static func openQuoteLine(_ text: String) -> Int? {
        var line = 1
        var opened: Int?
        for character in text {
            if character == "\"" { opened = opened == nil ? line : nil }
            if character.isNewline { line += 1 }
        }
        return opened
    }
}

extension EnumeratedCSV {
    /// Every row with the header first.
    fileprivate var withHeader: [[String]] {
        get throws {
            var rows: [[String]] = []
            try enumerateAsArray(startAt: 0, rowLimit: nil) { rows.append($0) }
            return rows
        }
    }
}
