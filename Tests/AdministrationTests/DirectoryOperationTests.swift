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
        #expect(await refusal { $0.servers = ["radius.example.org"] }.contains("names are not looked up"))
        #expect(await refusal { $0.servers = [] }.contains("needs a server"))
        #expect(await refusal { $0.secret = nil }.contains("--secret-stdin"))
        #expect(await refusal { $0.secret = SecretText("short") }.contains("5 bytes"))
        #expect(await refusal { $0.timeout = "31s" }.contains("100ms to 30s"))
        #expect(await refusal { $0.takes = ["MS-MPPE-Send-Key"] }.contains("cannot be taken over"))
        #expect(await refusal { $0.takes = ["No-Such-Thing"] }.contains("cannot be taken over"))
        #expect(await refusal { $0.type = "ldap" }.contains("none of radius"))
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
