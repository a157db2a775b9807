// SPDX-License-Identifier: Apache-2.0
// The hours of a policy: days of the week, a time of day from and to, where the clock hangs, and which days are holidays.

/// A window that opens on certain days, such as `mon-fri 07:00-20:00 Europe/Berlin holidays=2026-12-25`.
package struct PolicyHours: Sendable, Equatable {
    /// Bits 0 to 6 for Monday to Sunday, bit 7 for holidays, which are no other day of the week.
    package var days: UInt8
    /// Minutes since midnight, 0…1439.
    package var from: Int
    /// 1…1440, exclusive. Not later than `from`: on the day that follows.
    package var to: Int
    /// Nil: the user's own.
    package var clock: ZoneClock?
    /// Ascending, each once.
    package var holidays: [CivilDay] = []

    package static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
    static let holidayBit: UInt8 = 1 << 7
    package static let everyDay: UInt8 = 0xFF
    package static let mostHolidays = 200
    package static let longestText = 4_096

    package init(days: UInt8, from: Int, to: Int, clock: ZoneClock?, holidays: [CivilDay] = []) {
        (self.days, self.from, self.to, self.clock, self.holidays) = (days, from, to, clock, holidays)
    }

    package var isOverMidnight: Bool { to <= from }

    /// Whether the window is open at a time; a window over midnight belongs to the day on which it opens.
    package func isOpen(at time: WallTime) -> Bool {
        if !isOverMidnight { return time.minute >= from && time.minute < to && opens(on: time.day) }
        return time.minute >= from && opens(on: time.day) || time.minute < to && opens(on: time.day.before)
    }

    private func opens(on day: CivilDay) -> Bool {
        let isHoliday = !holidays.isEmpty && isListed(day)
        return days & (isHoliday ? Self.holidayBit : 1 << UInt8(day.weekday)) != 0
    }

    private func isListed(_ day: CivilDay) -> Bool {
        var (low, high) = (0, holidays.count)
        while low < high {
            let middle = (low + high) / 2
            if holidays[middle] == day { return true }
            if holidays[middle] < day { low = middle + 1 } else { high = middle }
        }
        return false
    }

    /// Whether there is no time at which it opens: holidays alone, and none is listed.
    package var neverOpens: Bool { days == 0 || days == Self.holidayBit && holidays.isEmpty }
}

// MARK: As text

package enum PolicyHoursError: Error, Sendable, Equatable {
    case tooLong
    case days(String)
    case times(String)
    case sameTimes
    case zone(String)
    case holiday(String)
    case tooManyHolidays
    case extra(String)
}

extension PolicyHours: CustomStringConvertible {
    /// Days, then times, then the zone, then holidays; each may be left out but one of the first two. Without days: every day, holidays
    /// too; without times: the whole day; without a zone: UTC.
    package init(_ text: String) throws(PolicyHoursError) {
        guard text.utf8.count <= Self.longestText else { throw .tooLong }
        var words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })[...]
        var (days, times): (UInt8?, (from: Int, to: Int)?) = (nil, nil)
        if let word = words.first, let named = try Self.days(word) {
            days = named
            words.removeFirst()
        }
        if let word = words.first, word.utf8.first.map({ (0x30...0x39).contains($0) }) == true {
            times = try Self.times(word)
            words.removeFirst()
        }
        guard days != nil || times != nil else { throw .days(words.first.map(String.init) ?? "") }
        self.init(days: days ?? Self.everyDay, from: times?.from ?? 0, to: times?.to ?? 1_440, clock: .utc)
        if let word = words.first, !word.hasPrefix(Self.holidaysMark) {
            clock = try Self.clock(word)
            words.removeFirst()
        }
        if let word = words.first {
            guard word.hasPrefix(Self.holidaysMark) else { throw .extra(String(word)) }
            holidays = try Self.holidays(word.dropFirst(Self.holidaysMark.count))
            words.removeFirst()
        }
        if let word = words.first { throw .extra(String(word)) }
    }

    private static let holidaysMark = "holidays="
    package static let usersZone = "user"

    /// Nil where the word is of no days at all.
    private static func days(_ word: Substring) throws(PolicyHoursError) -> UInt8? {
        let text = word.lowercased()
        if text == "daily" { return everyDay }
        guard let first = text.split(whereSeparator: { $0 == "," || $0 == "-" }).first, dayNames.contains(String(first)) else {
            // A word of letters in front is meant to be days; anything else is looked at as what may follow.
            guard text.utf8.first.map({ (0x30...0x39).contains($0) }) != true else { return nil }
            throw .days(String(word))
        }
        var bits: UInt8 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            let places = ends.compactMap { dayNames.firstIndex(of: $0) }
            guard places.count == ends.count, let begin = places.first else { throw .days(String(word)) }
            switch places.count {
            case 1: bits |= 1 << UInt8(begin)
            // `fri-mon` goes round the end of the week; holidays are no part of it.
            case 2 where begin < 7 && places[1] < 7 && begin != places[1]:
                var day = begin
                while day != places[1] {
                    bits |= 1 << UInt8(day)
                    day = (day + 1) % 7
                }
                bits |= 1 << UInt8(day)
            default: throw .days(String(word))
            }
        }
        return bits
    }

    private static func times(_ word: Substring) throws(PolicyHoursError) -> (from: Int, to: Int) {
        let ends = word.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let from = minutes(ends[0]), let to = minutes(ends[1]), from < 1_440, to > 0 || from > 0 else {
            throw .times(String(word))
        }
        guard from != to else { throw .sameTimes }
        // Until midnight is until the day's end.
        return (from, to == 0 ? 1_440 : to)
    }

    /// `07:00` to `24:00`
    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...2).contains(parts[0].utf8.count), parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }), let hour = Int(parts[0]), let minute = Int(parts[1]),
            minute < 60, hour < 24 || hour == 24 && minute == 0
        else { return nil }
        return hour * 60 + minute
    }

    private static func clock(_ word: Substring) throws(PolicyHoursError) -> ZoneClock? {
        if word == usersZone { return nil }
        guard let clock = ZoneClock.named(String(word)) else { throw .zone(String(word)) }
        return clock
    }

    private static func holidays(_ text: Substring) throws(PolicyHoursError) -> [CivilDay] {
        var days: Set<CivilDay> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let day = CivilDay(part) else { throw .holiday(String(part)) }
            days.insert(day)
            guard days.count <= mostHolidays else { throw .tooManyHolidays }
        }
        return days.sorted()
    }

    /// `mon-fri`
    package var dayText: String {
        if days == Self.everyDay { return "daily" }
        var parts: [String] = []
        var day = 0
        while day < 7 {
            guard days & 1 << UInt8(day) != 0 else {
                day += 1
                continue
            }
            var end = day
            while end < 6, days & 1 << UInt8(end + 1) != 0 { end += 1 }
            switch end - day {
            case 0: parts.append(Self.dayNames[day])
            case 1: parts += [Self.dayNames[day], Self.dayNames[end]]
            default: parts.append("\(Self.dayNames[day])-\(Self.dayNames[end])")
            }
            day = end + 1
        }
        if days & Self.holidayBit != 0 { parts.append(Self.dayNames[7]) }
        return parts.joined(separator: ",")
    }

    package static func timeText(_ minutes: Int) -> String {
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(minutes / 60)):\(two(minutes % 60))"
    }

    package var zoneText: String { clock?.name ?? Self.usersZone }

    /// Read again, the same hours.
    package var description: String {
        var text = "\(dayText) \(Self.timeText(from))-\(Self.timeText(to)) \(zoneText)"
        if !holidays.isEmpty { text += " \(Self.holidaysMark)" + holidays.map(\.description).joined(separator: ",") }
        return text
    }
}
