// SPDX-License-Identifier: Apache-2.0
// Runs logins: loads what they judge by, performs what they ask for, joins retries. Decides nothing itself.

internal import Synchronization

/// Every login of this node. Shards by user, each behind a lock; a login that need not wait runs through on the door's thread.
package final class Logins: LoginJudge, Sendable {
    let records: any LoginRecords
    let seal: any HandleSeal
    let passwords: any PasswordSource
    /// Nil: no password can be changed by logging in.
    private let newPasswordCheck = Mutex<NewPasswordCheck?>(nil)
    let factors: [FactorKind: any SecondFactor]
    let rules: LoginRules
    let deadlines: Deadlines
    let now: @Sendable () -> Moment
    /// Told of every decision; false: a reject that only counts, since too many equal ones came this minute.
    let observe: @Sendable (Event, _ isWritten: Bool) -> Void
    private let rulebookInForce = Mutex(Rulebook())
    private let randomness: Mutex<any RandomNumberGenerator & Sendable>
    let shards: [Shard]
    /// Held answers by waiter, so that a door can give one up.
    let held = Mutex<[UInt64: OpenLogin]>([:])
    let keptAnswers = Mutex(KeptAnswers())
    let strangersChallenges = Mutex(StrangersChallenges())

    /// Logins that wait for something at the same time; more are shed.
    package static let mostOpen = 50_000
    let openCount = Atomic<Int>(0)

    package init(
        records: any LoginRecords, seal: any HandleSeal, passwords: any PasswordSource, factors: [any SecondFactor],
        rules: LoginRules = LoginRules(), deadlines: Deadlines, random: any RandomNumberGenerator & Sendable,
        shards: Int = 16, subjectsRemembered: Int = 65_536, now: @escaping @Sendable () -> Moment,
        observe: @escaping @Sendable (Event, _ isWritten: Bool) -> Void = { _, _ in }
    ) {
        self.records = records
        self.seal = seal
        self.passwords = passwords
        self.factors = Dictionary(factors.map { ($0.kind, $0) }) { first, _ in first }
        var rules = rules
        for factor in factors {
            rules.offers[factor.kind] = LoginRules.Offer(beginning: factor.beginning, keyword: factor.keyword)
        }
        rules.bindCountsElsewhere = passwords.countsElsewhere
        self.rules = rules
        self.deadlines = deadlines
        self.now = now
        self.observe = observe
        randomness = Mutex(random)
        self.shards = (0..<shards).map { _ in Shard(subjects: max(1, subjectsRemembered / shards)) }
    }

    /// What is kept of one part of the users.
    final class Shard: Sendable {
        let state: Mutex<ShardState>

        init(subjects: Int) {
            state = Mutex(
                ShardState(
                    failures: Failures(capacity: subjects), strangers: Failures(capacity: subjects), tally: RejectTally(capacity: 1_024),
                    strangersTally: RejectTally(capacity: 1_024)))
        }
    }

    struct ShardState {
        var failures: Failures
        /// Names that nobody has, apart: a hundred thousand of them must not push out a user.
        var strangers: Failures
        /// Codes and passwords that are being judged at this moment.
        var judging: [FailureSubject: Int] = [:]
        var tally: RejectTally
        /// Apart for the same reason: whoever invents names must not hide what is tried on a user's.
        var strangersTally: RejectTally
        var tallyFlushIsDue = false
        /// Logins that wait for a password check, a phone, or a retry to take their answer.
        var open: [FailureSubject: [OpenLogin]] = [:]
        var challenges = ChallengeTally(capacity: 4_096)
        /// Uptimes at which factors were started, of the last minute.
        var starts: [FailureSubject: [Timestamp]] = [:]

        func known(_ subject: FailureSubject, stored: [FailureRecord]) -> SubjectFailures {
            if case .nobody = subject { return strangers.known(subject, stored: stored) }
            return failures.known(subject, stored: stored)
        }

        /// - Returns: whether this event is to be written by itself.
        mutating func count(_ event: Event, as subject: FailureSubject) -> Bool {
            if case .nobody = subject { return strangersTally.count(event, subject: subject) }
            return tally.count(event, subject: subject)
        }

        mutating func update(_ subject: FailureSubject, stored: [FailureRecord], _ change: (inout SubjectFailures) -> Void) {
            if case .nobody = subject { return strangers.update(subject, stored: stored, change) }
            failures.update(subject, stored: stored, change)
        }
    }

    func shard(of subject: FailureSubject) -> Shard {
        shards[Int(UInt(bitPattern: subject.hashValue) % UInt(shards.count))]
    }

    /// Logins that wait, for metrics.
    package var waitingCount: Int { openCount.load(ordering: .relaxed) }

    // MARK: LoginJudge

    package func attempt(_ attempts: [Attempt]) {
        let moment = now()
        let rulebook = rulebook
        let (policies, replies, limits, homes) = (rulebook.policies, rulebook.replies, rulebook.limits, rulebook.homes)
        var known: [(index: Int, key: String)] = []
        known.reserveCapacity(attempts.count)
        var lookups: [LoginLookup] = []
        lookups.reserveCapacity(attempts.count)
        for (index, attempt) in attempts.enumerated() {
            guard let key = UserName.key(of: attempt.request.name, stripping: attempt.request.client.settings.nameStripping) else {
                rejectNameless(attempt, at: moment)
                continue
            }
            if let probe = attempt.request.client.settings.probeUser, probe == key {
                rejectProbe(attempt, key: key, at: moment)
                continue
            }
            known.append((index, key))
            var lookup = LoginLookup(nameKey: key, handle: attempt.request.handle.flatMap { seal.open($0) })
            if !policies.isEmpty {
                lookup.wantsGroups = policies.looksUpGroups(for: attempt.request.client)
                lookup.wantsGrace = policies.looksUpGrace(for: attempt.request.client)
            }
            if !replies.isEmpty, !lookup.wantsGroups { lookup.wantsGroups = replies.looksUpGroups(for: attempt.request.client) }
            if !limits.isEmpty { lookup.wantsGroups = true }
            if !homes.isEmpty, !lookup.wantsGroups { lookup.wantsGroups = policies.mayAskPassword(at: attempt.request.client) }
            lookups.append(lookup)
        }
        guard !known.isEmpty else { return }
        var facts: [LoginFacts]
        do throws(NoAnswer) {
            facts = try records.load(lookups, at: moment.wall)
        } catch {
            for (index, _) in known { attempts[index].completion(.none(error)) }
            return
        }
        for (position, (index, key)) in known.enumerated() where position < facts.count {
            let request = attempts[index].request
            homes.place(&facts[position], at: request.client, named: request.name, lookupKey: key)
        }
        var failure: NoAnswer?
        do throws(NoAnswer) {
            try keepUsers(outOf: &facts, at: moment)
        } catch {
            failure = error
        }
        let unread = readCertificates(of: attempts, known, into: &facts, at: moment)
        for (position, (index, key)) in known.enumerated() where position < facts.count {
            if let unread, case .certificate = attempts[index].request.proof {
                attempts[index].completion(.none(unread))
                continue
            }
            if let failure, facts[position].stranger != nil {
                attempts[index].completion(.none(failure))
                continue
            }
            let ruling = rulebook.ruling(of: attempts[index].request, facts[position], at: moment.wall)
            // With the realm: `alice@a` and `alice@b` are two people, whatever the client strips.
            let key = facts[position].stranger == nil ? key : UserName.key(of: attempts[index].request.name) ?? key
            begin(attempts[index], key: key, facts: facts[position], ruling: ruling, at: moment)
        }
    }

    /// Every login that begins from now on is judged by it.
    package var rulebook: Rulebook {
        get { rulebookInForce.withLock { $0 } }
        set { rulebookInForce.withLock { $0 = newValue } }
    }

    /// How a new password is checked that came with a login; plugged in once the node has its operations.
    package var checkNewPassword: NewPasswordCheck? {
        get { newPasswordCheck.withLock { $0 } }
        set { newPasswordCheck.withLock { $0 = newValue } }
    }

    package func abandon(waiter: UInt64) {
        guard let open = held.withLock({ $0.removeValue(forKey: waiter) }) else { return }
        let left = open.withLock { state in
            let left = state.waiters.filter { $0.id == waiter }
            state.waiters.removeAll { $0.id == waiter }
            return left
        }
        for waiter in left { waiter.completion(.none(.abandoned)) }
    }

    /// The help desk unlocked a user, or a password or factor was changed: what memory holds of failures is void.
    package func forgetFailures(ofUser id: Int64) {
        let subject = FailureSubject.user(id)
        shard(of: subject).state.withLock { $0.failures.forget(subject) }
    }

    /// As after a restart: only what was written is known.
    package func forgetMemoryOfFailures() {
        for shard in shards {
            shard.state.withLock { state in
                state.failures = Failures(capacity: state.failures.capacity)
                state.strangers = Failures(capacity: state.strangers.capacity)
            }
        }
    }

    private func rejectNameless(_ attempt: Attempt, at moment: Moment) {
        let subject = FailureSubject.nobody("")
        var login = makeLogin(
            attempt.request, key: "", facts: LoginFacts(), ruling: .own(of: attempt.request.client), failures: SubjectFailures(records: []),
            retry: nil, wasWrong: false, at: moment)
        let actions = login.reject(.nameMalformed, now: moment)
        let open = OpenLogin(login, waiter: waiter(of: attempt, at: moment), subject: subject)
        perform(actions, of: open, at: moment)
    }

    /// A product wants to know whether somebody answers: it hears what every stranger hears, and the trail nothing.
    private func rejectProbe(_ attempt: Attempt, key: String, at moment: Moment) {
        let login = makeLogin(
            attempt.request, key: key, facts: LoginFacts(), ruling: .own(of: attempt.request.client),
            failures: SubjectFailures(records: []), retry: nil, wasWrong: false, at: moment)
        let open = OpenLogin(login, waiter: waiter(of: attempt, at: moment), subject: .nobody(key))
        answer(.reject(login.id, message: Prompt.rejected), to: open)
    }

    // MARK: Randomness

    func makeLogin(
        _ request: LoginRequest, key: String, facts: LoginFacts, ruling: Ruling, failures: SubjectFailures, retry: Fingerprint?,
        wasWrong: Bool, at moment: Moment
    ) -> Login {
        var random = SharedRandom(source: self)
        return Login(
            id: LoginID(Bits128(random: &random)), request: request, nameKey: key, facts: facts, ruling: ruling, failures: failures,
            rules: rules, retry: retry, wasWrongJustNow: wasWrong, began: moment)
    }

    struct SharedRandom: RandomNumberGenerator {
        let source: Logins
        mutating func next() -> UInt64 { source.randomness.withLock { $0.next() } }
    }

    func waiter(of attempt: Attempt, at moment: Moment) -> OpenLogin.Waiter {
        OpenLogin.Waiter(
            id: attempt.waiter, fingerprint: attempt.request.fingerprint, arrived: moment.uptime, completion: attempt.completion)
    }
}
