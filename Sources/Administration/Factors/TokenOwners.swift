// SPDX-License-Identifier: Apache-2.0
// Whose token is whose: a table of serial numbers and users.

package enum TokenOwners {
    package static let mostRows = 100_000

    /// - Parameter text: CSV with the columns `serial` and `user`.
    package static func read(_ text: String) throws(Refusal) -> [String: String] {
        let rows = try ImportTable.rows(
            of: text, columns: ["serial", "user"], needed: ["serial", "user"], example: "serial,user", untrimmed: nil, most: mostRows)
        var owners: [String: String] = [:]
        for row in rows {
            guard let serial = row["serial"] else { continue }
            let user = row["user"] ?? ""
            guard owners[serial] == nil || owners[serial] == user else {
                throw Refusal(
                    .conflict, "The serial number `\(Valid.shown(serial))` has two users.", remedy: "Keep one of the two.",
                    place: "line \(row.line)")
            }
            if !user.isEmpty { owners[serial] = user }
        }
        return owners
    }
}
