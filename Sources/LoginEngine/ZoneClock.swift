// SPDX-License-Identifier: Apache-2.0
// What the clocks on the wall show in a time zone, without asking a calendar at every login.

internal import Foundation
internal import Synchronization

/// A time zone as the times at which its offset changes. Made once; reading it is a search in a short list.
package final class ZoneClock: Sendable, Equatable {
    package let name: String
    /// Seconds since 1970 from which an offset holds, ascending; the first holds before, the last for ever.
    private let starts: [Int64]
    /// Seconds east of Greenwich.
    private let offsets: [Int64]

    package static let utc = ZoneClock(name: "UTC", starts: [0], offsets: [0])

    private init(name: String, starts: [Int64], offsets: [Int64]) {
        (self.name, self.starts, self.offsets) = (name, starts, offsets)
    }

    /// The years whose changes are known: 2020 to 2099.
    private static let years: ClosedRange<Int64> = 1_577_836_800...4_102_444_799
    /// No zone moves its clocks twice within this time.
    private static let step: Int64 = 6 * 86_400
    private static let made = Mutex<[String: ZoneClock]>(["UTC": .utc])
    private static let longestName = 64

    /// Nil for a name that no zone has. The first call for a zone takes milliseconds, every other one a look into a table.
    package static func named(_ name: String) -> ZoneClock? {
        if let known = made.withLock({ $0[name] }) { return known }
        // An offset alone (`GMT+2`) knows no daylight saving: nobody who writes one means that.
        guard (1...longestName).contains(name.utf8.count), TimeZone.knownTimeZoneIdentifiers.contains(name),
            let zone = TimeZone(identifier: name)
        else { return nil }
        let clock = ZoneClock(zone, name)
        return made.withLock { made in
            if let known = made[name] { return known }
            made[name] = clock
            return clock
        }
    }

    package static var names: [String] { ["UTC"] + TimeZone.knownTimeZoneIdentifiers }

    /// Looks at the zone every few days and searches between two looks that differ, so that whatever moves its clocks is found.
    private convenience init(_ zone: TimeZone, _ name: String) {
        func offset(_ seconds: Int64) -> Int64 { Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds)))) }
        var starts = [Self.years.lowerBound]
        var offsets = [offset(Self.years.lowerBound)]
        var seen = Self.years.lowerBound
        while seen < Self.years.upperBound {
            let next = min(seen + Self.step, Self.years.upperBound)
            let there = offset(next)
            if there != offsets[offsets.count - 1] {
                var (before, after) = (seen, next)
                while after - before > 1 {
                    let middle = before + (after - before) / 2
                    if offset(middle) == there { after = middle } else { before = middle }
                }
                starts.append(after)
                offsets.append(there)
            }
            seen = next
        }
        self.init(name: name, starts: starts, offsets: offsets)
    }

    /// Seconds east of Greenwich at a time.
    package func offset(at time: Timestamp) -> Int64 {
        let seconds = time.seconds
        var (low, high) = (0, starts.count)
        // The last start that is not later.
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= seconds { low = middle } else { high = middle }
        }
        return offsets[low]
    }

    package func local(_ time: Timestamp) -> WallTime { WallTime(seconds: time.seconds + offset(at: time)) }

    package static func == (left: ZoneClock, right: ZoneClock) -> Bool { left === right || left.name == right.name }
}

/// A day and the minutes since its midnight, as a clock on the wall shows them.
package struct WallTime: Sendable, Equatable {
    package var day: CivilDay
    /// 0…1439
    package var minute: Int

    init(seconds: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        day = CivilDay(number: days)
        minute = Int((seconds - days * 86_400) / 60)
    }
}

/// A day of the Gregorian calendar, wherever.
package struct CivilDay: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Days since 1970-01-01.
    package var number: Int64

    package init(number: Int64) {
        self.number = number
    }

    /// `2026-12-25`. Nil for anything else, and for a day that no month has.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard text.utf8.count == 10, parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } }),
            let year = Int64(parts[0]), let month = Int64(parts[1]), let day = Int64(parts[2]),
            (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        // Counted in years that begin in March, so that the leap day comes last.
        let shifted = month <= 2 ? year - 1 : year
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        number = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + ofYear - 719_468
        guard description == text else { return nil }
    }

    /// 0 for Monday to 6 for Sunday.
    package var weekday: Int { Int(((number + 3) % 7 + 7) % 7) }

    package var before: CivilDay { CivilDay(number: number - 1) }

    package var description: String {
        let shifted = number + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let year = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * year + year / 4 - year / 100)
        let month = (5 * ofYear + 2) / 153
        let day = ofYear - (153 * month + 2) / 5 + 1
        func digits(_ value: Int64, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let real = month < 10 ? month + 3 : month - 9
        return "\(digits(year + era * 400 + (real <= 2 ? 1 : 0), 4))-\(digits(real, 2))-\(digits(day, 2))"
    }

    package static func < (left: CivilDay, right: CivilDay) -> Bool { left.number < right.number }
}
