// SPDX-License-Identifier: Apache-2.0
// What was used of each factor since it was folded into the factor's row, in memory: the writer judges by it, logins look at it.

internal import LoginEngine
internal import Synchronization

/// Complete: a step that is neither here nor at or below the factor's folded one was never used.
final class LiveMarks: Sendable {
    /// A used step or counter, and the row of the log that tells of it.
    struct Use: Sendable, Equatable {
        var step: Int64
        var row: Int64
    }

    /// What is known of one factor.
    struct Standing: Sendable, Equatable {
        var highest: Use
        /// When the highest was used, microseconds since 1970.
        var at: Int64
        /// Every step up to it counts as used.
        var floor: Int64
        /// Used steps between `floor` and the highest, ascending.
        var below: [Use]

        init(_ use: Use, at: Int64) {
            highest = use
            self.at = at
            floor = .min
            below = []
        }
    }

    enum Judgement: Sendable, Equatable {
        /// Taken now; with what was known before, to undo it.
        case taken(before: Standing?)
        /// Used before, by the row of the log if that is still known.
        case used(row: Int64?)
    }

    /// Used steps of a factor that are told apart; below them everything counts as used. Codes are valid for three steps.
    static let mostBelow = 8
    private static let shardCount = 16

    private final class Shard: Sendable {
        let standings = Mutex<[Int64: Standing]>([:])
    }

    private let shards = (0..<LiveMarks.shardCount).map { _ in Shard() }

    private func shard(of factor: Int64) -> Shard { shards[Int(truncatingIfNeeded: factor) & (Self.shardCount - 1)] }

    func standing(of factor: Int64) -> Standing? {
        shard(of: factor).standings.withLock { $0[factor] }
    }

    var count: Int { shards.reduce(0) { $0 + $1.standings.withLock { $0.count } } }

    /// Takes a step, unless it was used.
    /// - Parameter isCounter: a counter below the highest counts as used (RFC 4226 §7.2), a TOTP step only where it was (RFC 6238 §5.2).
    func take(_ use: Use, of factor: Int64, isCounter: Bool, at: Int64) -> Judgement {
        shard(of: factor).standings.withLock { standings in
            guard var standing = standings[factor] else {
                standings[factor] = Standing(use, at: at)
                return .taken(before: nil)
            }
            if let row = standing.row(of: use.step) { return .used(row: row) }
            if use.step <= standing.floor || isCounter && use.step < standing.highest.step { return .used(row: nil) }
            let before = standing
            standing.add(use, at: at)
            standings[factor] = standing
            return .taken(before: before)
        }
    }

    /// Adds what a row of the log tells, in whatever order.
    func replay(_ use: Use, of factor: Int64, at: Int64) {
        shard(of: factor).standings.withLock { standings in
            guard standings[factor]?.add(use, at: at) == nil else { return }
            standings[factor] = Standing(use, at: at)
        }
    }

    /// As it was before a `take` that came to nothing.
    func restore(_ factor: Int64, to before: Standing?) {
        shard(of: factor).standings.withLock { $0[factor] = before }
    }

    /// The row that tells of a use, if it is known.
    func row(of step: Int64, factor: Int64) -> Int64? { standing(of: factor)?.row(of: step) }

    // MARK: Folding

    /// What goes into a factor's row.
    struct Fold: Sendable, Equatable {
        var factor: Int64
        var step: Int64
        /// When the highest step was used; nil where a later one is not folded yet.
        var at: Int64?
    }

    /// What the rows of the log up to `row` say, by factor.
    func folds(upTo row: Int64) -> [Fold] {
        var folds: [Fold] = []
        for shard in shards {
            shard.standings.withLock { standings in
                for (factor, standing) in standings {
                    if standing.highest.row <= row {
                        folds.append(Fold(factor: factor, step: standing.highest.step, at: standing.at))
                    } else {
                        let step = max(standing.floor, standing.below.filter { $0.row <= row }.map(\.step).max() ?? .min)
                        if step > .min { folds.append(Fold(factor: factor, step: step, at: nil)) }
                    }
                }
            }
        }
        return folds.sorted { $0.factor < $1.factor }
    }

    /// The factor's row says it now.
    func forget(_ fold: Fold) {
        shard(of: fold.factor).standings.withLock { standings in
            guard var standing = standings[fold.factor] else { return }
            if standing.highest.step <= fold.step {
                standings[fold.factor] = nil
            } else {
                standing.raiseFloor(to: fold.step)
                standings[fold.factor] = standing
            }
        }
    }
}

extension LiveMarks.Standing {
    func row(of step: Int64) -> Int64? {
        if highest.step == step { return highest.row }
        return below.first { $0.step == step }?.row
    }

    mutating func add(_ use: LiveMarks.Use, at: Int64) {
        guard row(of: use.step) == nil, use.step > floor else { return }
        let lower: LiveMarks.Use
        if use.step > highest.step {
            lower = highest
            highest = use
            self.at = at
        } else {
            lower = use
        }
        guard lower.step > floor else { return }
        below.insert(lower, at: below.firstIndex { $0.step > lower.step } ?? below.endIndex)
        if below.count > LiveMarks.mostBelow { raiseFloor(to: below[0].step) }
    }

    mutating func raiseFloor(to step: Int64) {
        floor = max(floor, step)
        below.removeAll { $0.step <= floor }
    }
}
