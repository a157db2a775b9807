// SPDX-License-Identifier: Apache-2.0
// Host names of servers: when they are looked up, what is kept of them, and who is asked where they stand for something else.

import LoginEngine
import RADIUS
import Synchronization
import TestSupport
import Testing

@testable import Directories

/// What a name server says, and how often it was asked.
private final class ScriptedNames: Sendable {
    private let state = Mutex<(answers: [String: ServerNames.Answer], asked: Int)>(([:], 0))

    var asked: Int { state.withLock { $0.asked } }

    func say(_ answer: ServerNames.Answer, of name: String) { state.withLock { $0.answers[name] = answer } }

    func say(_ addresses: String..., of name: String) { say(.found(addresses.compactMap { NetworkAddress($0) }), of: name) }

    var lookUp: @Sendable (String) -> ServerNames.Answer {
        { name in
            self.state.withLock { state in
                state.asked += 1
                return state.answers[name] ?? .failed("Name or service not known")
            }
        }
    }
}

private final class Told<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    var all: [Value] { values.withLock { $0 } }

    func add(_ value: Value) { values.withLock { $0.append(value) } }
}

@Suite struct ServerNamesTests {
    private let clock = TestClock()
    private let script = ScriptedNames()

    private func names() -> (ServerNames, Deadlines) {
        let clock = clock
        let deadlines = Deadlines(now: { clock.now })
        return (ServerNames(deadlines: deadlines, now: { clock.now }, lookUp: script.lookUp), deadlines)
    }

    /// Runs what is due until something is so: the timer may be set only behind an answer.
    private func firing(_ deadlines: Deadlines, until isSo: @escaping @Sendable () -> Bool) async throws -> Bool {
        try await eventually {
            deadlines.fire()
            return isSo()
        }
    }

    private func resolution(_ text: [String]) -> ServerNames.Answer { .found(text.compactMap { NetworkAddress($0) }) }

    @Test func onlyOtherAddressesAreAChange() {
        var known = ServerNames.Resolution()
        let (early, late) = (Timestamp(seconds: 10), Timestamp(seconds: 20))
        let isFirst = known.take(resolution(["192.0.2.1", "2001:db8::1"]), at: early)
        let isTurnedRound = known.take(resolution(["2001:db8::1", "192.0.2.1"]), at: late)
        #expect(isFirst && !isTurnedRound)
        #expect(known.addresses.first == NetworkAddress("192.0.2.1") && known.found == late)
        let isOther = known.take(resolution(["2001:db8::1"]), at: late)
        #expect(isOther)
    }

    @Test func whatWasFoundLastStaysWhereNothingIsFound() {
        var known = ServerNames.Resolution()
        _ = known.take(resolution(["192.0.2.1"]), at: Timestamp(seconds: 10))
        for (why, at) in [("Temporary failure", Int64(20)), ("Name or service not known", 30)] {
            let isOther = known.take(.failed(why), at: Timestamp(seconds: at))
            #expect(!isOther)
        }
        #expect(known.addresses == [NetworkAddress("192.0.2.1")] && known.found == Timestamp(seconds: 10))
        #expect(known.problem == "Name or service not known" && known.failingSince == Timestamp(seconds: 20))
        let isOther = known.take(resolution(["192.0.2.1"]), at: Timestamp(seconds: 40))
        #expect(!isOther && known.problem == nil && known.failingSince == nil)
    }

    @Test(arguments: ["127.0.0.1", "127.9.8.7", "169.254.1.1", "::1", "fe80::1", "::ffff:127.0.0.1"])
    func addressOfThisHostOrItsLinkIsTakenWhereItsNameMeansIt(_ text: String) {
        var known = ServerNames.Resolution()
        let isTaken = known.take(resolution([text]), at: Timestamp(seconds: 10))
        #expect(!isTaken && known.addresses.isEmpty && known.problem?.contains("this host's own") == true)
        let isMixed = known.take(resolution([text, "192.0.2.9"]), at: Timestamp(seconds: 11))
        #expect(isMixed && known.addresses == [NetworkAddress("192.0.2.9")])
        let isMeant = known.take(resolution([text]), mayBeOwn: true, at: Timestamp(seconds: 12))
        #expect(isMeant && known.addresses.count == 1 && known.problem == nil)
    }

    @Test(arguments: ["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])
    func whatIsNobodysOrManysIsNoServer(_ address: String) {
        var known = ServerNames.Resolution()
        let isTaken = known.take(resolution([address]), at: Timestamp(seconds: 1))
        #expect(!isTaken && known.problem != nil && known.addresses.isEmpty)
        _ = known.take(resolution([address, "192.0.2.1"]), at: Timestamp(seconds: 1))
        #expect(known.addresses == [NetworkAddress("192.0.2.1")])
    }

    @Test func noMoreThanEightAddressesAreAsked() {
        var known = ServerNames.Resolution()
        _ = known.take(resolution((1...20).map { "192.0.2.\($0)" }), at: Timestamp(seconds: 1))
        #expect(known.addresses.count == ServerNames.mostAddresses)
    }

    @Test func namesAreLookedUpAtFirstAndEveryMinute() async throws {
        let (names, deadlines) = names()
        script.say("192.0.2.1", of: "nps.example")
        names.watch(["nps.example"])
        #expect(try await eventually { names.resolution(of: "nps.example").addresses == [NetworkAddress("192.0.2.1")] })
        script.say("192.0.2.2", of: "nps.example")
        clock.advance(by: .seconds(59))
        deadlines.fire()
        #expect(script.asked == 1)
        clock.advance(by: .seconds(1))
        deadlines.fire()
        #expect(try await eventually { names.resolution(of: "nps.example").addresses == [NetworkAddress("192.0.2.2")] })
        names.watch([])
        clock.advance(by: .seconds(120))
        deadlines.fire()
        #expect(script.asked == 2, "nobody has it any more")
    }

    @Test func aFailedLookUpIsRepeatedSoon() async throws {
        let (names, deadlines) = names()
        names.watch(["nps.example"])
        #expect(try await eventually { names.resolution(of: "nps.example").problem != nil })
        script.say("192.0.2.1", of: "nps.example")
        // The timer is set behind the answer.
        #expect(try await eventually { deadlines.count > 0 })
        clock.advance(by: ServerNames.soonest)
        deadlines.fire()
        #expect(try await eventually { names.resolution(of: "nps.example").problem == nil })
    }

    @Test func aSilentServersNameIsLookedUpAgainButNotAllTheTime() async throws {
        let (names, _) = names()
        script.say("192.0.2.1", of: "nps.example")
        names.watch(["nps.example"])
        #expect(try await eventually { names.resolution(of: "nps.example").found != nil })
        names.lookAgain(["nps.example"])
        #expect(script.asked == 1)
        clock.advance(by: ServerNames.soonest)
        script.say("192.0.2.2", of: "nps.example")
        names.lookAgain(["nps.example", "other.example"])
        #expect(try await eventually { names.resolution(of: "nps.example").addresses == [NetworkAddress("192.0.2.2")] })
    }

    @Test func changesAreToldOnce() async throws {
        let (names, deadlines) = names()
        let told = Told<String>()
        names.whenChanged { change in told.add(change.after.problem ?? change.after.addresses.map { "\($0)" }.joined(separator: " ")) }
        script.say("192.0.2.1", of: "nps.example")
        names.watch(["nps.example"])
        #expect(try await eventually { told.all == ["192.0.2.1"] })
        for (answer, heard) in [
            (ServerNames.Answer.failed("gone"), ["192.0.2.1", "gone"]), (.failed("still gone"), ["192.0.2.1", "gone"]),
            (resolution(["192.0.2.1"]), ["192.0.2.1", "gone", "192.0.2.1"]),
        ] {
            script.say(answer, of: "nps.example")
            let asked = script.asked
            #expect(try await eventually { deadlines.count > 0 })
            clock.advance(by: ServerNames.lookUpEvery)
            let isAsked = try await firing(deadlines) { [script] in script.asked > asked }
            #expect(isAsked)
            #expect(try await eventually { told.all == heard })
        }
    }

    /// No login waits for a look-up: before the first that succeeds the directory is one that cannot be reached.
    @Test func aDirectoryAsksWhereItsServersAreNow() async throws {
        let secret = "s3cret-of-both"
        let server = try ScriptedServer(secret) { [.reply(.accessAccept, to: $0, signed: true)] }
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 8)
        defer { pool.stop() }
        let clock = clock
        let told = Told<Bool>()
        let deadlines = Deadlines(now: { clock.now })
        let sources = PasswordSources(
            local: try LocalPasswordSource(
                pool: pool, cost: Argon2id(memoryKiB: 64, passes: 1, lanes: 1), nobodysPassword: Secret(utf8: "nobody's"),
                salt: Array(repeating: 9, count: 16)),
            deadlines: deadlines, random: { SystemRandomNumberGenerator() }, now: { clock.now },
            moved: { _, change in told.add(change.isElsewhere) }, lookUp: script.lookUp)
        let named = try #require(DirectoryServer("nps.localhost:\(server.address.port)"))
        let settings = DirectorySettings(name: "corp", servers: [named], secret: Secret(utf8: secret))
        sources.replace([Directory(id: 1, settings: settings)]) { _ in [] }
        #expect(try await eventually { told.all == [false] })
        #expect(await check(sources) == .unreachable("corp, of whose servers no address is known,"))
        script.say("127.0.0.1", of: "nps.localhost")
        clock.advance(by: ServerNames.soonest)
        let hasMoved = try await firing(deadlines) { told.all == [false, true] }
        #expect(hasMoved)
        #expect(await check(sources) == .right)
        #expect(sources.figures.first?.names["nps.localhost"]?.addresses == [NetworkAddress(v4: 0x7F00_0001)])
        #expect(sources.figures.first?.servers.map(\.server) == [server.address])
    }

    private func check(_ sources: PasswordSources) async -> PasswordVerdict {
        let gateway = Client(
            id: 1, settings: ClientSettings(name: "gw", addresses: [AddressRange(NetworkAddress(v4: 1))], secret: Secret(utf8: "s")))
        var alice = User(id: 1, name: "alice", status: .active, passwordHash: nil)
        alice.directory = 1
        let (user, password) = (alice, Secret(utf8: "pass"))
        return await withCheckedContinuation { continuation in
            let request = LoginRequest(
                door: .radius, client: gateway, name: "alice", proof: .plaintext(password), source: NetworkAddress(v4: 1),
                fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
            sources.check(password, of: user, for: request, answering: nil) { continuation.resume(returning: $0) }
        }
    }
}

@Suite struct DirectoryServerTests {
    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7:1812"), ("[2001:db8::1]:1645", "[2001:db8::1]:1645"), ("NPS1.Corp.Example", "nps1.corp.example:1812"),
        ("nps1:1645", "nps1:1645"), ("xn--bcher-kva.example", "xn--bcher-kva.example:1812"), ("a.1b", "a.1b:1812"),
    ])
    func addressesAndNamesAreRead(_ text: String, _ shown: String) throws {
        let server = try #require(DirectoryServer(text))
        #expect(server.description == shown)
        #expect(DirectoryServer(shown) == server)
    }

    @Test(arguments: [
        "", "192.0.2", "192.0.2.256", "1.2.3.4.5", "nps_1.example", "-nps.example", "nps-.example", "nps..example", ".example",
        "nps.example.",
        "nps.example:0", "nps.example:65536", "nps.example:+1812", "[nps.example]", "nps example", "bücher.example", "2001:db8::1:zz",
        String(repeating: "a", count: 64) + ".example", String(repeating: "a.", count: 127) + "aaaa",
    ])
    func whatIsNeitherIsRefused(_ text: String) {
        #expect(DirectoryServer(text) == nil)
    }
}
