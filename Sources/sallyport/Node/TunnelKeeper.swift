// SPDX-License-Identifier: Apache-2.0
// The certificate that EAP-TTLS, PEAP and EAP-TLS show to devices: in the data directory, made there at first use, or put there by somebody;
// and whose certificates devices may show.

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

    struct InForce: Sendable, Equatable {
        var subject: String
        var expires: Timestamp
        var devices: Devices?
        /// Why the files of devices' certificates as they are now are not in force.
        var problem: String?
    }

    /// What devices have to show by EAP-TLS.
    struct Devices: Sendable, Equatable {
        var authorities: [TrustedAuthority]
        var lists: [TrustedList]
        /// For how long a list is believed beyond its end.
        var grace: Timestamp.Span
    }

    let files: DeviceTrustFiles
    /// What the certificates that are made are for.
    let name: String
    private let path: String
    private let issued: IssuedHere
    private let radius: RADIUSService
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var used: InForce?
        var mark: [String] = []
        var told: Timestamp?
    }

    /// - Parameter name: nil: this host's.
    /// - Throws: what is wrong with the files, also where no client needs them yet.
    init(
        dataDirectory: String, name: String?, files: DeviceTrustFiles, issued: IssuedHere, radius: RADIUSService, logger: Logger
    ) throws {
        path = "\(dataDirectory)/\(Self.folder)"
        self.name = name ?? Self.hostName
        (self.files, self.issued, self.radius, self.logger) = (files, issued, radius, logger)
        _ = try trust(at: NodeClock.now().wall)
    }

    private func mark() throws -> [String] { try files.mark + issued.mark() }

    private func trust(at now: Timestamp) throws -> DeviceTrust {
        var trust = try files.read()
        var settings = TLSSettings()
        (settings.peerAuthorities, settings.revocations) = (trust.authorities, trust.revocations)
        do throws(TLSError) {
            _ = try TLSContext(.server, settings)
        } catch {
            throw SettingsError(description: "eap.client-ca, eap.client-crl: \(error)")
        }
        try issued.extend(&trust, at: now)
        return trust
    }

    /// What devices are shown; nil while no client needs it.
    var inForce: InForce? { state.withLock { $0.used } }
    /// Where the certificate lies.
    var file: String { "\(path)/server.pem" }

    /// Brings the certificate into force once a client is set to a method that needs it.
    ///
    /// - Throws: one line, with the file.
    func use(for clients: [Client], at now: Timestamp) throws {
        guard Self.isNeeded(by: clients) else { return }
        try state.withLock { state in
            guard state.used == nil else { return }
            let mark = try mark()
            var new = try take(try load(), try trust(at: now))
            // One of somebody else's lies alone; what was made here lies beside its authority.
            if new.expires - now < .seconds(Self.renewal), let authority = try read("ca") {
                try issue(by: authority)
                new = try take(try load(), try trust(at: now))
            }
            (state.used, state.mark) = (new, mark)
            let authority = FileManager.default.fileExists(atPath: "\(path)/ca.pem") ? "\(path)/ca.pem or " : ""
            logger.notice(
                "EAP-TTLS, PEAP and EAP-TLS are offered under this certificate; devices have to trust \(authority)whoever signed it",
                metadata: ["certificate": "\(new.subject)", "expires": "\(Instant(new.expires))"])
        }
        tell(at: now)
    }

    /// Reads again whose certificates devices may show, where that has changed, or is said to have. Sessions of before are not taken up any
    /// more.
    func reload(isAsked: Bool, at now: Timestamp) {
        state.withLock { state in
            guard var used = state.used else { return }
            do {
                let mark = try mark()
                guard isAsked || mark != state.mark else { return }
                state.mark = mark
                used = try take(try load(), try trust(at: now))
                state.told = nil
                logger.notice("the authorities and revocation lists of devices' certificates were read again")
            } catch {
                used.problem = "\(error)"
                logger.error("\(error); what was read of devices' certificates before stays in force")
            }
            state.used = used
        }
        tell(at: now)
    }

    private static func isNeeded(by clients: [Client]) -> Bool {
        clients.contains { $0.settings.eap.contains { $0.shakesHands } }
    }

    /// Has the authority of the database issue the certificate where there is none, and again before one that it issued ends.
    /// What somebody put there, or was made beside an authority of its own, stays as it is.
    ///
    /// - Returns: whether there is a new one to take into use.
    func renew(for clients: [Client], by operations: Operations, at now: Timestamp) async throws -> Bool {
        guard Self.isNeeded(by: clients), try operations.hasAuthority() else { return false }
        if let server = try read("server") {
            let text = try CertificateText(pem: server.certificate)
            guard text.peer.expires - now.seconds < Self.renewal, try operations.isOwnServer(fingerprint: text.peer.fingerprint) else {
                return false
            }
        }
        // None is issued that could not be kept: it would be tried again every minute.
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard FileManager.default.isWritableFile(atPath: path) else {
            throw SettingsError(description: "\(path) cannot be written. Give it to the user that the node runs as, with mode 700.")
        }
        let certified = try operations.nameOfServer(name)
        let made: IssueCertificate.Answer
        do throws(Refusal) {
            made = try await operations.perform(
                IssueCertificate(name: certified, usage: "server", days: Self.serverDays), by: Actor("node@\(NodeLocation.nodeName)"))
        } catch {
            // The one that is there still holds, for weeks yet.
            guard FileManager.default.fileExists(atPath: file) else { throw error }
            logger.error("the certificate of EAP cannot be renewed", metadata: ["error": "\(error)"])
            return false
        }
        // An authority that lies here too issues no more: the next to be made would be its again.
        for file in ["ca.pem", "ca.key"] where FileManager.default.fileExists(atPath: "\(path)/\(file)") {
            try? FileManager.default.removeItem(atPath: "\(path)/\(file).before")
            try FileManager.default.moveItem(atPath: "\(path)/\(file)", toPath: "\(path)/\(file).before")
        }
        try write(
            IssuedCertificate(certificate: Array(made.pem.utf8), key: made.key.secret.reveal { Array($0) }), "server")
        state.withLock { $0.used = nil }
        return true
    }

    private func take(_ settings: TLSSettings, _ trust: DeviceTrust) throws -> InForce {
        do {
            let made = try radius.useTunnel(settings, trust: trust)
            return InForce(
                subject: made.tunnel.subject ?? "", expires: Timestamp(seconds: made.tunnel.expires ?? 0),
                devices: made.devices.map {
                    Devices(authorities: $0.authorities, lists: $0.revocationLists, grace: .seconds(trust.revocationGrace))
                })
        } catch {
            throw SettingsError(
                description: "\(path)/server.pem and server.key cannot be used for EAP: \(error). Put them right, or take both away "
                    + "to have them made here.")
        }
    }

    /// What is about to end, or has, once a day.
    private func tell(at now: Timestamp) {
        let due = state.withLock { state -> [Finding] in
            guard let devices = state.used?.devices else { return [] }
            let findings = TunnelCheck.findings(devices, files, now: now).filter { $0.severity >= .warning }
            if findings.isEmpty { return [] }
            if let told = state.told, now - told < .minutes(24 * 60) { return [] }
            state.told = now
            return findings
        }
        for finding in due {
            logger.log(level: finding.severity == .problem ? .error : .warning, "\(finding.text) \(finding.remedy ?? "")")
        }
    }

    private func load() throws -> TLSSettings {
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

    private func issue(by authority: IssuedCertificate) throws {
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
    private func read(_ name: String) throws -> IssuedCertificate? {
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
    private func write(_ made: IssuedCertificate, _ name: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        if FileManager.default.fileExists(atPath: "\(path)/\(name).pem") {
            try FileManager.default.removeItem(atPath: "\(path)/\(name).pem")
        } else if FileManager.default.fileExists(atPath: "\(path)/\(name).key") {
            try? FileManager.default.removeItem(atPath: "\(path)/\(name).key.before")
            try FileManager.default.moveItem(atPath: "\(path)/\(name).key", toPath: "\(path)/\(name).key.before")
        }
        for (file, bytes) in [("\(path)/\(name).key", made.key), ("\(path)/\(name).pem", made.certificate)] {
            guard FileManager.default.createFile(atPath: file, contents: Data(bytes), attributes: [.posixPermissions: 0o600]) else {
                throw SettingsError(description: "\(file) cannot be written")
            }
        }
    }
}
