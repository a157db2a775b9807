// SPDX-License-Identifier: Apache-2.0
// The counters of one shard's users in memory, bounded; the database holds the same ones, written behind.

/// Whom failures count against.
package enum FailureSubject: Hashable, Sendable {
    case user(Int64)
    /// A name that nobody has: counted alike, so that a lock tells nothing, but never stored.
    case nobody(String)
}

/// What is known of one subject's failures.
package struct SubjectFailures: Sendable {
    package var records: [FailureRecord]
    /// Proofs that were wrong a moment ago, the newest last: the same one again is a retry, not a guess.
    package var wrongProofs: [WrongProof] = []
    /// Checks under way at this moment: each may turn out to be one more failure, so each counts against the limit already.
    package var underWay = UnderWay()

    package struct UnderWay: Sendable, Equatable {
        /// Passwords, of this login's source and of all.
        package var passwordsFromSource = 0
        package var passwords = 0
        package var codes = 0

        package init() {}

        func count(_ kind: FailureRecord.Kind) -> Int {
            switch kind {
            case .passwordFromSource: passwordsFromSource
            case .password: passwords
            case .code: codes
            case .recovery: 0
            }
        }
    }

    package struct WrongProof: Sendable, Equatable {
        package var proof: Fingerprint
        package var at: Timestamp
    }

    /// Sources and wrong proofs kept for one subject; more push out the oldest.
    static let mostRecords = 64
    static let mostProofs = 8

    package init(records: [FailureRecord]) {
        self.records = records
    }

    /// The counter of this kind (and source), or a fresh one.
    package func record(_ kind: FailureRecord.Kind, source: String = "", at now: Timestamp) -> FailureRecord {
        records.first { $0.kind == kind && $0.source == source }
            ?? FailureRecord(kind: kind, source: source, count: 0, since: now, level: 0, lockedUntil: nil)
    }

    package func isLocked(_ kind: FailureRecord.Kind, source: String = "", at now: Timestamp, rules: LockoutRules) -> Bool {
        let known = records.first { $0.kind == kind && $0.source == source }
        if let known, known.lockEnd(at: now, rules: rules) != nil { return true }
        let underWay = underWay.count(kind)
        return underWay > 0 && (known?.live(at: now, rules: rules) ?? 0) + underWay >= rules.limit(kind)
    }

    /// - Parameter uptime: proofs age by the clock that never jumps.
    package func wasWrong(_ proof: Fingerprint, within span: Timestamp.Span, at uptime: Timestamp) -> Bool {
        wrongProofs.contains { $0.proof == proof && uptime - $0.at <= span }
    }

    /// A right login: what it proved is forgiven, for its own source alone where sources are counted apart.
    /// - Returns: whether anything was.
    mutating func forgive(_ kinds: [FailureRecord.Kind], source: String) -> Bool {
        // What was wrong a moment ago may be right now: a token's clock was learnt, a password was set.
        wrongProofs = []
        let before = records.count
        records.removeAll { kinds.contains($0.kind) && ($0.kind != .passwordFromSource || $0.source == source) }
        return records.count < before
    }

    /// Whether a clock that was set back made a lock longer than it may be.
    func needsRebase(at now: Timestamp, rules: LockoutRules) -> Bool {
        records.contains { $0.rebased(at: now, rules: rules) != $0 }
    }

    mutating func rebase(at now: Timestamp, rules: LockoutRules) {
        records = records.map { $0.rebased(at: now, rules: rules) }
    }

    /// One more failure of this kind.
    /// - Returns: the counter as it is now.
    @discardableResult
    package mutating func count(_ kind: FailureRecord.Kind, source: String, at now: Timestamp, rules: LockoutRules) -> FailureRecord {
        let counted = record(kind, source: source, at: now).counting(at: now, rules: rules)
        put(counted)
        return counted
    }

    private mutating func put(_ record: FailureRecord) {
        if let index = records.firstIndex(where: { $0.kind == record.kind && $0.source == record.source }) {
            records[index] = record
            return
        }
        if records.count >= Self.mostRecords {
            // Only counters of single sources make room: many sources must not push out what counts over all of them.
            let bySource = records.indices.filter { records[$0].kind == .passwordFromSource }
            if let oldest = bySource.min(by: { records[$0].since < records[$1].since }) { records.remove(at: oldest) }
        }
        records.append(record)
    }

    mutating func remember(wrong proof: Fingerprint, at uptime: Timestamp) {
        wrongProofs.removeAll { $0.proof == proof }
        if wrongProofs.count >= Self.mostProofs { wrongProofs.removeFirst() }
        wrongProofs.append(WrongProof(proof: proof, at: uptime))
    }
}

/// The subjects that failed lately. A hundred thousand names cannot grow it beyond `capacity`.
package struct Failures: Sendable {
    private var subjects: [FailureSubject: SubjectFailures] = [:]
    /// Subjects in the order of their first failure; the oldest makes room. Stale entries are skipped when they come up.
    private var order: [FailureSubject] = []
    private var head = 0
    package let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
    }

    package var count: Int { subjects.count }

    /// What counts against a subject: memory is newer than what was read from the database.
    package func known(_ subject: FailureSubject, stored: [FailureRecord]) -> SubjectFailures {
        subjects[subject] ?? SubjectFailures(records: stored)
    }

    package mutating func update(_ subject: FailureSubject, stored: [FailureRecord], _ change: (inout SubjectFailures) -> Void) {
        if subjects[subject] == nil {
            makeRoom()
            order.append(subject)
            subjects[subject] = SubjectFailures(records: stored)
        }
        change(&subjects[subject, default: SubjectFailures(records: stored)])
    }

    package mutating func forget(_ subject: FailureSubject) {
        subjects[subject] = nil
    }

    private mutating func makeRoom() {
        while subjects.count >= capacity, head < order.count {
            subjects[order[head]] = nil
            head += 1
        }
        if head > capacity || order.count > 2 * capacity {
            order = order[head...].filter { subjects[$0] != nil }
            head = 0
        }
    }
}
