// SPDX-License-Identifier: Apache-2.0
// What every backend of the seam must do.

import Foundation
import Synchronization
import Testing

@testable import Store

@Suite struct SQLDatabaseTests {
    private static let insert = SQL("INSERT INTO t (id, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    private static let insertOrRaise = SQL("INSERT INTO t (id, value) VALUES (?1, ?2)")
    private static let all = SQL("SELECT id, value FROM t ORDER BY id")
    private static let find = SQL("SELECT id FROM t WHERE id = ?1")

    private func insert(_ id: Int64, _ value: String = "x") -> Statement { Statement(Self.insert, [.integer(id), .text(value)]) }

    private func make(_ kind: TestDatabases, _ folder: TemporaryFolder) throws -> any SQLDatabase {
        let database = try kind.open(in: folder)
        try database.execute(script: "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL)", then: [])
        return database
    }

    private func ids(_ database: any SQLDatabase) throws -> [Int64] {
        try database.read([Statement(Self.all)])[0].map { try $0.integer(0) }
    }

    @Test(arguments: TestDatabases.all) func valuesComeBackAsTheyWentIn(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try make(kind, folder)
        defer { database.close() }
        let sql = SQL("SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7")
        let values: [SQLValue] = [.null, .integer(.min), .real(0.5), .text("ü\u{0}z"), .text(""), .blob([0, 255]), .blob([])]
        let row = try #require(try database.read([Statement(sql, values)])[0].first)
        for (index, value) in values.enumerated() { #expect(row[index] == value) }
        #expect(throws: DatabaseError.self) { try row.text(1) }
    }

    @Test(arguments: TestDatabases.all) func refusedUnitLeavesNoTrace(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try make(kind, folder)
        defer { database.close() }
        let outcomes = try database.write([
            Unit(guarded: [.init(insert(1))]),
            // Writes, then is refused by a later guard.
            Unit(guarded: [.init(insert(2)), .init(insert(1))], then: { _ in [insert(3)] }),
            Unit(guarded: [.init(Statement(Self.find, [.integer(1)]))], then: { _ in [insert(4)] }),
            Unit(guarded: [.init(Statement(Self.find, [.integer(9)]), rows: 0)], then: { rows in rows[0].isEmpty ? [insert(5)] : [] }),
            Unit(guarded: [.init(insert(4))]),
        ]) { _ in [insert(100)] }
        #expect(try ids(database) == [1, 4, 5, 100])
        #expect(outcomes.map(\.isDone) == [true, false, true, true, false])
        guard case .refused(1) = outcomes[1], case .refused(0) = outcomes[4] else {
            Issue.record("wrong guards: \(outcomes)")
            return
        }
    }

    @Test(arguments: TestDatabases.all) func unitThatFailsIsTriedAloneAndTheOthersAreWritten(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try make(kind, folder)
        defer { database.close() }
        let closings = Collected<[Bool]>()
        let outcomes = try database.write([
            Unit([insert(1)]),
            Unit([insert(2), Statement(Self.insertOrRaise, [.integer(1), .text("again")])]),
            Unit([insert(3)]),
        ]) { outcomes in
            closings.add(outcomes.map(\.isDone))
            return [insert(100)]
        }
        #expect(outcomes.map(\.isDone) == [true, false, true])
        #expect(closings.all == [[true, false, true]])
        #expect(try ids(database) == [1, 3, 100])
        guard case .failed(let error) = outcomes[1] else {
            Issue.record("not failed")
            return
        }
        #expect(error.kind == .constraint)
    }

    @Test(arguments: TestDatabases.all) func closingThatFailsTakesTheGroupWithIt(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try make(kind, folder)
        defer { database.close() }
        #expect(throws: DatabaseError.self) {
            try database.write([Unit([insert(1)])]) { _ in [Statement(Self.insertOrRaise, [.integer(1), .text("")])] }
        }
        #expect(try ids(database).isEmpty)
        _ = try database.write([Unit([insert(1)])]) { _ in [] }
        #expect(try ids(database) == [1])
    }

    @Test(arguments: TestDatabases.all) func readsOfOneCallSeeOneState(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try make(kind, folder)
        defer { database.close() }
        let stop = Atomic<Bool>(false)
        let thread = Thread {
            var id: Int64 = 1
            while !stop.load(ordering: .relaxed) {
                // A pair at a time: a view never holds an odd number.
                _ = try? database.write([Unit([insert(id), insert(id + 1)])]) { _ in [] }
                id += 2
            }
        }
        thread.start()
        let count = SQL("SELECT count(*) FROM t")
        for _ in 0..<300 {
            let results = try database.read([Statement(count), Statement(count), Statement(count)])
            let counts = try results.map { try $0[0].integer(0) }
            #expect(Set(counts).count == 1 && counts[0] % 2 == 0)
        }
        stop.store(true, ordering: .relaxed)
    }

    @Test(arguments: TestDatabases.all) func readersDoNotWaitForTheWriter(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try make(kind, folder)
        defer { database.close() }
        let counts = Collected<Int>()
        _ = try database.write([Unit([insert(1)])]) { _ in
            // In the middle of the transaction.
            if let rows = try? database.read([Statement(Self.all)])[0] { counts.add(rows.count) }
            return []
        }
        #expect(counts.all == [0])
    }

    @Test func commitsWaitForTheDisk() throws {
        let folder = TemporaryFolder()
        let database = try SQLiteDatabase(path: folder.path + "/x.sqlite")
        defer { database.close() }
        #expect(try database.pragma("PRAGMA synchronous")[0][0] == .integer(2))
        #expect(try database.pragma("PRAGMA journal_mode")[0][0] == .text("wal"))
        #expect(try database.pragma("PRAGMA foreign_keys")[0][0] == .integer(1))
        for file in ["x.sqlite", "x.sqlite-wal"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + file)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    /// Twice the same crash: with a journal that was never written to, and with one that has commits before its zeros.
    @Test func aJournalThatTookItsSpaceIsReadToItsLastCommit() throws {
        let folder = TemporaryFolder()
        var options = SQLiteDatabase.Options()
        options.takesJournalSpace = true
        func size(_ name: String) throws -> Int64 {
            try #require(FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)[.size] as? Int64)
        }
        func copy(_ name: String, to other: String) throws {
            for end in ["", "-wal"] {
                try FileManager.default.copyItem(atPath: folder.path + "/" + name + end, toPath: folder.path + "/" + other + end)
            }
        }
        let database = try SQLiteDatabase(path: folder.path + "/x", options: options)
        defer { database.close() }
        #expect(try size("x-wal") == JournalSpace.bytes)
        try database.execute(script: "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL)", then: [])
        for id in 1...20 as ClosedRange<Int64> { _ = try database.write([Unit([insert(id, "x")])]) { _ in [] } }
        #expect(try size("x-wal") == JournalSpace.bytes)
        try copy("x", to: "y")
        let second = try SQLiteDatabase(path: folder.path + "/y", options: options)
        #expect(try ids(second) == Array(1...20))
        _ = try second.write([Unit([insert(21, "x")])]) { _ in [] }
        second.close()
        #expect(access(folder.path + "/y-wal", F_OK) != 0, "SQLite takes it away where nobody has it open")
        let third = try SQLiteDatabase(path: folder.path + "/y", options: options)
        try copy("y", to: "z")
        third.close()
        let last = try SQLiteDatabase(path: folder.path + "/z")
        defer { last.close() }
        #expect(try ids(last) == Array(1...21))
    }

    @Test func fullDiskIsToldAndOvercomeWithoutRestart() throws {
        let folder = TemporaryFolder()
        let database = try SQLiteDatabase(path: folder.path + "/x.sqlite")
        defer { database.close() }
        try database.execute(script: "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL)", then: [])
        _ = try database.pragma("PRAGMA max_page_count = 8")
        let large = String(repeating: "x", count: 100_000)
        let error = #expect(throws: DatabaseError.self) { try database.write([Unit([insert(1, large)])]) { _ in [] } }
        #expect(error?.kind == .full)
        #expect(try ids(database).isEmpty)
        _ = try database.pragma("PRAGMA max_page_count = 100000")
        _ = try database.write([Unit([insert(1, large)])]) { _ in [] }
        #expect(try ids(database) == [1])
    }
}
