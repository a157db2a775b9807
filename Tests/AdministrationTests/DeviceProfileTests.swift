// SPDX-License-Identifier: Apache-2.0
// Profiles of devices: that they are what their readers read, the same each time, and that no name breaks out of its place.

import Foundation
import LoginEngine
import Store
import TLS
import Testing

@testable import Administration

@Suite struct DeviceProfileTests {
    private func office() async throws -> Office {
        let office = try Office { SystemRandomNumberGenerator() }
        try await office.perform(AddUser(name: "alice", email: "alice@example.org"))
        try await office.perform(InitAuthority(name: "Example CA", domains: ["example.org"]))
        return office
    }

    private func files(
        _ office: Office, _ format: DeviceFormat, _ method: DeviceMethod? = nil, label: String? = nil, connection: String? = nil
    ) async throws -> [String: Data] {
        var request = AddDevice(user: "alice", label: label, format: format, method: method, gateway: "vpn.example.org")
        request.serverName = "radius.example.org"
        request.connection = connection
        let answer = try await office.perform(request)
        return Dictionary(uniqueKeysWithValues: answer.files.map { ($0.path, Data(base64Encoded: $0.contents.text) ?? Data()) })
    }

    private func apple(_ data: Data?) throws -> (profile: [String: Any], payloads: [[String: Any]]) {
        let plist = try PropertyListSerialization.propertyList(from: try #require(data), format: nil)
        let profile = try #require(plist as? [String: Any])
        return (profile, try #require(profile["PayloadContent"] as? [[String: Any]]))
    }

    @Test func appleFindsCertificateAuthorityAndConnection() async throws {
        let office = try await office()
        let (profile, payloads) = try apple(try await files(office, .mobileconfig)["alice-device.mobileconfig"])
        #expect(profile["PayloadType"] as? String == "Configuration" && profile["PayloadVersion"] as? Int == 1)
        #expect(
            payloads.map { $0["PayloadType"] as? String } == [
                "com.apple.security.root", "com.apple.security.pkcs12", "com.apple.vpn.managed",
            ])
        #expect(payloads[1]["Password"] == nil, "the device asks for it")
        let ike = try #require(payloads[2]["IKEv2"] as? [String: Any])
        #expect(ike["AuthenticationMethod"] as? String == "None" && ike["ExtendedAuthEnabled"] as? Int == 1)
        #expect(ike["PayloadCertificateUUID"] as? String == payloads[1]["PayloadUUID"] as? String)
        #expect(ike["CertificateType"] as? String == "ECDSA256" && ike["AuthName"] == nil)
        #expect(ike["RemoteIdentifier"] as? String == "vpn.example.org")
        let identifiers = Set(([profile] + payloads).compactMap { $0["PayloadUUID"] as? String })
        #expect(identifiers.count == 4 && identifiers.allSatisfy { UUID(uuidString: $0) != nil })
    }

    @Test func appleAsksForThePasswordWithoutACertificateAndSignsWithOneAlone() async throws {
        let office = try await office()
        let (_, payloads) = try apple(try await files(office, .mobileconfig, .mschapv2)["alice-device.mobileconfig"])
        let ike = try #require(payloads.last?["IKEv2"] as? [String: Any])
        #expect(payloads.count == 2 && ike["AuthName"] as? String == "alice" && ike["AuthPassword"] == nil)
        #expect(ike["PayloadCertificateUUID"] == nil)
        let (_, signed) = try apple(try await files(office, .mobileconfig, .some(.none))["alice-device.mobileconfig"])
        let alone = try #require(signed.last?["IKEv2"] as? [String: Any])
        #expect(alone["AuthenticationMethod"] as? String == "Certificate" && alone["ExtendedAuthEnabled"] as? Int == 0)
        #expect(alone["LocalIdentifier"] as? String == "alice@example.org", "it stands in the certificate")
        #expect(try office.records.certificates().count == 1, "the first profile needed none")
    }

    @Test func newerProfileTakesTheOlderOnesPlace() async throws {
        let office = try await office()
        func identifier(_ label: String) async throws -> String? {
            let all = try await files(office, .mobileconfig, .mschapv2, label: label)
            return try apple(all.values.first).profile["PayloadUUID"] as? String
        }
        let first = try await identifier("phone")
        #expect(try await identifier("phone") == first)
        #expect(try await identifier("tablet") != first)
    }

    @Test func androidFindsEverythingInOneFile() async throws {
        let office = try await office()
        func profile(_ method: DeviceMethod?) async throws -> [String: Any] {
            let data = try #require(try await files(office, .sswan, method)["alice-device.sswan"])
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }
        let tls = try await profile(nil)
        #expect(tls["type"] as? String == "ikev2-eap-tls")
        let (remote, local) = (tls["remote"] as? [String: String], tls["local"] as? [String: String])
        #expect(remote?["addr"] == "vpn.example.org" && remote?["id"] == "vpn.example.org")
        #expect(Data(base64Encoded: remote?["cert"] ?? "")?.first == 0x30 && Data(base64Encoded: local?["p12"] ?? "")?.first == 0x30)
        #expect(local?["eap_id"] == "alice" && UUID(uuidString: tls["uuid"] as? String ?? "") != nil)
        let password = try await profile(.mschapv2)
        #expect(password["type"] as? String == "ikev2-eap" && (password["local"] as? [String: String]) == ["eap_id": "alice"])
    }

    @Test(arguments: [(DeviceMethod.tls, "13"), (.ttls, "21"), (.peap, "25"), (.mschapv2, "26")])
    func windowsIsToldItsMethodInXML(method: DeviceMethod, type: String) async throws {
        let office = try await office()
        let all = try await files(office, .powershell, method)
        let script = String(decoding: try #require(all["install.ps1"]), as: UTF8.self)
        #expect(script.hasPrefix("\u{FEFF}#") && script.contains("\r\n"))
        #expect(all.keys.contains("alice-device.p12") == (method == .tls) && all.keys.contains("ca.pem"))
        let xml = try #require(script.firstMatch(of: /<EapHostConfig.*<\/EapHostConfig>/)).output
        let parser = XMLParts()
        try parser.read(String(xml))
        #expect(parser.texts["Type"]?.first == type)
        let root = try CertificateText(pem: Array(try await office.perform(ShowAuthority()).pem.utf8)).thumbprint
        let hash = parser.texts[method == .ttls ? "TrustedRootCAHash" : "TrustedRootCA"]?.first?.filter { $0 != " " }
        let wanted = root.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(method == .mschapv2 ? hash == nil : hash == wanted)
        if method != .mschapv2 { #expect(parser.texts["ServerNames"] == ["radius.example.org"]) }
        if method == .peap { #expect(parser.texts["Type"] == ["25", "25", "26"]) }
    }

    @Test func windowsAsksTheMachineForACertificateAlone() async throws {
        let all = try await files(try await office(), .powershell, .some(.none))
        let script = String(decoding: try #require(all["install.ps1"]), as: UTF8.self)
        #expect(script.contains("#Requires -RunAsAdministrator") && script.contains("'MachineCertificate'"))
        #expect(script.contains("Cert:\\LocalMachine\\My") && !script.contains("EapHostConfig"))
    }

    @Test(arguments: ["it's", "it\u{2019}s", "a'; Remove-Item C:\\ ; '", "$(calc)", "\u{201A}\u{201B}"])
    func noNameBreaksOutOfAScript(_ name: String) async throws {
        let all = try await files(try await office(), .powershell, .mschapv2, label: name, connection: name)
        let script = String(decoding: try #require(all["install.ps1"]), as: UTF8.self)
        let line = try #require(script.split(whereSeparator: \.isNewline).first { $0.hasPrefix("$name = ") })
        // As PowerShell reads it: any two of its marks in a row are one of the text.
        var text = Array(line.dropFirst("$name = ".count).unicodeScalars)[...]
        let marks = Set("'\u{2018}\u{2019}\u{201A}\u{201B}".unicodeScalars)
        #expect(text.popFirst() == "'" && text.popLast() == "'")
        var read = String.UnicodeScalarView()
        while let scalar = text.popFirst() {
            if marks.contains(scalar) { #expect(text.popFirst() == scalar, "it would end the text here") }
            read.append(scalar)
        }
        #expect(String(read) == name)
        #expect(script.split(whereSeparator: \.isNewline).count { $0.contains("Remove-Item") } <= 2, "the comment and the name")
    }

    @Test func networkManagerFindsItsFiles() async throws {
        let office = try await office()
        let all = try await files(office, .nm, label: "lap top")
        #expect(Set(all.keys) == ["ca.pem", "alice-lap-top.pem", "alice-lap-top.key", "alice-lap-top.nmconnection"])
        let text = String(decoding: try #require(all["alice-lap-top.nmconnection"]), as: UTF8.self)
        for line in [
            "type=vpn", "service-type=org.freedesktop.NetworkManager.strongswan", "address=vpn.example.org", "method=eap-tls",
            "usercert=/etc/NetworkManager/sallyport/alice-lap-top/alice-lap-top.pem", "cert-source=file", "local-identity=alice",
        ] {
            #expect(text.split(separator: "\n").contains(Substring(line)), "\(line)")
        }
        let password = try await files(office, .nm, .mschapv2)
        #expect(Set(password.keys) == ["ca.pem", "alice-device.nmconnection"])
        #expect(String(decoding: try #require(password["alice-device.nmconnection"]), as: UTF8.self).contains("\nuser=alice\n"))
        #expect(DeviceProfile.keyfile(" a\\b\nid=c") == "\\sa\\\\b\\nid=c")
    }

    @Test func swanctlFindsItsFilesAndNamesEAPsServer() async throws {
        let all = try await files(try await office(), .swanctl, label: "box")
        #expect(
            Set(all.keys) == ["x509ca/alice-box.pem", "x509/alice-box.pem", "private/alice-box.key", "conf.d/alice-box.conf"])
        let text = String(decoding: try #require(all["conf.d/alice-box.conf"]), as: UTF8.self)
        for line in ["auth = eap-tls", "id = alice", "aaa_id = radius.example.org", "certs = alice-box.pem", "cacerts = alice-box.pem"] {
            #expect(text.contains("      \(line)\n"), "\(line)")
        }
        #expect(DeviceProfile.swanctl("a\" }\nb") == "\"a\\\" }\nb\"", "names hold no line ends; quotes end nothing")
        #expect(DeviceProfile.swanctl("alice@example.org") == "alice@example.org")
    }

    @Test(arguments: [("Alice’s phone", "alice-s-phone"), ("../../etc", "etc"), ("…", "device"), ("a b--c", "a-b-c")])
    func foldersAndSectionsHavePlainNames(label: String, slug: String) {
        #expect(DeviceProfile.slug(of: label) == slug)
    }

    @Test func anotherAuthorityStandsInTheProfile() async throws {
        let office = try await office()
        let other = try Office { SystemRandomNumberGenerator() }
        try await other.perform(InitAuthority(name: "Other CA"))
        var request = AddDevice(user: "alice", format: .mobileconfig, method: .mschapv2, gateway: "192.0.2.7")
        request.anchors = try await other.perform(ShowAuthority()).pem
        let answer = try await office.perform(request)
        let (_, payloads) = try apple(Data(base64Encoded: answer.files[0].contents.text))
        #expect(payloads.first?["PayloadDisplayName"] as? String == "Other CA")
        request.anchors = "no certificate"
        #expect(await office.kind(of: request) == .invalid)
    }
}

/// Texts of elements by their names, in order; throws where it is no XML.
private final class XMLParts {
    private(set) var texts: [String: [String]] = [:]

    func read(_ text: String) throws {
        var open: [String] = []
        var rest = text[...]
        while let start = rest.firstIndex(of: "<") {
            if let name = open.last, start > rest.startIndex { texts[name, default: []].append(String(rest[..<start])) }
            let end = try #require(rest[start...].firstIndex(of: ">"))
            let tag = rest[rest.index(after: start)..<end]
            if tag.hasPrefix("/") {
                #expect(open.popLast() == String(tag.dropFirst()))
            } else if !tag.hasSuffix("/") {
                open.append(String(tag.prefix { $0 != " " }))
            }
            rest = rest[rest.index(after: end)...]
        }
        #expect(open.isEmpty && rest.isEmpty)
    }
}
