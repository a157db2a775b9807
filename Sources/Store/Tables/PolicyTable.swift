// SPDX-License-Identifier: Apache-2.0
// policy, policy_revision and policy_order: the rules in force, and all that ever were.

package import LoginEngine

/// A policy as it was at one revision, with the names that its rows had then.
package struct PolicyRecord: Sendable, Equatable {
    package var policy: Policy
    package var at: Timestamp
    package var names: PolicyNames

    package init(policy: Policy, at: Timestamp, names: PolicyNames) {
        self.policy = policy
        self.at = at
        self.names = names
    }
}

/// Names of the rows that policies point to.
package struct PolicyNames: Sendable, Equatable {
    package var clients: [Int64: String]
    package var groups: [Int64: String]
    /// Of users as they are now; never kept with a policy.
    package var users: [Int64: String]

    package init(clients: [Int64: String] = [:], groups: [Int64: String] = [:], users: [Int64: String] = [:]) {
        self.clients = clients
        self.groups = groups
        self.users = users
    }
}

/// All policies as they are, and what the next change of them has to know.
package struct PolicySet: Sendable {
    /// Rises with every change: who writes names the one that was read.
    package var number: Int64
    package var records: [PolicyRecord]
    var nextID: Int64
    /// The last revision that was given to each name.
    var lastRevisions: [String: Int]

    package var table: PolicyTable { PolicyTable(records.map(\.policy)) }
}

/// A policy as it is to be: one that is there, or a new one.
package struct PolicyDraft: Sendable, Equatable {
    package var id: Int64?
    package var rule: PolicyRule

    package init(id: Int64?, rule: PolicyRule) {
        self.id = id
        self.rule = rule
    }
}

extension PolicySet {
    /// The policies with their new revisions; what did not change keeps its own.
    package func applying(_ drafts: [PolicyDraft]) -> [Policy] {
        var next = nextID
        return drafts.map { draft in
            let old = draft.id.flatMap { id in records.first { $0.policy.id == id }?.policy }
            if let old, old.rule == draft.rule { return old }
            let revision = max(old?.revision ?? 0, lastRevisions[draft.rule.name] ?? 0) + 1
            if let old { return Policy(id: old.id, revision: revision, rule: draft.rule) }
            defer { next += 1 }
            return Policy(id: next, revision: revision, rule: draft.rule)
        }
    }

    /// The statements that make `policies` the ones in force; nothing else may have changed them since this was read.
    func statements(for policies: [Policy], names: PolicyNames, at: Timestamp) -> [Statement] {
        var statements = [Statement(.dropPolicies)]
        for (position, policy) in policies.enumerated() {
            let id = SQLValue.integer(policy.id)
            let body = SQLValue.text(PolicyBody(policy.rule, names: names).json)
            let isNew = !records.contains { $0.policy.id == policy.id && $0.policy.revision == policy.revision }
            statements.append(
                Statement(.insertPolicy, [id, .text(policy.name), .integer(Int64(position)), .integer(Int64(policy.revision)), body]))
            if isNew {
                statements.append(
                    Statement(
                        .insertPolicyRevision,
                        [id, .integer(Int64(policy.revision)), .text(policy.name), .integer(at.microseconds), body]))
            }
            statements += Set(policy.rule.when.clients).map { Statement(.insertPolicyClient, [id, .integer($0)]) }
            statements += Set(policy.rule.when.groups).map { Statement(.insertPolicyGroup, [id, .integer($0)]) }
        }
        for record in records where !policies.contains(where: { $0.id == record.policy.id }) {
            statements.append(Statement(.dropGraceStarts, [.integer(record.policy.id)]))
        }
        let members = policies.map { "\($0.id):\($0.revision)" }.joined(separator: " ")
        statements.append(Statement(.insertPolicyOrder, [.integer(number + 1), .integer(at.microseconds), .text(members)]))
        return statements
    }

    var isStillNewest: Unit.Guard { Unit.Guard(Statement(.policyOrderIs, [.integer(number)])) }
}

extension Records {
    package func policySet() throws(StoreError) -> PolicySet {
        try read([Statement(.policies), Statement(.lastPolicyOrder), Statement(.lastPolicyID), Statement(.lastPolicyRevisions)]) {
            results throws(DatabaseError) in
            var last: [String: Int] = [:]
            for row in results[3] { last[try row.text(0)] = Int(try row.integer(1)) }
            var records: [PolicyRecord] = []
            for row in results[0] { records.append(try Self.policy(row)) }
            return PolicySet(
                number: try results[1][0].integer(0), records: records, nextID: try results[2][0].integer(0) + 1, lastRevisions: last)
        }
    }

    /// The policies as they were in force at a time.
    package func policies(at time: Timestamp) throws(StoreError) -> [PolicyRecord] {
        try read([Statement(.policyOrderAt, [.integer(time.microseconds)])]) { results throws(DatabaseError) in
            guard let row = results[0].first else { return [] }
            var records: [PolicyRecord] = []
            for member in try row.text(0).split(separator: " ") {
                let parts = member.split(separator: ":").compactMap { Int64($0) }
                guard parts.count == 2 else { throw .unexpectedValue(0) }
                let found = try database.read([Statement(.policyRevision, [.integer(parts[0]), .integer(parts[1])])])[0]
                guard let row = found.first else { throw DatabaseError(.damaged, "a revision of a policy is not there") }
                records.append(try Self.policy(row))
            }
            return records
        }
    }

    /// Every revision of every policy that ever had this name, oldest first.
    package func policyRevisions(name: String) throws(StoreError) -> [PolicyRecord] {
        try read([Statement(.policyRevisions, [.text(name)])]) { results throws(DatabaseError) in
            var records: [PolicyRecord] = []
            for row in results[0] { records.append(try Self.policy(row)) }
            return records
        }
    }

    /// Makes these the policies in force, in this order.
    /// - Throws: `.notAllowed` when they were changed since `set` was read.
    package func replacePolicies(
        _ policies: [Policy], over set: PolicySet, names: PolicyNames, at: Timestamp, events: [Event]
    ) async throws(StoreError) {
        let groups = Set(policies.flatMap(\.rule.when.groups)).sorted()
        let clients = Set(policies.flatMap(\.rule.when.clients)).sorted()
        let guards =
            [set.isStillNewest] + groups.map { Unit.Guard(Statement(.findGroup, [.integer($0)])) }
            + clients.map { Unit.Guard(Statement(.clientIsThere, [.integer($0)])) }
        let statements = set.statements(for: policies, names: names, at: at) + [Statement(.raiseRevision)]
        let refusals = Array(repeating: Self.policiesChanged, count: guards.count)
        try await change(Unit(guarded: guards) { _ in statements }, refusals: refusals) { _ in events }
    }

    static let policiesChanged = StoreError(
        .notAllowed, "somebody else changed the policies at this moment", remedy: "Look, and try again.")

    /// Five columns: id, revision, at, name, body.
    private static func policy(_ row: Row) throws(DatabaseError) -> PolicyRecord {
        guard let body = PolicyBody(json: try row.text(4)), let rule = body.rule(named: try row.text(3)) else { throw .unexpectedValue(4) }
        return PolicyRecord(
            policy: Policy(id: try row.integer(0), revision: Int(try row.integer(1)), rule: rule),
            at: Timestamp(microseconds: try row.integer(2)), names: body.names)
    }

    /// What is known of a user's times of grace.
    package func graceFacts(ofUser user: Int64) throws(StoreError) -> GraceFacts {
        try read([Statement(.graceOfUser, [.integer(user)])]) { results throws(DatabaseError) in try Self.grace(results[0]) }
    }

    /// Two columns: policy, began; the row without a policy says that there is no grace any more.
    static func grace(_ rows: Rows) throws(DatabaseError) -> GraceFacts {
        var facts = GraceFacts()
        for row in rows {
            if let policy = try row.integerIfAny(0) {
                facts.began[policy] = Timestamp(microseconds: try row.integer(1))
            } else {
                facts.isOver = true
            }
        }
        return facts
    }
}

extension SQL {
    /// ?1 name key.
    static let groupsForLogin = SQL(
        """
        WITH RECURSIVE around (id) AS (
            SELECT m."group" FROM user_name n JOIN membership m ON m."user" = n."user" WHERE n.name_key = ?1
            UNION SELECT i."group" FROM group_in_group i JOIN around ON i.member = around.id)
        SELECT id FROM around
        """)
    static let graceForLogin = SQL(
        """
        SELECT s.policy, s.began FROM user_name n JOIN grace_start s ON s."user" = n."user" WHERE n.name_key = ?1
        UNION ALL SELECT NULL, o.at FROM user_name n JOIN grace_over o ON o."user" = n."user" WHERE n.name_key = ?1
        """)
    static let startGrace = SQL("INSERT INTO grace_start (policy, \"user\", began) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
    static let endGrace = SQL("INSERT INTO grace_over (\"user\", at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    static let policyOfClient = SQL("SELECT 1 FROM policy_client WHERE client = ?1 LIMIT 1")
    static let policyOfGroup = SQL("SELECT 1 FROM policy_group WHERE \"group\" = ?1 LIMIT 1")
    fileprivate static let graceOfUser = SQL(
        "SELECT policy, began FROM grace_start WHERE \"user\" = ?1 UNION ALL SELECT NULL, at FROM grace_over WHERE \"user\" = ?1")
    fileprivate static let policies = SQL(
        """
        SELECT p.id, p.revision, r.at, p.name, p.body FROM policy p
        JOIN policy_revision r ON r.policy = p.id AND r.number = p.revision ORDER BY p.position
        """)
    fileprivate static let lastPolicyOrder = SQL("SELECT coalesce(max(number), 0) FROM policy_order")
    fileprivate static let lastPolicyID = SQL("SELECT coalesce(max(policy), 0) FROM policy_revision")
    fileprivate static let lastPolicyRevisions = SQL("SELECT name, max(number) FROM policy_revision GROUP BY name")
    fileprivate static let policyOrderIs = SQL(
        "SELECT 1 FROM revision WHERE id = 1 AND (SELECT coalesce(max(number), 0) FROM policy_order) = ?1")
    fileprivate static let policyOrderAt = SQL("SELECT members FROM policy_order WHERE at <= ?1 ORDER BY number DESC LIMIT 1")
    fileprivate static let policyRevision = SQL(
        "SELECT policy, number, at, name, body FROM policy_revision WHERE policy = ?1 AND number = ?2")
    fileprivate static let policyRevisions = SQL(
        """
        SELECT policy, number, at, name, body FROM policy_revision
        WHERE policy IN (SELECT r.policy FROM policy_revision r WHERE r.name = ?1) ORDER BY at, policy, number
        """)
    static let dropPolicies = SQL("DELETE FROM policy")
    fileprivate static let insertPolicy = SQL("INSERT INTO policy (id, name, position, revision, body) VALUES (?1, ?2, ?3, ?4, ?5)")
    fileprivate static let insertPolicyRevision = SQL(
        "INSERT INTO policy_revision (policy, number, name, at, body) VALUES (?1, ?2, ?3, ?4, ?5)")
    fileprivate static let insertPolicyClient = SQL("INSERT INTO policy_client (policy, client) VALUES (?1, ?2)")
    fileprivate static let insertPolicyGroup = SQL("INSERT INTO policy_group (policy, \"group\") VALUES (?1, ?2)")
    fileprivate static let insertPolicyOrder = SQL("INSERT INTO policy_order (number, at, members) VALUES (?1, ?2, ?3)")
    fileprivate static let dropGraceStarts = SQL("DELETE FROM grace_start WHERE policy = ?1")
}
