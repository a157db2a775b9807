// SPDX-License-Identifier: Apache-2.0
// The keys of a directory that is asked by LDAP, read and written.

import Administration
import LoginEngine
import Yams

extension ApplyFile {
    static let ldapKeys = [
        "ca", "base", "bind", "bind-name", "account", "filter", "users", "domains", "map", "groups", "create-users", "sync",
    ]

    /// What a file leaves out is the default.
    func ldap(_ keys: [String: YAMLReader.Entry]) throws -> DirectoryChoices.LDAP {
        func text(_ key: String) throws -> String? { try keys[key].map { try reader.text($0.value, key) } }
        var ldap = DirectoryChoices.LDAP()
        ldap.ca = try text("ca")
        ldap.base = try text("base")
        ldap.bind = try text("bind")
        ldap.bindName = try text("bind-name")
        ldap.account = try keys["account"].map { try account($0.value).name }
        ldap.filter = try text("filter")
        ldap.users = try text("users")
        ldap.domains = try keys["domains"].map { try reader.list($0.value, "domains").map(\.text) }
        ldap.map = try keys["map"].map { entry in
            let keys = try reader.entries(entry.value, "map", keys: DirectoryChoices.LDAP.mapNames)
            return try DirectoryChoices.LDAP.mapNames.compactMap { key in
                guard let value = keys[key]?.value else { return nil }
                // An empty list is one: no alias.
                if let sequence = value.sequence, sequence.isEmpty { return DirectoryChoices.LDAP.Mapping(key, []) }
                return DirectoryChoices.LDAP.Mapping(key, try reader.list(value, key).map(\.text))
            }
        }
        if let groups = keys["groups"] {
            let keys = try reader.entries(groups.value, "groups", keys: ["base", "nested"], coming: ["only"])
            ldap.groupBase = try keys["base"].map { try reader.text($0.value, "base") }
            ldap.nested = try keys["nested"].map { try reader.isOn($0.value, "nested") }
        }
        ldap.creates = try keys["create-users"].map { try reader.isOn($0.value, "create-users") }
        return ldap
    }

    /// `account: { name: …, password: { file: … } }`
    private func account(_ node: Yams.Node) throws -> (name: String, password: Yams.Node?) {
        guard node.mapping != nil else {
            throw reader.refusal(node, "An account has a name and a password.", "Write `account: { name: …, password: { file: PATH } }`.")
        }
        let keys = try reader.entries(node, "account", keys: ["name", "password"])
        guard let name = keys["name"] else { throw reader.refusal(node, "The account has no name.", "Write `name: …`.") }
        return (try reader.text(name.value, "name"), keys["password"]?.value)
    }

    /// `sync: { every: 15m }`
    func syncEvery(_ node: Yams.Node) throws -> String? {
        let keys = try reader.entries(node, "sync", keys: ["every"])
        return try keys["every"].map { try reader.text($0.value, "every") }
    }

    /// Nil for *keep*.
    func accountPassword(_ node: Yams.Node) throws -> SecretText? {
        try account(node).password.flatMap { try clientSecret($0, "password") }
    }
}

extension Blueprint {
    static func ldapLines(_ directory: Directory, _ choices: DirectoryChoices, _ ldap: DirectoryChoices.LDAP) -> [String] {
        let kind = choices.type.flatMap { DirectoryKind(rawValue: $0) } ?? .ldap
        let standard = LDAPSettings(kind)
        var lines = ["    servers: \(list(choices.servers ?? []))"]
        func add(_ key: String, _ value: String?, _ standard: String? = nil) {
            if let value, value != standard { lines.append("    \(key): \(scalar(value))") }
        }
        add("ca", ldap.ca, "system")
        add("base", ldap.base)
        add("bind", ldap.bind, standard.bind.rawValue)
        add("bind-name", ldap.bindName, standard.bindName ?? "none")
        if let account = ldap.account, account != "none" {
            lines.append("    account: { name: \(scalar(account)), password: { keep: true } }")
        }
        add("filter", ldap.filter, standard.filter)
        add("users", ldap.users, "none")
        if let domains = ldap.domains, !domains.isEmpty { lines.append("    domains: \(list(domains))") }
        let map = (ldap.map ?? []).filter { entry in !standard.attributes.mapped.contains { $0 == (entry.key, entry.attributes) } }
        if !map.isEmpty {
            let entries = map.map { entry in
                "\(entry.key): \(entry.key == "aliases" ? list(entry.attributes) : scalar(entry.attributes.first ?? ""))"
            }
            lines.append("    map: { \(entries.joined(separator: ", ")) }")
        }
        var groups: [String] = []
        if let base = ldap.groupBase, base != "none" { groups.append("base: \(scalar(base))") }
        if ldap.nested == false { groups.append("nested: off") }
        if !groups.isEmpty { lines.append("    groups: { \(groups.joined(separator: ", ")) }") }
        if ldap.creates == false { lines.append("    create-users: off") }
        if let every = choices.syncEvery, every != DirectoryChoices.never { lines.append("    sync: { every: \(scalar(every)) }") }
        let settings = DirectorySettings(name: directory.name, servers: [], secret: LoginEngine.Secret([]))
        add("timeout", choices.timeout, settings.timeout.words)
        add("send-name", choices.sends, settings.nameSent.rawValue)
        if choices.isEnabled == false { lines.append("    enabled: off") }
        return lines
    }
}

extension LDAPAttributes {
    fileprivate var mapped: [(String, [String])] {
        [("name", [name]), ("id", [id]), ("aliases", aliases), ("email", [email]), ("phone", [phone]), ("groups", [groups])]
    }
}
