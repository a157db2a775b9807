// SPDX-License-Identifier: Apache-2.0
// Logins of names that nobody has here, where the administrator lets another server decide alone.

extension Login {
    /// The directory that this login's password is asked of; nil: none.
    var directory: Int64? { facts.user?.directory ?? stranger?.rule.directory }

    /// Whom a password source is asked about; nil: a name that nobody has.
    var asked: User? { facts.user ?? stranger?.asUser }

    /// Whether a name that nobody has here goes to its directory. Where a user would be asked although nothing was typed, everybody is, in
    /// the same words, and that handle opens nothing.
    func isPassedThrough(_ field: Secret) -> Bool { stranger != nil && !(field.isEmpty && readsAs == .factor) }

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

extension SuspendedLogin {
    /// Whether a directory asked it of a name that nobody has here.
    var isOfStranger: Bool { user == nil && firstFactor == .asked }
}

extension Logins {
    /// A name that is a user's here in another way of writing it is not passed through, past the second factor: it is nobody's, as ever.
    ///
    /// One look-up for all of a batch: whoever invents names must not have the thread that reads wait for each of them.
    func keepUsers(outOf facts: inout [LoginFacts], at moment: Moment) throws(NoAnswer) {
        var asked: [(position: Int, key: String)] = []
        for (position, fact) in facts.enumerated() {
            // Who a newcomer is, the directory's entry says.
            guard let stranger = fact.stranger, !stranger.isNewcomer else { continue }
            asked += stranger.nameKeys.dropFirst().map { (position, $0) }
        }
        guard !asked.isEmpty else { return }
        let found = try records.load(asked.map { LoginLookup(nameKey: $0.key, handle: nil) }, at: moment.wall)
        for (index, (position, _)) in asked.enumerated() where index >= found.count || found[index].user != nil {
            facts[position].stranger = nil
            facts[position].home = nil
        }
    }
}
