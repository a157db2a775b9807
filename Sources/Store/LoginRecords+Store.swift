// SPDX-License-Identifier: Apache-2.0
// What the engine asks of the database: one look before a login, one transaction behind its decision.

package import LoginEngine
internal import Synchronization

extension Records: LoginRecords {
    package func load(_ lookups: [LoginLookup], at now: Timestamp) throws(NoAnswer) -> [LoginFacts] {
        do throws(DatabaseError) {
            return try look(lookups, at: now)
        } catch {
            throw .databaseUnavailable
        }
    }

    private func look(_ lookups: [LoginLookup], at now: Timestamp) throws(DatabaseError) -> [LoginFacts] {
        guard case .log(let log) = marks else { return try read(lookups, version: nil, at: now) }
        // Before the rows are read: what changes meanwhile makes them old.
        let version = log.version
        let ticket = cache.ticket
        var facts = [LoginFacts](repeating: LoginFacts(), count: lookups.count)
        var missing: [Int] = []
        for (index, lookup) in lookups.enumerated() {
            guard lookup.isOfUserAlone, let key = lookup.nameKey, let known = cache.entry(key, version: version),
                known.groups != nil || !lookup.wantsGroups
            else {
                missing.append(index)
                continue
            }
            facts[index].version = version
            facts[index].user = known.user
            facts[index].factors = known.factors
            if lookup.wantsGroups, let groups = known.groups { facts[index].groups = groups }
            for position in known.factors.indices { layLiveMark(over: &facts[index].factors[position]) }
        }
        guard !missing.isEmpty else { return facts }
        for (index, read) in zip(missing, try read(missing.map { lookups[$0] }, version: version, at: now)) {
            facts[index] = read
            for position in read.factors.indices { layLiveMark(over: &facts[index].factors[position]) }
            // Whoever has or had a grant lately is looked up each time: uses are counted without being a change.
            guard let key = lookups[index].nameKey, let user = read.user, read.failures.isEmpty, !read.mayHaveGrants else { continue }
            let groups = lookups[index].wantsGroups ? read.groups : nil
            cache.keep(FactsCache.Entry(version: version, user: user, factors: read.factors, groups: groups), for: key, ticket)
        }
        return facts
    }

    private func read(_ lookups: [LoginLookup], version: UInt64?, at now: Timestamp) throws(DatabaseError) -> [LoginFacts] {
        var statements: [Statement] = []
        statements.reserveCapacity(lookups.count * 2)
        let slot: SQLValue? = if case .table(let slots) = marks { .integer(slots.current) } else { nil }
        for lookup in lookups {
            if let key = lookup.nameKey {
                statements.append(
                    slot.map { Statement(.userForLogin, [.text(key), $0]) } ?? Statement(.userForLoginBesideLog, [.text(key)]))
                if lookup.wantsGroups { statements.append(Statement(.groupsForLogin, [.text(key)])) }
                if lookup.wantsGrace { statements.append(Statement(.graceForLogin, [.text(key)])) }
            }
            if let handle = lookup.handle { statements.append(Statement(.handleRow, [.blob(handle.bits.bytes)])) }
        }
        let results = try database.read(statements)
        var next = 0
        var facts: [LoginFacts] = []
        facts.reserveCapacity(lookups.count)
        var failing: [Int] = []
        for lookup in lookups {
            var fact = LoginFacts()
            fact.version = version
            if lookup.nameKey != nil {
                // Whoever is going to be kept as a whole need not be kept in parts too.
                let isKeptWhole = version != nil && lookup.isOfUserAlone
                if try fill(&fact, from: results[next], remembering: !isKeptWhole) { failing.append(facts.count) }
                next += 1
                if lookup.wantsGroups {
                    for row in results[next] { fact.groups.append(try row.integer(0)) }
                    next += 1
                }
                if lookup.wantsGrace {
                    fact.grace = try Self.grace(results[next])
                    next += 1
                }
            }
            if let handle = lookup.handle {
                fact.suspended = try results[next].first.flatMap { row throws(DatabaseError) in try suspended(handle, row) }
                next += 1
            }
            facts.append(fact)
        }
        let granted = facts.indices.filter { facts[$0].mayHaveGrants }
        guard !failing.isEmpty || !granted.isEmpty else { return facts }
        // Few users have failures or grants; only those cost a second look.
        let told = now - Self.grantsTold
        let records = try database.read(
            failing.map { Statement(.failures, [.integer(facts[$0].user?.id)]) }
                + granted.map {
                    Statement(.grantsForLogin, [.integer(facts[$0].user?.id), .integer(now.microseconds), .integer(told.microseconds)])
                })
        for (index, rows) in zip(failing, records) { facts[index].failures = try Self.failures(rows) }
        for (index, rows) in zip(granted, records.dropFirst(failing.count)) {
            // One that cannot be read opens nothing, and keeps nobody from logging in without it.
            facts[index].grants = rows.compactMap { try? Grant($0) }
        }
        return facts
    }

    /// Nil where a new password belongs to it that does not open: a login must not be accepted without what it brought.
    private func suspended(_ handle: HandleID, _ row: Row) throws(DatabaseError) -> SuspendedLogin? {
        var login = try Self.suspended(handle, row)
        guard let sealed = try row.blobIfAny(14) else { return login }
        login.renewal = login.user.flatMap { PasswordRenewal.opened(sealed, handle, ofUser: $0, sealing) }
        if login.renewal == nil { damaged.add(1, ordering: .relaxed) }
        return login.renewal == nil ? nil : login
    }

    /// - Parameter remembering: whether opened secrets are kept for the next look.
    /// - Returns: whether the user has failures.
    private func fill(_ fact: inout LoginFacts, from rows: Rows, remembering: Bool) throws(DatabaseError) -> Bool {
        guard let first = rows.first else { return false }
        let id = try first.integer(0)
        guard let status = UserStatus(rawValue: try first.text(2)) else { throw .unexpectedValue(2) }
        fact.user = User(
            id: id, name: try first.text(1), status: status,
            passwordHash: try first.blobIfAny(3).flatMap { sealed in
                login { () throws(SealingError) in
                    try remembering ? opened.passwordHash(sealed, ofUser: id) : sealing.open(sealed, at: .passwordHash(id))
                }
            })
        if try first.flag(21) { fact.user?.mustChangePassword = true }
        fact.user?.passwordRevision = try first.integer(22)
        if !first.isNull(23) {
            let home = PasswordHome(stored: try first.integer(23))
            fact.user?.home = home
            fact.user?.directory = home.directory
        }
        if !first.isNull(24) { fact.user?.mostSessions = Int(try first.integer(24)) }
        fact.user?.timeZone = try first.textIfAny(25)
        fact.mayHaveGrants = !first.isNull(26)
        if !first.isNull(19) || !first.isNull(20) {
            let ntHash = try first.blobIfAny(19)
            let text = try first.blobIfAny(20)
            fact.user?.kept = KeptPassword(
                ntHash: ntHash.flatMap { sealed in login { () throws(SealingError) in try opened.ntHash(sealed, ofUser: id) } },
                text: text.flatMap { sealed in login { () throws(SealingError) in try opened.clearPassword(sealed, ofUser: id) } })
        }
        for row in rows where !row.isNull(5) {
            if let factor = try factor(row, ofUser: id, remembering: remembering) { fact.factors.append(factor) }
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

    private func factor(_ row: Row, ofUser user: Int64, remembering: Bool) throws(DatabaseError) -> Factor? {
        let id = try row.integer(5)
        let sealed = try row.blobIfAny(8)
        let secret = sealed.flatMap { sealed in
            login { () throws(SealingError) in
                try remembering
                    ? opened.factorSecret(sealed, of: id, ofUser: user) : sealing.open(sealed, at: .factorSecret(id, ofUser: user))
            }
        }
        if sealed != nil, secret == nil { return nil }
        guard let kind = FactorKind(rawValue: try row.text(6)) else { throw .unexpectedValue(6) }
        guard let algorithm = CodeAlgorithm(rawValue: try row.text(9)) else { throw .unexpectedValue(9) }
        var factor = Factor(
            id: id, kind: kind, label: try row.text(7), state: .active,
            secret: secret ?? Secret([]))
        factor.algorithm = algorithm
        factor.digits = Int(try row.integer(10))
        factor.period = Int(try row.integer(11))
        factor.folded = try row.integer(12)
        factor.highestUsed = factor.folded
        factor.drift = Int(try row.integer(13))
        factor.unproven = try row.integerIfAny(18)
        if let step = try row.integerIfAny(14) { factor.lay(step: step, at: try row.integerIfAny(15)) }
        if let counter = try row.integerIfAny(16), let expires = try row.integerIfAny(17) {
            factor.resynchronisation = Factor.Resynchronisation(counter: counter, expires: Timestamp(microseconds: expires))
        }
        return factor
    }

    /// The highest step that is not folded yet.
    private func layLiveMark(over factor: inout Factor) {
        guard factor.kind == .totp || factor.kind == .hotp, let live = marks.live(of: factor.id) else { return }
        factor.lay(step: live.step, at: live.at)
    }

    // MARK: Settling

    package func settle(_ settlement: Settlement, completion: @escaping @Sendable (SettlementOutcome) -> Void) {
        // An accept of nobody is not ours to write.
        guard !settlement.decision.isAccept || settlement.user != nil || settlement.passedThrough != nil else {
            completion(.changedMeanwhile)
            return
        }
        writer.submit(GroupCommit.Submission(settlement, renewal: renewal(of: settlement), completion))
    }

    // MARK: Refusals

    /// Says which guard it was, and finds the decision that was made before; on the writer's thread, so that nothing moves meanwhile.
    static func refusal(
        of settlement: Settlement, _ refusal: WrittenGroup.Refusal, in database: any SQLDatabase, _ keeping: MarkKeeping
    ) -> SettlementOutcome {
        do throws(DatabaseError) {
            let subject: Settlement.GuardSubject =
                switch refusal {
                case .marked(let position): .mark(position)
                case .byGuard(let index): settlement.subject(refusedAt: index, by: keeping)
                }
            switch subject {
            case .person:
                return .changedMeanwhile
            case .mark(let position):
                return try Self.refusal(of: settlement, mark: position, in: database, keeping)
            case .grant:
                return try settlement.grantRefusal(in: database)
            case .sessions:
                return .tooManySessions(open: try settlement.openSessions(in: database))
            case .handle:
                guard let handle = settlement.handle else { return .changedMeanwhile }
                let row = try database.read([Statement(.handleRow, [.blob(handle.bits.bytes)])])[0].first
                return .handleSpent(try row.map { row throws(DatabaseError) in try Self.suspended(handle, row) }?.decision)
            }
        } catch {
            // It was refused: nothing was written, whatever the reason.
            return .failed(.databaseUnavailable)
        }
    }

    private static func refusal(
        of settlement: Settlement, mark position: Int, in database: any SQLDatabase, _ keeping: MarkKeeping
    ) throws(DatabaseError) -> SettlementOutcome {
        guard position < settlement.marks.count else { return .changedMeanwhile }
        let mark = settlement.marks[position]
        let active = try database.read([Statement(.factorActive, [.integer(mark.factor), .integer(settlement.user)])])[0]
        guard active.count == 1 else { return .changedMeanwhile }
        switch (keeping, mark) {
        case (_, .recovery(let factor, let hash)):
            // A recovery code that is not there was replaced or never made.
            let row = try database.read([Statement(.recoveryRow, [.integer(factor), .blob(hash)])])[0].first
            return .markUsed(try row.flatMap { row throws(DatabaseError) in try Self.decision(row, from: 0) })
        case (.table(let slots), .totp(let factor, let step)), (.table(let slots), .hotp(let factor, let step)):
            let found = Statement(.markRow, [.integer(slots.current), .integer(factor), .integer(step)])
            // A step that is not there lies below the folded one.
            return .markUsed(try database.read([found])[0].first.flatMap { row throws(DatabaseError) in try Self.decision(row, from: 0) })
        case (.log(let log), .totp(let factor, let step)), (.log(let log), .hotp(let factor, let step)):
            return .markUsed(try log.decision(of: step, factor: factor))
        }
    }

    // MARK: Waiting and afterwards

    package func suspend(_ login: SuspendedLogin, event: Event, completion: @escaping @Sendable (NoAnswer?) -> Void) {
        let statement = Statement(
            .insertHandle,
            [
                .blob(login.handle.bits.bytes), .blob(login.login.bits.bytes), .integer(login.client), .integer(login.user),
                .text(login.nameKey), .text(login.station), .integer(Int64(login.firstFactor.rawValue)),
                .integer(login.issued.microseconds), .integer(login.expires.microseconds),
                .blob(login.renewal.flatMap { renewal in login.user.map { renewal.sealed(login.handle, ofUser: $0, sealing) } }),
                .blob(login.source?.stored),
            ])
        writer.submit(
            GroupCommit.Submission(Unit(guarded: [Unit.Guard(statement)]), trail: .event(event)) { outcome in
                switch outcome {
                case .written(.done): completion(nil)
                case .failed(let reason): completion(reason)
                case .written: completion(.databaseUnavailable)
                }
            })
    }

    package func remember(_ afterthought: Afterthought) {
        if case .event(let event) = afterthought, isSpared(event) { return }
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
            cache.noteFailure(ofUser: user)
            counter = GroupCommit.Counter(user: user, kind: record.kind.rawValue, source: record.source)
        }
        if case .forgive(let user, let kinds) = afterthought {
            writer.forget { $0.user == user && kinds.map(\.rawValue).contains($0.kind) }
        }
        // What a factor waits for is read with it.
        let isChange = if case .resynchronisation = afterthought { true } else { false }
        writer.remember(GroupCommit.Submission(Unit(statements), isChange: isChange, trail: trail), counter: counter)
    }
}

extension LoginLookup {
    /// Answered by `FactsCache` alone, where it knows the user. Grace begins and ends without being a change.
    fileprivate var isOfUserAlone: Bool { handle == nil && !wantsGrace }
}

extension Factor {
    /// - Parameter at: when the step was used, microseconds since 1970; tells how far the token's clock is off, at most ten steps.
    fileprivate mutating func lay(step: Int64, at: Int64?) {
        highestUsed = max(highestUsed, step)
        guard kind == .totp, period > 0, let at else { return }
        drift = Int(max(-10, min(10, step - Timestamp(microseconds: at).seconds / Int64(period))))
    }
}
