// SPDX-License-Identifier: Apache-2.0
// The certificate that EAP shows to devices, as files in the data directory: read, made where there is none, put in another's place.

import Administration
import Foundation
import Store
import TLS

/// Under the data directory: `ca.pem` is for devices, `server.pem` and `server.key` are shown and used.
struct TunnelFiles: Sendable {
    static let folder = "eap"
    /// Devices are told of an authority once.
    static let authorityDays = 3_650
    /// Apple's devices take no certificate of a server that lasts longer.
    static let serverDays = 825

    let dataDirectory: String
    let path: String
    /// What the certificates that are made are for.
    let name: String

    /// - Parameter name: nil: this host's.
    init(dataDirectory: String, name: String?) {
        self.dataDirectory = dataDirectory
        path = "\(dataDirectory)/\(Self.folder)"
        self.name = name ?? Self.hostName
    }

    /// Where the certificate lies.
    var file: String { "\(path)/server.pem" }

    /// What is there, or is made now.
    func load() throws -> TLSSettings {
        var server = try read("server")
        if server == nil {
            try issue(by: try read("ca") ?? makeAuthority())
            server = try read("server")
        }
        guard let server else { throw SettingsError(description: "\(path)/server.pem cannot be read") }
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (server.certificate, server.key)
        return settings
    }

    private func makeAuthority() throws -> IssuedCertificate {
        let made = try IssuedCertificate(name: "ca.\(name)", of: nil, serial: BufferedRandom.bytes(16), days: Self.authorityDays)
        try write(made, "ca")
        return made
    }

    /// A new one, by an authority that lies here.
    func issue(by authority: IssuedCertificate) throws {
        let made = try IssuedCertificate(name: name, of: authority, serial: BufferedRandom.bytes(16), days: Self.serverDays)
        try write(made, "server")
    }

    /// Room is left for what stands in front of an authority's.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 60 && name.utf8.allSatisfy(PeerCertificate.isOfName) && !name.hasPrefix(".")
            && !name.hasSuffix(".")
    }

    static var hostName: String { isName(NodeLocation.nodeName) ? NodeLocation.nodeName : "sallyport" }

    /// What devices are shown, once there is something.
    var shown: Operations.ShownCertificate? {
        guard let server = try? read("server"), let text = try? CertificateText(pem: server.certificate) else { return nil }
        return Operations.ShownCertificate(name: text.peer.names.first ?? name, fingerprint: text.peer.fingerprint)
    }

    /// Nil where there is no certificate. One that is there is never made anew in its place: it may be somebody's own.
    func read(_ name: String) throws -> IssuedCertificate? {
        let files = ("\(path)/\(name).pem", "\(path)/\(name).key")
        guard FileManager.default.fileExists(atPath: files.0) else { return nil }
        guard FileManager.default.fileExists(atPath: files.1) else {
            throw SettingsError(
                description:
                    "\(files.0) is there and its key \(files.1) is not. Put the key beside it, or take the certificate away to have "
                    + "both made here.")
        }
        let contents = (FileManager.default.contents(atPath: files.0), FileManager.default.contents(atPath: files.1))
        guard let certificate = contents.0, let key = contents.1 else {
            throw SettingsError(
                description: "\(files.0) and \(files.1) cannot be read. Give them to the user that the node runs as, with mode 600.")
        }
        return IssuedCertificate(certificate: Array(certificate), key: Array(key))
    }

    /// The certificate goes first and comes last: where it is there, its key is too. A key without a certificate is what broke off
    /// half-way, or somebody's whose certificate is still to come: it is kept under another name.
    func write(_ made: IssuedCertificate, _ name: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        if FileManager.default.fileExists(atPath: "\(path)/\(name).pem") {
            try FileManager.default.removeItem(atPath: "\(path)/\(name).pem")
        } else if FileManager.default.fileExists(atPath: "\(path)/\(name).key") {
            try? FileManager.default.removeItem(atPath: "\(path)/\(name).key.before")
            try FileManager.default.moveItem(atPath: "\(path)/\(name).key", toPath: "\(path)/\(name).key.before")
        }
        for (file, bytes) in [("\(path)/\(name).key", made.key), ("\(path)/\(name).pem", made.certificate)] {
            try PrivateFile.write(bytes, to: file)
        }
    }
}
