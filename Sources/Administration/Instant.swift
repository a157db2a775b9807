// SPDX-License-Identifier: Apache-2.0
// A time as it stands in answers: ISO 8601 with milliseconds, always UTC.

package import LoginEngine

package struct Instant: Codable, Sendable, Hashable, Comparable, CustomStringConvertible {
    package var timestamp: Timestamp

    package init(_ timestamp: Timestamp) {
        self.timestamp = timestamp
    }

    package static func < (left: Instant, right: Instant) -> Bool { left.timestamp < right.timestamp }

    /// `2026-11-21T12:03:11.482Z`
    package var description: String {
        let seconds = timestamp.seconds
        let milliseconds = (timestamp.microseconds - seconds * 1_000_000) / 1000
        return "\(Self.dateTime(seconds, separator: "T")).\(Self.padded(milliseconds, 3))Z"
    }

    /// `2026-11-21 12:03:11` of a count of seconds since 1970, in whatever zone the count was shifted to.
    package static func dateTime(_ seconds: Int64, separator: String = " ") -> String {
        let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let (year, month, date) = civil(day)
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(date, 2))\(separator)\(clock(seconds - day * 86_400))"
    }

    static func clock(_ second: Int64) -> String {
        "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))"
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The proleptic Gregorian date of a day counted from 1970-01-01 (Hinnant, `civil_from_days`).
    private static func civil(_ day: Int64) -> (year: Int64, month: Int64, date: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * ofYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func days(year: Int64, month: Int64, date: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + ofYear - 719_468
    }

    /// `2026-11-21`, `2026-11-21T12:03`, `2026-11-21 12:03:11.482Z`, `…+02:00`; without a zone it is UTC shifted by `zone` seconds.
    package init?(_ text: String, zone: Int64 = 0) {
        let pattern = /(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?)?/
        guard let match = text.wholeMatch(of: pattern)?.output else { return nil }
        func number(_ text: Substring?) -> Int64 { text.flatMap { Int64($0) } ?? 0 }
        let (month, date) = (number(match.2), number(match.3))
        let (hour, minute, second) = (number(match.4), number(match.5), number(match.6))
        guard (1...12).contains(month), (1...31).contains(date), hour < 24, minute < 60, second < 61 else { return nil }
        let day = Self.days(year: number(match.1), month: month, date: date)
        guard Self.civil(day).date == date else { return nil }
        var offset = zone
        if let given = match.8 {
            offset =
                given == "Z" ? 0 : (number(given.dropFirst().prefix(2)) * 60 + number(given.suffix(2))) * (given.hasPrefix("-") ? -60 : 60)
        }
        let fraction = match.7.map { number(Substring($0 + String(repeating: "0", count: 6 - $0.count))) } ?? 0
        timestamp = Timestamp(microseconds: (day * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + fraction)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Instant(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a time")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
