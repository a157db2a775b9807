// SPDX-License-Identifier: Apache-2.0
// RADIUS/1.1 (RFC 9765) inside real TLS on loopback: what is agreed on, and what then goes over the wire.

import LoginEngine
import RADIUS
import TLS
import TestSupport
import Testing

@testable import RADIUSDoor

private let inside = RADIUS.SharedSecret("radsec")!
private let both = ["radius/1.1", "radius/1.0"]

private func request(
    _ code: Code = .accessRequest, token: UInt32, _ build: (inout PacketWriter) -> Void = { $0.login(secret: inside) }
) -> [UInt8] {
    var writer = PacketWriter(request: code, token: token)
    build(&writer)
    return (try? writer.sign(with: inside)) ?? []
}

extension TLSGateway {
    fileprivate func reply() throws -> Packet {
        try Packet(decoding: try #require(try receive(), "no reply"), version: .tokens)
    }
}

struct TokenPacketTests {
    @Test func aLoginHasATokenAndNoSecretOnTheWire() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect(protocols: both)
        #expect(gateway.session.applicationProtocol == "radius/1.1")
        let bytes = request(token: 0xDEAD_BEEF)
        #expect(bytes[4..<8] == [0xDE, 0xAD, 0xBE, 0xEF])
        #expect(String(decoding: bytes, as: UTF8.self).contains("sesame,123456"))
        try gateway.send(bytes)
        let reply = try #require(try gateway.receive())
        // Code, reserved, length, token, reserved: and nothing behind them, no Message-Authenticator either.
        #expect(reply == [2, 0, 0, 20, 0xDE, 0xAD, 0xBE, 0xEF] + [UInt8](repeating: 0, count: 12))
        let asked = try #require(radsec.judge.attempts.first).request
        guard case .plaintext(let field) = asked.proof else {
            Issue.record("\(asked.proof)")
            return
        }
        #expect(field.reveal { $0 } == Array("sesame,123456".utf8))
    }

    @Test func statusServerAndAccountingAreAnsweredByTheirTokens() throws {
        let ledger = ScriptedLedger()
        let radsec = try Radsec(ledger: ledger)
        let gateway = try radsec.connect(protocols: ["radius/1.1"])
        try gateway.send(request(.statusServer, token: 1) { _ in })
        let status = try gateway.reply()
        #expect(status.code == .accessAccept && status.token == 1 && !status.attributes.contains { $0.type == .messageAuthenticator })
        try gateway.send(
            request(.accountingRequest, token: 2) {
                $0.addInteger(.acctStatusType, 1)
                $0.addText(.acctSessionID, "7f")
                $0.add(.proxyState, [1, 2])
            })
        let kept = try gateway.reply()
        #expect(kept.code == .accountingResponse && kept.token == 2 && kept.octets(.proxyState) == [1, 2])
        #expect(ledger.records.count == 1)
        try gateway.send(request(.disconnectRequest, token: 3) { $0.addText(.userName, "alice") })
        let refusal = try gateway.reply()
        #expect(refusal.code == .disconnectNAK && refusal.token == 3 && refusal.integer(.errorCause) == 406)
    }

    @Test func moreThan256RequestsAreUnderWay() throws {
        let radsec = try Radsec(.holding())
        let gateway = try radsec.connect(protocols: both)
        try gateway.send((0..<600).flatMap { request(token: $0) })
        #expect(radsec.judge.waitForAttempts(600))
        #expect(radsec.service.statistics.pending == 600)
        for attempt in radsec.judge.attempts { attempt.completion(.accept(loginID)) }
        var tokens: Set<UInt32> = []
        for _ in 0..<600 { tokens.insert(try gateway.reply().token) }
        #expect(tokens.count == 600)
    }

    /// Without an authenticator two packets of one token are told apart by what is in them; of two connections they are two requests.
    @Test func duplicatesAreOfOneTokenAndOneConnection() throws {
        let radsec = try Radsec(.holding())
        let (one, two) = (try radsec.connect(protocols: both), try radsec.connect(protocols: both))
        try one.send(request(token: 7) + request(token: 7))
        #expect(eventually { radsec.service.statistics.duplicatesInProgress == 1 })
        try two.send(request(token: 7))
        #expect(radsec.judge.waitForAttempts(2))
        let prints = Set(radsec.judge.attempts.map(\.request.fingerprint))
        #expect(prints.count == 2, "a code would count again on a connection that begins with the same token")
        try one.send(request(token: 7) { $0.login("bob", secret: inside) })
        #expect(radsec.judge.waitForAttempts(3))
        #expect(eventually { radsec.judge.abandoned == [radsec.judge.attempts[0].waiter] })
    }

    @Test func bytesThatNobodyTypesAreAPasswordHere() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect(protocols: both)
        try gateway.send(request(token: 1) { $0.add(.userPassword, [1, 0xFF, 2]) })
        #expect(try gateway.reply().code == .accessAccept)
        #expect(radsec.service.statistics.dropped.isEmpty)
    }

    @Test(arguments: [ProofScheme.msCHAP, .msCHAPv2]) func keysAreNotHidden(_ scheme: ProofScheme) throws {
        let request = try Packet(
            decoding: request(token: 1) {
                $0.addText(.userName, "alice")
                if scheme == .msCHAP {
                    $0.addVendor(311, type: MicrosoftAttribute.chapChallenge, HashedPasswordTests.v1.challenge)
                    $0.addVendor(311, type: MicrosoftAttribute.chapResponse, HashedPasswordTests.v1.bytes)
                } else {
                    $0.addVendor(311, type: MicrosoftAttribute.chapChallenge, HashedPasswordTests.v2.challenge.bytes)
                    $0.addVendor(311, type: MicrosoftAttribute.chap2Response, HashedPasswordTests.v2.bytes)
                }
            }, version: .tokens)
        let answer = LoginAnswer.accept(loginID, proven: ProvenPassword(.text(Secret(utf8: "sesame")), isCode: false))
        let reply = try Packet(decoding: try #require(answer.reply(to: request, secret: inside)), version: .tokens)
        let found = Dictionary(uniqueKeysWithValues: reply.vendorAttributes.map { ($0.type, Array(reply.value(of: $0))) })
        if scheme == .msCHAP {
            #expect(found[MicrosoftAttribute.chapMPPEKeys] == MPPEKeys.firstVersion(HashedPasswordTests.hash))
        } else {
            let keys = MPPEKeys(HashedPasswordTests.v2, HashedPasswordTests.hash)
            #expect(found[MicrosoftAttribute.mppeSendKey] == keys.send && found[MicrosoftAttribute.mppeReceiveKey] == keys.receive)
        }
    }
}

struct VersionAgreementTests {
    @Test(
        arguments: [
            (["radius/1.0"], "radius/1.0"), (["radius/1.1"], "radius/1.1"), (["radius/1.0", "radius/1.1"], "radius/1.1"), ([], nil),
        ] as [([String], String?)])
    func theNewerVersionIsTaken(_ offered: [String], _ chosen: String?) throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect(protocols: offered)
        #expect(gateway.session.applicationProtocol == chosen)
        #expect(eventually { radsec.service.openConnections == 1 })
        gateway.close()
    }

    @Test(arguments: [(RADIUSVersion.historic, ["radius/1.1"]), (.tokens, ["radius/1.0"]), (.historic, ["h2"])])
    func whoOffersAnotherIsRefused(_ only: RADIUSVersion, _ offered: [String]) throws {
        let radsec = try Radsec { $0.versions = [only] }
        #expect(throws: (any Error).self) {
            let gateway = try radsec.connect(protocols: offered)
            if gateway.isEnded() { throw TLSError.broken("ended") }
        }
        #expect(eventually { radsec.service.refusedConnections["application_protocol"] == 1 })
    }

    /// RFC 9765 §3.4.1: a peer without ALPN can be told by nothing else.
    @Test func whoOffersNoneIsToldByAProtocolErrorWhereOneIsRequired() throws {
        let radsec = try Radsec { $0.versions = [.tokens] }
        let gateway = try radsec.connect()
        let told = try packet(try #require(try gateway.receive()))
        #expect(told.code == .protocolError && told.identifier == 0 && told.authenticator == .zero)
        #expect(told.integer(.errorCause) == 406)
        #expect(try told.text(.replyMessage)?.contains("radius/1.1") == true)
        #expect(gateway.isEnded())
        #expect(eventually { radsec.service.refusedConnections["application_protocol"] == 1 })
        #expect(radsec.lines.all.contains { $0.contains("1.1 is required here") })
        #expect(try radsec.connect(protocols: both).session.applicationProtocol == "radius/1.1")
    }

    /// RFC 7930 §4: over TCP silence would be taken for a dead server.
    @Test(arguments: [true, false]) func anAnswerWithoutRoomBecomesAProtocolError(_ hasTokens: Bool) throws {
        let answer = LoginAnswer.accept(loginID, reply: (0..<16).flatMap { _ in [25, 255] + [UInt8](repeating: 7, count: 253) })
        let radsec = try Radsec(ScriptedJudge { for attempt in $0 { attempt.completion(answer) } })
        let gateway = try radsec.connect(protocols: hasTokens ? both : [])
        let proxies = { (writer: inout PacketWriter) in
            for _ in 0..<2 { writer.add(.proxyState, [UInt8](repeating: 1, count: 200)) }
        }
        if hasTokens {
            try gateway.send(
                request(token: 9) {
                    $0.login(secret: inside)
                    proxies(&$0)
                })
        } else {
            try gateway.send(
                RADIUSDoorTests.request(identifier: 9, secret: inside) {
                    $0.login(secret: inside)
                    proxies(&$0)
                })
        }
        let bytes = try #require(try gateway.receive())
        let told = try Packet(decoding: bytes, version: hasTokens ? .tokens : .historic)
        #expect(told.code == .protocolError && told.integer(.errorCause) == 601 && told.all(.proxyState).count == 2)
        #expect(told.all(AttributeType(rawValue: 241)) == (hasTokens ? [] : [[4, 0, 0, 0, 1]]))
        #expect(hasTokens ? told.token == 9 : told.identifier == 9)
        #expect(radsec.service.statistics.dropped[.replyTooLong] == 1)
        #expect(eventually { radsec.service.statistics.pending == 0 })
    }
}
