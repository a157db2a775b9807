// SPDX-License-Identifier: Apache-2.0
// EAP by a real socket, with a judge that does as told: State, repeats, rounds, and what goes beside EAP-Message.

import EAP
import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

struct EAPDoorTests {
    private func eapClient(_ methods: [EAPMethodName] = [.gtc], id: Int64 = 1, _ ranges: [String] = ["127.0.0.0/8"]) -> Client {
        var settings = ClientSettings(name: "vpn\(id)", addresses: ranges.map { AddressRange($0)! }, secret: Secret(utf8: secretText))
        settings.eap = methods
        return Client(id: id, settings: settings)
    }

    /// A device behind a gateway.
    private final class Device {
        let gateway: GatewaySocket
        var packetNumber: UInt8 = 0
        var state: [UInt8]?
        /// The last request of the server.
        var asked: EAPPacket?

        init(_ door: TestDoor, from source: String? = nil) throws {
            gateway = try GatewaySocket(to: door.endpoint, from: source)
        }

        func bytes(_ eap: [UInt8], name: String = "alice", _ add: (inout PacketWriter) -> Void = { _ in }) -> [UInt8] {
            packetNumber += 1
            return request(
                identifier: packetNumber, authenticator: Authenticator(high: UInt64(packetNumber), low: UInt64.random(in: 0 ... .max))
            ) { writer in
                writer.addText(.userName, name)
                if let state { writer.add(.state, state) }
                if eap.isEmpty { writer.add(.eapMessage, []) } else { writer.addSplit(.eapMessage, eap) }
                add(&writer)
            }
        }

        func ask(_ eap: [UInt8], name: String = "alice", _ add: (inout PacketWriter) -> Void = { _ in }) throws -> Packet {
            gateway.send(bytes(eap, name: name, add))
            return try hear(try #require(try gateway.receivePacket()))
        }

        func hear(_ reply: Packet) throws -> Packet {
            if let new = reply.octets(.state) { state = new }
            if let message = reply.joined(.eapMessage), let packet = try? EAPPacket(message[...]), packet.code == .request {
                asked = packet
            }
            return reply
        }

        func identify(_ name: String = "alice") throws -> Packet {
            try ask(EAPPacket(.response, identifier: 1, type: .identity, data: Array(name.utf8)).bytes)
        }

        /// What answers the last request.
        func response(_ data: [UInt8], type: EAPType? = nil) -> [UInt8] {
            EAPPacket(.response, identifier: asked?.identifier ?? 0, type: type ?? asked?.type, data: data).bytes
        }

        func type(_ text: String) throws -> Packet { try ask(response(Array(text.utf8))) }
    }

    private func eap(_ reply: Packet) throws -> EAPPacket { try EAPPacket(try #require(reply.joined(.eapMessage))[...]) }

    @Test func twoRoundsOfGTCKeepTheEnginesHandle() async throws {
        let judge = ScriptedJudge { attempts in
            for attempt in attempts {
                let isSecond = attempt.request.handle == "handle"
                attempt.completion(
                    isSecond
                        ? .accept(loginID, reply: [18, 4, 104, 105, 25, 5, 97, 98, 99])
                        : .challenge(loginID, Challenge(handle: "handle", prompt: "Enter your code:", echo: true, lifetime: 120)))
            }
        }
        let door = try TestDoor(judge, clients: [eapClient()])
        let device = try Device(door)
        let first = try device.identify()
        #expect(first.code == .accessChallenge)
        #expect(first.octets(.state)?.count == 16)
        #expect(try eap(first) == EAPPacket(.request, identifier: 2, type: .genericTokenCard, data: Array("Password: ".utf8)))
        let second = try device.type("sesame")
        #expect(try eap(second) == EAPPacket(.request, identifier: 3, type: .genericTokenCard, data: Array("Enter your code:".utf8)))
        // RFC 3579 §2.6.5
        #expect(!second.contains(.replyMessage))
        #expect(second.octets(.state) == first.octets(.state))
        let last = try device.type("123456")
        #expect(last.code == .accessAccept)
        #expect(try eap(last) == EAPPacket(.success, identifier: 3))
        #expect(last.octets(AttributeType(rawValue: 25)) == Array("abc".utf8))
        #expect(!last.contains(.vendorSpecific) && !last.contains(.state) && !last.contains(.replyMessage))
        #expect(judge.attempts.map(\.request.name) == ["alice", "alice"])
        #expect(judge.attempts.map(\.request.method) == ["EAP-GTC", "EAP-GTC"])
        #expect(judge.attempts.map(\.request.proof) == [.plaintext(Secret(utf8: "sesame")), .plaintext(Secret(utf8: "123456"))])
        #expect(door.service.openConversations == 0)
        try await door.close()
    }

    @Test func refusalEndsInEAPFailure() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "Login refused.")) } }
        let door = try TestDoor(judge, clients: [eapClient()])
        let device = try Device(door)
        _ = try device.identify()
        let last = try device.type("wrong")
        #expect(last.code == .accessReject)
        #expect(try eap(last) == EAPPacket(.failure, identifier: 2))
        #expect(!last.contains(.replyMessage))
        #expect(judge.attempts.count == 1)
        #expect(door.service.openConversations == 0)
        try await door.close()
    }

    @Test func gatewayThatOnlyStartsIsAskedForTheIdentity() async throws {
        let door = try TestDoor(ScriptedJudge(), clients: [eapClient()])
        let device = try Device(door)
        // RFC 3579 §2.1: EAP-Start is an EAP-Message of no bytes.
        let first = try device.ask([])
        #expect(try eap(first) == EAPPacket(.request, identifier: 1, type: .identity))
        let second = try device.ask(device.response(Array("alice".utf8)))
        #expect(try eap(second).type == .genericTokenCard)
        #expect(try device.type("sesame").code == .accessAccept)
        try await door.close()
    }

    @Test func stateOfNobodyIsRefusedAndWrittenDown() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "no")) } }
        let door = try TestDoor(
            judge, clients: [eapClient(id: 1, ["127.0.0.1", "127.0.0.3"]), eapClient(id: 2, ["127.0.0.2"])])
        let device = try Device(door, from: "127.0.0.1")
        _ = try device.identify()
        let state = device.state
        var strangers: [Device] = []
        for source in ["127.0.0.2", "127.0.0.3"] {
            // Another client, and another gateway of the same client.
            let stranger = try Device(door, from: source)
            stranger.state = state
            stranger.asked = device.asked
            #expect(try stranger.type("sesame").code == .accessReject)
            strangers.append(stranger)
        }
        for state in [[], [1], [UInt8](repeating: 7, count: 16), [UInt8](repeating: 7, count: 64)] as [[UInt8]] where !state.isEmpty {
            let lost = try Device(door, from: "127.0.0.1")
            lost.state = state
            lost.asked = device.asked
            let reply = try lost.type("sesame")
            #expect(reply.code == .accessReject)
            #expect(try eap(reply) == EAPPacket(.failure, identifier: 2))
        }
        #expect(judge.attempts.count == 5)
        #expect(judge.attempts.allSatisfy { $0.request.proof == .failed("EAP State that nobody knows") && $0.request.handle == nil })
        // The honest one is not hurt.
        _ = try device.type("sesame")
        #expect(judge.attempts.last?.request.proof == .plaintext(Secret(utf8: "sesame")))
        try await door.close()
    }

    @Test func identityThatIsNotUserNameIsRefused() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "no")) } }
        let door = try TestDoor(judge, clients: [eapClient()])
        let device = try Device(door)
        _ = try device.identify("mallory")
        #expect(try device.ask(device.response(Array("sesame".utf8)), name: "alice").code == .accessReject)
        #expect(judge.attempts.map(\.request.proof) == [.failed("EAP identity that is not User-Name")])
        #expect(judge.attempts.map(\.request.name) == ["mallory"])
        try await door.close()
    }

    @Test func malformedPacketIsAnsweredWithTheLastRequest() async throws {
        let door = try TestDoor(ScriptedJudge(), clients: [eapClient()])
        let device = try Device(door)
        let first = try device.identify()
        for bytes in [[1], [2, 9, 0, 6, 6, 1], [2, 2, 0, 200, 6, 1], [1, 2, 0, 5, 6], [2, 2, 0, 5, 26]] as [[UInt8]] {
            let again = try device.ask(bytes)
            #expect(again.code == .accessChallenge)
            #expect(again.joined(.eapMessage) == first.joined(.eapMessage))
            // RFC 3579 §2.2
            #expect(again.integer(.errorCause) == 202)
        }
        #expect(try device.type("sesame").code == .accessAccept)
        try await door.close()
    }

    @Test func conversationThatCannotBeginIsRefusedAndWrittenDown() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "no")) } }
        let door = try TestDoor(judge, clients: [eapClient()])
        #expect(try Device(door).ask([9, 9]).code == .accessReject)
        #expect(try Device(door).ask([2, 1, 0, 6, 3, 4]).code == .accessReject)
        let device = try Device(door)
        _ = try device.identify()
        let last = try device.ask(device.response([26], type: .nak))
        #expect(last.code == .accessReject)
        #expect(try eap(last).code == .failure)
        #expect(
            judge.attempts.map(\.request.proof) == [
                .failed("malformed EAP packet"), .failed("unexpected EAP-Nak"), .failed("device that wants EAP-MSCHAPv2"),
            ])
        #expect(door.service.openConversations == 0)
        try await door.close()
    }

    @Test func nobodyThatSignsDevicesIsSaid() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "no")) } }
        let door = try TestDoor(judge, clients: [eapClient([.tls])])
        #expect(try Device(door).identify().code == .accessReject)
        #expect(
            judge.attempts.map(\.request.proof) == [
                .failed("EAP-TLS that cannot begin: there is no authority of devices' certificates (sallyport ca init, or eap.client-ca)")
            ])
        try await door.close()
    }

    @Test func clientWithoutMethodsIsRefusedAsBefore() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "no")) } }
        let door = try TestDoor(judge, clients: [eapClient([])])
        let reply = try Device(door).identify()
        #expect(reply.code == .accessReject)
        #expect(try eap(reply) == EAPPacket(.failure, identifier: 1))
        #expect(judge.attempts.map(\.request.proof) == [.unsupported("EAP")])
        try await door.close()
    }

    @Test func sameResponseWhileItIsJudgedHearsTheSameAnswer() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge, clients: [eapClient()])
        let device = try Device(door)
        _ = try device.identify()
        let answer = device.response(Array("sesame".utf8))
        let bytes = device.bytes(answer)
        device.gateway.send(bytes)
        #expect(judge.waitForAttempts(1))
        // A retransmission, then a new packet with the same in it, then one with something else.
        device.gateway.send(bytes)
        device.gateway.send(device.bytes(answer))
        device.gateway.send(device.bytes(device.response(Array("other".utf8))))
        #expect(eventually { door.dropped(.eapOutOfTurn) == 1 && door.service.statistics.duplicatesInProgress == 1 })
        #expect(judge.attempts.count == 1)
        judge.attempts[0].completion(.accept(loginID))
        let replies = [try device.gateway.receivePacket(), try device.gateway.receivePacket()]
        #expect(replies.map { $0?.code } == [.accessAccept, .accessAccept])
        #expect(Set(replies.compactMap { $0?.identifier }) == [2, 3])
        // And once it is answered, the same bytes again.
        device.gateway.send(bytes)
        #expect(try device.gateway.receivePacket() == replies.first { $0?.identifier == 2 })
        try await door.close()
    }

    @Test func engineThatCannotSayIsAskedAgain() async throws {
        let judge = ScriptedJudge.holding()
        let door = try TestDoor(judge, clients: [eapClient()])
        let device = try Device(door)
        _ = try device.identify()
        let bytes = device.bytes(device.response(Array("sesame".utf8)))
        device.gateway.send(bytes)
        #expect(judge.waitForAttempts(1))
        judge.attempts[0].completion(.none(.databaseUnavailable))
        #expect(eventually { door.dropped(.databaseUnavailable) == 1 })
        device.gateway.send(bytes)
        #expect(judge.waitForAttempts(2))
        judge.attempts[1].completion(.accept(loginID))
        #expect(try device.gateway.receivePacket()?.code == .accessAccept)
        try await door.close()
    }

    // MARK: MS-CHAPv2

    private let password = Array("clientPass".utf8)

    /// Answers as a device does whose user types `password`.
    private func msCHAPv2(_ device: Device, name: String = "alice") throws -> (packet: [UInt8], response: MSCHAPv2Response) {
        let data = try #require(device.asked).data
        let challenge = try #require(Authenticator(Array(data[5..<21])))
        let hash = try #require(NTHash(password: password))
        let response = MSCHAPv2Response(
            identifier: data[1], challenge: challenge, peerChallenge: Authenticator(high: 3, low: 4), userName: Array(name.utf8), hash: hash
        )
        let value = Array(response.bytes.dropFirst(2)) + [0]
        return (device.response([2, data[1], 0, UInt8(54 + name.utf8.count), 49] + value + Array(name.utf8)), response)
    }

    private func accepting(isCode: Bool) -> ScriptedJudge {
        let proven = ProvenPassword(.text(Secret(password)), isCode: isCode)
        return ScriptedJudge { for attempt in $0 { attempt.completion(.accept(loginID, proven: proven)) } }
    }

    /// As the engine does.
    private func refusingFailures() -> ScriptedJudge {
        let proven = ProvenPassword(.text(Secret(password)), isCode: false)
        return ScriptedJudge { attempts in
            for attempt in attempts {
                if case .failed = attempt.request.proof {
                    attempt.completion(.reject(loginID, message: "no"))
                } else {
                    attempt.completion(.accept(loginID, proven: proven))
                }
            }
        }
    }

    /// Both keys of an accept, the receiving one first.
    private func keys(_ reply: Packet, to request: [UInt8]) throws -> [[UInt8]] {
        let authenticator = try packet(request).authenticator
        return [MicrosoftAttribute.mppeReceiveKey, MicrosoftAttribute.mppeSendKey].compactMap { type in
            guard let attribute = reply.vendorAttributes.first(where: { $0.vendor == MicrosoftAttribute.vendor && $0.type == type })
            else { return nil }
            return SaltedKey.reveal(reply.value(of: attribute), authenticator: authenticator, secret: sharedSecret)
        }
    }

    @Test(
        arguments: [
            // Keys of a password go out to everybody; those of a code only where a tunnel of IKEv2 is asked about.
            (false, nil, nil, true), (true, 5, nil, true), (true, nil, nil, false), (true, 19, nil, false), (true, 5, 1, false),
        ] as [(Bool, UInt32?, UInt32?, Bool)])
    func keysOfMSCHAPv2GoOutToWhoMayHaveThem(_ isCode: Bool, _ portType: UInt32?, _ framed: UInt32?, _ hasKeys: Bool) async throws {
        let judge = accepting(isCode: isCode)
        let door = try TestDoor(judge, clients: [eapClient([.msCHAPv2])])
        let device = try Device(door)
        #expect(try eap(try device.identify()).type == .msCHAPv2)
        let (answer, response) = try msCHAPv2(device)
        let proof = try eap(try device.ask(answer))
        let hash = try #require(NTHash(password: password))
        #expect(proof.data == [3, 2, 0, 46] + Array(response.success(hash).utf8))
        let bytes = device.bytes(device.response([3])) {
            if let portType { $0.addInteger(.nasPortType, portType) }
            if let framed { $0.addInteger(.framedProtocol, framed) }
        }
        device.gateway.send(bytes)
        let last = try #require(try device.gateway.receivePacket())
        #expect(last.code == .accessAccept)
        let expected = MPPEKeys(response, hash)
        #expect(try keys(last, to: bytes) == (hasKeys ? [expected.receive, expected.send] : []))
        #expect(judge.attempts.map(\.request.carriesQuestions) == [false])
        try await door.close()
    }

    @Test func acceptOfAnotherProofLetsNobodyIn() async throws {
        let other = ProvenPassword(.text(Secret(utf8: "another")), isCode: false)
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.accept(loginID, proven: other)) } }
        let door = try TestDoor(judge, clients: [eapClient([.msCHAPv2])])
        let device = try Device(door)
        _ = try device.identify()
        #expect(try device.ask(try msCHAPv2(device).packet).code == .accessReject)
        try await door.close()
    }

    @Test func refusalOfMSCHAPv2SaysWhy() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.reject(loginID, message: "Login refused.")) } }
        let door = try TestDoor(judge, clients: [eapClient([.msCHAPv2])])
        let device = try Device(door)
        _ = try device.identify()
        let refusal = try device.ask(try msCHAPv2(device).packet)
        #expect(refusal.code == .accessChallenge)
        let text = String(decoding: try eap(refusal).data.dropFirst(4), as: UTF8.self)
        #expect(text.hasPrefix("E=691 R=0 C=") && text.hasSuffix(" V=3 M=Login refused."))
        #expect(try device.ask(device.response([4])).code == .accessReject)
        #expect(judge.attempts.count == 1)
        try await door.close()
    }

    @Test func deviceThatDoesNotBelieveTheServerIsWrittenDown() async throws {
        let judge = refusingFailures()
        let door = try TestDoor(judge, clients: [eapClient([.msCHAPv2])])
        let device = try Device(door)
        _ = try device.identify()
        _ = try device.ask(try msCHAPv2(device).packet)
        #expect(try device.ask(device.response([4])).code == .accessReject)
        #expect(judge.attempts.last?.request.proof == .failed("device that refused: the server's proof"))
        try await door.close()
    }

    @Test(arguments: [(30, Code.accessAccept), (31, .accessReject)] as [(Int64, Code)])
    func deviceThatAnswersTooLateIsNotLetIn(_ seconds: Int64, _ code: Code) async throws {
        let door = try TestDoor(refusingFailures(), clients: [eapClient([.msCHAPv2])])
        let device = try Device(door)
        _ = try device.identify()
        _ = try device.ask(try msCHAPv2(device).packet)
        door.clock.advance(by: .seconds(seconds))
        #expect(try device.ask(device.response([3])).code == code)
        try await door.close()
    }

    @Test func whatWasNotProvedIsNoAccept() async throws {
        let judge = ScriptedJudge { for attempt in $0 { attempt.completion(.accept(loginID)) } }
        let door = try TestDoor(judge, clients: [eapClient()])
        let device = try Device(door)
        device.state = [UInt8](repeating: 1, count: 16)
        device.gateway.send(device.bytes(device.response([65], type: .genericTokenCard)))
        #expect(eventually { door.dropped(.abandoned) == 1 })
        try await door.close()
    }

    @Test func packetWithoutMessageAuthenticatorIsDropped() async throws {
        let door = try TestDoor(ScriptedJudge(), clients: [eapClient()])
        let gateway = try GatewaySocket(to: door.endpoint)
        gateway.send(
            request(signed: false) {
                $0.addText(.userName, "alice")
                $0.add(.eapMessage, [2, 1, 0, 10, 1] + Array("alice".utf8))
            })
        #expect(eventually { door.dropped(.eapWithoutMessageAuthenticator) == 1 })
        #expect(door.service.openConversations == 0)
        try await door.close()
    }
}
