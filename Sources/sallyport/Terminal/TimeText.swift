// SPDX-License-Identifier: Apache-2.0
// Times as people write and read them.

import Administration
import Foundation
import LoginEngine

enum TimeText {
    /// `2026-11-21 12:03:11` in the administrator's own zone on a terminal; ISO 8601 in a pipe.
    static func full(_ instant: Instant, _ terminal: Terminal, zone: TimeZone = .current) -> String {
        guard terminal.isOutput else { return instant.description }
        let date = Date(timeIntervalSince1970: Double(instant.timestamp.seconds))
        return Instant.dateTime(instant.timestamp.seconds + Int64(zone.secondsFromGMT(for: date)))
    }

    /// `12 minutes ago (2026-11-21 12:03:11)`
    static func ago(_ instant: Instant, _ terminal: Terminal, now: Timestamp = .now, zone: TimeZone = .current) -> String {
        let exact = full(instant, terminal, zone: zone)
        guard terminal.isOutput else { return exact }
        return "\(relative(instant.timestamp, now: now)) (\(exact))"
    }

    static func relative(_ time: Timestamp, now: Timestamp) -> String {
        let seconds = (now - time).microseconds / 1_000_000
        let isPast = seconds >= 0
        let span = abs(seconds)
        let text: String
        switch span {
        case ..<5: return "just now"
        case ..<60: text = Words.count(Int(span), "second")
        case ..<3600: text = Words.count(Int(span / 60), "minute")
        case ..<86_400: text = Words.count(Int(span / 3600), "hour")
        default: text = Words.count(Int(span / 86_400), "day")
        }
        return isPast ? "\(text) ago" : "in \(text)"
    }

    /// `30m`, `12h`, `7d`, `2w`, `today`, `yesterday`, `2026-11-21`, `2026-11-21 12:03`, with or without a zone.
    static func parse(_ text: String, now: Timestamp = .now, zone: TimeZone = .current) -> Instant? {
        if let match = text.wholeMatch(of: /(\d{1,6})([smhdw])/)?.output, let count = Int64(match.1) {
            let units: [Substring: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
            return Instant(now - .seconds(count * (units[match.2] ?? 1)))
        }
        let offset = Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(now.seconds))))
        let today = (now.seconds + offset) / 86_400 * 86_400 - offset
        switch text {
        case "now": return Instant(now)
        case "today": return Instant(Timestamp(seconds: today))
        case "yesterday": return Instant(Timestamp(seconds: today - 86_400))
        default: break
        }
        guard let guess = Instant(text, zone: offset) else { return nil }
        // The zone may have had another offset on that day.
        let then = Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(guess.timestamp.seconds))))
        return then == offset ? guess : Instant(text, zone: then)
    }
}

extension Timestamp {
    static var now: Timestamp { NodeClock.now().wall }
}
