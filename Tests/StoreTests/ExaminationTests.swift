// SPDX-License-Identifier: Apache-2.0
// Whether a damaged file is told from a whole one, and whether looking ends when its time is over.

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct ExaminationTests {
    /// Some hundred pages of rows.
    private func database(_ path: String) throws -> SQLiteDatabase {
        let database = try SQLiteDatabase(path: path)
        try database.execute(
            script: """
                CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO line (text) SELECT hex(randomblob(40)) FROM n;
                CREATE INDEX IF NOT EXISTS line_by_text ON line (text);
                """, then: [])
        return database
    }

    @Test func aWholeDatabaseIsLookedThroughToItsEnd() throws {
        let path = NSTemporaryDirectory() + "sallyport-examine-\(UUID().uuidString)"
        defer { for tail in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + tail) } }
        let database = try database(path)
        defer { database.close() }
        let examination = try database.examine(within: .seconds(60))
        #expect(examination.damage.isEmpty && examination.isComplete && examination.isDurable)
        #expect(examination.journalBytes > 0)
    }

    @Test func itGivesUpWhenTheTimeIsOver() throws {
        let path = NSTemporaryDirectory() + "sallyport-examine-\(UUID().uuidString)"
        defer { for tail in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + tail) } }
        let database = try database(path)
        defer { database.close() }
        let examination = try database.examine(within: .seconds(0))
        #expect(!examination.isComplete && examination.damage.isEmpty)
        // The connection that writes is not disturbed.
        #expect(try database.write([Unit([Statement(SQL(composed: "DELETE FROM line"))])]) { _ in [] }.allSatisfy(\.isDone))
    }

    @Test func aWriterThatDoesNotWaitForTheDiskIsFound() throws {
        let path = NSTemporaryDirectory() + "sallyport-examine-\(UUID().uuidString)"
        defer { for tail in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + tail) } }
        let database = try database(path)
        defer { database.close() }
        _ = try database.pragma("PRAGMA synchronous = NORMAL")
        #expect(try !database.examine(within: .seconds(60)).isDurable)
    }

    @Test func aPageThatWasOverwrittenIsFound() throws {
        let path = NSTemporaryDirectory() + "sallyport-examine-\(UUID().uuidString)"
        defer { for tail in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + tail) } }
        try database(path).close()
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        // Far behind the schema, so that it still opens.
        for page in [40, 41, 300] {
            try file.seek(toOffset: UInt64(page) * 4_096)
            try file.write(contentsOf: [UInt8](repeating: 0xA5, count: 4_096))
        }
        try file.close()
        let database = try SQLiteDatabase(path: path)
        defer { database.close() }
        let examination = try database.examine(within: .seconds(60))
        #expect(!examination.damage.isEmpty)
        #expect(examination.damage.count <= SQLiteDatabase.mostDamage)
    }
}
