// SPDX-License-Identifier: Apache-2.0

import Glibc
import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

/// Real sockets on loopback with a scripted judge.
@Suite struct UDPListenerTests {
    @Test(arguments: ["127.0.0.1", "::1"])
    func requestIsAnswered(listen: String) async throws {
        let door = try TestDoor(ScriptedJudge(), listen: [listen])
        #expect(door.endpoint.port > 0)
        let gateway = try GatewaySocket(to: door.endpoint)
        let bytes = request()
        gateway.send(bytes)
        let reply = try #require(try gateway.receivePacket())
        #expect(reply.code == .accessAccept)
        #expect(reply.verifyReply(to: try packet(bytes), secret: sharedSecret) == .genuine)
        try await door.close()
    }

    /// A gateway drops answers from an address that it did not ask.
    @Test(arguments: [("0.0.0.0", "127.0.0.53"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")])
    func wildcardAnswersFromTheAddressThatWasAsked(listen: String, asked: String) async throws {
        let door = try TestDoor(ScriptedJudge(), listen: [listen])
        let gateway = try GatewaySocket(to: door.endpoint, address: asked)
        gateway.send(request())
        #expect(try gateway.receivePacket()?.code == .accessAccept)
        try await door.close()
    }

    @Test func bothFamiliesShareAPort() async throws {
        let door = try TestDoor(ScriptedJudge(), listen: ["0.0.0.0"])
        var settings = RADIUSSettings(listen: [UDPEndpoint(address: address("::"), port: door.endpoint.port)])
        settings.receiveBuffer = 1 << 16
        let second = RADIUSService(
            settings: settings, clients: .empty, judge: ScriptedJudge(), random: SystemRandomNumberGenerator(), logger: door.log.logger,
            now: door.clock.now, onPin: { _ in })
        try second.start()
        second.stop(drain: .seconds(0))
        try await second.run()
        try await door.close()
    }

    @Test func sixtyFourAtOnceAreAnswered() async throws {
        let door = try TestDoor(ScriptedJudge())
        let gateway = try GatewaySocket(to: door.endpoint)
        for identifier in UInt8(0)..<64 { gateway.send(request(identifier: identifier)) }
        var identifiers: Set<UInt8> = []
        for _ in 0..<64 { identifiers.insert(try #require(try gateway.receivePacket()).identifier) }
        #expect(identifiers.count == 64)
        #expect(door.service.statistics.replies == [.accessAccept: 64])
        try await door.close()
    }

    @Test func answersOfAnotherThreadAreSentAtOnceOrAfterItsGroup() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        gateway.send(request(identifier: 1))
        gateway.send(request(identifier: 2))
        gateway.send(request(identifier: 3))
        #expect(judge.waitForAttempts(3))
        let attempts = judge.attempts
        try onThread {
            attempts[0].completion(.reject(loginID, message: "No."))
            #expect(try gateway.receivePacket()?.identifier == 1)
            // From here on this thread answers in groups.
            door.service.flush()
            attempts[1].completion(.accept(loginID))
            attempts[2].completion(.accept(loginID))
            #expect(gateway.receiveNow() == nil)
            door.service.flush()
            let grouped = [try gateway.receivePacket()?.identifier, try gateway.receivePacket()?.identifier]
            #expect(Set(grouped) == [2, 3])
        }
        try await door.close()
    }

    @Test func wrongSecretIsDroppedAndExplained() async throws {
        let judge = ScriptedJudge()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        for identifier in UInt8(0)..<5 { gateway.send(request(identifier: identifier, secret: RADIUS.SharedSecret("another")!)) }
        gateway.send(request(identifier: 9))
        #expect(try gateway.receivePacket()?.identifier == 9)
        #expect(judge.attempts.count == 1)
        #expect(door.dropped(.wrongMessageAuthenticator) == 5)
        let lines = door.log.all.filter { $0.contains("the shared secret differs") }
        #expect(lines.count == 1)
        try await door.close()
    }

    @Test func unknownAndDisabledClientsGetNoAnswerAndTheLogSaysWhatToDo() async throws {
        let door = try TestDoor(
            ScriptedJudge(), clients: [client(id: 1, ["127.0.0.1"]), client("old", id: 2, ["127.0.0.2"], isEnabled: false)],
            listen: ["127.0.0.1"])
        try GatewaySocket(to: door.endpoint, from: "127.0.0.3").send(request())
        try GatewaySocket(to: door.endpoint, from: "127.0.0.2").send(request())
        let gateway = try GatewaySocket(to: door.endpoint, from: "127.0.0.1")
        gateway.send(request())
        #expect(gateway.receive() != nil)
        #expect(door.dropped(.unknownClient) == 1)
        #expect(door.dropped(.clientDisabled) == 1)
        #expect(door.log.all.contains { $0.contains("sallyport client add NAME --address 127.0.0.3 --secret-stdin") })
        #expect(door.log.all.contains { $0.contains("client old is disabled") })
        try await door.close()
    }

    @Test func oversizedTruncatedAndStrangePacketsAreDroppedByCause() async throws {
        let door = try TestDoor(ScriptedJudge())
        let gateway = try GatewaySocket(to: door.endpoint)
        let good = request()
        gateway.send(good + [UInt8](repeating: 0, count: 4097 - good.count))
        gateway.send(good + [UInt8](repeating: 0, count: 30_000))
        gateway.send(Array(good.dropLast()))
        gateway.send(Array(good.prefix(10)))
        gateway.send([])
        gateway.send(request(.accountingRequest))
        gateway.send(request(.coaRequest))
        gateway.send(request { $0.addText(.userName, "alice") })
        gateway.send(good + [0, 0, 0])
        #expect(try gateway.receivePacket()?.code == .accessAccept)
        #expect(
            door.service.statistics.dropped == [
                .oversized: 2, .lengthFieldBeyondDatagram: 1, .tooShort: 2, .accountingRequest: 1, .unexpectedCode: 1, .noProof: 1,
            ])
        #expect(door.log.all.contains { $0.contains("accounting arrives on the authentication port") })
        try await door.close()
    }

    @Test func retransmissionWhilePendingIsAnsweredOnceAndLaterWithTheSameBytes() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        for _ in 0..<3 { gateway.send(request()) }
        #expect(eventually { door.service.statistics.duplicatesInProgress == 2 })
        #expect(judge.attempts.count == 1)
        #expect(door.service.statistics.pending == 1)
        judge.attempts[0].completion(.accept(loginID))
        let answer = try #require(gateway.receive())
        #expect(gateway.receiveNow() == nil)
        gateway.send(request())
        #expect(gateway.receive() == answer)
        #expect(judge.attempts.count == 1)
        #expect(door.service.statistics.duplicatesAnswered == 1)
        // After ten seconds the same bytes are a new request; the engine tells a replay.
        door.clock.advance(by: .seconds(11))
        gateway.send(request())
        #expect(judge.waitForAttempts(2))
        try await door.close()
    }

    @Test func reusedIdentifierAbandonsTheOldRequestAndItsAnswerIsNotSent() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        gateway.send(request(authenticator: Authenticator(high: 1, low: 1)))
        gateway.send(request(authenticator: Authenticator(high: 2, low: 2)))
        #expect(judge.waitForAttempts(2))
        #expect(judge.abandoned == [judge.attempts[0].waiter])
        judge.attempts[0].completion(.none(.abandoned))
        judge.attempts[1].completion(.accept(loginID))
        let second = try packet(request(authenticator: Authenticator(high: 2, low: 2)))
        #expect(try gateway.receivePacket()?.verifyReply(to: second, secret: sharedSecret) == .genuine)
        #expect(gateway.receiveNow() == nil)
        #expect(door.dropped(.abandoned) == 1)
        try await door.close()
    }

    @Test func judgeHearsOfEveryWaiterBeforeItIsGivenUp() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        for number in UInt64(0)..<200 { gateway.send(request(authenticator: Authenticator(high: number, low: 0))) }
        #expect(judge.waitForAttempts(200))
        #expect(eventually { judge.abandoned.count == 199 })
        #expect(door.service.statistics.pending == 1)
        try await door.close()
    }

    @Test func noAnswerIsCountedAndTheRetransmissionIsJudgedAnew() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.none(.databaseUnavailable)) } }
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint, patience: 1)
        gateway.send(request())
        #expect(eventually { door.dropped(.databaseUnavailable) == 1 })
        gateway.send(request())
        #expect(eventually { door.dropped(.databaseUnavailable) == 2 })
        #expect(judge.attempts.count == 2)
        #expect(door.service.statistics.pending == 0)
        #expect(gateway.receiveNow() == nil)
        try await door.close()
    }

    @Test func fullBooksShedWhatIsNew() async throws {
        var limits = DuplicateLimits()
        limits.pending = 2
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge, limits: limits)
        let gateway = try GatewaySocket(to: door.endpoint)
        for identifier in UInt8(0)..<5 { gateway.send(request(identifier: identifier)) }
        #expect(eventually { door.dropped(.overloaded) == 3 })
        #expect(judge.attempts.count == 2)
        try await door.close()
    }

    @Test func statusServerIsAnsweredWithoutTheJudge() async throws {
        let judge = ScriptedJudge()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        let status = request(.statusServer) { _ in }
        gateway.send(status)
        let reply = try #require(try gateway.receivePacket())
        #expect(reply.code == .accessAccept)
        #expect(reply.verifyReply(to: try packet(status), secret: sharedSecret) == .genuine)
        gateway.send(request(.statusServer, identifier: 2, signed: false) { _ in })
        #expect(eventually { door.dropped(.statusWithoutMessageAuthenticator) == 1 })
        #expect(judge.attempts.isEmpty)
        try await door.close()
    }

    @Test func proxyStateComesBackInOrder() async throws {
        let door = try TestDoor(ScriptedJudge())
        let gateway = try GatewaySocket(to: door.endpoint)
        gateway.send(
            request {
                for number in UInt8(0)..<20 { $0.add(.proxyState, [number]) }
                $0.login()
            })
        #expect(try gateway.receivePacket()?.all(.proxyState) == (0..<20).map { [$0] })
        try await door.close()
    }

    @Test func sourceThatAlwaysSignedIsPinnedAndThenRefusedUnsigned() async throws {
        let pins = PinBox()
        let door = try TestDoor(ScriptedJudge(), onPin: { pins.add($0) })
        let gateway = try GatewaySocket(to: door.endpoint)
        for identifier in UInt8(0)..<21 {
            gateway.send(request(identifier: identifier))
            #expect(gateway.receive() != nil)
            door.clock.advance(by: .minutes(3))
        }
        #expect(pins.all == [ClientPin(client: 1, address: address("127.0.0.1"))])
        gateway.send(request(identifier: 100, signed: false))
        #expect(gateway.receive() != nil)
        door.service.replaceClients(try ClientTable([client()], pins: pins.all))
        gateway.send(request(identifier: 101, signed: false))
        gateway.send(request(identifier: 102))
        #expect(try gateway.receivePacket()?.identifier == 102)
        #expect(door.dropped(.pinnedWithoutMessageAuthenticator) == 1)
        #expect(door.log.all.contains { $0.contains("sallyport client unpin vpn --address 127.0.0.1") })
        try await door.close()
    }

    @Test func passwordOfAnotherSecretIsHintedAtOnceAndJudged() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "No.")) } }
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        for identifier in UInt8(0)..<3 {
            let other = RADIUS.SharedSecret("another")!
            gateway.send(request(identifier: identifier, signed: false) { $0.login("alice", "sesame,123456", secret: other) })
            #expect(gateway.receive() != nil)
        }
        #expect(judge.attempts.count == 3)
        #expect(door.log.all.filter { $0.contains("the shared secret probably differs") }.count == 1)
        try await door.close()
    }

    @Test func shutdownWaitsForOutstandingAnswers() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint)
        gateway.send(request())
        #expect(judge.waitForAttempts(1))
        door.service.stop(drain: .seconds(30))
        gateway.send(request(identifier: 2))
        try onThread { judge.attempts[0].completion(.accept(loginID)) }
        try await door.service.run()
        #expect(try gateway.receivePacket()?.identifier == 1)
        #expect(judge.attempts.count == 1)
        // The port is free again.
        var settings = RADIUSSettings(listen: [door.endpoint])
        settings.receiveBuffer = 1 << 16
        let next = RADIUSService(
            settings: settings, clients: .empty, judge: judge, random: SystemRandomNumberGenerator(), logger: door.log.logger,
            now: door.clock.now, onPin: { _ in })
        try next.start()
        next.stop(drain: .seconds(0))
        try await next.run()
    }

    @Test func shutdownGivesUpAfterItsTimeAndLateAnswersHarmNobody() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge)
        let gateway = try GatewaySocket(to: door.endpoint, patience: 1)
        gateway.send(request())
        #expect(judge.waitForAttempts(1))
        try await door.close(drain: .milliseconds(20))
        #expect(door.log.all.contains { $0.hasPrefix("stopped before every login was answered") })
        judge.attempts[0].completion(.accept(loginID))
        #expect(gateway.receive() == nil)
        #expect(door.dropped(.sendFailed) == 1)
    }

    @Test func cancelledServiceEnds() async throws {
        let door = try TestDoor(ScriptedJudge())
        let running = Task { try await door.service.run() }
        running.cancel()
        try await running.value
        #expect(throws: Never.self) { try GatewaySocket(to: door.endpoint) }
    }

    @Test func busyPortIsSaidInWords() async throws {
        let door = try TestDoor(ScriptedJudge())
        let settings = RADIUSSettings(listen: [door.endpoint])
        let second = RADIUSService(
            settings: settings, clients: .empty, judge: ScriptedJudge(), random: SystemRandomNumberGenerator(), logger: door.log.logger,
            now: door.clock.now, onPin: { _ in })
        let error = #expect(throws: RADIUSServiceError.addressInUse(door.endpoint)) { try second.start() }
        #expect(
            error?.description
                == "UDP 127.0.0.1:\(door.endpoint.port) is in use by another program; stop it or set radius.listen or radius.accounting")
        try await door.close()
    }

    @Test func addressOfAnotherMachineIsSaidInWords() throws {
        let endpoint = UDPEndpoint(address: address("192.0.2.1"), port: 0)
        #expect(throws: RADIUSServiceError.addressNotOurs(endpoint)) { try UDPSocket(endpoint) }
    }
}

/// Runs a body on a thread of its own, so that what it does to the thread stays there.
private func onThread(_ body: @escaping @Sendable () throws -> Void) throws {
    final class Box: @unchecked Sendable {
        let body: @Sendable () throws -> Void
        var failure: (any Error)?

        init(_ body: @escaping @Sendable () throws -> Void) {
            self.body = body
        }
    }
    let box = Box(body)
    var thread = pthread_t()
    let error = pthread_create(
        &thread, nil,
        { context in
            let box = Unmanaged<Box>.fromOpaque(context!).takeUnretainedValue()
            do { try box.body() } catch { box.failure = error }
            return nil
        }, Unmanaged.passUnretained(box).toOpaque())
    try #require(error == 0)
    pthread_join(thread, nil)
    if let failure = box.failure { throw failure }
}
