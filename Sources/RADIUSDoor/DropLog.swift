// SPDX-License-Identifier: Apache-2.0
// Lets one line a minute through for each source and cause, however many packets come from however many sources.

import LoginEngine

/// Decides which lines are written. Pure and bounded: the time comes in, and a flood of sources fills nothing.
struct DropLog {
    /// Whom a line is about.
    enum Subject: Hashable {
        case client(Int64)
        case source(NetworkAddress)
    }

    /// What a line says.
    enum Cause: Hashable {
        case drop(DropReason)
        /// Not a drop: passwords come out as bytes that nobody types.
        case secretLooksWrong
        /// Not a packet: a connection over TLS that did not come about.
        case refusedConnection(ConnectionRefusal)
        /// Not a packet: the certificate of a user's device.
        case refusedDevice(String)

        var word: String {
            switch self {
            case .drop(let reason): reason.cause
            case .secretLooksWrong: "secret_looks_wrong"
            case .refusedConnection(let refusal): "tls_" + refusal.word
            case .refusedDevice(let cause): "eap_" + cause
            }
        }
    }

    enum Admission: Equatable {
        /// Write it; so many like it were kept back since the last one.
        case write(keptBack: Int)
        /// Write one line that so many others, of sources there was no room for, were kept back.
        case writeSummary(keptBack: Int)
        case keepBack
    }

    static let interval = Timestamp.Span.minutes(1)

    private struct Key: Hashable {
        var subject: Subject
        var cause: Cause
    }

    private struct Line {
        var last: Timestamp
        var keptBack = 0
    }

    /// Lines a minute; further sources and causes share one summary.
    let capacity: Int
    private var lines: [Key: Line] = [:]
    private var lastSweep = Timestamp(microseconds: .min / 2)
    private var lastSummary = Timestamp(microseconds: .min / 2)
    private var withoutRoom = 0

    init(capacity: Int = 256) {
        self.capacity = capacity
    }

    var count: Int { lines.count }

    mutating func admit(_ subject: Subject, _ cause: Cause, at now: Timestamp) -> Admission {
        let key = Key(subject: subject, cause: cause)
        if let place = lines.index(forKey: key) {
            let line = lines.values[place]
            guard now - line.last >= Self.interval else {
                lines.values[place].keptBack += 1
                return .keepBack
            }
            lines.values[place] = Line(last: now)
            return .write(keptBack: line.keptBack)
        }
        if hasRoom(at: now) {
            lines[key] = Line(last: now)
            return .write(keptBack: 0)
        }
        withoutRoom += 1
        guard now - lastSummary >= Self.interval else { return .keepBack }
        lastSummary = now
        defer { withoutRoom = 0 }
        return .writeSummary(keptBack: withoutRoom)
    }

    private mutating func hasRoom(at now: Timestamp) -> Bool {
        if lines.count < capacity { return true }
        // Under a flood every packet would sweep; once a second is enough.
        guard now - lastSweep >= .seconds(1) else { return false }
        lastSweep = now
        lines = lines.filter { now - $0.value.last < Self.interval }
        return lines.count < capacity
    }
}
