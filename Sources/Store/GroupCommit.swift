// SPDX-License-Identifier: Apache-2.0
// The one writer: takes what waits, commits it in one durable transaction with its events, then wakes everybody in it.

internal import Dispatch
internal import Foundation
internal import LoginEngine
internal import Synchronization

package final class GroupCommit: Sendable {
    package struct Limits: Sendable {
        /// Units in one transaction.
        package var group = 256
        /// Units that may wait; beyond it a submission fails at once.
        package var waiting = 8192
        /// Afterthoughts that may wait; beyond it they are counted and lost.
        package var afterthoughts = 8192

        package init() {}
    }

    /// Counters since the start, and the queue as it is.
    package struct Statistics: Sendable, Equatable {
        package var groups = 0
        package var units = 0
        package var events = 0
        package var refused = 0
        package var failed = 0
        package var overloaded = 0
        package var afterthoughtsLost = 0
        package var largestGroup = 0
        package var failedGroups = 0
        /// Of all transactions together.
        package var microsecondsWriting = 0
        package var waiting = 0
        package var afterthoughtsWaiting = 0
        /// How often the session with the database was lost and made anew.
        package var sessions = 0
        /// Why the last group failed; nil once one succeeded.
        package var lastError: String?
    }

    enum Outcome: Sendable {
        case written(UnitOutcome)
        case failed(NoAnswer)
    }

    /// What is appended to the trail when the unit is done.
    enum Trail: Sendable {
        case none
        case event(Event)
        case made(@Sendable ([Rows]) -> [Event])
    }

    /// References, so that a queue and a group move them for the price of a pointer.
    enum Submission: Sendable {
        case settlement(PendingSettlement)
        case unit(PendingUnit)

        init(_ settlement: Settlement, renewal: SettledRenewal? = nil, _ completion: @escaping @Sendable (SettlementOutcome) -> Void) {
            self = .settlement(PendingSettlement(settlement, renewal, completion))
        }

        init(_ unit: Unit, isChange: Bool = false, trail: Trail = .none, _ completion: @escaping @Sendable (Outcome) -> Void = { _ in }) {
            self = .unit(PendingUnit(unit, isChange, trail, completion))
        }

        var isChange: Bool {
            if case .unit(let pending) = self { pending.isChange } else { false }
        }

        /// Nothing was written.
        func fail(_ reason: NoAnswer) {
            switch self {
            case .settlement(let pending): pending.completion(.failed(reason))
            case .unit(let pending): pending.completion(.failed(reason))
            }
        }
    }

    final class PendingSettlement: Sendable {
        let settlement: Settlement
        let renewal: SettledRenewal?
        let completion: @Sendable (SettlementOutcome) -> Void

        init(_ settlement: Settlement, _ renewal: SettledRenewal?, _ completion: @escaping @Sendable (SettlementOutcome) -> Void) {
            self.settlement = settlement
            self.renewal = renewal
            self.completion = completion
        }
    }

    final class PendingUnit: Sendable {
        let unit: Unit
        /// Logins may be judged by other facts afterwards.
        let isChange: Bool
        let trail: Trail
        let completion: @Sendable (Outcome) -> Void

        init(_ unit: Unit, _ isChange: Bool, _ trail: Trail, _ completion: @escaping @Sendable (Outcome) -> Void) {
            self.unit = unit
            self.isChange = isChange
            self.trail = trail
            self.completion = completion
        }
    }

    /// What a failure counter is found by.
    struct Counter: Hashable, Sendable {
        var user: Int64
        var kind: UInt8
        var source: String
    }

    fileprivate struct Queue {
        var waiting: [Submission] = []
        var afterthoughts: [Submission] = []
        /// Counters for which there was no room: the last value of each.
        var counters: [Counter: Submission] = [:]
        /// Events for which there was no room, and when the last one was.
        var lost: (count: Int, at: Timestamp) = (0, Timestamp(microseconds: 0))
        var jobs: [@Sendable () -> Void] = []
        var isSleeping = false
        /// The writer waits for company; see `gather`.
        var isGathering = false
        var isClosing = false
        var statistics = Statistics()

        var isEmpty: Bool { waiting.isEmpty && afterthoughts.isEmpty && counters.isEmpty && jobs.isEmpty }
    }

    private let database: any SQLDatabase
    private let chain: EventChain
    private let marks: MarkKeeping
    private let limits: Limits
    private let queue = Mutex(Queue())
    private let hooks = Mutex<[@Sendable () -> Void]>([])
    private let background = Mutex<Background?>(nil)
    /// Of the database, the one that chain and marks were read in.
    private let session = Atomic<Int>(0)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    let hasThread: Bool

    /// - Parameter hasThread: false where a test drives it by `commitNow`.
    init(database: any SQLDatabase, chain: EventChain, marks: MarkKeeping, limits: Limits, hasThread: Bool) {
        self.database = database
        self.chain = chain
        self.marks = marks
        self.limits = limits
        self.hasThread = hasThread
    }

    func start() {
        guard hasThread else { return }
        let thread = Thread { [self] in
            work()
            ended.signal()
        }
        thread.name = "sallyport.writer"
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Runs once after each group, on the writer's thread, when all completions of the group have run.
    package func afterGroup(_ hook: @escaping @Sendable () -> Void) {
        hooks.withLock { $0.append(hook) }
    }

    package var statistics: Statistics {
        queue.withLock { queue in
            var statistics = queue.statistics
            statistics.waiting = queue.waiting.count
            statistics.sessions = session.load(ordering: .relaxed)
            statistics.afterthoughtsWaiting = queue.afterthoughts.count
            return statistics
        }
    }

    // MARK: Submitting

    func submit(_ submission: Submission) {
        let (isTaken, mustWake) = queue.withLock { queue in
            guard queue.waiting.count < limits.waiting, !queue.isClosing else {
                queue.statistics.overloaded += 1
                return (false, false)
            }
            queue.waiting.append(submission)
            return (true, queue.rouse())
        }
        if mustWake { wake.signal() }
        if !isTaken { submission.fail(.overloaded) }
    }

    /// All that there is room for, in one go, so that they need not wait for different transactions.
    func submit(_ submissions: [Submission]) {
        let (room, mustWake) = queue.withLock { queue in
            let room = queue.isClosing ? 0 : max(0, min(submissions.count, limits.waiting - queue.waiting.count))
            queue.statistics.overloaded += submissions.count - room
            queue.waiting += submissions.prefix(room)
            return (room, room > 0 && queue.rouse())
        }
        if mustWake { wake.signal() }
        for submission in submissions.dropFirst(room) { submission.fail(.overloaded) }
    }

    /// Queues what nobody waits for.
    /// - Parameter counter: the counter that it sets; when the queue is full, the last value of each counter is kept.
    func remember(_ submission: Submission, counter: Counter? = nil) {
        let mustWake = queue.withLock { queue in
            let isFull = queue.afterthoughts.count >= limits.afterthoughts
            // A later value never overtakes an earlier one that still waits here.
            if let counter, !queue.isClosing, queue.counters[counter] != nil || isFull && queue.counters.count < limits.afterthoughts {
                queue.counters[counter] = submission
                return queue.rouse()
            }
            guard !isFull, !queue.isClosing else {
                queue.lose(submission)
                return false
            }
            queue.afterthoughts.append(submission)
            return queue.rouse()
        }
        if mustWake { wake.signal() }
    }

    /// A right login: what waits for lack of room to be counted against the user is forgotten.
    func forget(_ isForgotten: (Counter) -> Bool) {
        queue.withLock { queue in
            for counter in queue.counters.keys where isForgotten(counter) { queue.counters[counter] = nil }
        }
    }

    /// Runs `job` on the writer's thread between two groups; it may write to the database itself.
    func perform(_ job: @escaping @Sendable () -> Void) -> Bool {
        let (isTaken, mustWake) = queue.withLock { queue in
            if queue.isClosing { return (false, false) }
            queue.jobs.append(job)
            return (true, queue.rouse())
        }
        if mustWake { wake.signal() }
        return isTaken
    }

    /// What can wait. Runs on the writer's thread, a step at a time, while nothing was submitted for a moment.
    struct Background: Sendable {
        /// One step of some two milliseconds at most; false when there is nothing to do.
        var step: @Sendable () -> Bool
        /// So much is left lying that a step is taken now and then even under load.
        var isOverdue: @Sendable () -> Bool
    }

    func whenIdle(_ background: Background) {
        self.background.withLock { $0 = background }
    }

    // MARK: Writing

    /// Nothing was submitted for so long: the writer is idle. Between two logins of a busy gateway it never is.
    private static let idleAfter = DispatchTimeInterval.milliseconds(200)
    /// Between two steps of overdue background work under load.
    private static let overdueEvery: UInt64 = 100_000_000

    /// Two groups of few units begin so far apart. A commit costs the same for one unit as for a dozen, and where each login is long (the
    /// handshakes of EAP) they never come a dozen at a time. A login that comes later than this after the last one does not wait.
    private static let pace: UInt64 = 2_000_000
    /// So many units share a commit well enough to wait for no more.
    fileprivate static let company = 8

    private func work() {
        var mayHaveBackgroundWork = true
        var (lastGroup, lastStep): (UInt64, UInt64) = (0, 0)
        while true {
            gather(until: lastGroup + Self.pace)
            let began = DispatchTime.now().uptimeNanoseconds
            if commitNow() > 0 {
                mayHaveBackgroundWork = true
                lastGroup = began
                let now = DispatchTime.now().uptimeNanoseconds
                guard now - lastStep >= Self.overdueEvery else { continue }
                lastStep = now
                if let background = background.withLock({ $0 }), background.isOverdue() { _ = background.step() }
                continue
            }
            let (mustEnd, maySleep) = queue.withLock { queue in
                if !queue.isEmpty { return (false, false) }
                if queue.isClosing { return (true, false) }
                queue.isSleeping = true
                return (false, true)
            }
            if mustEnd { return }
            guard maySleep else { continue }
            guard mayHaveBackgroundWork else {
                wake.wait()
                continue
            }
            guard wake.wait(timeout: .now() + Self.idleAfter) == .timedOut else { continue }
            let isStillAsleep = queue.withLock { queue in
                defer { queue.isSleeping = false }
                return queue.isSleeping
            }
            guard isStillAsleep else {
                // Somebody woke the writer just now: that signal is to be taken.
                wake.wait()
                continue
            }
            mayHaveBackgroundWork = workInBackground()
        }
    }

    /// Waits for company, where there is somebody who has little of it.
    private func gather(until due: UInt64) {
        guard DispatchTime.now().uptimeNanoseconds < due else { return }
        let maySleep = queue.withLock { queue in
            queue.isGathering = !queue.isEmpty && !queue.hasCompany
            return queue.isGathering
        }
        guard maySleep, wake.wait(timeout: DispatchTime(uptimeNanoseconds: due)) == .timedOut else { return }
        let isAlone = queue.withLock { queue in
            defer { queue.isGathering = false }
            return queue.isGathering
        }
        // Somebody woke the writer just now: that signal is to be taken.
        if !isAlone { wake.wait() }
    }

    /// - Returns: whether something may be left, since there was something better to do.
    private func workInBackground() -> Bool {
        guard let background = background.withLock({ $0 }) else { return false }
        while background.step() {
            if queue.withLock({ !$0.isEmpty || $0.isClosing }) { return true }
        }
        return false
    }

    /// Commits what waits, up to one group, on the caller's thread. The writer's thread calls nothing else.
    /// - Returns: how many units, afterthoughts and jobs it took.
    @discardableResult
    package func commitNow() -> Int {
        var (group, jobs, lost) = queue.withLock { $0.take(limits.group) }
        if lost.count > 0 { group.append(telling(lost.count, at: lost.at)) }
        for job in jobs { job() }
        if !jobs.isEmpty { marks.noteChange() }
        guard !group.isEmpty else { return jobs.count }
        let began = DispatchTime.now().uptimeNanoseconds
        var written = WrittenGroup(group)
        do throws(DatabaseError) {
            try takeUp()
            try written.write(to: database, chain, marks)
        } catch {
            written.problem = error
        }
        let took = Int(DispatchTime.now().uptimeNanoseconds - began) / 1000
        queue.withLock { $0.statistics.count(written, microseconds: took) }
        written.tell { [database, marks] settlement, refused in
            Records.refusal(of: settlement, refused, in: database, marks)
        }
        for hook in hooks.withLock({ $0 }) { hook() }
        return group.count + jobs.count
    }

    /// In a new session with the database, what is remembered of its contents is read again.
    private func takeUp() throws(DatabaseError) {
        let number = try database.session()
        guard number != session.load(ordering: .relaxed) else { return }
        try chain.takeUp(database)
        try marks.takeUp(database)
        session.store(number, ordering: .relaxed)
    }

    /// The trail says what it does not have.
    private func telling(_ count: Int, at: Timestamp) -> Submission {
        let event = Event(.loginsRejected, at: at, reason: "lost-under-load", details: [Event.Detail("count", "\(count)")])
        return Submission(Unit(), trail: .event(event)) { [weak self] outcome in
            if case .written(.done) = outcome { return }
            self?.queue.withLock { $0.lost = ($0.lost.count + count, max($0.lost.at, at)) }
        }
    }

    /// Writes what waits, then takes nothing more.
    package func close() {
        let mustWake = queue.withLock { queue in
            queue.isClosing = true
            return queue.rouse()
        }
        guard hasThread else {
            while commitNow() > 0 {}
            return
        }
        if mustWake { wake.signal() }
        ended.wait()
        // A second call must not wait for ever.
        ended.signal()
    }
}

extension GroupCommit.Queue {
    /// Whether a group is worth its commit. Who changes something waits for each change in turn, an import for thousands.
    fileprivate var hasCompany: Bool {
        waiting.count >= GroupCommit.company || !jobs.isEmpty || isClosing || waiting.contains(where: \.isChange)
    }

    /// Whether the writer has to be woken.
    fileprivate mutating func rouse() -> Bool {
        let mustWake = isSleeping || isGathering && hasCompany
        if mustWake { (isSleeping, isGathering) = (false, false) }
        return mustWake
    }

    fileprivate mutating func lose(_ submission: GroupCommit.Submission) {
        statistics.afterthoughtsLost += 1
        if case .unit(let pending) = submission, case .event(let event) = pending.trail { lost = (lost.count + 1, max(lost.at, event.at)) }
    }

    fileprivate mutating func take(
        _ limit: Int
    ) -> (group: [GroupCommit.Submission], jobs: [@Sendable () -> Void], lost: (count: Int, at: Timestamp)) {
        let due = jobs
        jobs = []
        var group: [GroupCommit.Submission]
        if waiting.count <= limit {
            group = waiting
            waiting = []
            waiting.reserveCapacity(group.count)
        } else {
            group = Array(waiting.prefix(limit))
            waiting.removeFirst(limit)
        }
        let room = min(afterthoughts.count, limit)
        if room > 0 {
            group += afterthoughts.prefix(room)
            afterthoughts.removeFirst(room)
        }
        // After what came before them.
        if afterthoughts.isEmpty {
            for counter in counters.keys.prefix(limit - room) {
                if let submission = counters.removeValue(forKey: counter) { group.append(submission) }
            }
        }
        // Only with something else, so that a disk that is full is not asked for ever.
        let told = group.isEmpty ? (count: 0, at: lost.at) : lost
        if told.count > 0 { lost.count = 0 }
        return (group, due, told)
    }
}

extension GroupCommit.Statistics {
    fileprivate mutating func count(_ group: WrittenGroup, microseconds: Int) {
        groups += 1
        units += group.count
        largestGroup = max(largestGroup, group.count)
        microsecondsWriting += microseconds
        lastError = group.problem?.description
        if group.problem != nil {
            failedGroups += 1
            failed += group.count
            return
        }
        events += group.events
        refused += group.refused
        failed += group.failed
    }
}
