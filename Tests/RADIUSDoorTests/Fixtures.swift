// SPDX-License-Identifier: Apache-2.0
// A gateway on a real socket, a judge that does as told, and short ways to packets.

import Glibc
import Logging
import LoginEngine
import RADIUS
import Synchronization
import Testing

@testable import RADIUSDoor

let secretText = "a shared secret"
let sharedSecret = RADIUS.SharedSecret(secretText)!

func address(_ text: String) -> NetworkAddress { NetworkAddress(text)! }

func uptime(_ seconds: Int64) -> Timestamp { Timestamp(seconds: seconds) }

func client(
    _ name: String = "vpn", id: Int64 = 1, _ ranges: [String] = ["127.0.0.0/8", "::1"], secret: String = secretText,
    rule: MessageAuthenticatorRule = .auto, isEnabled: Bool = true
) -> Client {
    var settings = ClientSettings(name: name, addresses: ranges.map { AddressRange($0)! }, secret: Secret(utf8: secret))
    settings.messageAuthenticator = rule
    settings.isEnabled = isEnabled
    return Client(id: id, settings: settings)
}

func entry(_ client: Client, pins: [ClientPin] = []) throws -> ClientEntry {
    try #require(try ClientTable([client], pins: pins).client(for: client.settings.addresses[0].base))
}

let loginID = LoginID(Bits128(high: 1, low: 2))

/// Builds a request; attributes are added by `build`.
func request(
    _ code: Code = .accessRequest, identifier: UInt8 = 1, authenticator: Authenticator = Authenticator(high: 7, low: 9),
    signed: Bool = true, secret: RADIUS.SharedSecret = sharedSecret, _ build: (inout PacketWriter) -> Void = { $0.login() }
) -> [UInt8] {
    var writer = PacketWriter(request: code, identifier: identifier, authenticator: authenticator, messageAuthenticator: signed)
    build(&writer)
    return (try? writer.sign(with: secret)) ?? []
}

func packet(_ bytes: [UInt8]) throws -> Packet { try Packet(decoding: bytes) }

extension PacketWriter {
    mutating func login(_ name: String = "alice", _ password: String = "sesame,123456", secret: RADIUS.SharedSecret = sharedSecret) {
        addText(.userName, name)
        addPassword(Array(password.utf8), secret: secret)
    }
}

extension Packet {
    func all(_ type: AttributeType) -> [[UInt8]] {
        attributes.filter { $0.type == type }.map { Array(value(of: $0)) }
    }
}

/// Judges as its script says; keeps what it was asked.
final class ScriptedJudge: LoginJudge {
    private let script: @Sendable ([Attempt]) -> Void
    private let seen = Mutex<(batches: [[Attempt]], abandoned: [UInt64])>(([], []))

    init(_ script: @escaping @Sendable ([Attempt]) -> Void = { for attempt in $0 { attempt.completion(.accept(loginID)) } }) {
        self.script = script
    }

    /// Keeps every attempt until `complete` is called.
    static func holding() -> ScriptedJudge { ScriptedJudge { _ in } }

    var attempts: [Attempt] { seen.withLock { $0.batches.flatMap { $0 } } }
    var batchSizes: [Int] { seen.withLock { $0.batches.map(\.count) } }
    var abandoned: [UInt64] { seen.withLock { $0.abandoned } }

    func attempt(_ attempts: [Attempt]) {
        seen.withLock { $0.batches.append(attempts) }
        script(attempts)
    }

    /// A waiter that is given up before the judge heard of it would wait for ever.
    func abandon(waiter: UInt64) {
        seen.withLock { seen in
            #expect(seen.batches.contains { $0.contains { $0.waiter == waiter } })
            seen.abandoned.append(waiter)
        }
    }

    /// Waits, by looking again, until so many attempts came.
    func waitForAttempts(_ count: Int) -> Bool {
        eventually { self.attempts.count >= count }
    }
}

/// Looks again for at most five seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(5)
    while clock.now < end {
        if condition() { return true }
        poll(nil, 0, 1)
    }
    return condition()
}

/// Keeps what was logged.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger {
        Logger(label: "radius") { _ in Handler(lines: self) }
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.lines.withLock { $0.append("\(event.message)") }
        }
    }
}

/// A clock that stands until it is moved.
final class HandClock: Sendable {
    private let time = Mutex(Timestamp(seconds: 1_000_000))

    var now: @Sendable () -> Moment {
        {
            let time = self.time.withLock { $0 }; return Moment(wall: time, uptime: time)
        }
    }

    func advance(by span: Timestamp.Span) {
        time.withLock { $0 = $0 + span }
    }
}

/// The gateway's side: a connected UDP socket that waits two seconds for an answer.
final class GatewaySocket: Sendable {
    let descriptor: CInt
    private let isIPv6: Bool

    init(to endpoint: UDPEndpoint, address: String? = nil, from source: String? = nil, patience: Int = 2000) throws {
        isIPv6 = !endpoint.address.isIPv4
        descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(descriptor >= 0)
        var time = timeval(tv_sec: patience / 1000, tv_usec: patience % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var buffer: CInt = 1 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, socklen_t(MemoryLayout<CInt>.size))
        if let source { try #require(Self.withAddress(RADIUSDoorTests.address(source), 0) { bind(descriptor, $0, $1) } == 0) }
        let target = address.map { RADIUSDoorTests.address($0) } ?? endpoint.address
        try #require(Self.withAddress(target, endpoint.port) { connect(descriptor, $0, $1) } == 0)
    }

    deinit {
        close(descriptor)
    }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, 0)
    }

    /// Nil after two seconds of silence.
    func receive() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 5000)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count >= 0 ? Array(bytes[..<count]) : nil
    }

    func receivePacket() throws -> Packet? { try receive().map { try Packet(decoding: $0) } }

    /// What is there already; nothing is waited for.
    func receiveNow() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 5000)
        let count = recv(descriptor, &bytes, bytes.count, CInt(MSG_DONTWAIT))
        return count >= 0 ? Array(bytes[..<count]) : nil
    }

    private static func withAddress(_ address: NetworkAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt
    {
        func call<Name>(_ name: inout Name) -> CInt {
            withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Name>.size)) }
            }
        }
        if address.isIPv4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.bits).bigEndian
            return call(&name)
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return call(&name)
    }
}

/// A started service on loopback.
struct TestDoor {
    let service: RADIUSService
    let log = LogLines()
    let clock = HandClock()

    init(
        _ judge: ScriptedJudge, clients: [Client] = [client()], pins: [ClientPin] = [], listen: [String] = ["127.0.0.1"],
        ledger: ScriptedLedger? = nil,
        limits: DuplicateLimits = DuplicateLimits(), onPin: @escaping @Sendable (ClientPin) -> Void = { _ in }
    ) throws {
        var settings = RADIUSSettings(listen: listen.map { UDPEndpoint(address: address($0), port: 0) })
        settings.duplicates = limits
        if ledger != nil { settings.accounting = [UDPEndpoint(address: address("127.0.0.1"), port: 0)] }
        service = RADIUSService(
            settings: settings, clients: try ClientTable(clients, pins: pins), judge: judge, ledger: ledger,
            random: SystemRandomNumberGenerator(),
            logger: log.logger, now: clock.now, onPin: onPin)
        try service.start()
    }

    var endpoint: UDPEndpoint { service.boundAddresses[0] }

    func dropped(_ reason: DropReason) -> Int { service.statistics.dropped[reason] ?? 0 }

    /// Stops and waits until the sockets are closed.
    func close(drain: Timestamp.Span = .seconds(0)) async throws {
        service.stop(drain: drain)
        try await service.run()
    }
}
