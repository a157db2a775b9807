// SPDX-License-Identifier: Apache-2.0
// Performs what a login asks for and feeds back what comes of it.

internal import Synchronization

extension Logins {
    func advance(_ open: OpenLogin, _ input: Login.Input, at moment: Moment) {
        var random = SharedRandom(source: self)
        switch input {
        case .codesRead, .passwordChecked, .codesMatched, .passwordMatched:
            // Many at once must not each see the counters as they were before all of them.
            let fresh = beginJudging(open)
            let actions = open.withLock { state in
                state.login.failures = fresh
                return state.login.handle(input, now: moment, random: &random, seal: seal)
            }
            perform(actions, of: open, at: moment)
            endJudging(open)
        default:
            let actions = open.withLock { $0.login.handle(input, now: moment, random: &random, seal: seal) }
            perform(actions, of: open, at: moment)
        }
    }

    /// The counters as they are now, with the codes and passwords that others judge at this moment, from wherever they came; this one
    /// counts for others until `endJudging`.
    func beginJudging(_ open: OpenLogin) -> SubjectFailures {
        shard(of: open.subject).state.withLock { state in
            var failures = state.known(open.subject, stored: open.stored)
            let all = state.judging[open.subject] ?? 0
            // A login whose code is read may have its password matched in the same call: it is no rival of its own.
            let others = max(0, all - open.countsItself(1))
            (failures.underWay.codes, failures.underWay.passwords, failures.underWay.passwordsFromSource) = (others, others, others)
            state.judging[open.subject] = all + 1
            return failures
        }
    }

    func endJudging(_ open: OpenLogin) {
        shard(of: open.subject).state.withLock { state in
            _ = open.countsItself(-1)
            let others = (state.judging[open.subject] ?? 1) - 1
            state.judging[open.subject] = others > 0 ? others : nil
        }
    }

    func perform(_ actions: [Login.Action], of open: OpenLogin, at moment: Moment) {
        for action in actions {
            switch action {
            case .readCodes(let texts):
                let (owned, allowsRecovery, grants) = open.withLock {
                    ($0.login.facts.ownedFactors, $0.login.mayRecover, $0.login.openGrants(.code, at: moment))
                }
                let readings = texts.map { text in
                    let own = read(text, factors: owned, allowsRecovery: allowsRecovery, at: moment)
                    return grants.isEmpty || own.verdict.isRight ? own : own.orElse(read(text, grants: grants))
                }
                advance(open, .codesRead(readings), at: moment)
            case .checkPassword(let password):
                guard keepOpen(open) else {
                    answer(.none(.overloaded), to: open)
                    continue
                }
                check(password, answering: nil, of: open)
            case .answerSource(let text, let thread):
                guard keepOpen(open) else {
                    answer(.none(.overloaded), to: open)
                    continue
                }
                check(text, answering: thread, of: open)
            case .matchCodes(let proof):
                let facts = open.withLock { $0.login.facts }
                let (reading, candidate) = match(proof, facts: facts, at: moment)
                advance(open, .codesMatched(reading, candidate), at: moment)
            case .matchPassword(let proof):
                let (user, request) = open.withLock { ($0.login.asked, $0.login.request) }
                // Nobody can join what is over in the same call.
                if let (verdict, candidate) = passwords.matchAtOnce(proof, of: user) {
                    advance(open, .passwordMatched(verdict, candidate), at: moment)
                    continue
                }
                guard keepOpen(open) else {
                    answer(.none(.overloaded), to: open)
                    continue
                }
                passwords.match(proof, of: user, for: request) { [self] verdict, candidate in
                    advance(open, .passwordMatched(verdict, candidate), at: now())
                    closeUnlessWaiting(open)
                }
            case .checkNewPassword(let new):
                guard let checkNewPassword else {
                    advance(open, .newPasswordChecked(.refused("not offered here")), at: moment)
                    continue
                }
                guard keepOpen(open) else {
                    answer(.none(.overloaded), to: open)
                    continue
                }
                checkNewPassword(new) { [self] verdict in
                    advance(open, .newPasswordChecked(verdict), at: now())
                    closeUnlessWaiting(open)
                }
            case .suspend(let row, let event):
                guard mayAsk(open, row, at: moment) else {
                    advance(open, .tooManyChallenges, at: moment)
                    continue
                }
                guard isWorthARow(row, event, of: open, at: moment) else {
                    advance(open, .suspended(nil), at: moment)
                    continue
                }
                records.suspend(row, event: event) { [self] failure in
                    if failure == nil { observe(event, true) }
                    advance(open, .suspended(failure), at: now())
                }
            case .settle(let settlement):
                records.settle(settlement) { [self] outcome in
                    if outcome == .done { observe(settlement.event, true) }
                    advance(open, .settled(outcome), at: now())
                }
            case .startFactor(let id, let life):
                start(factor: id, life: life, of: open, at: moment)
            case .cancelFactor:
                let (kind, login) = open.withLock { state in
                    defer { state.started = nil }
                    return (state.started, state.login.id)
                }
                if let kind { factors[kind]?.cancel(login) }
            case .hold(let span):
                hold(open, for: span, at: moment)
            case .keep(let span):
                expire(open, at: moment.uptime + span)
            case .countFailure(let kind):
                count(kind, of: open, at: moment)
            case .rememberWrongProof:
                let print = proofPrint(of: open.withLock { $0.login.request })
                shard(of: open.subject).state.withLock { state in
                    state.update(open.subject, stored: open.stored) { $0.remember(wrong: print, at: moment.uptime) }
                }
            case .forgive(let kinds):
                forgive(kinds, open, at: moment)
            case .record(let event):
                record(event, of: open, at: moment)
            case .resynchronise(let factor, let wait):
                records.remember(.resynchronisation(factor: factor, wait))
            case .answer(let reply):
                answer(reply, to: open)
            }
        }
    }

    private func check(_ password: Secret, answering thread: SourceThread?, of open: OpenLogin) {
        // One attempt binds once.
        if let proved = open.proved, proved == password, thread == nil { return conclude(open, .right) }
        let (user, request) = open.withLock { ($0.login.asked, $0.login.request) }
        passwords.check(password, of: user, for: request, answering: thread) { [self] verdict in
            if case .rightOf(let person) = verdict { return meet(person, proving: password, open) }
            advance(open, .passwordChecked(verdict), at: now())
            closeUnlessWaiting(open)
        }
    }

    func answer(_ reply: LoginAnswer, to open: OpenLogin) {
        let waiters = open.takeWaiters()
        let isOver = open.withLock { $0.login.phase == .decided }
        if isOver { close(open) }
        let isKeptBack =
            switch reply {
            case .reject: true
            case .challenge: open.withLock { $0.login.asksAnybody }
            case .accept, .none: false
            }
        guard isKeptBack, let rule = rules.rejectRelease else { return deliver(reply, to: waiters) }
        keepBack(reply, from: waiters, at: open.withLock { $0.login.client }, by: rule)
    }

    func deliver(_ reply: LoginAnswer, to waiters: [OpenLogin.Waiter]) {
        if waiters.contains(where: { $0.isHeld }) {
            held.withLock { held in
                for waiter in waiters { held[waiter.id] = nil }
            }
        }
        for waiter in waiters { waiter.completion(reply) }
    }

    // MARK: Codes

    /// The best reading of one text over all of the user's factors. A name that nobody has costs one check too.
    func read(_ text: String, factors owned: [Factor], allowsRecovery: Bool, at moment: Moment) -> Login.CodeReading {
        if let keyword = Keyword(text) {
            let devices = owned.filter { rules.offers[$0.kind]?.keyword == keyword.word }
            if keyword.index <= devices.count, let offer = rules.offers[devices[keyword.index - 1].kind] {
                return Login.CodeReading(.keyword(offer.beginning), factor: devices[keyword.index - 1].id)
            }
            return Login.CodeReading(.malformed, factor: nil)
        }
        var best = Login.CodeReading(.malformed, factor: nil)
        let candidates = owned.isEmpty ? [Self.nobodysFactor] : owned
        for factor in candidates where factor.kind != .recovery || allowsRecovery {
            guard let kind = factors[factor.kind], kind.isWellFormed(text, for: factor) else { continue }
            switch kind.verify(text, for: factor, at: moment) {
            case .right(let mark):
                if factor.id == Self.nobodysFactor.id { return Login.CodeReading(.wrong, factor: nil) }
                return Login.CodeReading(.right(mark), factor: factor.id)
            case .beyondWindow(let wait):
                best = Login.CodeReading(.beyondWindow(wait), factor: factor.id)
            case .wrong:
                if best.verdict == .malformed { best = Login.CodeReading(.wrong, factor: factor.id) }
            case .malformed:
                break
            }
        }
        return best
    }

    /// Checked in place of the factors of a name that nobody has, so that its answer takes as long.
    static let nobodysFactor = Factor(
        id: -1, kind: .totp, label: "", state: .active, secret: Secret(Array(repeating: 0x5A, count: 20)))

    // MARK: Failures

    private func count(_ kind: FailureRecord.Kind, of open: OpenLogin, at moment: Moment) {
        let source = kind == .passwordFromSource ? open.failureSource : ""
        let record = shard(of: open.subject).state.withLock { state -> FailureRecord in
            var counted = FailureRecord(kind: kind, source: source, count: 0, since: moment.wall, level: 0, lockedUntil: nil)
            state.update(open.subject, stored: open.stored) { known in
                counted = known.count(kind, source: source, at: moment.wall, rules: rules.lockout)
            }
            return counted
        }
        if case .user(let id) = open.subject { records.remember(.failure(user: id, record)) }
    }

    private func forgive(_ kinds: [FailureRecord.Kind], _ open: OpenLogin, at moment: Moment) {
        let shard = shard(of: open.subject)
        guard case .user(let id) = open.subject else {
            // A name that is passed through: what is counted of it is in memory alone.
            let (client, handle) = open.withLock { ($0.login.client.id, $0.login.handle) }
            if handle != nil { strangersChallenges.withLock { $0.giveBack(at: client) } }
            return shard.state.withLock { state in
                state.challenges.forget(open.subject)
                let known = state.known(open.subject, stored: [])
                guard !known.records.isEmpty || !known.wrongProofs.isEmpty else { return }
                state.update(open.subject, stored: []) { _ = $0.forgive(kinds, source: open.failureSource) }
            }
        }
        // The common case: nothing ever failed, and no text is made of an address.
        let known = shard.state.withLock { state in
            state.challenges.forget(open.subject)
            return state.known(open.subject, stored: open.stored)
        }
        if known.records.isEmpty, known.wrongProofs.isEmpty { return }
        let source = open.failureSource
        let forgave = shard.state.withLock { state in
            var forgave = false
            state.update(open.subject, stored: open.stored) { forgave = $0.forgive(kinds, source: source) }
            return forgave
        }
        guard forgave else { return }
        records.remember(.forgive(user: id, kinds.filter { $0 != .passwordFromSource }))
        if kinds.contains(.passwordFromSource) {
            let cleared = FailureRecord(kind: .passwordFromSource, source: source, count: 0, since: moment.wall, level: 0, lockedUntil: nil)
            records.remember(.failure(user: id, cleared))
        }
    }

    private func record(_ event: Event, of open: OpenLogin, at moment: Moment) {
        guard event.kind == .loginRejected else {
            observe(event, true)
            return records.remember(.event(event))
        }
        let isWritten = tally(event, as: open.subject, in: shard(of: open.subject), at: moment)
        observe(event, isWritten)
        if isWritten { records.remember(.event(event)) }
    }

    /// - Returns: whether this one is to be written by itself.
    private func tally(_ event: Event, as subject: FailureSubject, in shard: Shard, at moment: Moment) -> Bool {
        let (isWritten, isFirst) = shard.state.withLock { state in
            let isWritten = state.count(event, as: subject)
            defer { state.tallyFlushIsDue = true }
            return (isWritten, !state.tallyFlushIsDue)
        }
        if isFirst {
            deadlines.schedule(at: moment.uptime + .seconds(60)) { [self] moment in flushTally(of: shard, at: moment) }
        }
        return isWritten
    }

    /// A challenge is a row and an event of its own: whoever only knows a name must not get them by the thousand.
    private func mayAsk(_ open: OpenLogin, _ row: SuspendedLogin, at moment: Moment) -> Bool {
        let source = open.failureSource
        let mayBeAsked = shard(of: open.subject).state.withLock { state in
            state.challenges.mayAsk(open.subject, from: source, at: moment.uptime, rules: rules)
        }
        guard mayBeAsked, row.isOfStranger else { return mayBeAsked }
        return strangersChallenges.withLock { $0.mayAsk(at: row.client, moment.uptime, rules: rules) }
    }

    /// A name that nobody has gets its challenge like everybody, but invented names by the thousand write neither rows nor events:
    /// beyond the first few of a minute they are counted. Their handles open nothing either way.
    private func isWorthARow(_ row: SuspendedLogin, _ event: Event, of open: OpenLogin, at moment: Moment) -> Bool {
        guard case .nobody = open.subject else { return true }
        // The answer goes to the directory that asked: the handle has to open.
        if row.isOfStranger { return true }
        var counted = event
        counted.reason = RejectReason.unknownUser.rawValue
        return tally(counted, as: .nobody(""), in: shard(of: open.subject), at: moment)
    }

    private func flushTally(of shard: Shard, at moment: Moment) {
        let events = shard.state.withLock { state in
            state.tallyFlushIsDue = false
            return state.tally.flush(at: moment.wall) + state.strangersTally.flush(at: moment.wall)
        }
        for event in events { records.remember(.event(event)) }
    }

    /// The node stops: what is counted and not yet written goes to the trail.
    package func flushTallies() {
        let moment = now()
        for shard in shards { flushTally(of: shard, at: moment) }
    }
}
