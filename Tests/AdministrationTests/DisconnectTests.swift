// SPDX-License-Identifier: Apache-2.0
// What a Disconnect-Request or CoA-Request says, and what its answers mean.

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
        try GatewayRequest(session: session, namesGateway: namesGateway, at: 1_767_268_900).packet(identifier: 7, secret: secret)
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
        (GatewayOutcome.acknowledged, true, "acknowledged"), (.refused(503), true, "Session-Context-Not-Found"),
        (.refused(201), true, "Residual-Context-Removed"), (.refused(501), false, "Administratively-Prohibited"),
        (.refused(nil), false, "refused without Error-Cause"), (.refused(999), false, "Error-Cause 999"),
        (.noAnswer("No answer."), false, "no-answer"), (.notSent("No."), false, "not-sent"),
    ])
    func answersAreUnderstood(outcome: GatewayOutcome, isGone: Bool, word: String) {
        #expect(outcome.isGone == isGone && outcome.word == word && !outcome.sentence().isEmpty)
    }

    @Test(arguments: [201, 401, 402, 403, 404, 405, 406, 407, 501, 502, 503, 504, 505, 506, 507, 508])
    func everyErrorCauseHasItsOwnWords(cause: UInt32) {
        for deed in [GatewayRequest.Deed.end, .update([])] {
            #expect(!GatewayOutcome.refused(cause).sentence(deed).contains("no reason that this server knows"))
        }
    }

    /// RFC 5176 §2.2: named as a Disconnect-Request is, with the attributes behind.
    @Test func anUpdateCarriesTheAttributesBehindTheNames() throws {
        let attributes: [UInt8] = [27, 6, 0, 0, 0x0E, 0x10, 11, 5, 0x76, 0x70, 0x6E]
        let packet = try GatewayRequest(.update(attributes), session: Self.session("vpn1"), at: 1_767_268_900)
            .packet(identifier: 7, secret: Self.secret)
        #expect(packet.code == .coaRequest)
        #expect(packet.hasValidRequestAuthenticator(secret: Self.secret) && packet.hasValidMessageAuthenticator(secret: Self.secret))
        #expect(packet.integer(.sessionTimeout) == 3600 && packet.octets(.filterID) == Array("vpn".utf8))
        #expect(try packet.text(.userName) == "alice" && packet.text(.acctSessionID) == "4f2a" && packet.contains(.eventTimestamp))
    }

    private struct PlainEncoder: ReplyEncoder {
        func identity(of name: String) -> String? { name }

        func encode(_ name: String, _ value: String) -> [UInt8]? {
            switch name {
            case "Session-Timeout":
                (value == "an hour" ? 3600 : UInt32(value)).map { [27, 6, 0, 0, UInt8($0 >> 8 & 255), UInt8($0 & 255)] }
            case "Framed-IP-Address": [8, 6, 10, 0, 0, 7]
            case "Filter-Id": [11, UInt8(value.utf8.count + 2)] + Array(value.utf8)
            default: nil
            }
        }
    }

    private static func plan(_ settings: [(String, String)]) throws -> ReplyPlan {
        var client = ClientSettings(name: "vpn", addresses: [], secret: Secret([]))
        client.reply = settings.map { ReplySetting($0.0, $0.1) }
        let row = Client(id: 1, settings: client)
        return try #require(
            ReplyTable(clients: [row], policies: [], groups: [], encoder: PlainEncoder()).plan(for: row, policy: nil, groups: []))
    }

    @Test func aSessionTimeoutIsWhatRemains() throws {
        let plan = try Self.plan([("Session-Timeout", "3600"), ("Filter-Id", "{session-timeout}"), ("Framed-IP-Address", "10.0.0.7")])
        guard case .attributes(let reply) = SessionReply(plan, user: "alice", elapsed: 600) else {
            Issue.record("nothing to send")
            return
        }
        #expect(reply.lines == ["Session-Timeout = 3000", "Filter-Id = 3000"])
        // It would name another session, and change no address.
        #expect(reply.leftOut == ["Framed-IP-Address"])
        #expect(reply.bytes == [27, 6, 0, 0, 0x0B, 0xB8, 11, 6] + Array("3000".utf8))
        // However the number was written.
        guard case .attributes(let hour) = SessionReply(try Self.plan([("Session-Timeout", "an hour")]), user: "alice", elapsed: 1) else {
            Issue.record("nothing to send")
            return
        }
        #expect(hour.lines == ["Session-Timeout = 3599"])
        guard case .attributes(let whole) = SessionReply(plan, user: "alice", elapsed: 0) else {
            Issue.record("nothing to send")
            return
        }
        #expect(whole.lines == ["Session-Timeout = 3600", "Filter-Id = 3600"])
        #expect(SessionReply(plan, user: "alice", elapsed: 3600) == .over("its Session-Timeout is over"))
        #expect(SessionReply(plan, user: "alice", elapsed: 90_000) == .over("its Session-Timeout is over"))
    }

    @Test func whatCannotBeSentIsToldApart() throws {
        #expect(SessionReply(nil, user: "alice", elapsed: 1) == .nothing)
        #expect(SessionReply(try Self.plan([("Framed-IP-Address", "10.0.0.7")]), user: "alice", elapsed: 1) == .nothing)
        guard case .unfit = SessionReply(try Self.plan([("Filter-Id", "{policy}")]), user: "alice", elapsed: 1) else {
            Issue.record("a place without a value was filled")
            return
        }
    }
}
