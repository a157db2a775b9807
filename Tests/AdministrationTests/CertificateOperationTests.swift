// SPDX-License-Identifier: Apache-2.0
// The authority and certificates of devices: who gets one, what is refused, what stays behind in the trail.

import Foundation
import LoginEngine
import Store
import Synchronization
import TLS
import Testing

@testable import Administration

@Suite struct CertificateOperationTests {
    private func office(domains: [String] = []) async throws -> Office {
        let office = try Office { SystemRandomNumberGenerator() }
        try await office.perform(AddUser(name: "alice", email: "alice@example.org"))
        try await office.perform(InitAuthority(name: "Example CA", domains: domains))
        return office
    }

    @Test func authorityIsMadeOnceAndReplacedOnPurpose() async throws {
        let office = try Office { SystemRandomNumberGenerator() }
        #expect(await office.refusal(of: ShowAuthority()) == "There is no authority yet. Make one: `sallyport ca init`.")
        #expect(await office.kind(of: AddDevice(user: "alice", format: .pem)) == .missing)
        let made = try await office.perform(InitAuthority(domains: ["Example.org", "example.org"], days: 100))
        #expect(made.authority.name == "Sallyport CA" && made.authority.domains == ["example.org"] && made.authority.isInForce)
        #expect(try office.newest().kind == .authorityAdded && office.changes.current == [.certificates])
        #expect(await office.kind(of: InitAuthority()) == .conflict)
        let second = try await office.perform(InitAuthority(name: "Second", key: "RSA-3072", isReplacement: true))
        #expect(second.authority.key == "rsa3072" && second.warnings.contains { $0.contains("sallyport ca remove 1") })
        let shown = try await office.perform(ShowAuthority())
        #expect(shown.authorities.map(\.name) == ["Second", "Sallyport CA"] && shown.authorities.map(\.isInForce) == [true, false])
        #expect(shown.pem.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
        #expect(await office.kind(of: RemoveAuthority(authority: second.authority.id)) == .conflict)
        try await office.perform(RemoveAuthority(authority: made.authority.id))
        #expect(try await office.perform(ShowAuthority()).authorities.map(\.name) == ["Second"])
    }

    @Test func refusalsNameFieldAndRemedy() async throws {
        let office = try await office(domains: ["example.org"])
        #expect(
            await office.refusal(of: IssueCertificate(name: "vpn.example.com", usage: "server"))
                == "name: Authority Example CA cannot vouch for vpn.example.com. It is held to example.org, and what lies below.")
        #expect(await office.kind(of: IssueCertificate(name: "192.0.2.1", usage: "server")) == .invalid)
        #expect(await office.kind(of: IssueCertificate(name: "a", usage: "root")) == .invalid)
        #expect(await office.kind(of: IssueCertificate(name: "vpn.example.org", usage: "server", days: 826)) == .invalid)
        #expect(await office.kind(of: RevokeCertificate(serial: "zz")) == .invalid)
        #expect(await office.kind(of: RevokeCertificate(serial: "abcd")) == .missing)
        #expect(
            await office.refusal(of: AddDevice(user: "alice", format: .mobileconfig, method: .peap, gateway: "vpn.example.org"))
                == "eap: A mobileconfig profile cannot do `peap`. It does tls, none or mschapv2. See docs/clients.")
        #expect(
            await office.refusal(of: AddDevice(user: "alice", format: .sswan))
                == "gateway: A sswan profile needs the gateway. Add --gateway vpn.example.org.")
        var odd = AddDevice(user: "alice", format: .swanctl, gateway: "vpn.example.org")
        odd.remoteID = "a b"
        #expect(await office.kind(of: odd) == .invalid)
        #expect(try office.records.certificates().isEmpty, "nothing was issued for what was refused")
    }

    @Test func deviceIsBoundToItsUserAndStandsInTheTrailAsPersonal() async throws {
        let office = try await office()
        let answer = try await office.perform(AddDevice(user: "alice", label: "Alice’s phone", format: .p12))
        let view = try #require(answer.certificate)
        #expect(view.usage == "device" && view.name == "alice" && view.device == "Alice’s phone" && view.state == "valid")
        let event = try office.newest()
        #expect(event.kind == .deviceAdded && event.subject["device"] == "Alice’s phone" && event.subject["name"] == "alice")
        #expect(!event.details.contains { $0.value.contains("Alice") }, "what is chained names nobody")
        let password = try #require(answer.password)
        #expect(password.text.count == 23 && !"\(answer)".contains(password.text))
        let stored = try #require(try office.records.certificates().first)
        let user = try #require(try office.records.user(key: "alice"))
        #expect(stored.device?.user == user.id && stored.revocation == nil)
        #expect(await office.kind(of: AddDevice(user: "alice", label: "alice’s PHONE", format: .pem)) == .conflict)
        #expect(try await office.perform(AddDevice(user: "alice", format: .pem)).certificate?.device == "device")
        #expect(try await office.perform(AddDevice(user: "alice", format: .pem)).certificate?.device == "device 2")
    }

    @Test func revokedDeviceStandsOnTheListAndItsNameIsFree() async throws {
        let office = try await office()
        try await office.perform(AddDevice(user: "alice", label: "phone", format: .pem))
        #expect(
            await office.refusal(of: RevokeDevice(user: "alice", device: "phon"))
                == "device: alice has no device `phon`. Did you mean `phone`?")
        #expect(await office.kind(of: RevokeDevice(user: "alice", device: "phone", reason: "hold")) == .invalid)
        let done = try await office.perform(RevokeDevice(user: "alice", device: "Phone", reason: "key-compromise"))
        #expect(done.message == "Revoked device \"phone\" of alice.")
        #expect(try office.newest().kind == .deviceRevoked && office.changes.current.last == .certificates)
        let record = try #require(try office.records.certificates().first)
        #expect(try office.records.certificate(fingerprint: record.fingerprint)?.revocation != nil)
        #expect(try await office.perform(SignRevocationList()).certificates == 1)
        #expect(await office.kind(of: RevokeDevice(user: "alice", device: "phone")) == .missing)
        try await office.perform(AddDevice(user: "alice", label: "phone", format: .pem))
        #expect(try await office.perform(ListDevices(user: "alice")).devices.map(\.state) == ["valid", "revoked"])
        #expect(try await office.perform(ListCertificates(isRevoked: true)).certificates.count == 1)
    }

    @Test func devicesOfADisabledUserAreHeldAndOfARemovedOneRevoked() async throws {
        let office = try await office()
        try await office.perform(AddDevice(user: "alice", label: "phone", format: .pem))
        var request = SetUser(user: "alice")
        request.status = "disabled"
        try await office.perform(request)
        #expect(office.changes.current.last == .certificates)
        #expect(try await office.perform(SignRevocationList()).certificates == 1)
        #expect(try await office.perform(ListCertificates()).certificates.map(\.state) == ["held"])
        #expect(await office.kind(of: AddDevice(user: "alice", format: .pem)) == .conflict)
        request.status = "active"
        try await office.perform(request)
        #expect(try await office.perform(SignRevocationList()).certificates == 0)
        try await office.perform(RemoveUser(name: "alice"))
        let view = try #require(try await office.perform(ListCertificates()).certificates.first)
        #expect(view.state == "revoked" && view.reason == "cessation" && view.name == "(removed)" && view.device == nil)
        #expect(try await office.perform(SignRevocationList()).certificates == 1)
    }

    @Test func nothingOutlivesItsAuthority() async throws {
        let office = try await office()
        try await office.perform(InitAuthority(days: 10, isReplacement: true))
        let answer = try await office.perform(IssueCertificate(name: "vpn.example.org", usage: "server", days: 20))
        #expect(answer.certificate.ends.timestamp == Office.start + .minutes(10 * 24 * 60))
        #expect(answer.warnings.count == 1)
        #expect(try await office.perform(ListCertificates(endingDays: 11)).certificates.map(\.name) == ["vpn.example.org"])
        #expect(try await office.perform(ListCertificates(endingDays: 9)).certificates.isEmpty)
        office.clock.value.withLock { $0 = Office.start + .minutes(11 * 24 * 60) }
        #expect(await office.kind(of: IssueCertificate(name: "vpn.example.org", usage: "server")) == .conflict)
        #expect(try await office.perform(ListCertificates()).certificates.map(\.state) == ["ended"])
    }

    @Test func doctorSeesTheEndComing() async throws {
        let office = try await office()
        func kinds() async throws -> [Finding.Kind] {
            try await office.perform(ExamineNode(seconds: 1)).findings.map(\.kind).filter {
                [.authorityRight, .authorityEnding, .authorityEnded, .authorityDamaged, .certificatesEnding].contains($0)
            }
        }
        #expect(try await kinds() == [.authorityRight])
        try await office.perform(IssueCertificate(name: "vpn.example.org", usage: "server", days: 30))
        #expect(try await kinds() == [.certificatesEnding])
        office.clock.value.withLock { $0 = Office.start + .minutes(3_500 * 24 * 60) }
        #expect(try await kinds() == [.authorityEnding])
        office.clock.value.withLock { $0 = Office.start + .minutes(3_651 * 24 * 60) }
        #expect(try await kinds() == [.authorityEnded])
        var damaged = try #require(try office.records.authorities().first)
        damaged.key = nil
        #expect(CertificateCheck.authorities([damaged], now: Office.start).map(\.kind) == [.authorityDamaged])
        #expect(CertificateCheck.findings([], CertificateFigures(devices: 0, ending: 0, revoked: 0), now: Office.start).isEmpty)
    }

    @Test func exportHoldsNoKeys() async throws {
        let office = try await office()
        try await office.perform(AddDevice(user: "alice", format: .pem))
        let text = String(decoding: try JSONEncoder().encode(try await office.perform(ExportBlueprint())), as: UTF8.self)
        #expect(!text.contains("PRIVATE") && !text.contains("CERTIFICATE"))
    }

    @Test(arguments: [("alice", "alice"), ("alice.smith", "alice.smith (user)"), ("alice@example.org", "alice@example.org")])
    func userWhoLooksLikeAHostIsNone(name: String, expected: String) {
        #expect(Issuing.commonName(ofUser: name, by: ["example.org"]) == expected)
        #expect(Issuing.commonName(ofUser: name, by: []) == name)
        let long = String(repeating: "a.", count: 50)
        #expect(Issuing.commonName(ofUser: long, by: ["example.org"]).unicodeScalars.count == 64)
    }

    @Test(arguments: [
        ("example.org", true), ("vpn.example.org", true), ("*.example.org", true), ("badexample.org", false), ("example.com", false),
    ]) func domainsCoverThemselvesAndWhatLiesBelow(host: String, covered: Bool) {
        #expect(Issuing.covers(["example.org"], host) == covered)
        #expect(Issuing.covers([], host))
    }
}
