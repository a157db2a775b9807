// SPDX-License-Identifier: Apache-2.0
// strongSwan's daemons, their files and their certificates, for tests in which it is gateway and device.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

/// Debian packs them apart.
func hasStrongSwan(_ plugins: String...) -> Bool {
    plugins.allSatisfy { access("/usr/lib/ipsec/plugins/libstrongswan-\($0).so", F_OK) == 0 }
}

/// Two daemons of strongSwan, `gateway` and `device`, with their files.
struct StrongSwan {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private static let plugins =
        "random nonce drbg openssl aes sha1 sha2 hmac md5 kdf x509 pem pkcs1 pkcs8 pubkey constraints socket-default"

    /// IKEv1 signs with RSA alone.
    func makeCertificates() async throws {
        let openssl = try #require(Program(installed: "openssl"))
        let key = ["-newkey", "rsa:2048", "-nodes", "-days", "3"]
        _ = try await openssl.run(
            ["req", "-x509", "-subj", "/CN=authority", "-keyout", folder.path + "/ca.key", "-out", folder.path + "/ca.pem"] + key)
        for name in ["gateway", "device"] {
            for part in ["x509", "x509ca", "private"] {
                try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)/\(part)", withIntermediateDirectories: true)
            }
            let end = try await openssl.run(
                [
                    "req", "-x509", "-CA", folder.path + "/ca.pem", "-CAkey", folder.path + "/ca.key", "-subj", "/CN=\(name)", "-addext",
                    "basicConstraints=CA:false", "-keyout", "\(folder.path)/\(name)/private/\(name).key", "-out",
                    "\(folder.path)/\(name)/x509/\(name).pem",
                ] + key)
            try #require(end.status == 0, "\(end.everything)")
            try FileManager.default.copyItem(atPath: folder.path + "/ca.pem", toPath: "\(folder.path)/\(name)/x509ca/ca.pem")
        }
    }

    /// Lets the device believe the node, inside of whose TLS it logs in.
    ///
    /// - Returns: the subject that the device has to expect.
    func trustEAP(of node: TestNode) async throws -> String {
        let own = node.folder.path + "/eap"
        _ = try await eventually { access(own + "/ca.pem", R_OK) == 0 }
        try FileManager.default.copyItem(atPath: own + "/ca.pem", toPath: folder.path + "/device/x509ca/eap.pem")
        let shown = try await #require(Program(installed: "openssl")).run(
            ["x509", "-in", own + "/server.pem", "-noout", "-subject", "-nameopt", "RFC2253"])
        return try #require(shown.output.split(separator: "=", maxSplits: 1).last).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// - Parameters:
    ///   - kernel: of two that do the same the first is used.
    /// - Returns: the file of its settings.
    func daemon(
        _ name: String, port: UInt16, natPort: UInt16, more: String, kernel: String = "kernel-netlink", include: String = ""
    ) throws -> String {
        try folder.file(
            name + ".conf",
            """
            charon-systemd {
              load = \(Self.plugins) \(kernel) vici \(more)
              port = \(port)
              port_nat_t = \(natPort)
              filelog {
                file {
                  path = \(folder.path)/\(name).log
                  default = 1
                  flush_line = yes
                }
              }
              plugins {
                vici {
                  socket = unix://\(folder.path)/\(name).vici
                }
              }
            }
            \(include)
            """)
    }

    func swanctl(_ arguments: [String], _ name: String) async throws -> Finished {
        try await #require(Program(installed: "swanctl")).run(
            arguments + ["--uri", "unix://\(folder.path)/\(name).vici"],
            environment: ["STRONGSWAN_CONF": try folder.file("nothing.conf", "swanctl {\n}\n")])
    }

    /// What alice's device proves itself by, and what it has to trust: the node's own authority.
    ///
    /// - Parameter authority: of devices.
    /// - Returns: lines of its connection.
    func certify(_ authority: TestAuthority, _ node: TestNode) throws -> String {
        let issued = try authority.issue("alice", alternatives: ["email:alice@corp.example"])
        for (file, place) in [
            (issued.certificate, "x509/alice.pem"), (issued.key, "private/alice.key"), (node.folder.path + "/eap/ca.pem", "x509ca/eap.pem"),
        ] {
            try FileManager.default.copyItem(atPath: file, toPath: "\(folder.path)/device/\(place)")
        }
        let server = try #require(node.node.tunnel.inForce).subject
        return """
            auth = eap-tls
            certs = alice.pem
            id = alice@corp.example
            eap_id = alice@corp.example
            aaa_id = "\(server)"
            """
    }

    /// Once it listens.
    func load(_ file: String, _ name: String) async throws {
        _ = try await eventually { access("\(folder.path)/\(name).vici", F_OK) == 0 }
        let loaded = try await swanctl(["--load-all", "--file", file], name)
        #expect(loaded.output.contains("successfully loaded 1 connections"), "\(loaded.everything) \(folder.text(of: name + ".log"))")
    }
}
