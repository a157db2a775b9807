// SPDX-License-Identifier: Apache-2.0
// Every database ends in the same logical schema: tables, columns, kinds, keys and indexes, as one text.

import Foundation
import LoginEngine
import TestSupport
import Testing

@testable import Store

@Suite struct SchemaTests {
    @Test(arguments: TestDatabases.all) func migrationsEndInTheSameSchema(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try kind.open(in: folder)
        defer { database.close() }
        _ = try Migrator.of(database.dialect).migrate(database, at: start)
        let schema = try database.dialect == .sqlite ? Self.ofFile(database) : Self.ofServer(database)
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/schema.txt")
        if kind == .sqlite, ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(schema.utf8).write(to: file)
        }
        let golden = try String(contentsOf: file, encoding: .utf8)
        let (found, wanted) = (Set(schema.split(separator: "\n")), Set(golden.split(separator: "\n")))
        #expect(found.subtracting(wanted).sorted() == [], "only here")
        #expect(wanted.subtracting(found).sorted() == [], "missing here; SALLYPORT_GOLDEN=write rewrites the file from SQLite")
    }

    @Test func migrationsHaveTheSameNames() {
        #expect(Migrator.of(.sqlite).migrations.map(\.name) == Migrator.of(.postgres).migrations.map(\.name))
        #expect(Migrator.of(.sqlite).newest == Migrator.of(.postgres).newest)
    }

    private static func lines(_ database: any SQLDatabase, _ sql: String) throws -> [String] {
        try database.read([Statement(SQL(composed: sql))])[0].map { try $0.text(0) }
    }

    private static func ofFile(_ database: any SQLDatabase) throws -> String {
        let tables = "FROM sqlite_master m JOIN"
        let named = "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        let columns = """
            SELECT m.name || '.' || c.name || ' ' || c.type || CASE WHEN c."notnull" OR c.pk > 0 THEN ' required' ELSE '' END
            \(tables) pragma_table_info(m.name) c \(named)
            """
        let keys = """
            SELECT m.name || ' key (' || (SELECT group_concat(k.name, ', ') FROM (
                SELECT c.name FROM pragma_table_info(m.name) c WHERE c.pk > 0 ORDER BY c.pk) k) || ')'
            FROM sqlite_master m \(named)
            """
        let unique = """
            SELECT m.name || CASE i."unique" WHEN 1 THEN ' unique (' ELSE ' index (' END || (SELECT group_concat(k.name, ', ') FROM (
                SELECT x.name FROM pragma_index_info(i.name) x ORDER BY x.seqno) k) || ')'
            \(tables) pragma_index_list(m.name) i \(named) AND i.origin <> 'pk'
            """
        let references = """
            SELECT m.name || '.' || f."from" || ' references ' || f."table" || '.' || f."to" || ' on delete ' || lower(f.on_delete)
            \(tables) pragma_foreign_key_list(m.name) f \(named)
            """
        return try [columns, keys, unique, references].flatMap { try lines(database, $0) }.sorted().joined(separator: "\n") + "\n"
    }

    private static func ofServer(_ database: any SQLDatabase) throws -> String {
        let columns = """
            SELECT c.table_name || '.' || c.column_name || ' ' || CASE c.data_type
                WHEN 'bigint' THEN 'INTEGER' WHEN 'text' THEN CASE c.collation_name WHEN 'C' THEN 'TEXT' ELSE 'TEXT of a language' END
                WHEN 'bytea' THEN 'BLOB' ELSE c.data_type END
                || CASE c.is_nullable WHEN 'NO' THEN ' required' ELSE '' END
            FROM information_schema.columns c WHERE c.table_schema = current_schema()
            """
        // Keys and unique constraints are indexes here.
        let indexes = """
            SELECT t.relname || CASE WHEN i.indisprimary THEN ' key (' WHEN i.indisunique THEN ' unique (' ELSE ' index (' END || (
                SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY k (number, place)
                JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) || ')'
            FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
            WHERE n.nspname = current_schema()
            """
        let references = """
            SELECT t.relname || '.' || a.attname || ' references ' || f.relname || '.' || b.attname || ' on delete '
                || CASE c.confdeltype WHEN 'c' THEN 'cascade' WHEN 'a' THEN 'no action' WHEN 'n' THEN 'set null' ELSE 'something else' END
            FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
            JOIN pg_namespace n ON n.oid = t.relnamespace
            JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
            JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = c.confkey[1]
            WHERE n.nspname = current_schema() AND c.contype = 'f'
            """
        return try [columns, indexes, references].flatMap { try lines(database, $0) }.sorted().joined(separator: "\n") + "\n"
    }
}
