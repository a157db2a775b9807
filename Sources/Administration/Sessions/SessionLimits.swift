// SPDX-License-Identifier: Apache-2.0
// How many sessions a user may have open, as it is shown; and where nobody counts them.

package import LoginEngine
package import Store

extension Records {
    package func sessionLimits() throws(StoreError) -> SessionLimits {
        SessionLimits(try groups().map { ($0.id, $0.name, $0.mostSessions) })
    }

    /// Whether any user, group or policy says how many.
    func limitsSessions() throws(StoreError) -> Bool {
        if try !sessionLimits().isEmpty { return true }
        if try countOfLimitedUsers() > 0 { return true }
        return try policySet().records.contains { $0.policy.rule.mostSessions != nil && !$0.policy.rule.isReportOnly }
    }

    /// Clients that let somebody in and have never reported a session: what is opened there is not counted.
    func clientsWithoutSessions() throws(StoreError) -> [Client] {
        let reporting = try clientsOfSessions()
        return try clients().filter { $0.settings.isEnabled && !reporting.contains($0.id) }
    }
}

extension Operations {
    func sessions(of user: UserRecord) throws -> UserView.Sessions {
        let open = try openSessions(ofUser: user.id).count
        let groups = try records.groups(ofUser: user.id).map(\.id)
        let ofGroups = try records.sessionLimits().least(of: groups)
        let limit = user.mostSessions.map { SessionLimit($0, .user) } ?? ofGroups
        return UserView.Sessions(open: open, own: user.mostSessions, most: limit?.most, by: limit?.origin.words)
    }

    /// For whoever has just set a number.
    func unaccountedWarnings(_ concerns: (Client) -> Bool = { _ in true }) throws -> [String] {
        let clients = try records.clientsWithoutSessions().filter(concerns)
        guard !clients.isEmpty else { return [] }
        return [
            "\(Words.list(clients.map(\.name))) \(clients.count == 1 ? "has" : "have") reported no session yet: without accounting, what is "
                + "opened there is not counted."
        ]
    }
}

/// Limits that hold nobody back, or for too long.
enum SessionLimitCheck {
    static func findings(_ records: Records) throws(StoreError) -> [Finding] {
        guard try records.limitsSessions() else { return [] }
        return try records.clientsWithoutSessions().map { client in
            Finding(
                .sessionsUncounted, client.name,
                "The number of sessions is limited, and client \(client.name) has never reported one: those that it opens are not counted.",
                remedy: "Switch accounting on at the gateway (docs/run/sessions.md)")
        }
    }
}

extension Words {
    static func sessions(_ most: Int?) -> String { most.map { "\($0)" } ?? "any" }
}
