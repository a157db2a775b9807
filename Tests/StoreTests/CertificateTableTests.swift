// SPDX-License-Identifier: Apache-2.0
// Authorities, certificates and devices, on every database: what is sealed, what is revoked with a user, and what stays of one.

import LoginEngine
import Testing

@testable import Store

@Suite struct CertificateTableTests {
    private static let year = Timestamp.Span.minutes(365 * 24 * 60)

    private static func authority(_ name: String = "Example CA") -> NewAuthority {
        NewAuthority(
            name: name, domains: ["example.org", "example.net"], certificate: "-----BEGIN", key: Secret(utf8: "a private key of \(name)"),
            begins: start, ends: start + year)
    }

    private static func certificate(_ number: UInt8, of authority: Int64, user: Int64? = nil) -> NewCertificate {
        var new = NewCertificate(
            authority: authority, serial: [64, number], fingerprint: [UInt8](repeating: number, count: 32), usage: .client, begins: start,
            ends: start + year, issuedBy: "cli:anna@vpn1")
        if let user { new.device = NewCertificate.Device(user: user, label: "phone \(number)") } else { new.subject = "host \(number)" }
        return new
    }

    private static func print(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }

    /// An authority, two devices of Alice and a certificate of nobody.
    private func filled(_ kind: TestDatabases) async throws -> (Fixture, Int64) {
        let fixture = try await Fixture(kind)
        let user = fixture.user
        let id = try await fixture.change { records in
            try await records.addAuthority(Self.authority(), after: 0, event: Event(.authorityAdded, at: start))
        }
        for number in 1...3 as ClosedRange<UInt8> {
            let new = Self.certificate(number, of: id, user: number < 3 ? user : nil)
            _ = try await fixture.change { try await $0.addCertificate(new, event: Event(.deviceAdded, at: start)) }
        }
        return (fixture, id)
    }

    @Test(arguments: TestDatabases.all) func keyOfAnAuthorityIsSealed(_ kind: TestDatabases) async throws {
        let (fixture, id) = try await filled(kind)
        let stored = try #require(try fixture.records.authorities().first)
        #expect(stored.id == id && stored.domains == ["example.org", "example.net"] && stored.ends == start + Self.year)
        #expect(stored.key == Secret(utf8: "a private key of Example CA"))
        var sealed = try fixture.query("SELECT secret FROM authority")[0].blob(0)
        #expect(sealed.firstRange(of: Array("private".utf8)) == nil)
        sealed[sealed.count - 1] ^= 1
        try fixture.tamper("UPDATE authority SET secret = ?1", [.blob(sealed)])
        #expect(try fixture.records.authorities().first?.key == nil, "nothing is signed with what was changed")
    }

    @Test(arguments: TestDatabases.all) func onlyTheNewestAuthorityIsReplacedAndOnlyOlderOnesAreRemoved(_ kind: TestDatabases)
        async throws
    {
        let (fixture, first) = try await filled(kind)
        await #expect(throws: StoreError.self, "two nodes made one at once") {
            _ = try await fixture.change {
                try await $0.addAuthority(Self.authority("second"), after: 0, event: Event(.authorityAdded, at: start))
            }
        }
        let second = try await fixture.change {
            try await $0.addAuthority(Self.authority("second"), after: first, event: Event(.authorityAdded, at: start))
        }
        #expect(try fixture.records.authorities().map(\.id) == [second, first])
        await #expect(throws: StoreError.self) {
            try await fixture.change { try await $0.removeAuthority(second, event: Event(.authorityRemoved, at: start)) }
        }
        try await fixture.change { try await $0.removeAuthority(first, event: Event(.authorityRemoved, at: start)) }
        #expect(try fixture.records.authorities().map(\.id) == [second])
        #expect(try fixture.records.certificates().isEmpty)
        #expect(try fixture.records.certificate(fingerprint: Self.print(1)) == nil)
    }

    @Test(arguments: TestDatabases.all) func aLoginFindsWhoseDeviceItIs(_ kind: TestDatabases) async throws {
        let (fixture, authority) = try await filled(kind)
        let found = try #require(try fixture.records.certificate(fingerprint: Self.print(1)))
        #expect(found.device?.user == fixture.user && found.revocation == nil && found.ends == start + Self.year)
        #expect(try fixture.records.certificate(fingerprint: Self.print(3))?.device == nil, "a certificate of nobody is no device")
        #expect(try fixture.records.certificate(fingerprint: Self.print(9)) == nil)
        let id = try #require(try fixture.records.certificate(fingerprint: Self.print(1))?.id)
        try await fixture.change {
            try await $0.revokeCertificate(id, .keyCompromise, at: start + .seconds(5), event: Event(.deviceRevoked, at: start))
        }
        #expect(try fixture.records.certificate(fingerprint: Self.print(1))?.revocation?.reason == .keyCompromise)
        #expect(try fixture.records.certificate(fingerprint: Self.print(2))?.device != nil)
        #expect(
            try fixture.records.revokedSerials(ofAuthority: authority, endedAfter: start, at: start)
                == [RevokedSerial(serial: [64, 1], at: start + .seconds(5), reason: .keyCompromise)])
        await #expect(throws: StoreError.self, "once is enough") {
            try await fixture.change { try await $0.revokeCertificate(id, .superseded, at: start, event: Event(.deviceRevoked, at: start)) }
        }
        let figures = try fixture.records.certificateFigures(at: start, endingBefore: start + Self.year)
        #expect(figures == CertificateFigures(devices: 1, ending: 2, revoked: 1))
        #expect(try fixture.records.certificateFigures(at: start, endingBefore: start + .minutes(1)).ending == 0)
    }

    @Test(arguments: TestDatabases.all) func acceptByACertificateThatIsRevokedMeanwhileIsNotWritten(_ kind: TestDatabases) async throws {
        let (fixture, _) = try await filled(kind)
        func accept(_ print: [UInt8], login: UInt64) -> Settlement {
            var settlement = fixture.settlement([], login: login)
            settlement.certificate = print
            return settlement
        }
        #expect(fixture.settle(accept(Self.print(1), login: 1)) == [.done])
        // Of nobody, and unknown.
        #expect(fixture.settle(accept(Self.print(3), login: 2), accept(Self.print(9), login: 3)) == [.changedMeanwhile, .changedMeanwhile])
        let id = try #require(try fixture.records.certificate(fingerprint: Self.print(1))?.id)
        try await fixture.change {
            try await $0.revokeCertificate(id, .keyCompromise, at: start, event: Event(.deviceRevoked, at: start))
        }
        #expect(fixture.settle(accept(Self.print(1), login: 4)) == [.changedMeanwhile])
        #expect(fixture.settle(accept(Self.print(2), login: 5)) == [.done])
    }

    @Test(arguments: TestDatabases.all) func numbersOfOneAuthorityAreNeverGivenTwice(_ kind: TestDatabases) async throws {
        let (fixture, authority) = try await filled(kind)
        var again = Self.certificate(1, of: authority)
        again.fingerprint = Self.print(8)
        let twin = again
        await #expect(throws: StoreError.self) {
            _ = try await fixture.change { try await $0.addCertificate(twin, event: Event(.certificateIssued, at: start)) }
        }
        #expect(try fixture.records.certificates().count == 3)
    }

    @Test(arguments: TestDatabases.all) func devicesOfADisabledUserAreHeld(_ kind: TestDatabases) async throws {
        let (fixture, authority) = try await filled(kind)
        let user = fixture.user
        try await fixture.change { try await $0.setStatus(.disabled, ofUser: user, event: Event(.userChanged, at: start)) }
        let now = start + .seconds(60)
        let held = try fixture.records.revokedSerials(ofAuthority: authority, endedAfter: start, at: now)
        #expect(held == [1, 2].map { RevokedSerial(serial: [64, $0], at: now, reason: .hold) })
        #expect(try fixture.records.certificates(ofUser: user).map { $0.device?.isHeld } == [true, true])
        try await fixture.change { try await $0.setStatus(.active, ofUser: user, event: Event(.userChanged, at: start)) }
        #expect(try fixture.records.revokedSerials(ofAuthority: authority, endedAfter: start, at: now).isEmpty)
    }

    @Test(arguments: TestDatabases.all, [true, false]) func whoGoesLeavesRevokedNumbersAndNoName(_ kind: TestDatabases, erased: Bool)
        async throws
    {
        let (fixture, authority) = try await filled(kind)
        let user = fixture.user
        let event = Event(erased ? .userErased : .userRemoved, at: start + .seconds(7))
        try await fixture.change { records in
            if erased {
                try await records.beginErasure(ofUser: user, keys: ["alice"], event: event)
            } else {
                try await records.removeUser(user, event: event)
            }
        }
        #expect(try fixture.query("SELECT count(*) FROM device")[0].integer(0) == 0)
        #expect(try fixture.records.certificate(fingerprint: Self.print(1))?.device == nil)
        let revoked = try fixture.records.revokedSerials(ofAuthority: authority, endedAfter: start, at: start)
        #expect(revoked == [1, 2].map { RevokedSerial(serial: [64, $0], at: start + .seconds(7), reason: .cessation) })
        #expect(try fixture.records.certificates().map(\.subject) == ["host 3", nil, nil])
    }
}
