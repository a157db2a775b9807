// SPDX-License-Identifier: Apache-2.0
// Whatever is changed in the trail behind the store's back, the verification names the line.

import Crypto
import LoginEngine
import Testing

@testable import Store

@Suite struct EventChainTests {
    /// Groups of 1, 2 and 3 lines behind those of the set-up; returns the first line of each.
    private func fill(_ fixture: Fixture) throws -> [Int64] {
        var firsts: [Int64] = []
        for count in 1...3 {
            firsts.append(fixture.records.chain.head.seq + 1)
            for number in 0..<count {
                let login = LoginID(Bits128(high: UInt64(count), low: UInt64(number)))
                fixture.records.remember(
                    .event(
                        Event(
                            .loginRejected, at: start + .seconds(Int64(count)), login: login, user: fixture.user, client: 3,
                            source: NetworkAddress(v4: 1), reason: RejectReason.wrongCode.rawValue, details: [.init("a", "b")],
                            subject: PersonalFields([.init("name", "Alice"), .init("station", "s")]),
                            actor: PersonalFields([.init("actor", "root")]))))
            }
            fixture.records.writer.commitNow()
        }
        return firsts
    }

    @Test(arguments: TestDatabases.all) func untouchedTrailIsIntact(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        let report = try fixture.records.verifyChain()
        #expect(report.findings == [] && report.isIntact)
        #expect(report.events == Int(firsts[2]) + 2 && report.erased == 0)
        #expect(report.head.seq == Int64(report.events))
    }

    @Test(arguments: TestDatabases.all, ["previous_hash", "head_hash", "mac", "body"]) func changedByteOfAGroupIsNamed(
        _ kind: TestDatabases, column: String
    ) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[1]
        let value = try fixture.query("SELECT \(column) FROM event_group WHERE first_seq = ?1", [.integer(first)])[0].blob(0)
        for position in value.indices {
            var changed = value
            changed[position] ^= 0x01
            try fixture.tamper("UPDATE event_group SET \(column) = ?2 WHERE first_seq = ?1", [.integer(first), .blob(changed)])
            let findings = try fixture.records.verifyChain().findings
            #expect(!findings.isEmpty, "byte \(position) of \(column)")
            #expect(findings.allSatisfy { $0.lines.lowerBound >= first && $0.lines.upperBound <= first + 1 }, "\(findings)")
        }
        try fixture.tamper("UPDATE event_group SET \(column) = ?2 WHERE first_seq = ?1", [.integer(first), .blob(value)])
        #expect(try fixture.records.verifyChain().isIntact)
    }

    @Test(arguments: TestDatabases.all, [[0], [1], [2], [0, 2], [0, 1, 2]]) func changedLineOfAGroupIsNamedByItself(
        _ kind: TestDatabases, changing lines: [Int]
    ) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[2]
        var body = try fixture.query("SELECT body FROM event_group WHERE first_seq = ?1", [.integer(first)])[0].blob(0)
        let size = (body.count - EventGroup.preface.count) / 3
        for line in lines { body[EventGroup.preface.count + line * size + size / 2] ^= 0x10 }
        try fixture.tamper("UPDATE event_group SET body = ?2 WHERE first_seq = ?1", [.integer(first), .blob(body)])
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.lines) == lines.map { first + Int64($0)...first + Int64($0) })
        #expect(findings.allSatisfy { $0.kind == .changed && $0.text == "changed" })
    }

    /// What anybody can compute does not help: the group's MAC covers what it ends with.
    @Test(arguments: TestDatabases.all) func lineThatWasChangedWithItsCheckIsTold(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[2]
        var group = try #require(try groups(fixture).first { $0.first == first })
        var lines = try group.lines().map { Array($0.bytes) }
        lines[1][lines[1].count / 2] ^= 0x10
        var body = ByteWriter()
        body.raw(EventGroup.preface)
        for line in lines {
            body.blob(line)
            EventChain.check(of: line) { body.raw($0) }
        }
        group.body = body.bytes
        try fixture.tamper("UPDATE event_group SET body = ?2 WHERE first_seq = ?1", [.integer(first), .blob(group.body)])
        #expect(try fixture.records.verifyChain().findings.contains { $0.kind == .changed && $0.lines == first...first + 2 })
    }

    /// Groups of the first version have the chain's hash in place of a line's own.
    @Test(arguments: TestDatabases.all) func groupsOfTheFirstVersionVerifyAndNameTheirFirstChangedLine(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[2]
        for group in try groups(fixture) {
            let (old, mac) = try firstVersion(of: group, fixture)
            try fixture.tamper(
                "UPDATE event_group SET body = ?2, mac = ?3 WHERE first_seq = ?1", [.integer(group.first), .blob(old), .blob(mac)])
        }
        #expect(try fixture.records.verifyChain().findings == [])
        #expect(try fixture.records.events(EventFilter(limit: 2)).map(\.seq) == [first + 2, first + 1])
        var body = try fixture.query("SELECT body FROM event_group WHERE first_seq = ?1", [.integer(first)])[0].blob(0)
        let size = body.count / 3
        for line in [1, 2] { body[line * size + size / 2] ^= 0x10 }
        try fixture.tamper("UPDATE event_group SET body = ?2 WHERE first_seq = ?1", [.integer(first), .blob(body)])
        let finding = try #require(try fixture.records.verifyChain().findings.first)
        #expect(finding.lines == first + 1...first + 1 && finding.text.contains("the 1 behind it"), "\(finding)")
    }

    @Test func unknownVersionOfAGroupIsToldAndNotRead() throws {
        var group = EventGroup(
            first: 1, count: 1, earliest: start, latest: start, previous: EventChain.origin, head: EventChain.origin, mac: [],
            body: [0, 3, 1, 1])
        #expect(throws: DecodingError.unknownVersion(3)) { try group.lines() }
        group.body = [0]
        #expect(throws: DecodingError.truncated) { try group.lines() }
    }

    private func groups(_ fixture: Fixture) throws -> [EventGroup] {
        try fixture.records.database.read([Statement(.groupsAbove, [.integer(0), .integer(100)])])[0].map { try EventGroup($0) }
    }

    private func firstVersion(of group: EventGroup, _ fixture: Fixture) throws -> (body: [UInt8], mac: [UInt8]) {
        var (body, hash) = (ByteWriter(), group.previous)
        for line in try group.lines() {
            hash = EventChain.hash(line.bytes, after: hash)
            body.blob(line.bytes)
            body.raw(hash.prefix(EventChain.checkSize))
        }
        var old = group
        old.body = body.bytes
        return (old.body, fixture.records.chain.signing.mac(of: old))
    }

    @Test(arguments: TestDatabases.all, ["count", "at_first", "at_last"]) func changedNumberOfAGroupIsNamed(
        _ kind: TestDatabases, column: String
    ) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[1]
        try fixture.tamper("UPDATE event_group SET \(column) = \(column) + 1 WHERE first_seq = ?1", [.integer(first)])
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.lines) == [first...first + 1])
    }

    @Test(arguments: TestDatabases.all) func removedGroupIsNamed(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[1]
        try fixture.tamper("DELETE FROM event_group WHERE first_seq = ?1", [.integer(first)])
        try fixture.tamper("DELETE FROM event_personal WHERE first_seq = ?1", [.integer(first)])
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.kind) == [.removed] && findings[0].lines == first...first + 1)
    }

    @Test(arguments: TestDatabases.all) func swappedGroupsAreNamed(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        try fixture.tamper("UPDATE event_group SET first_seq = -1 WHERE first_seq = ?1", [.integer(firsts[0])])
        try fixture.tamper("UPDATE event_group SET first_seq = ?1 WHERE first_seq = ?2", [.integer(firsts[0]), .integer(firsts[1])])
        try fixture.tamper("UPDATE event_group SET first_seq = ?1 WHERE first_seq = -1", [.integer(firsts[1])])
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.contains { $0.kind == .reordered && $0.seq == firsts[0] })
    }

    @Test(arguments: TestDatabases.all) func cutTailIsNamedAndStaysNamedWhenTheTrailGoesOn(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        try fixture.tamper("DELETE FROM event_group WHERE first_seq >= ?1", [.integer(firsts[1])])
        let cut = try #require(try fixture.records.verifyChain().findings.first)
        #expect(cut.kind == .cut && cut.lines == firsts[1]...firsts[2] + 2)
        try fixture.reopen()
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        let removed = try #require(try fixture.records.verifyChain().findings.first)
        #expect(removed.kind == .removed && removed.lines == firsts[1]...firsts[2] + 2)
    }

    @Test(arguments: TestDatabases.all) func tailCutTogetherWithItsRecordLeavesAGapForEver(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        try fixture.tamper("DELETE FROM event_group WHERE first_seq >= ?1", [.integer(firsts[2])])
        try fixture.tamper("DELETE FROM chain_head")
        #expect(try fixture.records.verifyChain().findings.first?.kind == .head)
        try fixture.reopen()
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        #expect(try fixture.records.verifyChain().findings.map(\.kind) == [.removed])
    }

    @Test(arguments: TestDatabases.all, [true, false]) func trailRemovedAsAWholeIsToldForEver(_ kind: TestDatabases, isBegun: Bool)
        async throws
    {
        let fixture = try await Fixture(kind)
        if isBegun { _ = try fill(fixture) }
        for table in ["event_group", "event_personal", "chain_head"] { try fixture.tamper("DELETE FROM \(table)") }
        let finding = try #require(try fixture.records.verifyChain().findings.first)
        #expect(finding.kind == .head && finding.text == "the record of the chain's end is missing")
        try fixture.reopen()
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
        #expect(try fixture.records.verifyChain().findings.first?.kind == .removed)
    }

    @Test(
        arguments: TestDatabases.all,
        [
            "DELETE FROM event_user WHERE seq = 9", "DELETE FROM event_login", "UPDATE event_client SET client = 99 WHERE seq = 9",
            "INSERT INTO event_user (\"user\", seq) VALUES (77, 3)",
        ]) func searchThatMissesALineIsTold(_ kind: TestDatabases, _ change: String) async throws
    {
        let fixture = try await Fixture(kind)
        _ = try fill(fixture)
        while try fixture.records.index.fillSome(upTo: fixture.records.chain.head.seq, atLeast: 1) {}
        #expect(try fixture.records.verifyChain().findings == [])
        try fixture.tamper(change)
        #expect(try fixture.records.verifyChain().findings.map(\.kind) == [.index])
    }

    @Test(arguments: TestDatabases.all) func markAboveTheLastLineHidesNothing(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        _ = try fill(fixture)
        try fixture.tamper("UPDATE event_index SET watermark = 1000000")
        try fixture.reopen()
        #expect(fixture.records.index.watermark == fixture.records.chain.head.seq)
        // What was never indexed is told, and what comes next is found.
        #expect(try fixture.records.verifyChain().findings.map(\.kind) == [.index])
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)], login: 77)) == [.done])
        let login = Bits128(high: 7, low: 77)
        #expect(try fixture.records.events(logins: login...login, limit: 9).count == 1)
    }

    @Test(arguments: TestDatabases.all) func newChainHasItsRecordBeforeItsFirstLine(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        for _ in 1...2 {
            let records = try Records(
                try kind.open(in: folder), key: .file(folder.path + "/master.key"), at: start, options: Records.Options())
            defer { records.close() }
            #expect(try records.verifyChain().findings == [])
            let row = try records.database.read([Statement(.readHead)])[0][0]
            #expect(try row.integer(0) == 0)
            let changed = EventChain.Head(seq: 0, hash: EventChain.origin)
            #expect(try row.blob(2) == records.chain.signing.mac(of: changed))
        }
    }

    @Test(arguments: TestDatabases.all, ["seq = seq - 1", "seq = seq + 1", "hash = ?1", "mac = ?1"])
    func changedHeadRecordIsNamed(_ kind: TestDatabases, _ change: String) async throws {
        let fixture = try await Fixture(kind)
        _ = try fill(fixture)
        try fixture.tamper(
            "UPDATE chain_head SET \(change)", change.contains("?1") ? [.blob([UInt8](repeating: 0, count: 32))] : [])
        #expect(try fixture.records.verifyChain().findings.first?.kind == .head)
    }

    @Test(arguments: TestDatabases.all) func changedPersonalFieldsAreNamed(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let first = try fill(fixture)[1]
        let body = try fixture.query("SELECT body FROM event_personal WHERE first_seq = ?1", [.integer(first)])[0].blob(0)
        for position in body.indices {
            var changed = body
            changed[position] ^= 0x01
            try fixture.tamper("UPDATE event_personal SET body = ?2 WHERE first_seq = ?1", [.integer(first), .blob(changed)])
            let report = try fixture.records.verifyChain()
            #expect(!report.isIntact, "byte \(position)")
            #expect(report.findings.allSatisfy { $0.kind == .personal && $0.lines.lowerBound >= first - 1 }, "\(report.findings)")
        }
    }

    /// Takes entries out of `event_personal` of one group, as an erasure does.
    private func takeOut(_ fixture: Fixture, from first: Int64, _ isTaken: (PersonalEntry) -> Bool) throws {
        let body = try fixture.query("SELECT body FROM event_personal WHERE first_seq = ?1", [.integer(first)])[0].blob(0)
        let kept = try PersonalCodec.decode(body[...], first: first).filter { !isTaken($0) }
        try fixture.tamper(
            "UPDATE event_personal SET body = ?2 WHERE first_seq = ?1",
            [.integer(first), .blob(PersonalCodec.encode(kept, first: first))])
    }

    @Test(arguments: TestDatabases.all) func personalFieldsThatWereTakenOutAreNamed(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        try takeOut(fixture, from: firsts[1]) { $0.role == .actor }
        let actors = try fixture.records.verifyChain().findings
        #expect(actors.map(\.kind) == [.personal] && actors[0].lines == firsts[1]...firsts[1] + 1, "\(actors)")
        try fixture.tamper("DELETE FROM event_personal WHERE first_seq = ?1", [.integer(firsts[2])])
        let both = try fixture.records.verifyChain().findings
        #expect(both.allSatisfy { $0.kind == .personal }, "\(both)")
        #expect(Set(both.map(\.lines)) == [firsts[1]...firsts[2] + 2, firsts[2]...firsts[2] + 2], "\(both)")
    }

    @Test(arguments: TestDatabases.all) func anErasureExcusesNothingElse(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let user = fixture.user
        let firsts = try fill(fixture)
        func typed(_ name: String) -> Event { Event(.loginRejected, at: start, subject: PersonalFields([.init("name", name)])) }
        let own = Event(
            .userChanged, at: start, user: user, details: [.init("change", "password set")],
            subject: PersonalFields([.init("name", "Alice")]), actor: PersonalFields([.init("actor", "user:Alice@vpn")]))
        let first = fixture.records.chain.head.seq + 1
        for event in [typed("alice"), typed("carol"), own] { fixture.records.remember(.event(event)) }
        fixture.records.writer.commitNow()
        _ = try await fixture.change { records in
            try await records.beginErasure(ofUser: user, keys: ["alice"], event: Event(.userErased, at: start))
            return try await records.continueErasures(settledBefore: start + .seconds(1), at: start)
        }
        #expect(try fixture.records.verifyChain().findings == [])
        // Older lines name the user as the one who changed his password.
        try takeOut(fixture, from: first) { $0.seq == first + 2 && $0.role == .actor }
        #expect(try fixture.records.verifyChain().findings == [])
        // Nobody who was erased typed this name.
        try takeOut(fixture, from: first) { $0.seq == first + 1 }
        let stranger = try fixture.records.verifyChain().findings
        #expect(stranger.map(\.kind) == [.personal] && stranger[0].text.contains("of 1 of them"), "\(stranger)")
        try takeOut(fixture, from: firsts[0]) { $0.role == .actor }
        let actor = try fixture.records.verifyChain().findings
        #expect(actor.map(\.seq).contains(firsts[0]) && actor.count == 2, "\(actor)")
    }

    @Test(arguments: TestDatabases.all) func passwordChangesAreExcusedForTheErasedAlone(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let seq = fixture.records.chain.head.seq + 1
        fixture.records.remember(
            .event(
                Event(
                    .userChanged, at: start, user: fixture.user, details: [.init("change", "password set")],
                    actor: PersonalFields([.init("actor", "cli:anna@vpn1")]))))
        fixture.records.writer.commitNow()
        try takeOut(fixture, from: seq) { _ in true }
        let findings = try fixture.records.verifyChain().findings
        #expect(findings.map(\.kind) == [.personal] && findings[0].lines == seq...seq, "\(findings)")
    }

    @Test(arguments: TestDatabases.all) func erasedPersonLeavesTheChainIntact(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        let user = fixture.user
        let count = try await fixture.change { records in
            try await records.beginErasure(ofUser: user, keys: ["alice"], event: Event(.userErased, at: start))
            while try await records.eraseSome(ofUser: user) {}
            return try records.erasures()[0].events
        }
        #expect(count >= 6)
        let report = try fixture.records.verifyChain()
        #expect(report.findings == [] && report.erased == count)
        var filter = EventFilter(limit: 100)
        filter.kinds = [.loginRejected]
        let records = try fixture.records.events(filter)
        #expect(records.count == 6 && records.allSatisfy { $0.isErased && $0.event.subject.fields.isEmpty })
        // Who did it is another person.
        #expect(records.allSatisfy { $0.event.actor["actor"] == "root" })
        #expect(records.map(\.seq) == (firsts[0]...firsts[2] + 2).reversed())
    }

    @Test(arguments: TestDatabases.all, [false, true]) func trailIsSearchedAlikeBeforeAndAfterIndexing(
        _ kind: TestDatabases, isIndexed: Bool
    ) async throws {
        let fixture = try await Fixture(kind)
        let firsts = try fill(fixture)
        if isIndexed { while try fixture.records.index.fillSome(upTo: fixture.records.chain.head.seq, atLeast: 1) {} }
        _ = try fill(fixture)
        let story = try fixture.records.events(
            logins: Bits128(high: 3, low: 0)...Bits128(high: 3, low: .max), limit: 100)
        #expect(story.count == 6 && story.map(\.seq) == story.map(\.seq).sorted())
        #expect(story[0].seq == firsts[2] && story[0].event.subject["station"] == "s")
        var filter = EventFilter(limit: 4)
        filter.user = fixture.user
        filter.kinds = [.loginRejected]
        var pages: [Int64] = []
        while true {
            let page = try fixture.records.events(filter)
            if page.isEmpty { break }
            pages += page.map(\.seq)
            filter.before = page.last?.seq
        }
        #expect(pages.count == 12 && pages == pages.sorted(by: >))
        var byClient = EventFilter(limit: 100)
        byClient.client = 3
        byClient.since = start + .seconds(2)
        byClient.until = start + .seconds(2)
        #expect(try fixture.records.events(byClient).count == 4)
        #expect(try fixture.records.events(EventFilter(limit: 1))[0].seq == fixture.records.chain.head.seq)
    }

    @Test func everyEventComesBackAsItWent() throws {
        for kind in EventKind.allCases {
            let event = Event(
                kind, at: Timestamp(microseconds: -5), login: LoginID(Bits128(high: .max, low: 1)), user: -1, client: .max,
                source: NetworkAddress("2001:db8::1"), reason: "ü",
                details: [.init("", ""), .init("n", String(repeating: "v", count: 300))])
            let commitment = [UInt8](repeating: 3, count: 32)
            let bytes = EventCodec.encode(event, seq: 9, subject: commitment, actor: nil)
            let decoded = try EventCodec.decode(bytes[...])
            #expect(decoded == ChainedEvent(seq: 9, event: event, subjectCommitment: commitment, actorCommitment: nil))
            for count in bytes.indices { #expect(throws: DecodingError.self) { try EventCodec.decode(bytes[..<count]) } }
            #expect(throws: DecodingError.trailingBytes) { try EventCodec.decode((bytes + [0])[...]) }
        }
    }

    @Test func commitmentIsAnHMAC() {
        for count in [0, 1, 63, 64, 65, 500] {
            let fields = [UInt8](repeating: 3, count: count)
            let salt = [UInt8](1...16)
            let expected = HMAC<SHA256>.authenticationCode(for: fields, using: SymmetricKey(data: salt))
            #expect(EventCodec.commitment(of: fields, salt: salt[...]) == Array(expected))
        }
    }

    @Test func numberHasOneEncoding() throws {
        var reader = ByteReader([0x80, 0x00][...])
        #expect(throws: DecodingError.notCanonical) { try reader.unsigned() }
        for value in [0, 127, 128, UInt64.max] {
            var writer = ByteWriter()
            writer.unsigned(value)
            var reader = ByteReader(writer.bytes[...])
            #expect(try reader.unsigned() == value)
        }
        var tooLong = ByteReader(([UInt8](repeating: 0xFF, count: 9) + [2])[...])
        #expect(throws: DecodingError.notCanonical) { try tooLong.unsigned() }
    }
}
