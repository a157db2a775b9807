// SPDX-License-Identifier: Apache-2.0
// Where a PostgreSQL database is: libpq's own URL, kept as the secret that it may be.

internal import CPostgres
internal import LoginEngine

package struct PostgresAddress: Sendable, Equatable, CustomStringConvertible {
    /// As it was written; libpq gets it so.
    let url: Secret
    private let password: Secret
    /// Hosts and database, for people; never the user's password.
    package let description: String

    /// Whether the password stands in the URL, instead of in a password file or a service.
    package var hasPassword: Bool { !password.isEmpty }

    /// - Throws: `cannotOpen`, in words that repeat nothing of the text: where it is wrong, a password may be anywhere in it.
    package init(_ text: String) throws(DatabaseError) {
        let isURL = ["postgresql://", "postgres://"].contains { text.hasPrefix($0) }
        guard isURL, let options = PQconninfoParse(text, nil) else {
            throw DatabaseError(
                .cannotOpen,
                "is no address that libpq understands; write postgresql://host/database?option=value, other characters as %XX")
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        url = Secret(utf8: text)
        password = Secret(utf8: values["password"] ?? "")
        if values["host"] == nil, let service = values["service"] {
            description = "PostgreSQL service \(service)"
        } else {
            description = "PostgreSQL \(values["dbname"] ?? "database") on \(values["host"] ?? values["hostaddr"] ?? "this machine")"
        }
    }

    /// libpq's words on one line, without the password, should they ever hold it.
    func clean(_ message: String) -> String {
        var text = message.split(whereSeparator: \.isNewline).joined(separator: "; ")
        if hasPassword, let password = password.revealText() { text = text.replacing(password, with: "<secret>") }
        return text
    }
}
