// SPDX-License-Identifier: Apache-2.0
// Personal fields that are not there: erased with an event that says so, or taken out.

internal import LoginEngine

/// The pure part: takes what is missing, in order of the lines.
struct PersonalCheck {
    private struct Missing {
        var lines: ClosedRange<Int64>
        var count = 1

        mutating func add(_ seq: Int64) {
            lines = lines.lowerBound...max(seq, lines.upperBound)
            count += 1
        }
    }

    /// By user, and of names that nobody had.
    private var subjects: [Int64?: Missing] = [:]
    /// Runs of lines.
    private var actors: [ClosedRange<Int64>] = []
    /// Passwords that somebody changed himself: the line names the user as the one who did it, by user.
    private var ownChanges: [Int64: [Int64]] = [:]

    mutating func missSubject(of event: Event, _ seq: Int64) {
        if subjects[event.user]?.add(seq) == nil { subjects[event.user] = Missing(lines: seq...seq) }
    }

    mutating func missActor(of event: Event, _ seq: Int64) {
        if event.kind == .userChanged, event["change"] == "password set", let user = event.user {
            ownChanges[user, default: []].append(seq)
        } else {
            missActor(seq)
        }
    }

    private mutating func missActor(_ seq: Int64) {
        if let last = actors.last, last.upperBound + 1 == seq {
            actors[actors.count - 1] = last.lowerBound...seq
        } else if actors.count <= ChainCheck.mostFindings {
            actors.append(seq...seq)
        }
    }

    /// - Parameter told: the erasures that the trail tells of, by user.
    func end(_ told: [Int64: ErasureCheck.Told]) -> [ChainFinding] {
        var whole = self
        for (user, lines) in ownChanges.sorted(by: { $0.key < $1.key }) where told[user] == nil {
            for seq in lines { whole.missActor(seq) }
        }
        return whole.actors.map { lines in
            ChainFinding(kind: .personal, lines: lines, text: "who did it was taken out; no erasure does that")
        } + subjectFindings(told)
    }

    private func subjectFindings(_ told: [Int64: ErasureCheck.Told]) -> [ChainFinding] {
        var findings: [ChainFinding] = []
        // What each erasure took beyond the lines that name its user was typed by somebody when nobody had the name.
        var typed = 0
        var isUnderWay = false
        for (user, erasure) in told {
            typed += max(0, erasure.events - (subjects[user]?.count ?? 0))
            if erasure.ended == nil { isUnderWay = true }
        }
        for (user, missing) in subjects.sorted(by: { $0.value.lines.lowerBound < $1.value.lines.lowerBound }) {
            guard let user else {
                guard missing.count > typed, !isUnderWay else { continue }
                let text = "the person's fields of \(missing.count - typed) of them were taken out, and no event says that they were erased"
                findings.append(ChainFinding(kind: .personal, lines: missing.lines, text: text))
                continue
            }
            let text = "the fields of user \(user) were taken out, and no event says that they were erased"
            if let erasure = told[user] {
                guard let ended = erasure.ended, missing.lines.upperBound > ended else { continue }
                let lines = max(ended, missing.lines.lowerBound)...missing.lines.upperBound
                findings.append(ChainFinding(kind: .personal, lines: lines, text: text))
            } else {
                findings.append(ChainFinding(kind: .personal, lines: missing.lines, text: text))
            }
        }
        return findings
    }
}
