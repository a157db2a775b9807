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
    /// Renewed from here on, in seconds.
    static let renewal: Int64 = 60 * 86_400

    struct InForce: Sendable, Equatable {
        var subject: String
        var expires: Timestamp
        var devices: Devices?
        /// Why the files of devices' certificates as they are now are not in force.
        var problem: String?
    }

    /// What devices have to show by EAP-TLS, but for what was issued here.
    struct Devices: Sendable, Equatable {
        var authorities: [TrustedAuthority]
        var lists: [TrustedList]
        /// For how long a list is believed beyond its end.
        var grace: Timestamp.Span
    }

    let files: DeviceTrustFiles
    /// What devices are shown.
    let own: TunnelFiles
    private let issued: IssuedHere
    /// Lists that are fetched.
    let lists: ListKeeper
    /// Nil: no responder is asked.
    let status: DeviceStatusKeeper?
    /// Nil: nothing is shown beside the own certificate.
    let staple: StapleKeeper?
    private let radius: RADIUSService
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var used: InForce?
        var mark: [String] = []
        var told: Timestamp?
    }

    /// - Throws: what is wrong with the files of devices, also where no client needs them yet.
    init(
        _ own: TunnelFiles, files: DeviceTrustFiles, staple: StapleSource?, issued: IssuedHere, radius: RADIUSService, logger: Logger,
        record: @escaping @Sendable (Event) -> Void
    ) throws {
        (self.own, self.files, self.issued, self.radius, self.logger) = (own, files, issued, radius, logger)
        let authorities: @Sendable () throws -> [UInt8] = { try RadSecFiles.contents(files.authorities, .eapClientCA) }
        lists = ListKeeper(files.addresses, dataDirectory: own.dataDirectory, logger: logger, record: record, authorities: authorities)
        status =
            files.status.responder == .none
            ? nil
            : DeviceStatusKeeper(
                files.status, grace: files.grace, logger: logger, isOurs: { issued.isOurs(issuer: $0) }, authorities: authorities)
        self.staple = staple.map { source in StapleKeeper(source, logger: logger) { try own.read("server")?.certificate ?? [] } }
        _ = try trust(at: NodeClock.now().wall)
        lists.whenChanged { [weak self] in self?.reload(isAsked: false, at: NodeClock.now().wall) }
    }

    private func mark() throws -> [String] { try files.mark + lists.mark + issued.mark() }

    /// What comes by network, as far as it is time; returns at once.
    func fetch(isAsked: Bool, at now: Timestamp) {
        lists.fetch(isAsked: isAsked, at: now)
        // Nothing is shown before somebody needs it.
        if inForce != nil { staple?.refresh(isAsked: isAsked, at: now) }
    }

    func stop() { status?.stop() }

    private func trust(at now: Timestamp) throws -> DeviceTrust {
        var trust = try files.read()
        trust.revocations += lists.lists
        trust.status = status
        var settings = TLSSettings()
        (settings.peerAuthorities, settings.revocations) = (trust.authorities, trust.revocations)
        if settings.revocations.allSatisfy({ $0 == 0x0A }) { settings.revocations = [] }
        trust.revocations = settings.revocations
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

    /// Brings the certificate into force once a client is set to a method that needs it.
    ///
    /// - Throws: one line, with the file.
    func use(for clients: [Client], at now: Timestamp) throws {
        guard Self.isNeeded(by: clients) else { return }
        try state.withLock { state in
            guard state.used == nil else { return }
            let mark = try mark()
            var new = try take(try own.load(), try trust(at: now))
            // What somebody else issued is renewed by them, also where an authority that was made here still lies beside it.
            if new.expires - now < .seconds(Self.renewal), let authority = try own.read("ca"), let server = try own.read("server"),
                server.isIssued(by: authority)
            {
                try own.issue(by: authority)
                new = try take(try own.load(), try trust(at: now))
            }
            (state.used, state.mark) = (new, mark)
            staple?.startAnew(at: now)
            let authority = FileManager.default.fileExists(atPath: "\(own.path)/ca.pem") ? "\(own.path)/ca.pem or " : ""
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
                used = try take(try own.load(), try trust(at: now))
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
        if let server = try own.read("server") {
            let text = try CertificateText(pem: server.certificate)
            guard text.peer.expires - now.seconds < Self.renewal, try operations.isOwnServer(fingerprint: text.peer.fingerprint) else {
                return false
            }
        }
        // None is issued that could not be kept: it would be tried again every minute.
        try FileManager.default.createDirectory(atPath: own.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard FileManager.default.isWritableFile(atPath: own.path) else {
            throw SettingsError(description: "\(own.path) cannot be written. Give it to the user that the node runs as, with mode 700.")
        }
        let certified = try operations.nameOfServer(own.name)
        let made: IssueCertificate.Answer
        do throws(Refusal) {
            made = try await operations.perform(
                IssueCertificate(name: certified, usage: "server", days: TunnelFiles.serverDays), by: Actor("node@\(NodeLocation.nodeName)")
            )
        } catch {
            // The one that is there still holds, for weeks yet.
            guard FileManager.default.fileExists(atPath: own.file) else { throw error }
            logger.error("the certificate of EAP cannot be renewed", metadata: ["error": "\(error)"])
            return false
        }
        // An authority that lies here too issues no more: the next to be made would be its again.
        for file in ["ca.pem", "ca.key"] where FileManager.default.fileExists(atPath: "\(own.path)/\(file)") {
            try? FileManager.default.removeItem(atPath: "\(own.path)/\(file).before")
            try FileManager.default.moveItem(atPath: "\(own.path)/\(file)", toPath: "\(own.path)/\(file).before")
        }
        try own.write(
            IssuedCertificate(certificate: Array(made.pem.utf8), key: made.key.secret.reveal { Array($0) }), "server")
        state.withLock { $0.used = nil }
        return true
    }

    private func take(_ settings: TLSSettings, _ trust: DeviceTrust) throws -> InForce {
        var settings = settings
        if let staple { settings.staple = { staple.staple(at: NodeClock.now().wall) } }
        do {
            let made = try radius.useTunnel(settings, trust: trust)
            return InForce(
                subject: made.tunnel.subject ?? "", expires: Timestamp(seconds: made.tunnel.expires ?? 0),
                devices: made.devices.map { context in
                    let own = issued.subjects
                    return Devices(
                        authorities: context.authorities.filter { !own.contains($0.subject) },
                        lists: context.revocationLists.filter { !own.contains($0.issuer) }, grace: .seconds(trust.revocationGrace))
                })
        } catch {
            throw SettingsError(
                description: "\(own.path)/server.pem and server.key cannot be used for EAP: \(error). Put them right, or take both away "
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
}
