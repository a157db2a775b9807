// SPDX-License-Identifier: Apache-2.0
// The days of the mark table: which one is written now, and the folding of old ones into the factors' rows.

internal import LoginEngine
internal import Synchronization

/// A slot is the UTC day of a mark, and never goes back when the clock does. Guards look at the current slot and the two before, by
/// exact key; whatever is older must have been folded before, so that no mark is ever out of sight. Only the writer calls it.
final class MarkSlots: Sendable {
    /// How many slots before the current one the guards look at.
    static let looksBack: Int64 = 2
    /// How many slots before the current one are left unfolded.
    static let keeps: Int64 = 1
    static let chunk: Int64 = 2000

    private struct State {
        var oldest: Int64?
        var lastDay: Int64?
    }

    private let database: any SQLDatabase
    private let newest: Atomic<Int64>
    private let state: Mutex<State>

    static func day(of time: Timestamp) -> Int64 {
        let seconds = time.seconds
        return seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    }

    init(_ database: any SQLDatabase, at now: Timestamp) throws(DatabaseError) {
        self.database = database
        let row = try database.read([Statement(.bounds)])[0][0]
        state = Mutex(State(oldest: try row.integerIfAny(0)))
        newest = Atomic(max(try row.integerIfAny(1) ?? .min, Self.day(of: now)))
    }

    /// Reads again what there is, in a new session with the database.
    func takeUp(_ database: any SQLDatabase) throws(DatabaseError) {
        let row = try database.read([Statement(.bounds)])[0][0]
        let oldest = try row.integerIfAny(0)
        state.withLock { $0.oldest = oldest }
        if let highest = try row.integerIfAny(1), highest > current { newest.store(highest, ordering: .releasing) }
    }

    /// The highest slot seen; any thread may ask.
    var current: Int64 { newest.load(ordering: .acquiring) }

    /// The slot for marks of `day`. Folds first what the guards of that slot would not see; throws when it cannot.
    func slot(for day: Int64) throws(DatabaseError) -> Int64 {
        if day > current { newest.store(day, ordering: .releasing) }
        let slot = current
        while let oldest = state.withLock({ $0.oldest }), oldest < slot - Self.looksBack { try foldChunk(of: oldest) }
        return slot
    }

    /// Marks of this slot are durable now.
    func used(_ slot: Int64) {
        state.withLock { $0.oldest = min($0.oldest ?? slot, slot) }
    }

    /// A clock that was once far ahead leaves a slot that no day reaches; count on by a day a day, so that its marks get folded too.
    func tick(at now: Timestamp) {
        let day = Self.day(of: now)
        let isNewDay = state.withLock { state in
            defer { state.lastDay = day }
            return state.lastDay.map { $0 < day } ?? false
        }
        if day > current {
            newest.store(day, ordering: .releasing)
        } else if isNewDay, day < current {
            newest.store(current + 1, ordering: .releasing)
        }
    }

    /// Folds a part of what is old enough.
    /// - Returns: whether something was folded, so that more may be left.
    func foldSome() throws(DatabaseError) -> Bool {
        guard let oldest = state.withLock({ $0.oldest }), oldest < current - Self.keeps else { return false }
        try foldChunk(of: oldest)
        return true
    }

    func foldEverything() throws(DatabaseError) {
        while let oldest = state.withLock({ $0.oldest }) { try foldChunk(of: oldest) }
    }

    /// The highest step goes into the factor's row in the same transaction in which the marks go.
    private func foldChunk(of slot: Int64) throws(DatabaseError) {
        let bound = try database.read([Statement(.chunkBound, [.integer(slot), .integer(Self.chunk)])])[0].first?.integer(0) ?? .max
        let values: [SQLValue] = [.integer(slot), .integer(bound)]
        if case .failed(let error) = try database.write(
            [Unit([Statement(.fold, values), Statement(.dropFolded, values)])], closing: { _ in [] })[0]
        {
            throw error
        }
        if bound == .max {
            let oldest = try database.read([Statement(.bounds)])[0][0].integerIfAny(0)
            state.withLock { $0.oldest = oldest }
        }
    }
}

extension SQL {
    fileprivate static let bounds = SQL("SELECT (SELECT min(slot) FROM used), (SELECT max(slot) FROM used)")
    fileprivate static let chunkBound = SQL("SELECT factor FROM used WHERE slot = ?1 ORDER BY factor LIMIT 1 OFFSET ?2")
    /// A token's clock is learnt from the highest step and the time at which the last one came, at most ten steps either way.
    fileprivate static let fold = SQL(
        """
        UPDATE factor SET
            drift = CASE
                WHEN kind <> 'totp' OR m.step <= folded THEN drift
                WHEN m.step - m.at / 1000000 / period > 10 THEN 10
                WHEN m.step - m.at / 1000000 / period < -10 THEN -10
                ELSE m.step - m.at / 1000000 / period END,
            folded = CASE WHEN m.step > folded THEN m.step ELSE folded END,
            last_used = CASE WHEN last_used IS NULL OR m.at > last_used THEN m.at ELSE last_used END
        FROM (SELECT factor AS marked, max(step) AS step, max(at) AS at FROM used WHERE slot = ?1 AND factor <= ?2 GROUP BY factor) AS m
        WHERE factor.id = m.marked
        """)
    fileprivate static let dropFolded = SQL("DELETE FROM used WHERE slot = ?1 AND factor <= ?2")
}
