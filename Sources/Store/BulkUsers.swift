// SPDX-License-Identifier: Apache-2.0
// Many users with a factor each into a database that has none: for benchmarks, where one change a user would take hours.

package import LoginEngine

package struct BulkUser: Sendable {
    package var name: String
    package var key: String
    package var passwordHash: Secret?
    package var kept: KeptPassword?
    /// Where the password lives instead; nobody looks whether there is such a directory.
    package var directory: Int64?
    /// `user` is filled in.
    package var factor: NewFactor?

    package init(name: String, key: String) {
        self.name = name
        self.key = key
    }
}

extension Records {
    /// Users in one transaction.
    private static let bulkSize = 5_000

    /// Adds `count` users. Refused unless the database has never had one: rows are numbered here, and a number is never given twice.
    ///
    /// - Parameter user: makes the n-th; called once for each, in order.
    package func addUsers(
        count: Int, created: Timestamp, event: Event, _ user: @escaping @Sendable (Int) throws(StoreError) -> BulkUser
    ) async throws(StoreError) {
        guard try userCount() == 0, try revision() <= Self.untouchedRevision else {
            throw StoreError(.notAllowed, "many users at once are added to a new database alone", remedy: "Use an empty data directory.")
        }
        var next = 0
        while next < count {
            let end = min(count, next + Self.bulkSize)
            var statements: [Statement] = []
            statements.reserveCapacity(3 * (end - next))
            for number in next..<end { statements += self.statements(adding: try user(number), row: Int64(number) + 1, created) }
            let unit = Unit(statements)
            try await onWriter { [database] () throws(DatabaseError) in _ = try database.write([unit]) { _ in [] } }
            next = end
        }
        // SQLite counts on from the highest number by itself.
        let numbers = database.dialect == .postgres ? [Statement(.countOnUsers), Statement(.countOnFactors)] : []
        try await change(Unit(numbers + [Statement(.raiseRevision)])) { _ in [event] }
    }

    /// A new database has its first revision, a client may have been added before.
    private static var untouchedRevision: Int64 { 2 }

    private func statements(adding user: BulkUser, row: Int64, _ created: Timestamp) -> [Statement] {
        let hash = user.passwordHash.map { sealing.seal($0, at: .passwordHash(row)) }
        var statements = [
            Statement(
                .insertBulkUser,
                [
                    .integer(row), .text(user.name), .text(user.key), .blob(hash),
                    .blob(user.kept?.ntHash.map { sealing.seal($0, at: .ntHash(row)) }),
                    .blob(user.kept?.text.map { sealing.seal($0, at: .clearPassword(row)) }), .integer(user.directory),
                    .integer(created.microseconds),
                ]),
            Statement(.insertBulkName, [.text(user.key), .integer(row), .text(user.name)]),
        ]
        guard let factor = user.factor else { return statements }
        statements.append(
            Statement(
                .insertBulkFactor,
                [
                    .integer(row), .integer(row), .text(factor.kind.rawValue), .text(factor.label), .text(factor.state.rawValue),
                    .blob(sealing.seal(factor.secret, at: .factorSecret(row, ofUser: row))), .text(factor.algorithm.rawValue),
                    .integer(Int64(factor.digits)), .integer(Int64(factor.period)), .integer(factor.firstCounter - 1),
                    .integer(created.microseconds),
                ]))
        return statements
    }
}

extension SQL {
    fileprivate static let countOnUsers = SQL("SELECT setval(pg_get_serial_sequence('\"user\"', 'id'), max(id)) FROM \"user\"")
    fileprivate static let countOnFactors = SQL("SELECT setval(pg_get_serial_sequence('factor', 'id'), max(id)) FROM factor")
    fileprivate static let insertBulkUser = SQL(
        """
        INSERT INTO "user" (id, name, name_key, status, password_hash, nt_hash, clear_password, directory, created)
        VALUES (?1, ?2, ?3, 'active', ?4, ?5, ?6, ?7, ?8)
        """)
    fileprivate static let insertBulkName = SQL("INSERT INTO user_name (name_key, \"user\", name, is_alias) VALUES (?1, ?2, ?3, 0)")
    fileprivate static let insertBulkFactor = SQL(
        """
        INSERT INTO factor (id, "user", kind, label, state, secret, algorithm, digits, period, folded, drift, created)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11)
        """)
}
