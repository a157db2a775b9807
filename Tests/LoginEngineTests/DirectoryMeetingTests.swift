// SPDX-License-Identifier: Apache-2.0
// Logins at directories that tell who somebody is: what is new is written first, and the login is judged by it.

import LoginEngine
import TestSupport
import Testing

@Suite struct DirectoryMeetingTests {
    private static let directory: Int64 = 7
    private static let group: Int64 = 3

    private static let person = DirectoryPerson(
        directory: directory, directoryName: "corp", key: "k1", name: "bob", groups: ["VPN"], creates: true)

    private static var bob: User {
        var user = User(id: 2, name: "bob", status: .active, passwordHash: nil)
        user.directory = directory
        user.home = .directory(directory)
        return user
    }

    private let theirs = ScriptedPasswords.strangersPassword

    /// A client of the directory, where the group needs a password alone and everybody else is denied.
    private func bench(
        _ meeting: @escaping @Sendable (inout MemoryRecords.Tables, DirectoryMeeting) -> MeetingOutcome
    ) -> (LoginBench, Client) {
        let bench = LoginBench()
        bench.passwords.know(Self.person)
        bench.records.change { $0.meeting = meeting }
        var vpn = PolicyRule(name: "vpn", requirement: .password)
        vpn.when.groups = [Self.group]
        bench.logins.rulebook = Rulebook(
            policies: PolicyTable([
                Policy(id: 1, revision: 1, rule: vpn), Policy(id: 2, revision: 1, rule: PolicyRule(name: "rest", requirement: .deny)),
            ]),
            homes: HomeTable(groups: [], directories: [Self.directory: "corp"], creating: [Self.directory]))
        return (bench, LoginBench.client { $0.home = .directory(Self.directory) })
    }

    @Test func aNewcomerIsMadeAUserAndThenJudgedByHerGroups() {
        let (bench, client) = bench { tables, meeting in
            #expect(meeting.user == nil && meeting.typed == "bob" && meeting.person == Self.person)
            tables.users["bob"] = Self.bob
            tables.groups[2] = [Self.group]
            return .changed(key: "bob")
        }
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client))?.isAccept == true)
        #expect(bench.passwords.checks == ["bob"], "one attempt binds once")
        #expect(bench.records.events.last?.user == 2)
    }

    @Test func withoutAGroupThatLetsInANewcomerIsAUserAndDenied() {
        let (bench, client) = bench { tables, _ in
            tables.users["bob"] = Self.bob
            return .changed(key: "bob")
        }
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client))?.isAccept != true)
        #expect(bench.rejections == ["denied-by-policy"])
    }

    /// The user is known only behind the password, by a spelling that nobody had.
    @Test func whoIsMetIsJudgedByThePoliciesOfTheUser() {
        let (bench, client) = bench { tables, _ in
            tables.users["bob"] = Self.bob
            tables.groups[2] = [Self.group]
            return .changed(key: "bob")
        }
        var out = PolicyRule(name: "out", requirement: .deny)
        out.when.users = [2]
        var rest = PolicyRule(name: "rest", requirement: .password)
        rest.when.groups = [Self.group]
        bench.logins.rulebook.policies = PolicyTable([Policy(id: 1, revision: 1, rule: out), Policy(id: 2, revision: 1, rule: rest)])
        #expect(bench.ask(bench.request(theirs, name: "corp.example\\bob", client: client))?.isAccept != true)
        #expect(bench.rejections == ["denied-by-policy"])
    }

    @Test func aWrongPasswordMeetsNobody() {
        let (bench, client) = bench { _, _ in
            Issue.record("met by a wrong password")
            return .same
        }
        #expect(bench.ask(bench.request("wrong", name: "bob", client: client))?.isAccept != true)
        #expect(bench.rejections == ["wrong-password"])
    }

    @Test(arguments: [
        MeetingOutcome.same, .refused(.directoryNameTaken), .failed(.databaseUnavailable), .changed(key: "bob"), .changed(key: "alice"),
    ])
    func whoeverDidNotBecomeAUserOfThatDirectoryIsNotLetIn(outcome: MeetingOutcome) {
        let (bench, client) = bench { _, _ in outcome }
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client))?.isAccept != true)
        #expect(bench.accepts == 0 && bench.passwords.checks.count == 1)
    }

    @Test func groupsThatAreGoneLetNobodyInAnyMore() {
        let (bench, client) = bench { tables, meeting in
            guard tables.groups[2] != nil else { return .same }
            #expect(meeting.user == 2)
            tables.groups[2] = nil
            return .changed(key: "bob")
        }
        bench.records.change { tables in
            tables.users["bob"] = Self.bob
            tables.groups[2] = [Self.group]
        }
        bench.passwords.take(password: theirs, of: 2)
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client))?.isAccept != true)
        #expect(bench.rejections == ["denied-by-policy"])
    }

    @Test func aClientThatAsksForCodesAloneSendsNoneToADirectory() {
        let (bench, _) = bench { _, _ in .same }
        let client = LoginBench.client { settings in
            settings.home = .directory(Self.directory)
            settings.requirement = .factor
        }
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client))?.isAccept != true)
        #expect(!bench.passwords.checks.contains("bob"))
    }

    @Test(arguments: [RejectReason.accountDisabled, .accountLocked, .notInDirectory]) func whatIsNoGuessIsNotCountedAsOne(
        reason: RejectReason
    ) {
        var user = Self.bob
        user.directory = Self.directory
        let request = LoginBench().request("pw", name: "bob", client: LoginBench.client())
        var login = Login(
            id: LoginID(Bits128(high: 0, low: 9)), request: request, nameKey: "bob", facts: LoginFacts(user: user),
            failures: SubjectFailures(records: []), rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: TestClock.start)
        var random = SeededRandom(seed: 1)
        _ = login.handle(.started, now: TestClock.start, random: &random, seal: PlainSeal())
        let actions = login.handle(.passwordChecked(.refused(reason)), now: TestClock.start, random: &random, seal: PlainSeal())
        let counted = actions.compactMap { if case .countFailure(let kind) = $0 { kind } else { nil } }
        #expect(counted == (reason == .notInDirectory ? [.passwordFromSource] : []))
        #expect(!actions.contains { if case .rememberWrongProof = $0 { true } else { false } })
    }
}
