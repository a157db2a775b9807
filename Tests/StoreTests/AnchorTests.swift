// SPDX-License-Identifier: Apache-2.0
// Anchors kept elsewhere: a trail that was put back, cut or written anew is told from the one that was anchored.

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct AnchorTests {
    private func write(_ count: Int, _ fixture: Fixture, at time: Timestamp = start) {
        for _ in 0..<count {
            fixture.records.remember(.event(Event(.loginRejected, at: time, user: fixture.user, client: 3)))
            fixture.records.writer.commitNow()
        }
    }

    private func anchor(_ fixture: Fixture, at time: Timestamp = start) async throws -> Anchor? {
        try await fixture.change { try await $0.anchor(at: time) }
    }

    private func placed(_ anchors: [Anchor]) -> [PlacedAnchor] { anchors.enumerated().map { PlacedAnchor($1, line: $0 + 1) } }

    @Test(arguments: TestDatabases.all) func idleTrailIsNotAnchoredAgain(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        write(1, fixture)
        let first = try #require(try await anchor(fixture))
        #expect(first.seq == fixture.records.chain.head.seq && first.hash == fixture.records.chain.head.hash)
        #expect(try await anchor(fixture, at: start + .minutes(1)) == nil)
        try fixture.reopen(at: start + .minutes(2))
        #expect(try await anchor(fixture, at: start + .minutes(3)) == nil)
        write(1, fixture)
        #expect(try await anchor(fixture, at: start + .minutes(4))?.seq == first.seq + 1)
        // Anchoring itself writes no event, or nothing would ever be idle.
        #expect(fixture.records.chain.head.seq == first.seq + 1)
        #expect(try fixture.records.verifyChain().isIntact)
    }

    @Test func anchorIsALineThatAnybodyCanCheck() async throws {
        let fixture = try await Fixture()
        write(1, fixture)
        let anchor = try #require(try await anchor(fixture, at: Timestamp(microseconds: start.microseconds + 999_999)))
        #expect(anchor.text.line.hasPrefix("sallyport-anchor 1 chain=") && anchor.text.line.contains(" at=2026-01-01T00:00:00Z "))
        #expect(Anchor(in: anchor.text.line) == anchor)
        #expect(Anchor(in: "Jan 1 00:00:00 vpn1 sallyport[7]: info anchored anchor=\"\(anchor.text.line)\" x=1") == anchor)
        #expect(try fixture.records.trailKey().current == anchor.text.key)
        let line = Array(anchor.text.line.utf8)
        for position in line.indices {
            var changed = line
            changed[position] ^= 0x01
            let text = String(decoding: changed, as: UTF8.self)
            // The last sextet has bits that mean nothing; whatever is read must be what was signed.
            #expect(Anchor(in: text).map { $0.seq == anchor.seq && $0.hash == anchor.hash } ?? true, "\(position): \(text)")
            if position < line.count - 2 { #expect(Anchor(in: text) == nil, "\(position)") }
        }
        #expect(Anchor(in: anchor.text.line.dropLast(10)) == nil && Anchor(in: "") == nil)
    }

    @Test func olderCopyThatWasPutBackIsTold() async throws {
        let fixture = try await Fixture()
        write(3, fixture)
        let old = try #require(try await anchor(fixture))
        fixture.records.close()
        let copy = fixture.folder.path + "/copy"
        try copyFile(fixture.folder.path + "/sallyport.sqlite", copy)
        try fixture.reopen()
        write(5, fixture)
        let new = try #require(try await anchor(fixture, at: start + .minutes(1)))
        #expect(try fixture.records.verifyChain(anchors: placed([old, new])).isIntact)

        fixture.records.close()
        for name in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: fixture.folder.path + "/sallyport.sqlite" + name) }
        try copyFile(copy, fixture.folder.path + "/sallyport.sqlite")
        try fixture.reopen()
        // In itself it is consistent.
        #expect(try fixture.records.verifyChain().isIntact)
        let restored = try fixture.records.verifyChain(anchors: placed([old, new]))
        #expect(restored.findings.map(\.kind) == [.restored] && restored.findings[0].lines == old.seq + 1...new.seq)
        #expect(restored.anchors == 2 && restored.unanchored == 0)

        // It goes on, beyond where the other one was: the lines are there, and are others.
        write(9, fixture, at: start + .minutes(2))
        let gone = try fixture.records.verifyChain(anchors: placed([old, new]))
        #expect(gone.findings.map(\.kind) == [.rewritten] && gone.findings[0].lines == old.seq + 1...new.seq)
        #expect(gone.unanchored == 4)
    }

    @Test(arguments: TestDatabases.all) func cutTailIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        write(4, fixture)
        let anchor = try #require(try await anchor(fixture))
        try fixture.tamper("DELETE FROM event_group WHERE first_seq > ?1", [.integer(anchor.seq - 2)])
        try fixture.tamper("DELETE FROM anchor")
        let findings = try fixture.records.verifyChain(anchors: placed([anchor])).findings
        #expect(findings.map(\.kind) == [.cut, .restored] && findings[1].lines == anchor.seq - 1...anchor.seq)
    }

    @Test(arguments: TestDatabases.all) func trailThatWasWrittenAnewWithTheKeyIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        write(4, fixture)
        let anchor = try #require(try await anchor(fixture))
        // Whoever holds the key can make everything fit but what is kept elsewhere.
        let first = anchor.seq - 3
        var head = EventChain.Head(seq: first - 1, hash: [])
        let before = try fixture.query(
            "SELECT head_hash FROM event_group WHERE first_seq < ?1 ORDER BY first_seq DESC LIMIT 1", [.integer(first)])
        head.hash = try before[0].blob(0)
        try fixture.tamper("DELETE FROM event_group WHERE first_seq >= ?1", [.integer(first)])
        let forger = EventChain(signing: fixture.records.chain.signing, head: head)
        for _ in 0..<4 {
            let link = forger.link([Event(.loginAccepted, at: start, user: fixture.user)])
            _ = try fixture.records.database.write([Unit(link.statements)]) { _ in [] }
            forger.adopt(link)
        }
        #expect(forger.head.seq == anchor.seq)
        try fixture.tamper("DELETE FROM anchor")
        #expect(!(try fixture.records.verifyChain().findings.contains { $0.kind != .index }))
        let findings = try fixture.records.verifyChain(anchors: placed([anchor])).findings
        #expect(findings.contains { $0.kind == .rewritten && $0.lines.upperBound == anchor.seq }, "\(findings)")
    }

    @Test(arguments: TestDatabases.all) func otherTrailsAndStrangersKeysAreNamed(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let other = try await Fixture(kind)
        write(2, fixture)
        write(2, other)
        let own = try #require(try await anchor(fixture))
        let strange = try #require(try await anchor(other))
        let report = try fixture.records.verifyChain(anchors: placed([own, strange]))
        #expect(report.findings.map(\.kind) == [.anchor] && report.anchors == 2)
        #expect(report.findings[0].text.contains(strange.text.key) && report.findings[0].text.contains("line 2"))
        // Known by its key, it is another trail that is not here.
        let missing = try fixture.records.verifyChain(anchors: placed([own, strange]), keys: [strange.text.key])
        #expect(missing.findings.map(\.kind) == [.chain] && missing.findings[0].text.contains(strange.chain))
    }

    @Test(arguments: TestDatabases.all) func oldAnchorsAreThinnedToOneADay(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        for hour in 0..<120 as Range<Int64> {
            let now = start + .minutes(60 * hour)
            write(1, fixture, at: now)
            _ = try await anchor(fixture, at: now)
        }
        let rows = try fixture.query("SELECT at FROM anchor ORDER BY seq")
        // Five days by the hour: three are over two days old.
        #expect(rows.count <= 48 + 4 && rows.count >= 48)
        #expect(try fixture.records.verifyChain().anchors == rows.count)
    }
}
