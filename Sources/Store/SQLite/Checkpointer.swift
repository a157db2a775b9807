// SPDX-License-Identifier: Apache-2.0
// Moves what was committed from SQLite's journal into the database file, on a thread of its own, so that no login waits for it.

internal import Dispatch
internal import Foundation
internal import GRDB
internal import GRDBSQLite
internal import Synchronization

/// A checkpoint that lets others read and write meanwhile cannot reach the journal's end while commits go on, and only a journal that
/// was moved to its end is begun anew. So this thread moves the bulk, and the writer itself, between two groups, the few pages since.
final class Checkpointer: Sendable {
    /// Pages in the journal from which on they are moved: 8 MiB.
    static let due: Int32 = 2_000
    /// Pages that the writer moves itself: about a millisecond.
    static let few: Int32 = 300
    /// A journal of so many pages could not be begun anew for long; the writer then moves all of it, whoever waits.
    static let most: Int32 = 65_536

    private let connection: SQLiteConnection
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let isClosing = Atomic<Bool>(false)
    private let isBusy = Atomic<Bool>(false)
    /// Pages in the journal after the last commit; told by SQLite on the writer's thread.
    private let pages = Atomic<Int32>(0)
    /// Of them, those that are in the file already.
    private let moved = Atomic<Int32>(0)

    /// - Parameters:
    ///   - queue: a connection of its own.
    ///   - journal: space that was taken for it, and is not on the disk yet.
    init(_ queue: DatabaseQueue, journal: JournalSpace? = nil) {
        connection = SQLiteConnection(queue)
        let thread = Thread { [self] in
            journal?.sync()
            work()
            ended.signal()
        }
        thread.name = "sallyport.checkpoint"
        thread.start()
    }

    /// Has SQLite tell the journal's length after each commit, in place of moving it then and there.
    func watch(_ writer: SQLiteConnection) throws(DatabaseError) {
        try writer.alone { database throws(DatabaseError) in
            _ = sqlite3_wal_hook(
                database.sqliteConnection,
                { context, _, _, pages in
                    guard let context else { return SQLITE_OK }
                    Unmanaged<Checkpointer>.fromOpaque(context).takeUnretainedValue().note(pages)
                    return SQLITE_OK
                }, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    private func note(_ count: Int32) {
        // Begun anew.
        if count < pages.exchange(count, ordering: .relaxed) { moved.store(0, ordering: .relaxed) }
        guard count - moved.load(ordering: .relaxed) >= Self.due, !isBusy.exchange(true, ordering: .acquiringAndReleasing) else { return }
        wake.signal()
    }

    /// Whether the writer should call `finish` now: what is left is little, or far too much.
    var isForWriter: Bool {
        let count = pages.load(ordering: .relaxed)
        guard count >= Self.due, !isBusy.load(ordering: .acquiring) else { return count >= Self.most }
        return count - moved.load(ordering: .relaxed) <= Self.few
    }

    /// Moves the rest, on the writer's thread and connection, outside of a transaction.
    func finish(on database: Database) {
        var (length, done): (Int32, Int32) = (0, 0)
        guard sqlite3_wal_checkpoint_v2(database.sqliteConnection, nil, SQLITE_CHECKPOINT_PASSIVE, &length, &done) == SQLITE_OK else {
            return
        }
        pages.store(length, ordering: .relaxed)
        moved.store(done, ordering: .relaxed)
    }

    private func work() {
        while true {
            wake.wait()
            if isClosing.load(ordering: .acquiring) { return }
            let count: Int32? = try? connection.alone { database in
                var (length, done): (Int32, Int32) = (0, 0)
                let code = sqlite3_wal_checkpoint_v2(database.sqliteConnection, nil, SQLITE_CHECKPOINT_PASSIVE, &length, &done)
                return code == SQLITE_OK ? done : nil
            }
            // What failed, for a full disk perhaps, is tried again once as many pages came in addition.
            moved.store(count ?? pages.load(ordering: .relaxed), ordering: .relaxed)
            isBusy.store(false, ordering: .releasing)
        }
    }

    /// Nothing may be committed afterwards.
    func close() {
        isClosing.store(true, ordering: .releasing)
        wake.signal()
        ended.wait()
        connection.close()
    }
}
