// SPDX-License-Identifier: Apache-2.0
// What logins are judged by, where their passwords live, and what their accepts carry.

/// All of it as one value, so that no login is judged by the new policies and answered by the old reply attributes.
package struct Rulebook: Sendable {
    package var policies: PolicyTable
    package var replies: ReplyTable
    package var limits: SessionLimits
    package var homes: HomeTable
    package var countries: CountryLookup

    package init(
        policies: PolicyTable = .empty, replies: ReplyTable = .empty, limits: SessionLimits = .none, homes: HomeTable = .empty,
        countries: CountryLookup = .none
    ) {
        self.policies = policies
        self.replies = replies
        self.limits = limits
        self.homes = homes
        self.countries = countries
    }
}

extension Rulebook {
    /// What a login has to prove, and what an accept says: by everything that its policies ask for.
    func ruling(of request: LoginRequest, _ facts: LoginFacts, at time: Timestamp) -> Ruling {
        let client = request.client
        var ruling =
            policies.isEmpty
            ? Ruling.own(of: client)
            : policies.ruling(
                for: client, groups: facts.groups, manner: policies.asksManner ? LoginManner(request) : .unknown,
                place: policies.asksPlace ? place(of: request, user: facts.user, at: time) : .unknown)
        if !replies.isEmpty { ruling.reply = replies.plan(for: client, policy: ruling.giving, groups: facts.groups) }
        ruling.groupLimit = limits.least(of: facts.groups)
        return ruling
    }

    /// Only what policies ask for is looked up.
    func place(of request: LoginRequest, user: User?, at time: Timestamp) -> LoginPlace {
        let address = request.callingStation.flatMap { NetworkAddress(station: $0) }
        return LoginPlace(
            user: user?.id, address: address, country: policies.asksCountry ? address.flatMap { countries.country($0) } : nil, time: time,
            clock: policies.asksUsersClock ? user?.timeZone.flatMap { ZoneClock.named($0) } : nil)
    }
}
