// SPDX-License-Identifier: Apache-2.0
// A certificate authority for one test, made by the program `openssl` in a folder of the test's.

package import Foundation
internal import Glibc

package struct TestAuthority: Sendable {
    package let folder: String
    package let name: String

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Files of one certificate.
    package struct Issued: Sendable {
        package let certificate: String
        package let key: String

        package init(certificate: String, key: String) {
            (self.certificate, self.key) = (certificate, key)
        }

        package var pem: [UInt8] { TestAuthority.bytes(of: certificate) }
        package var keyPEM: [UInt8] { TestAuthority.bytes(of: key) }
    }

    package var certificate: String { "\(folder)/\(name).pem" }
    package var pem: [UInt8] { Self.bytes(of: certificate) }
    package var keyPEM: [UInt8] { Self.bytes(of: key) }
    private var key: String { "\(folder)/\(name).key" }

    package init(_ name: String = "authority", in folder: String) throws {
        self.folder = folder
        self.name = name
        try Self.openssl(
            [
                "req", "-x509", "-subj", "/O=Test/CN=\(name)", "-days", "30", "-keyout", "\(folder)/\(name).key", "-out",
                "\(folder)/\(name).pem",
            ]
                + Self.newKey)
    }

    private static let newKey = newKey(of: "P-256")

    private static func newKey(of curve: String) -> [String] { ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:\(curve)", "-nodes"] }

    /// Signed by this authority.
    ///
    /// - Parameter alternatives: more alternative names as `openssl` writes them, such as `email:alice@example.org`.
    package func issue(
        _ commonName: String, names: [String] = [], alternatives: [String] = [], for purpose: String = "clientAuth",
        curve: String = "P-256", extensions: [String] = []
    ) throws -> Issued {
        let issued = Issued(certificate: "\(folder)/\(commonName).pem", key: "\(folder)/\(commonName).key")
        var arguments = [
            "req", "-x509", "-CA", certificate, "-CAkey", key, "-subj", "/O=Test/CN=\(commonName)", "-days", "30", "-keyout", issued.key,
            "-out",
            issued.certificate, "-addext", "basicConstraints=CA:false", "-addext", "extendedKeyUsage=\(purpose)",
        ]
        let subjects = names.map { "DNS:\($0)" } + alternatives
        if !subjects.isEmpty { arguments += ["-addext", "subjectAltName=" + subjects.joined(separator: ",")] }
        for text in extensions { arguments += ["-addext", text] }
        try Self.openssl(arguments + Self.newKey(of: curve))
        return issued
    }

    /// Arguments of an `openssl ocsp` that answers for this authority.
    package var responder: [String] {
        ["ocsp", "-index", "\(folder)/index.txt", "-rsigner", certificate, "-rkey", key, "-CA", certificate, "-ndays", "1"]
    }

    /// Tells the responder that these are good.
    package func register(_ issued: Issued...) throws {
        let own = try configure()
        for one in issued { try Self.openssl(own + ["-valid", one.certificate]) }
    }

    private func configure() throws -> [String] {
        let settings = "[ca]\ndefault_ca=d\n[d]\ndatabase=\(folder)/index.txt\ndefault_md=sha256\ndefault_crl_days=30\n"
        try Data(settings.utf8).write(to: URL(fileURLWithPath: "\(folder)/ca.cnf"))
        if !FileManager.default.fileExists(atPath: "\(folder)/index.txt") {
            try Data().write(to: URL(fileURLWithPath: "\(folder)/index.txt"))
        }
        return ["ca", "-config", "\(folder)/ca.cnf", "-keyfile", key, "-cert", certificate]
    }

    /// Signed, and over since yesterday.
    package func issueExpired(_ commonName: String) throws -> Issued {
        let issued = try issue(commonName)
        try Self.openssl(["req", "-new", "-key", issued.key, "-subj", "/O=Test/CN=\(commonName)", "-out", "\(folder)/\(commonName).csr"])
        try Self.openssl([
            "x509", "-req", "-in", "\(folder)/\(commonName).csr", "-CA", certificate, "-CAkey", key, "-days", "-1", "-out",
            issued.certificate,
        ])
        return issued
    }

    /// Signed by itself.
    package static func selfSigned(_ commonName: String, in folder: String) throws -> Issued {
        let issued = Issued(certificate: "\(folder)/\(commonName).pem", key: "\(folder)/\(commonName).key")
        try openssl(
            ["req", "-x509", "-subj", "/CN=\(commonName)", "-days", "30", "-keyout", issued.key, "-out", issued.certificate] + newKey)
        return issued
    }

    /// The list of what this authority has revoked, as a file.
    ///
    /// - Parameter end: when the next list is due; nil: in a month.
    package func revoke(_ issued: Issued..., until end: Date? = nil) throws -> String {
        let own = try configure()
        for one in issued { try Self.openssl(own + ["-revoke", one.certificate]) }
        var times: [String] = []
        if let end { times = ["-crl_lastupdate", Self.time(end - 86_400), "-crl_nextupdate", Self.time(end)] }
        try Self.openssl(own + ["-gencrl", "-out", "\(folder)/revoked.pem"] + times)
        return "\(folder)/revoked.pem"
    }

    /// As `openssl ca` reads times.
    private static func time(_ date: Date) -> String {
        let seconds = time_t(date.timeIntervalSince1970)
        var (parts, moment) = (tm(), seconds)
        gmtime_r(&moment, &parts)
        return [parts.tm_year % 100, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
            .map { ($0 < 10 ? "0" : "") + String($0) }.joined() + "Z"
    }

    package static func openssl(_ arguments: [String]) throws {
        let null = try FileHandle(forUpdating: URL(fileURLWithPath: "/dev/null"))
        defer { try? null.close() }
        let child = try ChildProcess(
            "/usr/bin/openssl", arguments, input: null.fileDescriptor, output: null.fileDescriptor, errors: null.fileDescriptor)
        guard child.wait() == 0 else { throw Failure(description: "openssl \(arguments.joined(separator: " ")) failed") }
    }

    package static func bytes(of file: String) -> [UInt8] {
        (try? Data(contentsOf: URL(fileURLWithPath: file))).map { Array($0) } ?? []
    }
}
