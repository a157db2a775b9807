// SPDX-License-Identifier: Apache-2.0
// Brings a database to this version's schema: numbered steps, forward only, each in one transaction with its own record.

package import LoginEngine

package struct Migration: Sendable {
    var number: Int
    var name: String
    var checksum: String
    var script: StaticString
}

package struct Migrator: Sendable {
    var migrations: [Migration]

    package static func of(_ dialect: Dialect) -> Migrator {
        switch dialect {
        case .sqlite: Migrator(migrations: Migration.sqlite)
        case .postgres: Migrator(migrations: Migration.postgres)
        }
    }

    package var newest: Int { migrations.last?.number ?? 0 }

    /// - Returns: the version that the database had before; 0 for an empty one.
    package func migrate(_ database: any SQLDatabase, at now: Timestamp) throws(StoreError) -> Int {
        let applied = try versions(of: database)
        let current = applied.last?.number ?? 0
        guard current <= newest else {
            throw StoreError(
                .newerSchema, "the database has schema \(current), and this program knows schemas up to \(newest)",
                remedy: "Start the newer version of Sallyport, or restore the backup made before it was first started.")
        }
        for (number, name, checksum) in applied {
            guard let known = migrations.first(where: { $0.number == number }), known.name == name, known.checksum == checksum else {
                throw StoreError(
                    .changedMigration, "schema step \(number) (\(name)) is not the one that this program knows",
                    remedy: "This database was made by a build that was never released; start with a new data directory.")
            }
        }
        let missing = migrations.filter { $0.number > current }
        guard !missing.isEmpty else { return current }
        // All of them or none: who goes back after a failure finds the schema that was there.
        do {
            try database.execute(
                script: missing.map(\.script.description).joined(separator: "\n"),
                then: missing.map { migration in
                    Statement(
                        .insertVersion,
                        [
                            .integer(Int64(migration.number)), .text(migration.name), .text(migration.checksum),
                            .integer(now.microseconds),
                        ])
                })
        } catch {
            throw StoreError(error)
        }
        return current
    }

    /// 0 for an empty database.
    package func version(of database: any SQLDatabase) throws(StoreError) -> Int {
        try versions(of: database).last?.number ?? 0
    }

    package func requireNewest(_ database: any SQLDatabase) throws(StoreError) {
        let current = try versions(of: database).last?.number ?? 0
        guard current == newest else {
            throw StoreError(
                .newerSchema, "the database has schema \(current), and this program needs \(newest)",
                remedy: "Start once without --no-migrate, after a backup.")
        }
    }

    private func versions(of database: any SQLDatabase) throws(StoreError) -> [(number: Int, name: String, checksum: String)] {
        do throws(DatabaseError) {
            guard try database.read([Statement(database.dialect == .sqlite ? .hasVersionsInFile : .hasVersionsInSchema)])[0].count == 1
            else { return [] }
            var versions: [(Int, String, String)] = []
            for row in try database.read([Statement(.versions)])[0] {
                versions.append((Int(try row.integer(0)), try row.text(1), try row.text(2)))
            }
            return versions
        } catch {
            throw StoreError(error)
        }
    }
}

extension SQL {
    fileprivate static let hasVersionsInSchema = SQL(
        "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_version'")
    fileprivate static let hasVersionsInFile = SQL("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'")
    fileprivate static let versions = SQL("SELECT number, name, checksum FROM schema_version ORDER BY number")
    fileprivate static let insertVersion = SQL(
        "INSERT INTO schema_version (number, name, checksum, applied) VALUES (?1, ?2, ?3, ?4)")
}
