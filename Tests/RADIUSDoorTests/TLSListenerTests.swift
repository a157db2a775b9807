// SPDX-License-Identifier: Apache-2.0
// RADIUS over TLS on loopback: real connections, a judge that does as told.

import Foundation
import Glibc
import LoginEngine
import RADIUS
import TLS
import TestSupport
import Testing

@testable import RADIUSDoor

/// A folder that goes with the test.
final class RadsecFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "sallyport-radsec-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// The service over TLS alone, with an authority and one gateway.
final class Radsec: Sendable {
    let folder: RadsecFolder
    let authority: TestAuthority
    let gateway: TestAuthority.Issued
    let service: RADIUSService
    let judge: ScriptedJudge
    let lines = LogLines()
    let clock = HandClock()

    init(
        _ judge: ScriptedJudge = ScriptedJudge(), ledger: ScriptedLedger? = nil, listen: String = "127.0.0.1",
        rules: [CertificateRule] = [.name("gw1.example.org")],
        addresses: [String] = [], _ change: (inout TLSListenSettings) -> Void = { _ in }
    ) throws {
        let folder = try RadsecFolder()
        let authority = try TestAuthority(in: folder.path)
        gateway = try authority.issue("gw1", names: ["gw1.example.org"])
        let own = try authority.issue("server", for: "serverAuth")
        var settings = RADIUSSettings(listen: [UDPEndpoint(address: address("127.0.0.1"), port: 0)])
        var tls = TLSListenSettings(listen: [UDPEndpoint(address: address(listen), port: 0)])
        change(&tls)
        settings.tls = tls
        self.judge = judge
        (self.folder, self.authority) = (folder, authority)
        service = RADIUSService(
            settings: settings, clients: try Self.table(rules, addresses), judge: judge, ledger: ledger,
            random: SystemRandomNumberGenerator(),
            logger: lines.logger, now: clock.now, onPin: { _ in Issue.record("pins are of UDP") })
        try use(own)
        try service.start()
    }

    deinit {
        service.stop(drain: .seconds(0))
    }

    static func table(_ rules: [CertificateRule], _ addresses: [String] = [], isEnabled: Bool = true) throws -> ClientTable {
        var settings = ClientSettings(name: "branch", addresses: addresses.map { AddressRange($0)! }, secret: Secret(utf8: "not used here"))
        settings.certificates = rules
        settings.isEnabled = isEnabled
        return try ClientTable([Client(id: 5, settings: settings)], pins: [])
    }

    func use(_ own: TestAuthority.Issued) throws {
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (own.pem, own.keyPEM)
        settings.peerAuthorities = authority.pem
        _ = try service.useCertificates(settings)
    }

    var port: UInt16 { service.boundTLSAddresses[0].port }

    func connect(
        _ issued: TestAuthority.Issued? = nil, isIPv6: Bool = false, protocols: [String] = [], patience: Int = 5000
    ) throws -> TLSGateway {
        let context: TLSContext = try .gateway(issued ?? gateway, trusting: authority, protocols: protocols)
        return try TLSGateway(port: port, isIPv6: isIPv6, context, patience: patience)
    }

    /// Whether a connection with this certificate is refused with this word.
    func refuses(_ issued: TestAuthority.Issued?, with word: String) throws -> Bool {
        let before = service.refusedConnections[word] ?? 0
        do {
            let context: TLSContext = try .gateway(issued, trusting: authority)
            guard try TLSGateway(port: port, context).isEnded() else { return false }
        } catch is TLSError {
        } catch is TLSGateway.Failure {}
        return eventually { self.service.refusedConnections[word] == before + 1 }
    }
}

private let inside = RADIUS.SharedSecret("radsec")!

private func login(_ identifier: UInt8 = 1, signed: Bool = true) -> [UInt8] {
    request(identifier: identifier, authenticator: Authenticator(high: 7, low: UInt64(identifier)), signed: signed, secret: inside) {
        $0.login(secret: inside)
    }
}

private func record(
    _ identifier: UInt8, kind: UInt32 = 1, session: String? = "7f", secret: RADIUS.SharedSecret = inside
) -> [UInt8] {
    request(.accountingRequest, identifier: identifier, signed: false, secret: secret) { writer in
        writer.addInteger(.acctStatusType, kind)
        if let session { writer.addText(.acctSessionID, session) }
    }
}

struct TLSListenerTests {
    @Test func aLoginIsAnsweredOnItsConnection() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        let bytes = login()
        try gateway.send(bytes)
        let reply = try packet(try #require(try gateway.receive()))
        #expect(reply.code == .accessAccept)
        #expect(reply.verifyReply(to: try packet(bytes), secret: inside) == .genuine)
        let asked = try #require(radsec.judge.attempts.first).request
        #expect(asked.client.name == "branch")
        #expect(asked.source == address("127.0.0.1"))
        #expect(radsec.service.openConnections == 1)
    }

    @Test func requestsNeedNoMessageAuthenticatorAndMayHaveProxyState() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        try gateway.send(login(1, signed: false))
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        try gateway.send(
            request(signed: false, secret: inside) {
                $0.login(secret: inside)
                $0.add(.proxyState, [1, 2, 3])
            })
        #expect(try packet(try #require(try gateway.receive())).all(.proxyState) == [[1, 2, 3]])
    }

    @Test func packetsMayComeInOnePieceOrByteByByte() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        try gateway.send((1...20).flatMap { login($0) })
        var identifiers: Set<UInt8> = []
        for _ in 1...20 { identifiers.insert(try packet(try #require(try gateway.receive())).identifier) }
        #expect(identifiers == Set(1...20))
        for byte in login(77) { try gateway.send([byte]) }
        #expect(try packet(try #require(try gateway.receive())).identifier == 77)
    }

    @Test func statusServerIsAnsweredAndWhatIsNotDoneHereIsSaid() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        try gateway.send(request(.statusServer, secret: inside) { _ in })
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        try gateway.send(request(.coaRequest, identifier: 9, secret: inside) { $0.addText(.userName, "alice") })
        let refusal = try packet(try #require(try gateway.receive()))
        #expect(refusal.code == .coaNAK)
        #expect(refusal.all(.errorCause) == [[0, 0, 1, 150]])
        #expect(radsec.service.statistics.dropped[.notForThisServer] == 1)
    }

    @Test func aLateAnswerFindsItsConnection() throws {
        let radsec = try Radsec(.holding())
        let (first, second) = (try radsec.connect(), try radsec.connect())
        try first.send(login(1))
        #expect(radsec.judge.waitForAttempts(1))
        try second.send(login(1))
        #expect(radsec.judge.waitForAttempts(2))
        for attempt in radsec.judge.attempts.reversed() {
            attempt.completion(attempt.waiter == radsec.judge.attempts[0].waiter ? .accept(loginID) : .reject(loginID, message: "no"))
        }
        #expect(try packet(try #require(try first.receive())).code == .accessAccept)
        #expect(try packet(try #require(try second.receive())).code == .accessReject)
    }

    @Test func aRetransmissionIsNoSecondLogin() throws {
        let radsec = try Radsec(.holding())
        let gateway = try radsec.connect()
        try gateway.send(login())
        try gateway.send(login())
        #expect(eventually { radsec.service.statistics.duplicatesInProgress == 1 })
        #expect(radsec.judge.attempts.count == 1)
        // The same packet on another connection is another request.
        try radsec.connect().send(login())
        #expect(radsec.judge.waitForAttempts(2))
    }

    @Test func whoClosesItsConnectionIsNotWaitedFor() throws {
        let radsec = try Radsec(.holding())
        let gateway = try radsec.connect()
        try gateway.send(login(1) + login(2))
        #expect(radsec.judge.waitForAttempts(2))
        gateway.close()
        #expect(eventually { radsec.judge.abandoned.count == 2 })
        #expect(Set(radsec.judge.abandoned) == Set(radsec.judge.attempts.map(\.waiter)))
        #expect(eventually { radsec.service.openConnections == 0 && radsec.service.statistics.pending == 0 })
        for attempt in radsec.judge.attempts { attempt.completion(.accept(loginID)) }
        #expect(eventually { radsec.service.statistics.dropped[.abandoned] == 2 })
    }

    @Test(arguments: [0, 19, 4097, 65535])
    func aLengthThatNoPacketHasEndsTheConnection(_ length: Int) throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        try gateway.send([1, 1, UInt8(length >> 8), UInt8(length & 0xFF)] + [UInt8](repeating: 0, count: 40))
        #expect(gateway.isEnded())
        #expect(radsec.judge.attempts.isEmpty)
    }

    @Test func anUnknownCodeIsPassedOverAndBrokenAttributesEndTheConnection() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        var strange = login(1)
        strange[0] = 200
        try gateway.send(strange + login(2))
        #expect(try packet(try #require(try gateway.receive())).identifier == 2)
        var broken = login(3)
        broken[21] = 1
        try gateway.send(broken)
        #expect(gateway.isEnded())
    }

    @Test func aSecretOtherThanRadsecEndsTheConnectionWithALine() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        try gateway.send(request())
        #expect(gateway.isEnded())
        #expect(radsec.lines.all.contains { $0.contains("always the word radsec (RFC 6614 §2.3)") })
        #expect(radsec.service.statistics.dropped[.wrongSecretInTLS] == 1)
    }

    /// RFC 6614 §2.5: accounting comes to the same port, and by the same connection.
    @Test func aRecordIsAcknowledgedOnItsConnectionWhenItIsKept() throws {
        let ledger = ScriptedLedger { _ in }
        let radsec = try Radsec(.holding(), ledger: ledger)
        let gateway = try radsec.connect()
        // A login of the same identifier is another request.
        try gateway.send(login(1) + record(1))
        #expect(eventually { ledger.entries.count == 1 })
        #expect(radsec.judge.waitForAttempts(1))
        #expect(ledger.records[0].client == 5 && ledger.records[0].sessionID == "7f" && ledger.records[0].source == address("127.0.0.1"))
        try gateway.send(record(1))
        #expect(eventually { radsec.service.statistics.duplicatesInProgress == 1 })
        ledger.entries[0].completion(nil)
        let reply = try packet(try #require(try gateway.receive()))
        #expect(reply.code == .accountingResponse)
        #expect(reply.verifyReply(to: try packet(record(1)), secret: inside, requiringMessageAuthenticator: false) == .genuine)
        #expect(ledger.entries.count == 1)
        radsec.judge.attempts[0].completion(.accept(loginID))
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        #expect(eventually { radsec.service.statistics.pending == 0 })
    }

    @Test func recordsCountAmongWhatIsDecidedAndAreKeptWithoutTheirConnection() throws {
        let ledger = ScriptedLedger { _ in }
        let radsec = try Radsec(ledger: ledger) { $0.pendingOfOneConnection = 3 }
        let gateway = try radsec.connect()
        try gateway.send((1...5).flatMap { record($0) })
        #expect(eventually { ledger.entries.count == 3 })
        for entry in ledger.entries { entry.completion(nil) }
        #expect(eventually { ledger.entries.count == 5 })
        for _ in 1...3 { #expect(try gateway.receive() != nil) }
        gateway.close()
        #expect(eventually { radsec.service.openConnections == 0 && radsec.service.statistics.pending == 0 })
        #expect(radsec.judge.abandoned.isEmpty)
        for entry in ledger.entries[3...] { entry.completion(nil) }
        #expect(eventually { radsec.service.statistics.dropped[.abandoned] == 2 })
    }

    @Test func recordsThatCannotBeKeptOrSayNothingTakeNoPlace() throws {
        let ledger = ScriptedLedger { for entry in $0 { entry.completion(.databaseUnavailable) } }
        let radsec = try Radsec(ledger: ledger) { $0.pendingOfOneConnection = 1 }
        let gateway = try radsec.connect()
        try gateway.send(record(1) + record(2) + record(3, kind: 15) + record(4, session: nil) + login(5))
        #expect(try packet(try #require(try gateway.receive())).code == .accountingResponse)
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        #expect(radsec.service.statistics.dropped[.databaseUnavailable] == 2)
        #expect(radsec.service.statistics.dropped[.noSession] == 1)
    }

    @Test func aRecordOfAnotherSecretEndsTheConnection() throws {
        let ledger = ScriptedLedger()
        let radsec = try Radsec(ledger: ledger)
        let gateway = try radsec.connect()
        try gateway.send(record(1, secret: sharedSecret))
        #expect(gateway.isEnded())
        #expect(radsec.service.statistics.dropped[.wrongSecretInTLS] == 1)
        #expect(ledger.entries.isEmpty)
    }

    @Test func itListensOnIPv6() throws {
        let radsec = try Radsec(listen: "::1")
        let gateway = try radsec.connect(isIPv6: true)
        try gateway.send(login())
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
    }

    @Test func nothingMoreIsReadWhileTooManyAreDecided() throws {
        let radsec = try Radsec(.holding()) { $0.pendingOfOneConnection = 3 }
        let gateway = try radsec.connect()
        try gateway.send((1...10).flatMap { login($0) })
        #expect(radsec.judge.waitForAttempts(3))
        // Another connection is served meanwhile.
        let other = try radsec.connect()
        try other.send(login(99))
        #expect(radsec.judge.waitForAttempts(4))
        #expect(radsec.judge.attempts.count == 4)
        var answered = 0
        while answered < 11 {
            let attempts = radsec.judge.attempts
            for attempt in attempts[answered...] { attempt.completion(.accept(loginID)) }
            answered = attempts.count
            if answered < 11 { #expect(radsec.judge.waitForAttempts(answered + 1)) }
        }
        for _ in 1...10 { #expect(try gateway.receive() != nil) }
    }

    @Test func aStopWaitsForAnswersAndSaysGoodbye() throws {
        let radsec = try Radsec(.holding())
        let gateway = try radsec.connect()
        try gateway.send(login())
        #expect(radsec.judge.waitForAttempts(1))
        radsec.service.stop(drain: .seconds(30))
        radsec.judge.attempts[0].completion(.accept(loginID))
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        #expect(gateway.isEnded())
    }
}

struct TLSClientTests {
    @Test func aClientIsKnownByTheFingerprintOfASelfSignedCertificate() throws {
        let folder = try RadsecFolder()
        let own = try TestAuthority.selfSigned("gw9", in: folder.path)
        let shown = try #require(fingerprint(of: own))
        let radsec = try Radsec(rules: [.fingerprint(shown)])
        let gateway = try radsec.connect(own)
        try gateway.send(login())
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        #expect(try radsec.refuses(radsec.gateway, with: "unknown_client"))
    }

    /// As `openssl` prints it.
    private func fingerprint(of issued: TestAuthority.Issued) -> [UInt8]? {
        let file = issued.certificate + ".sha256"
        try? TestAuthority.openssl(["x509", "-in", issued.certificate, "-outform", "der", "-out", issued.certificate + ".der"])
        try? TestAuthority.openssl(["dgst", "-sha256", "-binary", "-out", file, issued.certificate + ".der"])
        let bytes = TestAuthority.bytes(of: file)
        return bytes.count == 32 ? bytes : nil
    }

    @Test func whoIsNobodyIsRefusedWithTheCommandThatRegistersIt() throws {
        let radsec = try Radsec()
        let other = try radsec.authority.issue("gw2", names: ["gw2.example.org"])
        #expect(try radsec.refuses(other, with: "unknown_client"))
        #expect(radsec.lines.all.contains { $0.contains("sallyport client set NAME --certificate name:gw2.example.org") })
        #expect(try radsec.refuses(nil, with: "no_certificate"))
        let strangers = try TestAuthority("stranger", in: radsec.folder.path)
        #expect(try radsec.refuses(try strangers.issue("gw1", names: ["gw1.example.org"]), with: "untrusted_certificate"))
        let line = radsec.lines.all.first { $0.contains("was refused") }
        #expect(line?.contains("\"CN=gw1,O=Test\", issued by \"CN=stranger,O=Test\"") == true, "\(line ?? "")")
        #expect(radsec.judge.attempts.isEmpty)
    }

    @Test func addressesHoldForTLSToo() throws {
        let radsec = try Radsec(addresses: ["192.0.2.7"])
        #expect(try radsec.refuses(radsec.gateway, with: "address"))
        radsec.service.replaceClients(try Radsec.table([.name("gw1.example.org")], ["127.0.0.0/8"]))
        let gateway = try radsec.connect()
        try gateway.send(login())
        #expect(try gateway.receive() != nil)
    }

    @Test func aClientThatIsDisabledOrTakenAwayIsNotServedOn() throws {
        let radsec = try Radsec()
        let gateway = try radsec.connect()
        try gateway.send(login())
        #expect(try gateway.receive() != nil)
        radsec.service.replaceClients(try Radsec.table([.name("gw1.example.org")], isEnabled: false))
        try? gateway.send(login(2))
        #expect(gateway.isEnded())
        #expect(radsec.judge.attempts.count == 1)
        #expect(try radsec.refuses(radsec.gateway, with: "client_disabled"))
    }

    @Test func aNameThatTwoClientsHaveIsNobodys() throws {
        var settings = ClientSettings(name: "a", addresses: [], secret: Secret([]))
        settings.certificates = [.name("gw1.example.org")]
        let radsec = try Radsec()
        var other = settings
        other.name = "b"
        radsec.service.replaceClients(try ClientTable([Client(id: 1, settings: settings), Client(id: 2, settings: other)], pins: []))
        #expect(try radsec.refuses(radsec.gateway, with: "unknown_client"))
    }

    /// RFC 9813: known by a key, and refused by any other.
    @Test func aClientIsKnownByItsPreSharedKey() throws {
        let key = [UInt8](repeating: 7, count: 32)
        func table(_ key: [UInt8], identity: String = "gw1", isEnabled: Bool = true) throws -> ClientTable {
            var settings = ClientSettings(name: "kiosk", addresses: [], secret: Secret([]))
            settings.preSharedKey = PreSharedKey(identity: identity, key: Secret(key))
            settings.isEnabled = isEnabled
            return try ClientTable([Client(id: 6, settings: settings)], pins: [])
        }
        let radsec = try Radsec()
        radsec.service.replaceClients(try table(key))
        func connect(_ identity: String, _ key: [UInt8]) throws -> TLSGateway {
            try TLSGateway(port: radsec.port, try TLSContext(.client(identity: identity, key: key), TLSSettings()))
        }
        let gateway = try connect("gw1", key)
        try gateway.send(login())
        #expect(try packet(try #require(try gateway.receive())).code == .accessAccept)
        #expect(radsec.judge.attempts[0].request.client.name == "kiosk")
        #expect(throws: (any Error).self) { try connect("gw1", [UInt8](repeating: 8, count: 32)) }
        #expect(eventually { radsec.service.refusedConnections["unknown_psk"] == 1 })
        #expect(throws: (any Error).self) { try connect("gw2", key) }
        #expect(eventually { radsec.service.refusedConnections["unknown_psk"] == 2 })
        #expect(radsec.lines.all.contains { $0.contains("--psk-stdin") })
        // Another table with the same key changes nothing; another key ends what is connected by the old one.
        radsec.service.replaceClients(try table(key))
        try gateway.send(login(2))
        #expect(try gateway.receive() != nil)
        radsec.service.replaceClients(try table([UInt8](repeating: 9, count: 32)))
        try? gateway.send(login(3))
        #expect(gateway.isEnded())
        #expect(radsec.judge.attempts.count == 2)
        radsec.service.replaceClients(try table(key, isEnabled: false))
        #expect(try connect("gw1", key).isEnded())
        #expect(eventually { radsec.service.refusedConnections["client_disabled"] == 1 })
    }

    /// One whose sealed value does not open is no key: an empty one would let everybody in.
    @Test func anEmptyKeyOrOneIdentityOfTwoClientsIsNobodys() throws {
        func client(_ id: Int64, _ identity: String, _ key: [UInt8]) -> Client {
            var settings = ClientSettings(name: "c\(id)", addresses: [], secret: Secret([]))
            settings.preSharedKey = PreSharedKey(identity: identity, key: Secret(key))
            return Client(id: id, settings: settings)
        }
        let (one, two) = ([UInt8](repeating: 1, count: 16), [UInt8](repeating: 2, count: 16))
        let peers = try ClientTable(
            [client(1, "a", one), client(2, "a", two), client(3, "b", []), client(4, "c", one)], pins: []
        ).peers
        #expect(peers.key(of: "a") == nil && peers.key(of: "b") == nil && peers.key(of: "d") == nil)
        #expect(peers.key(of: "c") == Secret(one))
    }

    @Test func newCertificatesHoldForNewConnections() throws {
        let radsec = try Radsec()
        let before = try radsec.connect()
        let second = try radsec.authority.issue("second", for: "serverAuth")
        try radsec.use(second)
        let after = try radsec.connect()
        #expect(before.session.peer?.subject == "CN=server,O=Test")
        #expect(after.session.peer?.subject == "CN=second,O=Test")
        try before.send(login())
        #expect(try before.receive() != nil)
    }

    @Test func whoSaysNothingIsNotWaitedFor() throws {
        let radsec = try Radsec()
        let silent = try TLSGateway.connected(port: radsec.port)
        defer { close(silent) }
        let gateway = try radsec.connect()
        try gateway.send(login())
        #expect(try gateway.receive() != nil)
        radsec.clock.advance(by: .seconds(11))
        #expect(eventually { radsec.service.refusedConnections["timeout"] == 1 })
        #expect(radsec.service.openConnections == 1)
        radsec.clock.advance(by: .minutes(61))
        #expect(gateway.isEnded())
    }

    @Test func oneAddressCannotTakeEveryPlace() throws {
        let radsec = try Radsec { $0.handshakesOfOneAddress = 2 }
        let silent = try (1...3).map { _ in try TLSGateway.connected(port: radsec.port) }
        defer { for one in silent { close(one) } }
        #expect(eventually { radsec.service.refusedConnections["too_many"] == 1 })
    }

    @Test func plainRADIUSOverTCPIsNamed() throws {
        let radsec = try Radsec()
        let plain = try TLSGateway.connected(port: radsec.port)
        defer { close(plain) }
        let bytes = login()
        _ = send(plain, bytes, bytes.count, 0)
        #expect(eventually { radsec.service.refusedConnections["not_tls"] == 1 })
    }
}

struct PacketFramingTests {
    /// Whatever the pieces, the packets are the same.
    @Test(arguments: [1, 2, 3, 7, 20, 61, 5000])
    func packetsAreCutAtTheirLengths(_ piece: Int) throws {
        let packets = (1...9).map { login($0) }
        let stream = packets.flatMap { $0 }
        var framing = PacketFraming()
        var found: [[UInt8]] = []
        for start in stride(from: 0, to: stream.count, by: piece) {
            stream[start..<min(start + piece, stream.count)].withUnsafeBytes { framing.append($0) }
            while let one = try framing.next() { found.append(one) }
        }
        #expect(found == packets)
        #expect(framing.count == 0)
    }

    @Test func lengthsAreCheckedAsSoonAsTheyAreThere() {
        for (length, error) in [(19, PacketError.lengthFieldTooSmall(length: 19)), (4097, .tooLong(length: 4097))] {
            var framing = PacketFraming()
            [1, 1, UInt8(length >> 8), UInt8(length & 0xFF)].withUnsafeBytes { framing.append($0) }
            #expect(throws: error) { try framing.next() }
        }
        for length in [20, 4096] {
            var framing = PacketFraming()
            [1, 1, UInt8(length >> 8), UInt8(length & 0xFF)].withUnsafeBytes { framing.append($0) }
            #expect(throws: Never.self) { try framing.next() }
        }
    }
}
