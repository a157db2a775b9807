// SPDX-License-Identifier: Apache-2.0
// The load generator's own figures: who measures has to be measured.

import Directories
import LoginEngine
import OTP
import RADIUS
import Testing

@testable import sallyport

@Suite struct LoadFigureTests {
    // MARK: Latencies

    @Test(arguments: [0, 1, 63, 64, 65, 127, 128, 1_000, 4_095, 4_096, 999_999, 1 << 40, UInt64.max] as [UInt64])
    func everyLatencyLiesInItsBucket(_ value: UInt64) {
        let index = LatencyHistogram.index(value)
        let upper = LatencyHistogram.upperBound(index)
        #expect(value <= upper)
        #expect(index == 0 || value > LatencyHistogram.upperBound(index - 1))
        #expect(Double(upper - value) <= Double(value) / 32 + 1, "at most 3% too high")
    }

    @Test func percentilesAreThoseOfTheValues() throws {
        var histogram = LatencyHistogram()
        #expect(histogram.microseconds(at: 0.5) == nil)
        for value in 1...1_000 as ClosedRange<UInt64> { histogram.add(nanoseconds: value * 1_000) }
        #expect(histogram.count == 1_000)
        for (share, exact) in [(0.5, 500.0), (0.99, 990), (0.999, 999), (1, 1_000)] {
            let told = try #require(histogram.microseconds(at: share))
            #expect(told >= exact && told <= exact * 1.04, "\(share): \(told)")
        }
        // One slow login in a hundred is not hidden by the fast ones.
        var slow = LatencyHistogram()
        for _ in 0..<98 { slow.add(nanoseconds: 1_000) }
        for _ in 0..<2 { slow.add(nanoseconds: 1_000_000_000) }
        #expect(try #require(slow.microseconds(at: 0.99)) > 900_000)
        #expect(try #require(slow.microseconds(at: 0.98)) < 2)
    }

    // MARK: Pace

    @Test func requestsAreDueEvenlyAndNoneIsForgotten() {
        var pace = Pace(from: 1_000, perSecond: 1_000_000)
        #expect(pace.take(at: 999) == nil)
        #expect(pace.take(at: 1_000) == 1_000)
        #expect(pace.take(at: 1_000) == nil)
        #expect(pace.nextDue == 2_000)
        // After a standstill all that came due meanwhile is there, each with its own time.
        let due = (0..<10).map { _ in pace.take(at: 6_500) }
        #expect(due == [2_000, 3_000, 4_000, 5_000, 6_000, nil, nil, nil, nil, nil])
        #expect(pace.taken == 6)
    }

    @Test func burstsAreDueAtOnceAndHoldTheRate() {
        var pace = Pace(from: 1_000, perSecond: 1_000_000, burst: 4)
        #expect((0..<5).map { _ in pace.take(at: 1_000) } == [1_000, 1_000, 1_000, 1_000, nil])
        #expect(pace.nextDue == 5_000)
        #expect(pace.take(at: 4_999) == nil)
        #expect((0..<5).map { _ in pace.take(at: 5_000) } == [5_000, 5_000, 5_000, 5_000, nil])
    }

    @Test func rateIsHeldOverALongTime() {
        var pace = Pace(from: 0, perSecond: 33_333)
        var count = 0
        for now in stride(from: 0 as UInt64, through: 10_000_000_000, by: 1_000_000) {
            while pace.take(at: now) != nil { count += 1 }
        }
        #expect(abs(count - 333_330) <= 1)
    }

    // MARK: Codes

    private func users(_ count: Int) -> BenchUsers { BenchUsers(prefix: "u", count: count, seed: 1) }

    @Test func codesAreThoseOfTheUsersKeysWhetherComputedBeforeOrLate() throws {
        let users = users(3)
        var book = try CodeBook(users, .code, firstCounter: 5, ahead: 4)
        var places: [Int] = []
        for _ in 0..<9 {
            let (user, place) = book.next()
            places.append(user)
            let counter = UInt64(5 + place / 3)
            let code = book.code(of: user, place: place, now: 0)
            #expect(String(decoding: code, as: UTF8.self) == (try users.hotp(user)).code(counter: counter))
        }
        #expect(places == [0, 1, 2, 0, 1, 2, 0, 1, 2])
        // Four codes ahead make two whole rounds; the third was late.
        #expect(book.late == 3)
        #expect(book.nextCounter == 8)
    }

    @Test func anUnfinishedRoundIsLeftBehind() throws {
        var book = try CodeBook(users(4), .code, firstCounter: 0, ahead: 4)
        for _ in 0..<5 { _ = book.next() }
        #expect(book.nextCounter == 2, "user 0 has used counter 1")
    }

    @Test func leadingZerosAreKept() {
        #expect(CodeBook.digits(CodeBook.number("000123")) == Array("000123".utf8))
    }

    @Test func strangersHaveOtherNames() throws {
        let users = users(2)
        let book = try CodeBook(users, .unknown, firstCounter: 0, ahead: 0)
        let names = (0..<2).map { String(decoding: book.name(of: $0), as: UTF8.self) }
        #expect(Set(names).isDisjoint(with: (0..<2).map { users.name($0) }))
    }

    // MARK: Packets

    @Test func requestsAreWholeAndAForgedOneFailsByItsSignatureAlone() throws {
        let secret = try #require(SharedSecret(Array("a shared secret".utf8)))
        let forge = RequestForge(secret)
        let authenticator = Authenticator(high: 3, low: 4)
        for isForged in [false, true] {
            var bytes: [UInt8] = [9, 9]
            forge.write(
                identifier: 7, authenticator: authenticator, name: Array("u1".utf8), proof: .password(Array("a longer proof than 16".utf8)),
                state: [1, 2, 3], proxyState: [4, 5], isForged: isForged, to: &bytes)
            let packet = try Packet(decoding: Array(bytes.dropFirst(2)).span)
            #expect(packet.identifier == 7)
            #expect(packet.hasValidMessageAuthenticator(secret: secret) != isForged)
            #expect(try packet.password(secret: secret) == Array("a longer proof than 16".utf8))
        }
    }

    @Test func passwordsAreProvenByCHAPAndMSCHAPv2() throws {
        let secret = try #require(SharedSecret(Array("a shared secret".utf8)))
        let forge = RequestForge(secret)
        let authenticator = Authenticator(high: 3, low: 4)
        let password = Array("a password".utf8)
        let hash = try #require(NTHash(password: password))
        let response = MSCHAPv2Response(
            identifier: 1, challenge: Authenticator(high: 5, low: 6), peerChallenge: Authenticator(high: 7, low: 8),
            userName: Array("u1".utf8), hash: hash)
        for proof in [RequestForge.Proof.chap(password), .msCHAPv2(response)] {
            var bytes: [UInt8] = []
            forge.write(
                identifier: 7, authenticator: authenticator, name: Array("u1".utf8), proof: proof, state: nil, to: &bytes)
            let packet = try Packet(decoding: bytes)
            #expect(packet.hasValidMessageAuthenticator(secret: secret))
            switch try packet.hashedPassword() {
            case .chap(let chap): #expect(chap.matches(password: password) && !chap.matches(password: [1]))
            case .msCHAPv2(let read): #expect(read == response && read.matches(hash))
            default: Issue.record("no proof of a password can be read")
            }
        }
    }

    @Test func theServersOwnProofIsToldFromAnother() throws {
        let secret = try #require(SharedSecret(Array("a shared secret".utf8)))
        let hash = try #require(NTHash(password: Array("a password".utf8)))
        let response = MSCHAPv2Response(
            identifier: 1, challenge: Authenticator(high: 5, low: 6), peerChallenge: Authenticator(high: 7, low: 8),
            userName: Array("u1".utf8), hash: hash)
        let signed = try PacketWriter(request: .accessRequest, identifier: 1, authenticator: Authenticator(high: 1, low: 2))
            .sign(with: secret)
        let request = try Packet(decoding: signed)
        func isProof(_ value: [UInt8]?) throws -> Bool {
            var writer = PacketWriter(reply: .accessAccept, to: request)
            if let value { writer.addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chap2Success, value) }
            let reply = try writer.sign(with: secret)
            return reply.withUnsafeBufferPointer { RequestForge.isProof($0, of: response, hash) }
        }
        let right = response.successValue(hash)
        var wrong = right
        wrong[wrong.count - 1] ^= 1
        #expect(try isProof(right))
        #expect(try !isProof(wrong))
        #expect(try !isProof(nil))
    }

    // MARK: Accounting

    @Test func everySessionBeginsReportsAndEndsInThatOrder() {
        let records = (0..<12).map { BenchRecord(place: $0, users: 2, run: 9) }
        #expect(records.map(\.user) == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
        #expect(records.map(\.round) == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
        let kinds = records.filter { $0.user == 1 }.map(\.kind)
        #expect(kinds == [.start, .interimUpdate, .stop, .start, .interimUpdate, .stop])
    }

    @Test(arguments: BenchRecord.Kind.allCases) func recordsAreWhole(_ kind: BenchRecord.Kind) throws {
        let secret = try #require(SharedSecret(Array("a shared secret".utf8)))
        var record = BenchRecord(place: 7, users: 5, run: 0xAB)
        record.kind = kind
        // Behind another one.
        var bytes: [UInt8] = [9]
        let authenticator = RequestForge(secret).write(record, identifier: 3, name: Array("u2".utf8), to: &bytes)
        let packet = try Packet(decoding: Array(bytes.dropFirst()))
        #expect(packet.code == .accountingRequest && packet.authenticator == authenticator)
        #expect(packet.hasValidRequestAuthenticator(secret: secret))
        #expect(packet.integer(.acctStatusType) == kind.rawValue)
        #expect(packet.octets(.acctSessionID) == Array("ab-2-0".utf8))
        #expect(packet.contains(.acctSessionTime) == (kind != .start) && packet.contains(.acctTerminateCause) == (kind == .stop))
    }

    @Test func anIntervalHoldsWhatCameSinceTheLast() {
        var tally = LoadTally()
        (tally.accepted, tally.lost) = (10, 1)
        var interval = LoadInterval(began: 1_000_000_000, tally)
        (tally.accepted, tally.lost, tally.rejected) = (25, 3, 1)
        interval.latency.add(nanoseconds: 1_000)
        interval.end(3_000_000_000, tally, kilobytes: 7)
        #expect(interval.seconds == 2 && interval.accepted == 15 && interval.lost == 2 && interval.rejected == 1)
        #expect(interval.serverKilobytes == 7 && interval.p99 != nil)
    }

    @Test func repliesAreToldFromForgedOnes() throws {
        let secret = try #require(SharedSecret(Array("a shared secret".utf8)))
        var forge = RequestForge(secret)
        var bytes: [UInt8] = []
        let authenticator = Authenticator(high: 3, low: 4)
        forge.write(
            identifier: 7, authenticator: authenticator, name: Array("u1".utf8), proof: .password(Array("123456".utf8)), state: nil,
            proxyState: [4, 5, 6], to: &bytes)
        let request = try Packet(decoding: bytes.span)
        var writer = PacketWriter(reply: .accessAccept, to: request)
        writer.copyProxyState(from: request)
        let reply = try writer.sign(with: secret)
        func verdict(_ reply: [UInt8], to request: Authenticator) -> RequestForge.Verdict {
            reply.withUnsafeBufferPointer { forge.check($0, to: request, requiringMessageAuthenticator: true) }
        }
        #expect(verdict(reply, to: authenticator) == .genuine(code: 2, state: nil))
        #expect(verdict(reply, to: Authenticator(high: 3, low: 5)) == .wrongResponseAuthenticator)
        for index in reply.indices {
            var broken = reply
            broken[index] ^= 0x10
            if case .genuine = verdict(broken, to: authenticator), index != 1 { Issue.record("byte \(index) may be changed unseen") }
        }
        #expect(reply.withUnsafeBufferPointer { RequestForge.proxyState(in: $0).map(Array.init) } == [4, 5, 6])
    }

    // MARK: Report

    @Test func ratesAndCostsAreForWhatTheySay() throws {
        let secret = try #require(SharedSecret([1, 2, 3]))
        var plan = LoadPlan(server: try ServerAddress.resolve("127.0.0.1:1812"), secret: secret, users: users(10), mode: .duplicate)
        var tally = LoadTally()
        tally.began = 1_000_000_000
        tally.ended = 3_000_000_000
        tally.replies = 200
        tally.duplicates = 180
        tally.accepted = 18
        tally.rejected = 2
        tally.sent = 400
        tally.own = ProcessCost(userMicroseconds: 300, systemMicroseconds: 100)
        tally.server = ProcessCost(userMicroseconds: 600, systemMicroseconds: 400)
        tally.allocations = 1_000
        var report = LoadReport(tally, plan)
        #expect(report.seconds == 2 && report.accepted == 9 && report.rejected == 1 && report.sent == 200)
        #expect(report.logins == 20 && report.duplicates == 180)
        #expect(report.generatorMicrosecondsPerRequest == 2)
        #expect(report.serverMicrosecondsPerLogin == 50 && report.serverMicrosecondsPerPacket == 5)
        #expect(report.allocationsPerLogin == 50 && report.allocationsPerPacket == 5)
        // Nobody answers these, so a packet is one that was sent.
        plan.mode = .badSignature
        report = LoadReport(tally, plan)
        #expect(report.serverMicrosecondsPerPacket == 2.5)
        #expect(report.rate == LoadPlan.unansweredRate)
        // An answer that differs from the one before is as bad as one that is not genuine.
        tally.changed = 1
        #expect(LoadReport(tally, plan).badReplies == 1)
        tally.wrongProof = 2
        #expect(LoadReport(tally, plan).badReplies == 3)
    }
}

@Suite struct CodeLedgerTests {
    private var dice = FastRandom(state: 5)

    private mutating func send(_ ledger: inout CodeLedger, isReplay: Bool = false) -> CodeLedger.Try {
        ledger.send(0, authenticator: Authenticator(using: &dice), isReplay: isReplay, at: 0)
    }

    @Test mutating func anAcceptedCodeIsFollowedByTheNext() {
        var ledger = CodeLedger(users: 1, staysGood: false)
        let request = send(&ledger)
        #expect(ledger.isWaiting(0) && ledger.find(0, serial: request.serial) == request)
        #expect(ledger.answer(0, to: request, isAccept: true) == .accepted)
        #expect(ledger.counter(of: 0) == 1 && !ledger.isWaiting(0) && !ledger.isUnresolved(0))
        #expect(ledger.find(0, serial: request.serial) == nil)
    }

    @Test mutating func aRefusalOfTheOnlyTryIsWrong() {
        var ledger = CodeLedger(users: 1, staysGood: false)
        let request = send(&ledger)
        #expect(ledger.answer(0, to: request, isAccept: false) == .wronglyRefused)
    }

    @Test mutating func aRefusalAfterAnUnansweredTryMeansThatItWasUsedUpUnheard() {
        var ledger = CodeLedger(users: 1, staysGood: false)
        let first = send(&ledger)
        let gaveUp = [ledger.giveUp(0, serial: first.serial), ledger.giveUp(0, serial: first.serial)]
        #expect(gaveUp == [true, false], "once")
        #expect(ledger.isUnresolved(0))
        let second = send(&ledger)
        #expect(second.counter == first.counter)
        #expect(ledger.answer(0, to: second, isAccept: false) == .usedUpUnheard)
        #expect(ledger.counter(of: 0) == 1)
    }

    @Test mutating func twoAcceptsOfOneCodeAreNoticedInWhateverOrder() {
        for isLateFirst in [false, true] {
            var ledger = CodeLedger(users: 1, staysGood: false)
            let first = send(&ledger)
            _ = ledger.giveUp(0, serial: first.serial)
            let second = send(&ledger)
            let order = isLateFirst ? [first, second] : [second, first]
            #expect(ledger.answer(0, to: order[0], isAccept: true) == .accepted)
            #expect(ledger.answer(0, to: order[1], isAccept: true) == .acceptedTwice)
        }
    }

    @Test mutating func aLateAcceptExplainsTheRefusalOfTheSecondTry() {
        var ledger = CodeLedger(users: 1, staysGood: false)
        let first = send(&ledger)
        _ = ledger.giveUp(0, serial: first.serial)
        let second = send(&ledger)
        #expect(ledger.answer(0, to: first, isAccept: true) == .accepted)
        #expect(ledger.answer(0, to: second, isAccept: false) == .refusedAgain)
        #expect(ledger.counter(of: 0) == 1)
    }

    @Test mutating func whenBothTriesAreRefusedOneRefusalWasWrong() {
        var ledger = CodeLedger(users: 1, staysGood: false)
        let first = send(&ledger)
        _ = ledger.giveUp(0, serial: first.serial)
        let second = send(&ledger)
        #expect(ledger.answer(0, to: first, isAccept: false) == .refusedAgain)
        #expect(ledger.answer(0, to: second, isAccept: false) == .wronglyRefused)
    }

    @Test mutating func aReplayMustBeRefused() {
        for isAccept in [false, true] {
            var ledger = CodeLedger(users: 1, staysGood: false)
            let first = send(&ledger)
            _ = ledger.answer(0, to: first, isAccept: true)
            let replay = send(&ledger, isReplay: true)
            #expect(replay.counter == 0)
            #expect(ledger.answer(0, to: replay, isAccept: isAccept) == (isAccept ? .acceptedTwice : .refusedAgain))
        }
    }

    @Test mutating func aPasswordStaysGood() {
        var ledger = CodeLedger(users: 1, staysGood: true)
        for _ in 0..<3 {
            let request = send(&ledger)
            #expect(ledger.answer(0, to: request, isAccept: true) == .accepted)
        }
        let request = send(&ledger)
        #expect(ledger.answer(0, to: request, isAccept: false) == .wronglyRefused)
    }
}
