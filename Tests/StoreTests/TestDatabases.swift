// SPDX-License-Identifier: Apache-2.0
// Databases and data directories of one test each; they go when the test does.

import Foundation
import LoginEngine
import Synchronization
import TestSupport
import Testing

@testable import Store

final class TemporaryFolder: Sendable {
    let path: String
    /// What its database is.
    let kind: TestDatabases
    let hasSchema = Mutex(false)

    init(_ kind: TestDatabases = .sqlite) {
        self.kind = kind
        path = FileManager.default.temporaryDirectory.appendingPathComponent("sallyport-\(UUID().uuidString)").path
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Every backend that passes for a `SQLDatabase`.
enum TestDatabases: String, CustomTestStringConvertible {
    case sqlite, postgres
    /// As if other nodes wrote to it too: used codes are guarded by a table, as in a cluster.
    case sharedSQLite

    static let all = files + (PostgresCluster.isHere ? [.postgres] : [])
    /// Those where each used code is a row of its own.
    static let shared = all.filter { $0 != .sqlite }
    static let files: [TestDatabases] = [.sqlite, .sharedSQLite]
    var testDescription: String { rawValue }

    func open(in folder: TemporaryFolder, probe: (@Sendable (String) throws(DatabaseError) -> Void)? = nil) throws -> any SQLDatabase {
        switch self {
        case .sqlite, .sharedSQLite:
            var options = SQLiteDatabase.Options()
            options.probe = probe
            options.isOwnedAlone = self == .sqlite
            return try SQLiteDatabase(path: folder.path + "/sallyport.sqlite", options: options)
        case .postgres:
            var options = PostgresDatabase.Options()
            options.probe = probe
            return try PostgresDatabase(try Self.address(of: folder), options: options)
        }
    }

    /// Of the schema that belongs to the folder.
    static func address(of folder: TemporaryFolder) throws -> PostgresAddress {
        let cluster = try PostgresCluster.shared()
        let schema = "t_" + folder.path.suffix(36).lowercased().replacing("-", with: "")
        let isNew = folder.hasSchema.withLock { has in
            defer { has = true }
            return !has
        }
        if isNew {
            let connection = try PostgresConnection(try PostgresAddress(cluster.url()), timeout: 20_000)
            _ = try connection.run([Statement(SQL(composed: "CREATE SCHEMA \(schema)"))])
        }
        return try PostgresAddress(cluster.url(schema: schema))
    }
}

/// Collects what completions say, from any thread.
final class Collected<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

let start = Timestamp(seconds: 1_767_225_600)

/// One user with a TOTP, a HOTP and a recovery factor, in records whose writer the test drives.
final class Fixture {
    let kind: TestDatabases
    let folder: TemporaryFolder
    var records: Records
    var user: Int64 = 0
    var totp: Int64 = 0
    var hotp: Int64 = 0
    var recovery: Int64 = 0
    var recoveryHash: [UInt8] = []
    var key: MasterKeySource { .file(folder.path + "/master.key") }

    init(_ kind: TestDatabases = .sqlite) async throws {
        self.kind = kind
        folder = TemporaryFolder(kind)
        records = try Records(
            try kind.open(in: folder), key: .file(folder.path + "/master.key"), at: start, options: Records.Options())
        var alice = NewUser(name: "Alice", key: "alice", created: start)
        alice.passwordHash = Secret(utf8: "$argon2id$hash")
        alice.aliases = [UserAlias(name: "alice@example.org", key: "alice@example.org")]
        user = try await records.addUser(alice, event: Event(.userAdded, at: start, subject: PersonalFields([.init("name", "Alice")])))
        let secret = Secret(utf8: "12345678901234567890")
        totp = try await records.addFactor(
            NewFactor(user: user, kind: .totp, label: "phone", secret: secret, created: start), event: Event(.factorAdded, at: start))
        hotp = try await records.addFactor(
            NewFactor(user: user, kind: .hotp, label: "token", secret: secret, created: start), event: Event(.factorAdded, at: start))
        recovery = try await records.replaceRecoveryCodes(
            ofUser: user, codes: [Array("ABCD".utf8), [2]], at: start, event: Event(.recoveryCodesMade, at: start))
        recoveryHash = records.recoveryHash(Array("ABCD".utf8), factor: recovery)
        try reopen()
    }

    deinit { records.close() }

    /// As after a restart; `probe` sees each statement of the writer.
    func reopen(
        at now: Timestamp = start, limits: GroupCommit.Limits = GroupCommit.Limits(),
        probe: (@Sendable (String) throws(DatabaseError) -> Void)? = nil
    ) throws {
        records.close()
        var options = Records.Options()
        options.runsWriter = false
        options.limits = limits
        records = try Records(try kind.open(in: folder, probe: probe), key: key, at: now, options: options)
    }

    func settlement(_ marks: [Mark], at: Timestamp = start, handle: HandleID? = nil, login: UInt64 = 1, accept: Bool = true) -> Settlement {
        let id = LoginID(Bits128(high: 7, low: login))
        return Settlement(
            decision: RecordedDecision(
                login: id, isAccept: accept, at: at, request: Fingerprint(Bits128(high: 9, low: login)),
                retry: Fingerprint(Bits128(high: 10, low: login)), reply: accept ? [11, 3, 65] : []),
            user: user, marks: marks, handle: handle,
            event: Event(
                accept ? .loginAccepted : .loginRejected, at: at, login: id, user: user, client: 3,
                subject: PersonalFields([.init("name", "Alice"), .init("station", "198.51.100.7")])))
    }

    /// Settles in the groups given, and returns the outcomes in order.
    func settle(_ groups: [[Settlement]]) -> [SettlementOutcome] {
        let outcomes = Collected<SettlementOutcome>()
        for group in groups {
            for settlement in group { records.settle(settlement) { outcomes.add($0) } }
            records.writer.commitNow()
        }
        return outcomes.all
    }

    func settle(_ settlements: Settlement...) -> [SettlementOutcome] { settle([settlements]) }

    func facts(at now: Timestamp = start, handle: HandleID? = nil) throws -> LoginFacts {
        try records.load([LoginLookup(nameKey: "alice", handle: handle)], at: now)[0]
    }

    /// Pumps the writer until an administrative change is done.
    func change<Result: Sendable>(_ body: @escaping @Sendable (Records) async throws -> Result) async throws -> Result {
        let records = self.records
        let task = Task { try await body(records) }
        let done = Task { () -> Result in
            defer { task.cancel() }
            return try await task.value
        }
        let isDone = Collected<Bool>()
        Task {
            _ = try? await done.value
            isDone.add(true)
        }
        while isDone.all.isEmpty {
            records.writer.commitNow()
            await Task.yield()
        }
        return try await done.value
    }

    /// Uses that are written and not yet folded.
    var unfolded: Int {
        get throws {
            let logged = try query("SELECT body FROM mark_log").map { try MarkRow.decode(try $0.blob(0)).count }
            return Int(try query("SELECT count(*) FROM used")[0].integer(0)) + logged.reduce(0, +)
        }
    }

    /// Folds what was used up to `now`, as housekeeping does once it is old enough.
    func fold(at now: Timestamp) throws {
        records.marks.tick(at: now)
        records.marks.tick(at: now + MarkLog.keeps)
        while try records.marks.foldSome() {}
    }

    /// Changes rows behind the store's back.
    func tamper(_ sql: String, _ values: [SQLValue] = []) throws {
        let outcomes = try records.database.write([Unit([Statement(SQL(composed: sql), values)])]) { _ in [] }
        #expect(outcomes[0].isDone)
    }

    func query(_ sql: String, _ values: [SQLValue] = []) throws -> Rows {
        try records.database.read([Statement(SQL(composed: sql), values)])[0]
    }
}

func copyFile(_ from: String, _ to: String) throws {
    try FileManager.default.copyItem(atPath: from, toPath: to)
}
