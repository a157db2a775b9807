// SPDX-License-Identifier: Apache-2.0
// The real node in this process, on loopback ports that are read back, with short ways to what tests need of it.

import Administration
import Directories
import Foundation
import Glibc
import Logging
import LoginEngine
import OTP
import RADIUSDoor
import Store
import Testing
import WebDoor

@testable import sallyport

struct TestNode: Sendable {
    static let secret = "a-long-enough-shared-secret"
    static let password = "correct horse battery"
    static let actor = Actor("test@e2e")

    /// What nodes log would bury what tests say; nobody else in this process may set up logging.
    private static let quiet: Void = LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }

    let node: Node
    let folder: TemporaryFolder
    private let running: Task<Void, any Error>

    /// - Parameter folder: that of a node which was stopped, to go on with its data.
    static func start(
        in folder: TemporaryFolder? = nil, database: String = "sqlite", flags: [String: String] = [:], factors: [any SecondFactor] = []
    ) async throws -> TestNode {
        _ = quiet
        let folder = try folder ?? TemporaryFolder()
        let settings = try Settings.read(
            flags: [
                "data-directory": folder.path, "radius.listen": "127.0.0.1:0,[::1]:0",
                "radius.accounting": "127.0.0.1:0", "web.health": "127.0.0.1:0",
                "web.metrics": "127.0.0.1:0", "database": database,
            ].merging(flags) { $1 }, environment: [:], yaml: "")
        let node = try Node.open(
            settings, in: try DataDirectory.open(folder.path), metrics: PrometheusRegistry(help: NodeFigures.help), factors: factors)
        do {
            try await node.start()
        } catch {
            await node.close()
            throw error
        }
        let (ready, signal) = AsyncStream.makeStream(of: Void.self)
        let running = Task {
            defer { signal.finish() }
            try await node.run { signal.yield() }
        }
        for await _ in ready { break }
        return TestNode(node: node, folder: folder, running: running)
    }

    func stop() async {
        running.cancel()
        _ = await running.result
        await node.close()
    }

    func restarted(database: String = "sqlite") async throws -> TestNode {
        await stop()
        return try await TestNode.start(in: folder, database: database)
    }

    var endpoint: UDPEndpoint { node.radius.boundAddresses[0] }
    var endpointIPv6: UDPEndpoint { node.radius.boundAddresses[1] }

    // MARK: What an administrator does

    @discardableResult
    func perform<Kind: AdminOperation>(_ operation: Kind) async throws -> Kind.Answer {
        try await node.operations.perform(operation, by: Self.actor)
    }

    @discardableResult
    func addUser(_ name: String = "alice", _ factor: AddFactor? = nil) async throws -> TestToken {
        try await perform(AddUser(name: name, password: SecretText(Self.password)))
        return try await addFactor(factor ?? AddFactor(user: name, kind: "totp"))
    }

    func addFactor(_ factor: AddFactor) async throws -> TestToken {
        try TestToken(uri: try await perform(factor).uri.text)
    }

    func addClient(
        _ name: String = "vpn", _ addresses: [String] = ["127.0.0.1"], secret: String = TestNode.secret,
        _ choose: (inout ClientChoices) -> Void = { _ in }
    ) async throws {
        var choices = ClientChoices()
        choices.addresses = addresses
        choices.secret = SecretText(secret)
        choose(&choices)
        try await perform(AddClient(name: name, choices: choices))
    }

    func setClient(_ name: String = "vpn", _ choose: (inout ClientChoices) -> Void) async throws {
        var choices = ClientChoices()
        choose(&choices)
        try await perform(SetClient(client: name, choices: choices))
    }

    // MARK: What the trail says

    /// Newest first. Rejects are written behind their answer, so those expected are waited for.
    func logins(_ kind: String = "login", count: Int = 0) async throws -> [EventView] {
        let end = ContinuousClock.now + .seconds(5)
        while true {
            let events = try await perform(ListEvents(kinds: [kind], limit: 1000)).events
            if events.count >= count || ContinuousClock.now > end { return events }
            try await onThread { _ = poll(nil, 0, 3) }
        }
    }

    func lastReason(of user: String, count: Int = 1) async throws -> String? {
        let end = ContinuousClock.now + .seconds(5)
        while true {
            let events = try await logins("login-rejected").filter { $0.user == user }
            if events.count >= count || ContinuousClock.now > end { return events.first?.reason }
            try await onThread { _ = poll(nil, 0, 3) }
        }
    }

    func verifyTrail() async throws -> VerifyTrail.Answer {
        try await perform(VerifyTrail())
    }

    // MARK: Its slow places, held on purpose

    /// Keeps every thread that hashes passwords busy until `release`, and fills the queue behind them where asked.
    func holdHashing(fillingQueue: Bool = false) async throws -> HeldHashing {
        let pool = node.store.hashing
        let held = HeldHashing()
        for _ in 0..<pool.threads { try #require(pool.run { held.wait() }) }
        #expect(try await eventually { pool.load.running == pool.threads })
        // As the first client, since each has a share of its own.
        if fillingQueue { while pool.run(for: 1, {}) {} }
        return held
    }

    // MARK: HTTP

    func metricsPage(_ path: String) async throws -> (status: Int, body: String) {
        let address = try #require(try await node.web.bound(.metrics).first)
        return try await httpGet(path, port: address.port)
    }

    func healthPage(_ path: String) async throws -> (status: Int, body: String) {
        let address = try #require(try await node.web.bound(.health).first)
        return try await httpGet(path, port: address.port)
    }
}

/// Starts a node, and stops it however the test ends.
func withNode(factors: [any SecondFactor] = [], _ body: (TestNode) async throws -> Void) async throws {
    let node = try await TestNode.start(factors: factors)
    do {
        try await body(node)
    } catch {
        await node.stop()
        throw error
    }
    await node.stop()
}

final class HeldHashing: Sendable {
    private let condition = NSCondition()
    nonisolated(unsafe) private var isReleased = false

    func wait() {
        condition.lock()
        while !isReleased { condition.wait() }
        condition.unlock()
    }

    func release() {
        condition.lock()
        isReleased = true
        condition.broadcast()
        condition.unlock()
    }
}

/// What the user holds: shows codes, of now or of another time.
struct TestToken: Sendable {
    let uri: OTPAuthURI

    init(uri: String) throws {
        self.uri = try OTPAuthURI(parsing: uri)
    }

    /// TOTP: the code of the step that is so far ahead of now.
    func code(ahead: Int64 = 0) throws -> String {
        guard case .totp(let period) = uri.kind else { throw TestTokenError() }
        let totp = try TOTP(key: uri.key, algorithm: uri.algorithm, digits: uri.digits, period: period)
        let now = Int64(Date().timeIntervalSince1970)
        return try #require(totp.code(step: totp.step(at: now) + ahead))
    }

    /// HOTP.
    func code(counter: UInt64) throws -> String {
        try HOTP(key: uri.key, algorithm: uri.algorithm, digits: uri.digits).code(counter: counter)
    }

    /// As long as a code of this token, and hardly ever right.
    func wrongCode() throws -> String {
        let right = try code()
        return right.dropLast() + String(((right.last?.wholeNumberValue ?? 0) + 5) % 10)
    }

    var base32: String { Base32.encode(uri.key.bytes) }
}

struct TestTokenError: Error {}

extension TestNode {
    /// What `trace` says, as one text.
    func story(_ login: String) async throws -> String {
        let story = try await perform(TraceLogin(login: login))
        return (story.lines.map(\.text) + [story.next]).joined(separator: "\n")
    }

    func setUser(_ name: String, _ change: (inout SetUser) -> Void) async throws {
        var request = SetUser(user: name)
        change(&request)
        try await perform(request)
    }
}
