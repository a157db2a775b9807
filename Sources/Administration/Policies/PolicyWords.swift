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
        users = rule.when.users.map { current.users[$0] ?? "user \($0)" }
        networks = rule.when.networks.map(\.description)
        otherNetworks = rule.when.otherNetworks.map(\.description)
        countries = rule.when.countries.map(\.description)
        otherCountries = rule.when.otherCountries.map(\.description)
        hours = rule.when.hours.map(\.description)
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
        var parts = [groups.isEmpty ? users.isEmpty ? "everybody" : Words.list(users, "or") : "members of \(Words.list(groups, "or"))"]
        if !groups.isEmpty, !users.isEmpty { parts.append("if \(Words.list(users, "or"))") }
        if !clients.isEmpty { parts.append("at \(Words.list(clients, "or"))") }
        if !clientTags.isEmpty { parts.append("at clients tagged \(Words.list(clientTags, "or"))") }
        if !methods.isEmpty || !realms.isEmpty { parts.append(Self.mannerWords(methods, realms)) }
        parts += placeParts
        return parts.joined(separator: " ")
    }

    /// `from 10.0.0.0/8`, `in DE or AT`, `at mon-fri 07:00-20:00 Europe/Berlin`
    private var placeParts: [String] {
        var parts: [String] = []
        if !networks.isEmpty { parts.append("from \(Words.some(networks))") }
        if !otherNetworks.isEmpty { parts.append("from elsewhere than \(Words.some(otherNetworks))") }
        if !countries.isEmpty { parts.append("in \(Words.some(countries))") }
        if !otherCountries.isEmpty { parts.append("not in \(Words.some(otherCountries))") }
        if !hours.isEmpty { parts.append("at \(Words.list(hours, "or"))") }
        return parts
    }

    /// What holds for some logins of a user at a client alone: `by eap-gtc from 10.0.0.0/8`
    var someLogins: String {
        ((methods.isEmpty && realms.isEmpty ? [] : [Self.mannerWords(methods, realms)]) + placeParts).joined(separator: " ")
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
        compare("user", list(old.users), list(users))
        compare("network", list(old.networks), list(networks))
        compare("not-network", list(old.otherNetworks, "none"), list(otherNetworks, "none"))
        compare("country", list(old.countries), list(countries))
        compare("not-country", list(old.otherCountries, "none"), list(otherCountries, "none"))
        compare("hours", list(old.hours), list(hours))
        compare("require", old.require, require)
        compare("factors", list(old.factors ?? []), list(factors ?? []))
        compare("unenrolled", old.unenrolledText, unenrolledText)
        compare("reply", old.reply.words, reply.words)
        compare("sessions", old.sessions.map { "\($0)" } ?? "any", sessions.map { "\($0)" } ?? "any")
        compare("report-only", old.isReportOnly ? "on" : "off", isReportOnly ? "on" : "off")
        return changes
    }
}
