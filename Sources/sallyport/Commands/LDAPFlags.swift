// SPDX-License-Identifier: Apache-2.0
// The options of a directory that is asked by LDAP, and how one is shown.

import Administration
import ArgumentParser
import LoginEngine

struct LDAPFlags: ParsableArguments {
    @Option(help: ArgumentHelp("PEM file with the authority of its certificates, or system.", valueName: "path")) var ca: String?
    @Option(help: ArgumentHelp("Where users are: dc=corp,dc=example.", valueName: "dn")) var base: String?
    @Option(help: ArgumentHelp("direct or service: users bind as themselves, or an account searches them.", valueName: "way"))
    var bind: String?
    @Option(
        name: .customLong("bind-name"),
        help: ArgumentHelp("With direct: what users are bound as, {upn} or uid={account},ou=people,….", valueName: "template"))
    var bindName: String?
    @Option(help: ArgumentHelp("With service: who searches.", valueName: "name")) var account: String?
    @Flag(help: "Read the password of the account, one line, from standard input.") var passwordStdin = false
    @Option(
        help: ArgumentHelp(
            "active-directory, samba, openldap, freeipa, or a filter with {account}, {name} or {upn} in it.", valueName: "filter"))
    var filter: String?
    @Option(help: ArgumentHelp("A filter that holds for everybody who is let in, or none.", valueName: "filter")) var users: String?
    @Option(
        name: .customLong("domain"),
        help: ArgumentHelp(
            "A domain that may stand with a name, the first one makes {upn}; can be repeated, replaces all.", valueName: "domain"))
    var domains: [String] = []
    @Option(
        name: .customLong("map"),
        help: ArgumentHelp(
            "What users are read from: name=, id=, aliases=, email=, phone= or groups= and the attribute; can be repeated.",
            valueName: "key=attribute"))
    var map: [String] = []
    @Option(name: .customLong("group-base"), help: ArgumentHelp("Where groups are, or none: below the base.", valueName: "dn"))
    var groupBase: String?
    @Option(help: ArgumentHelp("on or off: groups that hold the user's groups count too.", valueName: "switch")) var nested: Switch?
    @Option(
        name: .customLong("create-users"),
        help: ArgumentHelp("on or off: whoever is right there becomes a user at the first login.", valueName: "switch"))
    var creates: Switch?
    @Option(
        name: .customLong("sync-every"),
        help: ArgumentHelp("How often its users and groups are synced: 15m, 1h, 1d, or off.", valueName: "time"))
    var syncEvery: String?

    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on, off
    }

    func choose(_ choices: inout DirectoryChoices, _ prompts: Prompts) throws {
        var ldap = DirectoryChoices.LDAP()
        ldap.ca = ca
        ldap.base = base
        ldap.bind = bind
        ldap.bindName = bindName
        ldap.account = account
        ldap.filter = filter
        ldap.users = users
        ldap.domains = domains.isEmpty ? nil : domains == ["none"] ? [] : domains
        if !map.isEmpty {
            ldap.map = try map.map { entry in
                guard let equals = entry.firstIndex(of: "=") else {
                    throw ValidationError("--map \(entry) has no attribute: write it as name=uid.")
                }
                let attributes = entry[entry.index(after: equals)...].split(separator: ",").map(String.init)
                return DirectoryChoices.LDAP.Mapping(String(entry[..<equals]), attributes == ["none"] ? [] : attributes)
            }
        }
        ldap.groupBase = groupBase
        ldap.nested = nested.map { $0 == .on }
        ldap.creates = creates.map { $0 == .on }
        if ldap != DirectoryChoices.LDAP() { choices.ldap = ldap }
        choices.syncEvery = syncEvery
        if passwordStdin { choices.secret = try prompts.secret("Password of the account") }
    }
}

extension DirectoryCommand {
    static func sheet(_ before: Sheet, _ view: DirectoryView, _ ldap: DirectoryChoices.LDAP, _ output: Output) -> Sheet {
        var sheet = before
        let ends = view.servers.compactMap { server in server.certificateEnds.map { "\(server.address): \($0)" } }
        if !ends.isEmpty { sheet.add("Certificates end", ends.map { Span($0) }) }
        sheet.add("Authority", Span(ldap.ca ?? "system"))
        sheet.add("Base", Span(ldap.base ?? ""))
        let isDirect = ldap.bind == LDAPBind.direct.rawValue
        sheet.add("Binds", Span(isDirect ? "as the user: \(ldap.bindName ?? "")" : "as \(ldap.account ?? ""), then as the user's entry"))
        sheet.add("Filter", Span(ldap.filter ?? ""))
        if let users = ldap.users, users != "none" { sheet.add("Users are", Span(users)) }
        sheet.add("Domains", (ldap.domains ?? []).isEmpty ? Span.none : Span((ldap.domains ?? []).joined(separator: ", ")))
        sheet.add("Maps", (ldap.map ?? []).map { Span("\($0.key): \($0.text)") })
        let base = ldap.groupBase == "none" ? ldap.base ?? "" : ldap.groupBase ?? ""
        sheet.add("Groups", Span("below \(base)" + (ldap.nested == true ? ", groups in groups too" : "")))
        sheet.add("Creates users", Span(ldap.creates == true ? "at the first login" : "no"))
        if let sync = view.sync {
            sheet.add("Sync", Span(sync.every.map { "every \($0)" } ?? "by hand"))
            if let problem = sync.problem {
                sheet.add("Last sync", Span("failed \(Words.count(sync.failures, "time")): \(problem)", .bad))
            }
            if let succeeded = sync.succeeded { sheet.add("Synced", Span("\(succeeded)" + (sync.counts.map { ": \($0.words)" } ?? ""))) }
        }
        sheet.add("Waits", Span(view.timeout % 1_000 == 0 ? "\(view.timeout / 1_000)s" : "\(view.timeout)ms"))
        sheet.add("Users", Span("\(view.users)"))
        if !view.groups.isEmpty { sheet.add("For groups", output.list(view.groups)) }
        if !view.clients.isEmpty { sheet.add("For clients", output.list(view.clients)) }
        sheet.add("State", view.isEnabled ? Span("enabled", .good) : Span("disabled", .warn))
        return sheet
    }
}
