// SPDX-License-Identifier: Apache-2.0
// The state machine alone: inputs in, actions out.

import LoginEngine
import TestSupport
import Testing

@Suite struct LoginTranscriptTests {
    let now = TestClock.start
    let alice = User(id: 1, name: "alice", status: .active, passwordHash: Secret(utf8: "phc"))
    let token = Factor(id: 10, kind: .totp, label: "app", state: .active, secret: Secret([1]))

    func login(_ field: String, facts: LoginFacts, _ change: (inout ClientSettings) -> Void = { _ in }) -> Login {
        let request = LoginRequest(
            door: .radius, client: LoginBench.client(change), name: "alice", proof: .plaintext(Secret(utf8: field)),
            source: NetworkAddress(v4: 0x0A00_0001), fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
        return Login(
            id: LoginID(Bits128(high: 0, low: 9)), request: request, nameKey: "alice", facts: facts,
            failures: SubjectFailures(records: []), rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: now)
    }

    func handle(_ login: inout Login, _ input: Login.Input) -> [Login.Action] {
        var random = SeededRandom(seed: 1)
        return login.handle(input, now: now, random: &random, seal: PlainSeal())
    }

    @Test func passwordThenCodeIsAskedForInTwoPackets() throws {
        var login = login("pw", facts: LoginFacts(user: alice, factors: [token]))
        #expect(handle(&login, .started) == [.checkPassword(Secret(utf8: "pw"))])
        let actions = handle(&login, .passwordChecked(.right))
        guard case .suspend(let row, let event)? = actions.first, actions.count == 1 else {
            Issue.record("expected one suspension, got \(actions)")
            return
        }
        #expect(row.firstFactor == .right)
        #expect(row.user == 1)
        #expect(row.expires == now.wall + Login.handleLife)
        #expect(event.kind == .loginChallenged)
        guard case .answer(.challenge(let id, let challenge))? = handle(&login, .suspended(nil)).first else {
            Issue.record("no challenge")
            return
        }
        #expect(id == login.id)
        #expect(challenge.handle == PlainSeal().text(of: row.handle))
        #expect(challenge.prompt == "Enter your code:")
    }

    @Test func aChallengeThatWasNotWrittenIsNotSent() {
        var login = login("pw", facts: LoginFacts(user: alice, factors: [token]))
        _ = handle(&login, .started)
        _ = handle(&login, .passwordChecked(.right))
        #expect(handle(&login, .suspended(.databaseUnavailable)) == [.answer(.none(.databaseUnavailable))])
    }

    @Test func aCodeAloneIsSettledBeforeItIsAccepted() throws {
        var login = login("123456", facts: LoginFacts(user: alice, factors: [token])) { $0.requirement = .factor }
        #expect(handle(&login, .started) == [.readCodes(["123456"])])
        let mark = Mark.totp(factor: 10, step: 5)
        let actions = handle(&login, .codesRead([Login.CodeReading(.right(mark), factor: 10)]))
        guard case .settle(let settlement)? = actions.first, actions.count == 1 else {
            Issue.record("expected one settlement, got \(actions)")
            return
        }
        #expect(settlement.marks == [mark])
        #expect(settlement.user == 1)
        #expect(settlement.decision.isAccept)
        #expect(settlement.event.kind == .loginAccepted)
        #expect(handle(&login, .settled(.done)) == [.forgive([]), .answer(.accept(login.id))])
    }

    @Test(arguments: [NoAnswer.databaseUnavailable, .overloaded])
    func aSettlementThatFailedIsNoAccept(cause: NoAnswer) {
        var login = login("123456", facts: LoginFacts(user: alice, factors: [token])) { $0.requirement = .factor }
        _ = handle(&login, .started)
        _ = handle(&login, .codesRead([Login.CodeReading(.right(.totp(factor: 10, step: 5)), factor: 10)]))
        #expect(handle(&login, .settled(.failed(cause))) == [.answer(.none(cause))])
    }

    @Test func unknownUserAndWrongPasswordTakeTheSameActionsInTheSameOrder() {
        var known = login("pw", facts: LoginFacts(user: alice, factors: [token]))
        var unknown = login("pw", facts: LoginFacts())
        #expect(handle(&known, .started) == handle(&unknown, .started))
        let (left, right) = (handle(&known, .passwordChecked(.wrong)), handle(&unknown, .passwordChecked(.wrong)))
        #expect(left.map(\.shape) == right.map(\.shape))
        #expect(left.contains(.answer(.reject(known.id, message: Prompt.rejected))))
        #expect(right.contains(.answer(.reject(unknown.id, message: Prompt.rejected))))
    }

    @Test func aNameThatNobodyHasIsNeverAcceptedWhateverThePortsSay() {
        var login = login("pw", facts: LoginFacts()) { $0.requirement = .password }
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.right))
        #expect(!actions.contains { if case .settle = $0 { true } else { false } })
        #expect(actions.contains(.answer(.reject(login.id, message: Prompt.rejected))))
        var factorOnly = self.login("123456", facts: LoginFacts()) { $0.requirement = .factor }
        _ = handle(&factorOnly, .started)
        let codes = handle(&factorOnly, .codesRead([Login.CodeReading(.right(.totp(factor: 10, step: 1)), factor: 10)]))
        #expect(!codes.contains { if case .settle = $0 { true } else { false } })
    }

    @Test(arguments: [(UserStatus.disabled, "user-disabled"), (.pending, "user-not-activated")])
    func aDisabledUserIsTurnedAwayAfterThePassword(status: UserStatus, reason: String) {
        var user = alice
        user.status = status
        var login = login("pw", facts: LoginFacts(user: user, factors: [token]))
        #expect(handle(&login, .started) == [.checkPassword(Secret(utf8: "pw"))])
        let actions = handle(&login, .passwordChecked(.right))
        guard case .record(let event)? = actions.last else {
            Issue.record("no event in \(actions)")
            return
        }
        #expect(event.reason == reason)
        #expect(actions.first == .answer(.reject(login.id, message: Prompt.rejected)))
    }

    @Test func aDirectoryThatIsDownIsNoFailureOfTheUser() {
        var login = login("pw", facts: LoginFacts(user: alice, factors: [token]))
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.unreachable("corp")))
        #expect(!actions.contains { if case .countFailure = $0 { true } else { false } })
        guard case .record(let event)? = actions.last else {
            Issue.record("no event in \(actions)")
            return
        }
        #expect(event.reason == "password-source-unreachable")
    }

    @Test(arguments: ["CHAP", "MS-CHAPv2", "EAP"])
    func aProtocolThatCannotBeJudgedGetsACleanReject(name: String) {
        var login = login("", facts: LoginFacts(user: alice, factors: [token]))
        login = Login(
            id: login.id,
            request: LoginRequest(
                door: .radius, client: login.client, name: "alice", proof: .unsupported(name), source: NetworkAddress(v4: 1),
                fingerprint: Fingerprint(Bits128(high: 0, low: 2))), nameKey: "alice", facts: login.facts, failures: login.failures,
            rules: login.rules, retry: nil, wasWrongJustNow: false, began: now)
        let actions = handle(&login, .started)
        guard case .record(let event)? = actions.last else {
            Issue.record("no event in \(actions)")
            return
        }
        #expect(event.reason == "protocol-not-supported")
        #expect(event["steps"] == "+0 \(name)")
    }

    @Test func lateInputsChangeNothing() {
        var login = login("pw", facts: LoginFacts(user: alice, factors: [token]))
        _ = handle(&login, .started)
        _ = handle(&login, .passwordChecked(.wrong))
        for input: Login.Input in [
            .passwordChecked(.right), .settled(.done), .suspended(nil), .holdEnded, .factorExpired,
            .factorAnswered(.approved, isHeld: true),
            .codesRead([Login.CodeReading(.right(.totp(factor: 10, step: 1)), factor: 10)]),
        ] {
            #expect(handle(&login, input) == [])
        }
    }
}

extension Login.Action {
    /// What kind of action it is, without its values.
    var shape: String {
        switch self {
        case .answer(let answer): "answer \(answer.message ?? "-")"
        default: String(String(describing: self).prefix { $0 != "(" }) + (countsKind ?? "")
        }
    }

    private var countsKind: String? {
        if case .countFailure(let kind) = self { return " \(kind)" }
        return nil
    }
}
