// SPDX-License-Identifier: Apache-2.0
// What a session becomes, record by record: retries, wrong order, ids used again, counters that turn over.

import LoginEngine
import Testing

@Suite struct GatewaySessionTests {
    typealias Kind = AccountingRecord.Kind

    static let noon = Timestamp(seconds: 1_767_268_800)

    /// `after`: seconds after noon at which it happened; `read` at which it came, where that is later.
    static func record(
        _ kind: Kind, after: Int64, read: Int64? = nil, name: String = "alice", seconds: Int64? = nil, octets: Int64 = 0,
        change: (inout AccountingRecord) -> Void = { _ in }
    ) -> AccountingRecord {
        var record = AccountingRecord(
            kind, client: 1, gateway: "vpn1", sessionID: "7f", source: NetworkAddress(v4: 0xC000_0201), at: noon + .seconds(after),
            read: noon + .seconds(read ?? after))
        record.name = name
        record.nameKey = name
        record.figures = SessionFigures(seconds: seconds ?? 0, input: octets, output: octets * 2)
        record.hasTime = seconds != nil
        if kind == .stop { record.cause = 1 }
        change(&record)
        return record
    }

    /// Every session that these records leave behind, the last one last.
    static func sessions(_ records: [AccountingRecord]) -> [GatewaySession] {
        records.reduce(into: []) { sessions, record in
            switch GatewaySession.taking(record, over: sessions.last) {
            case .unchanged: break
            case .changed(let session): sessions[sessions.count - 1] = session
            case .new(let session): sessions.append(session)
            case .replaced(let old, by: let new):
                sessions[sessions.count - 1] = old
                sessions.append(new)
            }
        }
    }

    @Test func startUpdateStopAreOneSession() throws {
        let found = Self.sessions([
            Self.record(.start, after: 0), Self.record(.update, after: 300, seconds: 300, octets: 10),
            Self.record(.stop, after: 600, seconds: 600, octets: 25),
        ])
        let session = try #require(found.first)
        #expect(found.count == 1)
        #expect(session.started == Self.noon && session.ended == Self.noon + .seconds(600) && session.ending == .stopped)
        #expect(session.figures == SessionFigures(seconds: 600, input: 25, output: 50))
        #expect(session.cause == 1)
    }

    static let life = [
        record(.start, after: 0), record(.update, after: 300, read: 305, seconds: 300, octets: 10),
        record(.update, after: 600, read: 612, seconds: 600, octets: 20), record(.stop, after: 700, read: 720, seconds: 700, octets: 30),
    ]

    /// All orders of the four, and each with every record sent twice: what counts is the same.
    @Test(arguments: [
        [0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1], [1, 0, 2, 3], [1, 0, 3, 2], [1, 2, 0, 3],
        [1, 2, 3, 0], [1, 3, 0, 2], [1, 3, 2, 0], [2, 0, 1, 3], [2, 0, 3, 1], [2, 1, 0, 3], [2, 1, 3, 0], [2, 3, 0, 1], [2, 3, 1, 0],
        [3, 0, 1, 2], [3, 0, 2, 1], [3, 1, 0, 2], [3, 1, 2, 0], [3, 2, 0, 1], [3, 2, 1, 0],
    ])
    func orderAndRetriesChangeNothing(order: [Int]) throws {
        let once = order.map { Self.life[$0] }
        for records in [once, once.flatMap { [$0, $0] }, once + once, once + once.reversed()] {
            let found = Self.sessions(records)
            #expect(found.count == 1, "\(found.count) sessions")
            let session = try #require(found.last)
            #expect(session.hasStart && session.started == Self.noon)
            #expect(session.ended == Self.noon + .seconds(700) && session.ending == .stopped && session.cause == 1)
            #expect(session.figures == SessionFigures(seconds: 700, input: 30, output: 60))
        }
    }

    @Test func aRetryThatDoesNotSayHowOldItIsChangesNothing() throws {
        let found = Self.sessions([
            Self.record(.start, after: 0), Self.record(.start, after: 5), Self.record(.stop, after: 3, seconds: 3),
            Self.record(.stop, after: 40, seconds: 3), Self.record(.start, after: 60),
        ])
        #expect(found.count == 1)
        #expect(found[0].started == Self.noon && found[0].ended == Self.noon + .seconds(3))
    }

    @Test func aLostStartIsWorkedOut() throws {
        let stop = Self.sessions([Self.record(.stop, after: 900, seconds: 900)])[0]
        #expect(stop.started == Self.noon && !stop.hasStart && !stop.isOpen)
        let update = Self.sessions([Self.record(.update, after: 900, seconds: 300)])[0]
        #expect(update.started == Self.noon + .seconds(600) && update.isOpen)
        #expect(Self.sessions([Self.record(.update, after: 900)])[0].started == Self.noon + .seconds(900))
    }

    @Test(arguments: [(601, 2), (599, 1)])
    func aStartLongAfterTheLastNewsIsAnotherSession(after: Int64, count: Int) {
        let found = Self.sessions([Self.record(.start, after: 0), Self.record(.start, after: after)])
        #expect(found.count == count)
        #expect(found[0].ending == (count == 2 ? .replaced : nil))
    }

    @Test func anIdOfAnotherUserIsAnotherSession() {
        let found = Self.sessions([Self.record(.start, after: 0), Self.record(.start, after: 30, name: "bob")])
        #expect(found.map(\.name) == ["alice", "bob"])
        #expect(found[0].ending == .replaced && found[0].ended == Self.noon && found[1].isOpen)
    }

    @Test func anIdUsedAgainAfterTheStopIsAnotherSession() {
        let first = [Self.record(.start, after: 0), Self.record(.stop, after: 3600, seconds: 3600)]
        #expect(Self.sessions(first + [Self.record(.start, after: 3700)]).map(\.isOpen) == [false, true])
        // Its Start was lost.
        #expect(Self.sessions(first + [Self.record(.update, after: 5000, seconds: 600)]).map(\.isOpen) == [false, true])
        #expect(Self.sessions(first + [Self.record(.stop, after: 5000, seconds: 600)]).map(\.isOpen) == [false, false])
        // As late as that, but of the session that is over.
        #expect(Self.sessions(first + [Self.record(.update, after: 3500, read: 5000, seconds: 3500)]).count == 1)
    }

    @Test func afterARestartOfTheGatewayEveryStartIsNew() {
        var session = Self.sessions([Self.record(.start, after: 0)])[0]
        session.ended = Self.noon + .seconds(60)
        session.ending = .gatewayRestarted
        guard case .new(let next) = GatewaySession.taking(Self.record(.start, after: 61), over: session) else {
            Issue.record("no new session")
            return
        }
        #expect(next.isOpen)
        // A Start of before that is only late.
        guard case .changed(let same) = GatewaySession.taking(Self.record(.start, after: 0, read: 90), over: session) else {
            Issue.record("not the same session")
            return
        }
        #expect(same.ending == .gatewayRestarted)
    }

    @Test(arguments: [GatewaySession.Ending.lost, .gatewayRestarted])
    func newsOfASessionThatWasGivenUpOpenItAgain(ending: GatewaySession.Ending) {
        var session = Self.sessions([Self.record(.start, after: 0)])[0]
        session.ended = Self.noon + .seconds(60)
        session.ending = ending
        guard case .changed(let open) = GatewaySession.taking(Self.record(.update, after: 90_000, seconds: 90_000), over: session) else {
            Issue.record("not the same session")
            return
        }
        #expect(open.isOpen && open.ending == nil && open.figures.seconds == 90_000)
        guard case .changed(let over) = GatewaySession.taking(Self.record(.stop, after: 90_000, seconds: 90_000), over: session) else {
            Issue.record("not the same session")
            return
        }
        #expect(over.ending == .stopped && over.ended == Self.noon + .seconds(90_000))
    }

    /// RFC 2869 §5.1: without Gigawords the counter turns over at 4 GiB.
    @Test func countersOf32BitsGoOnPast4GiB() {
        func update(_ seconds: Int64, _ octets: Int64, late: Bool = false) -> AccountingRecord {
            Self.record(.update, after: seconds, read: late ? 9000 : nil, seconds: seconds) {
                $0.figures.input = octets
                $0.isShort = true
            }
        }
        let turn = Int64(1) << 32
        let records = [update(100, turn - 5), update(200, 10), update(300, 20), update(400, 5)]
        #expect(Self.sessions(records).last?.figures.input == 2 * turn + 5)
        #expect(Self.sessions(records + [update(150, turn - 1, late: true)]).last?.figures.input == 2 * turn + 5)
        #expect(Self.sessions(records + [update(400, 5)]).last?.figures.input == 2 * turn + 5)
        let gigawords = Self.record(.update, after: 500, seconds: 500) { $0.figures.input = 3 * turn }
        #expect(Self.sessions(records + [gigawords]).last?.figures.input == 3 * turn)
    }

    /// Our clock jumps an hour ahead in the middle of a session, or back.
    @Test(arguments: [Int64(3600), -3600])
    func aClockThatJumpsDoesNotSplitASession(jump: Int64) {
        let found = Self.sessions([
            Self.record(.start, after: 0), Self.record(.update, after: 300 + jump, seconds: 300),
            Self.record(.stop, after: 600 + jump, seconds: 600),
        ])
        #expect(found.count == 1)
        #expect(found[0].figures.seconds == 600 && !found[0].isOpen)
        if let ended = found[0].ended { #expect(ended >= found[0].started) }
    }

    @Test func whatComesLaterFillsWhatWasMissing() {
        let found = Self.sessions([
            Self.record(.start, after: 0, name: ""),
            Self.record(.update, after: 10, seconds: 10) {
                $0.addresses = "10.0.0.7"
                $0.station = "198.51.100.7"
                $0.port = 4
                $0.groupClass = "staff"
            },
            Self.record(.update, after: 20, seconds: 20) { $0.addresses = "10.0.0.8" },
        ])
        #expect(found.count == 1)
        #expect(found[0].name == "alice" && found[0].addresses == "10.0.0.8" && found[0].station == "198.51.100.7")
        #expect(found[0].port == 4 && found[0].groupClass == "staff")
    }
}
