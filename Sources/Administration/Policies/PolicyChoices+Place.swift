// SPDX-License-Identifier: Apache-2.0
// Who, from where and when: the conditions that look at one login.

internal import LoginEngine
internal import Store

extension PolicyChoices {
    static let mostRanges = 1_024
    static let mostCountries = 250

    func applyPlace(to when: inout PolicyRule.Conditions, _ rows: PolicyRows) throws(Refusal) {
        if let users {
            var ids: [Int64] = []
            for name in try Self.limited(users, "user") {
                let id = try rows.user(name)
                if !ids.contains(id) { ids.append(id) }
            }
            when.users = ids
        }
        if let networks { when.networks = try Self.ranges(networks, "network") }
        if let otherNetworks { when.otherNetworks = try Self.ranges(otherNetworks, "not-network") }
        if let countries { when.countries = try Self.countries(countries, "country") }
        if let otherCountries { when.otherCountries = try Self.countries(otherCountries, "not-country") }
        if let hours {
            var windows: [PolicyHours] = []
            for text in try Self.limited(hours, "hours") { windows.append(try Self.hours(text)) }
            when.hours = windows
        }
    }

    static func ranges(_ texts: [String], _ field: String) throws(Refusal) -> [AddressRange] {
        var ranges: [AddressRange] = []
        var seen: Set<AddressRange> = []
        for text in texts.flatMap({ $0.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init) }) {
            guard let range = AddressRange(text) else { throw wrongRange(text, field) }
            if seen.insert(range).inserted { ranges.append(range) }
        }
        guard ranges.count <= mostRanges else {
            throw Refusal(.invalid, "A policy names \(mostRanges) networks at most.", remedy: "Put neighbours together.", place: field)
        }
        return ranges
    }

    /// Bits behind the prefix are the usual mistake: then the network is said that was meant.
    private static func wrongRange(_ text: String, _ field: String) -> Refusal {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, let address = NetworkAddress(parts[0]), let length = Int(parts[1]),
            (0...(address.isIPv4 ? 32 : 128)).contains(length)
        {
            var range = AddressRange(address)
            range.prefixLength = length + (address.isIPv4 ? 96 : 0)
            range.base = NetworkAddress(bits: address.bits & range.mask)
            return Refusal(
                .invalid, "`\(Valid.shown(text))` has bits set behind its prefix.", remedy: "Did you mean `\(range)`?", place: field)
        }
        return Refusal(
            .invalid, "`\(Valid.shown(text))` is no network.", remedy: "Write it as 203.0.113.0/24, 2001:db8::/32, or one address.",
            place: field)
    }

    static func countries(_ texts: [String], _ field: String) throws(Refusal) -> [CountryCode] {
        var codes: [CountryCode] = []
        for text in texts.flatMap({ $0.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init) }) {
            guard let code = CountryCode(text), code.isAssigned else {
                let remedy = CountryCode(text)?.meant.map { "Did you mean \($0)?" } ?? "Write its two letters (ISO 3166-1): DE, AT, CH."
                throw Refusal(.invalid, "`\(Valid.shown(text))` is no country.", remedy: remedy, place: field)
            }
            if !codes.contains(code) { codes.append(code) }
        }
        guard codes.count <= mostCountries else {
            throw Refusal(.invalid, "A policy names \(mostCountries) countries at most.", place: field)
        }
        return codes
    }

    static func hours(_ text: String) throws(Refusal) -> PolicyHours {
        let hours: PolicyHours
        do throws(PolicyHoursError) {
            hours = try PolicyHours(text)
        } catch {
            throw refusal(error)
        }
        guard !hours.neverOpens else {
            throw Refusal(.invalid, "These hours never come: `holiday` alone, and no holidays.", remedy: example, place: "hours")
        }
        return hours
    }

    private static let example = "Write them as `mon-fri 07:00-20:00 Europe/Berlin`."

    private static func refusal(_ error: PolicyHoursError) -> Refusal {
        let (message, remedy): (String, String)
        switch error {
        case .tooLong: (message, remedy) = ("The hours are longer than \(PolicyHours.longestText) characters.", example)
        case .days(""): (message, remedy) = ("The hours say neither days nor times.", example)
        case .days(let text):
            (message, remedy) = (
                "`\(Valid.shown(text))` are no days.",
                "Write mon, tue, wed, thu, fri, sat, sun and holiday, as mon-fri or sat,holiday; or daily."
            )
        case .times(let text):
            (message, remedy) = (
                "`\(Valid.shown(text))` are no times.", "Write them as 07:00-20:00, to 24:00 at most; 22:00-06:00 goes over midnight."
            )
        case .sameTimes: (message, remedy) = ("The hours end when they begin.", "For the whole day write 00:00-24:00, or no times.")
        case .zone(let text):
            let near = NearNames.nearest(to: text, among: ZoneClock.names)
            (message, remedy) = (
                "No time zone `\(Valid.shown(text))`.",
                near.isEmpty ? "Write it as Europe/Berlin or UTC, or user for the user's own." : NearNames.question(near)
            )
        case .holiday(let text):
            (message, remedy) = ("`\(Valid.shown(text))` is no day.", "Write holidays=2026-12-25,2026-12-26, without blanks.")
        case .tooManyHolidays: (message, remedy) = ("There are more than \(PolicyHours.mostHolidays) holidays.", "Leave past ones out.")
        case .extra(let text):
            (message, remedy) = (
                "Nothing may stand where `\(Valid.shown(text))` does.", "The order is days, times, zone, holidays=. \(example)"
            )
        }
        return Refusal(.invalid, message, remedy: remedy, place: "hours")
    }
}
