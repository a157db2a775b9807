// SPDX-License-Identifier: Apache-2.0
// The files that a draft is written as: one for `apply`, one for `user import`, one for `factor import`, and the report.

package import LoginEngine
internal import OTP

extension MigrationDraft {
    /// A file below the folder; each is for its owner's eyes alone.
    package struct File: Sendable {
        package var name: String
        package var contents: Secret
    }

    package static let applyFile = "sallyport.yaml"
    package static let reportFile = "report.txt"
    /// What `user import` and `factor import` take at once.
    package static let rowsOfAFile = 20_000

    /// Everything but the report, in the order of writing: the file for `apply` is the last, so that a folder that has it is whole.
    ///
    /// - Parameter folder: absolute, so that `apply` finds the secrets wherever it is run.
    package func files(in folder: String) -> [File] {
        var files: [File] = []
        for client in clients {
            if case .value(let secret) = client.secret { files.append(File(name: "secrets/\(client.name)", contents: secret)) }
        }
        for directory in directories { files.append(File(name: "secrets/\(directory.name)", contents: directory.secret)) }
        files += userFiles + factorFiles
        if !clients.isEmpty || !directories.isEmpty { files.append(File(name: Self.applyFile, contents: Secret(utf8: applyText(folder)))) }
        return files
    }

    // MARK: apply

    /// Every value that came from a file stands in quotes, whatever it holds.
    func applyText(_ folder: String) -> String {
        var lines = ["version: 1"]
        func secret(_ name: String) -> String { "{ file: \(Self.quoted("\(folder)/secrets/\(name)")) }" }
        func list(_ items: [String]) -> String { "[" + items.map(Self.quoted).joined(separator: ", ") + "]" }
        if !directories.isEmpty { lines.append("directories:") }
        for directory in directories {
            lines += ["  \(Self.quoted(directory.name)):", "    type: radius", "    servers: \(list(directory.servers))"]
            lines.append("    secret: \(secret(directory.name))")
            lines += directory.settings.map { "    \($0.key): \(Self.quoted($0.value))" }
            if !directory.takes.isEmpty { lines.append("    take: \(list(directory.takes))") }
        }
        if !clients.isEmpty { lines.append("clients:") }
        for client in clients {
            lines += ["  \(Self.quoted(client.name)):", "    address: \(list(client.addresses.map(\.description)))"]
            switch client.secret {
            case .value: lines.append("    secret: \(secret(client.name))")
            case .variable(let name): lines.append("    secret: { env: \(Self.quoted(name)) }")
            }
            lines += client.settings.map { "    \($0.key): \(Self.quoted($0.value))" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A double-quoted scalar (YAML 1.2 §7.3.1) of printable ASCII: any text comes back as it was.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22, 0x5C:
                quoted += "\\"
                quoted.unicodeScalars.append(scalar)
            case 0x20...0x7E: quoted.unicodeScalars.append(scalar)
            case 0...0xFF: quoted += "\\x" + hexadecimal(scalar.value, digits: 2)
            case 0...0xFFFF: quoted += "\\u" + hexadecimal(scalar.value, digits: 4)
            default: quoted += "\\U" + hexadecimal(scalar.value, digits: 8)
            }
        }
        return quoted + "\""
    }

    private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: digits - text.utf8.count) + text
    }

    // MARK: users and factors

    package static let factorColumns = ["user", "kind", "label", "secret", "algorithm", "digits", "period", "counter"]

    private var userFiles: [File] {
        Self.tables("users", "name,password", users) { user in
            [user.name, user.password?.revealText() ?? ""].map(Self.field).joined(separator: ",")
        }
    }

    private var factorFiles: [File] {
        Self.tables("factors", Self.factorColumns.joined(separator: ","), factors) { factor in
            let isTOTP = factor.kind == .totp
            return [
                factor.user, factor.kind.rawValue, factor.label, Base32.encode(factor.key), factor.algorithm.rawValue.lowercased(),
                "\(factor.digits)",
                isTOTP ? "\(factor.period)" : "", isTOTP ? "" : "\(factor.counter)",
            ].map(Self.field).joined(separator: ",")
        }
    }

    private static func tables<Row>(_ name: String, _ header: String, _ rows: [Row], _ line: (Row) -> String) -> [File] {
        stride(from: 0, to: rows.count, by: rowsOfAFile).enumerated().map { part, start in
            let lines = rows[start..<min(rows.count, start + rowsOfAFile)].map(line)
            return File(
                name: part == 0 ? "\(name).csv" : "\(name)-\(part + 1).csv",
                contents: Secret(utf8: ([header] + lines).joined(separator: "\n") + "\n"))
        }
    }

    /// In quotes where it has to be (RFC 4180 §2).
    private static func field(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x2C && $0 != 0x3B && $0 != 0x7F }
        return isPlain ? text : "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    // MARK: The report

    /// Line by line, as compilers write what they find.
    package var reportLines: [String] {
        notes.map { note in
            let why = note.why.map { ": \($0)" } ?? ""
            return "\(Characters.shown(note.place.file, most: 200)):\(note.place.line): \(note.fate.rawValue): \(note.what)\(why)"
        } + (furtherNotes > 0 ? ["and \(furtherNotes) more, which are not listed"] : [])
    }

    /// `2 clients, 1 user taken; 3 things left.`
    package var summary: String {
        let counts = [(clients.count, "client"), (directories.count, "directory"), (users.count, "user"), (factors.count, "factor")]
        let taken = counts.filter { $0.0 > 0 }.map { Self.counted($0.0, $0.1) }
        let left = notes.count { $0.fate == .left }
        return (taken.isEmpty ? "Nothing taken" : taken.joined(separator: ", ") + " taken")
            + (left == 0 ? "; nothing left." : "; \(Self.counted(left, "thing")) left, see the report.")
    }

    private static func counted(_ count: Int, _ noun: String) -> String {
        count == 1 ? "1 \(noun)" : noun.hasSuffix("y") ? "\(count) \(noun.dropLast())ies" : "\(count) \(noun)s"
    }

    /// What to run next, in this order, on files that were written.
    package func nextSteps(_ folder: String) -> [String] {
        var steps: [String] = []
        let folder = Self.argument(folder)
        if !clients.isEmpty || !directories.isEmpty {
            steps.append("sallyport apply -f \(folder)/\(Self.applyFile) --dry-run")
        }
        steps += userFiles.map { "sallyport user import \(folder)/\($0.name) --dry-run" }
        steps += factorFiles.map { "sallyport factor import \(folder)/\($0.name) --dry-run" }
        return steps
    }

    /// As a shell takes it.
    private static func argument(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || "-_./".utf8.contains($0)
        }
        return isPlain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
