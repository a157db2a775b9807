// SPDX-License-Identifier: Apache-2.0
// Names that nobody has here: refused, unless the client's administrator lets a directory decide about them alone.

import LoginEngine
import TestSupport
import Testing

@Suite struct PassThroughTests {
    typealias Realm = PassThroughRule.Realm

    private static func rules(_ texts: String...) -> [PassThroughRule] {
        texts.compactMap { Realm($0) }.enumerated().map { PassThroughRule($1, directory: Int64($0) + 7) }
    }

    private func client(_ rules: [PassThroughRule] = Self.rules("corp.example", "*"), _ change: (inout ClientSettings) -> Void = { _ in })
        -> Client
    {
        LoginBench.client { settings in
            settings.passThrough = rules
            change(&settings)
        }
    }

    private let theirs = ScriptedPasswords.strangersPassword

    // MARK: Which names

    @Test(arguments: [
        ("bob@corp.example", "bob", Int64(7)), ("Bob@CORP.example", "Bob", 7), ("LAB\\Bob", "Bob", 8), ("bob j", "bob j", 9),
        ("lab\\bob", "bob", 8), ("bob@lab.example", "bob@lab.example", 9), ("bob", "bob", 9), ("@corp.example", "@corp.example", 9),
        ("LAB\\", "LAB\\", 9), ("bob@corp.example.evil", "bob@corp.example.evil", 9),
    ])
    func theFirstRuleThatFitsCounts(name: String, sent: String, directory: Int64) {
        let client = client(Self.rules("corp.example", "LAB\\", "*"))
        let stranger = client.settings.stranger(named: name, lookupKey: "x")
        #expect(stranger?.name == sent && stranger?.rule.directory == directory)
    }

    @Test func withoutARuleForAllAnotherNameFitsNone() {
        #expect(client(Self.rules("corp.example")).settings.stranger(named: "bob", lookupKey: "bob") == nil)
    }

    @Test(arguments: ["", "a@b", "a b", "a=b", "a,b", "\\", "a\\b", "**", "a\u{7}", String(repeating: "a", count: 129)])
    func whatIsNoRealmIsNotRead(text: String) {
        #expect(Realm(text) == nil)
    }

    @Test(arguments: ["*", "corp.example", "corp\\", String(repeating: "a", count: 128)]) func aRealmIsWrittenAsItIsRead(text: String) {
        #expect(Realm(text)?.description == text)
    }

    // MARK: The decision

    @Test(arguments: Requirement.allCases) func theDirectoryAloneDecides(requirement: Requirement) {
        let bench = LoginBench()
        let client = client { $0.requirement = requirement }
        let answer = bench.ask(bench.request(theirs, name: "bob@corp.example", client: client))
        let isOpen = requirement != .deny && !requirement.asksCertificate
        #expect(answer?.isAccept == isOpen, "what is denied to everybody stays denied, and no password is a certificate")
        #expect(bench.passwords.checks == (isOpen ? ["bob"] : ["nobody"]))
        #expect(bench.passwords.directories == (isOpen ? [7] : [nil]))
        guard isOpen else {
            #expect(bench.rejections == ["unknown-user"])
            return
        }
        let event = bench.records.events.last
        #expect(event?.kind == .loginAccepted && event?.user == nil)
        #expect(event?["pass-through"] == "corp.example" && event?["directory"] == "? (realm corp.example)")
        #expect(event?["steps"]?.contains("passed-through") == true)
    }

    @Test func aUserOfThisServerIsNeverPassedThrough() {
        let bench = LoginBench()
        let answer = bench.ask(bench.request(theirs, client: client()))
        #expect(answer?.isReject == true && bench.passwords.directories == [nil])
        #expect(bench.ask(bench.request(LoginBench.password, client: client()))?.challenge != nil)
    }

    @Test(arguments: ["CORP\\alice", "alice@corp.example", "LAB\\Alice@corp.example", "alice@lab.example"])
    func norIsOneByAnotherWayOfWritingTheName(name: String) {
        let bench = LoginBench()
        let client = client(Self.rules("corp.example", "CORP\\", "*"))
        #expect(bench.ask(bench.request(theirs, name: name, client: client))?.isReject == true)
        #expect(bench.passwords.directories == [nil] && bench.rejections == ["unknown-user"], "her second factor would be gone round")
    }

    @Test(arguments: [
        "CORP\\CORP\\alice", "alice@corp.example@corp.example", "alice@corp.example@lab.example", "Z1\\bob@corp.example", "Z1\\Z2\\bob",
        "\u{E1}lice", "a\u{301}lice", "alice\u{FE0F}", "\u{101}lice@corp.example", "CORP\\\u{E0}lice", "alice\u{FF20}corp.example",
        "al\u{34F}ice", "bob  j", "CORP\\bob  j",
    ])
    func whatAnotherServerCouldTakeForAUserIsAskedOfNone(name: String) {
        let bench = LoginBench()
        let client = client(Self.rules("corp.example", "CORP\\", "*"))
        #expect(bench.ask(bench.request(theirs, name: name, client: client))?.isReject == true)
        #expect(bench.passwords.directories == [nil] && bench.rejections == ["unknown-user"])
    }

    @Test func whereThatCannotBeLookedUpNobodyIsLetIn() {
        let bench = LoginBench()
        bench.records.change { $0.failsAt = $0.calls + 2 }
        #expect(bench.ask(bench.request(theirs, name: "bob@corp.example", client: client())) == .none(.databaseUnavailable))
        #expect(bench.passwords.checks.isEmpty)
    }

    @Test func withoutARuleAStrangerIsAnsweredAsEver() {
        let (plain, ruled) = (LoginBench(), LoginBench())
        for (bench, client) in [(plain, LoginBench.client()), (ruled, client(Self.rules("corp.example")))] {
            #expect(bench.ask(bench.request(theirs, name: "bob", client: client))?.message == Prompt.rejected)
            #expect(bench.rejections == ["unknown-user"] && bench.passwords.directories == [nil])
        }
        #expect(plain.records.events.map(\.details) == ruled.records.events.map(\.details))
    }

    @Test func whereFactorsAreConcealedNobodyIsPassedThrough() {
        let bench = LoginBench()
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client { $0.concealFactor = true }))?.challenge != nil)
        #expect(bench.passwords.directories == [nil])
    }

    @Test(arguments: [Requirement.password, .passwordAndFactor]) func anEmptyPasswordIsAskedOfNobody(requirement: Requirement) {
        let bench = LoginBench()
        #expect(bench.ask(bench.request("", name: "bob", client: client { $0.requirement = requirement }))?.isReject == true)
        #expect(bench.passwords.checks.isEmpty)
    }

    @Test func whereNothingHasToBeTypedEverybodyIsAskedAlike() throws {
        let bench = LoginBench()
        let client = client { $0.requirement = .factor }
        let (ours, asked) = (
            try #require(bench.ask(bench.request("", client: client))?.challenge),
            try #require(bench.ask(bench.request("", name: "bob", client: client))?.challenge)
        )
        #expect(ours.prompt == asked.prompt && ours.echo == asked.echo && ours.lifetime == asked.lifetime)
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client, handle: asked.handle))?.isReject == true)
        #expect(bench.passwords.checks.isEmpty)
        for number in 1...200 { #expect(bench.ask(bench.request("", name: "bob\(number)", client: client))?.challenge != nil) }
        #expect(bench.records.change { $0.handles.count } < 30, "invented names write few rows")
    }

    @Test func nothingIsAcceptedThatIsNotWritten() {
        let bench = LoginBench()
        bench.records.change { $0.failsAt = $0.calls + 2 }
        #expect(bench.ask(bench.request(theirs, name: "bob", client: client())) == .none(.databaseUnavailable))
    }

    @Test func whoBecomesAUserMeanwhileIsNotLetInAsAStranger() {
        let bench = LoginBench()
        bench.passwords.holdBack(true)
        let waiter = bench.send(bench.request(theirs, name: "bob", client: client()))
        bench.records.change { $0.users["bob"] = User(id: 2, name: "bob", status: .disabled, passwordHash: nil) }
        bench.passwords.holdBack(false)
        #expect(bench.answer(to: waiter)?.isReject == true)
        #expect(bench.rejections == ["changed-meanwhile"])
    }

    // MARK: Guesses

    @Test func wrongPasswordsLockTheNameAtItsSourceAndARightOneForgives() {
        let bench = LoginBench()
        let (client, limit) = (client(), LockoutRules().limit(.passwordFromSource))
        func ask(_ password: String, _ name: String = "bob@corp.example", from source: UInt32 = 1) -> LoginAnswer? {
            bench.ask(bench.request(password, name: name, client: client, source: source))
        }
        for number in 1..<limit { #expect(ask("wrong \(number)")?.isReject == true) }
        #expect(ask(theirs)?.isAccept == true)
        for number in 1...limit { #expect(ask("wrong again \(number)")?.isReject == true) }
        let asked = bench.passwords.checks.count
        #expect(ask(theirs)?.isReject == true)
        #expect(bench.rejections.last == "password-locked" && bench.passwords.checks.count == asked, "the directory is not even asked")
        #expect(ask(theirs, from: 2)?.isAccept == true, "elsewhere the person gets in")
        #expect(ask(theirs, "eve@corp.example")?.isAccept == true)
    }

    @Test func theSameNameOfTwoRealmsIsTwoPeopleWhateverIsStripped() {
        let bench = LoginBench()
        let client = client { $0.nameStripping = .realm }
        let limit = LockoutRules().limit(.passwordFromSource)
        for number in 1...limit { _ = bench.ask(bench.request("wrong \(number)", name: "bob@corp.example", client: client)) }
        #expect(bench.ask(bench.request(theirs, name: "bob@corp.example", client: client))?.isReject == true)
        #expect(bench.ask(bench.request(theirs, name: "bob@lab.example", client: client))?.isAccept == true)
    }

    @Test func aRetryOfAStrangerJoinsAndTheDirectoryIsAskedOnce() {
        let bench = LoginBench()
        bench.passwords.holdBack(true)
        let client = client()
        let waiters = (1...2).map { _ in
            bench.send(bench.request(theirs, name: "bob", client: client, station: "198.51.100.7", session: "1"))
        }
        bench.passwords.holdBack(false)
        #expect(waiters.allSatisfy { bench.answer(to: $0)?.isAccept == true })
        #expect(bench.passwords.checks == ["bob"] && bench.accepts == 1)
    }

    // MARK: Loops

    @Test func whatHasBeenThroughManyServersGoesNoFurther() {
        for hops in [LoginRequest.mostHops - 1, LoginRequest.mostHops] {
            let bench = LoginBench()
            var request = bench.request(theirs, name: "bob", client: client())
            request.hops = hops
            let answer = bench.ask(request)
            #expect(answer?.isAccept == (hops < LoginRequest.mostHops))
            guard hops == LoginRequest.mostHops else { continue }
            #expect(bench.rejections == ["proxy-loop"] && bench.passwords.checks.isEmpty)
        }
    }

    @Test func whoIsKnownHereWithoutADirectoryMayComeThroughAnyNumber() {
        let bench = LoginBench()
        var request = bench.request(LoginBench.password, client: client())
        request.hops = 40
        #expect(bench.ask(request)?.challenge != nil)
    }

    @Test func aBatchOfStrangersIsLookedUpAtOnce() {
        let bench = LoginBench()
        bench.passwords.holdBack(true)
        let client = client()
        let before = bench.records.change { $0.calls }
        bench.logins.attempt(
            ["bob@corp.example", "eve@corp.example", "alice@corp.example", "LAB\\carol"].enumerated().map { number, name in
                Attempt(request: bench.request(theirs, name: name, client: client), waiter: UInt64(number)) { _ in }
            })
        #expect(bench.records.change { $0.calls } == before + 2)
        #expect(bench.passwords.directories == [7, 7, nil, 8])
    }

    // MARK: A question of the directory's

    private let thread = SourceThread(server: "192.0.2.7:1812", state: [1, 2, 3])

    @Test func questionsToInventedNamesAreBoundedForEachClient() throws {
        let bench = LoginBench()
        bench.passwords.askStrangers(SourceQuestion(prompt: "Code?", echo: false, thread: thread))
        func ask(_ name: String, at id: Int64 = 1, handle: String? = nil) -> LoginAnswer? {
            let client = LoginBench.client(id: id) { $0.passThrough = Self.rules("*") }
            return bench.ask(bench.request(theirs, name: name, client: client, handle: handle))
        }
        let most = LoginRules().strangersChallengesPerMinute
        var first: Challenge?
        for number in 1...most {
            let asked = ask("bob\(number)")?.challenge
            #expect(asked != nil)
            first = first ?? asked
        }
        for number in 1...most { #expect(ask("eve\(number)")?.isReject == true) }
        #expect(bench.records.events.count { $0.kind == .loginChallenged } == most && bench.records.change { $0.handles.count } == most)
        #expect(Set(bench.rejections) == ["too-many-challenges"])
        #expect(ask("eve", at: 2)?.challenge != nil, "another gateway's names are asked")
        let handle = try #require(first?.handle)
        #expect(ask("bob1", handle: handle)?.isAccept == true)
        #expect(ask("carol")?.challenge != nil, "whoever answers rightly makes room")
        #expect(ask("dave")?.isReject == true)
        bench.advance(by: .seconds(60))
        #expect(ask("dave")?.challenge != nil)
    }

    private func login(_ field: String, suspended: SuspendedLogin? = nil) -> Login {
        let client = client()
        let request = LoginRequest(
            door: .radius, client: client, name: "bob", proof: .plaintext(Secret(utf8: field)), handle: suspended == nil ? nil : "h",
            source: NetworkAddress(v4: 0x0A00_0001), fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
        var facts = LoginFacts(suspended: suspended)
        facts.stranger = client.settings.stranger(named: "bob", lookupKey: "bob")
        return Login(
            id: LoginID(Bits128(high: 0, low: 9)), request: request, nameKey: "bob", facts: facts,
            failures: SubjectFailures(records: []), rules: LoginRules(), retry: nil, wasWrongJustNow: false, began: TestClock.start)
    }

    private func handle(_ login: inout Login, _ input: Login.Input) -> [Login.Action] {
        var random = SeededRandom(seed: 1)
        return login.handle(input, now: TestClock.start, random: &random, seal: PlainSeal())
    }

    @Test func itGoesToThePersonAndTheAnswerBackAndThenNothingMoreIsOwed() throws {
        var first = login(theirs)
        #expect(handle(&first, .started) == [.checkPassword(Secret(utf8: theirs))])
        let question = SourceQuestion(prompt: "Code?", echo: false, thread: thread)
        guard case .suspend(let row, _)? = handle(&first, .passwordChecked(.asks(question))).first else {
            Issue.record("not asked")
            return
        }
        #expect(row.user == nil && row.firstFactor == .asked && row.source == .asked(thread))
        var second = login("4711", suspended: row)
        #expect(handle(&second, .started) == [.answerSource(Secret(utf8: "4711"), thread)])
        guard case .settle(let settlement)? = handle(&second, .passwordChecked(.right)).first else {
            Issue.record("not settled")
            return
        }
        #expect(settlement.decision.isAccept && settlement.handle == row.handle && settlement.user == nil)
        #expect(settlement.passedThrough?.nameKeys == ["bob"] && settlement.passedThrough?.rule.directory == 8)
    }

    @Test func aHandleThatANameOfNobodyGotForShowOpensNothing() {
        var row = SuspendedLogin(
            handle: HandleID(Bits128(high: 5, low: 6)), login: LoginID(Bits128(high: 0, low: 9)), client: 1, user: nil, nameKey: "bob",
            station: nil, firstFactor: .none, issued: TestClock.start.wall, expires: TestClock.start.wall + .minutes(2))
        for first in [SuspendedLogin.FirstFactor.none, .wrong, .right] {
            row.firstFactor = first
            var login = login(theirs, suspended: row)
            guard case .settle(let settlement)? = handle(&login, .started).first else {
                Issue.record("not refused")
                continue
            }
            #expect(!settlement.decision.isAccept)
        }
    }
}
