// SPDX-License-Identifier: Apache-2.0
// Holds what the trail says of erasures against itself and against the table: each was asked for, and each comes to its end.

internal import LoginEngine

/// The pure part: takes lines in order.
struct ErasureCheck {
    /// An erasure by the events that tell of it.
    struct Told {
        /// The line that asked for it; nil where retention has removed that.
        var begun: Int64?
        /// The last of its ends.
        var ended: Int64?
        /// From how many events something was taken.
        var events = 0
    }

    /// By user.
    private(set) var told: [Int64: Told] = [:]
    private var findings: [ChainFinding] = []
    /// Users with a row in the table, and the last line that there was when it was read.
    private var rows: Set<Int64> = []
    private var head: Int64 = 0
    private var base: Int64 = 0

    mutating func begin(rows: Set<Int64>, head: Int64, after base: Int64) {
        self.rows = rows
        self.head = head
        self.base = base
    }

    mutating func take(_ line: ChainedEvent) {
        guard line.event.kind == .userErased, let user = line.event.user else { return }
        guard line.event.endsErasure else {
            told[user, default: Told()].begun = line.seq
            return
        }
        var erasure = told[user] ?? Told()
        let named = line.event[Erasure.begunDetail].flatMap { Int64($0) }
        // Earlier releases did not name the line that asked for it.
        let isAsked = named.map { $0 == erasure.begun || $0 <= base } ?? (erasure.begun != nil || base > 0)
        if !isAsked || erasure.ended != nil {
            findings.append(
                ChainFinding(
                    kind: .personal, lines: line.seq...line.seq, text: "ends the erasure of user \(user), and no line asks for one"))
        }
        erasure.ended = line.seq
        erasure.events += line.event["events"].flatMap { Int($0) } ?? 0
        told[user] = erasure
    }

    /// - Parameter last: the last line that there is.
    func end(last: Int64) -> [ChainFinding] {
        var found = findings
        for (user, erasure) in told.sorted(by: { $0.key < $1.key }) {
            guard let begun = erasure.begun, erasure.ended == nil, begun <= head, !rows.contains(user) else { continue }
            found.append(
                ChainFinding(
                    kind: .personal, lines: begun...begun,
                    text: "the erasure of user \(user) began here and never ended: the row by which it goes on was taken away"))
        }
        for user in rows.sorted() where told[user]?.begun == nil || (told[user]?.ended ?? .max) <= head {
            found.append(
                ChainFinding(
                    kind: .personal, lines: last...last, text: "a row of the table `erasure` asks to erase user \(user), and no line does"))
        }
        return found
    }
}
