// SPDX-License-Identifier: Apache-2.0
// When a reject leaves, so that its time does not tell why somebody was refused (docs/design/0009-time-of-a-reject.md). Pure.

/// Counts from the arrival of the request, never from the decision: what the decision took is not in it, as long as it took less than a step.
package struct RejectRelease: Sendable, Equatable {
    /// Where a code is all that is asked: longer than a look-up with a transaction takes.
    package var codeStep: Timestamp.Span = .milliseconds(20)
    /// Where a password may be checked: longer than a hash takes, or a directory.
    package var passwordStep: Timestamp.Span = .milliseconds(100)
    /// All rejects that are due in the same cell of this width leave together, at a random moment of the next one.
    package var cell: Timestamp.Span = .milliseconds(2)

    package init() {}

    /// The same for everybody at a client: what is asked of one user, and of a name that nobody has, may differ.
    package func step(at client: Client, under policies: PolicyTable) -> Timestamp.Span {
        policies.mayAskPassword(at: client) ? passwordStep : codeStep
    }

    /// The first whole step since the arrival that the decision did not outlast, as the number of a cell.
    package func cell(arrived: Timestamp, decided: Timestamp, step: Timestamp.Span) -> Int64 {
        let steps = max(1, Self.quotient(above: (decided - arrived).microseconds, step.microseconds))
        return Self.quotient(above: arrived.microseconds + steps * step.microseconds, cell.microseconds)
    }

    /// Never before what is in the cell is due. Where the moment is a random one, a difference of microseconds in what follows drowns.
    package func departure(of number: Int64, random: inout some RandomNumberGenerator) -> Timestamp {
        Timestamp(microseconds: number * cell.microseconds + Int64.random(in: 0..<cell.microseconds, using: &random))
    }

    private static func quotient(above dividend: Int64, _ divisor: Int64) -> Int64 {
        dividend <= 0 ? 0 : (dividend - 1) / divisor + 1
    }
}

/// Answers on their way, by cell.
struct KeptAnswers {
    struct Answer: Sendable {
        var arrived: Timestamp
        var waiter: UInt64
        var answer: LoginAnswer
        var completion: @Sendable (LoginAnswer) -> Void
    }

    enum Entry { case first, another, full }

    private var cells: [Int64: [Answer]] = [:]
    private(set) var count = 0
    /// What a second of them is on a fast machine; more are shed, whoever they are for.
    static let most = 65_536

    mutating func add(_ answer: Answer, to cell: Int64) -> Entry {
        guard count < Self.most else { return .full }
        count += 1
        cells[cell, default: []].append(answer)
        return cells[cell]?.count == 1 ? .first : .another
    }

    /// In the order in which they came in, whenever they were decided.
    mutating func take(_ cell: Int64) -> [Answer] {
        let group = cells.removeValue(forKey: cell) ?? []
        count -= group.count
        return group.sorted { ($0.arrived, $0.waiter) < ($1.arrived, $1.waiter) }
    }
}
