// SPDX-License-Identifier: Apache-2.0
// How used codes are kept, and what that makes of a settlement.

internal import LoginEngine

/// In a table whose key every node of a cluster runs into, or, where one process alone writes, in memory over a log.
enum MarkKeeping: Sendable {
    case table(MarkSlots)
    case log(MarkLog)

    /// - Parameter changed: what was read of users and factors is of no use any more.
    init(_ database: any SQLDatabase, at now: Timestamp, changed: @escaping @Sendable () -> Void) throws(DatabaseError) {
        let slots = try MarkSlots(database, at: now)
        guard database.isOwnedAlone else {
            self = .table(slots)
            return
        }
        // What an earlier version left in the table.
        try slots.foldEverything()
        self = .log(try MarkLog(database, changed: changed))
    }

    /// What a group of submissions knows of its marks until it is durable.
    enum Round {
        case table(slot: Int64, isUsed: Bool)
        case log(MarkLog.Round)
    }

    /// How one settlement is written.
    enum Plan: Sendable {
        case unit(Unit)
        /// Judged in memory: nothing is left to be looked up or written but the group's own rows.
        case taken
        /// The mark at this position was used before.
        case used(Int)
    }

    /// - Parameter day: of the newest mark in the group; nil when it has none.
    func begin(day: Int64?) throws(DatabaseError) -> Round {
        switch self {
        case .table(let slots):
            .table(slot: try day.map { day throws(DatabaseError) in try slots.slot(for: day) } ?? slots.current, isUsed: day != nil)
        case .log(let log): .log(log.begin())
        }
    }

    /// - Parameter isCertain: nothing in the group changes what the settlement was judged by.
    func plan(_ settlement: Settlement, _ renewal: SettledRenewal?, index: Int, isCertain: Bool, in round: Round) -> Plan {
        switch (self, round) {
        case (.log(let log), .log(let taken)):
            if let position = log.take(settlement.marks, for: settlement.decision, index: index, in: taken) { return .used(position) }
            if isCertain, settlement.handle == nil, settlement.claim == nil, renewal == nil, settlement.grace == nil,
                settlement.grant == nil, log.stillHolds(settlement)
            {
                return .taken
            }
            return .unit(settlement.unitBesideLog(renewal))
        case (_, .table(let slot, _)):
            return .unit(settlement.unit(slot: slot, renewal))
        case (.table, .log):
            preconditionFailure("a round of another keeping")
        }
    }

    func closing(_ round: Round, _ isDone: (Int) -> Bool) -> Statement? {
        if case (.log(let log), .log(let taken)) = (self, round) { log.closing(taken, isDone) } else { nil }
    }

    func keep(_ round: Round, _ isDone: (Int) -> Bool) {
        switch (self, round) {
        case (.table(let slots), .table(let slot, let isUsed)): if isUsed { slots.used(slot) }
        case (.log(let log), .log(let taken)): log.keep(taken, isDone)
        default: break
        }
    }

    func abandon(_ round: Round) {
        if case (.log(let log), .log(let taken)) = (self, round) { log.abandon(taken) }
    }

    /// The highest step of a factor that memory knows, and when it was used, microseconds since 1970.
    func live(of factor: Int64) -> (step: Int64, at: Int64)? {
        guard case .log(let log) = self else { return nil }
        return log.live.standing(of: factor).map { ($0.highest.step, $0.at) }
    }

    /// User or factor rows changed, durably.
    func noteChange() {
        if case .log(let log) = self { log.noteChange() }
    }

    /// In a new session with the database, what is remembered of it is read again.
    func takeUp(_ database: any SQLDatabase) throws(DatabaseError) {
        if case .table(let slots) = self { try slots.takeUp(database) }
    }

    func tick(at now: Timestamp) {
        switch self {
        case .table(let slots): slots.tick(at: now)
        case .log(let log): log.tick(at: now)
        }
    }

    func foldSome() throws(DatabaseError) -> Bool {
        switch self {
        case .table(let slots): try slots.foldSome()
        case .log(let log): try log.foldSome()
        }
    }

    var isOverdue: Bool {
        if case .log(let log) = self { log.isOverdue } else { false }
    }
}

extension MarkLog {
    /// Whether user and factor are as they were when the accept was judged.
    fileprivate func stillHolds(_ settlement: Settlement) -> Bool {
        guard settlement.marks.count <= 1, settlement.certificate == nil, let basis = settlement.basis, basis.version == version else {
            return false
        }
        switch settlement.marks.first {
        case nil: return settlement.user != nil && settlement.factor == nil && settlement.passedThrough == nil
        case .totp(_, let step)?, .hotp(_, let step)?: return step > basis.folded
        case .recovery?: return false
        }
    }
}

// MARK: Settlements as units

extension Settlement {
    /// What one of its guards is about.
    enum GuardSubject: Sendable, Equatable {
        case handle
        /// User and factor, or the password that is replaced.
        case person
        /// The mark at this position.
        case mark(Int)
        case grant
        case sessions
    }

    func unit(slot: Int64, _ renewal: SettledRenewal? = nil) -> Unit { unit(guards(slot: slot).map(\.check), renewal) }

    /// The marks are taken; the factor's row must still allow them.
    func unitBesideLog(_ renewal: SettledRenewal?) -> Unit { unit(guards(slot: nil).map(\.check), renewal) }

    func subject(refusedAt index: Int, by keeping: MarkKeeping) -> GuardSubject {
        let slot: Int64? = if case .table(let slots) = keeping { slots.current } else { nil }
        let guards = guards(slot: slot)
        return index < guards.count ? guards[index].about : .person
    }

    /// Those that read come first, so that most refusals leave nothing to be undone; the handle is marked in what follows.
    /// - Parameter slot: nil beside the log.
    private func guards(slot: Int64?) -> [(about: GuardSubject, check: Unit.Guard)] {
        var guards: [(about: GuardSubject, check: Unit.Guard)] = []
        if let handle { guards.append((.handle, Unit.Guard(Statement(.handleUnused, [.blob(handle.bits.bytes)])))) }
        if decision.isAccept, let passedThrough {
            guards.append((.person, Unit.Guard(Statement(.passThroughHolds, passedThrough.values))))
        } else if decision.isAccept, marks.isEmpty {
            let active =
                factor.map { Statement(.factorActive, [.integer($0), .integer(user)]) } ?? Statement(.userActive, [.integer(user)])
            guards.append((.person, Unit.Guard(active)))
        }
        if decision.isAccept, let certificate {
            guards.append((.person, Unit.Guard(Statement(.certificateHolds, [.blob(certificate), .integer(user)]))))
        }
        for (position, mark) in marks.enumerated() {
            guard let slot else {
                if let check = mark.checkBesideLog(ofUser: user) { guards.append((.mark(position), Unit.Guard(check))) }
                continue
            }
            if let check = mark.check(slot: slot) { guards.append((.mark(position), Unit.Guard(check, rows: 0))) }
        }
        for (position, mark) in marks.enumerated() where slot != nil || mark.isWrittenBesideLog {
            guards.append((.mark(position), Unit.Guard(statement(for: mark, slot: slot ?? 0))))
        }
        for check in grantGuards { guards.append((.grant, check)) }
        // Behind the marks: a retry of what was accepted hears so, and not that its own session is one too many.
        if let claim { guards.append((.sessions, claim.check(ofUser: user))) }
        return guards
    }

    private func unit(_ guards: [Unit.Guard], _ renewal: SettledRenewal?) -> Unit {
        let guards = renewal.map { guards + [$0.set] } ?? guards
        var rest: [Statement] = []
        if let grace {
            rest.append(Statement(.startGrace, [.integer(grace.policy), .integer(grace.user), .integer(grace.at.microseconds)]))
        }
        if let claim { rest += claim.statements(ofUser: user, login: decision.login) }
        rest += grantStatements
        guard let handle else {
            rest += renewal?.then ?? []
            return rest.isEmpty ? Unit(guarded: guards) : Unit(guarded: guards, then: { [rest] _ in rest })
        }
        rest.append(
            Statement(
                .consumeHandle,
                [
                    .blob(handle.bits.bytes), .blob(decision.login.bits.bytes), .integer(decision.at.microseconds),
                    .flag(decision.isAccept), .blob(decision.request.bits.bytes), .blob(decision.retry?.bits.bytes), decision.replyValue,
                ]))
        // After the own handle is used: what else is open goes.
        rest += renewal?.then ?? []
        return Unit(
            guarded: guards, key: renewal == nil && claim == nil && grant == nil ? handle.bits.bytes : nil, then: { [rest] _ in rest })
    }

    private func statement(for mark: Mark, slot: Int64) -> Statement {
        let written: [SQLValue] = [
            .blob(decision.login.bits.bytes), .integer(decision.at.microseconds), .blob(decision.request.bits.bytes),
            .blob(decision.retry?.bits.bytes), .flag(decision.isAccept), .integer(user), decision.replyValue,
        ]
        return switch mark {
        case .totp(let factor, let step), .hotp(let factor, let step):
            Statement(.mark, [.integer(slot), .integer(factor), .integer(step)] + written)
        case .recovery(let factor, let hash): Statement(.markRecovery, [.blob(hash), .integer(factor), .null] + written)
        }
    }
}

extension PassedThrough {
    /// As many names as the statement has places; with more than that, none of them is looked for and the accept is refused.
    fileprivate var values: [SQLValue] {
        let names = nameKeys.isEmpty || nameKeys.count > Stranger.mostKeys ? nil : nameKeys
        let places = (0..<Stranger.mostKeys).map { place in names.map { $0.indices.contains(place) ? $0[place] : $0[0] } }
        return [.integer(names == nil ? nil : client), .text(rule.realm.description), .integer(rule.directory)] + places.map { .text($0) }
    }
}

extension RecordedDecision {
    fileprivate var replyValue: SQLValue { .blob(reply.isEmpty ? nil : reply) }
}

extension Mark {
    var factor: Int64 {
        switch self {
        case .totp(let factor, _), .hotp(let factor, _), .recovery(let factor, _): factor
        }
    }

    /// Whether the factor's row still allows it; a recovery code needs no look of its own.
    fileprivate func checkBesideLog(ofUser user: Int64?) -> Statement? {
        switch self {
        case .totp(let factor, let step), .hotp(let factor, let step):
            Statement(.factorUnfolded, [.integer(factor), .integer(user), .integer(step)])
        case .recovery: nil
        }
    }

    fileprivate var isWrittenBesideLog: Bool {
        if case .recovery = self { true } else { false }
    }

    /// Finds what would forbid it; a recovery code needs no look of its own.
    fileprivate func check(slot: Int64) -> Statement? {
        switch self {
        case .totp(let factor, let step): Statement(.stepIsUsed, [.integer(slot), .integer(factor), .integer(step)])
        case .hotp(let factor, let counter): Statement(.counterIsUsed, [.integer(slot), .integer(factor), .integer(counter)])
        case .recovery: nil
        }
    }
}
