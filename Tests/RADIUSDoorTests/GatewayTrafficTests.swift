// SPDX-License-Identifier: Apache-2.0
// What real packets teach about a gateway, and which ones teach nothing.

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct GatewayTrafficTests {
    private static let start = Moment(wall: uptime(1_000_000), uptime: uptime(1_000_000))

    private func habits(_ traffic: GatewayTraffic, _ id: Int64 = 1, at seconds: Int64 = 1_000_000) throws -> GatewayHabits {
        try #require(traffic.habits(ofClient: id, at: Moment(wall: uptime(seconds), uptime: uptime(seconds))))
    }

    /// A door, a gateway at it, and what is learnt there.
    private struct Lesson {
        let traffic = GatewayTraffic(at: GatewayTrafficTests.start)
        let door: TestDoor
        let gateway: GatewaySocket

        init(_ judge: ScriptedJudge = ScriptedJudge(), clients: [Client] = [client()], ledger: ScriptedLedger? = nil) throws {
            door = try TestDoor(judge, clients: clients, ledger: ledger, traffic: traffic)
            gateway = try GatewaySocket(to: door.endpoint)
        }

        /// Sends each as a packet of its own and waits for its answer.
        func ask(_ packets: [UInt8]...) throws {
            for (index, bytes) in packets.enumerated() {
                gateway.send(bytes)
                _ = try #require(gateway.receive(), "packet \(index) got no answer")
            }
        }
    }

    @Test func anOrdinaryLoginIsCountedWithWhatItLacks() async throws {
        let lesson = try Lesson()
        try lesson.ask(
            request(identifier: 1),
            request(identifier: 2) {
                $0.login()
                $0.addText(.callingStationID, "192.0.2.44")
                $0.addText(.acctSessionID, "7f")
            })
        try await lesson.door.close()
        let habits = try habits(lesson.traffic)
        #expect(habits.requests == 2 && habits.accepts == 2 && habits.unsigned == 0)
        #expect(habits.withoutStation == 1 && habits.withoutSession == 1)
        #expect(habits.count(.pap) == 2 && habits.chap == 0 && habits.textsUTF8 == 0 && habits.textsNotUTF8 == 0)
        #expect(habits.sources == [address("127.0.0.1")])
        #expect(habits.retries.repeated == 0)
    }

    @Test func protocolsAndCharacterSetsAreTold() async throws {
        let lesson = try Lesson()
        try lesson.ask(
            request(identifier: 1) {
                $0.addText(.userName, "alice")
                $0.add(.chapPassword, [UInt8](repeating: 7, count: 17))
            },
            request(identifier: 2) {
                $0.addText(.userName, "alice")
                $0.add(.eapMessage, [2, 1, 0, 5, 1])
                $0.add(.state, [1])
            },
            request(identifier: 3) { $0.login("müller") },
            request(identifier: 4) {
                $0.add(.userName, [0x6D, 0xFC])
                $0.addPassword([0x70], secret: sharedSecret)
            },
            request(identifier: 5) {
                $0.addText(.userName, "alice")
                $0.addPassword([0x70, 0xE4], secret: sharedSecret)
            },
            request(identifier: 6) { $0.login("alice", "pässword") })
        try await lesson.door.close()
        let habits = try habits(lesson.traffic)
        #expect(habits.requests == 6 && habits.chap == 1 && habits.eap == 1 && habits.count(.pap) == 4)
        #expect(habits.textsUTF8 == 2 && habits.textsNotUTF8 == 2)
        #expect(habits.answers == 0, "a State within EAP answers no challenge of ours")
    }

    // MARK: EAP

    private func round(_ message: [UInt8], mtu: UInt32? = nil) throws -> Packet {
        try Packet(
            decoding: request(identifier: 1) {
                $0.addText(.userName, "alice")
                $0.add(.eapMessage, message)
                if let mtu { $0.addInteger(.framedMTU, mtu) }
            })
    }

    @Test func roundsOfEAPTeachWhatDevicesSpeak() throws {
        let traffic = ClientTraffic()
        let offered: [EAPMethodName] = [.gtc, .msCHAPv2]
        func note(_ message: [UInt8], mtu: UInt32? = nil) throws {
            traffic.noteRound(try round(message, mtu: mtu), message, offered: offered, from: address("192.0.2.7"))
        }
        try note([2, 1, 0, 10] + [1] + Array("alice".utf8), mtu: 1_400)
        // What it would rather speak is offered: it is spoken, and nothing is missing.
        try note([2, 2, 0, 7, 3, 13, 26], mtu: 1_300)
        for _ in 0..<2 { try note([2, 2, 0, 7, 3, 13, 21], mtu: 1_300) }
        // Nothing rather, and nonsense.
        for message in [[2, 2, 0, 6, 3, 0], [2, 2, 0, 5, 3], [1, 2, 0, 6, 3, 13], [2], [2, 2, 0, 5, 254]] as [[UInt8]] {
            try note(message, mtu: 0)
        }
        _ = traffic.noteRoundAnswered(try round([2, 3, 0, 6, 26, 3]), isAccepted: true, from: address("192.0.2.7"), nil)
        _ = traffic.noteRoundAnswered(try round([2, 3, 0, 6, 6, 3]), isAccepted: false, from: address("192.0.2.7"), nil)
        for _ in 0..<2 {
            let habits = traffic.habits(since: uptime(0), at: uptime(1))
            #expect(habits.requests == 9 && habits.eap == 9 && habits.count(.pap) == 0 && habits.accepts == 1)
            #expect(habits.eapAccepted == [26: 1] && habits.eapWanted == [13: 2, 21: 2] && habits.framedMTU == 1_300)
            #expect(habits.sources == [address("192.0.2.7")])
            // The period before is told too.
            traffic.turn()
        }
        #expect(traffic.habits(since: uptime(0), at: uptime(1)).eapWanted.isEmpty)
    }

    @Test func roundsThatAreAskedAgainTeachTheTimeOut() throws {
        let traffic = ClientTraffic()
        for start in [Int64(10), 20, 30] {
            var history = RequestHistory(at: uptime(start))
            history.came(again: uptime(start + 3))
            history.answered = uptime(start + 4)
            #expect(!traffic.noteRoundAnswered(try round([2, 3, 0, 6, 6, 3]), isAccepted: false, from: address("192.0.2.7"), history))
        }
        let retries = traffic.habits(since: uptime(0), at: uptime(60)).retries
        #expect(retries.repeated == 3 && retries.interval == .seconds(3))
    }

    /// Whatever devices ask for, no more is kept than fits.
    @Test func askingForManyMethodsFillsNoMemory() {
        var habit = EAPHabit()
        for type in UInt8(4)...255 { habit.note(wanted: [type]) }
        #expect(habit.wanted.count == EAPHabit.mostMethods)
        let long = EAPRound([2, 1, 1, 0, 3] + [UInt8](repeating: 13, count: 250))
        #expect(long?.wanted.count == 8)
    }

    @Test func challengesAndTheirAnswersAreCounted() async throws {
        let challenge = Challenge(handle: "handle", prompt: "Code:", echo: false, lifetime: 120)
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.challenge(loginID, challenge)) } }
        let lesson = try Lesson(judge)
        try lesson.ask(
            request(identifier: 1), request(identifier: 2),
            request(identifier: 3) {
                $0.login()
                $0.add(.state, Array("handle".utf8))
            })
        try await lesson.door.close()
        let habits = try habits(lesson.traffic)
        #expect(habits.challenges == 3 && habits.answers == 1 && habits.accepts == 0)
    }

    // MARK: What teaches nothing

    /// Whoever can send in the gateway's name, without knowing the shared secret.
    @Test func unsignedAndForgedPacketsTeachNothing() async throws {
        let refusing = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "no")) } }
        let lesson = try Lesson(refusing)
        let before = try habits(lesson.traffic)
        for identifier in 0..<50 as Range<UInt8> {
            try lesson.ask(
                request(identifier: identifier, signed: false) {
                    $0.add(.userName, [0x6D, 0xFC])
                    $0.add(.chapPassword, [UInt8](repeating: 7, count: 17))
                    $0.add(.state, [1])
                })
        }
        // Signed with another secret.
        lesson.gateway.send(request(secret: RADIUS.SharedSecret("another")!))
        #expect(eventually { lesson.door.dropped(.wrongMessageAuthenticator) == 1 })
        try await lesson.door.close()
        #expect(try habits(lesson.traffic) == before)
    }

    @Test func anUnsignedChallengeTeachesNothingAndAnAcceptedPasswordDoes() async throws {
        let answers: [LoginAnswer] = [
            .challenge(loginID, Challenge(handle: "handle", prompt: "Code:", echo: false, lifetime: 120)), .accept(loginID),
            .accept(loginID),
        ]
        let judge = ScriptedJudge { attempts in
            for attempt in attempts { attempt.completion(answers[Int(attempt.request.gatewaySession ?? "0") ?? 0]) }
        }
        let lesson = try Lesson(judge)
        for answer in 0..<3 as Range<UInt32> {
            try lesson.ask(
                request(identifier: UInt8(answer), signed: false) {
                    $0.addInteger(.nasPort, answer)
                    // The last is proved without the shared secret, so that anybody who knows a password may have sent it.
                    if answer < 2 { $0.login() } else { $0.chapLogin() }
                })
        }
        try await lesson.door.close()
        let habits = try habits(lesson.traffic)
        #expect(habits.requests == 1 && habits.unsigned == 1 && habits.accepts == 1)
        #expect(habits.challenges == 0 && habits.chap == 0)
    }

    @Test func theBuiltInTestClientIsNotTheGateway() async throws {
        let lesson = try Lesson()
        try lesson.ask(
            request {
                $0.login()
                $0.addText(.nasIdentifier, "sallyport-login")
            })
        try await lesson.door.close()
        #expect(try habits(lesson.traffic).requests == 0 && habits(lesson.traffic).accepts == 0)
    }

    // MARK: Retries

    @Test func retransmissionsTellTheTimeOut() async throws {
        let judge = ScriptedJudge.holding()
        let lesson = try Lesson(judge)
        let bytes = request()
        lesson.gateway.send(bytes)
        #expect(judge.waitForAttempts(1))
        for copy in 1...2 {
            lesson.door.clock.advance(by: .seconds(3))
            lesson.gateway.send(bytes)
            #expect(eventually { lesson.door.service.statistics.duplicatesInProgress == copy })
        }
        lesson.door.clock.advance(by: .seconds(5))
        judge.attempts[0].completion(.accept(loginID))
        _ = try #require(lesson.gateway.receive())
        try await lesson.door.close()
        let retries = try habits(lesson.traffic, at: 1_000_011).retries
        #expect(retries.interval == .seconds(3) && retries.tries == 3 && retries.repeated == 1 && retries.most == 3)
    }

    /// Its identifier and authenticator are a guess of sixteen bytes, but nothing proves that the first packet is the gateway's.
    @Test func unsignedRetransmissionsTeachNothingUnlessAccepted() async throws {
        for (answer, repeated) in [(LoginAnswer.reject(loginID, message: "no"), 0), (.accept(loginID), 1)] {
            let judge = ScriptedJudge.holding()
            let lesson = try Lesson(judge)
            let bytes = request(signed: false)
            lesson.gateway.send(bytes)
            #expect(judge.waitForAttempts(1))
            lesson.door.clock.advance(by: .seconds(1))
            lesson.gateway.send(bytes)
            #expect(eventually { lesson.door.service.statistics.duplicatesInProgress == 1 })
            judge.attempts[0].completion(answer)
            _ = try #require(lesson.gateway.receive())
            try await lesson.door.close()
            #expect(try habits(lesson.traffic).retries.repeated == repeated)
        }
    }

    @Test func aRetryWithANewIdentifierIsRecognised() async throws {
        let judge = ScriptedJudge.holding()
        let lesson = try Lesson(judge)
        func packet(_ identifier: UInt8) -> [UInt8] {
            request(identifier: identifier, authenticator: Authenticator(high: UInt64(identifier), low: 1)) {
                $0.login()
                $0.addText(.callingStationID, "192.0.2.44")
            }
        }
        lesson.gateway.send(packet(1))
        #expect(judge.waitForAttempts(1))
        lesson.door.clock.advance(by: .seconds(5))
        lesson.gateway.send(packet(2))
        #expect(judge.waitForAttempts(2))
        lesson.door.clock.advance(by: .seconds(2))
        for attempt in judge.attempts { attempt.completion(.accept(loginID)) }
        for _ in 0..<2 { _ = try #require(lesson.gateway.receive()) }
        try await lesson.door.close()
        let retries = try habits(lesson.traffic, at: 1_000_007).retries
        #expect(retries.renewed == 1 && retries.moved == 0 && retries.repeated == 0)
    }

    // MARK: Keeping

    @Test func whatWasLearntOutlivesAChangeOfClientsAndGoesWithTheClient() throws {
        let traffic = GatewayTraffic(at: Self.start)
        let first = try ClientTable([client(), client("other", id: 2, ["192.0.2.0/24"])], pins: [], traffic: traffic)
        let note = { (table: ClientTable, source: String) throws in
            let entry = try #require(table.client(for: address(source)))
            entry.traffic.note(try packet(request()), scheme: nil, password: .ascii, from: address(source))
        }
        try note(first, "127.0.0.1")
        try note(first, "192.0.2.1")
        let second = try ClientTable([client("renamed")], pins: [], traffic: traffic)
        try note(second, "127.0.0.2")
        #expect(try habits(traffic).requests == 2)
        #expect(try habits(traffic).sources == [address("127.0.0.1"), address("127.0.0.2")])
        #expect(traffic.habits(ofClient: 2, at: Self.start) == nil)
        // A request that is still under way by the table before harms nothing.
        try note(first, "192.0.2.1")
        #expect(traffic.habits(ofClient: 2, at: Self.start) == nil)
    }

    @Test func whatIsTwoPeriodsOldIsForgotten() throws {
        let traffic = GatewayTraffic(at: Self.start)
        let table = try ClientTable([client()], pins: [], traffic: traffic)
        let entry = try #require(table.client(for: address("127.0.0.1")))
        entry.traffic.note(try packet(request()), scheme: .chap, password: .ascii, from: address("127.0.0.1"))
        let half: Int64 = 12 * 3_600
        func turn(_ seconds: Int64) {
            traffic.turn(at: Moment(wall: uptime(1_000_000 + seconds), uptime: uptime(1_000_000 + seconds)))
        }
        turn(half - 1)
        #expect(try habits(traffic).since == uptime(1_000_000))
        turn(half)
        #expect(try habits(traffic).requests == 1 && habits(traffic).since == uptime(1_000_000))
        entry.traffic.note(try packet(request()), scheme: nil, password: .ascii, from: address("127.0.0.2"))
        #expect(try habits(traffic).requests == 2 && habits(traffic).chap == 1 && habits(traffic).sources.count == 2)
        turn(2 * half)
        #expect(try habits(traffic).requests == 1 && habits(traffic).chap == 0)
        #expect(try habits(traffic).sources == [address("127.0.0.2")] && habits(traffic).since == uptime(1_000_000 + half))
    }

    @Test func aMillionSourcesTakeNoRoom() throws {
        let traffic = ClientTraffic()
        let packet = try packet(request())
        for number in 0..<20_000 as Range<UInt32> {
            traffic.note(packet, scheme: nil, password: .ascii, from: NetworkAddress(v4: 0x0A00_0000 + number))
        }
        let habits = traffic.habits(since: uptime(0), at: uptime(0))
        #expect(habits.requests == 20_000)
        #expect((2...ClientTraffic.mostSources).contains(habits.sources.count))
    }

    @Test func recordsThatAreProvenAreCounted() async throws {
        let lesson = try Lesson(ledger: ScriptedLedger())
        let gateway = try GatewaySocket(to: lesson.door.service.boundAccounting[0])
        func record(_ secret: RADIUS.SharedSecret) -> [UInt8] {
            request(.accountingRequest, signed: false, secret: secret) {
                $0.addInteger(.acctStatusType, 1)
                $0.addText(.acctSessionID, "7f")
            }
        }
        gateway.send(record(sharedSecret))
        _ = try #require(gateway.receive())
        gateway.send(record(RADIUS.SharedSecret("another")!))
        #expect(eventually { lesson.door.dropped(.wrongRequestAuthenticator) == 1 })
        try await lesson.door.close()
        #expect(try habits(lesson.traffic).records == 1)
    }
}

extension PacketWriter {
    fileprivate mutating func chapLogin() {
        addText(.userName, "alice")
        add(.chapPassword, [UInt8](repeating: 7, count: 17))
    }
}
