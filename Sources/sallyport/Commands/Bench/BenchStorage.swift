// SPDX-License-Identifier: Apache-2.0
// sallyport bench storage: what the store does alone, without a packet and without a rule.

import Administration
import ArgumentParser
import Foundation
import LoginEngine
import Store
import Synchronization

struct BenchStorage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storage", abstract: "Measure the storage alone: looking users up, and settling accepts.",
        discussion: """
            On a directory that `bench prepare` made for code, while no node runs on it. Accepts are durable when they count.

            Example:
              sallyport bench storage --data-dir /tmp/bench --users 1000
            """)

    @OptionGroup var flags: BenchUserFlags
    @Option(help: ArgumentHelp("How long each part measures.", valueName: "seconds")) var seconds = 3.0
    @Option(help: ArgumentHelp("Accepts that wait to be written, at most.", valueName: "count")) var window = 256
    @Option(help: ArgumentHelp("Users that are looked up at a time.", valueName: "count")) var batch = 16
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard seconds > 0, seconds <= 3_600, (1...100_000).contains(window), (1...1_000).contains(batch) else {
            throw ValidationError("--seconds is up to 3600, --window up to 100000, --batch up to 1000.")
        }
        guard options.dataDirectory != nil else { throw ValidationError("Name a directory made by `bench prepare` with --data-dir.") }
    }

    func run() async throws {
        let opening = monotonicNanoseconds()
        let store = try OpenedStore.open(try options.location().settings, creating: false, isServing: true)
        defer { store.close() }
        var report = StorageReport(users: flags.users, openSeconds: Double(monotonicNanoseconds() - opening) / 1e9)
        report.loads = try loads(store.records, among: flags.users)
        report.loadsOfFew = try loads(store.records, among: min(flags.users, 1_000))
        (report.settlements, report.p99) = try settlements(store.records)
        let written = report
        try options.output.show(written) { report in
            options.output.line(
                "\(report.users) users: \(Int(report.loads)) look-ups a second, \(Int(report.loadsOfFew)) of the same 1,000; "
                    + "\(Int(report.settlements)) accepts a second, each durable.")
        }
    }

    /// Users in an order that no cache foresees.
    private func loads(_ records: Records, among users: Int) throws -> Double {
        let made = flags.made
        var random = FastRandom(state: 1)
        let began = monotonicNanoseconds()
        var count = 0
        while monotonicNanoseconds() - began < UInt64(seconds * 1e9) {
            let lookups = (0..<batch).map { _ in
                LoginLookup(nameKey: UserName.key(of: made.name(Int(random.next(upperBound: UInt64(users))))), handle: nil)
            }
            let facts = try records.load(lookups, at: NodeClock.now().wall)
            guard facts.allSatisfy({ $0.user != nil && $0.factors.count == 1 }) else { throw unprepared }
            count += batch
        }
        return Double(count) * 1e9 / Double(monotonicNanoseconds() - began)
    }

    /// One thread hands in, the writer writes.
    private func settlements(_ records: Records) throws -> (perSecond: Double, p99: Double?) {
        let made = flags.made
        let known = min(made.count, 10_000)
        var facts: [LoginFacts] = []
        let now = NodeClock.now().wall
        for number in 0..<known {
            // Spread over the whole table.
            let name = made.name(Int(UInt64(number) * UInt64(made.count) / UInt64(known)))
            facts += try records.load([LoginLookup(nameKey: UserName.key(of: name), handle: nil)], at: now)
        }
        let room = Room(places: window)
        let refused = Atomic<Int>(0)
        let latency = Mutex(LatencyHistogram())
        var random = FastRandom(state: 2)
        let began = monotonicNanoseconds()
        var count = 0
        while monotonicNanoseconds() - began < UInt64(seconds * 1e9) {
            let fact = facts[count % known]
            guard let user = fact.user, let factor = fact.factors.first else { throw unprepared }
            room.enter()
            let handedIn = monotonicNanoseconds()
            let login = LoginID(Bits128(high: random.next(), low: random.next()))
            let counter = factor.highestUsed + 1 + Int64(count / known)
            records.settle(settlement(of: user, factor, fact.version, login, counter, at: NodeClock.now().wall)) { outcome in
                if outcome != .done { refused.add(1, ordering: .relaxed) }
                latency.withLock { $0.add(nanoseconds: monotonicNanoseconds() - handedIn) }
                room.leave()
            }
            count += 1
        }
        room.empty()
        let perSecond = Double(count) * 1e9 / Double(monotonicNanoseconds() - began)
        guard refused.load(ordering: .relaxed) == 0 else {
            throw Refusal(.failed, "\(refused.load(ordering: .relaxed)) of \(count) accepts were not written.")
        }
        return (perSecond, latency.withLock { $0.microseconds(at: 0.99) })
    }

    /// As the engine makes it of a login at a client that asks for a code alone.
    private func settlement(
        of user: User, _ factor: Factor, _ version: UInt64?, _ login: LoginID, _ counter: Int64, at now: Timestamp
    ) -> Settlement {
        Settlement(
            decision: RecordedDecision(login: login, isAccept: true, at: now, request: Fingerprint(login.bits), retry: nil),
            user: user.id, marks: [.hotp(factor: factor.id, counter: counter)], handle: nil,
            event: Event(
                .loginAccepted, at: now, login: login, user: user.id, client: 1, source: NetworkAddress(v4: 0x7F00_0001),
                details: [.init("requirement", "factor"), .init("factor", factor.kind.rawValue)],
                subject: PersonalFields([.init("name", user.name)])),
            basis: version.map { Settlement.Basis(version: $0, folded: factor.folded) })
    }

    private var unprepared: Refusal {
        Refusal(
            .configuration, "The directory has not got these users.",
            remedy: "Make it by `sallyport bench prepare --mode code` with the same --users.")
    }
}

struct StorageReport: Codable, Sendable {
    var users: Int
    var openSeconds: Double
    /// A second, in random order among all users and among a thousand of them.
    var loads = 0.0
    var loadsOfFew = 0.0
    var settlements = 0.0
    /// Microseconds from handing in to durable.
    var p99: Double?
}

/// So many at a time.
private final class Room: Sendable {
    private let condition = NSCondition()
    private let free: Atomic<Int>
    private let places: Int

    init(places: Int) {
        self.places = places
        free = Atomic(places)
    }

    func enter() {
        condition.lock()
        while free.load(ordering: .relaxed) == 0 { condition.wait() }
        free.subtract(1, ordering: .relaxed)
        condition.unlock()
    }

    func leave() {
        condition.lock()
        free.add(1, ordering: .relaxed)
        condition.signal()
        condition.unlock()
    }

    /// Returns when everybody has left.
    func empty() {
        condition.lock()
        while free.load(ordering: .relaxed) < places { condition.wait() }
        condition.unlock()
    }
}
