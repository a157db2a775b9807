// SPDX-License-Identifier: Apache-2.0
// Brings the certificate of the pages for users into force, again whenever its files change: no restart, no connection lost.

import Administration
import Foundation
import Logging
import LoginEngine
import Synchronization
import TLS
import WebDoor

final class PageKeeper: Sendable {
    let files: PageFiles
    private let watch: CertificateWatch
    private let used = Mutex<TLSContext?>(nil)

    /// Nil where nothing is to listen.
    init?(files: PageFiles, logger: Logger) {
        guard !files.listen.isEmpty else { return nil }
        self.files = files
        watch = CertificateWatch("the pages for users", file: files.certificatePath, logger: logger)
    }

    var inForce: CertificateWatch.InForce? { watch.inForce }

    /// What connections are made from that begin now.
    var context: TLSContext? { used.withLock { $0 } }

    /// - Throws: `SettingsError`, one line.
    func load(at now: Timestamp) throws(SettingsError) {
        if files.isSelfMade, !FileManager.default.fileExists(atPath: files.certificatePath) { try make(at: now) }
        try take()
        if isDue(at: now) {
            try make(at: now)
            try take()
        }
    }

    /// Whether one that is self-made is to be made anew.
    private func isDue(at now: Timestamp) -> Bool {
        files.isSelfMade && (inForce.map { $0.expires - now < CertificateWatch.notice } ?? true)
    }

    private func make(at now: Timestamp) throws(SettingsError) {
        do {
            try files.make(at: now.seconds)
        } catch let error as SettingsError {
            throw error
        } catch {
            throw SettingsError(description: "web.certificate: none can be made in \(files.folder): \(error)")
        }
    }

    private func take() throws(SettingsError) {
        try watch.load(files.mark) { () throws(SettingsError) in
            let settings = try files.read()
            do throws(TLSError) {
                let context = try TLSContext(.server, settings)
                used.withLock { $0 = context }
                return context
            } catch {
                throw SettingsError(description: "web.certificate: \(error.description)")
            }
        }
    }

    /// Reads them again where they have changed, or are said to have.
    func reload(isAsked: Bool, at now: Timestamp) {
        watch.reload(isAsked: isAsked || isDue(at: now), mark: files.mark, at: now) { () throws(SettingsError) in try load(at: now) }
    }
}

extension PageSources {
    /// The pages over the operations that they are about.
    init(_ operations: Operations, origin: String, logger: Logger) {
        @Sendable func failed(_ error: Refusal) { logger.error("a link could not be used", metadata: ["error": "\(error)"]) }
        self.init(
            name: operations.issuer, origin: origin,
            invitee: { token, source in
                do throws(Refusal) {
                    return try await operations.invitee(token: token, from: source).map { .user($0.user) } ?? .void
                } catch {
                    failed(error)
                    return .unavailable
                }
            },
            activate: { token, password, source in
                do throws(Refusal) {
                    return switch try await operations.activate(token: token, password: password, from: source) {
                    case .done: .done
                    case .void: .void
                    case .refused(let sentence): .refused(sentence)
                    }
                } catch {
                    failed(error)
                    return .unavailable
                }
            }, now: { NodeClock.now().uptime })
    }
}
