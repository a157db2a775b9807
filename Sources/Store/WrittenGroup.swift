// SPDX-License-Identifier: Apache-2.0
// One group on its way: what it takes and writes, and what everybody in it is told.

internal import LoginEngine

/// Lives on the writer's thread, from the queue to the last completion.
struct WrittenGroup {
    /// Why a settlement was refused.
    enum Refusal: Sendable {
        /// By the guard with this index.
        case byGuard(Int)
        /// Its mark at this position was used before.
        case marked(Int)
    }

    private enum Fate {
        case done
        /// Of the unit with this index.
        case unit(Int)
        case used(Int)
    }

    private let submissions: [GroupCommit.Submission]
    private var fates: [Fate] = []
    private var outcomes: [UnitOutcome] = []
    private(set) var events = 0
    /// Why nothing was written.
    var problem: DatabaseError?

    init(_ submissions: [GroupCommit.Submission]) {
        self.submissions = submissions
    }

    var count: Int { submissions.count }

    var refused: Int {
        fates.count { fate in
            switch fate {
            case .done: false
            case .used: true
            case .unit(let number): if case .refused = outcomes[number] { true } else { false }
            }
        }
    }

    var failed: Int {
        outcomes.count { if case .failed = $0 { true } else { false } }
    }

    /// - Throws: when nothing was written.
    mutating func write(to database: any SQLDatabase, _ chain: EventChain, _ marks: MarkKeeping) throws(DatabaseError) {
        var (day, hasChange) = (Int64.min, false)
        for submission in submissions {
            switch submission {
            case .settlement(let pending):
                if pending.renewal != nil { hasChange = true }
                if !pending.settlement.marks.isEmpty { day = max(day, MarkSlots.day(of: pending.settlement.decision.at)) }
            case .unit(let pending):
                if pending.isChange { hasChange = true }
            }
        }
        let round = try marks.begin(day: day == .min ? nil : day)
        var units: [Unit] = []
        fates.reserveCapacity(submissions.count)
        for (index, submission) in submissions.enumerated() {
            switch submission {
            case .unit(let pending):
                fates.append(.unit(units.count))
                units.append(pending.unit)
            case .settlement(let pending):
                switch marks.plan(pending.settlement, pending.renewal, index: index, isCertain: !hasChange, in: round) {
                case .taken: fates.append(.done)
                case .used(let position): fates.append(.used(position))
                case .unit(let unit):
                    fates.append(.unit(units.count))
                    units.append(unit)
                }
            }
        }
        var link: EventChain.Link?
        var lines = 0
        do throws(DatabaseError) {
            outcomes = try database.write(units) { [submissions, fates] outcomes in
                let trail = Self.trail(of: submissions, fates, outcomes)
                lines = trail.count
                let new = chain.link(trail)
                link = new
                let mark = marks.closing(round) { Self.isDone(fates[$0], outcomes) }
                return mark.map { [$0] + new.statements } ?? new.statements
            }
        } catch {
            marks.abandon(round)
            throw error
        }
        events = lines
        if let link { chain.adopt(link) }
        let (fates, outcomes) = (fates, outcomes)
        marks.keep(round) { Self.isDone(fates[$0], outcomes) }
        if hasChange { marks.noteChange() }
    }

    /// Runs every completion once.
    func tell(_ refusal: (Settlement, Refusal) -> SettlementOutcome) {
        for (index, submission) in submissions.enumerated() {
            if problem != nil {
                submission.fail(.databaseUnavailable)
                continue
            }
            switch submission {
            case .unit(let pending):
                guard case .unit(let number) = fates[index] else { continue }
                pending.completion(.written(outcomes[number]))
            case .settlement(let pending):
                switch fates[index] {
                case .done: pending.completion(.done)
                case .used(let position): pending.completion(refusal(pending.settlement, .marked(position)))
                case .unit(let number):
                    switch outcomes[number] {
                    case .done: pending.completion(.done)
                    case .refused(let guarded): pending.completion(refusal(pending.settlement, .byGuard(guarded)))
                    case .failed: pending.completion(.failed(.databaseUnavailable))
                    }
                }
            }
        }
    }

    private static func isDone(_ fate: Fate, _ outcomes: [UnitOutcome]) -> Bool {
        switch fate {
        case .done: true
        case .used: false
        case .unit(let number): outcomes[number].isDone
        }
    }

    private static func trail(of submissions: [GroupCommit.Submission], _ fates: [Fate], _ outcomes: [UnitOutcome]) -> [Event] {
        var events: [Event] = []
        events.reserveCapacity(submissions.count)
        for (submission, fate) in zip(submissions, fates) where isDone(fate, outcomes) {
            switch submission {
            case .settlement(let pending):
                if pending.renewal != nil, let event = pending.settlement.renewalEvent { events.append(event) }
                events.append(pending.settlement.event)
            case .unit(let pending):
                switch pending.trail {
                case .none: break
                case .event(let event): events.append(event)
                case .made(let make):
                    if case .unit(let number) = fate, case .done(let rows) = outcomes[number] { events += make(rows) }
                }
            }
        }
        return events
    }
}
