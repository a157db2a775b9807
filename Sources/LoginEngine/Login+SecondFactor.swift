// SPDX-License-Identifier: Apache-2.0
// The second packet, codes, factors that wait, and the decision.

// MARK: A handle comes back

extension Login {
    /// The request carries a handle: everything it names must fit, else it is nobody's.
    mutating func resume(now: Moment) -> [Action] {
        guard let row = facts.suspended else { return reject(.handleUnknown, now: now) }
        guard row.client == client.id, row.nameKey == nameKey, row.station == request.callingStation, row.user == facts.user?.id
        else { return reject(.handleOfAnother, now: now) }
        if let recorded = row.decision {
            if recorded.isAccept, case .hashed(let proof) = request.proof, repeatable(recorded, now: now) {
                // What the accept proves the server by has to be made of the code again; the settlement finds the decision.
                handle = row.handle
                return matchCodes(proof, now: now)
            }
            return repeated(recorded, now: now) ?? reject(.handleSpent, now: now)
        }
        if now.wall > row.expires { return reject(.handleExpired, now: now) }
        handle = row.handle
        if row.firstFactor == .wrong {
            // Under `concealFactor` both were asked for and are judged together: the code is not looked at.
            steps.add("password-was-wrong", at: now, since: began)
            return reject(facts.user == nil ? .unknownUser : mustChangePassword ? .passwordExpired : .wrongPassword, now: now)
        }
        if row.firstFactor == .asked { return answerSource(row, now: now) }
        renewal = row.renewal
        if case .gave(let attributes) = row.source { given = attributes }
        if readsAs != .factor, row.firstFactor != .right {
            // Less was asked for when this handle was given out: by the client, or under another name or method.
            return reject(.changedMeanwhile, now: now)
        }
        if let reason = statusReason { return reject(reason, now: now) }
        if isDenied, row.firstFactor == .right { return reject(denial, now: now) }
        if mustChangePassword, row.firstFactor == .right { return reject(.passwordExpired, now: now) }
        // Concealed, everybody is asked; whoever has a bypass may answer anything.
        if client.settings.concealFactor, row.firstFactor == .right, let accept = bypassed(now: now) { return accept }
        if hasNothingToAnswer(at: now) { return row.firstFactor == .right ? withoutFactor(now: now) : reject(noFactorReason, now: now) }
        if wasWrongJustNow { return reject(.sameWrongProof, now: now) }
        switch request.proof {
        case .plaintext(let field): return readCode(field, now: now)
        case .hashed(let proof): return matchCodes(proof, now: now)
        case .unsupported, .certificate: return reject(.protocolNotSupported, now: now)
        case .refusedCertificate: return reject(.certificateRefused, now: now)
        case .failed: return reject(.eapFailed, now: now)
        }
    }

    /// Whether a recorded decision was made for this very request: the same bytes, or a retry that this client may make.
    func repeatable(_ recorded: RecordedDecision, now: Moment) -> Bool {
        let age = now.wall - recorded.at
        guard age <= Self.retryLife, recorded.at <= now.wall + Self.retryLife else { return false }
        if recorded.request == request.fingerprint { return true }
        guard client.settings.rejoin, let retry, let before = recorded.retry else { return false }
        return retry == before
    }

    private mutating func repeated(_ recorded: RecordedDecision, now: Moment) -> [Action]? {
        guard repeatable(recorded, now: now) else { return nil }
        phase = .decided
        return [
            .answer(
                recorded.isAccept
                    ? .accept(recorded.login, proven: proven, reply: recorded.reply)
                    : .reject(recorded.login, message: message(for: .handleSpent)))
        ]
    }
}

// MARK: Codes

extension Login {
    /// A code's reading, after a right password or where the code is the only proof.
    mutating func codeRead(_ reading: CodeReading, now: Moment) -> [Action] {
        let isRecovery = kind(of: reading.factor) == .recovery
        if isCodeLocked(now), !isRecovery {
            if case .keyword = reading.verdict {
                // Push and passkey stay open.
            } else {
                return reject(.factorLocked, now: now)
            }
        }
        factorInUse = reading.factor
        switch reading.verdict {
        case .right(let mark):
            guard facts.user != nil, statusReason == nil else { return rejectCode(statusReason ?? .unknownUser, now: now) }
            if isDenied { return reject(denial, now: now) }
            if isRecovery {
                guard mayRecover else { return reject(.codeMalformed, now: now) }
                if failures.isLocked(.recovery, at: now.wall, rules: rules.lockout) { return reject(.factorLocked, now: now) }
                // Counted before it is tried; an accept forgives it.
                return [.countFailure(.recovery)] + accept(marks: [mark], now: now)
            }
            return accept(marks: [mark], now: now)
        case .granted(let grant):
            guard facts.user != nil, statusReason == nil else { return rejectCode(statusReason ?? .unknownUser, now: now) }
            return isDenied ? reject(denial, now: now) : accept(by: grant, now: now)
        case .beyondWindow(let resynchronisation):
            let wait: [Action] = reading.factor.map { [.resynchronise(factor: $0, resynchronisation)] } ?? []
            return wait + rejectCode(.codeBeyondWindow, now: now)
        case .wrong:
            let reason: RejectReason =
                facts.user == nil ? .unknownUser : statusReason ?? (hasNothingToAnswer(at: now) ? noFactorReason : .wrongCode)
            return rejectCode(reason, now: now)
        case .malformed where Keyword(typedTail ?? "") != nil:
            return reject(.keywordNotAllowed, now: now)
        case .malformed:
            return reject(facts.user == nil ? .unknownUser : hasNothingToAnswer(at: now) ? noFactorReason : .codeMalformed, now: now)
        case .keyword(let beginning):
            guard readsAs == .passwordAndFactor else { return reject(.keywordNotAllowed, now: now) }
            guard let id = reading.factor, case .waits(let life) = beginning else { return reject(.keywordNotAllowed, now: now) }
            return [.startFactor(id, lives: life)]
        }
    }

    private mutating func rejectCode(_ reason: RejectReason, now: Moment) -> [Action] {
        [.countFailure(.code), .rememberWrongProof] + reject(reason, now: now)
    }
}

// MARK: Factors that wait

extension Login {
    /// The factor was started: how the gateway is kept waiting.
    mutating func factorStarted(
        _ factor: Int64, now: Moment, random: inout some RandomNumberGenerator, seal: some HandleSeal
    ) -> [Action] {
        factorInUse = factor
        steps.add("waiting", at: now, since: began)
        phase = .waiting
        switch request.carriesQuestions ? client.settings.waitingShape : .hold {
        case .hold: return [.hold(client.settings.holdTime)]
        case .confirm: return challenge(firstFactor: .right, now: now, random: &random, seal: seal, prompt: Prompt.confirm)
        }
    }

    mutating func whileWaiting(_ input: Input, now: Moment) -> [Action] {
        switch (phase, input) {
        case (.waiting, .suspended(nil)):
            return confirming.map { [.answer(.challenge(id, $0))] } ?? []
        case (.waiting, .suspended(let failure?)):
            return [.cancelFactor] + decide(.none(failure))
        case (.waiting, .factorAnswered(.approved, let isHeld)):
            if isHeld {
                steps.add("approved", at: now, since: began)
                return accept(marks: [], now: now)
            }
            // Nobody holds the line: kept for the next try that would have joined, once.
            steps.add("approved-late", at: now, since: began)
            phase = .approvedLate
            return [.keep(confirming == nil ? Self.lateAcceptLife : Self.handleLife)]
        case (.waiting, .certificateLost(let standing)):
            return certificateLost(standing, now: now)
        case (.waiting, .factorAnswered(.denied(let notMe), _)):
            steps.add(notMe ? "denied-not-me" : "denied", at: now, since: began)
            let actions = reject(.factorDenied, now: now)
            if phase == .decided { phase = .denied }
            return [.keep(Self.denialLife)] + actions
        case (.waiting, .factorAnswered(.failed(let why), _)):
            steps.add("failed: \(why)", at: now, since: began)
            return reject(.factorFailed, now: now)
        case (.approvedLate, .factorExpired):
            return reject(.factorTimedOut, now: now)
        case (.waiting, .factorExpired):
            return [.cancelFactor] + reject(.factorTimedOut, now: now)
        case (.waiting, .holdEnded):
            steps.add("gateway-gave-up", at: now, since: began)
            return [.answer(.reject(id, message: message(for: .factorTimedOut)))]
        case (.approvedLate, .rejoined(let request, let ruling)):
            self.request = request
            return acceptLate(under: ruling, now: now)
        case (.denied, .rejoined):
            return [.answer(.reject(id, message: message(for: .factorDenied)))]
        case (.denied, .typed(_, let handle, let request, _)):
            // A denial ends the login, whatever is typed behind it.
            self.handle = handle
            self.request = request
            return reject(.factorDenied, now: now)
        case (_, .typed(let proof, let handle, let request, let ruling)):
            self.handle = handle
            self.request = request
            switch proof {
            case .plaintext(let text):
                if !text.isEmpty { return readWhileWaiting(text) }
            case .hashed(let proof):
                // Nothing but OK was pressed where the proof is one of an empty password.
                let nothing = PasswordCandidate.text(Secret([]))
                guard proof.fits(nothing) else { return [.matchCodes(proof)] }
                proven = ProvenPassword(nothing, isCode: true)
            case .unsupported, .certificate:
                return [.cancelFactor] + reject(.protocolNotSupported, now: now)
            case .refusedCertificate:
                return [.cancelFactor] + reject(.certificateRefused, now: now)
            case .failed:
                return [.cancelFactor] + reject(.eapFailed, now: now)
            }
            return phase == .approvedLate ? acceptLate(under: ruling, now: now) : [.hold(client.settings.holdTime)]
        case (.waiting, .codesRead(let readings)), (.approvedLate, .codesRead(let readings)):
            // A code typed while a phone is asked wins, or ends the login.
            return [.cancelFactor] + codeRead(readings.first ?? CodeReading(.malformed, factor: nil), now: now)
        case (.waiting, .codesMatched(let reading, let candidate)), (.approvedLate, .codesMatched(let reading, let candidate)):
            proven = candidate.map { ProvenPassword($0, isCode: true) }
            return [.cancelFactor] + codeRead(reading, now: now)
        default:
            return []
        }
    }

    /// The policies may have changed since the phone was asked: what holds now must ask for the same.
    private mutating func acceptLate(under now: Ruling, now moment: Moment) -> [Action] {
        now.asks(sameAs: ruling) ? accept(marks: [], now: moment) : reject(.changedMeanwhile, now: moment)
    }

    private func readWhileWaiting(_ text: Secret) -> [Action] {
        [.readCodes([text.revealText() ?? ""])]
    }
}

// MARK: The decision

extension Login {
    mutating func accept(marks: [Mark], grace: GraceStart? = nil, now: Moment) -> [Action] {
        guard let name = facts.user?.name ?? stranger?.name else { return reject(.unknownUser, now: now) }
        if let plan = ruling.reply {
            do throws(ReplyPlan.Unmade) {
                reply = try plan.bytes(user: name)
            } catch {
                // An accept without an attribute that was to bound it would let in too far.
                steps.add("reply \(error.name): \(error.problem.word)", at: now, since: began)
                return reject(.replyUnfit, now: now)
            }
        }
        reply += ReplyPlan.besides(reply, given)
        phase = .settling(.accept)
        // It is no step of a login that is refused after all.
        let before = steps
        if renewal != nil { steps.add("password-changed", at: now, since: began) }
        var settlement = Settlement(
            decision: decision(isAccept: true, now: now), user: facts.user?.id, factor: factorInUse, marks: marks, handle: handle,
            event: event(.loginAccepted, reason: nil, now: now), basis: basis(of: marks))
        // What is registered here may be revoked in this very moment.
        settlement.certificate = facts.certificate?.registered == nil ? nil : certificate?.fingerprint
        steps = before
        settlement.grace = grace
        settlement.grant = grantInUse
        // Sessions are counted by user: a name that is passed through has none here.
        if let user = facts.user, let limit = ruling.sessionLimit(own: user.mostSessions) {
            settlement.claim = SessionClaim(
                limit, client: client.id, station: request.callingStation, sessionID: request.sessionID, at: now.wall)
        }
        settlement.renewal = renewal
        settlement.renewalEvent = renewalEvent(now: now)
        settlement.passedThrough = stranger.map { PassedThrough(client: client.id, rule: $0.rule, nameKeys: $0.nameKeys) }
        return [.settle(settlement)]
    }

    /// An accept that leans on one code of one factor, or on the password alone, says what it knew of them; any other is looked at again.
    private func basis(of marks: [Mark]) -> Settlement.Basis? {
        guard marks.count <= 1, grantInUse == nil, let version = facts.version, facts.user?.status == .active else { return nil }
        switch marks.first {
        case nil:
            return factorInUse == nil ? Settlement.Basis(version: version, folded: 0) : nil
        case .totp(let id, _)?, .hotp(let id, _)?:
            guard let factor = factor(id), factor.state == .active else { return nil }
            return Settlement.Basis(version: version, folded: factor.folded)
        case .recovery?:
            return nil
        }
    }

    /// The password was right, a factor is owed, and the user has none that counts.
    mutating func withoutFactor(now: Moment) -> [Action] {
        inGrace(now: now) ?? bypassed(now: now) ?? reject(noFactorReason, now: now)
    }

    /// The accept of a user who has no factor yet, where the policy gives time for that.
    mutating func inGrace(now: Moment) -> [Action]? {
        guard !hasOtherFactors, readsAs == .passwordAndFactor, let user = facts.user else { return nil }
        switch ruling.grace(facts.grace, at: now.wall) {
        case .none:
            break
        case .over:
            steps.add("grace-over", at: now, since: began)
        case .until(let end, let starts):
            graceEnd = end
            let start = starts ? ruling.policy.map { GraceStart(policy: $0.id, user: user.id, at: now.wall) } : nil
            return accept(marks: [], grace: start, now: now)
        }
        return nil
    }

    var noFactorReason: RejectReason { hasOtherFactors ? .noAllowedFactor : .noFactor }

    /// A reject that uses up a handle is written first, so that the handle opens once; any other is answered first.
    mutating func reject(_ reason: RejectReason, now: Moment) -> [Action] {
        let event = event(.loginRejected, reason: reason, now: now)
        if let handle {
            phase = .settling(.reject(reason))
            return [
                .settle(
                    Settlement(decision: decision(isAccept: false, now: now), user: nil, marks: [], handle: handle, event: event))
            ]
        }
        phase = .decided
        return [.answer(refused(reason)), .record(event)]
    }

    mutating func decide(_ answer: LoginAnswer) -> [Action] {
        phase = .decided
        return [.answer(answer)]
    }

    mutating func settled(_ verdict: Verdict, _ outcome: SettlementOutcome, now: Moment) -> [Action] {
        switch (verdict, outcome) {
        case (.accept, .done):
            phase = .decided
            return [.forgive(proved), .answer(.accept(id, proven: proven, reply: reply))]
        case (.reject(let reason), .done):
            phase = .decided
            return [.answer(refused(reason))]
        case (.accept, .markUsed(let recorded)):
            if let recorded, repeatable(recorded, now: now) { return decide(again(recorded)) }
            usedBefore = recorded
            return reject(kind(of: factorInUse) == .recovery ? .recoveryCodeUsed : .codeAlreadyUsed, now: now)
        case (_, .handleSpent(let recorded)):
            handle = nil
            if let recorded, repeatable(recorded, now: now) { return decide(again(recorded)) }
            return reject(.handleSpent, now: now)
        case (.accept, .grantRefused(let standing, let recorded)):
            if let recorded, repeatable(recorded, now: now) { return decide(again(recorded)) }
            return grantRefused(standing, now: now)
        case (.accept, .changedMeanwhile):
            return reject(.changedMeanwhile, now: now)
        case (.accept, .tooManySessions(let open)):
            if let limit = ruling.sessionLimit(own: facts.user?.mostSessions) {
                steps.add("sessions \(open) of \(limit.most) by \(limit.origin.words)", at: now, since: began)
            }
            // What was counted before it was tried was no guess.
            let forgiven: [Action] = kind(of: factorInUse) == .recovery ? [.forgive([.recovery])] : []
            return forgiven + reject(.tooManySessions, now: now)
        case (.accept, .failed(let cause)):
            return decide(.none(cause))
        case (.reject(let reason), .failed), (.reject(let reason), .markUsed), (.reject(let reason), .changedMeanwhile),
            (.reject(let reason), .tooManySessions), (.reject(let reason), .grantRefused):
            phase = .decided
            return [.answer(refused(reason))]
        }
    }

    private func again(_ recorded: RecordedDecision) -> LoginAnswer {
        recorded.isAccept
            ? .accept(recorded.login, proven: proven, reply: recorded.reply) : .reject(recorded.login, message: Prompt.rejected)
    }

    private func refused(_ reason: RejectReason) -> LoginAnswer {
        .reject(id, message: message(for: reason), refusal: refusal(for: reason))
    }

    private func decision(isAccept: Bool, now: Moment) -> RecordedDecision {
        RecordedDecision(
            login: id, isAccept: isAccept, at: now.wall, request: request.fingerprint, retry: retry, reply: isAccept ? reply : [])
    }

    /// Whose counters this accept clears: only those of what it proved, and never those of codes where the code is the only proof,
    /// so that nobody buys new guesses with another proof.
    private var proved: [FailureRecord.Kind] {
        var kinds: [FailureRecord.Kind] = []
        if facts.suspended?.firstFactor == .right || steps.contains("password-right") { kinds += [.passwordFromSource, .password] }
        guard readsAs == .passwordAndFactor else { return kinds }
        switch kind(of: factorInUse) {
        case .totp, .hotp: kinds.append(.code)
        case .recovery: kinds += [.code, .recovery]
        case nil where grant?.kind == .code: kinds.append(.code)
        case .push, nil: break
        }
        return kinds
    }

    func message(for reason: RejectReason) -> String {
        guard client.settings.helpfulMessages, !client.settings.concealFactor else { return Prompt.rejected }
        // Where nothing was proved before the code, a reason would tell who exists.
        if readsAs == .factor, reason.tellsWhoExists { return Prompt.wrongNameOrCode }
        return reason.userSentence
    }

    func event(_ kind: EventKind, reason: RejectReason?, now: Moment) -> Event {
        var details = [Event.Detail("client", client.name)]
        if let method = request.method {
            details.append(Event.Detail("protocol", method))
        } else if case .hashed(let proof) = request.proof {
            details.append(Event.Detail("protocol", proof.scheme.title))
        }
        if let kind = self.kind(of: factorInUse) { details.append(Event.Detail("factor", kind.rawValue)) }
        details += grantDetails(of: kind, at: now)
        details += certificateDetails
        if let policy = ruling.policy {
            details.append(Event.Detail("policy", policy.label))
            details.append(Event.Detail("requirement", ruling.requirement.rawValue))
            if !ruling.doubts.isEmpty {
                details.append(Event.Detail("not-known", ruling.doubts.map(\.rawValue).joined(separator: ", ")))
            }
        }
        if let stranger { details.append(Event.Detail("pass-through", stranger.rule.realm.description)) }
        if let home = facts.home, facts.user != nil || stranger != nil { details.append(Event.Detail("directory", home.words)) }
        if let reported { details.append(Event.Detail("report-only", reported)) }
        if kind == .loginAccepted, !reply.isEmpty, let plan = ruling.reply { details.append(Event.Detail("reply", plan.names)) }
        if let graceEnd { details.append(Event.Detail("grace-until", graceEnd.iso8601)) }
        if let usedBefore {
            details.append(Event.Detail("used-by", usedBefore.login.description))
            details.append(Event.Detail("used-at", usedBefore.at.iso8601))
        }
        if !steps.isEmpty { details.append(Event.Detail("steps", steps.text)) }
        var person = [PersonalFields.Field("name", request.name)]
        if let station = request.callingStation { person.append(PersonalFields.Field("station", station)) }
        if let country = ruling.country { person.append(PersonalFields.Field("country", country.description)) }
        if let certificateField { person.append(certificateField) }
        // In the help desk's own words, which may be about the person.
        if let grant { person.append(PersonalFields.Field("grant-reason", grant.reason)) }
        return Event(
            kind, at: now.wall, login: id, user: facts.user?.id, client: client.id, source: request.source, reason: reason?.rawValue,
            details: details, subject: PersonalFields(person))
    }
}

/// What happened on the way, for `trace`: words with milliseconds since the request came.
package struct Steps: Sendable, Equatable {
    private var entries: [(word: String, milliseconds: Int64)] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    mutating func add(_ word: String, at now: Moment, since began: Moment) {
        entries.append((word, max(0, (now.uptime - began.uptime).microseconds / 1_000)))
    }

    func contains(_ word: String) -> Bool {
        entries.contains { $0.word == word }
    }

    /// `+0 asked; +24 password-right`
    package var text: String {
        entries.map { "+\($0.milliseconds) \($0.word)" }.joined(separator: "; ")
    }

    package static func == (left: Steps, right: Steps) -> Bool { left.text == right.text }
}
