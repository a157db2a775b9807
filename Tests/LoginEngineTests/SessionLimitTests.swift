// SPDX-License-Identifier: Apache-2.0
// How many sessions a user may have: who says so, what counts, and what becomes of a login that would be one too many.

import LoginEngine
import TestSupport
import Testing

@Suite struct SessionLimitTests {
    let now = TestClock.start

    // MARK: What counts

    private func claim(_ station: String? = "198.51.100.7", sessionID: String? = nil, client: Int64 = 1) -> SessionClaim {
        SessionClaim(SessionLimit(1, .user), client: client, station: station, sessionID: sessionID, at: now.wall)
    }

    private func session(
        _ station: String?, _ id: String = "a", client: Int64 = 1, began: Int64 = -3600, heard: Int64 = -3600
    ) -> SessionClaim.Other {
        SessionClaim.Other(
            isClaim: false, client: client, station: station, sessionID: id, began: now.wall + .seconds(began),
            heard: now.wall + .seconds(heard))
    }

    private func claimed(_ station: String?, _ id: String? = nil, client: Int64 = 1) -> SessionClaim.Other {
        SessionClaim.Other(isClaim: true, client: client, station: station, sessionID: id, began: now.wall, heard: now.wall)
    }

    @Test func whatIsOpenElsewhereCounts() {
        #expect(claim().count(beside: []) == 0)
        #expect(claim().count(beside: [session("203.0.113.9")]) == 1)
        // The same station at another gateway is another connection.
        #expect(claim().count(beside: [session("198.51.100.7", client: 2)]) == 1)
        #expect(claim().count(beside: [session("203.0.113.9"), session("203.0.113.10", "b"), claimed("203.0.113.11")]) == 3)
    }

    @Test func aDeviceThatComesBackReplacesItsSession() {
        #expect(claim().count(beside: [session("198.51.100.7")]) == 0)
        #expect(claim().count(beside: [session("198.51.100.7"), session("203.0.113.9", "b")]) == 1)
        // Both of its dead sessions, of which nothing was heard since.
        #expect(claim().count(beside: [session("198.51.100.7", began: -900, heard: -600), session("198.51.100.7", "b", began: -60)]) == 0)
        #expect(claim().count(beside: [claimed("198.51.100.7")]) == 0)
    }

    /// Two devices behind one address are told by the news of the older session.
    @Test func anOlderSessionOfAStationThatLivesCountsToo() {
        let older = session("198.51.100.7", began: -900, heard: -60)
        #expect(claim().count(beside: [older, session("198.51.100.7", "b", began: -600)]) == 1)
        #expect(claim("203.0.113.9").count(beside: [older, session("198.51.100.7", "b", began: -600)]) == 2)
        // A record that crossed the start of the newer one proves nothing.
        let crossed = session("198.51.100.7", began: -900, heard: -540)
        #expect(claim().count(beside: [crossed, session("198.51.100.7", "b", began: -600)]) == 0)
    }

    @Test func withoutAStationEachCounts() {
        #expect(claim(nil).count(beside: [session(nil), session(nil, "b"), claimed(nil), claimed(nil)]) == 4)
        // But for the one that has the Acct-Session-Id of this login.
        #expect(claim(nil, sessionID: "b").count(beside: [session(nil), session(nil, "b")]) == 1)
        #expect(claim(nil, sessionID: "c").count(beside: [claimed(nil, "c"), claimed(nil, "d")]) == 1)
        #expect(claim(nil, sessionID: "c", client: 2).count(beside: [claimed(nil, "c")]) == 1)
    }

    @Test func aClaimOfADeviceThatIsConnectedIsNoSecondSession() {
        #expect(claim().count(beside: [session("203.0.113.9"), claimed("203.0.113.9")]) == 1)
        #expect(claim().count(beside: [claimed("203.0.113.9"), claimed("203.0.113.9")]) == 1)
        #expect(claim().count(beside: [session("203.0.113.9"), claimed("203.0.113.9", client: 2)]) == 2)
    }

    // MARK: Who says so

    @Test func theUsersOwnNumberComesFirstThenTheLeastOfTheGroupsThenThePolicys() {
        let limits = SessionLimits([(1, "staff", 3), (2, "guests", 2), (3, "all", nil), (4, "visitors", 2)])
        #expect(limits.least(of: [1, 3]) == SessionLimit(3, .group("staff")))
        #expect(limits.least(of: [4, 1, 2]) == SessionLimit(2, .group("guests")))
        #expect(limits.least(of: [3, 9]) == nil)
        #expect(SessionLimits([(3, "all", nil)]).isEmpty && SessionLimits.none.least(of: [1]) == nil)
        var rule = PolicyRule(name: "staff", requirement: .password)
        rule.mostSessions = 5
        var ruling = Ruling(requirement: .password, policy: Policy(id: 1, revision: 1, rule: rule))
        #expect(ruling.sessionLimit(own: nil) == SessionLimit(5, .policy("staff")))
        ruling.groupLimit = SessionLimit(2, .group("guests"))
        #expect(ruling.sessionLimit(own: nil) == SessionLimit(2, .group("guests")))
        #expect(ruling.sessionLimit(own: 9) == SessionLimit(9, .user))
        #expect(Ruling(requirement: .password).sessionLimit(own: nil) == nil)
    }

    @Test func onlyWhereAGroupSaysSomethingGroupsAreLookedUp() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .password }
        _ = bench.ask(bench.request(LoginBench.password, client: client))
        #expect(bench.records.change { $0.lookedUpGroups } == 0)
        bench.logins.rulebook.limits = SessionLimits([(1, "staff", 3)])
        _ = bench.ask(bench.request(LoginBench.password, client: client))
        #expect(bench.records.change { $0.lookedUpGroups } == 1)
    }

    // MARK: The login

    private func login(most: Int?, _ change: (inout LoginRequest) -> Void = { _ in }) -> Login {
        var user = User(id: 1, name: "alice", status: .active, passwordHash: Secret(utf8: "phc"))
        user.mostSessions = most
        let client = LoginBench.client {
            $0.requirement = .password
            $0.helpfulMessages = true
        }
        var request = LoginRequest(
            door: .radius, client: client, name: "alice", proof: .plaintext(Secret(utf8: "pw")), callingStation: "198.51.100.7",
            gatewaySession: "7/4f2a", source: NetworkAddress(v4: 0x0A00_0001), fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
        request.namesSession = true
        change(&request)
        return Login(
            id: LoginID(Bits128(high: 0, low: 9)), request: request, nameKey: "alice", facts: LoginFacts(user: user),
            failures: SubjectFailures(records: []), rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: now)
    }

    private func handle(_ login: inout Login, _ input: Login.Input) -> [Login.Action] {
        var random = SeededRandom(seed: 1)
        return login.handle(input, now: now, random: &random, seal: PlainSeal())
    }

    private func settlement(_ login: inout Login) throws -> Settlement {
        #expect(handle(&login, .started) == [.checkPassword(Secret(utf8: "pw"))])
        guard case .settle(let settlement)? = handle(&login, .passwordChecked(.right)).first else { throw NoSettlement() }
        return settlement
    }

    private struct NoSettlement: Error {}

    @Test func theAcceptClaimsItsSession() throws {
        var limited = login(most: 2)
        #expect(
            try settlement(&limited).claim
                == SessionClaim(
                    SessionLimit(2, .user), client: LoginBench.client().id, station: "198.51.100.7", sessionID: "4f2a", at: now.wall))
        var free = login(most: nil)
        #expect(try settlement(&free).claim == nil)
    }

    @Test(arguments: [("7/4f2a", "4f2a"), ("/a/b", "a/b"), ("7#ff.1", nil), ("7", nil)] as [(String, String?)])
    func theAcctSessionIdIsReadFromWhatTheDoorJoined(joined: String, id: String?) throws {
        var login = login(most: 1) {
            $0.gatewaySession = joined
            $0.namesSession = joined != "7"
        }
        #expect(try settlement(&login).claim?.sessionID == id)
    }

    @Test func oneSessionTooManyIsRefusedWithTheNumberInTheSteps() throws {
        var login = login(most: 2)
        _ = try settlement(&login)
        let actions = handle(&login, .settled(.tooManySessions(open: 2)))
        guard case .answer(.reject(_, let message, _))? = actions.first, case .record(let event)? = actions.last, actions.count == 2 else {
            Issue.record("\(actions)")
            return
        }
        #expect(message == RejectReason.tooManySessions.userSentence)
        #expect(event.reason == "too-many-sessions" && event["steps"] == "+0 password-right; +0 sessions 2 of 2 by user")
    }

    /// A recovery code is counted before it is tried; one that was right was no guess.
    @Test func aRecoveryCodeThatWasRightIsNotCounted() {
        let user = User(id: 1, name: "alice", status: .active, passwordHash: Secret(utf8: "phc"))
        let codes = Factor(id: 11, kind: .recovery, label: "", state: .active, secret: Secret([]))
        let request = LoginRequest(
            door: .radius, client: LoginBench.client { $0.asking = .append }, name: "alice", proof: .plaintext(Secret(utf8: "pw,ABCDE")),
            source: NetworkAddress(v4: 0x0A00_0001), fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
        var ruling = Ruling.own(of: request.client)
        ruling.groupLimit = SessionLimit(1, .group("staff"))
        var login = Login(
            id: LoginID(Bits128(high: 0, low: 9)), request: request, nameKey: "alice", facts: LoginFacts(user: user, factors: [codes]),
            ruling: ruling, failures: SubjectFailures(records: []), rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: now)
        _ = handle(&login, .started)
        _ = handle(&login, .codesRead([Login.CodeReading(.right(.recovery(factor: 11, hash: [1])), factor: 11)]))
        #expect(handle(&login, .passwordChecked(.right)).first == .countFailure(.recovery))
        #expect(handle(&login, .settled(.tooManySessions(open: 1))).first == .forgive([.recovery]))
    }
}
