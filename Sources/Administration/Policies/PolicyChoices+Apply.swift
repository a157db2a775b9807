// SPDX-License-Identifier: Apache-2.0
// From what was chosen to a rule, with everything that does not fit refused by name.

internal import LoginEngine
internal import Store

/// The rows that a policy may name.
struct PolicyRows {
    var clients: [(id: Int64, name: String, tags: [String])]
    var groups: [(id: Int64, name: String)]
    /// What a policy may send along.
    var replies = ReplyDictionary()
    /// By login name or alias.
    var user: (String) throws(Refusal) -> Int64

    var names: PolicyNames {
        PolicyNames(
            clients: Dictionary(clients.map { ($0.id, $0.name) }) { first, _ in first },
            groups: Dictionary(groups.map { ($0.id, $0.name) }) { first, _ in first })
    }
}

extension Operations {
    func policyRows() throws -> PolicyRows {
        PolicyRows(
            clients: try records.clients().map { ($0.id, $0.name, $0.settings.tags) },
            groups: try records.groups().map { ($0.id, $0.name) }, replies: ports.replies, user: policyUser)
    }

    /// Looks a user up for a condition.
    func policyUser(_ name: String) throws(Refusal) -> Int64 {
        do {
            return try user(name).id
        } catch let refusal as Refusal {
            throw refusal.at("user")
        } catch {
            throw Refusal(.failed, "Users cannot be looked up: \(error)", place: "user")
        }
    }

    /// With the names of the users whom these policies name; for people to look at, not for the trail.
    func names(_ rows: PolicyRows, for policies: [Policy]) throws -> PolicyNames {
        var names = rows.names
        names.users = try records.userNames(ofRows: Set(policies.flatMap(\.rule.when.users)))
        return names
    }
}

extension PolicyChoices {
    static let mostValues = 64
    static let mostDays = 366

    func apply(to rule: PolicyRule, _ rows: PolicyRows) throws(Refusal) -> PolicyRule {
        var new = rule
        if let clients { new.when.clients = try Self.clients(clients, rows) }
        if let clientTags { new.when.tags = try Self.tags(clientTags) }
        if let groups { new.when.groups = try Self.groups(groups, rows) }
        if let methods { new.when.methods = try Self.words(methods, "method", Self.method) }
        if let realms { new.when.realms = try Self.words(realms, "realm", Self.realm) }
        try applyPlace(to: &new.when, rows)
        if let require { new.requirement = try Self.requirement(require) }
        if let factors { new.factors = try Self.factors(factors) }
        if let unenrolled = try wantedGrace() { new.unenrolled = unenrolled }
        if let remember, remember != "never" {
            throw Refusal(
                .invalid, "`\(Valid.shown(remember))`: this version remembers no device.", remedy: "Use `never`, or leave it out.",
                place: "remember")
        }
        new.isReportOnly = isReportOnly ?? new.isReportOnly
        if let reply { new.reply = try rows.replies.checked(reply) }
        if let sessions { new.mostSessions = try Valid.mostSessions(sessions) }
        try check(new)
        return new
    }

    private func check(_ new: PolicyRule) throws(Refusal) {
        let owesFactor = new.requirement == .factor || new.requirement.owesSecond
        guard owesFactor || new.factors == nil else {
            throw Refusal(
                .invalid, "With `require \(new.requirement.rawValue)` no factor is asked for, so none can be listed.",
                remedy: "Leave the factors out, or require password+factor or certificate+factor.", place: "factors")
        }
        guard new.requirement == .passwordAndFactor || new.unenrolled == .deny else {
            throw Refusal(
                .invalid, "Grace lets a right password do, so it goes with `require password+factor` alone.",
                remedy: "Use `unenrolled deny`, or require password+factor.", place: "unenrolled")
        }
        if let factors = new.factors, !factors.contains(where: { $0 != .recovery }) {
            throw Refusal(
                .invalid, "Recovery codes stand in for a lost factor; they cannot be the only one.",
                remedy: "List totp or hotp before recovery.", place: "factors")
        }
    }

    /// Each once, as it is compared.
    static func words(
        _ texts: [String], _ field: String, _ read: (String) throws(Refusal) -> String
    ) throws(Refusal) -> [String] {
        var words: [String] = []
        for text in texts { words.append(try read(text)) }
        return try limited(words, field)
    }

    static func method(_ text: String) throws(Refusal) -> String {
        let word = Valid.trimmed(text).lowercased()
        if LoginManner.methods.contains(word) { return word }
        let near = NearNames.nearest(to: word, among: LoginManner.methods)
        throw Refusal(
            .invalid, "No login comes by `\(Valid.shown(text))`.",
            remedy: near.isEmpty ? "A policy may name \(Words.list(LoginManner.methods))." : NearNames.question(near), place: "method")
    }

    /// As it is compared; with or without the `@`.
    static func realm(_ text: String) throws(Refusal) -> String {
        let bare = Valid.trimmed(text)
        guard case .suffix(let key) = PassThroughRule.Realm(bare.hasPrefix("@") ? String(bare.dropFirst()) : bare) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no realm.", remedy: "Write what stands behind the `@` of the name: otp.",
                place: "realm")
        }
        return key
    }

    static func requirement(_ text: String) throws(Refusal) -> Requirement {
        if let requirement = Requirement(rawValue: text) { return requirement }
        let all = Requirement.allCases.map(\.rawValue)
        let near = NearNames.nearest(to: text, among: all)
        throw Refusal(
            .invalid, "`\(Valid.shown(text))` is none of \(Words.list(all, "and")).", remedy: near.isEmpty ? nil : NearNames.question(near),
            place: "require")
    }

    /// What can be enrolled in this version, in no order.
    static let knownFactors: [FactorKind] = [.totp, .hotp, .recovery]
    /// What is planned, so that nobody looks for a typing mistake.
    private static let comingFactors = ["push", "webauthn", "sms", "voice", "email", "yubikey", "duo", "ivalt"]

    private static func factors(_ texts: [String]) throws(Refusal) -> [FactorKind]? {
        var kinds: [FactorKind] = []
        for text in texts {
            guard let kind = FactorKind(rawValue: text), knownFactors.contains(kind) else {
                let known = knownFactors.map(\.rawValue)
                let near = NearNames.nearest(to: text, among: known)
                let isComing = comingFactors.contains(text)
                throw Refusal(
                    .invalid,
                    isComing ? "This version has no factor `\(text)` yet." : "No factor `\(Valid.shown(text))`.",
                    remedy: near.isEmpty || isComing ? "It knows \(Words.list(known))." : NearNames.question(near), place: "factors")
            }
            guard !kinds.contains(kind) else {
                throw Refusal(.invalid, "`\(text)` is listed twice.", remedy: "Name each kind once, the preferred first.", place: "factors")
            }
            kinds.append(kind)
        }
        return kinds.isEmpty ? nil : kinds
    }

    private func wantedGrace() throws(Refusal) -> PolicyRule.Unenrolled? {
        switch unenrolled {
        case "inline":
            throw Refusal(
                .invalid, "Enrolling while logging in needs the portal, which this version does not have.",
                remedy: "Use deny, or grace until a date or for some days.", place: "unenrolled")
        case "deny":
            guard graceUntil == nil, graceDays == nil else {
                throw Refusal(.invalid, "`deny` gives no grace.", remedy: "Give one of the two.", place: "unenrolled")
            }
            return .deny
        case nil, "grace":
            break
        case .some(let other):
            throw Refusal(
                .invalid, "`\(Valid.shown(other))` is none of deny and grace.", remedy: "Give deny, or when the grace ends.",
                place: "unenrolled")
        }
        switch (graceUntil, graceDays) {
        case (nil, nil):
            guard unenrolled == nil else {
                throw Refusal(
                    .invalid, "Grace needs an end.", remedy: "Give a date, or a number of days after the first login.", place: "unenrolled")
            }
            return nil
        case (.some, .some):
            throw Refusal(.invalid, "Grace ends at a date or after some days, not both.", remedy: "Give one of them.", place: "unenrolled")
        case (nil, let days?):
            return .graceDays(try Valid.number(days, in: 1...Self.mostDays, "unenrolled", unit: " days"))
        case (let text?, nil):
            guard let end = Instant(Valid.trimmed(text)) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(text))` is not a date.",
                    remedy: "Write it as 2027-02-01, or with a time as 2027-02-01T12:00Z; without a zone it is UTC.", place: "unenrolled")
            }
            return .graceUntil(end.timestamp)
        }
    }

    static func limited(_ values: [String], _ field: String) throws(Refusal) -> [String] {
        var found: [String] = []
        for value in values.map(Valid.trimmed) where !found.contains(value) { found.append(value) }
        guard found.count <= mostValues else {
            throw Refusal(
                .invalid, "A policy names \(mostValues) of them at most.", remedy: "Use a tag or a group that holds the others.",
                place: field
            )
        }
        return found
    }

    private static func clients(_ names: [String], _ rows: PolicyRows) throws(Refusal) -> [Int64] {
        var ids: [Int64] = []
        for name in try limited(names, "client") {
            guard let row = rows.clients.first(where: { $0.name == name.lowercased() }) else {
                throw Refusal.missing(
                    "client", Valid.shown(name), among: rows.clients.map(\.name), otherwise: "`sallyport client list` shows all."
                ).at("client")
            }
            ids.append(row.id)
        }
        return ids
    }

    private static func groups(_ names: [String], _ rows: PolicyRows) throws(Refusal) -> [Int64] {
        var ids: [Int64] = []
        for name in try limited(names, "group") {
            let exact = rows.groups.first { $0.name == name }
            guard let row = exact ?? rows.groups.first(where: { $0.name.lowercased() == name.lowercased() }) else {
                throw Refusal.missing(
                    "group", Valid.shown(name), among: rows.groups.map(\.name),
                    otherwise: "`sallyport group add \(Words.argument(name))` makes it."
                ).at("group")
            }
            ids.append(row.id)
        }
        return ids
    }

    private static func tags(_ texts: [String]) throws(Refusal) -> [String] {
        var tags: [String] = []
        for text in try limited(texts, "client-tag") { tags.append(try Valid.tag(text)) }
        return tags
    }
}
