// SPDX-License-Identifier: Apache-2.0
// A policy in words: what it asks of whom, and how two revisions differ.

internal import LoginEngine
internal import Store

extension PolicyView {
    /// - Parameter current: names of rows that are there; those that are gone keep the name they had.
    init(_ record: PolicyRecord, current: PolicyNames) {
        let rule = record.policy.rule
        func named(_ id: Int64, _ now: [Int64: String], _ then: [Int64: String]) -> String {
            now[id] ?? then[id].map { "\($0) (removed)" } ?? "?"
        }
        name = rule.name
        revision = record.policy.revision
        since = Instant(record.at)
        clients = rule.when.clients.map { named($0, current.clients, record.names.clients) }
        clientTags = rule.when.tags
        groups = rule.when.groups.map { named($0, current.groups, record.names.groups) }
        methods = rule.when.methods
        realms = rule.when.realms
        require = rule.requirement.rawValue
        factors = rule.factors?.map(\.rawValue)
        switch rule.unenrolled {
        case .deny: unenrolled = Unenrolled(action: "deny")
        case .graceUntil(let end): unenrolled = Unenrolled(action: "grace", until: Instant(end))
        case .graceDays(let days): unenrolled = Unenrolled(action: "grace", days: days)
        }
        isReportOnly = rule.isReportOnly
        reply = rule.reply
        sessions = rule.mostSessions
    }

    /// `members of staff at clients tagged vpn`
    package var who: String {
        var parts = [groups.isEmpty ? "everybody" : "members of \(Words.list(groups, "or"))"]
        if !clients.isEmpty { parts.append("at \(Words.list(clients, "or"))") }
        if !clientTags.isEmpty { parts.append("at clients tagged \(Words.list(clientTags, "or"))") }
        if !methods.isEmpty || !realms.isEmpty { parts.append(Self.mannerWords(methods, realms)) }
        return parts.joined(separator: " ")
    }

    /// `by eap-gtc as NAME@otp`
    static func mannerWords(_ methods: [String], _ realms: [String]) -> String {
        var parts: [String] = []
        if !methods.isEmpty { parts.append("by \(Words.list(methods, "or"))") }
        if !realms.isEmpty { parts.append("as \(Words.list(realms.map { "NAME@\($0)" }, "or"))") }
        return parts.joined(separator: " ")
    }

    package var what: String {
        switch require {
        case "deny": "nobody is let in"
        case "password": "the password alone is enough"
        case "certificate": "a certificate of the device alone is enough"
        case "certificate+factor": "a certificate of the device and factor" + (factors.map { " (\(Words.list($0, "or")))" } ?? "")
        case "factor": "the code alone is enough" + (factors.map { " (\(Words.list($0, "or")))" } ?? "")
        default: "password and factor" + (factors.map { " (\(Words.list($0, "or")))" } ?? "")
        }
    }

    package var unenrolledText: String {
        if let until = unenrolled.until { return "grace until \(until)" }
        if let days = unenrolled.days { return "grace for \(Words.count(days, "day")) after the first login" }
        return "refused"
    }

    package var meaning: String {
        var text = "\(who.prefix(1).uppercased())\(who.dropFirst()): \(what)."
        if require == "password+factor" || require == "certificate+factor" || require == "factor" {
            text += " Who has no such factor: \(unenrolledText)."
        }
        if !reply.isEmpty { text += " The accept carries \(reply.words)." }
        if let sessions { text += " A user has \(Words.count(sessions, "session")) open at most." }
        if isReportOnly { text += " It only reports: logins are decided as if it were not there." }
        return text
    }

    /// `require: password → password+factor`
    func differences(since old: PolicyView) -> [String] {
        var changes: [String] = []
        func compare(_ field: String, _ before: String, _ after: String) {
            if before != after { changes.append("\(field): \(before) → \(after)") }
        }
        func list(_ items: [String], _ none: String = "any") -> String { items.isEmpty ? none : items.joined(separator: ", ") }
        compare("name", old.name, name)
        compare("client", list(old.clients), list(clients))
        compare("client-tag", list(old.clientTags), list(clientTags))
        compare("group", list(old.groups), list(groups))
        compare("method", list(old.methods), list(methods))
        compare("realm", list(old.realms), list(realms))
        compare("require", old.require, require)
        compare("factors", list(old.factors ?? []), list(factors ?? []))
        compare("unenrolled", old.unenrolledText, unenrolledText)
        compare("reply", old.reply.words, reply.words)
        compare("sessions", old.sessions.map { "\($0)" } ?? "any", sessions.map { "\($0)" } ?? "any")
        compare("report-only", old.isReportOnly ? "on" : "off", isReportOnly ? "on" : "off")
        return changes
    }
}

extension PolicyRule {
    /// Whether every login that `other` fits is decided by this one before.
    func covers(_ other: PolicyRule) -> Bool {
        func holds<Value: Hashable>(_ mine: [Value], _ theirs: [Value]) -> Bool {
            mine.isEmpty || !theirs.isEmpty && Set(theirs).isSubset(of: mine)
        }
        return !isReportOnly && holds(when.clients, other.when.clients) && holds(when.tags, other.when.tags)
            && holds(when.groups, other.when.groups) && holds(when.methods, other.when.methods) && holds(when.realms, other.when.realms)
    }
}
