// SPDX-License-Identifier: Apache-2.0
// Conditions of a policy that look at who logs in, from where and when.

import Administration
import ArgumentParser

struct PolicyPlaceConditions: ParsableArguments {
    @Option(name: .customLong("user"), help: ArgumentHelp("Only for this user; can be repeated.", valueName: "user"))
    var users: [String] = []
    @Option(
        name: .customLong("network"),
        help: ArgumentHelp("Only from these networks, as 203.0.113.0/24; separated by commas, or repeated.", valueName: "networks"))
    var networks: [String] = []
    @Option(name: .customLong("not-network"), help: ArgumentHelp("Only from elsewhere than these; or none.", valueName: "networks"))
    var otherNetworks: [String] = []
    @Option(
        name: .customLong("country"),
        help: ArgumentHelp("Only from these countries, as DE,AT; needs policy.country-database.", valueName: "countries"))
    var countries: [String] = []
    @Option(name: .customLong("not-country"), help: ArgumentHelp("Only from other countries than these; or none.", valueName: "countries"))
    var otherCountries: [String] = []
    @Option(
        name: .customLong("hours"),
        help: ArgumentHelp("Only then: 'mon-fri 07:00-20:00 Europe/Berlin'; can be repeated.", valueName: "hours"))
    var hours: [String] = []

    func fill(_ choices: inout PolicyChoices) {
        func given(_ texts: [String]) -> [String]? { texts.isEmpty ? nil : texts == ["none"] ? [] : texts }
        choices.users = users.isEmpty ? nil : users
        choices.networks = networks.isEmpty ? nil : networks
        choices.otherNetworks = given(otherNetworks)
        choices.countries = countries.isEmpty ? nil : countries
        choices.otherCountries = given(otherCountries)
        choices.hours = hours.isEmpty ? nil : hours
    }
}
