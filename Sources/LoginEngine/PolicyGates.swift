// SPDX-License-Identifier: Apache-2.0
// What rules a policy out by place and time alone, laid out so that a thousand of them are gone through in microseconds.

/// Sound, not complete: whom a gate shuts out does not match, and whom it lets by is looked at by `PolicyRule.Conditions.fit`.
struct PolicyGates: Sendable {
    /// Where the values of one policy stand in the lists; empty: it does not ask.
    private struct Gate {
        var networks = 0..<0
        var otherNetworks = 0..<0
        var countries = 0..<0
        var otherCountries = 0..<0
        var windows = 0..<0
        var isOpen = true
    }

    private struct Network {
        var base: UInt128
        var mask: UInt128
        var isIPv4: Bool
    }

    private struct Window {
        var hours: PolicyHours
        /// In `clocks`; nil: the user's.
        var clock: Int?
    }

    private var gates: [Gate] = []
    private var networks: [Network] = []
    private var countries: [CountryCode] = []
    private var windows: [Window] = []
    private var clocks: [ZoneClock] = []

    init(_ policies: [Policy]) {
        gates.reserveCapacity(policies.count)
        for policy in policies {
            let when = policy.rule.when
            var gate = Gate()
            gate.networks = add(when.networks)
            gate.otherNetworks = add(when.otherNetworks)
            gate.countries = add(when.countries)
            gate.otherCountries = add(when.otherCountries)
            let start = windows.count
            for hours in when.hours { windows.append(Window(hours: hours, clock: hours.clock.map { index(of: $0) })) }
            gate.windows = start..<windows.count
            gate.isOpen = !when.asksAddress && when.hours.isEmpty
            gates.append(gate)
        }
    }

    private mutating func add(_ ranges: [AddressRange]) -> Range<Int> {
        let start = networks.count
        networks += ranges.map { Network(base: $0.base.bits, mask: $0.mask, isIPv4: $0.prefixLength >= 96 && $0.base.isIPv4) }
        return start..<networks.count
    }

    private mutating func add(_ codes: [CountryCode]) -> Range<Int> {
        countries += codes
        return countries.count - codes.count..<countries.count
    }

    private mutating func index(of clock: ZoneClock) -> Int {
        if let known = clocks.firstIndex(of: clock) { return known }
        clocks.append(clock)
        return clocks.count - 1
    }

    /// One login, with what the clocks show once somebody asks.
    struct Probe {
        var address: UInt128?
        var isIPv4 = false
        var country: CountryCode?
        var time: Timestamp?
        var usersClock: WallTime?
        fileprivate var walls: [WallTime?]

        init(_ place: LoginPlace, clocks: Int) {
            (address, isIPv4) = (place.address?.bits, place.address?.isIPv4 ?? false)
            (country, time) = (place.country, place.time)
            if let time, let clock = place.clock { usersClock = clock.local(time) }
            walls = clocks == 0 ? [] : Array(repeating: nil, count: clocks)
        }
    }

    func probe(_ place: LoginPlace) -> Probe { Probe(place, clocks: clocks.count) }

    /// False: no condition on place and time lets this login by, whatever else holds.
    func mayFit(_ position: Int, _ probe: inout Probe) -> Bool {
        let gate = gates[position]
        if gate.isOpen { return true }
        if let address = probe.address {
            if !gate.networks.isEmpty, !holds(gate.networks, address, probe.isIPv4) { return false }
            if !gate.otherNetworks.isEmpty, holds(gate.otherNetworks, address, probe.isIPv4) { return false }
        }
        if let country = probe.country {
            if !gate.countries.isEmpty, !holds(gate.countries, country) { return false }
            if !gate.otherCountries.isEmpty, holds(gate.otherCountries, country) { return false }
        }
        return gate.windows.isEmpty || mayBeOpen(gate.windows, &probe)
    }

    private func holds(_ range: Range<Int>, _ address: UInt128, _ isIPv4: Bool) -> Bool {
        for index in range where address & networks[index].mask == networks[index].base && (networks[index].isIPv4 || !isIPv4) {
            return true
        }
        return false
    }

    private func holds(_ range: Range<Int>, _ country: CountryCode) -> Bool {
        for index in range where countries[index] == country { return true }
        return false
    }

    private func mayBeOpen(_ range: Range<Int>, _ probe: inout Probe) -> Bool {
        guard let time = probe.time else { return true }
        for index in range {
            let wall: WallTime
            if let clock = windows[index].clock {
                if let known = probe.walls[clock] {
                    wall = known
                } else {
                    wall = clocks[clock].local(time)
                    probe.walls[clock] = wall
                }
            } else if let users = probe.usersClock {
                wall = users
            } else {
                return true
            }
            if windows[index].hours.isOpen(at: wall) { return true }
        }
        return false
    }
}
