// SPDX-License-Identifier: Apache-2.0
// The engine's small values: names, addresses, fields, identifiers, tallies.

import LoginEngine
import TestSupport
import Testing

@Suite struct UserNameTests {
    @Test(arguments: [
        ("alice", "alice"), ("Alice", "alice"), (" alice ", "alice"), ("ALICE@Corp.Example", "alice@corp.example"),
        ("ﬁona", "fiona"), ("Ａlice", "alice"), ("JOSÉ", "josé"), ("jose\u{301}", "josé"),
    ])
    func namesAreFoundByOneKey(typed: String, key: String) {
        #expect(UserName.key(of: typed) == key)
    }

    @Test(arguments: [
        ("alice@corp.example", NameStripping.realm, "alice"), ("CORP\\alice", .domain, "alice"), ("CORP\\alice@x", .both, "alice"),
        ("CORP\\alice", .realm, "corp\\alice"), ("alice@a@b", .realm, "alice@a"),
    ])
    func realmsAndDomainsAreDroppedWhereTheClientSaysSo(typed: String, stripping: NameStripping, key: String) {
        #expect(UserName.key(of: typed, stripping: stripping) == key)
    }

    @Test(arguments: ["", " ", "al\u{0}ice", "al\nice", "\u{200B}", "@x", String(repeating: "a", count: 254)])
    func whatIsNoNameHasNoKey(typed: String) {
        #expect(UserName.key(of: typed, stripping: .realm) == nil)
    }

    @Test(
        arguments: [
            "alice", "Alice", " alice ", "ALICE@Corp.Example", "ﬁona", "Ａlice", "jose\u{301}", "CORP\\Alice@x", "CORP\\ alice", "a b", "İ",
            "",
            " ", "al\nice", "\u{200B}", "@x", "CORP\\", String(repeating: "a", count: 254), String(repeating: "ﷺ", count: 80),
        ], NameStripping.allCases)
    func theStepsEndAtTheKey(typed: String, stripping: NameStripping) {
        let reading = UserName.reading(of: typed, stripping: stripping)
        #expect(reading.key == UserName.key(of: typed, stripping: stripping))
        if let key = reading.key { #expect((reading.steps.last?.rest ?? typed) == key) }
        #expect((reading.key == nil) == (reading.problem != nil))
    }

    @Test func eachStepSaysWhatItTook() {
        let reading = UserName.reading(of: "CORP\\JOSE\u{301}@corp.example", stripping: .both)
        #expect(reading.steps.map(\.kind) == [.domain, .realm, .form, .letters])
        #expect(reading.steps.map(\.dropped) == ["CORP\\", "@corp.example", "", ""])
        #expect(reading.steps.map(\.rest) == ["JOSE\u{301}@corp.example", "JOSE\u{301}", "JOSÉ", "josé"])
        #expect(reading.key == "josé")
        #expect(UserName.reading(of: "CORP\\", stripping: .domain).problem == .empty)
        #expect(UserName.reading(of: "al\nice").problem == .control)
        #expect(UserName.reading(of: String(repeating: "a", count: 254)).problem == .tooLong)
    }
}

@Suite struct CharsetTests {
    @Test(
        arguments: [
            (.utf8, [0x6D, 0xC3, 0xBC], "mü"), (.utf8, [0x6D, 0xFC], nil), (.latin1, [0x6D, 0xFC], "mü"),
            (.latin1, [0x6D, 0xC3, 0xBC], "mÃ¼"),
            (.auto, [0x6D, 0xC3, 0xBC], "mü"), (.auto, [0x6D, 0xFC], "mü"), (.latin1, [0x80, 0x9F], "€Ÿ"), (.latin1, [0x81], nil),
            (.auto, [0x41, 0x9D], nil), (.latin1, [0xA0, 0xFF], "\u{A0}ÿ"), (.latin1, [], ""), (.auto, Array("alice".utf8), "alice"),
        ] as [(Charset, [UInt8], String?)])
    func bytesAreReadAsTheClientWritesThem(charset: Charset, bytes: [UInt8], text: String?) {
        #expect(charset.text(bytes[...]) == text)
        #expect(charset.utf8(bytes) == (text.map { Array($0.utf8) } ?? bytes))
    }

    /// What stands in the table is what iconv says of CP1252.
    @Test func everyCharacterComesBack() {
        for byte in UInt8.min...UInt8.max {
            guard let text = Charset.latin1.text([byte]) else {
                #expect([0x81, 0x8D, 0x8F, 0x90, 0x9D].contains(byte))
                continue
            }
            #expect(Charset.latin1(Array(text.utf8)) == [byte])
        }
        #expect(Charset.latin1(Array("żółw".utf8)) == nil)
        #expect(Charset.latin1([0xFF]) == nil)
        // The controls of C1 are no characters of code page 1252, nor of any keyboard.
        #expect(Charset.latin1(Array("\u{81}".utf8)) == nil)
    }
}

@Suite struct NetworkAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::1", "::1"),
        ("::", "::"), ("1::", "1::"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("fe80::1:2", "fe80::1:2"),
    ])
    func addressesReadAndPrint(text: String, printed: String) {
        #expect(NetworkAddress(text)?.description == printed)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3",
        "12345::", "g::", "1.2.3.4::", "+1::", "::1.2.3", "2001:db8::1%eth0",
    ])
    func whatIsNoAddressIsRefused(text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test func rangesHoldWhatTheyShould() throws {
        let ten = try #require(AddressRange("10.0.0.0/8"))
        #expect(ten.contains(try #require(NetworkAddress("10.255.255.255"))))
        #expect(!ten.contains(try #require(NetworkAddress("11.0.0.0"))))
        #expect(!ten.contains(try #require(NetworkAddress("::1"))))
        let all = try #require(AddressRange("0.0.0.0/0"))
        #expect(all.contains(try #require(NetworkAddress("203.0.113.9"))))
        #expect(!all.contains(try #require(NetworkAddress("2001:db8::1"))))
        #expect(try #require(AddressRange("::/0")).contains(try #require(NetworkAddress("2001:db8::1"))))
        #expect(ten.description == "10.0.0.0/8")
        #expect(AddressRange("2001:db8::/32")?.description == "2001:db8::/32")
    }

    @Test(arguments: ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "10.0.0.0/8/8"])
    func crookedRangesAreRefused(text: String) {
        #expect(AddressRange(text) == nil)
    }
}

@Suite struct PasswordFieldTests {
    private func splits(_ field: String, _ separator: Character? = ",", _ lengths: [Int] = []) -> [String] {
        PasswordField.splits(of: Secret(utf8: field), separator: separator, tailLengths: lengths).map {
            "\($0.password.revealText() ?? "?")|\($0.tail)"
        }
    }

    @Test func theShortestTailComesFirst() {
        #expect(splits("a,b,123456") == ["a,b|123456", "a|b,123456"])
    }

    @Test func edgesAreReadings() {
        #expect(splits(",123456") == ["|123456"])
        #expect(splits("a,") == ["a|"])
        #expect(splits("a") == [])
        #expect(splits("") == [])
    }

    @Test func aTailOfDigitsNeedsNoSeparatorWhereThatIsOn() {
        #expect(splits("pw123456", nil, [6]) == ["pw|123456"])
        #expect(splits("pw1234567", nil, [6, 7]) == ["pw1|234567", "pw|1234567"])
        #expect(splits("123456", nil, [6]) == [], "there must be a password")
        #expect(splits("pw12345x", nil, [6]) == [])
    }

    @Test func readingsAreBounded() {
        #expect(splits(String(repeating: ",", count: 200)).count == PasswordField.mostReadings)
        #expect(splits("a," + String(repeating: "1", count: 65)) == [])
    }

    @Test func bytesThatAreNoTextStayAPassword() {
        let field = Secret([0xFF, 0xFE, UInt8(ascii: ","), 0x31, 0x32, 0x33, 0x34, 0x35, 0x36])
        #expect(PasswordField.splits(of: field, separator: ",", tailLengths: []).map(\.tail) == ["123456"])
        #expect(PasswordField.splits(of: Secret([0x2C, 0xFF]), separator: ",", tailLengths: []) == [])
    }

    @Test(arguments: [
        ("secret,123456", true), ("secret,push", true), ("secret,sp-0000-1111-2222-3333", true), ("secret,word", false),
        ("secret123456", false), ("secret", false), ("a,12345678", true), ("a,123456789", false),
    ])
    func aPasswordThatWouldBeCutIsKnown(password: String, isCut: Bool) {
        #expect(PasswordField.tailReadsAsFactor(Secret(utf8: password), separator: ",", fixedLengthTail: false) == isCut)
    }

    @Test func aPasswordThatEndsInDigitsIsCutWhereATailNeedsNoSeparator() {
        #expect(PasswordField.tailReadsAsFactor(Secret(utf8: "secret123456"), separator: nil, fixedLengthTail: true))
        #expect(!PasswordField.tailReadsAsFactor(Secret(utf8: "secret12345"), separator: nil, fixedLengthTail: true))
    }

    @Test(arguments: [("push", "push", 1), (" PUSH2 ", "push", 2), ("sms", "sms", 1), ("email10", "email", 10)])
    func keywordsAreRead(text: String, word: String, index: Int) {
        #expect(Keyword(text)?.word == word)
        #expect(Keyword(text)?.index == index)
    }

    @Test(arguments: ["", "pushy", "push0", "push123", "pu sh", "2push", String(repeating: "push", count: 10)])
    func whatIsNoKeywordIsNone(text: String) {
        #expect(Keyword(text) == nil)
    }
}

@Suite struct IdentifierTests {
    @Test func aLoginIsFoundByTheBeginningOfItsText() throws {
        var random = SeededRandom(seed: 3)
        for _ in 0..<200 {
            let id = LoginID(Bits128(random: &random))
            #expect(id.description.count == 26)
            for length in [1, 5, 13, 14, 25, 26] {
                let range = try #require(LoginID.range(ofPrefix: String(id.description.prefix(length))))
                #expect(range.contains(id.bits))
            }
            let whole = try #require(LoginID.range(ofPrefix: id.description))
            #expect(whole.lowerBound == id.bits && whole.upperBound == id.bits)
        }
    }

    @Test func misreadLettersAreForgiven() {
        #expect(LoginID.range(ofPrefix: "O1L") == LoginID.range(ofPrefix: "011"))
        #expect(LoginID.range(ofPrefix: "u") == nil)
        #expect(LoginID.range(ofPrefix: "") == nil)
    }

    @Test func bytesAndBitsAreOne() throws {
        let bytes = (0..<16).map { UInt8($0 * 16 + 1) }
        #expect(try #require(Bits128(bytes)).bytes == bytes)
        #expect(Bits128(bytes.dropLast()) == nil)
        #expect(Bits128(bytes + [0]) == nil)
    }
}

@Suite struct SecretTests {
    @Test func aSecretCannotBePrinted() {
        let secret = Secret(utf8: "hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])", "\(Optional(secret) as Any)"] {
            #expect(!text.contains("hunter2"))
            #expect(!text.contains("104"), "nor its bytes")
        }
        let client = LoginBench.client { $0.secret = Secret(utf8: "hunter2") }
        #expect(!"\(client.settings)".contains("hunter2"))
    }

    @Test func equalMeansEqual() {
        #expect(Secret(utf8: "a") == Secret(utf8: "a"))
        #expect(Secret(utf8: "a") != Secret(utf8: "b"))
        #expect(Secret(utf8: "a") != Secret(utf8: "ab"))
    }
}

@Suite struct RejectTallyTests {
    private func event(_ reason: String) -> Event {
        Event(.loginRejected, at: TestClock.start.wall, source: NetworkAddress(v4: 1), reason: reason)
    }

    @Test func equalRejectsBeyondFiveBecomeOneEventWithACount() {
        var tally = RejectTally(capacity: 10)
        let written = (0..<100).count { _ in tally.count(event("wrong-code"), subject: .user(1)) }
        #expect(written == 5)
        let summaries = tally.flush(at: TestClock.start.wall)
        #expect(summaries.map { $0["count"] } == ["95"])
        #expect(summaries.first?.kind == .loginsRejected)
        #expect(tally.isEmpty)
    }

    @Test func differentOnesAreWrittenEachAndBounded() {
        var tally = RejectTally(capacity: 10)
        let written = (0..<100_000).count { tally.count(event("unknown-user"), subject: .nobody("n\($0)")) }
        #expect(written == 10)
        #expect(tally.flush(at: TestClock.start.wall).compactMap { $0["count"] } == ["99990"])
    }

    @Test func sprayingWritesLittleAndCountsAll() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        for _ in 0..<200 { _ = bench.ask(bench.request("900000", client: client)) }
        bench.advance(by: .seconds(61))
        let rejected = bench.records.events.filter { $0.kind == .loginRejected }.count
        let counted = bench.records.events.filter { $0.kind == .loginsRejected }.compactMap { $0["count"].flatMap { Int($0) } }.reduce(0, +)
        #expect(rejected <= 6)
        #expect(rejected + counted == 200)
    }

    /// Invented names by the thousand take the room of strangers alone: what is tried on a user's name stays told under that name.
    @Test func strangersDoNotHideWhatIsTriedOnAUser() {
        let bench = LoginBench()
        let client = LoginBench.client { $0.requirement = .factor }
        for number in 0..<6_000 { _ = bench.ask(bench.request("900000", name: "x\(number)", client: client)) }
        for _ in 0..<20 { _ = bench.ask(bench.request("900000", client: client)) }
        bench.advance(by: .seconds(61))
        let events = bench.records.events.filter { $0.user == LoginBench.aliceID }
        #expect(events.contains { $0.kind == .loginRejected })
        let told = events.reduce(0) { $0 + ($1.kind == .loginsRejected ? $1["count"].flatMap { Int($0) } ?? 0 : 1) }
        #expect(told == 20)
    }
}

@Suite struct DeadlinesTests {
    @Test func whatIsDueRunsInOrder() {
        let clock = TestClock()
        let deadlines = Deadlines { clock.now }
        let log = Log()
        for seconds in [5, 1, 3, 2, 4] as [Int64] {
            deadlines.schedule(at: clock.now.uptime + .seconds(seconds)) { _ in log.add(seconds) }
        }
        clock.advance(by: .seconds(3))
        deadlines.fire()
        #expect(log.entries == [1, 2, 3])
        #expect(deadlines.count == 2)
    }

    final class Log: @unchecked Sendable {
        // Only `fire`, on the test's own thread, writes here.
        private(set) var entries: [Int64] = []
        func add(_ entry: Int64) { entries.append(entry) }
    }
}
