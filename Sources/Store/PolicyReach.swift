// SPDX-License-Identifier: Apache-2.0
// How many users a policy decides about, counted by the database.

package import LoginEngine

extension Records {
    /// Who a policy decides about, as far as groups tell.
    package struct PolicyReach: Sendable, Equatable {
        /// Members of any of these groups; nil: everybody.
        package var groups: [Int64]?
        /// Any of these users; nil: everybody.
        package var users: [Int64]?
        /// For each kind of gateway: groups that an earlier policy decides about. Who is in none of one of these lists is concerned.
        package var earlier: [[Int64]]

        package init(groups: [Int64]?, users: [Int64]? = nil, earlier: [[Int64]]) {
            self.groups = groups
            self.users = users
            self.earlier = earlier
        }
    }

    /// How many active users a policy decides about, and how many of them have no active factor of these kinds.
    /// - Parameter kinds: nil for any.
    package func countUsers(
        in reach: PolicyReach, without kinds: [FactorKind]?
    ) throws(StoreError) -> (all: Int, without: Int) {
        guard !reach.earlier.isEmpty else { return (0, 0) }
        var conditions = ["u.status = 'active'"]
        if let groups = reach.groups { conditions.append("u.id IN (\(Self.members(of: try nested(groups))))") }
        if let users = reach.users { conditions.append("u.id IN (\(users.map(String.init).joined(separator: ", ")))") }
        if !reach.earlier.contains([]) {
            var outside: [String] = []
            for groups in reach.earlier { outside.append("u.id NOT IN (\(Self.members(of: try nested(groups))))") }
            conditions.append("(" + outside.joined(separator: " OR ") + ")")
        }
        let listed = (kinds ?? FactorKind.allCases).map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let factor = "EXISTS (SELECT 1 FROM factor f WHERE f.\"user\" = u.id AND f.state = 'active' AND f.kind IN (\(listed)))"
        let users = "SELECT count(*) FROM \"user\" u WHERE \(conditions.joined(separator: " AND "))"
        return try read([
            Statement(SQL(composed: users)), Statement(SQL(composed: "\(users) AND NOT \(factor)")),
        ]) { results throws(DatabaseError) in (Int(try results[0][0].integer(0)), Int(try results[1][0].integer(0))) }
    }

    private static func members(of groups: [Int64]) -> String {
        "SELECT m.\"user\" FROM membership m WHERE m.\"group\" IN (\(groups.map(String.init).joined(separator: ", ")))"
    }

    /// Login names of the users that are there.
    package func userNames(ofRows rows: Set<Int64>) throws(StoreError) -> [Int64: String] {
        guard !rows.isEmpty else { return [:] }
        let list = rows.sorted().map(String.init).joined(separator: ", ")
        return try read([Statement(SQL(composed: "SELECT u.id, u.name FROM \"user\" u WHERE u.id IN (\(list))"))]) {
            results throws(DatabaseError) in
            var names: [Int64: String] = [:]
            for row in results[0] { names[try row.integer(0)] = try row.text(1) }
            return names
        }
    }

    /// These groups and all within them.
    package func nested(_ groups: [Int64]) throws(StoreError) -> [Int64] {
        try read([Statement(.groupsInGroups)]) { results throws(DatabaseError) in
            var inner: [Int64: [Int64]] = [:]
            for row in results[0] { inner[try row.integer(0), default: []].append(try row.integer(1)) }
            var found = Set(groups)
            var next = groups
            while let group = next.popLast() {
                for member in inner[group] ?? [] where found.insert(member).inserted { next.append(member) }
            }
            return found.sorted()
        }
    }
}

extension SQL {
    fileprivate static let groupsInGroups = SQL("SELECT \"group\", member FROM group_in_group")
}
