// SPDX-License-Identifier: Apache-2.0
// A new password that came with a login: written with its accept, or not at all.

import LoginEngine
import Testing

@testable import Store

@Suite struct PasswordRenewalTests {
    private static let event = Event(.userChanged, at: start)
    private let kept = KeptPassword(ntHash: Secret([UInt8](repeating: 0xAB, count: 16)), text: nil)

    private func renewal(_ replaces: Int64) -> PasswordRenewal {
        PasswordRenewal(hash: Secret(utf8: "the device's"), kept: kept, replaces: replaces)
    }

    private func fixture(_ kind: TestDatabases) async throws -> Fixture {
        let fixture = try await Fixture(kind)
        let user = fixture.user
        try await fixture.change { records in
            try await records.keep(.ntHash, event: Self.event)
            try await records.setPasswordHash(Secret(utf8: "old"), ofUser: user, event: Self.event)
            try await records.requirePasswordChange(ofUser: user, event: Self.event)
        }
        return fixture
    }

    private func suspended(_ fixture: Fixture, _ renewal: PasswordRenewal?, number: UInt64 = 2) -> SuspendedLogin {
        var login = SuspendedLogin(
            handle: HandleID(Bits128(high: 1, low: number)), login: LoginID(Bits128(high: 7, low: 1)), client: 3, user: fixture.user,
            nameKey: "alice", station: nil, firstFactor: .right, issued: start, expires: start + .minutes(2))
        login.renewal = renewal
        fixture.records.suspend(login, event: Event(.loginChallenged, at: start)) { #expect($0 == nil) }
        fixture.records.writer.commitNow()
        return login
    }

    private func accept(_ fixture: Fixture, _ renewal: PasswordRenewal, step: Int64?, handle: HandleID? = nil) -> Settlement {
        var settlement = fixture.settlement(step.map { [.totp(factor: fixture.totp, step: $0)] } ?? [], handle: handle)
        settlement.renewal = renewal
        settlement.renewalEvent = Self.event
        return settlement
    }

    @Test(arguments: TestDatabases.all, [nil, 100] as [Int64?])
    func acceptAndNewPasswordBecomeTrueTogether(_ kind: TestDatabases, _ step: Int64?) async throws {
        let fixture = try await fixture(kind)
        let before = try #require(try fixture.facts().user)
        #expect(before.mustChangePassword)
        let row = suspended(fixture, renewal(before.passwordRevision))
        let other = suspended(fixture, nil, number: 3)
        let held = try #require(try fixture.facts(handle: row.handle).suspended)
        #expect(held == row)
        #expect(try fixture.facts().user == before)
        let head = fixture.records.chain.head.seq
        let brought = try #require(held.renewal)
        #expect(fixture.settle(accept(fixture, brought, step: step, handle: row.handle)) == [.done])
        let after = try #require(try fixture.facts().user)
        #expect(after.passwordHash == Secret(utf8: "the device's") && after.kept == kept && !after.mustChangePassword)
        #expect(after.passwordRevision == before.passwordRevision + 1)
        // The change and the login, in the same group.
        #expect(fixture.records.chain.head.seq == head + 2)
        let spent = try fixture.facts(handle: row.handle).suspended
        #expect(spent?.decision?.isAccept == true && spent?.renewal == nil)
        #expect(try fixture.facts(handle: other.handle).suspended == nil)
    }

    enum Meanwhile: CaseIterable {
        case reset, expired, renewed
    }

    @Test(arguments: TestDatabases.all, Meanwhile.allCases)
    func whatWasProvedMustStillBeThePassword(_ kind: TestDatabases, _ meanwhile: Meanwhile) async throws {
        let fixture = try await fixture(kind)
        let user = fixture.user
        let renewal = renewal(try #require(try fixture.facts().user).passwordRevision)
        switch meanwhile {
        case .reset:
            try await fixture.change { try await $0.setPasswordHash(Secret(utf8: "reset"), ofUser: user, event: Self.event) }
        case .expired:
            try await fixture.change { try await $0.requirePasswordChange(ofUser: user, event: Self.event) }
        case .renewed:
            #expect(fixture.settle(accept(fixture, renewal, step: 99)) == [.done])
        }
        let before = try fixture.facts()
        let head = fixture.records.chain.head.seq
        for step in [nil, 100] as [Int64?] {
            #expect(fixture.settle(accept(fixture, renewal, step: step)) == [.changedMeanwhile])
        }
        #expect(try fixture.facts().user == before.user)
        #expect(fixture.records.chain.head.seq == head)
        // The code was not used up by what was refused.
        #expect(fixture.settle(fixture.settlement([.totp(factor: fixture.totp, step: 100)])) == [.done])
    }

    /// Two of them in one group: the second one proved what the first one replaced.
    @Test(arguments: TestDatabases.all) func oneOfTwoInAGroupIsWritten(_ kind: TestDatabases) async throws {
        let fixture = try await fixture(kind)
        let renewal = renewal(try #require(try fixture.facts().user).passwordRevision)
        let rows = [suspended(fixture, renewal, number: 2), suspended(fixture, renewal, number: 3)]
        let outcomes = fixture.settle(
            accept(fixture, renewal, step: 100, handle: rows[0].handle), accept(fixture, renewal, step: 101, handle: rows[1].handle))
        #expect(outcomes.first == .done && outcomes.count == 2)
        #expect(outcomes.last != .done)
    }

    @Test(arguments: TestDatabases.all) func whatWaitsIsSealedAndGoesWithWhatIsDropped(_ kind: TestDatabases) async throws {
        let fixture = try await fixture(kind)
        let row = suspended(fixture, renewal(1))
        let plain = suspended(fixture, nil, number: 3)
        func column() throws -> [UInt8]? {
            try fixture.records.database.read([Statement(SQL(composed: "SELECT renewal FROM login_handle WHERE renewal IS NOT NULL"))])[0]
                .first?.blob(0)
        }
        let sealed = try #require(try column())
        #expect(!String(decoding: sealed, as: UTF8.self).contains("device"))
        // Moved to another login, it opens nothing.
        let moved = HandleID(Bits128(high: 1, low: 3))
        #expect(PasswordRenewal.opened(sealed, moved, ofUser: fixture.user, fixture.records.sealing) == nil)
        #expect(PasswordRenewal.opened(sealed, row.handle, ofUser: fixture.user + 1, fixture.records.sealing) == nil)
        try await fixture.change { try await $0.drop(.ntHash, event: Event(.passwordKeepingChanged, at: start)) }
        #expect(try column() == nil)
        #expect(try fixture.facts(handle: row.handle).suspended == nil)
        #expect(try fixture.facts(handle: plain.handle).suspended == plain)
    }

    /// A login whose new password cannot be read is none that could be accepted without it.
    @Test(arguments: TestDatabases.all) func aRenewalThatDoesNotOpenEndsItsLogin(_ kind: TestDatabases) async throws {
        let fixture = try await fixture(kind)
        let row = suspended(fixture, renewal(1))
        try fixture.records.database.execute(script: "UPDATE login_handle SET renewal = password_hash FROM \"user\";", then: [])
        #expect(try fixture.facts(handle: row.handle).suspended == nil)
    }
}
