// SPDX-License-Identifier: Apache-2.0
// Logins that a grant of the help desk opens. Where the user has none, nothing here is done.

extension Login {
    /// Those of this kind that open this login, the one that ends first at the front.
    func openGrants(_ kind: Grant.Kind, at now: Moment) -> [Grant] {
        guard !facts.grants.isEmpty, facts.user != nil else { return [] }
        return facts.grants.filter { $0.kind == kind && $0.standing(at: now.wall, for: client) == .open }
            .sorted { ($0.until, $0.id) < ($1.until, $1.id) }
    }

    /// What stands in for the second factor that is owed behind a first one; never for a first one.
    func bypass(at now: Moment) -> Grant? {
        guard !facts.grants.isEmpty, ruling.requirement.owesSecond, !isDenied else { return nil }
        return openGrants(.bypass, at: now).first
    }

    /// Whether the user can type a code that was given to her. It counts where a policy counts none of her own factors.
    func hasTemporaryCode(at now: Moment) -> Bool { !facts.grants.isEmpty && !openGrants(.code, at: now).isEmpty }

    /// Nothing that this user has can be asked for.
    func hasNothingToAnswer(at now: Moment) -> Bool { facts.factors.isEmpty && !hasTemporaryCode(at: now) }

    /// The first factor was right: the accept by a bypass, where one is open.
    mutating func bypassed(now: Moment) -> [Action]? { bypass(at: now).map { accept(by: $0.id, now: now) } }

    mutating func accept(by grant: Int64, now: Moment) -> [Action] {
        (grantInUse, factorInUse) = (grant, nil)
        return accept(marks: [], now: now)
    }

    var grant: Grant? { grantInUse.flatMap { id in facts.grants.first { $0.id == id } } }

    /// Another login took the last use, or it was revoked, since this one was read.
    mutating func grantRefused(_ standing: Grant.Standing?, now: Moment) -> [Action] {
        steps.add("grant \(standing?.rawValue ?? "removed")", at: now, since: began)
        return reject(.grantNotValid, now: now)
    }

    /// What the trail says of grants: the one that is used, or why those that there are do not open this login.
    func grantDetails(of kind: EventKind, at now: Moment) -> [Event.Detail] {
        guard !facts.grants.isEmpty else { return [] }
        if let grant { return [Event.Detail("grant", grant.label)] }
        guard kind == .loginRejected else { return [] }
        let closed = facts.grants.suffix(3).compactMap { grant in
            let standing = grant.standing(at: now.wall, for: client)
            return standing == .open ? nil : "\(grant.label): \(standing.rawValue)"
        }
        return closed.isEmpty ? [] : [Event.Detail("grants-closed", closed.joined(separator: "; "))]
    }
}

extension Logins {
    /// A typed code against those that were given to the user; nil where it has the shape of none.
    func read(_ text: String, grants: [Grant]) -> Login.CodeReading? {
        var reading: Login.CodeReading?
        for grant in grants {
            guard let digits = grant.digits(in: text) else { continue }
            if rules.grants.isRight(digits, of: grant) { return Login.CodeReading(.granted(grant.id), factor: nil) }
            reading = Login.CodeReading(.wrong, factor: nil)
        }
        return reading
    }
}
