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
    /// One that is self-made is made anew from here on; another is told of once a day.
    static let notice = Timestamp.Span.minutes(30 * 24 * 60)

    struct InForce: Sendable {
        var subject: String
        var expires: Timestamp
        /// Why the files as they are now are not in force.
        var problem: String?
    }

    let files: PageFiles
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var mark: [String] = []
        var context: TLSContext?
        var inForce: InForce?
        var told: Timestamp?
    }

    /// Nil where nothing is to listen.
    init?(files: PageFiles, logger: Logger) {
        guard !files.listen.isEmpty else { return nil }
        self.files = files
        self.logger = logger
    }

    var inForce: InForce? { state.withLock { $0.inForce } }

    /// What connections are made from that begin now.
    var context: TLSContext? { state.withLock { $0.context } }

    /// - Throws: `SettingsError`, one line.
    func load(at now: Timestamp) throws(SettingsError) {
        if files.isSelfMade, !FileManager.default.fileExists(atPath: files.certificatePath) { try make(at: now) }
        try take()
        if files.isSelfMade, let inForce, inForce.expires - now < Self.notice {
            try make(at: now)
            try take()
        }
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
        let mark = files.mark
        // Noted before they are read: what changes meanwhile is read again.
        state.withLock { $0.mark = mark }
        let settings = try files.read()
        do throws(TLSError) {
            let context = try TLSContext(.server, settings)
            state.withLock {
                $0.context = context
                $0.inForce = InForce(subject: context.subject ?? "", expires: Timestamp(seconds: context.expires ?? 0))
                $0.told = nil
            }
        } catch {
            throw SettingsError(description: "web.certificate: \(error.description)")
        }
    }

    /// Reads them again where they have changed, or are said to have.
    func reload(isAsked: Bool, at now: Timestamp) {
        let isDue = files.isSelfMade && (inForce.map { $0.expires - now < Self.notice } ?? true)
        if isAsked || isDue || files.mark != state.withLock({ $0.mark }) {
            do throws(SettingsError) {
                try load(at: now)
                logger.notice(
                    "the certificate of the pages for users was read again",
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
            "\(due.expires <= now ? "the certificate of the pages for users has expired" : "the certificate of the pages for users expires soon"); put a new one into \(files.certificatePath)",
            metadata: ["certificate": "\(due.subject)", "expires": "\(Instant(due.expires))"])
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
