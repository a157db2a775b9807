// SPDX-License-Identifier: Apache-2.0
// Old events go from the front and nothing younger does; what is left still verifies, and a front that was cut otherwise is told.

import LoginEngine
import Testing

@testable import Store

@Suite struct RetentionTests {
    private static let day = Timestamp.Span.minutes(24 * 60)

    /// A group of two lines for each day; everything indexed.
    private func fill(_ fixture: Fixture, days: Int64) throws {
        for day in 0..<days {
            for number in 0..<2 as Range<UInt64> {
                fixture.records.remember(
                    .event(
                        Event(
                            .loginRejected, at: start + .minutes(day * 24 * 60 + Int64(number)),
                            login: LoginID(Bits128(high: UInt64(day), low: number)), user: fixture.user, client: 3,
                            subject: PersonalFields([.init("name", "Alice")]))))
            }
            fixture.records.writer.commitNow()
        }
        while try fixture.records.index.fillSome(upTo: fixture.records.chain.head.seq, atLeast: 1) {}
    }

    private func cut(_ fixture: Fixture, before time: Timestamp, upTo limit: Int64 = .max) async throws -> CutOutcome {
        try await fixture.change { try await $0.cutTrail(before: time, upTo: limit) }
    }

    private func seqs(_ fixture: Fixture) throws -> [Int64] { try fixture.records.events(EventFilter(limit: .max)).map(\.seq).reversed() }

    @Test(arguments: TestDatabases.all) func oldEventsGoAndTheRestVerifies(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 10)
        let all = try seqs(fixture)
        let early = try #require(try await fixture.change { try await $0.anchor(at: start) })
        let bound = start + .minutes(4 * 24 * 60)
        guard case .cut(let count) = try await cut(fixture, before: bound) else { throw StoreError(.notFound, "nothing was cut") }
        #expect(try await cut(fixture, before: bound) == .done)
        let left = try seqs(fixture)
        #expect(left.count == 12 && left == Array(all.suffix(12)) && Int(count) == all.count - 12)
        let report = try fixture.records.verifyChain()
        #expect(report.findings == [] && report.base == left[0] - 1 && report.events == 12)
        // Personal fields and search entries went with them.
        #expect(try fixture.query("SELECT count(*) FROM event_personal WHERE first_seq < ?1", [.integer(left[0])])[0].integer(0) == 0)
        for table in ["event_login", "event_user", "event_client"] {
            #expect(try fixture.query("SELECT count(*) FROM \(table) WHERE seq < ?1", [.integer(left[0])])[0].integer(0) == 0)
        }
        // One event tells of all of it, once.
        #expect(try await fixture.change { try await $0.tellOfCut(at: start) } == count)
        #expect(try await fixture.change { try await $0.tellOfCut(at: start) } == 0)
        let told = try fixture.records.events(EventFilter(limit: 1))[0].event
        #expect(told.kind == .trailCut && told.details == [.init("from", "1"), .init("to", "\(count)")])
        // Anchors of what is gone say nothing; later ones count as before.
        try fixture.reopen()
        #expect(try fixture.records.verifyChain(anchors: [PlacedAnchor(early, line: 1)]).isIntact)
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        #expect(try fixture.records.verifyChain().isIntact)
    }

    @Test(arguments: TestDatabases.all) func nothingYoungerGoesAndTheNewestGroupStays(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 3)
        let all = try seqs(fixture)
        #expect(try await cut(fixture, before: start - Self.day) == .done)
        #expect(try seqs(fixture) == all)
        // The group of the first day has a line of a minute past: it is not older than its first line alone.
        #expect(try await cut(fixture, before: start + .minutes(1), upTo: .max) != .done)
        #expect(try seqs(fixture).count == 6)
        while try await cut(fixture, before: .init(microseconds: .max)) != .done {}
        #expect(try seqs(fixture) == Array(all.suffix(2)))
        #expect(try fixture.records.verifyChain().isIntact)
    }

    @Test(arguments: TestDatabases.all) func clockThatWasSetBackHidesNothingOlder(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 2)
        fixture.records.remember(.event(Event(.loginRejected, at: start + .minutes(400 * 24 * 60))))
        fixture.records.writer.commitNow()
        try fill(fixture, days: 2)
        let count = try seqs(fixture).count
        while try await cut(fixture, before: start + .minutes(300 * 24 * 60)) != .done {}
        // What stands behind a line of the future is kept as long as that: the front is all that can go.
        #expect(try seqs(fixture).count == 5 && count > 5)
        #expect(try fixture.records.verifyChain().isIntact)
    }

    @Test(arguments: TestDatabases.all) func editedFrontIsEvidenceAndStays(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        let bound = start + .minutes(3 * 24 * 60)
        _ = try await cut(fixture, before: bound)
        let first = try seqs(fixture)[0]
        try fixture.tamper("UPDATE event_group SET at_last = at_last - 1 WHERE first_seq = ?1", [.integer(first)])
        #expect(try await cut(fixture, before: bound + Self.day + Self.day) == .damaged(at: first))
        #expect(try seqs(fixture)[0] == first)
    }

    @Test(arguments: TestDatabases.all) func retentionGoesOnBehindWhatWasEditedAndEveryVerificationTellsOfIt(_ kind: TestDatabases)
        async throws
    {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        let bound = start + .minutes(3 * 24 * 60)
        while case .cut = try await cut(fixture, before: bound) {}
        let later = bound + Self.day + Self.day
        #expect(try fixture.records.editedFront(before: later) == nil, "nothing is wrong yet")
        let groups = try fixture.query("SELECT first_seq, count FROM event_group ORDER BY first_seq")
        let (first, next) = (try groups[0].integer(0), try groups[1].integer(0))
        try fixture.tamper("UPDATE event_group SET at_last = at_last - 1 WHERE first_seq = ?1", [.integer(first)])
        #expect(try fixture.records.editedFront(before: bound) == nil, "what follows is not old enough")
        let lines = try #require(try fixture.records.editedFront(before: later))
        #expect(lines == first...next - 1)
        #expect(try fixture.records.evidence() == nil)
        try await fixture.change { try await $0.passEdited(lines) }
        // Once: by then the front is another.
        try await fixture.change { try await $0.passEdited(lines) }
        #expect(try fixture.records.trailExtent().base == lines.upperBound)
        guard case .cut = try await cut(fixture, before: later) else {
            Issue.record("retention did not go on")
            return
        }
        while case .cut = try await cut(fixture, before: later) {}
        #expect(try seqs(fixture).first == first, "the evidence is still there")
        #expect(try fixture.query("SELECT first_seq FROM event_personal WHERE first_seq = ?1", [.integer(first)]).isEmpty)
        let evidence = try #require(try fixture.records.evidence())
        #expect(evidence == (1, first))
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.lines) == [lines] && findings[0].text.contains("evidence"))
        try fixture.reopen()
        #expect(try fixture.records.verifyChain().findings == findings)
        #expect(try await fixture.change { try await $0.tellOfCut(at: start) } > 0)
        let told = try #require(try fixture.records.events(EventFilter(limit: 1)).first?.event)
        #expect(told.details.first == .init("from", "\(lines.upperBound + 1)"), "what was left is not told as removed")
    }

    @Test(arguments: TestDatabases.all) func retentionGoesOnBehindLinesThatAreMissing(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        let groups = try fixture.query("SELECT first_seq FROM event_group ORDER BY first_seq").map { try $0.integer(0) }
        try fixture.tamper("DELETE FROM event_group WHERE first_seq = ?1", [.integer(groups[0])])
        let later = start + .minutes(4 * 24 * 60)
        #expect(try await cut(fixture, before: later) == .damaged(at: groups[1]))
        let lines = try #require(try fixture.records.editedFront(before: later))
        #expect(lines == groups[0]...groups[1] - 1)
        try await fixture.change { try await $0.passEdited(lines) }
        #expect(try await cut(fixture, before: later) != .damaged(at: groups[1]))
        #expect(try fixture.records.verifyChain().findings == [], "the event alone tells of what left nothing behind")
    }

    @Test(arguments: TestDatabases.all) func nobodyPassesAMarkThatWasChanged(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        while case .cut = try await cut(fixture, before: start + .minutes(3 * 24 * 60)) {}
        try fixture.tamper("UPDATE chain_base SET mac = hash")
        #expect(try fixture.records.editedFront(before: start + .minutes(6 * 24 * 60)) == nil)
    }

    @Test(
        arguments: ["DELETE FROM chain_base", "UPDATE chain_base SET seq = seq + 2", "UPDATE chain_base SET mac = hash"], TestDatabases.all)
    func markThatWasChangedIsTold(_ change: String, _ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        _ = try await cut(fixture, before: start + .minutes(3 * 24 * 60))
        try fixture.tamper(change)
        #expect(!(try fixture.records.verifyChain().isIntact))
    }

    @Test(arguments: TestDatabases.all) func frontThatSomebodyElseCutIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        let head = fixture.records.chain.head
        // An honest record of the chain's end, kept from earlier, is no mark of a cut.
        let mac = fixture.records.chain.signing.mac(of: head)
        try fill(fixture, days: 2)
        try fixture.tamper("DELETE FROM event_group WHERE first_seq <= ?1", [.integer(head.seq)])
        try fixture.tamper("DELETE FROM event_personal WHERE first_seq <= ?1", [.integer(head.seq)])
        #expect(try fixture.records.verifyChain().findings.first?.kind == .removed)
        try fixture.tamper(
            "INSERT INTO chain_base (id, seq, hash, mac, told) VALUES (1, ?1, ?2, ?3, ?1)",
            [.integer(head.seq), .blob(head.hash), .blob(mac)])
        #expect(try fixture.records.verifyChain().findings.first?.kind == .base)
    }

    @Test(arguments: TestDatabases.all) func markAndAnchorsOutliveTheirMasterKey(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fill(fixture, days: 6)
        let anchor = try #require(try await fixture.change { try await $0.anchor(at: start) })
        _ = try await cut(fixture, before: start + .minutes(3 * 24 * 60))
        let event = Event(.nodeStarted, at: start)
        _ = try await fixture.change { try await $0.rotateKey(at: start, begun: { _ in event }, done: { _ in event }) }
        for _ in 1...2 {
            let report = try fixture.records.verifyChain(anchors: [PlacedAnchor(anchor, line: 1)])
            #expect(report.findings == [] && report.base > 0 && report.anchors == 2)
            let key = try fixture.records.trailKey()
            #expect(key.current != anchor.text.key && key.known.contains(anchor.text.key))
            try fixture.reopen()
        }
        #expect(try await fixture.change { try await $0.anchor(at: start) }?.text.key == fixture.records.trailKey().current)
        #expect(try await cut(fixture, before: start + .minutes(4 * 24 * 60)) != .damaged(at: 1))
        #expect(try fixture.records.verifyChain().isIntact)
    }

    @Test(arguments: TestDatabases.all) func cuttingIsBoundedAStep(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        for _ in 0..<40 {
            for _ in 0..<100 { fixture.records.remember(.event(Event(.loginRejected, at: start, user: fixture.user))) }
            fixture.records.writer.commitNow()
        }
        while try fixture.records.index.fillSome(upTo: fixture.records.chain.head.seq, atLeast: 1) {}
        guard case .cut(let count) = try await cut(fixture, before: start + Self.day) else {
            throw StoreError(.notFound, "nothing was cut")
        }
        #expect(count <= Records.linesOfACut && count > Records.linesOfACut - 101)
        // By size: up to a line, whatever the age.
        #expect(try await cut(fixture, before: start + Self.day, upTo: count + 150) == .cut(100))
        #expect(try await cut(fixture, before: start + Self.day, upTo: count + 150) == .done)
        let extent = try fixture.records.trailExtent()
        #expect(extent.base == count + 100 && extent.events == fixture.records.chain.head.seq - extent.base && extent.oldest == start)
        #expect((80...1000).contains(extent.bytesPerEvent))
    }

    @Test func clockIsTrustedAfterAnHourWithoutAJump() {
        var clock = SteadyClock()
        func moment(_ wall: Int64, _ uptime: Int64) -> Moment {
            Moment(wall: start + .minutes(wall), uptime: .init(seconds: 0) + .minutes(uptime))
        }
        #expect(!clock.isTrusted(at: moment(0, 0)) && !clock.isTrusted(at: moment(59, 59)) && clock.isTrusted(at: moment(60, 60)))
        // Ten years ahead: an hour of the new time has to pass; set right again, another one.
        #expect(!clock.isTrusted(at: moment(5_256_061, 61)) && !clock.isTrusted(at: moment(5_256_120, 120)))
        #expect(!clock.isTrusted(at: moment(121, 121)) && !clock.isTrusted(at: moment(180, 180)) && clock.isTrusted(at: moment(181, 181)))
    }
}
