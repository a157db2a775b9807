// SPDX-License-Identifier: Apache-2.0
// Why a condition of a policy fits a login, why not, or why nobody knows.

internal import LoginEngine
internal import Store

/// What is to be said of each condition for one login.
struct ConditionWords {
    var client: Client
    /// The login name.
    var user: String
    var groups: [String]
    var manner: LoginManner
    var place: LoginPlace
    /// As it was typed.
    var station: String?

    /// Why it does not fit.
    func reason(_ condition: PolicyRule.Condition, _ view: PolicyView, _ when: PolicyRule.Conditions) -> String {
        switch condition {
        case .client: return "it is for \(Words.list(view.clients, "or")), and \(fact(condition, when))"
        case .tag: return "it is for clients tagged \(Words.list(view.clientTags, "or")), and \(fact(condition, when))"
        case .user: return "it is for \(Words.list(view.users, "or")), and \(fact(condition, when))"
        case .group: return "it is for members of \(Words.list(view.groups, "or")), and \(fact(condition, when))"
        case .method: return "it is for logins by \(Words.list(view.methods, "or")), and \(fact(condition, when))"
        case .realm: return "it is for \(Words.list(view.realms.map { "NAME@\($0)" }, "or")), and \(fact(condition, when))"
        case .network:
            let networks = (view.networks.isEmpty ? [] : ["from \(Words.some(view.networks))"])
            let others = (view.otherNetworks.isEmpty ? [] : ["from elsewhere than \(Words.some(view.otherNetworks))"])
            return "it is for logins \(Words.list(networks + others)), and \(fact(condition, when))"
        case .country:
            let countries = (view.countries.isEmpty ? [] : ["from \(Words.some(view.countries))"])
            let others = (view.otherCountries.isEmpty ? [] : ["from elsewhere than \(Words.some(view.otherCountries))"])
            return "it is for logins \(Words.list(countries + others)), and \(fact(condition, when))"
        case .hours: return "it is for \(Words.list(view.hours, "or")), and \(fact(condition, when))"
        }
    }

    /// What is known of the login.
    func fact(_ condition: PolicyRule.Condition, _ when: PolicyRule.Conditions) -> String {
        switch condition {
        case .client: return "this is \(client.name)"
        case .tag:
            let tags = client.settings.tags
            return "\(client.name) " + (tags.isEmpty ? "has no tag" : "has \(Words.list(tags))")
        case .user: return "this is \(user)"
        case .group: return "\(user) " + (groups.isEmpty ? "is in no group" : "is in \(Words.list(groups))")
        case .method: return manner.method.map { "this comes by \($0)" } ?? "nothing says how this comes (--method)"
        case .realm: return manner.realm.map { "this name ends with @\($0)" } ?? "this name has no realm (--realm)"
        case .network: return place.address.map { "this comes from \($0)" } ?? doubt(condition)
        case .country: return place.country.map { "this comes from \($0)" } ?? doubt(condition)
        case .hours:
            guard let time = place.time else { return doubt(condition) }
            var clocks: [ZoneClock] = []
            for window in when.hours {
                if let clock = window.clock ?? place.clock, !clocks.contains(clock) { clocks.append(clock) }
            }
            guard !clocks.isEmpty else { return doubt(condition) }
            let texts = clocks.map { clock in
                let wall = clock.local(time)
                return "\(PolicyHours.dayNames[wall.day.weekday]) \(wall.day) \(PolicyHours.timeText(wall.minute)) in \(clock.name)"
            }
            return "it is \(Words.list(texts))"
        }
    }

    /// Why it is not known.
    func doubt(_ condition: PolicyRule.Condition) -> String {
        switch condition {
        case .network: return station == nil ? "nothing says from where this comes (--from)" : "no address is known of the user's device"
        case .country:
            return place.address == nil
                ? station == nil ? "nothing says from where this comes (--from)" : "no address is known of the user's device"
                : "no country is known for \(place.address.map(\.description) ?? "it")"
        default: return "no time zone is known of \(user) (`sallyport user set \(Words.argument(user)) --time-zone ZONE`)"
        }
    }
}
