// SPDX-License-Identifier: Apache-2.0
// What an administrator does with directories that are asked by LDAP, and what is refused.

import Administration
import LoginEngine
import Testing

@Suite struct LDAPDirectoryTests {
    static func choices(_ type: String = "active-directory", _ change: (inout DirectoryChoices.LDAP) -> Void = { _ in }) -> DirectoryChoices
    {
        var choices = DirectoryChoices()
        choices.type = type
        choices.servers = ["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"]
        var ldap = DirectoryChoices.LDAP()
        ldap.base = "dc=corp,dc=example"
        if type == "ldap" {
            ldap.account = "cn=reader,dc=corp,dc=example"
            choices.secret = SecretText("reader's own password")
        }
        change(&ldap)
        choices.ldap = ldap
        return choices
    }

    @Test func activeDirectoryNeedsServersAndABase() async throws {
        let office = try Office()
        let added = try await office.perform(AddDirectory(name: "corp", choices: Self.choices()))
        #expect(added.message == "Added directory corp with ldaps://dc1.corp.example and ldaps://dc2.corp.example.")
        let view = try await office.perform(ShowDirectory(name: "corp"))
        #expect(view.ldap?.bind == "direct" && view.ldap?.bindName == "{upn}" && view.ldap?.domains == ["corp.example"])
        #expect(view.servers.map(\.address) == ["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"])
        var choices = DirectoryChoices()
        choices.servers = ["ldap://dc1.corp.example"]
        choices.ldap = DirectoryChoices.LDAP()
        choices.ldap?.domains = ["corp.example", "CORP"]
        choices.ldap?.nested = false
        let changed = try await office.perform(SetDirectory(directory: "corp", choices: choices))
        #expect(changed.message.contains("domains: corp.example → corp.example, CORP; nested: on → off"))
        #expect(changed.warnings.contains { $0.contains("without TLS") })
        let findings = try await office.perform(ExamineNode(seconds: 0)).findings
        #expect(findings.contains { $0.kind == .directoryPlain && $0.severity == .problem })
    }

    @Test func whatCannotBeIsRefusedWithAWayOut() async throws {
        let office = try Office()
        func refusal(_ type: String = "ldap", _ change: (inout DirectoryChoices) -> Void) async -> String {
            var choices = Self.choices(type)
            change(&choices)
            return await office.refusal(of: AddDirectory(name: "corp", choices: choices))
        }
        #expect(await refusal { $0.servers = ["ldap1.corp.example"] }.contains("ldaps://dc1.corp.example"))
        #expect(await refusal { $0.servers = [] }.contains("needs a server"))
        #expect(await refusal { $0.ldap?.base = nil }.contains("--base"))
        #expect(await refusal { $0.ldap?.base = "corp.example" }.contains("no distinguished name"))
        #expect(await refusal { $0.secret = nil }.contains("--password-stdin"))
        #expect(await refusal { $0.secret = SecretText("") }.contains("empty"))
        #expect(await refusal { $0.ldap?.account = nil }.contains("--account"))
        #expect(await refusal { $0.ldap?.bind = "direct" }.contains("--bind-name"))
        #expect(await refusal { $0.ldap?.bind = "drect" }.contains("`drect` is none of direct and service"))
        #expect(await refusal { $0.ldap?.filter = "(uid=alice)" }.contains("fits everybody alike"))
        #expect(await refusal { $0.ldap?.filter = "openldp" }.contains("is no filter"))
        #expect(await refusal { $0.ldap?.users = "(a=b)(c=d)" }.contains("is no filter"))
        #expect(await refusal { $0.ldap?.ca = "ca.pem" }.contains("no absolute path"))
        #expect(await refusal { $0.ldap?.domains = ["corp example"] }.contains("is no domain"))
        #expect(await refusal { $0.ldap?.map = [.init("nam", ["uid"])] }.contains("Did you mean `name`?"))
        #expect(await refusal { $0.ldap?.map = [.init("name", ["u*d"])] }.contains("is no attribute"))
        #expect(await refusal("openldap") { $0.secret = nil }.contains("`openldap`"))
        #expect(await refusal { $0.takes = ["Class"] }.contains("has no `take`"))
        #expect(
            await refusal("radius") { ($0.servers, $0.secret) = (["192.0.2.7"], SecretText("a shared secret of 24")) }.contains(
                "RADIUS server is asked by its secret alone"))
    }

    @Test func aKeptPasswordIsShownToNoOtherServer() async throws {
        let office = try Office()
        try await office.perform(AddDirectory(name: "corp", choices: Self.choices("ldap")))
        func set(_ server: String, password: String? = nil) -> SetDirectory {
            var choices = DirectoryChoices()
            (choices.servers, choices.secret) = ([server], password.map { SecretText($0) })
            return SetDirectory(directory: "corp", choices: choices)
        }
        let elsewhere = "ldaps://dc3.corp.example"
        #expect(await office.refusal(of: set(elsewhere)).contains("is not shown to \(elsewhere)"))
        try await office.perform(set(elsewhere, password: "given anew"))
        // The same one without TLS is another.
        #expect(await office.refusal(of: set("ldap://dc3.corp.example")).contains("is not shown to ldap://dc3.corp.example"))
        try await office.perform(set("starttls://dc3.corp.example"))
    }

    @Test func aTypeStaysAndItsGroupsAreItsOwn() async throws {
        let office = try Office()
        try await office.perform(AddDirectory(name: "corp", choices: Self.choices()))
        var radius = DirectoryChoices()
        radius.type = "radius"
        #expect(await office.refusal(of: SetDirectory(directory: "corp", choices: radius)).contains("cannot become radius"))
        #expect(await office.refusal(of: AddDirectoryServer(directory: "corp", server: "192.0.2.7")).contains("share everything"))
        try await office.perform(AddGroup(name: "corp/VPN Users"))
        try await office.perform(AddUser(name: "alice", password: SecretText("correct horse")))
        var join = SetGroup(group: "corp/VPN Users")
        join.addUsers = ["alice"]
        #expect(await office.refusal(of: join).contains("as of its syncs and their logins"))
        #expect(await office.refusal(of: SetDirectory(directory: "corp", name: "other")).contains("filled by this directory"))
        var outer = SetGroup(group: "staff")
        outer.addGroups = ["corp/VPN Users"]
        try await office.perform(AddGroup(name: "staff"))
        #expect(try await office.perform(outer).message.contains("joined"))
    }

    @Test func aFileBringsBackWhatWasExported() async throws {
        let office = try Office()
        try await office.perform(
            AddDirectory(
                name: "corp",
                choices: Self.choices("ldap") {
                    $0.ca = "/etc/ca.pem"
                    $0.filter = "(mail={name})"
                    $0.users = "(a=b)"
                    $0.map = [.init("aliases", ["mail", "cn"])]
                    $0.groupBase = "ou=groups,dc=corp,dc=example"
                    $0.creates = false
                }))
        try await office.perform(AddGroup(name: "corp/VPN Users"))
        let exported = try await office.perform(ExportBlueprint())
        let again = try await office.perform(ApplyBlueprint(blueprint: exported.blueprint, isDryRun: true, prunes: true))
        #expect(again.differences.isEmpty)
        #expect(exported.blueprint.groups?.first?.users == nil)
        var blueprint = exported.blueprint
        blueprint.groups?[0].users = [Blueprint.Member("alice", place: "x:1:1")]
        #expect(await office.refusal(of: ApplyBlueprint(blueprint: blueprint)).contains("as of its syncs and their logins"))
        blueprint = exported.blueprint
        blueprint.directories?[0].choices.ldap?.users = "none"
        let changed = try await office.perform(ApplyBlueprint(blueprint: blueprint))
        #expect(changed.differences.map(\.name) == ["corp"])
        #expect(try await office.perform(ShowDirectory(name: "corp")).ldap?.users == "none")
    }
}
