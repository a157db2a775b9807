// SPDX-License-Identifier: Apache-2.0
// Hours of policies: as text, over midnight, on holidays, and when the clocks are moved.

import Foundation
import LoginEngine
import Testing

@Suite struct PolicyHoursTests {
    private func hours(_ text: String) throws -> PolicyHours { try PolicyHours(text) }

    private func time(_ text: String) throws -> Timestamp {
        Timestamp(seconds: Int64(try Date(text, strategy: .iso8601).timeIntervalSince1970))
    }

    private func isOpen(_ text: String, at utc: String, clock: ZoneClock? = nil) throws -> Bool {
        let hours = try hours(text)
        return hours.isOpen(at: try #require(hours.clock ?? clock).local(try time(utc)))
    }

    @Test(arguments: [
        ("mon-fri 07:00-20:00 Europe/Berlin", "mon-fri 07:00-20:00 Europe/Berlin"),
        ("MON-Fri 7:00-20:00 Europe/Berlin", "mon-fri 07:00-20:00 Europe/Berlin"),
        ("sat,sun", "sat,sun 00:00-24:00 UTC"), ("22:00-06:00", "daily 22:00-06:00 UTC"),
        ("daily 00:00-24:00 user", "daily 00:00-24:00 user"),
        ("fri-mon 18:00-00:00 user", "mon,fri-sun 18:00-24:00 user"), ("tue,wed,thu", "tue-thu 00:00-24:00 UTC"),
        (
            "mon-fri,holiday 09:00-17:00 UTC holidays=2026-12-26,2026-12-25,2026-12-25",
            "mon-fri,holiday 09:00-17:00 UTC holidays=2026-12-25,2026-12-26"
        ),
        ("  mon   UTC ", "mon 00:00-24:00 UTC"),
    ])
    func hoursAreReadAsTheyAreWritten(text: String, canonical: String) throws {
        #expect(try hours(text).description == canonical)
        #expect(try hours(canonical) == hours(text))
    }

    @Test(
        arguments: [
            ("", PolicyHoursError.days("")), ("monday", .days("monday")), ("mon-", .days("mon-")), ("mon-mon", .days("mon-mon")),
            ("mon,,tue", .days("mon,,tue")), ("mon-holiday", .days("mon-holiday")), ("mon-tue-wed", .days("mon-tue-wed")),
            ("Europe/Berlin", .days("Europe/Berlin")), ("07:00", .times("07:00")), ("mon 07:00-25:00", .times("07:00-25:00")),
            ("mon 24:00-07:00", .times("24:00-07:00")), ("mon 7-20", .times("7-20")), ("mon 07:60-08:00", .times("07:60-08:00")),
            ("mon 07:00-08:00-09:00", .times("07:00-08:00-09:00")), ("mon +7:00-08:00", .zone("+7:00-08:00")),
            ("mon 07:00-07:00", .sameTimes),
            ("mon 00:00-00:00", .times("00:00-00:00")), ("mon 07:00-20:00 Europe/Berlln", .zone("Europe/Berlln")),
            ("mon GMT+2", .zone("GMT+2")),
            ("mon UTC holidays=", .holiday("")), ("mon UTC holidays=2026-02-29", .holiday("2026-02-29")),
            ("mon UTC holidays=2026-1-1", .holiday("2026-1-1")), ("mon UTC holidays=2026-12-25 x", .extra("x")),
            ("mon UTC UTC", .extra("UTC")),
            ("mon UTC 07:00-08:00", .extra("07:00-08:00")), (String(repeating: "x", count: 5_000), .tooLong),
        ] as [(String, PolicyHoursError)])
    func whatIsNoneIsRefusedByItsPart(text: String, error: PolicyHoursError) {
        #expect(throws: error) { _ = try PolicyHours(text) }
    }

    @Test func aWindowIsOpenFromItsFirstMinuteToTheLastBeforeItsEnd() throws {
        let text = "mon-fri 07:00-20:00 UTC"
        // A Monday.
        for (clock, expected) in [("06:59:59", false), ("07:00:00", true), ("19:59:59", true), ("20:00:00", false)] {
            #expect(try isOpen(text, at: "2026-11-30T\(clock)Z") == expected, "\(clock)")
        }
        #expect(try !isOpen(text, at: "2026-11-29T12:00:00Z") && isOpen(text, at: "2026-12-04T12:00:00Z"))
    }

    @Test func overMidnightTheDayIsTheOneOnWhichItOpens() throws {
        let text = "fri 22:00-06:00 UTC"
        // Friday the 4th of December 2026.
        for (utc, expected) in [
            ("2026-12-04T21:59:00Z", false), ("2026-12-04T22:00:00Z", true), ("2026-12-05T05:59:00Z", true),
            ("2026-12-05T06:00:00Z", false),
            ("2026-12-05T22:30:00Z", false), ("2026-12-04T05:00:00Z", false),
        ] { #expect(try isOpen(text, at: utc) == expected, "\(utc)") }
    }

    @Test func aHolidayIsNoOtherDayOfTheWeek() throws {
        // Friday the 25th.
        let work = "mon-fri 07:00-20:00 UTC holidays=2026-12-25"
        #expect(try !isOpen(work, at: "2026-12-25T12:00:00Z") && isOpen(work, at: "2026-12-24T12:00:00Z"))
        let rest = "sat,sun,holiday UTC holidays=2026-12-25"
        #expect(try isOpen(rest, at: "2026-12-25T12:00:00Z") && !isOpen(rest, at: "2026-12-24T12:00:00Z"))
        // The night that begins on the holiday does not open; the one before goes on.
        let night = "mon-fri 22:00-06:00 UTC holidays=2026-12-25"
        #expect(try isOpen(night, at: "2026-12-25T05:00:00Z") && !isOpen(night, at: "2026-12-25T23:00:00Z"))
        #expect(try !isOpen(night, at: "2026-12-26T05:00:00Z"))
        #expect(try hours("holiday UTC").neverOpens && !hours("holiday UTC holidays=2026-12-25").neverOpens)
    }

    /// Berlin: 2026-03-29 02:00 → 03:00 at 01:00 UTC; 2026-10-25 03:00 → 02:00 at 01:00 UTC. Both are Sundays.
    @Test func whenTheClocksAreMovedTheClockOnTheWallCounts() throws {
        let early = "sun 02:00-03:00 Europe/Berlin"
        for (utc, expected) in [
            ("2026-03-29T00:59:00Z", false), ("2026-03-29T01:00:00Z", false), ("2026-03-29T01:59:00Z", false),
            ("2026-10-25T00:00:00Z", true), ("2026-10-25T00:59:00Z", true), ("2026-10-25T01:00:00Z", true), ("2026-10-25T01:59:00Z", true),
            ("2026-10-25T02:00:00Z", false), ("2026-10-24T23:59:00Z", false),
        ] { #expect(try isOpen(early, at: utc) == expected, "\(utc)") }
        let work = "daily 07:00-20:00 Europe/Berlin"
        // 07:00 is 06:00 UTC in winter and 05:00 in summer.
        for (utc, expected) in [
            ("2026-03-28T05:59:00Z", false), ("2026-03-28T06:00:00Z", true), ("2026-03-29T04:59:00Z", false),
            ("2026-03-29T05:00:00Z", true),
            ("2026-10-24T05:00:00Z", true), ("2026-10-25T05:00:00Z", false), ("2026-10-25T06:00:00Z", true), ("2026-10-25T18:59:00Z", true),
            ("2026-10-25T19:00:00Z", false),
        ] { #expect(try isOpen(work, at: utc) == expected, "\(utc)") }
    }

    @Test func theUsersClockCountsWhereThePolicySaysSo() throws {
        let text = "daily 07:00-20:00 user"
        let tokyo = try #require(ZoneClock.named("Asia/Tokyo"))
        #expect(try isOpen(text, at: "2026-12-01T22:30:00Z", clock: tokyo) && !isOpen(text, at: "2026-12-01T22:30:00Z", clock: .utc))
        // The day is the user's too: Tuesday in Tokyo begins on Monday at Greenwich.
        #expect(
            try isOpen("tue user", at: "2026-11-30T15:00:00Z", clock: tokyo)
                && !isOpen("tue user", at: "2026-11-30T14:59:00Z", clock: tokyo))
    }

    /// Half hours, changes of thirty minutes, Ramadan, and the other half of the world.
    @Test(arguments: [
        "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "America/St_Johns",
        "Pacific/Chatham",
        "Asia/Tokyo",
    ])
    func offsetsAreThoseOfTheCalendar(name: String) throws {
        let clock = try #require(ZoneClock.named(name))
        let zone = try #require(TimeZone(identifier: name))
        var seconds: Int64 = 1_767_225_600  // 2026
        while seconds < 1_767_225_600 + 3 * 366 * 86_400 {
            let expected = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds)))
            guard clock.offset(at: Timestamp(seconds: seconds)) == Int64(expected) else {
                Issue.record("\(name) at \(seconds)")
                return
            }
            seconds += 5_399
        }
        // The very second of a change.
        if let change = zone.nextDaylightSavingTimeTransition(after: Date(timeIntervalSince1970: 1_767_225_600)) {
            for second in [-1, 0, 1] {
                let at = change.addingTimeInterval(Double(second))
                #expect(
                    clock.offset(at: Timestamp(seconds: Int64(at.timeIntervalSince1970))) == Int64(zone.secondsFromGMT(for: at)),
                    "\(second)")
            }
        }
    }

    @Test func namesThatAreNoZoneAreNone() {
        for name in ["", "Europe/Berlln", "GMT+1", "../etc/passwd", String(repeating: "a", count: 100)] {
            #expect(ZoneClock.named(name) == nil, "\(name)")
        }
        #expect(ZoneClock.named("Europe/Berlin") === ZoneClock.named("Europe/Berlin") && ZoneClock.named("UTC") === ZoneClock.utc)
    }

    @Test func daysAreThoseOfTheCalendar() throws {
        for (text, number, weekday) in [
            ("1970-01-01", 0, 3), ("2000-02-29", 11_016, 1), ("2026-12-25", 20_812, 4), ("2100-03-01", 47_541, 0),
            ("2026-11-30", 20_787, 0),
        ] as [(String, Int64, Int)] {
            let day = try #require(CivilDay(text))
            #expect(day.number == number && day.weekday == weekday && day.description == text)
        }
        for text in ["2100-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-1-01", "+026-01-01", "1969-12-31", "２026-01-01", ""] {
            #expect(CivilDay(text) == nil, "\(text)")
        }
        for number in stride(from: Int64(0), to: 60_000, by: 1) {
            let day = CivilDay(number: number)
            guard CivilDay(day.description) == day else {
                Issue.record("\(day) is not read as it is written")
                return
            }
        }
    }
}
