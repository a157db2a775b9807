// SPDX-License-Identifier: Apache-2.0
// What the engine asks of the database: one look before a login, one transaction behind its decision.

package import LoginEngine
internal import Synchronization

extension Records: LoginRecords {
    package func load(_ lookups: [LoginLookup], at now: Timestamp) throws(NoAnswer) -> [LoginFacts] {
        do throws(DatabaseError) {
            return try look(lookups)
        } catch {
            throw .databaseUnavailable
        }
    }

    private func look(_ lookups: [LoginLookup]) throws(DatabaseError) -> [LoginFacts] {
        var statements: [Statement] = []
        statements.reserveCapacity(lookups.count * 2)
        let slot = SQLValue.integer(slots.current)
        for lookup in lookups {
            if let key = lookup.nameKey { statements.append(Statement(.userForLogin, [.text(key), slot])) }
            if let handle = lookup.handle { statements.append(Statement(.handleRow, [.blob(handle.bits.bytes)])) }
        }
        let results = try database.read(statements)
        var next = 0
        var facts: [LoginFacts] = []
        facts.reserveCapacity(lookups.count)
        var failing: [Int] = []
        for lookup in lookups {
            var fact = LoginFacts()
            if lookup.nameKey != nil {
                if try fill(&fact, from: results[next]) { failing.append(facts.count) }
                next += 1
            }
            if let handle = lookup.handle {
                fact.suspended = try results[next].first.map { row throws(DatabaseError) in try Self.suspended(handle, row) }
                next += 1
            }
            facts.append(fact)
        }
        guard !failing.isEmpty else { return facts }
        // Few users have failures; only those cost a second look.
        let records = try database.read(failing.map { Statement(.failures, [.integer(facts[$0].user?.id)]) })
        for (index, rows) in zip(failing, records) { facts[index].failures = try Self.failures(rows) }
        return facts
    }

    /// - Returns: whether the user has failures.
    private func fill(_ fact: inout LoginFacts, from rows: Rows) throws(DatabaseError) -> Bool {
        guard let first = rows.first else { return false }
        let id = try first.integer(0)
        guard let status = UserStatus(rawValue: try first.text(2)) else { throw .unexpectedValue(2) }
        fact.user = User(
            id: id, name: try first.text(1), status: status,
            passwordHash: try first.blobIfAny(3).flatMap { sealed in
                login { () throws(SealingError) in try opened.passwordHash(sealed, ofUser: id) }
            })
        for row in rows where !row.isNull(5) {
            if let factor = try factor(row, ofUser: id) { fact.factors.append(factor) }
        }
        return try first.flag(4)
    }

    /// Opens a secret for a login. One that does not open counts as not there: it costs its owner the login, and nobody else.
    private func login(_ open: () throws(SealingError) -> Secret) -> Secret? {
        do throws(SealingError) {
            return try open()
        } catch {
            damaged.add(1, ordering: .relaxed)
            return nil
        }
    }

    private func factor(_ row: Row, ofUser user: Int64) throws(DatabaseError) -> Factor? {
        let id = try row.integer(5)
        let sealed = try row.blobIfAny(8)
        let secret = sealed.flatMap { sealed in login { () throws(SealingError) in try opened.factorSecret(sealed, of: id, ofUser: user) } }
        if sealed != nil, secret == nil { return nil }
        guard let kind = FactorKind(rawValue: try row.text(6)) else { throw .unexpectedValue(6) }
        guard let algorithm = CodeAlgorithm(rawValue: try row.text(9)) else { throw .unexpectedValue(9) }
        var factor = Factor(
            id: id, kind: kind, label: try row.text(7), state: .active,
            secret: secret ?? Secret([]))
        factor.algorithm = algorithm
        factor.digits = Int(try row.integer(10))
        factor.period = Int(try row.integer(11))
        factor.highestUsed = try row.integer(12)
        factor.drift = Int(try row.integer(13))
        if let step = try row.integerIfAny(14) {
            factor.highestUsed = max(factor.highestUsed, step)
            if kind == .totp, factor.period > 0, let at = try row.integerIfAny(15) {
                factor.drift = Int(max(-10, min(10, step - Timestamp(microseconds: at).seconds / Int64(factor.period))))
            }
        }
        if let counter = try row.integerIfAny(16), let expires = try row.integerIfAny(17) {
            factor.resynchronisation = Factor.Resynchronisation(counter: counter, expires: Timestamp(microseconds: expires))
        }
        return factor
    }

    // MARK: Settling

    package func settle(_ settlement: Settlement, completion: @escaping @Sendable (SettlementOutcome) -> Void) {
        let decision = settlement.decision
        // An accept of nobody is not ours to write.
        guard !decision.isAccept || settlement.user != nil else {
            completion(.changedMeanwhile)
            return
        }
        writer.submit(
            GroupCommit.Submission(
                day: settlement.marks.isEmpty ? nil : MarkSlots.day(of: decision.at),
                unit: { slot in Self.unit(for: settlement, slot: slot) },
                trail: .event(settlement.event),
                completion: { [self] outcome in
                    switch outcome {
                    case .failed(let reason): completion(.failed(reason))
                    case .written(.done): completion(.done)
                    case .written(.failed): completion(.failed(.databaseUnavailable))
                    case .written(.refused(let index)): completion(refusal(of: settlement, at: index))
                    }
                }))
    }

    /// Guards that read come first, so that a refusal leaves nothing to be undone; the handle is marked in what follows.
    static func unit(for settlement: Settlement, slot: Int64) -> Unit {
        var guards: [Unit.Guard] = []
        let decision = settlement.decision
        if let handle = settlement.handle { guards.append(Unit.Guard(Statement(.handleUnused, [.blob(handle.bits.bytes)]))) }
        if decision.isAccept, settlement.marks.isEmpty {
            guards.append(
                Unit.Guard(
                    settlement.factor.map { Statement(.factorActive, [.integer($0), .integer(settlement.user)]) }
                        ?? Statement(.userActive, [.integer(settlement.user)])))
        }
        for mark in settlement.marks {
            if let check = check(of: mark, slot: slot) { guards.append(Unit.Guard(check, rows: 0)) }
        }
        for mark in settlement.marks { guards.append(Unit.Guard(statement(for: mark, of: settlement, slot: slot))) }
        guard let handle = settlement.handle else { return Unit(guarded: guards) }
        let consume = Statement(
            .consumeHandle,
            [
                .blob(handle.bits.bytes), .blob(decision.login.bits.bytes), .integer(decision.at.microseconds), .flag(decision.isAccept),
                .blob(decision.request.bits.bytes), .blob(decision.retry?.bits.bytes),
            ])
        return Unit(guarded: guards, then: { _ in [consume] })
    }

    /// Finds what would forbid the mark; a recovery code needs no look of its own.
    private static func check(of mark: Mark, slot: Int64) -> Statement? {
        switch mark {
        case .totp(let factor, let step): Statement(.stepIsUsed, [.integer(slot), .integer(factor), .integer(step)])
        case .hotp(let factor, let counter): Statement(.counterIsUsed, [.integer(slot), .integer(factor), .integer(counter)])
        case .recovery: nil
        }
    }

    private static func statement(for mark: Mark, of settlement: Settlement, slot: Int64) -> Statement {
        let decision = settlement.decision
        let written: [SQLValue] = [
            .blob(decision.login.bits.bytes), .integer(decision.at.microseconds), .blob(decision.request.bits.bytes),
            .blob(decision.retry?.bits.bytes), .flag(decision.isAccept), .integer(settlement.user),
        ]
        return switch mark {
        case .totp(let factor, let step), .hotp(let factor, let step):
            Statement(.mark, [.integer(slot), .integer(factor), .integer(step)] + written)
        case .recovery(let factor, let hash): Statement(.markRecovery, [.blob(hash), .integer(factor), .null] + written)
        }
    }

    /// Says which guard it was, and finds the decision that was made before; on the writer's thread, so that nothing moves meanwhile.
    private func refusal(of settlement: Settlement, at index: Int) -> SettlementOutcome {
        do throws(DatabaseError) {
            var position = index
            if let handle = settlement.handle {
                if position == 0 {
                    let row = try database.read([Statement(.handleRow, [.blob(handle.bits.bytes)])])[0].first
                    return .handleSpent(try row.map { row throws(DatabaseError) in try Self.suspended(handle, row) }?.decision)
                }
                position -= 1
            }
            // In the order of the guards: a look for each mark that has one, then each mark.
            let marks = settlement.marks.filter { Self.check(of: $0, slot: 0) != nil } + settlement.marks
            guard position < marks.count else { return .changedMeanwhile }
            return try refusal(of: marks[position], user: settlement.user)
        } catch {
            // It was refused: nothing was written, whatever the reason.
            return .failed(.databaseUnavailable)
        }
    }

    private func refusal(of mark: Mark, user: Int64?) throws(DatabaseError) -> SettlementOutcome {
        let slot = slots.current
        let (factor, found): (Int64, Statement) =
            switch mark {
            case .totp(let factor, let step), .hotp(let factor, let step):
                (factor, Statement(.markRow, [.integer(slot), .integer(factor), .integer(step)]))
            case .recovery(let factor, let hash): (factor, Statement(.recoveryRow, [.integer(factor), .blob(hash)]))
            }
        let results = try database.read([Statement(.factorActive, [.integer(factor), .integer(user)]), found])
        guard results[0].count == 1 else { return .changedMeanwhile }
        guard let row = results[1].first else {
            // A recovery code that is not there was replaced or never made; a step that is not there lies below the folded one.
            return .markUsed(nil)
        }
        return .markUsed(try Self.decision(row, from: 0))
    }

    // MARK: Waiting and afterwards

    package func suspend(_ login: SuspendedLogin, event: Event, completion: @escaping @Sendable (NoAnswer?) -> Void) {
        let statement = Statement(
            .insertHandle,
            [
                .blob(login.handle.bits.bytes), .blob(login.login.bits.bytes), .integer(login.client), .integer(login.user),
                .text(login.nameKey), .text(login.station), .integer(Int64(login.firstFactor.rawValue)),
                .integer(login.issued.microseconds), .integer(login.expires.microseconds),
            ])
        writer.submit(
            GroupCommit.Submission(
                day: nil, unit: { _ in Unit(guarded: [Unit.Guard(statement)]) }, trail: .event(event),
                completion: { outcome in
                    switch outcome {
                    case .written(.done): completion(nil)
                    case .failed(let reason): completion(reason)
                    case .written: completion(.databaseUnavailable)
                    }
                }))
    }

    package func remember(_ afterthought: Afterthought) {
        let (statements, trail): ([Statement], GroupCommit.Trail) =
            switch afterthought {
            case .event(let event): ([], .event(event))
            case .failure(let user, let record): ([Self.statement(for: record, of: user)], .none)
            case .forgive(let user, let kinds):
                (kinds.map { Statement(.forgive, [.integer(user), .integer(Int64($0.rawValue))]) }, .none)
            case .resynchronisation(let factor, let found):
                (
                    [Statement(.resynchronise, [.integer(factor), .integer(found.counter), .integer(found.expires.microseconds)])],
                    .none
                )
            }
        var counter: GroupCommit.Counter?
        if case .failure(let user, let record) = afterthought {
            counter = GroupCommit.Counter(user: user, kind: record.kind.rawValue, source: record.source)
        }
        if case .forgive(let user, let kinds) = afterthought {
            writer.forget { $0.user == user && kinds.map(\.rawValue).contains($0.kind) }
        }
        writer.remember(
            GroupCommit.Submission(day: nil, unit: { _ in Unit(statements) }, trail: trail, completion: { _ in }), counter: counter)
    }
}
