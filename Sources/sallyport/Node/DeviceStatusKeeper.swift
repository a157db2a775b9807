// SPDX-License-Identifier: Apache-2.0
// OCSP: responders are asked about devices' certificates, on threads of their own, and their answers are kept as long as they hold.

import Directories
import Logging
import LoginEngine
import RADIUSDoor
import Synchronization
import TLS

final class DeviceStatusKeeper: DeviceStatusSource {
    struct Figures: Sendable, Equatable {
        var good = 0
        var revoked = 0
        var unknown = 0
        var failed = 0
        /// Told by an earlier answer.
        var kept = 0
    }

    /// How things stand, for `doctor`.
    struct Health: Sendable, Equatable {
        /// The newest answer that was no good one; nil: the newest was.
        var problem: String?
        var failingSince: Timestamp?
    }

    private struct Entry {
        var status: CertificateStatus
        /// In seconds since 1970.
        var asked: Int64
    }

    private struct State {
        var kept: [[UInt8]: Entry] = [:]
        /// In the order in which they came; some are gone.
        var order: [[UInt8]] = []
        /// Who waits for the same answer.
        var waiting: [[UInt8]: [@Sendable (DeviceStatus) -> Void]] = [:]
        var figures = Figures()
        var health = Health()
    }

    /// In all of a question, in milliseconds: gateways repeat themselves once or twice meanwhile.
    static let patience = 3_000
    /// No responder needs more for one certificate.
    static let largestAnswer = 64 << 10
    /// An answer that holds longer is asked for again behind this, in seconds.
    static let freshFor: Int64 = 3_600
    static let mostKept = 10_000
    /// Questions under way, and those that wait behind them.
    static let threads = 4
    static let mostWaiting = 256
    /// For one answer.
    static let mostJoined = 64

    static let good = "ocsp-good"
    static let unanswered = "ocsp-unanswered"

    private let rule: StatusRule
    /// How long a good answer is believed beyond its end, where nobody gives a newer one; in seconds.
    private let grace: Int64
    private let authorities: @Sendable () throws -> [UInt8]
    private let isOurs: @Sendable (String) -> Bool
    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let pool: BlockingPool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - authorities: PEM, of `eap.client-ca`.
    ///   - isOurs: whether who issued a certificate is an authority of the database, whose rows say all.
    ///   - now: in seconds since 1970.
    init(
        _ rule: StatusRule, grace: Timestamp.Span, logger: Logger, isOurs: @escaping @Sendable (String) -> Bool,
        authorities: @escaping @Sendable () throws -> [UInt8], now: @escaping @Sendable () -> Int64 = { NodeClock.now().wall.seconds }
    ) {
        (self.rule, self.grace, self.logger) = (rule, grace.microseconds / 1_000_000, logger)
        (self.isOurs, self.authorities, self.now) = (isOurs, authorities, now)
        pool = BlockingPool(
            name: "ocsp", threads: Self.threads, queueLimit: Self.mostWaiting, patience: .seconds(Int64(Self.patience / 1_000)))
    }

    var figures: Figures { state.withLock { $0.figures } }
    var health: Health { state.withLock { $0.health } }

    /// Nothing more is asked; who waits is told so.
    func stop() { pool.stop() }

    // MARK: DeviceStatusSource

    func ask(_ chain: [[UInt8]], completion: @escaping @Sendable (DeviceStatus) -> Void) {
        let question: StatusQuestion
        do {
            guard let made = try makeQuestion(chain) else { return completion(.fine("")) }
            question = made
        } catch {
            note("\(error)")
            // The device itself may have brought that about: no silence of the responder, which may be let in.
            return completion(.refused(Self.refusal(of: chain, "\(error)")))
        }
        let moment = now()
        let known = state.withLock { state -> DeviceStatus? in
            guard let entry = state.kept[question.subject], entry.status.ends >= moment,
                moment - entry.asked < Self.freshFor || entry.status.state == .revoked
            else { return nil }
            state.figures.kept += 1
            return judge(entry.status, question)
        }
        if let known { return completion(known) }
        let isFirst = state.withLock { state -> Bool? in
            guard let others = state.waiting[question.subject] else {
                state.waiting[question.subject] = [completion]
                return true
            }
            guard others.count < Self.mostJoined else { return nil }
            state.waiting[question.subject, default: []].append(completion)
            return false
        }
        switch isFirst {
        case false?: return
        case nil: return completion(unanswered(question, "too many wait for the same answer", isSilence: false))
        case true?: break
        }
        let isTaken = pool.run { [self] in
            send(question)
        } completion: { [self] result in
            finish(question, result)
        }
        if !isTaken { finish(question, nil) }
    }

    func refusal(of chain: [[UInt8]]) -> PeerRefusal? {
        guard let question = try? makeQuestion(chain), let entry = state.withLock({ $0.kept[question.subject] }),
            entry.status.state == .revoked
        else { return nil }
        return revoked(question)
    }

    /// - Returns: nil where an authority of the database issued it.
    private func makeQuestion(_ chain: [[UInt8]]) throws -> StatusQuestion? {
        // Ours first: our authority is in no file that whoever signed it could be looked for in.
        if let issuer = chain.first.flatMap({ CertificateText.issuer(of: $0) }), isOurs(issuer) { return nil }
        return try StatusQuestion(chain: chain, authorities: try authorities(), wantsNonce: rule.wantsNonce)
    }

    // MARK: The responder

    /// On a thread of the pool.
    private func send(_ question: StatusQuestion) -> Result<CertificateStatus, WebProblem> {
        let address: String
        var isNamed = false
        switch rule.responder {
        case .none: return .failure(WebProblem(description: "no responder is set"))
        case .address(let set): address = set.text
        case .certificate:
            guard let first = question.responders.first else {
                return .failure(WebProblem(description: "the certificate names no responder"))
            }
            (address, isNamed) = (first, true)
        }
        do throws(WebProblem) {
            var request = WebRequest(address, largest: Self.largestAnswer)
            request.body = (question.request, "application/ocsp-request")
            (request.time, request.refusesInner) = (Self.patience, isNamed)
            let bytes = try request.perform()
            do throws(TLSError) {
                return .success(try question.read(bytes, at: now()))
            } catch {
                return .failure(WebProblem(description: "\(address): \(error)"))
            }
        } catch {
            return .failure(WebProblem(description: "\(address): \(error)"))
        }
    }

    /// - Parameter result: nil: nobody was asked, since too much waits.
    private func finish(_ question: StatusQuestion, _ result: Result<CertificateStatus, WebProblem>?) {
        let verdict: DeviceStatus
        switch result {
        case .success(let status)?:
            verdict = judge(status, question)
            keep(status, of: question)
        case .failure(let problem)?:
            verdict = unanswered(question, problem.description)
        case nil:
            verdict = unanswered(question, "the responder's queue is full", isSilence: false)
        }
        let waiting = state.withLock { $0.waiting.removeValue(forKey: question.subject) ?? [] }
        for one in waiting { one(verdict) }
    }

    private func keep(_ status: CertificateStatus, of question: StatusQuestion) {
        let moment = now()
        state.withLock { state in
            switch status.state {
            case .good: state.figures.good += 1
            case .revoked: state.figures.revoked += 1
            case .unknown: state.figures.unknown += 1
            }
            state.health = Health()
            // What a responder does not know yet it may know in a moment.
            guard status.state != .unknown else { return }
            if state.kept.updateValue(Entry(status: status, asked: moment), forKey: question.subject) == nil {
                state.order.append(question.subject)
            }
            while state.kept.count > Self.mostKept, !state.order.isEmpty {
                state.kept[state.order.removeFirst()] = nil
            }
        }
    }

    private func judge(_ status: CertificateStatus, _ question: StatusQuestion) -> DeviceStatus {
        switch status.state {
        case .good: .fine(Self.good)
        case .revoked: .refused(revoked(question))
        case .unknown:
            .refused(
                question.refusal(
                    .revocationUnknown, "its authority's OCSP responder does not know it", expected: "one that the responder calls good"))
        }
    }

    private func revoked(_ question: StatusQuestion) -> PeerRefusal {
        question.refusal(.revoked, "certificate revoked, by its authority's OCSP responder", expected: "one that is not revoked")
    }

    /// No answer that is worth anything: an earlier one may still be, for a time.
    ///
    /// - Parameter isSilence: false: nobody was asked. Whoever brings that about by many handshakes at once gains nothing.
    private func unanswered(_ question: StatusQuestion, _ why: String, isSilence: Bool = true) -> DeviceStatus {
        note(why)
        let moment = now()
        let earlier = state.withLock { state -> CertificateStatus? in
            // Nobody takes a revocation back because its answer has aged.
            guard let entry = state.kept[question.subject], entry.status.ends + grace >= moment || entry.status.state == .revoked else {
                return nil
            }
            state.figures.kept += 1
            return entry.status
        }
        if let earlier { return judge(earlier, question) }
        if rule.acceptsSilence, isSilence { return .fine(Self.unanswered) }
        return .refused(
            question.refusal(
                .revocationUnknown, "whether it is revoked cannot be asked: \(why)", expected: "an answer of its OCSP responder"))
    }

    private static func refusal(of chain: [[UInt8]], _ why: String) -> PeerRefusal {
        let own = (chain.first.flatMap { try? CertificateText.pem(of: $0) }).flatMap { try? CertificateText(pem: $0) }
        return PeerRefusal(
            cause: .revocationUnknown, reason: "whether it is revoked cannot be asked: \(why)", subject: own?.peer.subject ?? "",
            issuer: own?.peer.issuer ?? "", depth: 0, expected: "an answer of its OCSP responder",
            fingerprint: PeerCertificate.text(ofFingerprint: own?.peer.fingerprint ?? []))
    }

    private func note(_ why: String) {
        let moment = now()
        let isFirst = state.withLock { state in
            state.figures.failed += 1
            defer {
                state.health.problem = why
                state.health.failingSince = state.health.failingSince ?? Timestamp(seconds: moment)
            }
            return state.health.problem == nil
        }
        if isFirst { logger.warning("no good answer of an OCSP responder about a device's certificate: \(why)") }
    }
}
