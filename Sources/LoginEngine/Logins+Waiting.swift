// SPDX-License-Identifier: Apache-2.0
// Logins that wait: for a password pool, a phone, a retry. A waiting login is an object and a deadline, never a thread.

internal import Synchronization

extension Logins {
    /// - Returns: false when too many wait already.
    func keepOpen(_ open: OpenLogin) -> Bool {
        guard openCount.load(ordering: .relaxed) < Self.mostOpen else { return false }
        let print = proofPrint(of: open.withLock { $0.login.request })
        open.proof.withLock { $0 = print }
        let isNew = shard(of: open.subject).state.withLock { state in
            if state.open[open.subject, default: []].contains(where: { $0 === open }) { return false }
            state.open[open.subject, default: []].append(open)
            return true
        }
        if isNew { openCount.add(1, ordering: .relaxed) }
        return true
    }

    func close(_ open: OpenLogin) {
        let wasOpen = shard(of: open.subject).state.withLock { state -> Bool in
            guard let all = state.open[open.subject], all.contains(where: { $0 === open }) else { return false }
            let rest = all.filter { $0 !== open }
            state.open[open.subject] = rest.isEmpty ? nil : rest
            return true
        }
        if wasOpen { openCount.subtract(1, ordering: .relaxed) }
    }

    /// After the password: only a login that asks a phone stays where retries can find it.
    func closeUnlessWaiting(_ open: OpenLogin) {
        let stays = open.withLock { state in
            switch state.login.phase {
            case .waiting, .approvedLate, .denied, .checkingNewPassword: true
            default: false
            }
        }
        if !stays { close(open) }
    }

    func start(factor id: Int64, life: Timestamp.Span, of open: OpenLogin, at moment: Moment) {
        let (factor, user, request, login) = open.withLock { state in
            (state.login.factor(id), state.login.facts.user, state.login.request, state.login.id)
        }
        guard let factor, let user, let kind = factors[factor.kind] else { return }
        guard keepOpen(open) else { return answer(.none(.overloaded), to: open) }
        // One decision for two rivals: the shard's lock is held from the look to the entry.
        let refusal = shard(of: open.subject).state.withLock { state -> Login.Input? in
            let rivals = state.open[open.subject] ?? []
            if rivals.contains(where: { $0 !== open && $0.isAsking }) { return .anotherIsWaiting }
            let recent = (state.starts[open.subject] ?? []).filter { moment.uptime - $0 < .seconds(60) }
            if recent.count >= rules.startsPerMinute { return .tooManyStarts }
            state.starts[open.subject] = recent + [moment.uptime]
            open.markAsking()
            return nil
        }
        if let refusal {
            advance(open, refusal, at: moment)
            return close(open)
        }
        deadlines.schedule(at: moment.uptime + .seconds(61)) { [self] moment in forgetStarts(of: open.subject, at: moment) }
        open.withLock { $0.started = factor.kind }
        expire(open, at: moment.uptime + life)
        advance(open, .factorStarted(id), at: moment)
        let start = FactorStart(
            login: login, user: user, factor: factor, clientName: request.client.name, station: request.callingStation, at: moment)
        kind.start(start) { [self] answer in
            let moment = now()
            var random = SharedRandom(source: self)
            let lost = answer == .approved ? lostCertificate(of: open, at: moment) : nil
            // Whether somebody still waits is seen in the same moment in which the answer is judged.
            let actions = open.withLock { state in
                let input: Login.Input = lost.map { .certificateLost($0) } ?? .factorAnswered(answer, isHeld: !state.waiters.isEmpty)
                return state.login.handle(input, now: moment, random: &random, seal: seal)
            }
            perform(actions, of: open, at: moment)
            closeUnlessWaiting(open)
        }
    }

    private func forgetStarts(of subject: FailureSubject, at moment: Moment) {
        shard(of: subject).state.withLock { state in
            let recent = (state.starts[subject] ?? []).filter { moment.uptime - $0 < .seconds(60) }
            state.starts[subject] = recent.isEmpty ? nil : recent
        }
    }

    /// Holds everybody who waits until the gateway is about to give up.
    func hold(_ open: OpenLogin, for span: Timestamp.Span, at moment: Moment) {
        let end = moment.uptime + span
        let (isNew, waiters) = open.withLock { state in
            let isNew = state.holdEnds == nil
            if isNew { state.holdEnds = end }
            for index in state.waiters.indices { state.waiters[index].isHeld = true }
            return (isNew, state.waiters.map(\.id))
        }
        held.withLock { held in
            for waiter in waiters { held[waiter] = open }
        }
        guard isNew else { return }
        deadlines.schedule(at: end) { [self] moment in endHold(of: open, at: end, moment) }
    }

    /// Everybody who waits leaves in the moment in which the gateway's patience is judged to be over: an approval that comes a moment
    /// later finds nobody, and is kept for the next try.
    private func endHold(of open: OpenLogin, at end: Timestamp, _ moment: Moment) {
        var random = SharedRandom(source: self)
        let (actions, waiters) = open.withLock { state -> ([Login.Action], [OpenLogin.Waiter]) in
            guard state.holdEnds == end else { return ([], []) }
            let actions = state.login.handle(.holdEnded, now: moment, random: &random, seal: seal)
            return (actions, actions.isEmpty ? [] : state.takeWaiters())
        }
        for case .answer(let reply) in actions { deliver(reply, to: waiters) }
    }

    /// Nothing of this login is kept beyond `at`, unless a later time is set meanwhile.
    func expire(_ open: OpenLogin, at: Timestamp) {
        open.withLock { $0.expires = at }
        deadlines.schedule(at: at) { [self] moment in
            guard open.withLock({ $0.expires == at }) else { return }
            advance(open, .factorExpired, at: moment)
            close(open)
        }
    }
}
