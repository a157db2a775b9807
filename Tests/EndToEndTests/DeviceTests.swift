// SPDX-License-Identifier: Apache-2.0
// The authority and devices as an administrator has them: files that openssl reads, EAP's certificate, and a tunnel by a written profile.

import Administration
import Foundation
import Glibc
import LoginEngine
import Store
import TLS
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("openssl"), "openssl is not installed")) struct DeviceTests {
    private func openssl(_ arguments: [String], password: String = "") async throws -> Finished {
        try await #require(Program(installed: "openssl")).run(arguments, environment: ["PASSWORD": password])
    }

    /// What a command printed as JSON.
    private func json(_ finished: Finished) throws -> [String: Any] {
        try #require(finished.status == 0, "\(finished.everything)")
        return try #require(try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any])
    }

    private func sallyport(_ arguments: [String], _ node: TestNode) async throws -> Finished {
        try await Program.sallyport.run(arguments + ["--data-dir", node.folder.path])
    }

    @Test func chainListAndPackAreReadByOpenSSL() async throws {
        let node = try await TestNode.start()
        let out = try TemporaryFolder()
        try await node.perform(AddUser(name: "alice.smith", email: "alice@elsewhere.example", aliases: ["alice@example.org"]))
        #expect(try await sallyport(["ca", "init", "--name", "Example CA", "--domain", "example.org"], node).status == 0)
        let ca = try out.file("ca.pem", try await sallyport(["ca", "show", "--pem"], node).output)
        let host = try json(try await sallyport(["ca", "issue", "vpn.example.org", "--out", out.path + "/vpn", "--json"], node))
        #expect(host["files"] as? [String] == ["cert.pem", "key.pem", "ca.pem"])
        let server = try await openssl([
            "verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslserver", "-verify_hostname", "vpn.example.org",
            out.path + "/vpn/cert.pem",
        ])
        #expect(server.status == 0, "\(server.everything)")
        for (pack, digest) in [("compatible", "sha1"), ("modern", "sha256")] {
            let folder = "\(out.path)/\(pack)"
            let made = try json(
                try await sallyport(
                    [
                        "user", "device", "add", "alice.smith", "--name", pack, "--format", "p12", "--pack", pack, "--out", folder,
                        "--json",
                    ], node))
            let (file, password) = (
                folder + "/" + (try #require((made["files"] as? [String])?.first)), try #require(made["password"] as? String)
            )
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            let read = try await openssl(["pkcs12", "-in", file, "-passin", "env:PASSWORD", "-nodes", "-info"], password: password)
            #expect(read.status == 0 && read.output.contains("PRIVATE KEY"), "\(read.everything)")
            #expect(read.errors.contains("MAC: \(digest)"), "\(read.errors)")
            let wrong = try await openssl(["pkcs12", "-in", file, "-passin", "env:PASSWORD", "-nodes"], password: "wrong")
            #expect(wrong.status != 0)
            let device = try out.file(pack + ".pem", read.output)
            let chain = ["verify", "-x509_strict", "-CAfile", ca, "-purpose", "sslclient"]
            #expect(try await openssl(chain + [device]).status == 0, "a name with a dot is no host's")
            let list = try out.file(pack + ".crl", try await sallyport(["ca", "crl"], node).output)
            #expect(try await openssl(chain + ["-crl_check", "-CRLfile", list, device]).status == 0)
            let revoked = try await sallyport(["user", "device", "revoke", "alice.smith", pack, "--reason", "superseded"], node)
            #expect(revoked.status == 0, "\(revoked.everything)")
            #expect(try await sallyport(["ca", "crl", "--der", "--out", out.path + "/der.crl"], node).status == 0)
            let newer = try await openssl(["crl", "-inform", "DER", "-in", out.path + "/der.crl", "-out", list])
            #expect(newer.status == 0, "\(newer.everything)")
            let refused = try await openssl(chain + ["-crl_check", "-CRLfile", list, device])
            #expect(refused.status != 0 && refused.errors.contains("certificate revoked"), "\(refused.everything)")
        }
        let again = try await sallyport(["user", "device", "add", "alice.smith", "--format", "pem", "--out", out.path + "/vpn"], node)
        #expect(again.status == 1 && again.errors.contains("This is there already"), "\(again.everything)")
        #expect(try await node.perform(ListCertificates(usage: "device")).certificates.count == 2, "nothing was issued for nowhere")
        await node.stop()
    }

    @Test func certificateOfEAPIsOfTheAuthorityAndNeverInPlaceOfAnothers() async throws {
        let node = try await TestNode.start(flags: ["eap.server-name": "radius"])
        func shown() throws -> CertificateText {
            try CertificateText(pem: Array(#require(FileManager.default.contents(atPath: node.folder.path + "/eap/server.pem"))))
        }
        try await node.perform(InitAuthority(name: "Example CA", domains: ["example.org"]))
        try await node.addClient { $0.eap = ["peap"] }
        let first = try shown()
        #expect(first.peer.issuer == "CN=Example CA" && first.peer.names == ["radius.example.org"])
        #expect(!FileManager.default.fileExists(atPath: node.folder.path + "/eap/ca.key"), "its key is in the database alone")
        #expect(try node.node.operations.isOwnServer(fingerprint: first.peer.fingerprint))
        // A year before its end nothing is renewed, a month before it is.
        let tunnel = node.node.tunnel
        let (clients, operations) = (try node.node.store.records.clients(), node.node.operations)
        let end = first.peer.expires
        #expect(try await !tunnel.renew(for: clients, by: operations, at: Timestamp(seconds: end - 365 * 86_400)))
        #expect(try await tunnel.renew(for: clients, by: operations, at: Timestamp(seconds: end - 30 * 86_400)))
        let second = try shown()
        #expect(second.peer.fingerprint != first.peer.fingerprint && second.peer.issuer == "CN=Example CA")
        // Somebody's own stays, however near its end.
        let own = try IssuedCertificate(name: "own.example.org", of: nil, serial: [UInt8](repeating: 1, count: 16), days: 1)
        for (file, bytes) in [("server.pem", own.certificate), ("server.key", own.key)] {
            try Data(bytes).write(to: URL(fileURLWithPath: node.folder.path + "/eap/" + file))
        }
        #expect(try await !tunnel.renew(for: clients, by: operations, at: Timestamp(seconds: end)))
        #expect(try shown().peer.subject == "CN=own.example.org")
        try await node.perform(AddUser(name: "alice"))
        let profile = try await node.perform(AddDevice(user: "alice", format: .powershell, method: .peap, gateway: "vpn.example.org"))
        let script = String(decoding: Data(base64Encoded: profile.files.last?.contents.text ?? "") ?? Data(), as: UTF8.self)
        #expect(script.contains("<ServerNames>own.example.org</ServerNames>"), "profiles name what is shown")
        #expect(profile.warnings.contains { $0.contains("not of the authority in the profile") }, "\(profile.warnings)")
        await node.stop()
    }

    @Test func selfMadeCertificateOfEAPStaysUntilItIsTakenAway() async throws {
        var node = try await TestNode.start()
        try await node.addClient { $0.eap = ["ttls"] }
        func issuer() throws -> String {
            let server = FileManager.default.contents(atPath: node.folder.path + "/eap/server.pem")
            return try CertificateText(pem: Array(#require(server))).peer.issuer
        }
        let before = try issuer()
        try await node.perform(InitAuthority(name: "Example CA"))
        #expect(try issuer() == before, "devices believe it")
        await node.stop()
        try FileManager.default.removeItem(atPath: node.folder.path + "/eap/server.pem")
        node = try await TestNode.start(in: node.folder)
        #expect(try issuer() == "CN=Example CA")
        #expect(FileManager.default.fileExists(atPath: node.folder.path + "/eap/ca.key.before"), "nothing is lost")
        await node.stop()
    }

    @Test func backupHoldsTheAuthorityAndARestoreIssuesOn() async throws {
        let node = try await TestNode.start()
        try await node.perform(AddUser(name: "alice"))
        try await node.perform(InitAuthority(name: "Example CA"))
        try await node.perform(AddDevice(user: "alice", label: "phone", format: .pem))
        let out = try TemporaryFolder()
        let passphrase = try out.file("passphrase", "a long enough passphrase")
        let backup = try await sallyport(["backup", out.path + "/b", "--passphrase-file", passphrase], node)
        await node.stop()
        try #require(backup.status == 0, "\(backup.everything)")
        let bytes = try #require(FileManager.default.contents(atPath: out.path + "/b"))
        #expect(bytes.range(of: Data("PRIVATE KEY".utf8)) == nil)
        let restored = try await Program.sallyport.run([
            "restore", out.path + "/b", "--passphrase-file", passphrase, "--key-file", node.folder.path + "/master.key", "--data-dir",
            out.path + "/data",
        ])
        try #require(restored.status == 0, "\(restored.everything)")
        let list = try await Program.sallyport.run(["ca", "list", "--json", "--data-dir", out.path + "/data"])
        #expect(list.output.contains("\"device\":\"phone\""), "\(list.everything)")
        let issued = try await Program.sallyport.run([
            "ca", "issue", "vpn.example.org", "--out", out.path + "/vpn", "--data-dir", out.path + "/data",
        ])
        #expect(issued.status == 0, "\(issued.everything)")
    }
}
