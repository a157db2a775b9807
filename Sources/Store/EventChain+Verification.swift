// SPDX-License-Identifier: Apache-2.0
// Reads the whole trail and says which lines were changed, removed, reordered or cut off.
// A whole database that was put back to an older state is in itself consistent: only an anchor kept elsewhere shows that.

package import LoginEngine

package struct ChainFinding: Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// A line, or what its group says about it, is not what was written.
        case changed
        case removed
        case reordered
        /// Lines at the end are missing.
        case cut
        /// The group was not written with this database's key.
        case forged
        /// The record of the chain's end is not what was written.
        case head
        /// The personal fields beside a line are not those it commits to.
        case personal
        /// Lines that a search does not find, or finds where they are not.
        case index
        /// The mark behind which retention has removed lines is not what was written.
        case base
        /// There was more of the trail when it was anchored.
        case restored
        /// Lines are others than when they were anchored.
        case rewritten
        /// An anchor that is none of this trail's.
        case anchor
        /// A trail that was anchored is not here.
        case chain
    }

    package var kind: Kind
    /// The first and the last line that it is about.
    package var lines: ClosedRange<Int64>
    package var text: String

    package var seq: Int64 { lines.lowerBound }

    package var description: String {
        let place = lines.count == 1 ? "line \(lines.lowerBound)" : "lines \(lines.lowerBound) to \(lines.upperBound)"
        return "\(place): \(text)"
    }
}

package struct ChainReport: Sendable {
    package var groups = 0
    package var events = 0
    /// Events whose personal fields were erased.
    package var erased = 0
    package var findings: [ChainFinding] = []
    /// More were found than are listed.
    package var isCutShort = false
    package var head: EventChain.Head
    package var first: Timestamp?
    package var last: Timestamp?
    /// The line before the first one: retention has removed up to it.
    package var base: Int64 = 0
    /// That agree with the trail.
    package var anchors = 0
    /// Of those, the ones that were kept elsewhere.
    package var anchorsElsewhere = 0
    /// The newest one that was compared.
    package var lastAnchor: Anchor?
    /// Lines behind the newest anchor.
    package var unanchored: Int64 = 0

    package var isIntact: Bool { findings.isEmpty }
}

extension Records {
    /// Streams the trail, a few groups at a time, in views that are each consistent; lines written meanwhile belong to it or not.
    /// - Parameters:
    ///   - anchors: kept elsewhere; those in the database are looked at too.
    ///   - keys: whose signatures count; nil: this database's own.
    ///   - progress: called now and then with the last line that was looked at.
    package func verifyChain(
        anchors: [PlacedAnchor] = [], keys: [String]? = nil, progress: (Int64) -> Void = { _ in }
    ) throws(StoreError) -> ChainReport {
        let own = try trailKey()
        do throws(DatabaseError) {
            // Before the head: an anchor that is written meanwhile may be beyond it.
            let kept = try keptAnchors().map { PlacedAnchor($0) }.filter {
                $0.anchor.chain == own.chain && own.known.contains($0.anchor.text.key)
            }
            var check = ChainCheck(
                signing: chain.signing,
                anchors: AnchorCheck(kept + anchors, chain: own.chain, keys: keys.map { $0 + own.known } ?? own.known))
            // The head first: what is written after it does not matter.
            let results = try database.read([Statement(.readHead), Statement(.readBase), Statement(.erasures)])
            let base = try results[1].first.map { row throws(DatabaseError) in try CutMark(row) }
            var found = IndexCheck(after: base?.head.seq ?? 0, upTo: index.watermark)
            let erasing = try results[2].map { row throws(DatabaseError) in try row.integer(0) }
            try check.begin(results[0].first, after: base, erasing: Set(erasing))
            var from: Int64 = .min
            while true {
                let results = try database.read([
                    Statement(.groupsAbove, [.integer(from), .integer(64)]), Statement(.personalAbove, [.integer(from), .integer(64)]),
                ])
                if results[0].isEmpty { break }
                var personal: [Int64: [UInt8]] = [:]
                for row in results[1] { personal[try row.integer(0)] = try row.blob(1) }
                for row in results[0] {
                    from = try row.integer(0)
                    let group = try EventGroup(row)
                    check.take(group, personal: personal[from])
                    try found.take(group, database)
                }
                progress(from)
            }
            try check.end(try database.read([Statement(.readHead)])[0].first)
            // Where lines were changed, the tables cannot agree with them.
            if check.report.isIntact, let finding = try found.end(database) { check.add(finding) }
            return check.report
        } catch {
            throw StoreError(error)
        }
    }
}

/// The lines of one group, held against their checks.
private struct CheckedBody {
    private(set) var lines: [EventGroup.Line] = []
    /// The chain's behind each line.
    private(set) var hashes: [[UInt8]] = []
    /// Offsets of lines that are not those of their checks.
    private(set) var changed: Set<Int> = []
    let endsInHead: Bool
    /// What the group says of itself, as far as its body could hold so many.
    let claimedCount: Int64

    init(_ group: EventGroup) {
        lines = (try? group.lines()) ?? []
        claimedCount = min(max(group.count, 1), Int64(group.body.count / EventChain.checkSize + 1))
        var hash = group.previous
        for (offset, line) in lines.enumerated() {
            hash = EventChain.hash(line.bytes, after: hash)
            hashes.append(hash)
            if group.checksLinesAlone {
                if !EventChain.check(of: line.bytes, { $0.elementsEqual(line.check) }) { changed.insert(offset) }
            } else if changed.isEmpty, !hash.prefix(EventChain.checkSize).elementsEqual(line.check) {
                changed.insert(offset)
            }
        }
        endsInHead = hash == group.head
    }

    /// A length that was changed makes other lines of the bytes behind it: what is no line must not be named as one.
    var isReadable: Bool {
        !lines.isEmpty && (Int64(lines.count) == claimedCount || changed.isEmpty && endsInHead)
    }
}

/// What one line says of personal fields that are kept beside it.
private struct Commitment {
    var seq: Int64
    var role: PersonalEntry.Role
    var value: [UInt8]
    var event: Event
}

/// The pure part: takes groups in order.
struct ChainCheck {
    static let mostFindings = 1000

    private let signing: ChainSigning
    private var anchors: AnchorCheck
    private var erasures = ErasureCheck()
    private var missing = PersonalCheck()
    private var expected: Int64 = 1
    /// What the last group may have ended with: two, where what it says and what it leads to differ. That is told of it, and not of the next.
    private var previous = [EventChain.origin]
    private var recorded: EventChain.Head?
    private(set) var report = ChainReport(head: EventChain.Head(seq: 0, hash: EventChain.origin))

    init(signing: ChainSigning, anchors: AnchorCheck) {
        self.signing = signing
        self.anchors = anchors
    }

    /// - Parameters:
    ///   - row: the head record.
    ///   - base: where retention has cut.
    ///   - users: who is being erased, read together with the head record.
    mutating func begin(_ row: Row?, after base: CutMark?, erasing users: Set<Int64>) throws(DatabaseError) {
        if let base {
            report.base = base.head.seq
            expected = base.head.seq + 1
            previous = [base.head.hash]
            if signing.mac(ofCut: base.head) != base.mac {
                find(.base, expected...expected, "the mark behind which lines were removed was not written with this database's key")
            }
        }
        anchors.begin(after: EventChain.Head(seq: expected - 1, hash: previous[0]))
        erasures.begin(rows: users, head: try row?.integer(0) ?? 0, after: report.base)
        guard let row else { return }
        let head = EventChain.Head(seq: try row.integer(0), hash: try row.blob(1))
        recorded = head
        report.head = head
        if signing.mac(of: head) != (try row.blob(2)) {
            find(.head, head.seq...head.seq, "the record of the chain's end was not written with this database's key")
        }
    }

    private mutating func find(_ kind: ChainFinding.Kind, _ lines: ClosedRange<Int64>, _ text: String) {
        guard report.findings.count < Self.mostFindings else {
            report.isCutShort = true
            return
        }
        report.findings.append(ChainFinding(kind: kind, lines: lines, text: text))
    }

    mutating func add(_ finding: ChainFinding) { report.findings.append(finding) }

    mutating func take(_ group: EventGroup, personal: [UInt8]?) {
        report.groups += 1
        let body = CheckedBody(group)
        if group.first <= report.base {
            let last = max(group.first, group.first &+ body.claimedCount - 1)
            find(.changed, group.first...last, "edited, and left here as evidence when retention removed what was around it")
            return
        }
        let before = report.findings.count
        if group.first > expected {
            find(.removed, expected...group.first - 1, "removed")
        } else if group.first < expected {
            find(.reordered, group.first...group.first, "stands where another line ended")
        } else if !previous.contains(group.previous) {
            find(.changed, group.first...group.first, "its group does not follow the line before it")
        }
        let lines = body.lines
        let last = max(group.first, group.first &+ Int64(max(lines.count, 1)) - 1)
        guard body.isReadable else {
            let last = max(group.first, group.first &+ body.claimedCount - 1)
            find(.changed, group.first...last, "the group cannot be read")
            expected = max(expected, last == .max ? last : last + 1)
            previous = [group.head]
            return
        }
        var commitments: [Commitment] = []
        for (offset, line) in lines.enumerated() {
            let seq = group.first &+ Int64(offset)
            anchors.see(seq, hash: body.hashes[offset])
            let decoded = try? EventCodec.decode(line.bytes)
            let isChanged = body.changed.contains(offset)
            if isChanged {
                // In the first version the checks of what follows in the group are made with this line's hash, and say nothing any more.
                let rest = group.checksLinesAlone ? 0 : lines.count - offset - 1
                find(
                    .changed, seq...seq, rest == 0 ? "changed" : "changed; the \(rest) behind it in its group cannot be vouched for either")
            }
            guard let decoded else {
                if body.changed.isEmpty { find(.changed, seq...seq, "cannot be read") }
                continue
            }
            if !isChanged, decoded.seq != seq { find(.reordered, seq...seq, "line \(decoded.seq) stands in its place") }
            report.events += 1
            report.first = min(report.first ?? decoded.event.at, decoded.event.at)
            report.last = max(report.last ?? decoded.event.at, decoded.event.at)
            // What a changed line commits to says nothing of the fields beside it.
            if isChanged { continue }
            erasures.take(decoded)
            for (role, value) in [(PersonalEntry.Role.subject, decoded.subjectCommitment), (.actor, decoded.actorCommitment)] {
                guard let value else { continue }
                commitments.append(Commitment(seq: seq, role: role, value: value, event: decoded.event))
            }
        }
        if Int64(lines.count) != group.count {
            find(.changed, group.first...last, "the group says that it has \(group.count) lines, and has \(lines.count)")
        }
        if body.changed.isEmpty, !body.endsInHead {
            let text = "the group does not end with the hash that it names: it, or lines together with their checks, were changed"
            find(.changed, group.first...last, text)
        }
        if !signing.isGenuine(group), report.findings.count == before {
            find(.forged, group.first...last, "not written with this database's key, or its record was changed")
        }
        let changed = Set(body.changed.map { group.first &+ Int64($0) })
        check(commitments, against: personal, of: group, last: last, except: changed)
        expected = max(expected, last == .max ? last : last + 1)
        previous = [group.head]
        if !body.endsInHead, body.changed.isEmpty { previous += body.hashes.suffix(1) }
    }

    private mutating func check(
        _ commitments: [Commitment], against bytes: [UInt8]?, of group: EventGroup, last: Int64, except changed: Set<Int64>
    ) {
        var entries: [PersonalEntry] = []
        do throws(DecodingError) {
            entries = try PersonalCodec.decode((bytes ?? [])[...], first: group.first)
        } catch {
            find(.personal, group.first...last, "the personal fields of the group cannot be read")
            return
        }
        var erased: Set<Int64> = []
        for commitment in commitments {
            let kept = entries.filter { $0.seq == commitment.seq && $0.role == commitment.role }
            if kept.isEmpty {
                erased.insert(commitment.seq)
                switch commitment.role {
                case .subject: missing.missSubject(of: commitment.event, commitment.seq)
                case .actor: missing.missActor(of: commitment.event, commitment.seq)
                }
            }
            for entry in kept where EventCodec.commitment(of: entry.fields, salt: entry.salt[...]) != commitment.value {
                find(.personal, entry.seq...entry.seq, "its personal fields were changed")
            }
        }
        report.erased += erased.count
        for entry in entries
        where !changed.contains(entry.seq) && !commitments.contains(where: { $0.seq == entry.seq && $0.role == entry.role }) {
            find(.personal, entry.seq...entry.seq, "personal fields were added to it")
        }
    }

    /// - Parameter row: the head record as it is after the last group was read.
    mutating func end(_ row: Row?) throws(DatabaseError) {
        let last = expected - 1
        defer {
            for finding in erasures.end(last: last) + missing.end(erasures.told) { find(finding.kind, finding.lines, finding.text) }
            for finding in anchors.end(last: last) { find(finding.kind, finding.lines, finding.text) }
            report.anchors = anchors.checked
            report.anchorsElsewhere = anchors.checkedElsewhere
            report.lastAnchor = anchors.newest
            report.unanchored = max(0, last - (anchors.newest?.seq ?? 0))
        }
        guard let recorded, let row else {
            find(.head, last...last, "the record of the chain's end is missing")
            return
        }
        let now = try row.integer(0)
        if now < last { find(.head, now...now, "the record of the chain's end was turned back; there are lines up to \(last)") }
        if recorded.seq >= expected {
            find(.cut, expected...recorded.seq, "missing at the end")
        } else if recorded.seq == expected - 1, !previous.contains(recorded.hash) {
            find(.head, recorded.seq...recorded.seq, "the record of the chain's end names another line")
        }
    }
}

extension SQL {
    static let personalAbove = SQL(
        """
        SELECT p.first_seq, p.body FROM event_personal p WHERE p.first_seq > ?1 AND p.first_seq <= coalesce((
            SELECT max(g.first_seq) FROM (SELECT first_seq FROM event_group WHERE first_seq > ?1 ORDER BY first_seq LIMIT ?2) g), ?1)
        """)
}
