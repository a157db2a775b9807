// SPDX-License-Identifier: Apache-2.0
// Used codes where this process is the only one that writes: judged in memory, durable in an append-only log, folded into the factors' rows later.

internal import LoginEngine
internal import Synchronization

/// Only the writer's thread judges, appends and folds; any thread may ask for a factor's standing.
///
/// An index over marks in the order of factors touches a page of its own for nearly every login; a log touches a few for a whole
/// group. Its rows are read again only at a start and when a used code comes back.
final class MarkLog: Sendable {
    let live = LiveMarks()

    /// Marks younger than this stay in memory while that is small, so that a code of the step before is still good after a fold.
    static let keeps: Timestamp.Span = .minutes(10)
    /// Factors in memory from which on folding goes on under load as well.
    static let many = 400_000
    /// Factors in memory from which on the age of a mark counts no more.
    static let most = 1_000_000
    /// Factors folded in one transaction: some two milliseconds.
    static let chunk = 500
    /// Rows of the log dropped in one transaction.
    static let rowsDropped: Int64 = 250
    private static let rowsReplayed: Int64 = 256

    private struct State {
        var nextRow: Int64
        var firstRow: Int64
        /// The last row at each minute that is not folded yet.
        var minutes: [(at: Timestamp, row: Int64)] = []
        /// What is being folded: the rows up to `row`.
        var folding: (row: Int64, folds: ArraySlice<LiveMarks.Fold>)?
        /// Rows that are folded and not yet dropped.
        var folded: Int64
    }

    private let database: any SQLDatabase
    private let state: Mutex<State>
    private let changes = Atomic<UInt64>(1)
    private let changed: @Sendable () -> Void

    /// Replays the log.
    /// - Parameter changed: the version has risen; told on the writer's thread.
    init(_ database: any SQLDatabase, changed: @escaping @Sendable () -> Void) throws(DatabaseError) {
        self.database = database
        self.changed = changed
        var last: Int64 = 0
        var first: Int64?
        while true {
            let rows = try database.read([Statement(.nextLoggedMarks, [.integer(last), .integer(Self.rowsReplayed)])])[0]
            for row in rows {
                last = try row.integer(0)
                first = first ?? last
                for mark in try Self.marks(of: row, column: 1) {
                    live.replay(LiveMarks.Use(step: mark.step, row: last), of: mark.factor, at: mark.decision.at.microseconds)
                }
            }
            if rows.count < Int(Self.rowsReplayed) { break }
        }
        state = Mutex(State(nextRow: last + 1, firstRow: first ?? last + 1, folded: (first ?? last + 1) - 1))
    }

    private static func marks(of row: Row, column: Int) throws(DatabaseError) -> [LoggedMark] {
        let body = try row.blob(column)
        do throws(DecodingError) {
            return try MarkRow.decode(body)
        } catch {
            throw DatabaseError(.damaged, "a row of the log of used codes cannot be read (\(error))")
        }
    }

    /// Rises when user or factor rows changed; facts of the same version need no second look.
    var version: UInt64 { changes.load(ordering: .acquiring) }

    /// To be called when a change is durable and before anybody is told.
    func noteChange() {
        changes.add(1, ordering: .releasing)
        changed()
    }

    // MARK: One group

    /// What one group took, to be kept or undone as a whole. Lives on the writer's thread.
    final class Round {
        let row: Int64
        fileprivate var takings: [Taking] = []

        fileprivate init(row: Int64) { self.row = row }

        fileprivate struct Taking {
            /// Of the settlement in its group.
            var index: Int
            var mark: LoggedMark
            var isCounter: Bool
            var before: LiveMarks.Standing?
        }
    }

    func begin() -> Round { Round(row: state.withLock { $0.nextRow }) }

    /// Takes all marks of a settlement.
    /// - Returns: the position of the mark that was used before; nil when all are taken.
    func take(_ marks: [Mark], for decision: RecordedDecision, index: Int, in round: Round) -> Int? {
        for (position, mark) in marks.enumerated() {
            let (factor, step, isCounter): (Int64, Int64, Bool)
            switch mark {
            case .totp(let id, let number): (factor, step, isCounter) = (id, number, false)
            case .hotp(let id, let number): (factor, step, isCounter) = (id, number, true)
            case .recovery: continue
            }
            let use = LiveMarks.Use(step: step, row: round.row)
            switch live.take(use, of: factor, isCounter: isCounter, at: decision.at.microseconds) {
            case .taken(let before):
                let logged = LoggedMark(factor: factor, step: step, decision: decision)
                round.takings.append(Round.Taking(index: index, mark: logged, isCounter: isCounter, before: before))
            case .used:
                while let last = round.takings.last, last.index == index { undo(round.takings.removeLast()) }
                return position
            }
        }
        return nil
    }

    /// The statement that makes durable what the settlements took that came through.
    func closing(_ round: Round, _ isDone: (Int) -> Bool) -> Statement? {
        let marks = round.takings.filter { isDone($0.index) }
        guard !marks.isEmpty else { return nil }
        return Statement(.appendMarks, [.integer(round.row), .blob(MarkRow.encode(marks.map(\.mark)))])
    }

    /// The group is durable.
    func keep(_ round: Round, _ isDone: (Int) -> Bool) {
        guard !round.takings.isEmpty else { return }
        state.withLock { $0.nextRow = round.row + 1 }
        guard round.takings.contains(where: { !isDone($0.index) }) else { return }
        abandon(round)
        for taking in round.takings where isDone(taking.index) {
            _ = live.take(
                LiveMarks.Use(step: taking.mark.step, row: round.row), of: taking.mark.factor, isCounter: taking.isCounter,
                at: taking.mark.decision.at.microseconds)
        }
    }

    /// Nothing was written.
    func abandon(_ round: Round) {
        for taking in round.takings.reversed() { undo(taking) }
    }

    private func undo(_ taking: Round.Taking) {
        live.restore(taking.mark.factor, to: taking.before)
    }

    /// The decision that used a step, where the log still has it.
    func decision(of step: Int64, factor: Int64) throws(DatabaseError) -> RecordedDecision? {
        guard let number = live.row(of: step, factor: factor) else { return nil }
        guard let row = try database.read([Statement(.loggedMarks, [.integer(number)])])[0].first else { return nil }
        return try Self.marks(of: row, column: 0).first { $0.factor == factor && $0.step == step }?.decision
    }

    // MARK: Folding

    /// Remembers how far the log was at this minute.
    func tick(at now: Timestamp) {
        state.withLock { state in
            let last = state.nextRow - 1
            // A clock that was set back must not keep everything for as long as it was ahead.
            state.minutes.removeAll { $0.at > now + .minutes(1) }
            if state.minutes.last?.row != last, last > state.folded { state.minutes.append((now, last)) }
        }
        lastTick.store(now.microseconds, ordering: .relaxed)
    }

    private let lastTick = Atomic<Int64>(0)

    /// So much is in memory that it has to be folded under load as well.
    var isOverdue: Bool { state.withLock { $0.folding != nil } ? live.count > Self.many / 2 : live.count > Self.many }

    /// Folds a part, or drops a part of what is folded.
    /// - Returns: whether something was done, so that more may be left.
    func foldSome() throws(DatabaseError) -> Bool {
        let (folding, dropped) = state.withLock { state in (state.folding, state.firstRow <= state.folded ? state.firstRow : nil) }
        if let dropped {
            let last = min(dropped + Self.rowsDropped - 1, state.withLock { $0.folded })
            try write([Statement(.dropLoggedMarks, [.integer(last)])])
            state.withLock { $0.firstRow = last + 1 }
            return true
        }
        guard let folding else { return beginFolding() }
        let part = folding.folds.prefix(Self.chunk)
        if !part.isEmpty {
            try write(part.map { Statement(.foldStep, [.integer($0.factor), .integer($0.step), .integer($0.at)]) })
            // Who read the rows before must look again; only then may memory forget.
            noteChange()
            for fold in part { live.forget(fold) }
        }
        let rest = folding.folds.dropFirst(part.count)
        state.withLock { state in
            state.folding = rest.isEmpty ? nil : (folding.row, rest)
            if rest.isEmpty { state.folded = folding.row }
        }
        return true
    }

    private func write(_ statements: [Statement]) throws(DatabaseError) {
        guard case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] else { return }
        throw error
    }

    private func beginFolding() -> Bool {
        let count = live.count
        guard count > 0 else { return false }
        let row = state.withLock { state -> Int64? in
            if count > Self.most { return state.nextRow - 1 }
            let now = Timestamp(microseconds: lastTick.load(ordering: .relaxed))
            guard let index = state.minutes.lastIndex(where: { now - $0.at >= Self.keeps || count > Self.many }) else { return nil }
            defer { state.minutes.removeSubrange(...index) }
            return state.minutes[index].row
        }
        guard let row else { return false }
        let folds = live.folds(upTo: row)
        state.withLock { state in
            if folds.isEmpty { state.folded = max(state.folded, row) } else { state.folding = (row, folds[...]) }
        }
        return true
    }
}
