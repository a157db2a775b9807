// SPDX-License-Identifier: Apache-2.0
// What an examination finds in real data; each finding is brought about by what an administrator could do.

import Foundation
import LoginEngine
import Store
import Synchronization
import Testing

@testable import Administration

@Suite struct DoctorTests {
    private func findings(_ office: Office) async throws -> [Finding] {
        try await office.perform(ExamineNode()).findings
    }

    private func kinds(_ office: Office, about subject: String? = nil) async throws -> Set<Finding.Kind> {
        Set(try await findings(office).filter { subject == nil || $0.subject == subject }.map(\.kind))
    }

    @Test func emptyDataIsWholeAndSaysWhatIsNotThereYet() async throws {
        let office = try Office()
        #expect(try await kinds(office) == [.databaseRight, .keyNotCopied, .clientsNone, .usersNone])
        #expect(try office.records.events(EventFilter(limit: 1)).isEmpty, "looking leaves no event")
    }

    @Test func aSoundNodeHasNothingButOks() async throws {
        let office = try Office()
        try await office.perform(
            office.client {
                $0.messageAuthenticator = "require"
            })
        _ = try await office.perform(AddUser(name: "alice", password: SecretText("correct horse battery")))
        _ = try await office.perform(AddFactor(user: "alice", kind: "totp"))
        let key = try String(contentsOfFile: office.path + "/master.key", encoding: .utf8)
        try await office.perform(ConfirmKeyCopy(copy: SecretText(key.trimmingCharacters(in: .whitespacesAndNewlines))))
        #expect(try await findings(office).map(\.kind) == [.databaseRight, .keyRight, .clientsRight, .backupNone, .usersRight])
        try await office.records.noteBackup(at: Office.start, event: Event(.backupMade, at: Office.start))
        #expect(try await findings(office).map(\.kind) == [.databaseRight, .keyRight, .clientsRight, .backupRight, .usersRight])
        #expect(try await findings(office).allSatisfy { $0.severity == .ok })
    }

    @Test func rotationNeedsACopyOfThePresentKeyAndABackupBehindIt() async throws {
        let office = try Office()
        _ = try await office.perform(AddUser(name: "alice", password: SecretText("correct horse battery")))
        let key = try await office.perform(ShowKey())
        #expect(await office.refusal(of: RotateKey()).contains("No copy of key \(key.fingerprint) was confirmed"))
        #expect(await office.refusal(of: RotateKey()).contains("sallyport key confirm-copy FILE"))
        #expect(try await office.perform(ShowKey()).fingerprint == key.fingerprint)
        let copy = try String(contentsOfFile: office.path + "/master.key", encoding: .utf8)
        try await office.perform(ConfirmKeyCopy(copy: SecretText(copy)))
        try await office.records.noteBackup(at: Office.start, event: Event(.backupMade, at: Office.start))
        office.clock.value.withLock { $0 = Office.start + .minutes(1) }
        let rotated = try await office.perform(RotateKey())
        #expect(rotated.warnings.contains { $0.contains("need key \(key.fingerprint)") && $0.contains("make a new backup") })
        #expect(try await kinds(office).contains(.backupOtherKey))
        try await office.records.noteBackup(at: Office.start + .minutes(2), event: Event(.backupMade, at: Office.start))
        #expect(try await kinds(office).isDisjoint(with: [.backupOtherKey]))
        #expect(await office.kind(of: RotateKey()) == .conflict)
        #expect(try await office.perform(RotateKey(isConfirmed: true)).fingerprint != rotated.fingerprint)
    }

    @Test func weakAndSharedSecretsAreNamedByClientAndNeverShown() async throws {
        let office = try Office()
        for (name, secret, address) in [
            ("known", "testing123", "192.0.2.1"), ("short", "Zk3-fQ9x", "192.0.2.2"), ("flat", "ababababababababab", "192.0.2.3"),
            ("first", "0mEq7-long-and-odd-shared", "192.0.2.4"), ("second", "0mEq7-long-and-odd-shared", "192.0.2.5"),
        ] {
            try await office.perform(office.client(name, address: address) { $0.secret = SecretText(secret) })
        }
        #expect(try await kinds(office, about: "known").contains(.secretKnown))
        #expect(try await kinds(office, about: "short").contains(.secretWeak))
        #expect(try await kinds(office, about: "flat").contains(.secretWeak))
        let shared = try await findings(office).filter { $0.kind == .secretShared }
        #expect(shared.count == 1 && shared[0].text.contains("first and second"), "\(shared)")
        let words = String(decoding: try JSONEncoder().encode(try await findings(office)), as: UTF8.self)
        for secret in ["testing123", "Zk3-fQ9x", "abababab", "0mEq7"] { #expect(!words.contains(secret)) }
        // What is switched off cannot be asked as.
        for name in ["known", "short", "flat", "first"] {
            var choices = ClientChoices()
            choices.isEnabled = false
            try await office.perform(SetClient(client: name, choices: choices))
        }
        #expect(try await kinds(office).isDisjoint(with: [.secretKnown, .secretWeak, .secretShared]))
    }

    @Test(arguments: [
        ("authenticator-allowed", ["allow", "", "", "192.0.2.7", ""]), ("authenticator-unproven", ["auto", "", "", "192.0.2.7", ""]),
        ("factor-alone", ["require", "factor", "", "192.0.2.7", ""]), ("push-unasked", ["require", "factor", "push", "192.0.2.7", ""]),
        ("password-alone", ["require", "password", "", "192.0.2.7", ""]), ("range-large", ["require", "", "", "0.0.0.0/0", ""]),
        ("reason-told", ["require", "", "", "192.0.2.7", "helpful"]),
    ])
    func aClientThatCouldBeAskedTooEasilyIsFound(kind: String, how: [String]) async throws {
        let office = try Office()
        try await office.perform(
            office.client(address: how[3]) {
                $0.messageAuthenticator = how[0]
                if !how[1].isEmpty { $0.requirement = how[1] }
                if !how[2].isEmpty { $0.automaticPush = true }
                if !how[4].isEmpty { $0.helpfulMessages = true }
            })
        #expect(try await kinds(office, about: "office") == [try #require(Finding.Kind(rawValue: kind))])
    }

    @Test func aClientThatOffersAWeakMethodOfEAPIsFound() async throws {
        let office = try Office()
        try await office.perform(
            office.client {
                $0.messageAuthenticator = "require"
                $0.requirement = "factor"
                $0.eap = ["md5", "mschapv2"]
            })
        let found = try await findings(office).filter { $0.subject == "office" && $0.kind == .eapMD5 }
        #expect(found.first?.remedy == "sallyport client set office --eap mschapv2")
        #expect(found.first?.severity == .warning)
        var choices = ClientChoices()
        choices.eap = ["mschapv2", "gtc"]
        try await office.perform(SetClient(client: "office", choices: choices))
        #expect(try await !kinds(office, about: "office").contains(.eapMD5))
    }

    @Test func aBackupThatIsOldIsRemindedOf() async throws {
        let now = Office.start
        #expect(BackupCheck.findings(last: nil, users: 0, now: now).isEmpty, "nothing to lose yet")
        #expect(BackupCheck.findings(last: nil, users: 1, now: now).map(\.kind) == [.backupNone])
        let week = Timestamp.Span.minutes(8 * 24 * 60)
        #expect(BackupCheck.findings(last: now - week, users: 1, now: now).map(\.kind) == [.backupRight])
        let old = BackupCheck.findings(last: now - week - .seconds(1), users: 1, now: now)
        #expect(old.map(\.kind) == [.backupOld] && old[0].severity == .warning && old[0].text.contains("8 days"))
        #expect(BackupCheck.findings(last: now + .seconds(9), users: 1, now: now).map(\.kind) == [.backupRight], "a clock set back")
    }

    @Test func aClientThatDeniesWithoutAPolicyIsNamed() async throws {
        let office = try Office()
        try await office.perform(
            office.client {
                $0.messageAuthenticator = "require"
                $0.requirement = "deny"
            })
        #expect(try await kinds(office, about: "office") == [.nobodyLetIn])
        let client = try #require(try office.records.clients().first)
        var rule = PolicyRule(name: "staff", requirement: .passwordAndFactor)
        let table = { (rule: PolicyRule) in PolicyTable([Policy(id: 1, revision: 1, rule: rule)]) }
        let named = { (rule: PolicyRule) in
            ClientCheck.findings([client], pinned: [], policies: table(rule)).contains { $0.kind == .nobodyLetIn }
        }
        #expect(!named(rule))
        rule.when.clients = [client.id + 1]
        #expect(named(rule), "of another client")
        rule.when.clients = [client.id]
        #expect(!named(rule))
        rule.isReportOnly = true
        #expect(named(rule), "a report-only one opens nothing")
        #expect(named(PolicyRule(name: "none", requirement: .deny)))
    }

    @Test func aPinnedSourceIsProof() async throws {
        let office = try Office()
        try await office.perform(office.client())
        #expect(try await kinds(office, about: "office") == [.authenticatorUnproven])
        let client = try #require(try office.records.client(name: "office"))
        try await office.records.addPin(
            client: client.id, address: NetworkAddress(v4: 0xC000_0207), at: Office.start, event: Event(.clientPinned, at: Office.start))
        #expect(try await kinds(office, about: "office").isEmpty)
    }

    @Test func activeUsersWithoutASecondFactorAreCounted() async throws {
        let office = try Office()
        for name in ["alice", "bob", "carol"] { _ = try await office.perform(AddUser(name: name)) }
        _ = try await office.perform(AddFactor(user: "alice", kind: "totp"))
        // Recovery codes alone are no second factor.
        _ = try await office.perform(AddRecoveryCodes(user: "bob"))
        let finding = try #require(try await findings(office).first { $0.kind == .factorMissing })
        #expect(finding.text.hasPrefix("2 of 3 active users have"))
        for name in ["bob", "carol"] {
            var change = SetUser(user: name)
            change.status = "disabled"
            _ = try await office.perform(change)
        }
        #expect(try await kinds(office).contains(.usersRight))
    }

    @Test func aClockThatWasSetBackIsSeenInTheTrail() async throws {
        let office = try Office()
        _ = try await office.perform(AddUser(name: "alice"))
        office.clock.value.withLock { $0 = $0 - .seconds(4) }
        #expect(try await !kinds(office).contains(.clockBehindTrail))
        office.clock.value.withLock { $0 = $0 - .minutes(60) }
        let finding = try #require(try await findings(office).first { $0.kind == .clockBehindTrail })
        #expect(finding.severity == .problem && finding.text.contains("3604 seconds"))
    }

    @Test func aDatabaseThatCannotBeTrustedIsAProblem() throws {
        var examination = DatabaseExamination()
        let office = try Office()
        let health = office.records.health()
        #expect(DatabaseCheck.findings(examination, health: health).map(\.kind) == [.databaseRight])
        examination.isElsewhere = true
        let elsewhere = DatabaseCheck.findings(examination, health: health)
        #expect(elsewhere.map(\.kind) == [.databaseRight, .databaseElsewhere] && elsewhere[1].severity == .note)
        examination.isElsewhere = false
        examination.isComplete = false
        #expect(DatabaseCheck.findings(examination, health: health).map(\.kind) == [.databaseRight, .databaseUnchecked])
        examination.damage = ["row 3 missing from index"]
        examination.isDurable = false
        examination.journalBytes = 1 << 30
        var broken = health
        (broken.isUsable, broken.problem) = (false, "full: database or disk is full")
        #expect(
            DatabaseCheck.findings(examination, health: broken).map(\.kind) == [
                .databaseUnwritable, .databaseDamaged, .databaseNotDurable, .journalLarge, .databaseUnchecked,
            ])
    }

    @Test func theTimeForTheDatabaseHasABound() async throws {
        let office = try Office()
        #expect(await office.kind(of: ExamineNode(seconds: 601)) == .invalid)
        #expect(await office.kind(of: ExamineNode(seconds: 600)) == nil)
    }
}
