// SPDX-License-Identifier: Apache-2.0
// Giving, listing and taking back grants: what is refused, what is said, what the trail holds.

import Foundation
import LoginEngine
import Store
import Synchronization
import Testing

@testable import Administration

@Suite struct GrantOperationTests {
    private func office() async throws -> Office {
        let office = try Office()
        try await office.perform(AddUser(name: "alice", password: SecretText("correct horse battery")))
        try await office.perform(office.client { $0.tags = ["vpn"] })
        return office
    }

    @Test func aBypassIsGivenListedShownAndRevoked() async throws {
        let office = try await office()
        let answer = try await office.perform(AddGrant(user: "ALICE", reason: " lost phone ", clients: ["office"]))
        #expect(answer.message == "Gave alice a bypass of the second factor, grant 1: once, within 60 minutes, at office.")
        #expect(answer.code == nil && answer.warnings == [])
        let grant = answer.grant
        #expect(grant.kind == "bypass" && grant.state == "open" && grant.reason == "lost phone" && grant.issuer == Office.actor.description)
        #expect(grant.until == Instant(Office.start + .minutes(60)) && grant.uses == 1 && grant.used == 0 && grant.clients == ["office"])
        let event = try office.newest()
        #expect(event.kind == .grantIssued && event["grant"] == "1 bypass" && event["uses"] == "1" && event["clients"] == "office")
        // What may be about the person can be erased with it.
        #expect(event.subject["name"] == "alice" && event.subject["grant-reason"] == "lost phone")
        #expect(!event.details.contains { $0.value.contains("phone") } && event.actor["actor"] == Office.actor.description)
        #expect(event.summary == "grant 1 bypass given until \(grant.until.timestamp.iso8601), uses: 1, lost phone")

        let list = try await office.perform(ListGrants())
        #expect(list.grants == [grant] && list.open == 1 && list.next == nil)
        #expect(try await office.perform(ShowGrant(id: 1)).latestUses == [])
        let user = try await office.perform(ShowUser(name: "alice"))
        #expect(user.grants?.map(\.id) == [1] && user.warnings.contains { $0.contains("sallyport grant revoke 1") })

        #expect(try await office.perform(RevokeGrant(id: 1)).message == "Revoked grant 1 of alice: it opens nothing from now on.")
        let revoked = try office.newest()
        #expect(revoked.kind == .grantRevoked && revoked["grant"] == "1 bypass" && revoked["used"] == "0")
        #expect(try await office.perform(ListGrants()).grants.isEmpty)
        let shown = try await office.perform(ShowGrant(id: 1))
        #expect(shown.state == "revoked" && shown.revoker == Office.actor.description && shown.revoked == Instant(Office.start))
        #expect(try await office.perform(ListGrants(user: "alice", isAll: true)).grants.map(\.state) == ["revoked"])
        #expect(try await office.perform(ShowUser(name: "alice")).grants == nil)
        #expect(await office.kind(of: RevokeGrant(id: 1)) == .conflict)
        #expect(await office.kind(of: ShowGrant(id: 2)) == .missing)
    }

    @Test func aCodeIsShownOnceAndKeptAsAHash() async throws {
        let office = try await office()
        let answer = try await office.perform(
            AddGrant(user: "alice", isCode: true, reason: "lost phone", uses: 3, clientTags: ["vpn"], digits: 10))
        let code = try #require(answer.code).text
        #expect(code.count == 10 && code.allSatisfy { $0.isNumber } && Set(code).count > 3)
        #expect(answer.message.contains("a temporary code, grant 1: 3 times") && answer.grant.placesInWords == "clients tagged vpn")
        let kept = try #require(try office.records.grant(1)).grant
        #expect(kept.digits == 10 && kept.codeHash == office.records.temporaryCodeHash(Array(code.utf8), grant: 1))
        // Nothing that is shown, listed or kept in the trail holds it.
        for text in ["\(try await office.perform(ListGrants()))", "\(try office.newest())", "\(answer.grant)", "\(answer)"] {
            #expect(!text.contains(code))
        }
        #expect(try await office.perform(AddGrant(user: "alice", isCode: true, reason: "again")).code?.text.count == 8)
    }

    @Test(
        arguments: [
            (AddGrant(user: "bob", reason: "lost phone"), Refusal.Kind.missing, "bob"),
            (AddGrant(user: "alice", reason: " "), .invalid, "needs its reason"),
            (AddGrant(user: "alice", reason: "ab"), .invalid, "too short"),
            (AddGrant(user: "alice", reason: String(repeating: "x", count: 201)), .invalid, "too long"),
            (AddGrant(user: "alice", reason: "lost\u{1B}[2J"), .invalid, "control character"),
            (AddGrant(user: "alice", reason: "lost phone", minutes: 0), .invalid, "grants.longest"),
            (AddGrant(user: "alice", reason: "lost phone", minutes: 481), .invalid, "480 at most"),
            (AddGrant(user: "alice", reason: "lost phone", uses: -1), .invalid, "uses"),
            (AddGrant(user: "alice", reason: "lost phone", uses: 51), .invalid, "1 to 50"),
            (AddGrant(user: "alice", isCode: true, reason: "lost phone", uses: 0), .invalid, "any number of times"),
            (AddGrant(user: "alice", isCode: true, reason: "lost phone", digits: 7), .invalid, "8 to 12"),
            (AddGrant(user: "alice", isCode: true, reason: "lost phone", digits: 13), .invalid, "8 to 12"),
            (AddGrant(user: "alice", reason: "lost phone", digits: 8), .invalid, "no digits"),
            (AddGrant(user: "alice", reason: "lost phone", clients: ["offic"]), .missing, "office"),
            (AddGrant(user: "alice", reason: "lost phone", clientTags: ["vpm"]), .missing, "vpn"),
            (AddGrant(user: "alice", reason: "lost phone", clientTags: ["V P N"]), .invalid, "tag"),
        ] as [(AddGrant, Refusal.Kind, String)])
    func whatCannotBeGivenIsRefusedWithWhatCould(operation: AddGrant, kind: Refusal.Kind, words: String) async throws {
        let office = try await office()
        #expect(await office.kind(of: operation) == kind)
        let refusal = await office.refusal(of: operation)
        #expect(refusal.contains(words), "\(refusal)")
        #expect(try await office.perform(ListGrants(isAll: true)).grants.isEmpty)
    }

    @Test func boundsAreTaken() async throws {
        let office = try await office()
        for grant in [
            AddGrant(user: "alice", reason: "abc", minutes: 1, uses: 50), AddGrant(user: "alice", reason: "abc", minutes: 480, uses: 0),
            AddGrant(user: "alice", isCode: true, reason: String(repeating: "x", count: 200), digits: 12),
        ] { try await office.perform(grant) }
        #expect(try await office.perform(ListGrants()).open == 3)
    }

    @Test func aDisabledUserGetsNone() async throws {
        let office = try await office()
        var disable = SetUser(user: "alice")
        disable.status = "disabled"
        try await office.perform(disable)
        #expect(await office.kind(of: AddGrant(user: "alice", reason: "lost phone")) == .conflict)
    }

    @Test func whatAGrantCannotDoOrDoesTooWellIsSaid() async throws {
        let office = try await office()
        try await office.perform(office.client("codes", address: "192.0.2.8") { $0.requirement = "factor" })
        let alone = try await office.perform(AddGrant(user: "alice", reason: "lost phone", uses: 0, clients: ["codes"]))
        #expect(alone.warnings.count == 2 && alone.warnings[0].contains("At codes the code is the only proof"), "\(alone.warnings)")
        #expect(alone.warnings[1].contains("as often as it is tried") && alone.message.contains("any number of times"))
        #expect(try await office.perform(AddGrant(user: "alice", isCode: true, reason: "lost phone", clients: ["codes"])).warnings == [])
    }

    @Test func aClientThatIsRemovedWidensNothing() async throws {
        let office = try await office()
        try await office.perform(AddGrant(user: "alice", reason: "lost phone", clients: ["office"]))
        try await office.perform(RemoveClient(name: "office"))
        let shown = try await office.perform(ShowGrant(id: 1))
        #expect(shown.clients == ["removed"] && shown.placesInWords == "removed")
        #expect(try #require(try office.records.grant(1)).grant.scope.isEverywhere == false)
    }

    @Test func doctorTellsWhichAreOpenAndWhichOpenMuch() async throws {
        let office = try await office()
        func findings() async throws -> [Finding] {
            try await office.perform(ExamineNode(seconds: 0)).findings.filter { $0.kind == .grantsOpen || $0.kind == .grantWide }
        }
        #expect(try await findings().isEmpty)
        try await office.perform(AddGrant(user: "alice", reason: "lost phone"))
        #expect(try await findings().map(\.kind) == [.grantsOpen])
        try await office.perform(AddGrant(user: "alice", reason: "lost phone", uses: 0))
        let both = try await findings()
        #expect(both.map(\.kind) == [.grantsOpen, .grantWide] && both[0].text.hasPrefix("2 grants of the help desk are open"))
        #expect(both[1].subject == "alice" && both[1].remedy?.contains("sallyport grant revoke 2") == true)
        office.clock.value.withLock { $0 = $0 + .minutes(60) }
        #expect(try await findings().isEmpty)
    }

    @Test func explainNamesTheGrantThatWouldCount() async throws {
        let office = try await office()
        func outcome() async throws -> [String] {
            try await office.perform(ExplainPolicy(user: "alice", client: "office")).outcome.filter { $0.contains("grant ") }
        }
        #expect(try await outcome() == [])
        try await office.perform(AddGrant(user: "alice", reason: "lost phone"))
        try await office.perform(AddGrant(user: "alice", isCode: true, reason: "lost phone"))
        let end = Instant(Office.start + .minutes(60))
        #expect(
            try await outcome() == [
                "Until \(end) the temporary code of grant 2 does too.",
                "But until \(end) grant 1 stands in for the second factor: none is asked for.",
            ])
    }

    @Test func theStoryOfALoginTellsOfItsGrant() throws {
        let login = LoginID(Bits128(high: 1, low: 2))
        var accepted = Event(
            .loginAccepted, at: Office.start, login: login, user: 1, client: 1,
            details: [.init("client", "office"), .init("grant", "12 bypass")],
            subject: PersonalFields([.init("name", "alice"), .init("grant-reason", "lost phone")]))
        func story(_ event: Event) throws -> String { try #require(LoginStory.tell([event])).lines.map(\.text).joined(separator: "\n") }
        #expect(accepted.summary == "accepted by grant 12 bypass")
        #expect(
            try story(accepted).contains(
                "Grant 12 stood in for the second factor (lost phone); one of its uses is gone.\nAccepted by the grant."))
        accepted.details[1].value = "13 code"
        #expect(try story(accepted).contains("The temporary code of grant 13 was right (lost phone)"))
        var rejected = accepted
        rejected.kind = .loginRejected
        rejected.reason = "wrong-code"
        rejected.details[1] = .init("grants-closed", "12 bypass: not for this client; 13 code: used up")
        let told = try story(rejected)
        #expect(told.contains("Grant 12, a bypass, opened nothing: not for this client."))
        #expect(told.contains("Grant 13, a temporary code, opened nothing: used up."))
        rejected.details[1] = .init("steps", "+3 password-right; +5 grant used up")
        #expect(try story(rejected).contains("Meanwhile the grant was used up."))
    }
}
