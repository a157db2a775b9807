// SPDX-License-Identifier: Apache-2.0
// What an administrator does with directories, and what is refused.

import Administration
import LoginEngine
import Testing

@Suite struct DirectoryOperationTests {
    private static func choices(_ change: (inout DirectoryChoices) -> Void = { _ in }) -> DirectoryChoices {
        var choices = DirectoryChoices()
        choices.servers = ["192.0.2.7"]
        choices.secret = SecretText("a-shared-secret-of-two")
        change(&choices)
        return choices
    }

    @Test func aDirectoryIsAddedChangedAndRemovedWithItsEvents() async throws {
        let office = try Office()
        let added = try await office.perform(
            AddDirectory(name: "nps", choices: Self.choices { $0.takes = ["class", "Fortinet-Group-Name"] }))
        #expect(added.message == "Added directory nps with 192.0.2.7:1812.")
        var choices = DirectoryChoices()
        choices.servers = ["192.0.2.7", "[2001:db8::7]:1645"]
        choices.timeout = "500ms"
        choices.messageAuthenticator = "allow"
        let changed = try await office.perform(SetDirectory(directory: "nps", name: "old", choices: choices))
        #expect(changed.warnings.contains { $0.contains("CVE-2024-3596") })
        let view = try await office.perform(ShowDirectory(name: "old"))
        #expect(view.servers.map(\.address) == ["192.0.2.7:1812", "[2001:db8::7]:1645"])
        #expect(view.timeout == 500 && view.tries == 2 && view.takes == ["Class", "Fortinet-Group-Name"])
        _ = try await office.perform(RemoveDirectory(name: "old"))
        #expect(try await office.perform(ListDirectories()).directories.isEmpty)
        let kinds = try await office.perform(ListEvents(kinds: ["directory-added", "directory-changed", "directory-removed"])).events
        #expect(kinds.map(\.kind).sorted() == ["directory-added", "directory-changed", "directory-removed"])
        #expect(!kinds.contains { $0.text.contains("a-shared-secret") })
        #expect(office.changes.current == [.directories, .directories, .directories])
    }

    @Test func whatCannotBeIsRefusedWithAWayOut() async throws {
        let office = try Office()
        func refusal(_ change: (inout DirectoryChoices) -> Void) async -> String {
            await office.refusal(of: AddDirectory(name: "nps", choices: Self.choices(change)))
        }
        #expect(await refusal { $0.servers = ["radius_1.example.org"] }.contains("neither the address nor the host name"))
        #expect(await refusal { $0.servers = ["192.0.2"] }.contains("neither the address nor the host name"))
        for nobody in ["0.0.0.0", "255.255.255.255", "224.0.0.1:1812", "::", "[ff02::1]:1812"] {
            #expect(await refusal { $0.servers = [nobody] }.contains("the address of no single server"), "\(nobody)")
        }
        #expect(await refusal { $0.servers = [] }.contains("needs a server"))
        #expect(await refusal { $0.secret = nil }.contains("--secret-stdin"))
        #expect(await refusal { $0.secret = SecretText("short") }.contains("5 bytes"))
        #expect(await refusal { $0.timeout = "31s" }.contains("100ms to 30s"))
        #expect(await refusal { $0.takes = ["MS-MPPE-Send-Key"] }.contains("cannot be taken over"))
        #expect(await refusal { $0.takes = ["No-Such-Thing"] }.contains("cannot be taken over"))
        #expect(await refusal { $0.type = "ldp" }.contains("none of radius"))
        #expect(await office.refusal(of: AddDirectory(name: "local", choices: Self.choices())).contains("this server's own"))
        #expect(await office.refusal(of: ShowDirectory(name: "nps")).contains("No directory `nps`"))
    }

    @Test func whosePasswordLivesThereHasNoneHere() async throws {
        let office = try Office()
        _ = try await office.perform(AddDirectory(name: "nps", choices: Self.choices()))
        _ = try await office.perform(AddUser(name: "alice", directory: "nps"))
        let alice = try await office.perform(ShowUser(name: "alice"))
        #expect(alice.directory == "nps" && !alice.warnings.contains { $0.contains("No password") })
        #expect(try await office.perform(ListDirectories()).directories.first?.users == 1)
        #expect(try await office.perform(ListUsers(directory: "nps")).users.map(\.name) == ["alice"])
        var password = SetUser(user: "alice")
        password.password = SecretText("another password")
        #expect(await office.refusal(of: password).contains("lives at directory `nps`"))
        #expect(await office.refusal(of: RemoveDirectory(name: "nps")).contains("The passwords of 1 user live at directory `nps`"))
        var home = SetUser(user: "alice")
        home.directory = "local"
        home.password = SecretText("another password")
        let moved = try await office.perform(home)
        #expect(moved.message == "Changed user alice: directory local, password.")
        let import1 = ImportUsers(csv: SecretText("name,directory\nalice,nps\nbob,nps\n"), isDryRun: false)
        let steps = try await office.perform(import1).steps
        #expect(steps.map(\.action) == ["change", "add"] && steps[0].differences == ["directory: nps"])
        #expect(try await office.perform(ListUsers(directory: "nps")).users.map(\.name) == ["alice", "bob"])
    }

    @Test func groupsAndClientsSayWhereWhoeverSaysNothingOfHisOwn() async throws {
        let office = try Office()
        for name in ["nps", "old"] { _ = try await office.perform(AddDirectory(name: name, choices: Self.choices())) }
        _ = try await office.perform(AddUser(name: "alice", password: SecretText("a long password")))
        _ = try await office.perform(AddGroup(name: "staff", users: ["alice"]))
        _ = try await office.perform(AddGroup(name: "everybody", groups: ["staff"]))
        _ = try await office.perform(office.client { $0.directory = "old" })
        func explain() async throws -> [String?] {
            let answer = try await office.perform(ExplainName(name: "alice", client: "office"))
            #expect(try await office.perform(ExplainPolicy(user: "alice", client: "office")).directory == answer.directory)
            return [answer.directory, answer.directoryBy]
        }
        #expect(try await explain() == ["old", "client"])
        var group = SetGroup(group: "everybody")
        group.directory = "nps"
        #expect(try await office.perform(group).message == "Changed group everybody: directory: none → nps.")
        #expect(try office.newest()["change"] == "directory: none → nps")
        #expect(office.changes.current.last == .replies)
        #expect(try await explain() == ["nps", "group everybody"])
        let view = try await office.perform(ShowUser(name: "alice"))
        #expect(view.directory == "nps" && view.directoryBy == "group everybody")
        var password = SetUser(user: "alice")
        password.password = SecretText("another password")
        #expect(await office.refusal(of: password).contains("lives at directory `nps`"))
        #expect(
            await office.refusal(of: AddUser(name: "bob", groups: ["staff"], password: SecretText("a long password")))
                .contains("lives at directory `nps`"))
        for (word, wanted) in [("local", [nil, "user"]), ("old", ["old", "user"]), ("none", ["nps", "group everybody"])] {
            var own = SetUser(user: "alice")
            own.directory = word
            _ = try await office.perform(own)
            #expect(try await explain() == wanted)
        }
        let list = try await office.perform(ListDirectories()).directories
        #expect(list.map(\.groups) == [["everybody"], []] && list.map(\.clients) == [[], ["office"]] && list.map(\.users) == [0, 0])
        #expect(await office.refusal(of: RemoveDirectory(name: "nps")).contains("The passwords of group everybody live"))
        #expect(await office.refusal(of: RemoveDirectory(name: "old")).contains("The passwords of client office live"))
        var wrong = SetGroup(group: "staff")
        wrong.directory = "nsp"
        #expect(await office.refusal(of: wrong).contains("nps"))
        #expect(
            try await office.perform(ExamineNode(seconds: 0)).findings
                .contains { $0.kind == .directoryAlone && $0.text.contains("group everybody") })
    }

    @Test func aFileSaysItOfGroupsAndClientsAndOfDirectoriesThatItBrings() async throws {
        let office = try Office()
        func blueprint(_ directory: String?, hasDirectory: Bool = true) throws -> Blueprint {
            var blueprint = Blueprint()
            if hasDirectory { blueprint.directories = [Blueprint.Directory(name: "nps", place: "a:1", choices: Self.choices())] }
            if !hasDirectory { blueprint.directories = [] }
            var client = office.client().choices
            client.directory = directory
            blueprint.clients = [Blueprint.Client(name: "office", place: "a:2", choices: client)]
            var group = Blueprint.Group(name: "staff", place: "a:3", users: [])
            group.directory = directory
            blueprint.groups = [group]
            return blueprint
        }
        _ = try await office.perform(ApplyBlueprint(blueprint: try blueprint("nps")))
        let list = try await office.perform(ListDirectories()).directories
        #expect(list.first?.groups == ["staff"] && list.first?.clients == ["office"], "the new one has its real number everywhere")
        let exported = try await office.perform(ExportBlueprint()).blueprint
        #expect(exported.groups?.first?.directory == "nps" && exported.clients?.first?.choices.directory == "nps")
        #expect(try await office.perform(ApplyBlueprint(blueprint: exported)).differences.isEmpty)
        let moved = try await office.perform(ApplyBlueprint(blueprint: try blueprint("local")))
        #expect(moved.differences.allSatisfy { $0.fields.map(\.name) == ["directory"] && $0.fields.first?.after == "local" })
        _ = try await office.perform(ApplyBlueprint(blueprint: exported))
        #expect(
            await office.refusal(of: ApplyBlueprint(blueprint: try blueprint("nps", hasDirectory: false), prunes: true))
                .contains("No directory `nps`"))
        var without = Blueprint()
        without.directories = []
        #expect(await office.refusal(of: ApplyBlueprint(blueprint: without, prunes: true)).contains("client office and group staff"))
        _ = try await office.perform(ApplyBlueprint(blueprint: try blueprint(nil, hasDirectory: false), prunes: true))
        #expect(try await office.perform(ListDirectories()).directories.isEmpty)
    }

    @Test func aClientPassesRealmsThroughOnlyWhereItIsTold() async throws {
        let office = try Office()
        for name in ["nps", "old"] { _ = try await office.perform(AddDirectory(name: name, choices: Self.choices { $0.sends = "own" })) }
        func set(_ rules: [String], _ change: (inout ClientChoices) -> Void = { _ in }) -> SetClient {
            var choices = ClientChoices()
            choices.passThrough = rules
            change(&choices)
            return SetClient(client: "office", choices: choices)
        }
        func explain(_ name: String) async throws -> ExplainName.Answer {
            try await office.perform(ExplainName(name: name, client: "office"))
        }
        _ = try await office.perform(office.client())
        #expect(try await explain("bob@corp.example").outcome.first?.contains("refused (unknown-user)") == true)
        let answer = try await office.perform(set(["corp.example=nps", "LAB\\=old"]))
        #expect(answer.message == "Changed client office: pass-through: none → corp.example=nps, lab\\=old.")
        #expect(answer.warnings.contains { $0.contains("on another server's word alone") })
        #expect(answer.warnings.contains { $0.contains("letters beyond ASCII") })
        // Said once, when it is set.
        var more = ClientChoices()
        more.rejoin = true
        let later = try await office.perform(SetClient(client: "office", choices: more))
        #expect(!later.warnings.contains { $0.contains("another server's word") })
        #expect(try await office.perform(ShowClient(name: "office")).warnings.allSatisfy { !$0.contains("another server's word") })
        let bob = try await explain("Bob@Corp.example")
        #expect(bob.directory == "nps" && bob.directoryBy == "realm corp.example" && bob.user == nil)
        #expect(bob.steps.last?.text == "Realm corp.example is passed through to directory nps, as `Bob`.")
        #expect(try await explain("bob").outcome.first?.contains("refused (unknown-user)") == true)
        let twice = try await explain("LAB\\LAB\\bob")
        #expect(twice.directory == nil && twice.steps.last?.text.hasPrefix("Not passed through: it has two of") == true)
        _ = try await office.perform(AddUser(name: "alice", password: SecretText("a long password")))
        let alice = try await explain("alice@corp.example")
        #expect(
            alice.directory == nil
                && alice.steps.last?.text.hasSuffix("whose second factor could be gone round: not passed through.") == true)
        #expect(try await office.perform(ShowClient(name: "office")).passThrough == ["corp.example=nps", "lab\\=old"])
        #expect(try await office.perform(ListDirectories()).directories.map(\.clients) == [["office"], ["office"]])
        #expect(await office.refusal(of: RemoveDirectory(name: "old")).contains("client office"))
        #expect(
            try await office.perform(ExamineNode(seconds: 0)).findings.contains {
                $0.kind == .namesPassedThrough && $0.subject == "office" && $0.text.contains("letters beyond ASCII")
            }
        )
        let exported = try await office.perform(ExportBlueprint()).blueprint
        #expect(try await office.perform(ApplyBlueprint(blueprint: exported)).differences.isEmpty)
        for (rules, words) in [
            (["corp.example"], "says no realm"), (["a b=nps"], "says no realm"), (["*=nsp"], "No directory `nsp`"),
            (["*=local"], "decides about"), (["*=none"], "decides about"), (["*=nps", "corp=nps"], "Behind `*`"),
            (["corp=nps", "CORP=old"], "named twice"), ((0...32).map { "r\($0)=nps" }, "32 realms"),
        ] {
            #expect(await office.refusal(of: set(rules)).contains(words), "\(rules)")
        }
        #expect(await office.refusal(of: set(["*=nps"]) { $0.concealFactor = true }).contains("--conceal-factor hides"))
        var closed = ClientChoices()
        closed.requirement = "deny"
        _ = try await office.perform(SetClient(client: "office", choices: closed))
        #expect(try await explain("bob@corp.example").outcome.first?.contains("the client itself lets nobody in") == true)
        _ = try await office.perform(set([]))
        _ = try await office.perform(RemoveDirectory(name: "old"))
    }

    @Test func clientsMayUseMSCHAPWhereADirectoryJudgesIt() async throws {
        let office = try Office()
        var choices = ClientChoices()
        choices.addresses = ["192.0.2.1"]
        choices.secret = SecretText("a-long-enough-shared-secret")
        choices.protocols = ["pap", "ms-chap-v2"]
        #expect(await office.refusal(of: AddClient(name: "vpn", choices: choices)).contains("argon2id"))
        _ = try await office.perform(AddDirectory(name: "nps", choices: Self.choices()))
        _ = try await office.perform(AddClient(name: "vpn", choices: choices))
    }

    @Test func oneServerMayHaveASecretOfItsOwn() async throws {
        let office = try Office()
        _ = try await office.perform(AddDirectory(name: "nps", choices: Self.choices()))
        let secret = SecretText("a-secret-of-the-second")
        let added = try await office.perform(AddDirectoryServer(directory: "nps", server: "192.0.2.8", secret: secret))
        #expect(
            added.message
                == "Changed directory nps: servers: 192.0.2.7:1812 → 192.0.2.7:1812, 192.0.2.8:1812; secret of 192.0.2.8:1812 changed.")
        func own() async throws -> [Bool] { try await office.perform(ShowDirectory(name: "nps")).servers.map(\.hasOwnSecret) }
        #expect(try await own() == [false, true])
        let exported = try await office.perform(ExportBlueprint()).blueprint
        #expect(exported.directories?.first?.choices.ownSecrets == [.init(server: "192.0.2.8:1812", secret: nil)])
        #expect(try await office.perform(ApplyBlueprint(blueprint: exported)).differences.isEmpty)
        var order = DirectoryChoices()
        order.servers = ["192.0.2.8", "192.0.2.9", "192.0.2.7"]
        _ = try await office.perform(SetDirectory(directory: "nps", choices: order))
        #expect(try await own() == [true, false, false], "it keeps its secret in another order")
        #expect(
            try await office.perform(AddDirectoryServer(directory: "nps", server: "192.0.2.9", secret: SecretText("weakweak"))).warnings
                .contains { $0.hasPrefix("The secret of 192.0.2.9:1812 has only 8 bytes") })
        #expect(
            try await office.perform(ExamineNode(seconds: 0)).findings
                .contains { $0.kind == .directorySecretWeak && $0.text.contains("192.0.2.9") })
        #expect(
            try await office.perform(AddDirectoryServer(directory: "nps", server: "192.0.2.8")).message
                == "Changed directory nps: secret of 192.0.2.8:1812 shared.")
        #expect(try await own() == [false, true, false])
        var file = exported
        #expect(await office.refusal(of: ApplyBlueprint(blueprint: file)).contains("no secret of its own that could be kept"))
        file.directories?[0].choices.ownSecrets = [.init(server: "192.0.2.8", secret: secret)]
        let field = try await office.perform(ApplyBlueprint(blueprint: file)).differences.first?.fields.last
        #expect(field?.name == "secret" && field?.before == nil && field?.after == nil, "what it is is told nobody")
        #expect(try await own() == [false, true])
        _ = try await office.perform(RemoveDirectoryServer(directory: "nps", server: "192.0.2.7"))
        #expect(await office.refusal(of: RemoveDirectoryServer(directory: "nps", server: "192.0.2.8")).contains("the only server"))
        #expect(await office.refusal(of: RemoveDirectoryServer(directory: "nps", server: "192.0.2.1")).contains("has no server"))
        #expect(await office.refusal(of: AddDirectoryServer(directory: "nps", server: "nps..example.org")).contains("nor the host name"))
        #expect(
            await office.refusal(of: AddDirectoryServer(directory: "nps", server: "192.0.2.9", secret: SecretText("short")))
                .contains("5 bytes"))
    }

    /// Whoever can answer for a name could forge what is not signed.
    @Test func aServerByNameHasToSignItsReplies() async throws {
        let office = try Office()
        let named = Self.choices { $0.servers = ["NPS1.corp.example", "nps2.corp.example:1645"] }
        _ = try await office.perform(AddDirectory(name: "nps", choices: named))
        #expect(
            try await office.perform(ShowDirectory(name: "nps")).servers.map(\.address) == [
                "nps1.corp.example:1812", "nps2.corp.example:1645",
            ])
        var allow = DirectoryChoices()
        allow.messageAuthenticator = "allow"
        #expect(await office.refusal(of: SetDirectory(directory: "nps", choices: allow)).contains("can be forged"))
        allow.servers = ["192.0.2.7"]
        _ = try await office.perform(SetDirectory(directory: "nps", choices: allow))
        #expect(await office.refusal(of: AddDirectoryServer(directory: "nps", server: "nps1.corp.example")).contains("can be forged"))
    }

    @Test func applyBringsDirectoriesToWhatAFileSays() async throws {
        let office = try Office()
        func apply(_ directories: [Blueprint.Directory], prunes: Bool = false) async throws(Refusal) -> ApplyBlueprint.Answer {
            var blueprint = Blueprint()
            blueprint.directories = directories
            return try await office.perform(ApplyBlueprint(blueprint: blueprint, prunes: prunes))
        }
        let first = try await apply([Blueprint.Directory(name: "nps", place: "a.yaml:3:3", choices: Self.choices())])
        #expect(first.differences.map(\.action) == [.add])
        let exported = try #require(try await office.perform(ExportBlueprint()).blueprint.directories)
        #expect(exported.first?.choices.secret == nil)
        let again = try await apply(exported)
        #expect(again.differences.isEmpty, "what was exported changes nothing")
        var other = exported
        other[0].choices.tries = 4
        let field = try await apply(other).differences.first?.fields.first
        #expect(field?.name == "tries" && field?.before == "2" && field?.after == "4")
        #expect(try await apply([]).differences.map(\.action) == [.missing])
        _ = try await office.perform(AddUser(name: "alice", directory: "nps"))
        await #expect(throws: Refusal.self) { try await apply([], prunes: true) }
        var home = SetUser(user: "alice")
        home.directory = "local"
        _ = try await office.perform(home)
        #expect(try await apply([], prunes: true).differences.map(\.action) == [.remove])
        #expect(try await office.perform(ListDirectories()).directories.isEmpty)
    }

    @Test func doctorNamesWhatIsDoubtful() async throws {
        let office = try Office()
        _ = try await office.perform(
            AddDirectory(
                name: "nps",
                choices: Self.choices { choices in
                    choices.messageAuthenticator = "allow"
                    choices.secret = SecretText("eight888")
                }))
        _ = try await office.perform(AddUser(name: "alice", directory: "nps"))
        let findings = try await office.perform(ExamineNode(seconds: 0)).findings.map(\.kind)
        #expect(Set(findings).isSuperset(of: [.directoryForgeable, .directorySecretWeak, .directoryAlone]))
        var off = DirectoryChoices()
        off.isEnabled = false
        _ = try await office.perform(SetDirectory(directory: "nps", choices: off))
        #expect(try await office.perform(ExamineNode(seconds: 0)).findings.contains { $0.kind == .directoryClosed })
    }
}
