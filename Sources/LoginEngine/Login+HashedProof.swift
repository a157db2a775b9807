// SPDX-License-Identifier: Apache-2.0
// Logins whose proof shows no password: what may have been typed is tried against it.

extension Login {
    /// The first packet, by CHAP or MS-CHAP.
    mutating func start(_ proof: HashedProof, now: Moment) -> [Action] {
        let settings = client.settings
        guard request.method != nil || settings.schemes.contains(proof.scheme) else { return reject(.protocolNotAllowed, now: now) }
        if request.handle != nil { return resume(now: now) }
        if wasWrongJustNow, !(settings.concealFactor && readsAs == .passwordAndFactor) { return reject(.sameWrongProof, now: now) }
        if proof.asksForChange, readsAs == .factor || settings.concealFactor { return reject(.protocolNotSupported, now: now) }
        if stranger != nil {
            if proof.asksForChange { return reject(.protocolNotSupported, now: now) }
            return passThrough(by: .matchPassword(proof), isEmpty: proof.fits(.text(Secret([]))), now: now)
        }
        switch readsAs {
        case .password:
            return check(by: .matchPassword(proof), owed: .nothing, now: now)
        case .factor:
            // The code is the password.
            return matchCodes(proof, now: now)
        case .passwordAndFactor where !request.carriesQuestions, .deny where !request.carriesQuestions,
            .certificate where !request.carriesQuestions, .certificateAndFactor where !request.carriesQuestions:
            // What stands behind the password has to come by itself.
            return settings.concealFactor ? reject(.cannotAsk, now: now) : check(by: .matchPassword(proof), owed: .challenge, now: now)
        case .passwordAndFactor, .deny, .certificate, .certificateAndFactor:
            // Nothing can be cut from the end of what is not shown.
            if settings.asking == .append, bypass(at: now) == nil { return reject(.appendNeedsPlaintext, now: now) }
            return check(by: .matchPassword(proof), owed: whole, now: now)
        }
    }

    /// Tries the codes that would be taken now, unless the guesses are used up. Recovery codes are kept as hashes, so none is tried.
    mutating func matchCodes(_ proof: HashedProof, now: Moment) -> [Action] {
        if isCodeLocked(now) { return reject(.factorLocked, now: now) }
        phase = .readingCode
        return [.matchCodes(proof)]
    }

    /// What shows no password, and was judged.
    var hashedProof: HashedProof? {
        if case .hashed(let proof) = request.proof { proof } else { nil }
    }

    /// The password that is kept here has to be changed, and this login brings no other.
    var mustChangePassword: Bool { facts.user?.mustChangePassword == true && facts.user?.directory == nil && renewal == nil }

    /// A new password came with the proof of the old one. It is taken where it was asked for (RFC 2759 §7: after error 648), held as
    /// long as a second factor is owed, and written with the accept: a password alone changes nothing that needs more than a password.
    mutating func takeNewPassword(behind old: PasswordCandidate, owed: Owed, now: Moment) -> [Action]? {
        guard case .hashed(let proof) = request.proof, proof.asksForChange, facts.user != nil, statusReason == nil, !isDenied,
            !steps.contains("password-locked")
        else { return nil }
        guard mustChangePassword else { return newPasswordRefused(.refused("nobody asked for it"), now: now) }
        guard let new = proof.newPassword(old: old) else { return nil }
        phase = .checkingNewPassword(owed)
        proven = ProvenPassword(.text(new), isCode: false)
        return [.checkNewPassword(new)]
    }

    mutating func newPasswordRefused(_ verdict: NewPasswordVerdict, now: Moment) -> [Action] {
        guard case .refused(let why) = verdict else { return decide(.none(.databaseUnavailable)) }
        steps.add("new-password-refused: \(why)", at: now, since: began)
        return reject(.newPasswordRefused, now: now)
    }

    /// The user did it, by proving the old password. Named by no name: what the trail says of a person is its subject.
    func renewalEvent(now: Moment) -> Event? {
        guard renewal != nil, let user = facts.user else { return nil }
        return Event(
            .userChanged, at: now.wall, user: user.id, details: [Event.Detail("change", "password set")],
            subject: PersonalFields([PersonalFields.Field("name", user.name)]),
            actor: PersonalFields([PersonalFields.Field("actor", "user@\(client.name)")]))
    }

    /// What the protocol has a word for. Spoken behind a right password alone; that an account is disabled only where reasons are shown.
    func refusal(for reason: RejectReason) -> ProofRefusal {
        guard readsAs != .factor, !client.settings.concealFactor else { return .uniform }
        return switch reason {
        // No new password can be passed on to where it lives.
        case .passwordExpired where directory == nil: .passwordExpired
        case .newPasswordRefused: .changeFailed
        case .changedMeanwhile where renewal != nil: .changeFailed
        case .userDisabled where client.settings.helpfulMessages: .accountDisabled
        default: .uniform
        }
    }

    /// Whether a new request proves the password that this login was begun with, by a challenge of its own.
    func isProved(by request: LoginRequest) -> Bool {
        guard case .hashed(let proof) = request.proof, let proven, !proven.isCode else { return false }
        return proof.fits(proven.candidate)
    }
}

extension Logins {
    /// Codes that are tried against one request, over all factors of its user: what a stranger can make the node compute is bounded.
    package static let mostCandidates = 32

    /// The first code that makes this proof. Nothing is consumed; a name that nobody has costs as many codes as one token.
    func match(_ proof: HashedProof, facts: LoginFacts, at moment: Moment) -> (Login.CodeReading, PasswordCandidate?) {
        var left = Self.mostCandidates
        var reading = Login.CodeReading(.malformed, factor: nil)
        for factor in facts.user == nil || facts.factors.isEmpty ? [Self.nobodysFactor] : facts.factors {
            let isNobodys = factor.id == Self.nobodysFactor.id
            for code in factors[factor.kind]?.codes(for: factor, at: moment) ?? [] where left > 0 {
                left -= 1
                if reading.verdict == .malformed { reading = Login.CodeReading(.wrong, factor: isNobodys ? nil : factor.id) }
                let candidate = PasswordCandidate.text(Secret(utf8: code.text))
                if proof.fits(candidate), !isNobodys { return (Login.CodeReading(.right(code.mark), factor: factor.id), candidate) }
            }
        }
        return (reading, nil)
    }
}
