// SPDX-License-Identifier: Apache-2.0
// Keeping NT hashes and passwords, and pairs that could never work.

import Administration
import LoginEngine
import Store
import Testing

@Suite struct PasswordOperationTests {
    private func kept(_ office: Office, _ name: String = "alice") throws -> KeptPassword? {
        try office.records.load([LoginLookup(nameKey: name, handle: nil)], at: Office.start)[0].user?.kept
    }

    @Test func nothingIsKeptUntilItIsSwitchedOn() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice", password: SecretText("MyPw-long-enough")))
        #expect(try kept(office) == nil)
        let answer = try await office.perform(KeepPasswords(part: "nt-hash"))
        #expect(answer.message.hasPrefix("The NT hash is kept from now on"))
        #expect(answer.warnings.count == 1)
        #expect(try office.newest().kind == .passwordKeepingChanged)
        // What was set before has no hash, and none can be made of it.
        #expect(try kept(office) == nil)
        var change = SetUser(user: "alice")
        change.password = SecretText("MyPw-long-enough")
        try await office.perform(change)
        #expect(try kept(office)?.ntHash?.count == 16)
        #expect(try kept(office)?.text == nil)
        try await office.perform(AddUser(name: "bob", password: SecretText("another-long-password")))
        #expect(try kept(office, "bob") != nil)
        let shown = try await office.perform(ShowPasswordKeeping())
        #expect(shown.parts.map(\.users) == [2, 0])
        #expect(shown.warnings.count == 1)
    }

    @Test func droppingErasesAndLeavesAnEvent() async throws {
        let office = try Office()
        try await office.perform(KeepPasswords(part: "clear-password"))
        try await office.perform(AddUser(name: "alice", password: SecretText("MyPw-long-enough")))
        #expect(try kept(office)?.text == Secret(utf8: "MyPw-long-enough"))
        let answer = try await office.perform(DropPasswords(part: "clear-password"))
        #expect(answer.message.contains("that of 1 user is erased"))
        #expect(try kept(office) == nil)
        #expect(try office.newest()["users"] == "1")
        #expect(await office.kind(of: DropPasswords(part: "md5")) == .invalid)
        #expect(try await office.perform(DropPasswords(part: "nt-hash")).message.hasPrefix("Nothing to change"))
    }

    @Test func pairsThatCannotWorkAreRefusedWithTheReason() async throws {
        let office = try Office()
        let refused: [(AddClient, String)] = [
            (
                office.client {
                    $0.protocols = ["pap", "chap"]
                    $0.asking = "append"
                }, "no code could be cut from its end"
            ),
            (office.client { $0.protocols = ["ms-chap-v2"] }, "sallyport password keep nt-hash"),
            (
                office.client {
                    $0.protocols = ["chap"]
                    $0.requirement = "password"
                }, "sallyport password keep clear-password"
            ),
            (office.client { $0.protocols = ["md5"] }, "none of"),
            (office.client { $0.protocols = [] }, "needs a protocol"),
            (office.client { $0.profile = "cisco" }, "No profile `cisco`"),
        ]
        for (operation, words) in refused {
            let refusal = await office.refusal(of: operation)
            #expect(refusal.contains(words), "\(refusal)")
        }
        try await office.perform(
            office.client {
                $0.protocols = ["chap", "ms-chap"]
                $0.requirement = "factor"
            })
        #expect(try office.records.client(name: "office")?.settings.schemes.schemes == [.chap, .msCHAP])
        // What is asked for later is looked at again.
        var change = SetClient(client: "office", choices: ClientChoices())
        change.choices.requirement = "password+factor"
        #expect(await office.kind(of: change) == .conflict)
    }

    @Test func whatAClientNeedsIsNotDroppedUnderIt() async throws {
        let office = try Office()
        try await office.perform(KeepPasswords(part: "nt-hash"))
        try await office.perform(office.client { $0.protocols = ["pap", "ms-chap-v2"] })
        #expect(await office.refusal(of: DropPasswords(part: "nt-hash")).contains("Client `office` checks passwords by it"))
        try await office.perform(KeepPasswords(part: "clear-password"))
        // The password itself is enough for MS-CHAP too.
        try await office.perform(DropPasswords(part: "nt-hash"))
    }

    @Test func aPolicyThatNamesAClientIsHeldToItsProtocols() async throws {
        let office = try Office()
        try await office.perform(
            office.client {
                $0.protocols = ["ms-chap-v2"]
                $0.requirement = "factor"
            })
        var choices = PolicyChoices()
        choices.require = "password+factor"
        choices.clients = ["office"]
        #expect(await office.refusal(of: AddPolicy(name: "both", choices: choices)).contains("may use MS-CHAPv2"))
        choices.clients = []
        let answer = try await office.perform(AddPolicy(name: "all", choices: choices))
        #expect(answer.warnings.contains { $0.hasPrefix("At client office CHAP or MS-CHAP") })
        try await office.perform(KeepPasswords(part: "nt-hash"))
        choices.clients = ["office"]
        try await office.perform(AddPolicy(name: "both", choices: choices))
    }

    @Test func theProfileOfAWSSetsWhatItNeedsAndIsExplained() async throws {
        let office = try Office()
        try await office.perform(
            office.client("aws") {
                $0.profile = "aws-directory"
                $0.retryTries = 4
            })
        let settings = try #require(try office.records.client(name: "aws")).settings
        #expect(settings.requirement == .factor && settings.schemes == .all && settings.probeUser == "fakeusername")
        #expect(settings.retryTimeout == 10 && settings.retryTries == 4)
        let howto = try await office.perform(ShowClient(name: "aws", withHowto: true)).howto
        #expect(howto?.contains("MS-CHAPv2 or MS-CHAP or CHAP or PAP: any of them") == true)
        #expect(howto?.contains("sallyport login USER --client aws\n") == true)
        #expect(howto?.contains("Max RADIUS request retries               3") == true)
    }

    @Test func aUserIsNoProbe() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "alice"))
        #expect(await office.kind(of: office.client { $0.probeUser = "Alice" }) == .conflict)
        try await office.perform(office.client { $0.probeUser = "Monitor" })
        #expect(try office.records.client(name: "office")?.settings.probeUser == "monitor")
    }

    @Test func doctorNamesWhatIsKept() async throws {
        let office = try Office()
        func kinds() async throws -> [Finding.Kind] { try await office.perform(ExamineNode(seconds: 0)).findings.map(\.kind) }
        #expect(try await !kinds().contains(.ntHashKept))
        try await office.perform(KeepPasswords(part: "nt-hash"))
        #expect(try await kinds().contains(.ntHashKept))
    }
}
