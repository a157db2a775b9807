// SPDX-License-Identifier: Apache-2.0
// Gauges of queues and pools, read when somebody asks for `/metrics`.

import Directories
import LoginEngine
import Metrics
import Store

struct NodeFigures: Sendable {
    let records: Records
    let hashing: BlockingPool
    let logins: Logins

    private let waitingLogins = Gauge(label: "sallyport_logins_waiting")
    private let writerQueue = Gauge(label: "sallyport_writer_queue")
    private let writerGroups = Gauge(label: "sallyport_writer_groups")
    private let writerUnits = Gauge(label: "sallyport_writer_units")
    private let writerFailedGroups = Gauge(label: "sallyport_writer_failed_groups")
    private let writerShed = Gauge(label: "sallyport_writer_shed")
    private let eventsLost = Gauge(label: "sallyport_events_lost")
    private let hashQueue = Gauge(label: "sallyport_hash_queue")

    init(records: Records, hashing: BlockingPool, logins: Logins) {
        self.records = records
        self.hashing = hashing
        self.logins = logins
    }

    static let help = [
        "sallyport_logins_total": "Logins by result and reason.",
        "sallyport_logins_waiting": "Logins that wait for a password check or a phone.",
        "sallyport_writer_queue": "Changes that wait to be written.",
        "sallyport_writer_groups": "Transactions since the start.",
        "sallyport_writer_units": "Changes written since the start.",
        "sallyport_writer_failed_groups": "Transactions that failed since the start.",
        "sallyport_writer_shed": "Changes refused because the queue was full.",
        "sallyport_events_lost": "Events that nobody waited for and that found no room.",
        "sallyport_hash_queue": "Passwords that wait to be hashed.",
    ]

    func refresh() {
        let writer = records.writer.statistics
        waitingLogins.record(logins.waitingCount)
        writerQueue.record(writer.waiting)
        writerGroups.record(writer.groups)
        writerUnits.record(writer.units)
        writerFailedGroups.record(writer.failedGroups)
        writerShed.record(writer.overloaded)
        eventsLost.record(writer.afterthoughtsLost)
        hashQueue.record(hashing.load.waiting)
    }
}
