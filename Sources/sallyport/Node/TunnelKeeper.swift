// SPDX-License-Identifier: Apache-2.0
// The certificate that EAP-TTLS and PEAP show to devices: in the data directory, made there at first use, or put there by somebody.

import Administration
import Foundation
import Logging
import LoginEngine
import RADIUSDoor
import Store
import Synchronization
import TLS

final class TunnelKeeper: Sendable {
    /// Under the data directory: `ca.pem` is for devices, `server.pem` and `server.key` are shown and used.
    static let folder = "eap"
    /// Devices are told of an authority once.
    static let authorityDays = 3_650
    /// Apple's devices take no certificate of a server that lasts longer.
    static let serverDays = 825
    /// Renewed from here on, in seconds.
    static let renewal: Int64 = 60 * 86_400

    private let path: String
    private let logger: Logger
    private let isInUse = Mutex(false)

    init(dataDirectory: String, logger: Logger) {
        path = "\(dataDirectory)/\(Self.folder)"
        self.logger = logger
    }

    /// Brings the certificate into force once a client is set to a method that needs it.
    ///
    /// - Throws: one line, with the file.
    func use(for clients: [Client], in radius: RADIUSService, at now: Timestamp) throws {
        guard clients.contains(where: { $0.settings.eap.contains { $0.isTunnel } }) else { return }
        try isInUse.withLock { isInUse in
            guard !isInUse else { return }
            var context = try radius.useTunnel(try load())
            if let expires = context.expires, expires - now.seconds < Self.renewal, let authority = read("ca") {
                try issue(by: authority)
                context = try radius.useTunnel(try load())
            }
            isInUse = true
            logger.notice(
                "EAP-TTLS and PEAP are offered under this certificate; devices have to trust \(path)/ca.pem or whoever signed it",
                metadata: ["certificate": "\(context.subject ?? "")", "expires": "\(Instant(Timestamp(seconds: context.expires ?? 0)))"])
        }
    }

    private func load() throws -> TLSSettings {
        if read("server") == nil {
            let authority = try read("ca") ?? makeAuthority()
            try issue(by: authority)
        }
        guard let server = read("server") else { throw SettingsError(description: "\(path)/server.pem cannot be read") }
        var settings = TLSSettings()
        (settings.certificates, settings.key) = (server.certificate, server.key)
        return settings
    }

    private func makeAuthority() throws -> IssuedCertificate {
        let made = try IssuedCertificate(name: "ca.\(name)", of: nil, serial: BufferedRandom.bytes(16), days: Self.authorityDays)
        try write(made, "ca")
        return made
    }

    private func issue(by authority: IssuedCertificate) throws {
        let made = try IssuedCertificate(name: name, of: authority, serial: BufferedRandom.bytes(16), days: Self.serverDays)
        try write(made, "server")
    }

    /// Room is left for what stands in front of an authority's.
    private var name: String {
        let name = NodeLocation.nodeName
        let isName = !name.isEmpty && name.utf8.count <= 60 && name.utf8.allSatisfy(PeerCertificate.isOfName)
        return isName ? name : "sallyport"
    }

    /// Nil unless both files are there.
    private func read(_ name: String) -> IssuedCertificate? {
        guard let certificate = FileManager.default.contents(atPath: "\(path)/\(name).pem"),
            let key = FileManager.default.contents(atPath: "\(path)/\(name).key")
        else { return nil }
        return IssuedCertificate(certificate: Array(certificate), key: Array(key))
    }

    /// The certificate goes first and comes last: where it is there, its key is too, and what broke off half-way is made anew.
    private func write(_ made: IssuedCertificate, _ name: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        if FileManager.default.fileExists(atPath: "\(path)/\(name).pem") {
            try FileManager.default.removeItem(atPath: "\(path)/\(name).pem")
        }
        for (file, bytes) in [("\(path)/\(name).key", made.key), ("\(path)/\(name).pem", made.certificate)] {
            guard FileManager.default.createFile(atPath: file, contents: Data(bytes), attributes: [.posixPermissions: 0o600]) else {
                throw SettingsError(description: "\(file) cannot be written")
            }
        }
    }
}
