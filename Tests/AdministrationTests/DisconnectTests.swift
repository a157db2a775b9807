// SPDX-License-Identifier: Apache-2.0
// What a Disconnect-Request says, and what its answers mean.

import Directories
import LoginEngine
import RADIUS
import Testing

@testable import Administration

@Suite struct DisconnectTests {
    private static let secret = RADIUS.SharedSecret("a long enough secret")!

    private static func session(_ gateway: String, _ id: String = "4f2a", name: String = "alice") -> GatewaySession {
        let now = Timestamp(seconds: 1_767_268_800)
        var record = AccountingRecord(
            .start, client: 1, gateway: gateway, sessionID: id, source: NetworkAddress(v4: 0xC000_0201), at: now, read: now)
        record.name = name
        return GatewaySession(record)
    }

    private static func packet(_ session: GatewaySession, namesGateway: Bool = true) throws -> Packet {
        try DisconnectRequest(session: session, namesGateway: namesGateway, at: 1_767_268_900).packet(identifier: 7, secret: secret)
    }

    @Test func itIsSignedTwiceAndStamped() throws {
        let packet = try Self.packet(Self.session("vpn1"))
        #expect(packet.code == .disconnectRequest && packet.identifier == 7)
        #expect(packet.hasValidRequestAuthenticator(secret: Self.secret) && packet.hasValidMessageAuthenticator(secret: Self.secret))
        #expect(packet.integer(.eventTimestamp) == 1_767_268_900)
        #expect(try packet.text(.nasIdentifier) == "vpn1" && packet.text(.userName) == "alice" && packet.text(.acctSessionID) == "4f2a")
    }

    @Test func theGatewayIsNamedAsItNamesItself() throws {
        #expect(try Self.packet(Self.session("192.0.2.7")).ipv4(.nasIPAddress)?.description == "192.0.2.7")
        #expect(try Self.packet(Self.session("2001:db8::7")).ipv6(.nasIPv6Address)?.description == "2001:db8::7")
        let unnamed = try Self.packet(Self.session("192.0.2.7"), namesGateway: false)
        #expect(!unnamed.contains(.nasIPAddress) && !unnamed.contains(.nasIdentifier))
        #expect(try !Self.packet(Self.session("vpn1", name: "")).contains(.userName))
    }

    @Test(arguments: [("4f2a", Array("4f2a".utf8)), ("#00ff", [0, 255]), ("#2341", [0x23, 0x41]), ("#zz", Array("#zz".utf8))])
    func octetsGoOutAsTheyCame(kept: String, octets: [UInt8]) throws {
        #expect(try Self.packet(Self.session("vpn1", kept)).octets(.acctSessionID) == octets)
    }

    @Test(arguments: [
        (DisconnectOutcome.acknowledged, true, "acknowledged"), (.refused(503), true, "Session-Context-Not-Found"),
        (.refused(201), true, "Residual-Context-Removed"), (.refused(501), false, "Administratively-Prohibited"),
        (.refused(nil), false, "refused without Error-Cause"), (.refused(999), false, "Error-Cause 999"),
        (.noAnswer("No answer."), false, "no-answer"), (.notSent("No."), false, "not-sent"),
    ])
    func answersAreUnderstood(outcome: DisconnectOutcome, isGone: Bool, word: String) {
        #expect(outcome.isGone == isGone && outcome.word == word && !outcome.sentence.isEmpty)
    }

    @Test(arguments: [201, 401, 402, 403, 404, 405, 406, 407, 501, 502, 503, 504, 505, 506, 508])
    func everyErrorCauseHasItsOwnWords(cause: UInt32) {
        #expect(!DisconnectOutcome.refused(cause).sentence.contains("no reason that this server knows"))
    }
}
