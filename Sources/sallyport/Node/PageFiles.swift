// SPDX-License-Identifier: Apache-2.0
// What the pages for users are served with: where, under which name, and the files of their certificate.

import Administration
import Foundation
import TLS
import WebDoor

struct PageFiles: Sendable, Equatable {
    var listen: [ListenAddress] = []
    /// What links begin with, without a slash at its end; nil: there are none.
    var url: String?
    /// Absolute; nil: self-made, in `folder`.
    var certificate: String?
    var key: String?
    /// Where a certificate of its own lies.
    var folder: String

    /// Browsers take none that lasts longer (CA/Browser Forum BR §6.3.2).
    static let days: Int64 = 397

    var isSelfMade: Bool { certificate == nil }
    var certificatePath: String { certificate ?? "\(folder)/server.pem" }
    var keyPath: String { key ?? "\(folder)/server.key" }

    func check() throws(SettingsError) {
        guard (certificate == nil) == (key == nil) else {
            throw SettingsError(description: "web.certificate and web.key: give both files, or neither")
        }
        guard listen.isEmpty || url != nil else {
            throw SettingsError(description: "web.public: needs web.public-url, which the links to these pages begin with")
        }
    }

    /// What tells whether they have changed.
    var mark: [String] {
        [certificatePath, keyPath].map { path in
            let found = try? FileManager.default.attributesOfItem(atPath: path)
            return "\(found?[.modificationDate] ?? "") \(found?[.size] ?? "") \(found?[.systemFileNumber] ?? "")"
        }
    }

    /// - Throws: `SettingsError`, which names the key and the file, and never what is in it.
    func read() throws(SettingsError) -> TLSSettings {
        var settings = TLSSettings()
        settings.certificates = try RadSecFiles.contents(certificatePath, SettingKey.webCertificate)
        settings.key = try RadSecFiles.contents(keyPath, SettingKey.webKey)
        settings.peerCertificate = .none
        settings.applicationProtocols = ["http/1.1"]
        return settings
    }

    /// The host of the address, as a certificate names it.
    private var host: String {
        let rest = url?.dropFirst("https://".count) ?? "localhost"
        let host = rest.hasPrefix("[") ? "localhost" : String(rest.prefix { $0 != ":" && $0 != "/" })
        return host.utf8.count <= CertificateDraft.longestCommonName ? host : "localhost"
    }

    /// Makes a certificate where there is none; the certificate comes last, so that where it is, its key is too.
    func make(at now: Int64) throws {
        let host = host
        var draft = CertificateDraft(
            .server, commonName: host, begins: now - 3_600, ends: now + Self.days * 86_400, serial: BufferedRandom.bytes(16))
        draft.dnsNames = [host]
        let made = try IssuedCertificate(draft, key: .p256, by: nil)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try? FileManager.default.removeItem(atPath: certificatePath)
        for (file, bytes) in [(keyPath, made.key), (certificatePath, made.certificate)] {
            guard FileManager.default.createFile(atPath: file, contents: Data(bytes), attributes: [.posixPermissions: 0o600]) else {
                throw SettingsError(description: "\(file) cannot be written")
            }
        }
    }
}
