// SPDX-License-Identifier: Apache-2.0
// A server's certificate whose files may change under a running node: what is in force of them, and what is told of its end.

import Administration
import Logging
import LoginEngine
import Synchronization
import TLS

final class CertificateWatch: Sendable {
    /// One that is about to expire is told of once a day, from here on.
    static let notice = Timestamp.Span.minutes(30 * 24 * 60)

    struct InForce: Sendable {
        var subject: String
        var expires: Timestamp
        /// Why the files as they are now are not in force.
        var problem: String?
    }

    private struct State {
        var mark: [String] = []
        var inForce: InForce?
        var told: Timestamp?
    }

    /// What it is shown for, in the words of a log line.
    private let purpose: String
    /// Where a new one belongs.
    private let file: String
    private let logger: Logger
    private let state = Mutex(State())

    init(_ purpose: String, file: String, logger: Logger) {
        (self.purpose, self.file, self.logger) = (purpose, file, logger)
    }

    var inForce: InForce? { state.withLock { $0.inForce } }

    /// - Parameters:
    ///   - mark: what tells whether the files have changed; noted before they are read, so that what changes meanwhile is read again.
    ///   - take: reads the files, and has them used.
    func load(_ mark: [String], _ take: () throws(SettingsError) -> TLSContext) throws(SettingsError) {
        state.withLock { $0.mark = mark }
        let context = try take()
        state.withLock {
            $0.inForce = InForce(subject: context.subject ?? "", expires: Timestamp(seconds: context.expires ?? 0))
            $0.told = nil
        }
    }

    /// Loads again where the files have changed, or where that is asked for.
    func reload(isAsked: Bool, mark: [String], at now: Timestamp, _ load: () throws(SettingsError) -> Void) {
        if isAsked || mark != state.withLock({ $0.mark }) {
            do throws(SettingsError) {
                try load()
                logger.notice(
                    "the certificate of \(purpose) was read again",
                    metadata: ["certificate": "\(inForce?.subject ?? "")", "expires": "\(inForce.map { "\(Instant($0.expires))" } ?? "")"])
            } catch {
                state.withLock { $0.inForce?.problem = error.description }
                logger.error("\(error.description); the certificate of before stays in force")
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
            "the certificate of \(purpose) \(due.expires <= now ? "has expired" : "expires soon"); put a new one into \(file)",
            metadata: ["certificate": "\(due.subject)", "expires": "\(Instant(due.expires))"])
    }
}
