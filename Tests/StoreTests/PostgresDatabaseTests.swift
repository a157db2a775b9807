// SPDX-License-Identifier: Apache-2.0
// What only a server can do to a node: go away, come back, hang, or serve somebody else.

import Foundation
import LoginEngine
import Synchronization
import TestSupport
import Testing

@testable import Store

@Suite(.enabled(if: PostgresCluster.isHere, "PostgreSQL is not installed: scripts/install-packages test"))
struct PostgresDatabaseTests {
    private static let insert = SQL("INSERT INTO t (id, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")

    private func insert(_ id: Int64, _ value: String = "x") -> Statement { Statement(Self.insert, [.integer(id), .text(value)]) }

    private func make(_ folder: TemporaryFolder, _ change: (inout PostgresDatabase.Options) -> Void = { _ in }) throws -> PostgresDatabase {
        var options = PostgresDatabase.Options()
        change(&options)
        let database = try PostgresDatabase(try TestDatabases.address(of: folder), options: options)
        try database.execute(script: "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, value TEXT)", then: [])
        return database
    }

    private func count(_ database: any SQLDatabase) throws -> Int64 {
        try database.read([Statement(SQL(composed: "SELECT count(*) FROM t"))])[0][0].integer(0)
    }

    /// Ends the session that writes, as an administrator at the server would.
    private static func endWriter(of folder: TemporaryFolder) throws {
        let connection = try PostgresConnection(try TestDatabases.address(of: folder), timeout: 20_000)
        let ended = try connection.run([
            Statement(
                SQL(
                    composed: """
                        SELECT pg_terminate_backend(a.pid, 5000) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
                        WHERE l.locktype = 'advisory' AND l.granted AND CAST(l.objid AS bigint)
                            = hashtextextended('sallyport ' || current_schema(), 0) & 4294967295
                        """))
        ])[0]
        #expect(ended.count == 1)
    }

    // MARK: Values and statements

    @Test(arguments: ["\u{0}", "a\u{0}", "\u{10FFFF}", "\u{10FFFF}0", "\u{10FFFF}\u{0}1\u{10FFFF}1", "ü\u{10FFFE}"])
    func textThatTheServerWouldRefuseComesBackAsItWent(_ text: String) throws {
        let folder = TemporaryFolder()
        let database = try make(folder)
        defer { database.close() }
        _ = try database.write([Unit([insert(1, text)])]) { _ in [] }
        let found = SQL("SELECT value FROM t WHERE value = ?1")
        #expect(try database.read([Statement(found, [.text(text)])])[0][0].text(0) == text)
    }

    @Test func parametersAreNumberedOutsideOfQuotesOnly() {
        #expect(
            PostgresConnection.numbered(#"SELECT '?1 \', "a?1" WHERE a = ?1 AND b = '''?2' AND c = ?12"#)
                == #"SELECT '?1 \', "a?1" WHERE a = $1 AND b = '''?2' AND c = $12"#)
    }

    /// A parameter is NULL at first, and a number later; then NULL again.
    @Test func statementIsPreparedForEachKindOfItsParameters() throws {
        let folder = TemporaryFolder()
        let database = try make(folder)
        defer { database.close() }
        let sql = SQL("INSERT INTO t (id, value) SELECT ?1, ?2")
        for (id, value) in [(1, SQLValue.null), (2, .text("b")), (3, .null), (4, .text("d"))] as [(Int64, SQLValue)] {
            #expect(try database.write([Unit([Statement(sql, [.integer(id), value])])]) { _ in [] }[0].isDone)
        }
        let rows = try database.read([Statement(SQL(composed: "SELECT value FROM t ORDER BY id"))])[0]
        #expect(rows.map { $0[0] } == [.null, .text("b"), .null, .text("d")])
    }

    @Test func statementThatCannotBePreparedSpoilsItsUnitAlone() throws {
        let folder = TemporaryFolder()
        let database = try make(folder)
        defer { database.close() }
        let wrong = SQL("SELECT nothing FROM nowhere")
        for _ in 1...2 {
            let outcomes = try database.write([Unit([insert(1)]), Unit([Statement(wrong), insert(2)]), Unit([insert(3)])]) { _ in [] }
            #expect(outcomes.map(\.isDone) == [true, false, true])
            #expect(throws: DatabaseError.self) { try database.read([Statement(wrong)]) }
        }
        #expect(try count(database) == 2)
    }

    @Test func errorsNameTablesAndNeverValues() throws {
        let folder = TemporaryFolder()
        let database = try make(folder)
        defer { database.close() }
        let raising = SQL("INSERT INTO t (id, value) VALUES (?1, ?2)")
        _ = try database.write([Unit([insert(1)])]) { _ in [] }
        let outcome = try database.write([Unit([Statement(raising, [.integer(1), .text("hush")])])]) { _ in [] }[0]
        guard case .failed(let error) = outcome else {
            Issue.record("not failed")
            return
        }
        #expect(error == DatabaseError(.constraint, "a constraint was violated: constraint t_pkey of table t (SQLSTATE 23505)"))
        let cast = #expect(throws: DatabaseError.self) { try database.read([Statement(SQL(composed: "SELECT CAST('hush' AS bigint)"))]) }
        #expect(cast?.message.contains("hush") == false)
    }

    // MARK: The address

    @Test func passwordIsInNoErrorAndNoDescription() throws {
        let right = try PostgresAddress("postgresql://anna:hush@db1,db2:5433/sallyport?sslmode=require")
        #expect(right.hasPassword && right.description == "PostgreSQL sallyport on db1,db2")
        #expect(!"\(right)".contains("hush") && !String(reflecting: right).contains("hush"))
        #expect(right.clean("FATAL: no\n\thush here\n") == "FATAL: no; \t<secret> here")
        for wrong in ["postgresql://anna:hush@[db/x", "postgresql://anna:hush@db/x?sslmod=1", "anna:hush", "host=db password=hush"] {
            let error = #expect(throws: DatabaseError.self) { try PostgresAddress(wrong) }
            #expect(error?.kind == .cannotOpen && error?.message.contains("hush") == false)
        }
        #expect(try PostgresAddress("postgresql:///?service=vpn").description == "PostgreSQL service vpn")
    }

    @Test func aServerBehindASocketIsNotElsewhere() throws {
        let database = try PostgresDatabase(try PostgresAddress(try PostgresCluster.shared().newSchema()))
        defer { database.close() }
        let examination = try database.examine(within: .seconds(1))
        #expect(!examination.isElsewhere && !examination.isExamined && examination.isDurable)
    }

    @Test func serverThatIsNotThereIsLostAndOneThatRefusesIsNoDatabase() throws {
        let cluster = try PostgresCluster.shared()
        let away = try PostgresAddress("postgresql:///x?host=/nonexistent&password=hush")
        let lost = #expect(throws: DatabaseError.self) { try PostgresDatabase(away) }
        #expect(lost?.kind == .lost && lost?.message.contains("hush") == false)
        #expect(StoreError(opening: away, try #require(lost)).isConfiguration == false)
        let unknown = try PostgresAddress(cluster.url().replacing("postgres?", with: "nothing?"))
        let refused = #expect(throws: DatabaseError.self) { try PostgresDatabase(unknown) }
        #expect(refused?.kind == .cannotOpen)
        #expect(StoreError(opening: unknown, try #require(refused)).isConfiguration)
    }

    @Test func commitsWaitForTheDiskWhateverTheServerSays() throws {
        let address = try PostgresAddress(try PostgresCluster.shared().newSchema() + "%20-csynchronous_commit%3Doff")
        let plain = try PostgresConnection(address, timeout: 20_000)
        let asked = Statement(SQL(composed: "SELECT current_setting('synchronous_commit')"))
        #expect(try plain.run([asked])[0][0].text(0) == "off")
        let database = try PostgresDatabase(address)
        defer { database.close() }
        let seen = Collected<String>()
        let look = Unit(guarded: [Unit.Guard(asked)]) { rows in
            if let text = try? rows[0].first?.text(0) { seen.add(text) }
            return []
        }
        _ = try database.write([look]) { _ in [] }
        #expect(seen.all == ["on"])
    }

    // MARK: One node

    @Test func secondNodeIsToldWhoWorksOnTheDatabase() throws {
        let folder = TemporaryFolder()
        let first = try make(folder)
        let address = try TestDatabases.address(of: folder)
        var options = PostgresDatabase.Options()
        options.lockWait = 50
        let error = #expect(throws: DatabaseError.self) { try PostgresDatabase(address, options: options) }
        #expect(error?.kind == .busy && error?.message.contains("another node (of this machine, process ") == true, "\(error as Any)")
        #expect(StoreError(opening: address, try #require(error)).code == .locked)
        first.close()
        try PostgresDatabase(address).close()
    }

    @Test func nodeThatLostItsLockToAnotherWritesNothing() throws {
        let folder = TemporaryFolder()
        let first = try make(folder) { $0.lockWait = 50 }
        defer { first.close() }
        try Self.endWriter(of: folder)
        let second = try PostgresDatabase(try TestDatabases.address(of: folder))
        #expect(throws: DatabaseError.self) { try first.write([Unit([insert(1)])]) { _ in [] } }
        let error = #expect(throws: DatabaseError.self) { try first.session() }
        #expect(error?.kind == .busy)
        second.close()
        // The next try is put off for half a second.
        let end = ContinuousClock.now + .seconds(10)
        var session = 0
        while session == 0, ContinuousClock.now < end { session = (try? first.session()) ?? 0 }
        #expect(session == 1)
        #expect(try first.write([Unit([insert(1)])]) { _ in [] }[0].isDone)
    }

    // MARK: Lost connections

    @Test func serverThatRestartsIsTakenUpAgainByItself() throws {
        let cluster = try PostgresCluster()
        defer { cluster.end() }
        let database = try PostgresDatabase(try PostgresAddress(cluster.url()))
        defer { database.close() }
        try database.execute(script: "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, value TEXT)", then: [])
        for (round, isCrash) in [false, true].enumerated() {
            #expect(try database.session() == round)
            #expect(try database.write([Unit([insert(Int64(round))])]) { _ in [] }[0].isDone)
            #expect(try count(database) == Int64(round) + 1)
            if isCrash { try cluster.crash() } else { try cluster.stop() }
            #expect(throws: DatabaseError.self) { try count(database) }
            #expect(throws: DatabaseError.self) { try database.session() }
            #expect(throws: DatabaseError.self) { try database.write([Unit([insert(100)])]) { _ in [] } }
            try cluster.start()
            let end = ContinuousClock.now + .seconds(10)
            while (try? database.session()) == nil, ContinuousClock.now < end {}
            #expect(try count(database) == Int64(round) + 1)
        }
        #expect(try database.session() == 2)
        #expect(try database.write([Unit([insert(7)])]) { _ in [] }[0].isDone)
    }

    @Test func answerThatIsLateEndsTheSessionAndNotTheNode() throws {
        let folder = TemporaryFolder()
        let database = try make(folder) { $0.writeTimeout = 400 }
        defer { database.close() }
        // The server's own limit comes first, and the session goes on.
        let slow = Unit([Statement(SQL(composed: "SELECT CAST(pg_sleep(5) AS text)"))])
        let error = #expect(throws: DatabaseError.self) { try database.write([slow]) { _ in [] } }
        #expect(error?.kind == .busy)
        #expect(try database.session() == 0)
        #expect(try database.write([Unit([insert(1)])]) { _ in [] }[0].isDone)
        // One that does not keep to it.
        let deaf = Unit([
            Statement(SQL(composed: "SET statement_timeout = 0")), Statement(SQL(composed: "SELECT CAST(pg_sleep(2) AS text)")),
        ])
        #expect(throws: DatabaseError.self) { try database.write([deaf]) { _ in [] } }
        #expect(try database.session() == 1)
        #expect(try database.write([Unit([insert(2)])]) { _ in [] }[0].isDone)
        #expect(try count(database) == 2)
    }

    @Test func tableThatSomebodyHoldsFailsTheGroupAndNothingElse() throws {
        let folder = TemporaryFolder()
        let database = try make(folder) { $0.lockTimeout = 200 }
        defer { database.close() }
        let other = try PostgresConnection(try TestDatabases.address(of: folder), timeout: 20_000)
        try other.run(script: "BEGIN; LOCK TABLE t")
        let error = #expect(throws: DatabaseError.self) { try database.write([Unit([insert(1)])]) { _ in [] } }
        #expect(error?.kind == .busy)
        try other.run(script: "ROLLBACK")
        #expect(try database.session() == 0)
        #expect(try database.write([Unit([insert(1)])]) { _ in [] }[0].isDone)
    }

    /// The connection ends before the n-th statement of a group, for every n: the trail stays whole, and no code is good twice.
    @Test func connectionLostAnywhereLeavesATrailThatGoesOn() async throws {
        var losing = 1
        var isOver = false
        while !isOver {
            let fixture = try await Fixture(.postgres)
            let left = Atomic<Int>(.max)
            let folder = fixture.folder
            try fixture.reopen(probe: { _ in
                if left.wrappingSubtract(1, ordering: .relaxed).newValue == 0 { try? Self.endWriter(of: folder) }
            })
            left.store(losing, ordering: .relaxed)
            let settlement = fixture.settlement([.totp(factor: fixture.totp, step: 100)])
            let outcome = fixture.settle(settlement)[0]
            isOver = left.load(ordering: .relaxed) > 0
            left.store(.max, ordering: .relaxed)
            let again = fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)], login: 2))[0]
            let login = settlement.decision.login.bits
            let events = try fixture.records.events(logins: login...login, limit: 9)
            // Done and told, or never; in doubt it is refused, and what is there stays there.
            if outcome == .done { #expect(events.count == 1, "statement \(losing)") }
            #expect(again == (events.isEmpty ? .done : .markUsed(settlement.decision)), "statement \(losing)")
            #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 101)], login: 3)) == [.done])
            #expect(try fixture.records.verifyChain().findings == [], "statement \(losing)")
            losing += 1
            try #require(losing < 40)
        }
        #expect(losing > 6)
    }

    /// A standby that took over had not heard of the last login: its line is missing for ever, and no other takes its number.
    @Test func linesThatAServerForgotStayMissing() async throws {
        let fixture = try await Fixture(.postgres)
        let before = try fixture.query("SELECT seq, hash, mac FROM chain_head")[0]
        let lost = fixture.settlement([.totp(factor: fixture.totp, step: 100)])
        #expect(fixture.settle(lost) == [.done])
        let seq = fixture.records.chain.head.seq
        try fixture.tamper("DELETE FROM event_group WHERE first_seq = ?1", [.integer(seq)])
        try fixture.tamper("DELETE FROM event_personal WHERE first_seq = ?1", [.integer(seq)])
        try fixture.tamper("UPDATE chain_head SET seq = ?1, hash = ?2, mac = ?3", [before[0], before[1], before[2]])
        try Self.endWriter(of: fixture.folder)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 101)], login: 2)) == [.done])
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.kind) == [.removed] && findings[0].lines.contains(seq), "\(findings)")
    }

    /// Another node wrote in between: the trail goes on from its last line.
    @Test func trailOfAnotherNodeIsTakenUpInANewSession() async throws {
        let fixture = try await Fixture(.postgres)
        try Self.endWriter(of: fixture.folder)
        var options = Records.Options()
        options.runsWriter = false
        let other = try Records(try TestDatabases.postgres.open(in: fixture.folder), key: fixture.key, at: start, options: options)
        other.remember(.event(Event(.loginRejected, at: start)))
        other.writer.commitNow()
        let head = other.chain.head.seq
        other.close()
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        #expect(fixture.records.chain.head.seq == head + 1)
        #expect(try fixture.records.verifyChain().findings == [])
    }
}
