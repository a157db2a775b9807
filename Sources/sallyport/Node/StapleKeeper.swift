// SPDX-License-Identifier: Apache-2.0
// What the responder of its authority says of the node's own certificate of EAP, for devices that ask for it in the handshake (RFC 6066 §8).

import Dispatch
import Foundation
import Logging
import LoginEngine
import Synchronization
import TLS

final class StapleKeeper: Sendable {
    struct Health: Sendable, Equatable {
        /// Until when what is shown holds; nil: nothing is.
        var ends: Timestamp?
        var problem: String?
    }

    private struct State {
        var status: CertificateStatus?
        var problem: String?
        var due: Timestamp?
        var isBusy = false
        /// Counts up with each certificate.
        var generation = 0
    }

    /// A handshake shows no answer that is longer: it would cost every device some packets more.
    static let largestAnswer = 16 << 10
    static let retry = Timestamp.Span.minutes(5)
    static let longestPause = Timestamp.Span.minutes(60)

    let source: StapleSource
    private let logger: Logger
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "ocsp-staple", qos: .utility)
    private let certificates: @Sendable () throws -> [UInt8]

    /// - Parameter certificates: PEM: the node's own first, then what leads to its root.
    init(_ source: StapleSource, logger: Logger, certificates: @escaping @Sendable () throws -> [UInt8]) {
        (self.source, self.logger, self.certificates) = (source, logger, certificates)
    }

    /// What a handshake shows at this moment (DER).
    func staple(at now: Timestamp) -> [UInt8]? {
        state.withLock { state in
            guard let status = state.status, status.state == .good, status.ends >= now.seconds else { return nil }
            return status.bytes
        }
    }

    func health(at now: Timestamp) -> Health {
        state.withLock { state in
            Health(ends: state.status.flatMap { $0.ends >= now.seconds ? Timestamp(seconds: $0.ends) : nil }, problem: state.problem)
        }
    }

    /// Another certificate is shown from now on.
    func startAnew(at now: Timestamp) {
        state.withLock { state in
            (state.status, state.problem) = (nil, nil)
            state.generation += 1
        }
        refresh(isAsked: true, at: now)
    }

    /// Asks where it is time; returns at once.
    func refresh(isAsked: Bool = false, at now: Timestamp) {
        let due = state.withLock { state -> Int? in
            // One that lies further ahead than any pause was set before the clock was put back.
            let isDue = state.due.map { $0 <= now || $0 > now + Self.longestPause } ?? true
            guard isAsked || !state.isBusy && isDue else { return nil }
            state.isBusy = true
            return state.generation
        }
        guard let generation = due else { return }
        queue.async { [self] in
            let result = Result { try ask() }
            let now = NodeClock.now().wall
            state.withLock { state in
                state.isBusy = false
                // What was asked of the certificate before.
                guard state.generation == generation else { return }
                switch result {
                case .success(let status):
                    if status.state == .good {
                        (state.status, state.problem) = (status, nil)
                    } else {
                        // Nobody is shown that: devices refuse it anyhow, and the administrator hears why.
                        state.status = nil
                        state.problem = "the responder says that the certificate is \(status.state)"
                    }
                    let half = Timestamp.Span.seconds(max(60, (status.ends - now.seconds) / 2))
                    state.due = now + min(Self.longestPause, half)
                case .failure(let error):
                    if state.problem == nil { logger.warning("there is no OCSP answer to show beside the certificate of EAP: \(error)") }
                    state.problem = "\(error)"
                    state.due = now + Self.retry
                }
            }
        }
    }

    private func ask() throws -> CertificateStatus {
        let chain = try CertificateText.chain(pem: try certificates())
        let question = try StatusQuestion(chain: chain, authorities: [], wantsNonce: false)
        let now = NodeClock.now().wall.seconds
        let address: String
        switch source {
        case .file(let path):
            guard let bytes = FileManager.default.contents(atPath: path), !bytes.isEmpty, bytes.count <= Self.largestAnswer else {
                throw WebProblem(description: "\(path) cannot be read, is empty, or is larger than 16 KiB")
            }
            return try question.read(Array(bytes), at: now)
        case .address(let set): address = set.text
        case .certificate:
            guard let first = question.responders.first else {
                throw WebProblem(description: "the certificate names no responder")
            }
            // Somebody put this certificate here: what it names is as good as a setting.
            address = first
        }
        var request = WebRequest(address, largest: Self.largestAnswer)
        (request.body, request.time) = ((question.request, "application/ocsp-request"), 10_000)
        return try question.read(try request.perform(), at: now)
    }
}
