// SPDX-License-Identifier: Apache-2.0
// Policies that do not do what somebody wrote them for, and what they ask for and nobody knows.

internal import LoginEngine
internal import Store

enum PolicyCheck {
    /// A database of countries is renewed every week or month; addresses move on.
    static let oldAfter = Timestamp.Span.seconds(90 * 86_400)
    /// Fewer logins tell nothing of a gateway.
    static let fewest = 20

    static func findings(_ operations: Operations) throws(StoreError) -> [Finding] {
        let policies = try operations.records.policySet().records.map(\.policy)
        guard !policies.isEmpty else { return [] }
        let clients = try operations.records.clients()
        let rows = PolicyRows(
            clients: clients.map { ($0.id, $0.name, $0.settings.tags) }, groups: [], user: { _ throws(Refusal) in 0 })
        let shadow = PolicyShadow(
            policies: policies, rows: rows, users: try operations.records.userNames(ofRows: Set(policies.flatMap(\.rule.when.users))))
        var findings: [Finding] = []
        if Operations.isClosed(policies, clients) {
            findings.append(
                Finding(
                    .everybodyLockedOut, nil, "Nobody can log in anywhere: every client is denied, by a policy or by its own rule.",
                    remedy: "See `sallyport policy list`, and add a policy that lets somebody in before the one that denies."))
        }
        for (position, policy) in policies.enumerated() {
            guard let sentence = shadow.sentence(position) else { continue }
            findings.append(
                Finding(
                    .policyUnreachable, policy.name, sentence, remedy: "sallyport policy show \(policy.name); move, change or remove it"))
        }
        findings += countries(policies, operations.ports.countries(), now: operations.now())
        findings += stations(policies, clients, operations.ports.habits)
        return findings.orElse(
            Finding(.policiesRight, nil, "\(Words.count(policies.count, "policy", "policies")), and each can be reached."))
    }

    static func countries(_ policies: [Policy], _ countries: Operations.Countries, now: Timestamp) -> [Finding] {
        let asking = policies.filter { $0.rule.when.asksCountry }.map(\.name)
        guard !asking.isEmpty else { return [] }
        let who = "Policy \(Words.list(asking)) \(asking.count == 1 ? "asks" : "ask") for countries"
        if let problem = countries.problem {
            return [
                Finding(
                    .countriesUnknown, nil, "\(who), and nobody's is known: \(problem). \(Operations.unknownWords)",
                    remedy: "Set policy.country-database to a file in MaxMind's format (.mmdb), and restart the node.")
            ]
        }
        guard let built = countries.built, built + oldAfter < now else { return [] }
        return [
            Finding(
                .countriesOld, nil, "\(who), and the database of them is of \(Instant(built)).",
                remedy: "Put a new one in its place; it is read within a minute.")
        ]
    }

    /// Gateways that do not say where the user's device is, at which a policy asks for it.
    private static func stations(
        _ policies: [Policy], _ clients: [Client], _ habits: (Int64) -> GatewayHabits?
    ) -> [Finding] {
        clients.compactMap { client in
            guard client.settings.isEnabled, let habits = habits(client.id), habits.requests >= fewest,
                habits.withoutStation * 2 > habits.requests,
                let policy = policies.first(where: { !$0.rule.isReportOnly && $0.rule.when.asksAddress && $0.rule.when.fits(client) })
            else { return nil }
            return Finding(
                .stationMissing, client.name,
                "Client \(client.name) does not say where its users' devices are, and policy \(policy.name) asks for it. "
                    + Operations.unknownWords,
                remedy: "Let the gateway send Calling-Station-Id with the address of the user's device.")
        }
    }
}
