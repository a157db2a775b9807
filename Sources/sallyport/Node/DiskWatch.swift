// SPDX-License-Identifier: Apache-2.0
// Looks at the free space of the data directory: little of it ends the detail of rejects, loudly, long before it could end an accept.

import Administration
import Logging
import LoginEngine
import Metrics
import Store
import Synchronization

/// Whether space is low, and since when. Pure.
struct DiskState: Sendable, Equatable {
    enum Turn: Sendable, Equatable {
        case low, recovered
    }

    private(set) var isLow = false

    /// What is freed has to be a tenth more than what was missing, so that it does not turn every few seconds.
    mutating func look(at space: DiskReserve.Space) -> Turn? {
        if !isLow, space.free < space.low {
            isLow = true
            return .low
        }
        if isLow, space.free > space.low + space.low / 10 {
            isLow = false
            return .recovered
        }
        return nil
    }
}

final class DiskWatch: Sendable {
    static let every = Timestamp.Span.seconds(5)

    private let records: Records
    private let reserve: DiskReserve
    private let logger: Logger
    private let state = Mutex((disk: DiskState(), reserve: Int64.max))
    private let free = Gauge(label: "sallyport_disk_free_bytes")
    private let low = Gauge(label: "sallyport_disk_low")
    private let kept = Gauge(label: "sallyport_disk_reserve_bytes")

    init(records: Records, reserve: DiskReserve, logger: Logger) {
        self.records = records
        self.reserve = reserve
        self.logger = logger
        low.record(0)
    }

    /// Every few seconds, on the thread of the deadlines: one system call, and more only when something changes.
    func look(at now: Timestamp) {
        guard let space = reserve.space() else { return }
        free.record(space.free)
        let turn = state.withLock { $0.disk.look(at: space) }
        reserve.fill()
        tellOfReserve()
        switch turn {
        case .low:
            low.record(1)
            records.sparesSpace = true
            logger.error(
                "little space is left in the data directory: refused logins are counted and logged, accounting is not acknowledged",
                metadata: ["free": "\(Self.text(space.free))", "needed": "\(Self.text(space.low))"])
            write(Event(.diskLow, at: now, details: [Event.Detail("free", "\(space.free)"), Event.Detail("total", "\(space.total)")]))
        case .recovered:
            low.record(0)
            records.sparesSpace = false
            let count = records.takeSparedRejects()
            logger.notice(
                "there is space in the data directory again; refused logins are written to the trail",
                metadata: ["free": "\(Self.text(space.free))", "rejects_not_written": "\(count)"])
            write(Event(.diskRecovered, at: now, details: [Event.Detail("rejects", "\(count)"), Event.Detail("free", "\(space.free)")]))
        case nil: break
        }
    }

    private func tellOfReserve() {
        let bytes = reserve.bytes
        kept.record(bytes)
        let before = state.withLock { state in
            defer { state.reserve = bytes }
            return state.reserve
        }
        if bytes < before, before != .max {
            logger.critical(
                "the disk is full: accepts are written into the reserve; when it is used up, nobody can log in",
                metadata: ["left": "\(Self.text(bytes))"])
        }
    }

    private func write(_ event: Event) {
        Task { [records, logger] in
            do {
                try await records.append(event)
            } catch {
                logger.warning("the event was not written", metadata: ["error": "\(error)"])
            }
        }
    }

    private static func text(_ bytes: Int64) -> String {
        bytes >= 10 << 30 ? "\(bytes >> 30) GiB" : bytes >= 10 << 20 ? "\(bytes >> 20) MiB" : "\(bytes >> 10) KiB"
    }
}
