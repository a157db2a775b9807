// SPDX-License-Identifier: Apache-2.0
// A rule as JSON, the way policy and policy_revision keep it.

internal import Foundation
internal import LoginEngine

/// A rule as it is stored: rows by number, with the names they had.
struct PolicyBody: Codable {
    struct Named: Codable {
        var id: Int64
        var name: String
    }

    var clients: [Named]?
    var tags: [String]?
    var groups: [Named]?
    var methods: [String]?
    var realms: [String]?
    /// Rows alone: a name is a person's, and would be kept here for good.
    var users: [Int64]?
    var networks: [String]?
    var otherNetworks: [String]?
    var countries: [String]?
    var otherCountries: [String]?
    var hours: [String]?
    var require: String
    var factors: [String]?
    /// Microseconds since 1970.
    var graceUntil: Int64?
    var graceDays: Int?
    var reportOnly: Bool?
    /// Name and value of each.
    var reply: [[String]]?
    var sessions: Int?

    init(_ rule: PolicyRule, names: PolicyNames) {
        func named(_ ids: [Int64], _ names: [Int64: String]) -> [Named]? {
            ids.isEmpty ? nil : ids.map { Named(id: $0, name: names[$0] ?? "?") }
        }
        clients = named(rule.when.clients, names.clients)
        tags = rule.when.tags.isEmpty ? nil : rule.when.tags
        groups = named(rule.when.groups, names.groups)
        methods = rule.when.methods.isEmpty ? nil : rule.when.methods
        realms = rule.when.realms.isEmpty ? nil : rule.when.realms
        func texts(_ values: [some CustomStringConvertible]) -> [String]? { values.isEmpty ? nil : values.map(\.description) }
        users = rule.when.users.isEmpty ? nil : rule.when.users
        networks = texts(rule.when.networks)
        otherNetworks = texts(rule.when.otherNetworks)
        countries = texts(rule.when.countries)
        otherCountries = texts(rule.when.otherCountries)
        hours = texts(rule.when.hours)
        require = rule.requirement.rawValue
        factors = rule.factors?.map(\.rawValue)
        switch rule.unenrolled {
        case .deny: break
        case .graceUntil(let end): graceUntil = end.microseconds
        case .graceDays(let days): graceDays = days
        }
        reportOnly = rule.isReportOnly ? true : nil
        reply = rule.reply.isEmpty ? nil : rule.reply.map { [$0.name, $0.value] }
        sessions = rule.mostSessions
    }

    init?(json: String) {
        guard let body = try? JSONDecoder().decode(PolicyBody.self, from: Foundation.Data(json.utf8)) else { return nil }
        self = body
    }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// Nil for a word that this version does not know.
    func rule(named name: String) -> PolicyRule? {
        guard let requirement = Requirement(rawValue: require) else { return nil }
        var rule = PolicyRule(name: name, requirement: requirement)
        rule.when.clients = (clients ?? []).map(\.id)
        rule.when.tags = tags ?? []
        rule.when.groups = (groups ?? []).map(\.id)
        rule.when.methods = methods ?? []
        rule.when.realms = realms ?? []
        rule.when.users = users ?? []
        // A condition that is half read would be another one.
        func read<Value>(_ texts: [String]?, _ make: (String) -> Value?) -> [Value]? {
            let values = (texts ?? []).compactMap(make)
            return values.count == texts?.count ?? 0 ? values : nil
        }
        guard let networks = read(networks, { AddressRange($0) }), let otherNetworks = read(otherNetworks, { AddressRange($0) }),
            let countries = read(countries, { CountryCode($0) }), let otherCountries = read(otherCountries, { CountryCode($0) }),
            let hours = read(hours, { try? PolicyHours($0) })
        else { return nil }
        (rule.when.networks, rule.when.otherNetworks) = (networks, otherNetworks)
        (rule.when.countries, rule.when.otherCountries) = (countries, otherCountries)
        rule.when.hours = hours
        if let factors {
            let kinds = factors.compactMap { FactorKind(rawValue: $0) }
            guard kinds.count == factors.count else { return nil }
            rule.factors = kinds
        }
        if let graceUntil { rule.unenrolled = .graceUntil(Timestamp(microseconds: graceUntil)) }
        if let graceDays { rule.unenrolled = .graceDays(graceDays) }
        rule.isReportOnly = reportOnly ?? false
        rule.mostSessions = sessions
        for pair in reply ?? [] {
            guard pair.count == 2 else { return nil }
            rule.reply.append(ReplySetting(pair[0], pair[1]))
        }
        return rule
    }

    var names: PolicyNames {
        func table(_ named: [Named]?) -> [Int64: String] { Dictionary((named ?? []).map { ($0.id, $0.name) }) { first, _ in first } }
        return PolicyNames(clients: table(clients), groups: table(groups))
    }
}
