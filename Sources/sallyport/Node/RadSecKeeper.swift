// SPDX-License-Identifier: Apache-2.0
// Brings the certificates of RADIUS over TLS into force, again whenever their files change: no restart, no connection lost.

import Administration
import Foundation
import Logging
import LoginEngine
import RADIUSDoor
import Synchronization
import TLS

final class RadSecKeeper: Sendable {
    /// A certificate that is about to expire is told of once a day, from here on.
    static let notice = Timestamp.Span.minutes(30 * 24 * 60)

    /// What is in force.
    struct InForce: Sendable {
        var subject: String
        var expires: Timestamp
        /// Why the files as they are now are not in force.
        var problem: String?
    }

    let files: RadSecFiles
    private let radius: RADIUSService
    private let logger: Logger
    private let state = Mutex<State>(State())

    private struct State {
        var mark: [String] = []
        var inForce: InForce?
        var told: Timestamp?
    }

    /// Nil where nothing is to listen.
    init?(files: RadSecFiles, radius: RADIUSService, logger: Logger) {
        guard !files.listen.isEmpty else { return nil }
        self.files = files
        self.radius = radius
        self.logger = logger
    }

    var inForce: InForce? { state.withLock { $0.inForce } }

    /// - Throws: `SettingsError`, one line.
    func load() throws(SettingsError) {
        let mark = files.mark
        // Noted before they are read: what changes meanwhile is read again.
        state.withLock { $0.mark = mark }
        let settings = try files.read()
        do throws(TLSError) {
            let context = try radius.useCertificates(settings)
            state.withLock {
                $0.inForce = InForce(subject: context.subject ?? "", expires: Timestamp(seconds: context.expires ?? 0))
                $0.told = nil
            }
        } catch {
            throw SettingsError(description: "radsec: \(error.description)")
        }
    }

    /// Reads them again where they have changed, or are said to have.
    func reload(isAsked: Bool, at now: Timestamp) {
        if isAsked || files.mark != state.withLock({ $0.mark }) {
            do throws(SettingsError) {
                try load()
                logger.notice(
                    "the certificates of RADIUS over TLS were read again",
                    metadata: ["certificate": "\(inForce?.subject ?? "")", "expires": "\(inForce.map { "\(Instant($0.expires))" } ?? "")"])
            } catch {
                state.withLock { $0.inForce?.problem = error.description }
                logger.error("\(error.description); the certificates of before stay in force")
            }
        }
        tell(at: now)
    }

    private func tell(at now: Timestamp) {
        let due = state.withLock { state -> InForce? in
            guard let inForce = state.inForce, inForce.expires - now <= Self.notice else { return nil }
            if let told = state.told, now - told < .minutes(24 * 60) { return nil }
            state.told = now
            return inForce
        }
        guard let due else { return }
        logger.warning(
            "\(due.expires <= now ? "the certificate of RADIUS over TLS has expired" : "the certificate of RADIUS over TLS expires soon"); put a new one into \(files.certificate ?? "")",
            metadata: ["certificate": "\(due.subject)", "expires": "\(Instant(due.expires))"])
    }
}
