// SPDX-License-Identifier: Apache-2.0
// Logins whose password lives elsewhere: a source that is down, one that asks something itself, one that gives attributes.

import LoginEngine
import TestSupport
import Testing

@Suite struct DirectoryLoginTests {
    let now = TestClock.start
    let token = Factor(id: 10, kind: .totp, label: "app", state: .active, secret: Secret([1]))
    let thread = SourceThread(server: "192.0.2.7:1812", state: [1, 2, 3])

    private var alice: User {
        var user = User(id: 1, name: "alice", status: .active, passwordHash: nil)
        user.directory = 7
        return user
    }

    private func login(
        _ field: String = "pw", suspended: SuspendedLogin? = nil, handle: String? = nil, _ change: (inout ClientSettings) -> Void = { _ in }
    ) -> Login {
        let request = LoginRequest(
            door: .radius, client: LoginBench.client(change), name: "alice", proof: .plaintext(Secret(utf8: field)), handle: handle,
            source: NetworkAddress(v4: 0x0A00_0001), fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
        return Login(
            id: LoginID(Bits128(high: 0, low: 9)), request: request, nameKey: "alice",
            facts: LoginFacts(user: alice, factors: [token], suspended: suspended), failures: SubjectFailures(records: []),
            rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: now)
    }

    private func handle(_ login: inout Login, _ input: Login.Input) -> [Login.Action] {
        var random = SeededRandom(seed: 1)
        return login.handle(input, now: now, random: &random, seal: PlainSeal())
    }

    private func suspended(_ actions: [Login.Action]) -> SuspendedLogin? {
        guard case .suspend(let row, _)? = actions.first else { return nil }
        return row
    }

    private func reason(_ actions: [Login.Action]) -> String? {
        for case .record(let event) in actions { return event.reason }
        for case .settle(let settlement) in actions { return settlement.event.reason }
        return nil
    }

    private var question: SourceQuestion { SourceQuestion(prompt: "Old\u{7}code?", echo: false, thread: thread) }

    @Test func aDirectoryThatIsDownIsAnsweredBySilenceAndStandsInTheTrail() {
        var login = login()
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.unreachable("nps: no answer from 192.0.2.7:1812")))
        #expect(actions.first == .answer(.none(.sourceUnreachable)), "a reject would look like a wrong password")
        #expect(reason(actions) == "password-source-unreachable")
        #expect(!actions.contains { if case .countFailure = $0 { true } else { false } })
    }

    @Test func whereReasonsAreShownTheUserReadsThatTheDirectoryIsDown() {
        var login = login { $0.helpfulMessages = true }
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.unreachable("nps: no answer")))
        #expect(actions.first == .answer(.reject(login.id, message: RejectReason.sourceUnreachable.userSentence)))
    }

    @Test func itsOwnQuestionGoesToTheUserAndItsStateStaysHere() throws {
        var login = login()
        _ = handle(&login, .started)
        let row = try #require(suspended(handle(&login, .passwordChecked(.asks(question)))))
        #expect(row.firstFactor == .asked && row.source == .asked(thread))
        guard case .answer(.challenge(_, let challenge))? = handle(&login, .suspended(nil)).first else {
            Issue.record("no challenge")
            return
        }
        #expect(challenge.prompt == "Old code?" && !challenge.echo, "control characters of somebody else's text are not passed on")
        #expect(challenge.handle == PlainSeal().text(of: row.handle))
    }

    private func row(_ first: SuspendedLogin.FirstFactor, _ source: SourceWord?) -> SuspendedLogin {
        SuspendedLogin(
            handle: HandleID(Bits128(high: 5, low: 6)), login: LoginID(Bits128(high: 0, low: 9)), client: 1, user: 1, nameKey: "alice",
            station: nil, firstFactor: first, issued: now.wall, expires: now.wall + Login.handleLife, source: source)
    }

    @Test func theAnswerGoesToTheDirectoryAndThenTheCodeIsAskedForHere() throws {
        var login = login("4711", suspended: row(.asked, .asked(thread)), handle: "h")
        #expect(handle(&login, .started) == [.answerSource(Secret(utf8: "4711"), thread)])
        let next = try #require(suspended(handle(&login, .passwordChecked(.right))))
        #expect(next.firstFactor == .right && next.source == nil)
    }

    @Test func aWrongAnswerToItIsAWrongPasswordAndUsesTheHandleUp() {
        var login = login("4712", suspended: row(.asked, .asked(thread)), handle: "h")
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.wrong))
        #expect(reason(actions) == "wrong-password")
        #expect(actions.contains(.countFailure(.password)))
        guard case .settle(let settlement)? = actions.last else {
            Issue.record("the handle stays good: \(actions)")
            return
        }
        #expect(settlement.handle == HandleID(Bits128(high: 5, low: 6)) && !settlement.decision.isAccept)
    }

    @Test func whereTheDirectoryIsSilentBetweenTheTwoTheHandleStaysGood() {
        var login = login("4711", suspended: row(.asked, .asked(thread)), handle: "h")
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.unreachable("nps")))
        #expect(actions.first == .answer(.none(.sourceUnreachable)))
        #expect(!actions.contains { if case .settle = $0 { true } else { false } })
    }

    @Test(arguments: [true, false]) func aQuestionThatCannotBePassedOnIsAReject(conceals: Bool) {
        var login = login { settings in
            settings.concealFactor = conceals
            if !conceals { settings.asking = .append }
            settings.bindBeforeCode = true
        }
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.asks(question)))
        #expect(reason(actions) == "password-source-asks-more")
    }

    @Test func onAnAppendClientNothingIsAskedThereBeforeACodeWasSeen() {
        // Every wrong password counts at the directory: a stranger must hold a code first.
        var bare = login("pw") { $0.asking = .append }
        let actions = handle(&bare, .started)
        #expect(reason(actions) == "code-missing")
        var wrong = login("pw,123456") { $0.asking = .append }
        #expect(handle(&wrong, .started) == [.readCodes(["123456"])])
        #expect(reason(handle(&wrong, .codesRead([Login.CodeReading(.wrong, factor: 10)]))) == "wrong-code")
        var right = login("pw,123456") { $0.asking = .append }
        _ = handle(&right, .started)
        let reading = Login.CodeReading(.right(.totp(factor: 10, step: 5)), factor: 10)
        #expect(handle(&right, .codesRead([reading])) == [.checkPassword(Secret(utf8: "pw"))])
    }

    @Test func whatItGaveReachesTheAcceptThroughTheChallenge() throws {
        let given: [UInt8] = [25, 4, 1, 2]
        var first = login()
        _ = handle(&first, .started)
        let row = try #require(suspended(handle(&first, .passwordChecked(.rightGiving(given)))))
        #expect(row.firstFactor == .right && row.source == .gave(given))
        var second = login("123456", suspended: row, handle: "h")
        #expect(handle(&second, .started) == [.readCodes(["123456"])])
        let actions = handle(&second, .codesRead([Login.CodeReading(.right(.totp(factor: 10, step: 5)), factor: 10)]))
        guard case .settle(let settlement)? = actions.first else {
            Issue.record("not settled: \(actions)")
            return
        }
        #expect(settlement.decision.reply == given)
    }

    @Test func aPasswordThatHasExpiredThereIsNoWrongOne() {
        var login = login()
        _ = handle(&login, .started)
        let actions = handle(&login, .passwordChecked(.expired))
        #expect(reason(actions) == "password-must-be-changed")
        #expect(!actions.contains { if case .countFailure = $0 { true } else { false } })
    }

    @Test func aWrongPasswordOfADirectoryIsNotCalledAMissingOne() {
        var login = login()
        _ = handle(&login, .started)
        #expect(reason(handle(&login, .passwordChecked(.wrong))) == "wrong-password")
    }
}
