// SPDX-License-Identifier: Apache-2.0
// Which grants of the help desk are open, and which of them open more than a single login needs.

internal import LoginEngine
internal import Store

enum GrantCheck {
    /// Longer ones are named.
    static let long: Timestamp.Span = .minutes(8 * 60)
    private static let mostNamed = 20

    /// - Parameters:
    ///   - open: the newest first.
    ///   - count: of all that are open.
    static func findings(_ open: [GrantRecord], count: Int, name: (Int64) -> String?) -> [Finding] {
        guard count > 0 else { return [] }
        var findings = [
            Finding(
                .grantsOpen, nil,
                "\(Words.count(count, "grant")) of the help desk \(count == 1 ? "is" : "are") open: their users log in without their own second factor.",
                remedy: "See whether each is still meant: sallyport grant list")
        ]
        let wide = open.filter { $0.grant.uses == nil || $0.grant.until - $0.grant.issued > long }
        for record in wide.prefix(mostNamed) {
            let user = name(record.user) ?? "a user"
            let how = record.grant.uses == nil ? "can be used any number of times" : "lasts longer than 8 hours"
            findings.append(
                Finding(
                    .grantWide, user, "Grant \(record.grant.id) of \(user) \(how), until \(Instant(record.grant.until)).",
                    remedy: "If that is no longer needed: sallyport grant revoke \(record.grant.id)"))
        }
        return findings
    }
}
