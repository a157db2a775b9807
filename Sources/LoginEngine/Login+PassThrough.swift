// SPDX-License-Identifier: Apache-2.0
// Logins of names that nobody has here, where the administrator lets another server decide alone.

extension Login {
    /// The directory that this login's password is asked of; nil: none.
    var directory: Int64? { facts.user?.directory ?? stranger?.rule.directory }

    /// Whom a password source is asked about; nil: a name that nobody has.
    var asked: User? { facts.user ?? stranger?.asUser }

    /// Whatever is typed goes there: who the server is, is what it is asked by. Nothing of it is read here, since nothing is known here that
    /// it could be read by.
    mutating func passThrough(by action: Action, isEmpty: Bool, now: Moment) -> [Action] {
        // Behind some servers stands an LDAP that takes an empty password for none at all, and lets in (RFC 4513 §5.1.2).
        guard !isEmpty else { return reject(.wrongPassword, now: now) }
        steps.add("passed-through", at: now, since: began)
        return check(by: action, owed: .nothing, now: now)
    }

    /// Whether the request has been through so many servers that it goes round.
    var goesRound: Bool { directory != nil && request.hops >= LoginRequest.mostHops }
}

extension Logins {
    /// A name that is a user's here in another way of writing it is not passed through, past the second factor: it is nobody's, as ever.
    func keepUsers(outOf facts: inout LoginFacts, at moment: Moment) throws(NoAnswer) {
        guard let keys = facts.stranger?.nameKeys.dropFirst(), !keys.isEmpty else { return }
        let found = try records.load(keys.map { LoginLookup(nameKey: $0, handle: nil) }, at: moment.wall)
        guard found.contains(where: { $0.user != nil }) else { return }
        facts.stranger = nil
        facts.home = nil
    }
}
