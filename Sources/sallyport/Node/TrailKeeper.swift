// SPDX-License-Identifier: Apache-2.0
// What the node does for its trail every minute: anchors it, removes what is too old, and goes on with erasing.

import Administration
import Dispatch
import Foundation
import Logging
import LoginEngine
import Metrics
import Store
import Synchronization

final class TrailKeeper: Sendable {
    /// How long events are kept, and how much of them.
    struct Retention: Sendable, Equatable {
        /// Nil: for ever.
        var age: Timestamp.Span?
        /// Bytes; nil: as many as come.
        var size: Int64?

        /// What removing by size leaves alone, so that nobody floods the node to push out what was seen of them.
        static let alwaysKept = Timestamp.Span.minutes(30 * 24 * 60)
    }

    private struct State {
        var clock = SteadyClock()
        /// The last anchor that reached the file.
        var filed: Int64 = 0
        var isFileBroken = false
        var damage: Int64?
        var nextCut = Timestamp(microseconds: .min)
    }

    private let records: Records
    private let file: AnchorFile?
    private let retention: Retention
    private let logger: Logger
    private let state = Mutex(State())
    private let anchored = Gauge(label: "sallyport_trail_anchored_seconds")
    private let failures = Counter(label: "sallyport_trail_anchor_failures_total")

    init(records: Records, settings: Settings, logger: Logger) {
        self.records = records
        self.logger = logger
        file = settings.auditAnchorFile.map { AnchorFile(path: $0) }
        retention = Retention(age: settings.auditKeep, size: settings.auditLargestSize)
    }

    func everyMinute(at moment: Moment) async {
        await attempt("the trail was not anchored") { try await self.anchor(at: moment.wall) }
        await attempt("erasing goes on in a minute") { try await self.erase(at: moment.wall) }
        await attempt("old events were not removed") { try await self.cut(at: moment) }
    }

    private func attempt(_ problem: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            logger.warning("\(problem)", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Anchors

    /// Also at the end of the node, behind its last event.
    func anchor(at now: Timestamp) async throws {
        let new: Anchor?
        do {
            new = try await records.anchor(at: now)
        } catch {
            failures.increment()
            throw error
        }
        if let new { logger.info("anchored", metadata: ["anchor": "\(new.text.line)"]) }
        guard let anchor = try new ?? records.newestAnchor() else { return }
        anchored.record(Double(anchor.at.seconds))
        guard let file, state.withLock({ $0.filed < anchor.seq }) else { return }
        do {
            // A file system that hangs must not hold a thread that logins need.
            try await Self.onQueue { () throws(Refusal) in try file.append(anchor.text.line) }
            let wasBroken = state.withLock { state in
                defer { state.isFileBroken = false }
                state.filed = anchor.seq
                return state.isFileBroken
            }
            if wasBroken { logger.notice("the file of anchors is written again", metadata: ["file": "\(file.path)"]) }
        } catch {
            failures.increment()
            // Told once, not every minute: the metric goes on counting.
            let isNew = state.withLock { state in
                defer { state.isFileBroken = true }
                return !state.isFileBroken
            }
            if isNew { logger.error("the file of anchors is not written; it is tried every minute", metadata: ["error": "\(error)"]) }
        }
    }

    private static func onQueue(_ body: @escaping @Sendable () throws(Refusal) -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue.global(qos: .utility).async {
                do throws(Refusal) {
                    try body()
                    continuation.resume()
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    // MARK: Erasing

    private func erase(at now: Timestamp) async throws {
        let progress = try await records.continueErasures(settledBefore: now - EraseUser.settlesWithin, at: now)
        if progress.ended > 0 { logger.notice("erased \(Words.count(progress.ended, "person", "persons")) from the trail") }
        for user in progress.refused {
            logger.error(
                "a row of the database asks to erase a user, and no event does: nothing is erased; see `sallyport audit verify`",
                metadata: ["user": "\(user)"])
        }
    }

    // MARK: Retention

    /// Whole days go at once, so that one event a day tells of it, and at most once an hour it is looked for them.
    private func cut(at moment: Moment) async throws {
        guard retention.age != nil || retention.size != nil else { return }
        let isDue = state.withLock { $0.clock.isTrusted(at: moment) && moment.uptime >= $0.nextCut }
        guard isDue, try await cutAll(at: moment.wall) else { return }
        state.withLock { $0.nextCut = moment.uptime + .minutes(60) }
        let told = try await records.tellOfCut(at: moment.wall)
        if told > 0 { logger.notice("retention removed \(Words.count(Int(told), "event"))") }
    }

    /// - Returns: whether nothing is left to be removed.
    private func cutAll(at now: Timestamp) async throws -> Bool {
        let dayBegan = Timestamp(seconds: now.seconds / 86_400 * 86_400)
        if let age = retention.age {
            guard try await cut(before: dayBegan - age, at: now) else { return false }
        }
        guard let size = retention.size else { return true }
        let extent = try records.trailExtent()
        guard extent.bytes > size else { return true }
        let tooMany = (extent.bytes - size) / max(1, extent.bytesPerEvent)
        return try await cut(before: dayBegan - Retention.alwaysKept, upTo: extent.base + tooMany, at: now)
    }

    /// The event first: whoever removes the edited lines afterwards does not remove what tells of them.
    private func pass(_ lines: ClosedRange<Int64>, at now: Timestamp) async throws {
        _ = try await records.tellOfCut(at: now)
        let details = [Event.Detail("from", "\(lines.lowerBound)"), Event.Detail("to", "\(lines.upperBound)")]
        try await records.append(Event(.trailCut, at: now, reason: "lines-edited", details: details))
        logger.error(
            "old events were edited or are missing: what is left of them stays as evidence, and retention goes on behind them; see `sallyport audit verify`",
            metadata: ["from": "\(lines.lowerBound)", "to": "\(lines.upperBound)"])
        try await records.passEdited(lines)
    }

    private func cut(before time: Timestamp, upTo limit: Int64 = .max, at now: Timestamp) async throws -> Bool {
        while true {
            switch try await records.cutTrail(before: time, upTo: limit) {
            case .done: return true
            case .damaged(let line):
                if let lines = try records.editedFront(before: time) {
                    try await pass(lines, at: now)
                    continue
                }
                let isNew = state.withLock { state in
                    defer { state.damage = line }
                    return state.damage != line
                }
                if isNew {
                    logger.error(
                        "the oldest events were edited, and retention waits before them: see `sallyport audit verify`",
                        metadata: ["event": "\(line)"])
                }
                return true
            case .cut:
                // A step a minute is taken however busy the node is.
                if records.isBusy { return false }
            }
        }
    }
}
