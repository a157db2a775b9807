// SPDX-License-Identifier: Apache-2.0
// Figures of directories, one row for each that is there.

import Directories
import LoginEngine
import Metrics
import Store
import Synchronization

final class DirectoryFigures: Sendable {
    private struct Row {
        var counters: [UpstreamCounts.Kind: GrowingFigure] = [:]
        let waiting: Gauge
        let up: Gauge
        let lost: Gauge
        let synced: Gauge
        let syncSeconds: Gauge
        let syncFailures: Gauge

        init(_ name: String) {
            for kind in UpstreamCounts.Kind.allCases {
                let label = kind.isOutcome ? "sallyport_directory_requests_total" : "sallyport_directory_packets_total"
                counters[kind] = GrowingFigure(label, [("directory", name), ("result", kind.rawValue)])
            }
            waiting = Gauge(label: "sallyport_directory_requests_waiting", dimensions: [("directory", name)])
            up = Gauge(label: "sallyport_directory_servers_up", dimensions: [("directory", name)])
            lost = Gauge(label: "sallyport_directory_names_lost", dimensions: [("directory", name)])
            synced = Gauge(label: "sallyport_directory_synced_seconds", dimensions: [("directory", name)])
            syncSeconds = Gauge(label: "sallyport_directory_sync_duration_seconds", dimensions: [("directory", name)])
            syncFailures = Gauge(label: "sallyport_directory_sync_failures", dimensions: [("directory", name)])
        }

        func record(_ sync: SyncRecord?) {
            synced.record(sync?.succeeded?.seconds ?? 0)
            syncSeconds.record(sync.map { DirectoryFigures.seconds($0) } ?? 0)
            syncFailures.record(sync?.failures ?? 0)
        }
    }

    private let rows = Mutex<[String: Row]>([:])

    fileprivate static func seconds(_ record: SyncRecord) -> Double {
        guard let started = record.started, let ended = record.ended, ended > started else { return 0 }
        return Double((ended - started).microseconds) / 1_000_000
    }

    func refresh(_ figures: [PasswordSources.Figures], syncs: [SyncRecord]) {
        rows.withLock { rows in
            for directory in figures {
                let name = directory.directory.name
                let row = rows[name] ?? Row(name)
                rows[name] = row
                for (kind, counter) in row.counters { counter.reach(directory.counts[kind]) }
                row.waiting.record(directory.underWay)
                row.up.record(directory.servers.count { $0.isUp } + directory.ldap.count { $0.isUp })
                row.lost.record(directory.names.values.count { $0.problem != nil })
                row.record(syncs.first { $0.directory == directory.directory.id })
            }
            for (name, row) in rows where !figures.contains(where: { $0.directory.name == name }) {
                row.waiting.record(0)
                row.up.record(0)
                row.lost.record(0)
                row.record(nil)
            }
        }
    }
}

extension UpstreamCounts.Kind {
    fileprivate var isOutcome: Bool {
        switch self {
        case .accepted, .rejected, .challenged, .unanswered, .shed: true
        case .sent, .notSent, .malformed, .late, .notGenuine: false
        }
    }
}
