// SPDX-License-Identifier: Apache-2.0
// One login, one push: where a request goes that may belong to a login that is open.

internal import Synchronization

extension Logins {
    private enum Way {
        /// A login of its own.
        case alone(SubjectFailures, wasWrong: Bool)
        /// Waits for the answer of this login.
        case joined
        /// Takes an answer that nobody waited for, or hears a denial again.
        case late(OpenLogin)
        /// The next packet of a login that asks a phone.
        case typed(OpenLogin, HandleID)
        /// Another login waits for a phone.
        case shutOut(SubjectFailures)
    }

    func begin(_ attempt: Attempt, key: String, facts: LoginFacts, ruling: Ruling, at moment: Moment) {
        let request = attempt.request
        let subject = facts.user.map { FailureSubject.user($0.id) } ?? .nobody(key)
        let waiter = waiter(of: attempt, at: moment)
        var proof: Fingerprint?
        func sameProof(_ other: Fingerprint) -> Bool {
            if proof == nil { proof = proofPrint(of: request) }
            return proof == other
        }
        // A certificate that was revoked since takes nobody's answer.
        let mayJoin = facts.certificate.map { $0.isOf(facts.user) } ?? true
        let way = shard(of: subject).state.withLock { state -> Way in
            var failures = state.known(subject, stored: facts.failures)
            if failures.needsRebase(at: moment.wall, rules: rules.lockout) {
                state.update(subject, stored: facts.failures) { $0.rebase(at: moment.wall, rules: rules.lockout) }
                failures = state.known(subject, stored: facts.failures)
            }
            if mayJoin, let open = state.open[subject],
                let way = self.way(of: request, waiter, facts, among: open, failures, sameProof, moment)
            {
                return way
            }
            if let open = state.open[subject] { failures.underWay = underWay(among: open, source: request.failureSource) }
            var wasWrong = false
            if !failures.wrongProofs.isEmpty {
                let print = proof ?? proofPrint(of: request)
                wasWrong = failures.wasWrong(print, within: request.client.settings.retryTime, at: moment.uptime)
            }
            return .alone(failures, wasWrong: wasWrong)
        }
        switch way {
        case .joined:
            return
        case .late(let open):
            advance(open, .rejoined(request, ruling), at: moment)
        case .typed(let open, let handle):
            advance(open, .typed(request.proof, handle: handle, request: request, ruling), at: moment)
        case .alone(let failures, let wasWrong):
            let login = makeLogin(
                request, key: key, facts: facts, ruling: ruling, failures: failures, retry: retryPrint(of: request, key: key),
                wasWrong: wasWrong, at: moment)
            advance(OpenLogin(login, waiter: waiter, subject: subject), .started, at: moment)
        case .shutOut(let failures):
            let login = makeLogin(
                request, key: key, facts: facts, ruling: ruling, failures: failures, retry: nil, wasWrong: false, at: moment)
            advance(OpenLogin(login, waiter: waiter, subject: subject), .anotherIsWaiting, at: moment)
        }
    }

    /// Runs under the shard's lock. Nil: none of the open logins concerns this request.
    private func way(
        of request: LoginRequest, _ waiter: OpenLogin.Waiter, _ facts: LoginFacts, among open: [OpenLogin], _ failures: SubjectFailures,
        _ sameProof: (Fingerprint) -> Bool, _ moment: Moment
    ) -> Way? {
        for other in open {
            let print = other.proof.withLock { $0 }
            let way = other.withLock { state -> Way? in
                let login = state.login
                if let row = facts.suspended, row.login == login.id, row.decision == nil, row.handle == login.confirmingHandle,
                    login.awaitsConfirmation
                {
                    guard row.client == request.client.id, row.station == request.callingStation, moment.wall <= row.expires else {
                        return .shutOut(failures)
                    }
                    state.waiters.append(waiter)
                    return .typed(other, row.handle)
                }
                let joins = JoiningRule.joins(
                    request, open: login.request,
                    sameProof: request.handle == nil && (print.map(sameProof) ?? false || login.isProved(by: request)),
                    isRetransmission: state.waiters.contains { $0.fingerprint == waiter.fingerprint }
                        || login.request.fingerprint == waiter.fingerprint,
                    age: moment.uptime - login.began.uptime)
                switch (login.phase, joins) {
                case (.checkingPassword, true), (.waiting, true):
                    state.waiters.append(waiter)
                    return .joined
                case (.approvedLate, true), (.denied, true):
                    state.waiters.append(waiter)
                    return .late(other)
                case (.waiting, false):
                    return .shutOut(failures)
                default:
                    return nil
                }
            }
            switch way {
            case nil:
                continue
            case .joined:
                if other.withLock({ $0.login.phase == .waiting }) { hold(other, for: request.client.settings.holdTime, at: moment) }
                return .joined
            case let way:
                return way
            }
        }
        return nil
    }

    /// Passwords that are being checked for this subject: what is not known to be right counts as if it were wrong.
    private func underWay(among open: [OpenLogin], source: String) -> SubjectFailures.UnderWay {
        var underWay = SubjectFailures.UnderWay()
        for other in open where other.withLock({ $0.login.isCheckingPassword }) {
            underWay.passwords += 1
            if other.failureSource == source { underWay.passwordsFromSource += 1 }
        }
        return underWay
    }

    // MARK: Keyed hashes

    /// Of what was typed and at which client: equal for the same proof, and telling nothing.
    func proofPrint(of request: LoginRequest) -> Fingerprint {
        switch request.proof {
        case .plaintext(let text): seal.digest([Array("proof".utf8), idBytes(request.client.id), text.reveal { $0 }])
        case .hashed(let proof): seal.digest([Array(proof.scheme.rawValue.utf8), idBytes(request.client.id), proof.identity])
        case .certificate(let certificate):
            seal.digest([Array("certificate".utf8), idBytes(request.client.id), certificate.fingerprint])
        case .unsupported, .refusedCertificate, .failed: request.fingerprint
        }
    }

    /// Of all that a new packet must share with the one that was decided; nil where this client may not rejoin, or where the
    /// request says too little about itself.
    private func retryPrint(of request: LoginRequest, key: String) -> Fingerprint? {
        guard request.client.settings.rejoin, request.namesSession, let session = request.gatewaySession else { return nil }
        let proof: [UInt8]
        var label = "retry"
        switch request.proof {
        case .plaintext(let text): proof = text.reveal { $0 }
        case .hashed(let hashed): (proof, label) = (hashed.identity, "retry-hashed")
        // Behind each stands a handshake of its own, and nothing is used up: there is no decision to be heard again.
        case .certificate, .unsupported, .refusedCertificate, .failed: return nil
        }
        guard let place = request.handle ?? request.callingStation else { return nil }
        return seal.digest([
            Array(label.utf8), idBytes(request.client.id), Array(key.utf8), Array(place.utf8), Array(session.utf8), proof,
        ])
    }

    private func idBytes(_ id: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
    }
}
