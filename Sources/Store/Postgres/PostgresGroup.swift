// SPDX-License-Identifier: Apache-2.0
// One transaction for many units, in as few round trips as their order allows.

/// All at once first: every guard is sent before the first answer is read. What follows a unit's guards is sent when they have answered,
/// and the units of other keys need not wait for it. That is undone, and each unit runs behind a savepoint of its own, when a statement
/// fails, or when a refused unit has written something.
struct PostgresGroup {
    private struct Pending {
        enum Part {
            case guards
            /// What followed, with the rows of the guards.
            case rest([Rows])
        }

        var unit: Int
        var part: Part
        var count: Int
    }

    private let connection: PostgresConnection
    private let units: [Unit]
    private var outcomes: [UnitOutcome?]
    private var pending: [Pending] = []
    /// Of units whose guards have not answered yet, so that what follows them was not sent.
    private var keys: Set<[UInt8]> = []
    /// Answers that belong to no unit come first: to BEGIN.
    private var control = 0
    private var needsCare = false

    init(_ units: [Unit], on connection: PostgresConnection) {
        self.units = units
        self.connection = connection
        outcomes = Array(repeating: nil, count: units.count)
    }

    // MARK: All at once

    /// - Returns: nil when it has to be done again with care; the transaction is still open then.
    mutating func together(closing: ([UnitOutcome]) -> [Statement]) throws(DatabaseError) -> [UnitOutcome]? {
        try connection.send(Statement(.begin))
        control = 1
        for (index, unit) in units.enumerated() {
            try send(index, unit)
            if needsCare { return nil }
        }
        while !pending.isEmpty {
            try answer()
            if needsCare { return nil }
        }
        let outcomes = outcomes.compactMap(\.self)
        do throws(DatabaseError) {
            try finish(closing(outcomes))
        } catch {
            if error.isOfOneStatement { return nil }
            throw error
        }
        return outcomes
    }

    private mutating func send(_ index: Int, _ unit: Unit) throws(DatabaseError) {
        guard !unit.guarded.isEmpty else {
            // Nothing to wait for.
            let statements = unit.then?([]) ?? []
            for statement in statements { try connection.send(statement) }
            pending.append(Pending(unit: index, part: .rest([]), count: statements.count))
            return
        }
        let isFollowed = unit.then != nil
        if isFollowed, unit.key.map({ keys.contains($0) }) ?? true, !pending.isEmpty {
            try answer()
            if needsCare { return }
        }
        for check in unit.guarded { try connection.send(check.statement) }
        pending.append(Pending(unit: index, part: .guards, count: unit.guarded.count))
        guard isFollowed else { return }
        if let key = unit.key { keys.insert(key) } else { try answer() }
    }

    /// Reads the answers to all that was sent, and sends what follows.
    private mutating func answer() throws(DatabaseError) {
        let answers = try connection.collect()
        var next = control
        for answer in answers.prefix(control) { _ = try answer.get() }
        control = 0
        let read = pending
        pending = []
        keys = []
        for part in read {
            var results: [Rows] = []
            results.reserveCapacity(part.count)
            for answer in answers[next..<next + part.count] {
                do throws(DatabaseError) {
                    results.append(try answer.get())
                } catch {
                    guard error.isOfOneStatement else { throw error }
                    needsCare = true
                    return
                }
            }
            next += part.count
            switch part.part {
            case .rest(let guards): outcomes[part.unit] = .done(guards + results)
            case .guards: try judge(part.unit, results)
            }
            if needsCare { return }
        }
    }

    private mutating func judge(_ index: Int, _ results: [Rows]) throws(DatabaseError) {
        let unit = units[index]
        if let refused = unit.refusal(of: results) {
            outcomes[index] = .refused(refused)
            needsCare = results.contains { $0.changes > 0 }
            return
        }
        guard let then = unit.then else {
            outcomes[index] = .done(results)
            return
        }
        let statements = then(results)
        for statement in statements { try connection.send(statement) }
        pending.append(Pending(unit: index, part: .rest(results), count: statements.count))
    }

    // MARK: One by one

    mutating func oneByOne(closing: ([UnitOutcome]) -> [Statement]) throws(DatabaseError) -> [UnitOutcome] {
        try connection.send(Statement(.begin))
        control = 1
        var outcomes: [UnitOutcome] = []
        outcomes.reserveCapacity(units.count)
        for unit in units {
            try connection.send(Statement(.savepoint))
            control += 1
            let outcome: UnitOutcome
            do throws(DatabaseError) {
                outcome = try alone(unit)
            } catch {
                guard error.isOfOneStatement else { throw error }
                outcome = .failed(error)
                // What was sent before the failing one has answers too.
                _ = try connection.collect()
                control = 0
            }
            outcomes.append(outcome)
            // Answered together with the next unit.
            if !outcome.isDone {
                try connection.send(Statement(.rollbackToSavepoint))
                control += 1
            }
            try connection.send(Statement(.release))
            control += 1
        }
        try finish(closing(outcomes))
        return outcomes
    }

    private mutating func alone(_ unit: Unit) throws(DatabaseError) -> UnitOutcome {
        var guards: [Rows] = []
        for (index, answer) in try answers(to: unit.guarded.map(\.statement)).enumerated() {
            // A guard that would have raised is not asked once one before it has refused.
            let rows = try answer.get()
            guard unit.guarded[index].isMet(by: rows) else { return .refused(index) }
            guards.append(rows)
        }
        guard let then = unit.then else { return .done(guards) }
        for answer in try answers(to: then(guards)) { guards.append(try answer.get()) }
        return .done(guards)
    }

    private mutating func answers(to statements: [Statement]) throws(DatabaseError) -> ArraySlice<PostgresConnection.Answer> {
        for statement in statements { try connection.send(statement) }
        let answers = try connection.collect()
        let before = control
        control = 0
        for answer in answers.prefix(before) { _ = try answer.get() }
        return answers.dropFirst(before)
    }

    // MARK: The end

    private mutating func finish(_ statements: [Statement]) throws(DatabaseError) {
        for answer in try answers(to: statements + [Statement(.commit)]) { _ = try answer.get() }
        // Of a transaction that is spoilt it says ROLLBACK.
        guard connection.lastTag == "COMMIT" else { throw DatabaseError(.statement, "the transaction was not committed") }
    }
}

extension Unit {
    /// The first guard that did not have its rows.
    fileprivate func refusal(of results: [Rows]) -> Int? {
        for (index, (check, rows)) in zip(guarded, results).enumerated() where !check.isMet(by: rows) { return index }
        return nil
    }
}

extension SQL {
    // Whatever the server's defaults are.
    fileprivate static let begin = SQL("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    fileprivate static let commit = SQL("COMMIT")
    fileprivate static let savepoint = SQL("SAVEPOINT unit")
    fileprivate static let rollbackToSavepoint = SQL("ROLLBACK TO SAVEPOINT unit")
    fileprivate static let release = SQL("RELEASE SAVEPOINT unit")
}
