// SPDX-License-Identifier: Apache-2.0
// What an administrator chose for a directory that is asked by LDAP, held against the rules of each field.

internal import Directories
internal import Foundation
internal import LoginEngine

extension DirectoryChoices {
    /// - Throws: the first that cannot be so, with what to do.
    func applyLDAP(to old: DirectorySettings) throws(Refusal) -> DirectorySettings {
        var new = old
        for (isGiven, name) in [
            (ownSecrets?.isEmpty == false, "server"), (tries != nil, "tries"), (messageAuthenticator != nil, "message-authenticator"),
            (takes?.isEmpty == false, "take"),
        ] where isGiven {
            throw Refusal(.invalid, "A directory of type \(new.kind.rawValue) has no `\(name)`.", remedy: "Leave it out.", place: name)
        }
        var ldap = old.ldap ?? LDAPSettings(new.kind)
        let chosen = self.ldap ?? LDAP()
        if let servers { ldap.servers = try Self.ldapServers(servers) }
        guard !ldap.servers.isEmpty else {
            throw Refusal(.invalid, "A directory needs a server.", remedy: "Give --server ldaps://dc1.corp.example.", place: "server")
        }
        if let ca = chosen.ca { ldap.caFile = try Self.caFile(ca) }
        if let base = chosen.base { ldap.base = try Self.name(base, "base") }
        guard !ldap.base.isEmpty else {
            throw Refusal(.invalid, "A directory needs to know where users are.", remedy: "Give --base dc=corp,dc=example.", place: "base")
        }
        if let domains = chosen.domains { ldap.domains = try Self.domains(domains) }
        if new.kind == .activeDirectory, ldap.domains.isEmpty, let domain = Self.domain(of: ldap.base) { ldap.domains = [domain] }
        if let bind: LDAPBind = try Self.choice(chosen.bind, "bind") { ldap.bind = bind }
        if let name = chosen.bindName { ldap.bindName = name == Operations.unsaid ? nil : try Self.text(name, "bind-name") }
        if let account = chosen.account { ldap.account = account == Operations.unsaid ? nil : try Self.text(account, "account") }
        if let secret {
            guard !secret.secret.isEmpty else {
                throw Refusal(
                    .invalid, "The password is empty, and would be let in as nobody.", remedy: "Give one line.", place: "password")
            }
            new.secret = secret.secret
        }
        // Whoever may change a directory need not know its password, and could have it sent to a server of their own, or in the open.
        if secret == nil, let before = old.ldap, before.account != nil,
            let stranger = ldap.servers.first(where: { server in
                !before.servers.contains { $0.host == server.host && (server.security != .plain || $0.security == .plain) }
            })
        {
            throw Refusal(
                .conflict, "The account's password that is kept was given for \(before.servers[0]), and is not shown to \(stranger).",
                remedy: "Give it anew with --password-stdin.", place: "server")
        }
        if let filter = chosen.filter { ldap.filter = try Self.filter(filter) }
        if let users = chosen.users { ldap.users = users == Operations.unsaid ? nil : try Self.wholeFilter(users, "users") }
        try chosen.map(into: &ldap.attributes)
        if let base = chosen.groupBase { ldap.groupBase = base == Operations.unsaid ? nil : try Self.name(base, "group-base") }
        if let nested = chosen.nested { ldap.nested = nested }
        if let creates = chosen.creates { ldap.creates = creates }
        if let syncEvery { new.syncEvery = try Self.syncEvery(syncEvery) }
        if let timeout { new.timeout = try Self.span(timeout) }
        if let sent: NameSent = try Self.choice(sends, "send-name") { new.nameSent = sent }
        if let isEnabled { new.isEnabled = isEnabled }
        switch ldap.bind {
        case .direct:
            guard let name = ldap.bindName, LDAPText.hasPlace(name) else {
                throw Refusal(
                    .invalid, "Users who bind as themselves need to be bound as something.",
                    remedy: "Give --bind-name 'uid={account},ou=people,\(ldap.base)', or --bind service and an account.", place: "bind-name"
                )
            }
            if name.contains("{upn}"), ldap.domains.isEmpty {
                throw Refusal(
                    .invalid, "`{upn}` needs a domain, and the base names none.", remedy: "Give --domain corp.example.", place: "domain")
            }
        case .service:
            guard ldap.account != nil, !new.secret.isEmpty || old.ldap != nil else {
                throw Refusal(
                    .invalid, "The account that searches needs a name and a password.",
                    remedy: "Give --account cn=reader,\(ldap.base) and --password-stdin.", place: "account")
            }
        }
        if new.syncEvery != nil, ldap.account == nil || (new.secret.isEmpty && old.ldap == nil) {
            throw Refusal(
                .invalid, "A sync needs an account that may list users and groups.",
                remedy: "Give --account cn=reader,\(ldap.base) and --password-stdin.", place: "account")
        }
        new.ldap = ldap
        return new
    }

    private static func ldapServers(_ texts: [String]) throws(Refusal) -> [LDAPServer] {
        var servers: [LDAPServer] = []
        for text in texts {
            guard let server = LDAPServer(Valid.trimmed(text)) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(text))` is no address of an LDAP server.",
                    remedy: "Write it as ldaps://dc1.corp.example, starttls://dc1.corp.example or ldaps://192.0.2.7:3269.", place: "server")
            }
            guard !servers.contains(server) else { throw Refusal(.invalid, "The server \(server) is named twice.", place: "server") }
            servers.append(server)
        }
        guard servers.count <= LDAPSettings.mostServers else {
            throw Refusal(
                .invalid, "A directory has \(LDAPSettings.mostServers) servers at most.", remedy: "Take some away.", place: "server")
        }
        return servers
    }

    /// `system`: what this machine trusts.
    private static func caFile(_ text: String) throws(Refusal) -> String? {
        if text == "system" { return nil }
        let path = try self.text(text, "ca")
        guard path.hasPrefix("/") else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no absolute path.", remedy: "Write it as /etc/sallyport/corp-ca.pem, or system.",
                place: "ca")
        }
        return path
    }

    private static func text(_ text: String, _ field: String) throws(Refusal) -> String {
        let text = Valid.trimmed(text)
        guard !text.isEmpty, text.utf8.count <= LDAPSettings.longestText, Valid.isPrintable(text) else {
            throw Refusal(.invalid, "`\(Valid.shown(text))` cannot be `\(field)`.", remedy: "Write one line.", place: field)
        }
        return text
    }

    private static func name(_ text: String, _ field: String) throws(Refusal) -> String {
        let text = try self.text(text, field)
        guard DistinguishedName(text) != nil else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no distinguished name.", remedy: "Write it as ou=people,dc=corp,dc=example.",
                place: field)
        }
        return text
    }

    private static func wholeFilter(_ text: String, _ field: String) throws(Refusal) -> String {
        let text = try self.text(text, field)
        guard LDAPText.looksLikeFilter(text) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no filter.", remedy: "Write it as (objectClass=person), with its parentheses.",
                place: field)
        }
        return text
    }

    private static func filter(_ text: String) throws(Refusal) -> String {
        if LDAPFilterPreset(rawValue: text) != nil { return text }
        guard text.hasPrefix("(") else {
            let all = LDAPFilterPreset.allCases.map(\.rawValue)
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no filter.",
                remedy: "Use \(Words.list(all, "or")), or one of your own in parentheses.",
                place: "filter")
        }
        let text = try wholeFilter(text, "filter")
        guard LDAPText.hasPlace(text) else {
            throw Refusal(
                .invalid, "The filter fits everybody alike.", remedy: "Write {account}, {name} or {upn} where the name belongs.",
                place: "filter")
        }
        return text
    }

    private static func domains(_ texts: [String]) throws(Refusal) -> [String] {
        var domains: [String] = []
        for text in texts {
            let text = Valid.trimmed(text)
            guard (1...253).contains(text.utf8.count),
                text.utf8.allSatisfy({ byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                        || "-._".utf8.contains(byte)
                })
            else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(text))` is no domain.", remedy: "Write it as corp.example or CORP.", place: "domain")
            }
            if !domains.contains(text) { domains.append(text) }
        }
        guard domains.count <= LDAPSettings.mostDomains else {
            throw Refusal(.invalid, "More than \(LDAPSettings.mostDomains) domains.", remedy: "Take some away.", place: "domain")
        }
        return domains
    }

    /// `dc=corp,dc=example` → `corp.example`.
    private static func domain(of base: String) -> String? {
        let parts = DistinguishedName(base)?.parts.filter { $0.hasPrefix("dc=") }.map { String($0.dropFirst(3)) } ?? []
        return parts.isEmpty ? nil : parts.joined(separator: ".")
    }
}

extension DirectoryChoices.LDAP {
    package static let mapNames = ["name", "id", "aliases", "email", "phone", "groups"]

    fileprivate func map(into attributes: inout LDAPAttributes) throws(Refusal) {
        guard let entries = self.map else { return }
        for entry in entries {
            guard Self.mapNames.contains(entry.key) else {
                let near = NearNames.nearest(to: entry.key, among: Self.mapNames)
                throw Refusal(
                    .invalid, "Nothing is mapped to `\(Valid.shown(entry.key))`.",
                    remedy: near.isEmpty ? "Map \(Words.list(Self.mapNames))." : NearNames.question(near), place: "map")
            }
            for name in entry.attributes { try Self.check(name) }
            guard entry.key == "aliases" || entry.attributes.count == 1, entry.attributes.count <= LDAPAttributes.mostAliases else {
                throw Refusal(.invalid, "`\(entry.key)` is read from one attribute.", remedy: "Name one.", place: "map")
            }
            let first = entry.attributes.first ?? ""
            switch entry.key {
            case "name": attributes.name = first
            case "id": attributes.id = first
            case "aliases": attributes.aliases = entry.attributes
            case "email": attributes.email = first
            case "phone": attributes.phone = first
            default: attributes.groups = first
            }
        }
    }

    /// RFC 4512 §2.5.
    private static func check(_ name: String) throws(Refusal) {
        let isName =
            (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || "-;.".utf8.contains(byte)
            }
        guard isName else {
            throw Refusal(.invalid, "`\(Valid.shown(name))` is no attribute.", remedy: "Write its name, such as mail.", place: "map")
        }
    }
}

extension DirectoryChoices.LDAP {
    /// Everything, as it is.
    init(of settings: LDAPSettings) {
        self.init()
        ca = settings.caFile ?? "system"
        base = settings.base
        bind = settings.bind.rawValue
        bindName = settings.bindName ?? Operations.unsaid
        account = settings.account ?? Operations.unsaid
        filter = settings.filter
        users = settings.users ?? Operations.unsaid
        domains = settings.domains
        map = settings.attributes.entries
        groupBase = settings.groupBase ?? Operations.unsaid
        nested = settings.nested
        creates = settings.creates
    }
}

extension LDAPAttributes {
    var entries: [DirectoryChoices.LDAP.Mapping] {
        [
            .init("name", [name]), .init("id", [id]), .init("aliases", aliases), .init("email", [email]), .init("phone", [phone]),
            .init("groups", [groups]),
        ]
    }
}

extension LDAPSettings {
    /// `base: dc=a → dc=b`
    func changes(since old: LDAPSettings) -> [String] {
        var changes: [String] = []
        func compare(_ field: String, _ text: (LDAPSettings) -> String) {
            let (before, after) = (text(old), text(self))
            if before != after { changes.append("\(field): \(before.isEmpty ? "none" : before) → \(after.isEmpty ? "none" : after)") }
        }
        compare("servers") { $0.servers.map(\.description).joined(separator: ", ") }
        compare("ca") { $0.caFile ?? "system" }
        compare("base") { $0.base }
        compare("bind") { $0.bind.rawValue }
        compare("bind-name") { $0.bindName ?? "" }
        compare("account") { $0.account ?? "" }
        compare("filter") { $0.filter }
        compare("users") { $0.users ?? "" }
        compare("domains") { $0.domains.joined(separator: ", ") }
        for (before, after) in zip(old.attributes.entries, attributes.entries) where before != after {
            changes.append("map \(after.key): \(before.text) → \(after.text)")
        }
        compare("group-base") { $0.groupBase ?? "" }
        compare("nested") { $0.nested ? "on" : "off" }
        compare("create-users") { $0.creates ? "on" : "off" }
        return changes
    }

    var plainServers: [LDAPServer] { servers.filter { $0.security == .plain } }

    func warnings(_ name: String, lacksPassword: Bool) -> [String] {
        var warnings = plainServers.map {
            "\($0) is asked without TLS: every password can be read on the way. Name it by starttls:// or ldaps://."
        }
        if lacksPassword {
            warnings.append(
                "The password of its account does not open, so it is asked nothing: sallyport directory set \(name) --password-stdin")
        }
        if let caFile, !FileManager.default.isReadableFile(atPath: caFile) {
            warnings.append("\(caFile) cannot be read by this program, and without it no server is trusted.")
        }
        return warnings
    }
}
