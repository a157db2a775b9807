// SPDX-License-Identifier: Apache-2.0
// Operations on a real SQLite store in a folder of their own, with a clock and dice that tests set.

import Administration
import Factors
import Foundation
import LoginEngine
import Store
import Synchronization

final class Office: Sendable {
    let operations: Operations
    let records: Records
    let changes = Box<[Operations.Change]>([])
    let clock = Box(Office.start)
    private let directory: DataDirectory

    var path: String { directory.path }

    static let start = Timestamp(seconds: 1_795_262_591)
    static let actor = Actor("cli:anna@vpn1")

    /// - Parameters:
    ///   - random: the same dice for every operation where none is given.
    ///   - publicURL: what links begin with.
    init(
        random: @escaping @Sendable () -> any RandomNumberGenerator = { Dice() }, publicURL: String? = nil,
        ports change: (inout Operations.Ports) -> Void = { _ in }
    ) throws {
        let path = NSTemporaryDirectory() + "sallyport-admin-\(UUID().uuidString)"
        directory = try DataDirectory.open(path)
        records = try Records.open(in: directory, key: .file(directory.keyPath), at: Self.start)
        let (clock, changes) = (clock, changes)
        var ports = Operations.Ports(
            // The real hash takes 25 ms and is tested where it lives.
            hashPassword: { password in Secret(utf8: "$argon2id$test$\(password.count)") },
            now: { clock.current }, random: random,
            changed: { change in changes.value.withLock { $0.append(change) } })
        ports.publicURL = { publicURL }
        change(&ports)
        operations = Operations(records: records, ports: ports)
    }

    deinit {
        records.close()
        directory.close()
        try? FileManager.default.removeItem(atPath: directory.path)
    }

    @discardableResult
    func perform<Kind: AdminOperation>(_ operation: Kind) async throws(Refusal) -> Kind.Answer {
        try await operations.perform(operation, by: Self.actor)
    }

    /// The refusal's words, or what it should not have done.
    func refusal<Kind: AdminOperation>(of operation: Kind) async -> String {
        do {
            _ = try await perform(operation)
            return "not refused"
        } catch {
            return error.description
        }
    }

    func kind<Kind: AdminOperation>(of operation: Kind) async -> Refusal.Kind? {
        do {
            _ = try await perform(operation)
            return nil
        } catch {
            return error.kind
        }
    }

    func client(_ name: String = "office", address: String = "192.0.2.7", _ change: (inout ClientChoices) -> Void = { _ in }) -> AddClient {
        var choices = ClientChoices()
        choices.addresses = [address]
        choices.secret = SecretText("0mEq7-long-and-odd-\(name)")
        change(&choices)
        return AddClient(name: name, choices: choices)
    }

    func newest() throws -> Event {
        guard let record = try records.events(EventFilter(limit: 1)).first else { throw Refusal(.missing, "no event") }
        return record.event
    }
}

/// A mutex that closures can share.
final class Box<Value: Sendable>: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) {
        self.value = Mutex(value)
    }

    var current: Value { value.withLock { $0 } }
}

/// SplitMix64 from a fixed seed.
struct Dice: RandomNumberGenerator {
    private var state: UInt64 = 42

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
