// SPDX-License-Identifier: Apache-2.0
// Giving a grant, looking at grants, taking one back.

internal import LoginEngine
internal import Store

extension AddGrant {
    package static let reasonLengths = 3...200
    private static let standardDigits = 8

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let records = operations.records
        let user = try operations.user(user)
        guard user.status == .active else {
            throw Refusal(
                .conflict, "\(user.name) is \(user.status.rawValue), and a grant opens nothing for such a user.",
                remedy: "`sallyport user enable \(Words.argument(user.name))`, if that is meant.", place: "user")
        }
        let reason = try Self.reason(reason)
        let minutes = try minutes(operations.ports.longestGrant)
        let uses = try checkedUses()
        let (scope, clients) = try scope(in: operations)
        let now = operations.now()
        let until = now + .minutes(Int64(minutes))
        let code = try code(random: operations.ports.random())
        let grant = NewGrant(
            user: user.id, kind: isCode ? .code : .bypass, scope: scope, reason: reason, issuer: actor.description, issued: now,
            until: until, uses: uses, code: code?.secret)
        let subject = [PersonalFields.Field("name", user.name), PersonalFields.Field("grant-reason", reason)]
        var event = operations.event(
            .grantIssued, by: actor, user: user.id, subject: subject,
            ["until": until.iso8601, "minutes": "\(minutes)", "uses": uses.map { "\($0)" } ?? "any"])
        if !scope.clients.isEmpty { event.details.append(Event.Detail("clients", clients.map(\.name).joined(separator: ", "))) }
        if !scope.tags.isEmpty { event.details.append(Event.Detail("client-tags", scope.tags.joined(separator: ", "))) }
        let id = try await records.addGrant(grant, event: event)
        guard let record = try records.grant(id) else {
            throw Refusal(
                .failed, "The grant was written and is gone again.", remedy: "Somebody removed the user; see `sallyport audit list`.")
        }
        let view = try GrantView(record, in: operations)
        let what = isCode ? "a temporary code" : "a bypass of the second factor"
        return Answer(
            message:
                "Gave \(user.name) \(what), grant \(id): \(view.usesInWords), within \(Words.count(minutes, "minute")), at \(view.placesInWords).",
            grant: view, code: code, warnings: try warnings(user, clients, in: operations))
    }

    private static func reason(_ text: String) throws -> String {
        let reason = Valid.trimmed(text)
        guard reasonLengths.contains(reason.count), Valid.isPrintable(reason) else {
            throw Refusal(
                .invalid, reason.isEmpty ? "A grant needs its reason." : "The reason is too short, too long, or holds a control character.",
                remedy:
                    "Say in \(reasonLengths.lowerBound) to \(reasonLengths.upperBound) characters why: `--reason 'lost phone, ticket 4711'`.",
                place: "reason")
        }
        return reason
    }

    private func minutes(_ longest: Timestamp.Span) throws -> Int {
        let most = Int(min(longest, Grant.longest).microseconds / 60_000_000)
        guard (1...most).contains(minutes) else {
            throw Refusal(
                .invalid, "A grant cannot last \(minutes) minutes.",
                remedy: "It lasts 1 minute at least and \(most) at most; the setting `grants.longest` says so.", place: "for")
        }
        return minutes
    }

    private func checkedUses() throws -> Int? {
        if uses == 0 {
            guard !isCode else {
                throw Refusal(
                    .invalid, "A temporary code cannot be used any number of times.",
                    remedy: "Give --uses 1 to \(Grant.mostUses), or a bypass.", place: "uses")
            }
            return nil
        }
        return try Valid.number(uses, in: 1...Grant.mostUses, "uses", unit: isCode ? "" : ", or any")
    }

    private func scope(in operations: Operations) throws -> (Grant.Scope, [Client]) {
        guard clients.count + clientTags.count <= 32 else {
            throw Refusal(
                .invalid, "A grant names 32 clients and tags at most.", remedy: "Give the clients a tag of their own.", place: "client")
        }
        var named: [Client] = []
        for name in clients {
            let client = try operations.client(name)
            if !named.contains(where: { $0.id == client.id }) { named.append(client) }
        }
        var tags: [String] = []
        let all = try operations.records.clients()
        for tag in try clientTags.map({ try Valid.tag($0) }) where !tags.contains(tag) {
            guard all.contains(where: { $0.settings.tags.contains(tag) }) else {
                throw Refusal.missing(
                    "client with the tag", tag, among: Array(Set(all.flatMap(\.settings.tags))),
                    otherwise: "`sallyport client list` shows the tags.")
            }
            tags.append(tag)
        }
        return (Grant.Scope(clients: named.map(\.id), tags: tags), named)
    }

    /// Nil of a bypass.
    private func code(random: any RandomNumberGenerator) throws -> SecretText? {
        guard isCode else {
            if digits != nil {
                throw Refusal(.invalid, "A bypass has no digits.", remedy: "Leave --digits out, or give --code.", place: "digits")
            }
            return nil
        }
        var random = random
        let count = try Valid.number(digits ?? Self.standardDigits, in: Grant.digitCounts, "digits")
        return SecretText(Secret((0..<count).map { _ in UInt8(ascii: "0") + UInt8.random(in: 0...9, using: &random) }))
    }

    private func warnings(_ user: UserRecord, _ named: [Client], in operations: Operations) throws -> [String] {
        var warnings: [String] = []
        if !isCode {
            for client in named where client.settings.requirement == .factor {
                warnings.append(
                    "At \(client.name) the code is the only proof, unless a policy says otherwise: a bypass opens nothing there, a temporary code does."
                )
            }
            if uses == 0 {
                warnings.append(
                    "Until it ends, whoever has the password of \(user.name) gets in without a second factor, as often as it is tried.")
            }
        }
        if isCode, let digits, digits > Self.standardDigits {
            for client in named where client.settings.fixedLengthTail {
                warnings.append("\(client.name) takes codes of 6 to 8 digits behind a password without a separator; this one is longer.")
            }
        }
        let locks = try operations.locks(of: user.id)
        if locks.contains(where: { $0.of == "password" || isCode && $0.of == "code" }) {
            warnings.append(
                "\(user.name) is locked for too many wrong \(Words.list(Array(Set(locks.map { $0.of + "s" })).sorted())): "
                    + "`sallyport user unlock \(Words.argument(user.name))` ends that now.")
        }
        return warnings
    }
}

extension ListGrants {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let limit = try Valid.number(limit, in: 1...Self.mostGrants, "limit")
        let now = operations.now()
        let filter = GrantFilter(
            user: try user.map { try operations.user($0).id }, openAt: isAll ? nil : now, before: before, limit: limit + 1)
        var found = try operations.records.grants(filter)
        let isMore = found.count > limit
        if isMore { found.removeLast() }
        let names = EventNames(operations.records)
        return Answer(
            grants: found.map { GrantView($0, names: names, now: now) }, open: try operations.records.openGrantCount(at: now),
            next: isMore ? found.last?.grant.id : nil)
    }
}

extension ShowGrant {
    private static let mostUsesShown = 20

    package func perform(in operations: Operations, by actor: Actor) async throws -> GrantView {
        let record = try operations.grant(id)
        let names = EventNames(operations.records)
        var view = GrantView(record, names: names, now: operations.now())
        view.latestUses = try operations.records.uses(ofGrant: id, limit: Self.mostUsesShown).map { use in
            GrantView.Use(at: Instant(use.at), client: names.client(use.client) ?? "removed", login: use.login.description)
        }
        return view
    }
}

extension RevokeGrant {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let record = try operations.grant(id)
        let view = try GrantView(record, in: operations)
        guard record.revoked == nil else { throw Refusal(.conflict, "Grant \(id) of \(view.user) was revoked already.") }
        guard view.state == Grant.Standing.open.rawValue || view.state == Grant.Standing.early.rawValue else {
            throw Refusal(.conflict, "Grant \(id) of \(view.user) is \(view.state): it opens nothing any more.")
        }
        try await operations.records.revokeGrant(
            id, by: actor.description, at: operations.now(),
            event: operations.event(
                .grantRevoked, by: actor, user: record.user, subject: [PersonalFields.Field("name", view.user)],
                ["grant": record.grant.label, "used": "\(record.grant.used)"]))
        let hint =
            try operations.openSessions(ofUser: record.user).isEmpty
            ? [] : ["Sessions that are open stay so: `sallyport session disconnect --user \(Words.argument(view.user))` ends them."]
        return Done("Revoked grant \(id) of \(view.user): it opens nothing from now on.", warnings: hint)
    }
}

extension GrantView {
    init(_ record: GrantRecord, in operations: Operations) throws {
        self.init(record, names: EventNames(operations.records), now: operations.now())
    }

    init(_ record: GrantRecord, names: EventNames, now: Timestamp) {
        let grant = record.grant
        id = grant.id
        user = names.user(record.user) ?? "removed"
        kind = grant.kind.rawValue
        state = grant.standing(at: now).rawValue
        reason = grant.reason
        issuer = record.issuer
        issued = Instant(grant.issued)
        until = Instant(grant.until)
        uses = grant.uses
        used = grant.used
        lastUsed = record.lastUsed.map { Instant($0) }
        clients = grant.scope.clients.map { names.client($0) ?? "removed" }
        clientTags = grant.scope.tags
        digits = grant.kind == .code ? grant.digits : nil
        revoked = record.revoked.map { Instant($0) }
        revoker = record.revoker
    }

    package var isOpen: Bool { state == Grant.Standing.open.rawValue }

    /// `once`, `3 times`, `any number of times`
    package var usesInWords: String {
        switch uses {
        case nil: "any number of times"
        case 1: "once"
        case let uses?: "\(uses) times"
        }
    }

    /// `every client`, `office and clients tagged vpn`
    package var placesInWords: String {
        let tags = clientTags.isEmpty ? [] : ["clients tagged \(Words.list(clientTags, "or"))"]
        return clients.isEmpty && clientTags.isEmpty ? "every client" : Words.list(clients + tags)
    }
}

extension Operations {
    func grant(_ id: Int64) throws -> GrantRecord {
        if let grant = try records.grant(id) { return grant }
        throw Refusal(
            .missing, "There is no grant \(id).", remedy: "`sallyport grant list` shows those that are open, `--all` the others too.")
    }

    /// Those that are open, the newest first.
    func openGrants(ofUser user: Int64) throws -> [GrantView] {
        let names = EventNames(records)
        let now = now()
        return try records.grants(GrantFilter(user: user, openAt: now, limit: Grant.mostOpen)).map {
            GrantView($0, names: names, now: now)
        }
    }
}
