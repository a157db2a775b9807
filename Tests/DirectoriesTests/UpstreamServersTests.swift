// SPDX-License-Identifier: Apache-2.0
// Many logins at upstream servers of a few lines each on real sockets: what is taken, who is asked next, and who is asked again.

import Foundation
import LoginEngine
import RADIUS
import Synchronization
import Testing

@testable import Directories

/// Upstream servers with real deadlines, and what they told.
final class UpstreamBench: Sendable {
    static let secret = "s3cret-of-both"
    let servers: UpstreamServers
    let deadlines: Deadlines
    private let told: Told

    private final class Told: Sendable {
        let changes = Mutex<[UpstreamServers.Change]>([])
    }

    var changes: [UpstreamServers.Change] { told.changes.withLock { $0 } }

    init(
        _ servers: [ServerAddress], own: [ServerAddress: String] = [:], tries: Int = 2, timeout: Timestamp.Span = .milliseconds(150),
        most: Int? = nil, requires: Bool = true
    ) throws {
        let (deadlines, told) = (Deadlines(now: Self.now), Told())
        var settings = UpstreamServers.Settings(
            servers: servers, secret: try #require(SharedSecret(Self.secret)), timeout: timeout, tries: tries)
        settings.requiresMessageAuthenticator = requires
        for (server, text) in own {
            let secret = try #require(SharedSecret(text))
            settings.ownSecrets[server] = secret
        }
        if let most { settings.mostUnderWay = most }
        self.servers = UpstreamServers(settings, deadlines: deadlines, random: SystemRandomNumberGenerator(), now: Self.now) { change in
            told.changes.withLock { $0.append(change) }
        }
        self.deadlines = deadlines
        self.told = told
        deadlines.start()
    }

    deinit { deadlines.stop() }

    static func now() -> Moment {
        let uptime = Timestamp(microseconds: Int64(DispatchTime.now().uptimeNanoseconds / 1_000))
        return Moment(wall: Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)), uptime: uptime)
    }

    static func request(_ name: String = "alice", state: [UInt8]? = nil) -> UpstreamRequest {
        var request = UpstreamRequest(.password(Secret(utf8: "pass")), nasIdentifier: "office")
        request.userName = name
        request.callingStation = "203.0.113.9"
        request.state = state
        return request
    }

    /// What became of it: a reply's code, or the words of silence.
    func ask(
        _ name: String = "alice", within span: Timestamp.Span = .seconds(10), only: ServerAddress? = nil, state: [UInt8]? = nil
    ) async -> String {
        await withCheckedContinuation { continuation in
            servers.ask(Self.request(name, state: state), within: span, only: only) { continuation.resume(returning: Self.words($0)) }
        }
    }

    /// The same, asked before this returns, whether the machine has a thread for another task or not.
    func asking(within span: Timestamp.Span = .seconds(10)) -> AsyncStream<String> {
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        servers.ask(Self.request(), within: span) { outcome in
            continuation.yield(Self.words(outcome))
            continuation.finish()
        }
        return stream
    }

    private static func words(_ outcome: UpstreamOutcome) -> String {
        switch outcome {
        case .answered(let reply, _, let server): "\(reply.code) of \(server)"
        case .silent(let why): why
        case .shed: "shed"
        }
    }
}

/// Waits on a thread of its own, so that no test keeps another from running.
func eventually(seconds: Int = 60, _ condition: @escaping @Sendable () -> Bool) async throws -> Bool {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            let end = ContinuousClock.now + .seconds(seconds)
            while ContinuousClock.now < end, !condition() { poll(nil, 0, 3) }
            continuation.resume(returning: condition())
        }
    }
}

/// The code that a server answers with by name: whoever is called `wrong` is refused.
private func judged(_ request: Packet) -> [ScriptedServer.Datagram] {
    let isStatus = request.code == .statusServer
    let isWrong = (try? request.text(.userName)) == "wrong"
    return [.reply(isWrong && !isStatus ? .accessReject : .accessAccept, to: request, signed: true)]
}

@Suite struct UpstreamServersTests {
    @Test func acceptAndRejectComeBackAndTheRequestIsSigned() async throws {
        let server = try ScriptedServer(UpstreamBench.secret, answer: judged)
        let bench = try UpstreamBench([server.address])
        #expect(await bench.ask() == "accessAccept of \(server.address)")
        #expect(await bench.ask("wrong") == "accessReject of \(server.address)")
        let secret = try #require(SharedSecret(UpstreamBench.secret))
        let sent = try #require(server.requests.first)
        #expect(sent.hasValidMessageAuthenticator(secret: secret))
        #expect(Array(sent.attributes).first?.type == .messageAuthenticator)
        #expect(try sent.password(secret: secret) == Array("pass".utf8))
        #expect(try sent.text(.nasIdentifier) == "office")
        #expect(try sent.text(.callingStationID) == "203.0.113.9")
        #expect(bench.servers.counts[.accepted] == 1 && bench.servers.counts[.rejected] == 1 && bench.servers.counts[.sent] == 2)
        #expect(bench.servers.underWay == 0 && bench.changes.isEmpty)
    }

    @Test func eachServerIsAskedByItsOwnSecretAndAnswersByIt() async throws {
        let own = "a-secret-of-the-second"
        let first = try ScriptedServer(UpstreamBench.secret) { _ in [] }
        let second = try ScriptedServer(own, answer: judged)
        // It knows the other one's secret, and not its own.
        let third = try ScriptedServer(UpstreamBench.secret, answer: judged)
        let bench = try UpstreamBench([first.address, second.address], own: [second.address: own])
        #expect(await bench.ask() == "accessAccept of \(second.address)", "the login goes on to it")
        let secret = try #require(SharedSecret(own))
        #expect(try second.requests.first?.password(secret: secret) == Array("pass".utf8))
        #expect(second.requests.first?.hasValidMessageAuthenticator(secret: secret) == true)
        let strange = try UpstreamBench([third.address], own: [third.address: own], tries: 1)
        #expect(await strange.ask(within: .milliseconds(300)).hasPrefix("no answer from"))
        // On a busy machine it is asked once more within that time.
        #expect(strange.servers.counts[.notGenuine] >= 1 && strange.servers.counts[.accepted] == 0)
    }

    @Test func inventedNamesLeaveRoomForUsers() async throws {
        let silent = try ScriptedServer(UpstreamBench.secret) { _ in [] }
        let bench = try UpstreamBench([silent.address], timeout: .seconds(20), most: 4)
        func ask(isOfStranger: Bool) -> Mutexed {
            let outcome = Mutexed()
            var request = UpstreamBench.request()
            request.isOfStranger = isOfStranger
            bench.servers.ask(request, within: .seconds(20)) { if case .shed = $0 { outcome.isShed.withLock { $0 = true } } }
            return outcome
        }
        let strangers = (1...3).map { _ in ask(isOfStranger: true).isShed.withLock { $0 } }
        #expect(strangers == [false, false, true])
        let users = (1...3).map { _ in ask(isOfStranger: false).isShed.withLock { $0 } }
        #expect(users == [false, false, true])
    }

    private final class Mutexed: Sendable {
        let isShed = Mutex(false)
    }

    @Test func eachRequestCountsTheServersOnItsWay() async throws {
        let server = try ScriptedServer(UpstreamBench.secret, answer: judged)
        let bench = try UpstreamBench([server.address])
        for hops in [0, 3, 999] {
            var request = UpstreamBench.request()
            request.hops = hops
            await withCheckedContinuation { continuation in
                bench.servers.ask(request, within: .seconds(10)) { _ in continuation.resume() }
            }
        }
        #expect(server.requests.map { $0.attributes.count { $0.type == .proxyState } } == [1, 4, LoginRequest.mostHops + 1])
    }

    @Test func aReplyOfSomebodyWithoutTheSecretIsNone() async throws {
        let server = try ScriptedServer(UpstreamBench.secret) { request in
            [
                .forgery(.accessAccept, to: request), .bytes([2, request.identifier, 0, 20]),
                .reply(.accessReject, to: request, signed: true),
            ]
        }
        let bench = try UpstreamBench([server.address])
        #expect(await bench.ask() == "accessReject of \(server.address)")
        #expect(bench.servers.counts[.notGenuine] == 1 && bench.servers.counts[.malformed] == 1)
    }

    @Test(arguments: [true, false]) func aReplyWithoutMessageAuthenticatorIsTakenOnlyWhereAllowed(requires: Bool) async throws {
        let server = try ScriptedServer(UpstreamBench.secret) { request in [.reply(.accessAccept, to: request, signed: false)] }
        let bench = try UpstreamBench([server.address], tries: 1, timeout: .seconds(120), requires: requires)
        let answer = bench.asking(within: .seconds(120))
        if requires {
            #expect(try await eventually { bench.servers.status.first?.dropped == .missingMessageAuthenticator })
            #expect(bench.servers.counts[.accepted] == 0 && bench.servers.underWay == 1, "a genuine reply is still waited for")
        } else {
            #expect(await answer.first { _ in true } == "accessAccept of \(server.address)")
            #expect(bench.servers.status.first?.dropped == nil)
        }
    }

    @Test func aLostRequestIsSentAgainUnchanged() async throws {
        let server = try ScriptedServer(UpstreamBench.secret, deafTo: 1, answer: judged)
        let bench = try UpstreamBench([server.address])
        #expect(await bench.ask() == "accessAccept of \(server.address)")
        #expect(server.requests.count == 2 && server.requests[0] == server.requests[1])
        #expect(bench.changes.isEmpty)
    }

    @Test func aLateAnswerIsNobodys() async throws {
        let server = try ScriptedServer(UpstreamBench.secret) { request in
            // Longer than anybody waits; the server is of one thread, so all answers are late.
            poll(nil, 0, 350)
            return [.reply(.accessAccept, to: request, signed: true)]
        }
        let bench = try UpstreamBench([server.address], tries: 1)
        #expect(await bench.ask(within: .milliseconds(200)) == "no answer from \(server.address)")
        #expect(bench.servers.underWay == 0)
        #expect(try await eventually { bench.servers.counts[.late] >= 1 })
    }

    @Test func anAnswerFromAnotherAddressIsNotHeard() async throws {
        let stranger = try ScriptedServer(UpstreamBench.secret) { _ in [] }
        let server = try ScriptedServer(UpstreamBench.secret, deafTo: .max) { _ in [] }
        let bench = try UpstreamBench([server.address], tries: 1, timeout: .seconds(30))
        let answer = bench.asking(within: .seconds(3))
        // Somebody who knows even the secret answers from a port of his own.
        #expect(try await eventually { !server.requests.isEmpty })
        let request = try #require(server.requests.first)
        let secret = try #require(SharedSecret(UpstreamBench.secret))
        let reply = try PacketWriter(reply: .accessAccept, to: request).sign(with: secret)
        stranger.send(reply, toClientOf: server)
        #expect(await answer.first { _ in true } == "no answer from \(server.address)")
        #expect(bench.servers.counts[.accepted] == 0)
    }

    @Test func silenceGoesToTheNextServerAndTheFirstIsAskedNoMore() async throws {
        let (first, second) = (
            try ScriptedServer(UpstreamBench.secret, deafTo: .max) { _ in [] }, try ScriptedServer(UpstreamBench.secret, answer: judged)
        )
        let bench = try UpstreamBench([first.address, second.address], tries: 1)
        #expect(await bench.ask() == "accessAccept of \(second.address)")
        #expect(bench.changes == [UpstreamServers.Change(server: first.address, isUp: false, why: "no answer")])
        let asked = first.requests.count { $0.code == .accessRequest }
        for _ in 1...4 { #expect(await bench.ask() == "accessAccept of \(second.address)") }
        // On a busy machine one that was sent before is read only now.
        let more = first.requests.count { $0.code == .accessRequest } - asked
        #expect(more <= 1, "a server that is down costs nobody its timeout")
        // The password is hidden anew for each server.
        let secret = try #require(SharedSecret(UpstreamBench.secret))
        let (one, other) = (try #require(first.requests.first), try #require(second.requests.first))
        #expect(one.authenticator != other.authenticator)
        #expect(try one.password(secret: secret) == other.password(secret: secret))
    }

    @Test func aClosedPortIsLeftAtOnceAndComesBackByStatusServer() async throws {
        let gone = try ScriptedServer(UpstreamBench.secret, answer: judged).address
        let second = try ScriptedServer(UpstreamBench.secret, answer: judged)
        let bench = try UpstreamBench([gone, second.address], timeout: .seconds(200))
        let began = UpstreamBench.now().uptime
        #expect(await bench.ask(within: .seconds(400)) == "accessAccept of \(second.address)")
        #expect(UpstreamBench.now().uptime - began < .seconds(150), "refused is not waited for")
        #expect(bench.changes.map(\.isUp) == [false])
        // It starts again, on the same port.
        let back = try ScriptedServer(UpstreamBench.secret, port: gone.port, answer: judged)
        #expect(try await eventually(seconds: 60) { bench.changes.map(\.isUp) == [false, true] })
        #expect(back.requests.contains { $0.code == .statusServer })
        #expect(await bench.ask() == "accessAccept of \(gone)")
        withExtendedLifetime(back) {}
    }

    @Test func aLoginOutlastsARestartOfItsOnlyServer() async throws {
        let port = try ScriptedServer(UpstreamBench.secret, answer: judged).address.port
        let address = ServerAddress(NetworkAddress(v4: 0x7F00_0001), port: port)
        let bench = try UpstreamBench([address], tries: 1_000, timeout: .milliseconds(400))
        let answer = bench.asking(within: .seconds(240))
        #expect(try await eventually { bench.changes.map(\.isUp) == [false] })
        let server = try ScriptedServer(UpstreamBench.secret, port: port, answer: judged)
        #expect(await answer.first { _ in true } == "accessAccept of \(server.address)")
        #expect(bench.changes.map(\.isUp) == [false, true])
    }

    @Test func moreThan256AtOnceTakeMorePortsAndEveryAnswerFindsItsOwn() async throws {
        let server = try ScriptedServer(UpstreamBench.secret, answer: judged)
        let bench = try UpstreamBench([server.address], tries: 3, timeout: .seconds(3))
        let wrong = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<600 {
                group.addTask {
                    let name = number % 3 == 0 ? "wrong" : "alice"
                    let wanted = number % 3 == 0 ? "accessReject of \(server.address)" : "accessAccept of \(server.address)"
                    return await bench.ask(name) == wanted
                }
            }
            return await group.reduce(into: 0) { wrong, isRight in if !isRight { wrong += 1 } }
        }
        #expect(wrong == 0)
        #expect(bench.servers.underWay == 0)
        #expect(Set(server.requests.map { "\($0.authenticator)" }).count >= 600, "no two requests share an authenticator")
    }

    @Test func identifiersThatAreUsedUpOpenAnotherPortAndWhatIsTooMuchIsShed() async throws {
        let server = try ScriptedServer(UpstreamBench.secret, deafTo: .max) { _ in [] }
        let bench = try UpstreamBench([server.address], tries: 1, timeout: .seconds(90), most: 300)
        let outcomes = Mutex<[String]>([])
        for _ in 0..<310 {
            bench.servers.ask(UpstreamBench.request(), within: .seconds(90)) { outcome in
                if case .shed = outcome { outcomes.withLock { $0.append("shed") } }
            }
        }
        #expect(outcomes.withLock { $0.count } == 10)
        #expect(bench.servers.underWay == 300)
        #expect(try await eventually { server.requests.count == 300 })
        // Of one port's 256 identifiers none is used twice; the rest came from a second port.
        let uses = Dictionary(server.requests.map { ($0.identifier, 1) }) { $0 + $1 }
        #expect(uses.count == 256 && uses.values.max() == 2)
    }

    @Test func whatASentStateIsAboutOnlyItsServerKnows() async throws {
        let (first, second) = (
            try ScriptedServer(UpstreamBench.secret, answer: judged), try ScriptedServer(UpstreamBench.secret, answer: judged)
        )
        let bench = try UpstreamBench([first.address, second.address])
        #expect(await bench.ask(only: second.address, state: [1, 2, 3]) == "accessAccept of \(second.address)")
        #expect(second.requests.first?.octets(.state) == [1, 2, 3] && first.requests.isEmpty)
        let gone = ServerAddress(NetworkAddress(v4: 0x7F00_0001), port: 9)
        #expect(await bench.ask(only: gone) == "127.0.0.1:9 is none of its servers any more")
    }

    @Test func whatRetiresFinishesAndTakesNothingNew() async throws {
        let server = try ScriptedServer(UpstreamBench.secret, deafTo: 1, answer: judged)
        let bench = try UpstreamBench([server.address])
        let answer = bench.asking(within: .seconds(60))
        #expect(try await eventually { bench.servers.underWay == 1 })
        bench.servers.retire()
        #expect(await answer.first { _ in true } == "accessAccept of \(server.address)")
        #expect(await bench.ask() == "shed")
    }
}

@Suite struct ServerHealthTests {
    private let start = Timestamp(seconds: 1_000)

    @Test func silenceOfAllSendingsTakesItDownAndAnyAnswerBringsItBack() {
        var health = ServerHealth()
        #expect(health.isUp)
        let isDown = health.silent(since: start, at: start + .seconds(6))
        #expect(isDown && !health.isUp && health.downSince == start + .seconds(6))
        let isNews = health.silent(since: start, at: start + .seconds(7))
        #expect(!isNews, "it is told once")
        let isBack = health.heard(at: start + .seconds(8))
        #expect(isBack && health.isUp)
        let isNewsAgain = health.heard(at: start + .seconds(9))
        #expect(!isNewsAgain)
    }

    @Test func whoAnsweredOthersMeanwhileIsNotDown() {
        var health = ServerHealth()
        _ = health.heard(at: start + .seconds(1))
        let isDown = health.silent(since: start, at: start + .seconds(6))
        #expect(!isDown && health.isUp)
        let isDownNow = health.silent(since: start + .seconds(2), at: start + .seconds(8))
        #expect(isDownNow)
    }

    @Test func onlyWhoKnowsNoStatusServerIsTriedWithALogin() {
        var health = ServerHealth()
        _ = health.refused(at: start)
        let trials = [59, 60, 61, 120].map { health.takeTrial(at: start + .seconds($0)) }
        #expect(trials == [false, true, false, true], "one login in a while, not all")
        var probed = ServerHealth()
        _ = probed.heard(at: start, isProbe: true)
        _ = probed.silent(since: start + .seconds(1), at: start + .seconds(7))
        let isTried = probed.takeTrial(at: start + .seconds(600))
        #expect(!isTried)
    }
}

@Suite struct UpstreamVerdictTests {
    private let secret = "s3cret-of-both"

    private func verdict(
        _ code: Code, takes: Set<TakenAttribute> = [], _ add: (inout PacketWriter) -> Void = { _ in }
    ) throws -> PasswordVerdict {
        let shared = try #require(SharedSecret(secret))
        let request = try UpstreamBench.request().packet(identifier: 1, authenticator: Authenticator(high: 1, low: 2), secret: shared)
        var writer = PacketWriter(reply: code, to: request)
        add(&writer)
        let reply = try Packet(decoding: try writer.sign(with: shared))
        let server = ServerAddress(NetworkAddress(v4: 0x7F00_0001))
        return UpstreamVerdict(.answered(reply: reply, request: request, server: server), of: "nps", takes: takes).verdict
    }

    @Test func whatAnAnswerSaysOfThePassword() throws {
        #expect(try verdict(.accessAccept) == .right)
        #expect(try verdict(.accessReject) == .wrong)
        #expect(UpstreamVerdict(.silent("no answer"), of: "nps").verdict == .unreachable("nps: no answer"))
        #expect(UpstreamVerdict(.shed, of: "nps").verdict == .overloaded)
        let expired = try verdict(.accessReject) { writer in
            writer.addVendor(311, type: MicrosoftAttribute.chapError, [7] + Array("E=648 R=0 C=00 V=3 M=".utf8))
        }
        #expect(expired == .expired)
    }

    @Test func aChallengeBringsItsPromptAndItsState() throws {
        let asked = try verdict(.accessChallenge) { writer in
            writer.addText(.replyMessage, "Enter the code ")
            writer.addText(.replyMessage, "of the old token")
            writer.add(.state, [9, 8, 7])
            writer.addInteger(.prompt, 0)
        }
        let thread = SourceThread(server: "127.0.0.1:1812", state: [9, 8, 7])
        #expect(asked == .asks(SourceQuestion(prompt: "Enter the code of the old token", echo: false, thread: thread)))
    }

    @Test func onlyNamedAttributesAreTakenOver() throws {
        let add = { (writer: inout PacketWriter) in
            writer.addText(.filterID, "staff")
            writer.add(.class, [1, 2])
            writer.addVendorText(12356, type: 1, "vpn")
            writer.addVendorText(12356, type: 2, "other")
        }
        #expect(try verdict(.accessAccept, add) == .right, "without a list nothing is")
        let taken = try verdict(.accessAccept, takes: [.standard(25), .vendor(12356, 1)], add)
        #expect(taken == .rightGiving([25, 4, 1, 2, 26, 11, 0, 0, 0x30, 0x44, 1, 5] + Array("vpn".utf8)))
    }

    @Test(arguments: [
        ("alice", "alice"), ("Alice", "Alice"), ("CORP\\Alice", "Alice"), ("alice@corp.example", "alice"), ("mallory", "alice"),
    ])
    func nobodyIsAskedAboutButTheUser(typed: String, sent: String) {
        let user = User(id: 1, name: "alice", status: .active, passwordHash: nil)
        #expect(UpstreamPasswordSource.name(of: user, typed: typed, sent: .own) == sent)
        #expect(UpstreamPasswordSource.name(of: user, typed: typed, sent: .typed) == typed)
    }
}
