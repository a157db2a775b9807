// SPDX-License-Identifier: Apache-2.0
// Whether the file is whole, asked of SQLite on a connection of its own that gives up when its time is over.

internal import Dispatch
internal import Foundation
internal import GRDB
internal import GRDBSQLite
package import LoginEngine

extension SQLiteDatabase {
    /// Lines that are told; a broken page has many.
    static let mostDamage = 5

    package func examine(within time: Timestamp.Span) throws(DatabaseError) -> DatabaseExamination {
        var examination = DatabaseExamination()
        examination.isDurable = try pragma("PRAGMA synchronous").first?[0] == .integer(2)
        let attributes = try? FileManager.default.attributesOfItem(atPath: path + "-wal")
        examination.journalBytes = (attributes?[.size] as? NSNumber)?.int64Value ?? 0
        (examination.damage, examination.isComplete) = try quickCheck(within: time)
        return examination
    }

    private func quickCheck(within time: Timestamp.Span) throws(DatabaseError) -> (damage: [String], isComplete: Bool) {
        let connection = SQLiteConnection(try Self.open(path, reading: true))
        defer { connection.close() }
        let stop = DispatchTime.now().uptimeNanoseconds &+ UInt64(max(0, time.microseconds)) &* 1_000
        do throws(DatabaseError) {
            let rows = try connection.alone { database throws(DatabaseError) in
                var end = stop
                return try withUnsafeMutablePointer(to: &end) { end throws(DatabaseError) -> Rows in
                    // Every 10,000 steps of its machine, some hundred microseconds.
                    sqlite3_progress_handler(
                        database.sqliteConnection, 10_000,
                        { DispatchTime.now().uptimeNanoseconds > ($0?.load(as: UInt64.self) ?? 0) ? 1 : 0 }, end)
                    defer { sqlite3_progress_handler(database.sqliteConnection, 0, nil, nil) }
                    return try connection.run(Statement(SQL(composed: "PRAGMA quick_check(\(Self.mostDamage))")), on: database)
                }
            }
            var damage: [String] = []
            for row in rows { damage.append(try row.text(0)) }
            return (damage == ["ok"] ? [] : damage, true)
        } catch {
            if error.kind == .statement, DispatchTime.now().uptimeNanoseconds > stop { return ([], false) }
            if error.kind == .damaged { return ([error.description], true) }
            throw error
        }
    }
}
