// SPDX-License-Identifier: Apache-2.0
// What the running node knows about itself: its limits, its clocks, and whom it gives no answer.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor

enum NodeCheck {
    /// Sockets, the database and its readers, administrators: a few dozen; the rest is for what comes.
    static let fewestFiles: UInt = 1_024
    /// What a time service corrects by jumping instead of slowly.
    static let jump = Timestamp.Span.seconds(5)
    /// Older sentences may be about what was put right since.
    static let memory = Timestamp.Span.minutes(24 * 60)

    static func findings(_ radius: RADIUSService?, since started: Moment, now: Moment) -> [Finding] {
        let addresses = radius?.boundAddresses ?? []
        let tables = ["udp", "udp6"].compactMap { ProcessFigures.text("/proc/self/net/\($0)") }
        let since = Instant(started.wall)
        let runs = Finding(
            .nodeRuns, nil, "The node runs since \(since); RADIUS on \(Words.list(addresses.map { "\($0)" })).")
        return [runs] + ofClock(since: started, now: now) + ofLimits(files: limit(RLIMIT_NOFILE), core: limit(RLIMIT_CORE))
            + ofDrops(radius?.explanations ?? [], now: now)
            + ofLosses(SocketTable.losses(tables.joined(separator: "\n"), ports: Set(addresses.map(\.port))))
    }

    static func ofClock(since started: Moment, now: Moment) -> [Finding] {
        let moved = (now.wall - started.wall).microseconds - (now.uptime - started.uptime).microseconds
        guard abs(moved) > jump.microseconds else { return [] }
        let seconds = Words.count(Int(abs(moved) / 1_000_000), "second")
        return [
            Finding(
                .clockSet, nil, "The clock was set \(moved > 0 ? "forward" : "back") by \(seconds) since the node started.",
                remedy: "See that a time service keeps it: `timedatectl`. Codes and locks of that time may have been judged wrongly.")
        ]
    }

    static func ofLimits(files: UInt, core: UInt) -> [Finding] {
        var findings: [Finding] = []
        if files < fewestFiles {
            findings.append(
                Finding(
                    .limitsLow, nil, "The node may open \(files) files at once; when they are used up, nobody can ask any more.",
                    remedy: "Raise it to \(fewestFiles) or more: LimitNOFILE= in the unit, or `ulimit -n`."))
        }
        if core > 0 {
            findings.append(
                Finding(
                    .coreDumps, nil, "A crash may write the node's memory, the master key in it, to disk.",
                    remedy: "LimitCORE=0 in the unit, or `ulimit -c 0`, unless you need such files."))
        }
        return findings
    }

    static func ofDrops(_ explanations: [DropExplanation], now: Moment) -> [Finding] {
        explanations.filter { now.uptime - $0.at < memory }.map { told in
            let at = Instant(now.wall - (now.uptime - told.at))
            // The door's sentences name what is wrong, and behind the semicolon what to do.
            let parts = told.words.split(separator: "; ", maxSplits: 1).map(String.init)
            return Finding(
                .packetsDropped, told.cause, "Requests got no answer, last at \(at): \(parts[0]).",
                remedy: parts.count == 2 ? parts[1] : "See the log, and `sallyport_radius_dropped_total` in /metrics.")
        }
    }

    static func ofLosses(_ lost: Int) -> [Finding] {
        guard lost > 0 else { return [] }
        return [
            Finding(
                .datagramsLost, nil,
                "The kernel threw \(Words.count(lost, "datagram")) away since the start, before the node could read them.",
                remedy: "Raise net.core.rmem_max to 4194304 (`sysctl`), restart the node, and look at what floods the port.")
        ]
    }

    private static func limit(_ resource: __rlimit_resource) -> UInt {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 ? UInt(limit.rlim_cur) : .max
    }
}

/// `/proc/net/udp` and its like, proc(5).
enum SocketTable {
    struct Entry: Equatable {
        var port: UInt16
        var inode: String
        var losses: Int
    }

    static func entries(_ text: String) -> [Entry] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count >= 10, let digits = fields[1].split(separator: ":").last, let port = UInt16(digits, radix: 16) else {
                return nil
            }
            return Entry(port: port, inode: String(fields[9]), losses: fields.count == 13 ? Int(fields[12]) ?? 0 : 0)
        }
    }

    static func losses(_ text: String, ports: Set<UInt16>) -> Int {
        entries(text).filter { ports.contains($0.port) }.reduce(0) { $0 + $1.losses }
    }

    /// Who has a socket, as far as this user may see: `freeradius (pid 812)`.
    static func holder(ofPort port: UInt16, isUDP: Bool) -> String? {
        let names = isUDP ? ["udp", "udp6"] : ["tcp", "tcp6"]
        let text = names.compactMap { ProcessFigures.text("/proc/self/net/\($0)") }.joined(separator: "\n")
        let wanted = Set(entries(text).filter { $0.port == port }.map { "socket:[\($0.inode)]" })
        guard !wanted.isEmpty else { return nil }
        let files = FileManager.default
        for process in (try? files.contentsOfDirectory(atPath: "/proc")) ?? [] where Int(process) != nil {
            let folder = "/proc/\(process)/fd"
            for descriptor in (try? files.contentsOfDirectory(atPath: folder)) ?? [] {
                guard let target = try? files.destinationOfSymbolicLink(atPath: "\(folder)/\(descriptor)"), wanted.contains(target) else {
                    continue
                }
                let name = ProcessFigures.text("/proc/\(process)/comm") ?? "a process"
                return "\(name.trimmingCharacters(in: .whitespacesAndNewlines)) (pid \(process))"
            }
        }
        return nil
    }
}
