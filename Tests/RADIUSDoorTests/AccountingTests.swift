// SPDX-License-Identifier: Apache-2.0
// The accounting port: what is believed, what a packet says of a session, and when it is acknowledged.

import LoginEngine
import RADIUS
import Synchronization
import Testing

@testable import RADIUSDoor

/// Keeps what it is handed; acknowledges as its script says.
final class ScriptedLedger: SessionLedger {
    private let script: @Sendable ([AccountingEntry]) -> Void
    private let seen = Mutex<[AccountingEntry]>([])

    init(_ script: @escaping @Sendable ([AccountingEntry]) -> Void = { for entry in $0 { entry.completion(nil) } }) {
        self.script = script
    }

    var entries: [AccountingEntry] { seen.withLock { $0 } }
    var records: [AccountingRecord] { entries.map(\.record) }

    func account(_ entries: [AccountingEntry]) {
        seen.withLock { $0 += entries }
        script(entries)
    }
}

private let status = AttributeType.acctStatusType

private func accounting(
    _ kind: UInt32 = 1, identifier: UInt8 = 1, session: String? = "7f", secret: RADIUS.SharedSecret = sharedSecret, signed: Bool = false,
    _ build: (inout PacketWriter) -> Void = { _ in }
) -> [UInt8] {
    request(.accountingRequest, identifier: identifier, signed: signed, secret: secret) { writer in
        writer.addInteger(status, kind)
        if let session { writer.addText(.acctSessionID, session) }
        build(&writer)
    }
}

@Suite struct AccountingRequestTests {
    private static let now = Timestamp(seconds: 1_767_268_800)
    private static let source = address("192.0.2.1")

    private func read(_ bytes: [UInt8], stripping: NameStripping = .none, charset: Charset = .utf8) throws -> AccountingRecord? {
        var settings = client().settings
        settings.nameStripping = stripping
        settings.charset = charset
        let entry = try entry(Client(id: 3, settings: settings))
        let request = AccountingRequest(try packet(bytes), of: entry, from: Self.source, at: Self.now)
        guard case .record(let record) = request else { return nil }
        return record
    }

    @Test(arguments: [(Charset.utf8, "#6dfc6c", nil), (.auto, "mül", "mül"), (.latin1, "mül", "mül")] as [(Charset, String, String?)])
    func namesAreReadInTheClientsCharacterSet(charset: Charset, name: String, key: String?) throws {
        let bytes = accounting(2) { writer in writer.add(.userName, [0x6D, 0xFC, 0x6C]) }
        let record = try #require(try read(bytes, charset: charset))
        #expect(record.name == name && record.nameKey == key)
    }

    @Test func everyAttributeIsRead() throws {
        let bytes = accounting(2) { writer in
            writer.addText(.userName, "CORP\\Alice")
            writer.addText(.nasIdentifier, "vpn1")
            writer.addIPv4(.nasIPAddress, IPv4Address(0xC000_0207))
            writer.addText(.callingStationID, "198.51.100.7[4500]")
            writer.addIPv4(.framedIPAddress, IPv4Address(0x0A00_0007))
            writer.add(.framedIPv6Prefix, [0, 64, 0x20, 1, 0xD, 0xB8, 0, 0, 0, 0])
            writer.add(.framedInterfaceID, [0, 0, 0, 0, 0, 0, 0, 5])
            writer.add(.delegatedIPv6Prefix, [0, 56, 0x20, 1, 0xD, 0xB8, 0, 1, 0])
            writer.addInteger(.nasPort, 4)
            writer.addText(.class, "staff")
            writer.add(.class, [0, 255])
            writer.addInteger(.acctDelayTime, 7)
            writer.addInteger(.acctSessionTime, 3600)
            writer.addInteger(.acctInputOctets, 5)
            writer.addInteger(.acctInputGigawords, 2)
            writer.addInteger(.acctOutputOctets, 0xFFFF_FFFF)
            writer.addInteger(.acctInputPackets, 11)
            writer.addInteger(.acctOutputPackets, 12)
            writer.addInteger(.acctTerminateCause, 4)
        }
        let record = try #require(try read(bytes, stripping: .domain))
        #expect(record.kind == .stop && record.client == 3 && record.gateway == "vpn1" && record.sessionID == "7f")
        #expect(record.name == "CORP\\Alice" && record.nameKey == "alice" && record.station == "198.51.100.7")
        #expect(record.addresses == "10.0.0.7 2001:db8::5 2001:db8:1::/56")
        #expect(record.port == 4 && record.groupClass == "staff, #00ff" && record.cause == 4)
        #expect(record.at == Self.now - .seconds(7) && record.read == Self.now && record.hasTime && !record.isShort)
        let figures = SessionFigures(
            seconds: 3600, input: 2 << 32 + 5, output: 0xFFFF_FFFF, inputPackets: 11, outputPackets: 12)
        #expect(record.figures == figures)
        #expect(record.began == Self.now - .seconds(3607))
    }

    @Test(arguments: [(1, .start), (2, .stop), (3, .update), (7, .gatewayOn), (8, .gatewayOff)] as [(UInt32, AccountingRecord.Kind)])
    func theKindIsToldByItsNumber(status: UInt32, kind: AccountingRecord.Kind) throws {
        #expect(try read(accounting(status))?.kind == kind)
    }

    @Test func aGatewayNamesItselfOrIsItsAddress() throws {
        #expect(try read(accounting())?.gateway == "192.0.2.1")
        #expect(try read(accounting { $0.addIPv4(.nasIPAddress, IPv4Address(0xC000_0207)) })?.gateway == "192.0.2.7")
        let address = IPv6Address(high: 0x2001_0DB8_0000_0000, low: 7)
        #expect(try read(accounting { $0.addIPv6(.nasIPv6Address, address) })?.gateway == "2001:db8::7")
    }

    @Test func whatSaysNothingOfASessionIsToldApart() throws {
        let entry = try entry(client())
        func judged(_ bytes: [UInt8]) throws -> AccountingRequest {
            AccountingRequest(try packet(bytes), of: entry, from: Self.source, at: Self.now)
        }
        guard case .ofNoSession(15) = try judged(accounting(15)), case .unusable = try judged(accounting(1, session: nil)),
            case .unusable = try judged(accounting(1, session: "")), case .record = try judged(accounting(7, session: nil)),
            case .unusable = try judged(request(.accountingRequest, signed: false) { $0.addText(.acctSessionID, "7f") })
        else {
            Issue.record("judged otherwise")
            return
        }
    }

    /// RFC 8044: what has a wrong length is not there; what is no text is shown as octets; a delay of years is none.
    @Test func strangeValuesDoNoHarm() throws {
        let record = try #require(
            try read(
                accounting { writer in
                    writer.add(.userName, [0xFF, 0xFE])
                    writer.add(.acctSessionTime, [1])
                    writer.add(.framedIPAddress, [10, 0, 0])
                    writer.add(.framedIPv6Prefix, [0, 129, 1])
                    writer.add(.framedIPv6Address, [1, 2])
                    writer.addInteger(.acctDelayTime, 0xFFFF_FFFF)
                    writer.addInteger(.acctOutputGigawords, 0xFFFF_FFFF)
                    writer.add(.callingStationID, [7])
                }))
        #expect(record.name == "#fffe" && record.nameKey == nil && record.addresses == "" && record.station == nil)
        #expect(record.at == Self.now && record.figures.output == AccountingRequest.mostOctets && record.figures.seconds == 0)
        #expect(try read(accounting(session: "#7f"))?.sessionID == "#233766")
    }
}

@Suite struct AccountingPortTests {
    private func port(_ door: TestDoor) throws -> UDPEndpoint { try #require(door.service.boundAccounting.first) }

    @Test func aRecordIsAcknowledgedWhenItIsKept() async throws {
        let ledger = ScriptedLedger { _ in }
        let door = try TestDoor(ScriptedJudge(), ledger: ledger)
        let gateway = try GatewaySocket(to: try port(door), patience: 300)
        let bytes = accounting { $0.add(.proxyState, [1, 2]) }
        gateway.send(bytes)
        #expect(eventually { ledger.entries.count == 1 })
        #expect(try gateway.receivePacket() == nil)
        // A retransmission neither becomes a second record nor gets an answer of its own.
        gateway.send(bytes)
        #expect(eventually { door.service.statistics.duplicatesInProgress == 1 })
        ledger.entries[0].completion(nil)
        let reply = try #require(try gateway.receivePacket())
        #expect(reply.code == .accountingResponse && reply.all(.proxyState) == [[1, 2]])
        #expect(reply.verifyReply(to: try packet(bytes), secret: sharedSecret, requiringMessageAuthenticator: false) == .genuine)
        gateway.send(bytes)
        #expect(try gateway.receivePacket()?.bytes == reply.bytes)
        #expect(ledger.entries.count == 1)
        try await door.close()
    }

    @Test func whatCannotBeKeptIsNotAcknowledged() async throws {
        let ledger = ScriptedLedger { for entry in $0 { entry.completion(.databaseUnavailable) } }
        let door = try TestDoor(ScriptedJudge(), ledger: ledger)
        let gateway = try GatewaySocket(to: try port(door), patience: 200)
        gateway.send(accounting())
        #expect(eventually { door.dropped(.databaseUnavailable) == 1 })
        #expect(try gateway.receivePacket() == nil)
        // It is tried again, not swallowed.
        gateway.send(accounting())
        #expect(eventually { ledger.entries.count == 2 })
        try await door.close()
    }

    @Test func onlyWhoKnowsTheSecretIsBelieved() async throws {
        let ledger = ScriptedLedger()
        let door = try TestDoor(ScriptedJudge(), ledger: ledger)
        let gateway = try GatewaySocket(to: try port(door), patience: 200)
        let other = RADIUS.SharedSecret("another secret")!
        gateway.send(accounting(secret: other))
        #expect(eventually { door.dropped(.wrongRequestAuthenticator) == 1 })
        // Who signs is answered signed.
        gateway.send(accounting(signed: true))
        #expect(try gateway.receivePacket()?.contains(.messageAuthenticator) == true)
        gateway.send(request())
        #expect(eventually { door.dropped(.accessRequest) == 1 })
        gateway.send(accounting(1, identifier: 2, session: nil))
        #expect(eventually { door.dropped(.noSession) == 1 })
        #expect(ledger.entries.count == 1)
        #expect(door.log.all.contains { $0.contains("secret differs") })
        try await door.close()
    }

    @Test func aWrongMessageAuthenticatorIsNotBelieved() async throws {
        let door = try TestDoor(ScriptedJudge(), ledger: ScriptedLedger())
        let gateway = try GatewaySocket(to: try port(door), patience: 200)
        gateway.send(
            accounting { writer in
                // Proxy-State's place is taken by an attribute 80 of zeros: signed by the Request Authenticator, and wrong.
                writer.addEncoded([33, 18] + [UInt8](repeating: 0, count: 16))
            }.withType(33, turnedInto: 80, secret: secretText))
        #expect(eventually { door.dropped(.wrongMessageAuthenticator) == 1 })
        try await door.close()
    }

    @Test func otherKindsAreAcknowledgedAndStatusServerIsAnswered() async throws {
        let ledger = ScriptedLedger()
        let door = try TestDoor(ScriptedJudge(), ledger: ledger)
        let gateway = try GatewaySocket(to: try port(door))
        gateway.send(accounting(15))
        #expect(try gateway.receivePacket()?.code == .accountingResponse)
        gateway.send(request(.statusServer, identifier: 9) { _ in })
        #expect(try gateway.receivePacket()?.code == .accountingResponse)
        #expect(ledger.entries.isEmpty)
        #expect(door.service.statistics.replies[.accountingResponse] == 2)
        try await door.close()
    }

    @Test func theLoginIsFoundByItsSessionOrByUserAndStation() async throws {
        let ledger = ScriptedLedger()
        let door = try TestDoor(ScriptedJudge(), ledger: ledger)
        let login = try GatewaySocket(to: door.endpoint)
        let gateway = try GatewaySocket(to: try port(door))
        func begin(_ identifier: UInt8, _ name: String, _ session: String, station: String?) throws -> LoginID? {
            gateway.send(
                accounting(1, identifier: identifier, session: session) { writer in
                    writer.addText(.userName, name)
                    if let station { writer.addText(.callingStationID, station) }
                })
            _ = try #require(try gateway.receivePacket())
            return ledger.records.last?.login
        }
        #expect(try begin(1, "alice", "s1", station: "198.51.100.7") == nil)
        login.send(
            request { writer in
                writer.login()
                writer.addText(.acctSessionID, "s1")
                writer.addText(.callingStationID, "198.51.100.7")
            })
        #expect(try login.receivePacket()?.code == .accessAccept)
        #expect(try begin(2, "alice", "s1", station: nil) == loginID)
        #expect(try begin(3, "alice", "s2", station: "198.51.100.7") == loginID)
        #expect(try begin(4, "alice", "s2", station: "198.51.100.8") == nil)
        #expect(try begin(5, "bob", "s1", station: "198.51.100.7") == nil)
        door.clock.advance(by: .minutes(11))
        #expect(try begin(6, "alice", "s2", station: "198.51.100.7") == nil)
        #expect(try begin(7, "alice", "s1", station: nil) == loginID)
        try await door.close()
    }
}

extension [UInt8] {
    /// One attribute renamed, and the Request Authenticator made anew: MD5(packet + zeros + attributes + secret), RFC 2866 §3.
    fileprivate func withType(_ type: UInt8, turnedInto other: UInt8, secret: String) -> [UInt8] {
        var bytes = self
        var offset = 20
        while offset < bytes.count {
            if bytes[offset] == type { bytes[offset] = other }
            offset += Int(bytes[offset + 1])
        }
        for index in 4..<20 { bytes[index] = 0 }
        var digest = MD5()
        digest.update(bytes)
        digest.update(Array(secret.utf8))
        bytes.replaceSubrange(4..<20, with: digest.finish().bytes)
        return bytes
    }
}
