// SPDX-License-Identifier: Apache-2.0
// The state machine of one login. Pure: input, time and randomness in, actions out.

/// One attempt to log in. Decides; does nothing.
///
/// Everything it judges by is loaded once, at the start, so that a change half-way cannot mix two rule sets. Only the
/// settling transaction looks again: user still active, code and handle still unused.
package struct Login: Sendable {
    package let id: LoginID
    package let client: Client
    package let nameKey: String
    /// With the factors that the ruling counts, in its order.
    package let facts: LoginFacts
    /// The user has factors that the ruling does not count.
    let hasOtherFactors: Bool
    package let ruling: Ruling
    /// Whom a directory decides about alone: nobody has the name, and the client passes it through.
    let stranger: Stranger?
    /// What a report-only policy would have done, for the trail.
    let reported: String?
    /// As they were when the login began, and again just before a code or a password is judged.
    package internal(set) var failures: SubjectFailures
    package let rules: LoginRules
    package let began: Moment
    /// The same proof was wrong a moment ago: a retry, not a guess.
    package let wasWrongJustNow: Bool

    package internal(set) var request: LoginRequest
    /// Keyed hash of what may rejoin; nil where the client may not.
    package internal(set) var retry: Fingerprint?
    package internal(set) var phase: Phase = .new
    /// The handle to use up with the decision.
    var handle: HandleID?
    /// The challenge that goes out while a phone is asked (`WaitingShape.confirm`).
    var confirming: Challenge?
    var steps = Steps()
    /// What a proof that shows no password was made of, once that is known.
    var proven: ProvenPassword?
    /// What the accept sets.
    var renewal: PasswordRenewal?
    /// What stood behind the password, where it was read as a tail.
    var typedTail: String?
    /// The decision that used the code up before.
    var usedBefore: RecordedDecision?
    /// The factor that is being answered, as the trail shows it.
    var factorInUse: Int64?
    /// The grant that stands in for it.
    var grantInUse: Int64?
    /// What made the certificate this user's.
    var boundBy: String?
    /// When the grace ends that lets this login in without a factor.
    var graceEnd: Timestamp?
    /// The attributes that its accept carries, made once when it is decided.
    var reply: [UInt8] = []
    /// Those of them that the password source gave.
    var given: [UInt8] = []

    /// The handle whose next packet belongs to this login while a phone is asked.
    var confirmingHandle: HandleID?
    /// Whether a next packet can still be taken in: nothing is decided or being written.
    var awaitsConfirmation: Bool {
        switch phase {
        case .waiting, .approvedLate, .denied: true
        default: false
        }
    }

    var isCheckingPassword: Bool {
        if case .checkingPassword = phase { true } else { false }
    }

    /// Between the wish to ask a phone and the asking.
    var isBeforeWaiting: Bool {
        switch phase {
        case .checkingPassword, .readingCode, .certified: true
        default: false
        }
    }

    package enum Phase: Sendable, Equatable {
        case new
        /// Append: the tails are being read, before anything is consumed.
        case readingField([PasswordField])
        case checkingPassword(Owed)
        case checkingNewPassword(Owed)
        case readingCode
        /// The certificate is the user's, and a factor is about to be started.
        case certified
        case suspending(Challenge)
        /// Asked, and out of our hands until the handle comes back.
        case suspended
        /// A factor was started and the user answers elsewhere.
        case waiting
        /// Approved when nobody held the line; the next try that would have joined takes it.
        case approvedLate
        /// Denied on the phone; retries hear it again without another push.
        case denied
        case settling(Verdict)
        case decided
    }

    /// What is owed once the password is right.
    package enum Owed: Sendable, Equatable {
        case nothing
        case challenge
        case tail(CodeReading)
        /// Append alone: the field held no code.
        case missing
        /// The answer is the same whatever the password was.
        case concealed
    }

    package enum Verdict: Sendable, Equatable {
        case accept
        case reject(RejectReason)
    }

    /// How long a handle may come back.
    package static let handleLife: Timestamp.Span = .minutes(2)
    /// How long an approval that nobody waited for answers the next try.
    package static let lateAcceptLife: Timestamp.Span = .seconds(30)
    /// How long a denial answers retries.
    package static let denialLife: Timestamp.Span = .seconds(60)
    /// Within this time a recorded decision is given again to its own retry.
    package static let retryLife: Timestamp.Span = .seconds(10)

    package init(
        id: LoginID, request: LoginRequest, nameKey: String, facts: LoginFacts, ruling: Ruling? = nil, failures: SubjectFailures,
        rules: LoginRules, retry: Fingerprint?, wasWrongJustNow: Bool, began: Moment
    ) {
        let ruling = ruling ?? .own(of: request.client)
        self.id = facts.suspended?.login ?? id
        self.client = request.client
        self.request = request
        self.nameKey = nameKey
        self.ruling = ruling
        // What a policy denies stays denied, and where both factors are concealed nothing else may be asked.
        let isOpen = ruling.requirement != .deny && !ruling.requirement.asksCertificate
        // What a newcomer's groups let in is known only once the directory has said which they are.
        let mayBeAsked = facts.stranger?.isNewcomer == true ? request.client.settings.requirement != .factor : isOpen
        stranger = facts.user == nil && mayBeAsked && !request.client.settings.concealFactor ? facts.stranger : nil
        reported = ruling.reported.map { policy in
            let would = Ruling(requirement: policy.rule.requirement, policy: policy)
            return "\(policy.label) \(would.consequence(factors: facts.factors, grace: facts.grace, at: began.wall))"
        }
        if ruling.factors == nil {
            self.facts = facts
            hasOtherFactors = false
        } else {
            let usable = ruling.usable(facts.factors)
            var facts = facts
            facts.factors = usable.factors
            self.facts = facts
            hasOtherFactors = usable.hasOthers
        }
        self.failures = failures
        self.rules = rules
        self.retry = retry
        self.wasWrongJustNow = wasWrongJustNow
        self.began = began
    }

    package mutating func handle(
        _ input: Input, now: Moment, random: inout some RandomNumberGenerator, seal: some HandleSeal
    ) -> [Action] {
        switch (phase, input) {
        case (.new, .started):
            return start(now: now, random: &random, seal: seal)
        case (.readingField(let splits), .codesRead(let readings)):
            return choose(among: splits, readings, now: now)
        case (.checkingPassword(let owed), .passwordChecked(let verdict)):
            return passwordChecked(verdict, owed: owed, now: now, random: &random, seal: seal)
        case (.checkingPassword(let owed), .passwordMatched(let verdict, let candidate)):
            proven = candidate.map { ProvenPassword($0, isCode: false, by: hashedProof) }
            if verdict == .right, let candidate, let check = takeNewPassword(behind: candidate, owed: owed, now: now) { return check }
            return passwordChecked(verdict, owed: owed, now: now, random: &random, seal: seal)
        case (.checkingNewPassword(let owed), .newPasswordChecked(.ready(let hash, let kept))):
            renewal = PasswordRenewal(hash: hash, kept: kept, replaces: facts.user?.passwordRevision ?? 0)
            steps.add("new-password", at: now, since: began)
            phase = .checkingPassword(owed)
            return passwordChecked(.right, owed: owed, now: now, random: &random, seal: seal)
        case (.checkingNewPassword, .newPasswordChecked(let verdict)):
            return newPasswordRefused(verdict, now: now)
        case (.readingCode, .codesRead(let readings)):
            return codeRead(readings.first ?? CodeReading(.malformed, factor: nil), now: now)
        case (.readingCode, .codesMatched(let reading, let candidate)):
            proven = candidate.map { ProvenPassword($0, isCode: true, by: hashedProof) }
            return codeRead(reading, now: now)
        case (.suspending(let challenge), .suspended(let failure)):
            phase = .suspended
            if let failure { return decide(.none(failure)) }
            return [.answer(.challenge(id, challenge))]
        case (.suspending, .tooManyChallenges):
            return reject(.tooManyChallenges, now: now)
        case (_, .factorStarted(let factor)):
            return factorStarted(factor, now: now, random: &random, seal: seal)
        case (.waiting, _), (.approvedLate, _), (.denied, _):
            return whileWaiting(input, now: now)
        case (_, .anotherIsWaiting):
            return reject(.anotherLoginWaiting, now: now)
        case (_, .tooManyStarts):
            return reject(.tooManyStarts, now: now)
        case (.settling(let verdict), .settled(let outcome)):
            return settled(verdict, outcome, now: now)
        default:
            // An answer that came too late for this phase: decided already, nothing is owed to it.
            return []
        }
    }
}

// MARK: The first packet

extension Login {
    private mutating func start(now: Moment, random: inout some RandomNumberGenerator, seal: some HandleSeal) -> [Action] {
        let field: Secret
        switch request.proof {
        case .plaintext(let text):
            // An answer to a challenge is typed into whatever the gateway has for it.
            guard request.handle != nil || request.method != nil || client.settings.schemes.contains(.pap) else {
                return reject(.protocolNotAllowed, now: now)
            }
            field = text
        case .hashed(let proof):
            return start(proof, now: now)
        case .certificate(let certificate):
            return start(certificate, now: now)
        case .refusedCertificate(let cause):
            steps.add(cause, at: now, since: began)
            return reject(.certificateRefused, now: now)
        case .unsupported(let name):
            steps.add(name, at: now, since: began)
            return reject(.protocolNotSupported, now: now)
        case .failed(let cause):
            steps.add(cause, at: now, since: began)
            return reject(.eapFailed, now: now)
        }
        if request.handle != nil { return resume(now: now) }
        let settings = client.settings
        if wasWrongJustNow, !(settings.concealFactor && readsAs == .passwordAndFactor) {
            return reject(.sameWrongProof, now: now)
        }
        if isPassedThrough(field) { return passThrough(by: .checkPassword(field), isEmpty: field.isEmpty, now: now) }
        switch readsAs {
        case .password:
            return checkPassword(field, owed: .nothing, now: now)
        case .factor:
            // Nothing typed: everybody is asked, in the same words.
            if field.isEmpty { return challenge(firstFactor: .none, now: now, random: &random, seal: seal) }
            return readCode(field, now: now)
        case .passwordAndFactor, .deny, .certificate, .certificateAndFactor:
            if settings.asking == .challenge { return checkPassword(field, owed: whole, now: now) }
            // The same lengths for everybody: how a field is read must not tell what factors a name has.
            let lengths = settings.fixedLengthTail ? [6, 7, 8] : []
            let splits = PasswordField.splits(of: field, separator: settings.separator, tailLengths: lengths)
            if splits.isEmpty { return checkWhole(field, now: now) }
            phase = .readingField(splits)
            return [.readCodes(splits.map(\.tail))]
        }
    }

    /// How the field is read. Where nobody is let in, or nobody by what is typed, it is read as the client usually is: a deny is spoken after
    /// the first factor.
    var readsAs: Requirement {
        guard isDenied else { return ruling.requirement }
        return switch client.settings.requirement {
        case .deny, .certificate, .certificateAndFactor: .passwordAndFactor
        case .password, .factor, .passwordAndFactor: client.settings.requirement
        }
    }

    /// Whatever was typed lets nobody in.
    var isDenied: Bool { ruling.requirement == .deny || ruling.requirement.asksCertificate && certificate == nil }

    var denial: RejectReason { ruling.requirement == .deny ? .deniedByPolicy : .certificateMissing }

    /// A name that nobody has is asked here in the same words, so the question must not leave sooner for it either.
    var asksAnybody: Bool { readsAs == .factor || client.settings.concealFactor }

    /// What a field without a readable tail leaves owed on an append client.
    var whole: Owed {
        client.settings.asking == .append ? .missing : client.settings.concealFactor ? .concealed : .challenge
    }

    /// Append is decided locally: the split whose code verifies; else the split whose tail is well-formed for a factor that
    /// this user has; else the whole field. Nothing is consumed yet.
    private mutating func choose(among splits: [PasswordField], _ readings: [CodeReading], now: Moment) -> [Action] {
        guard case .plaintext(let field) = request.proof else { return reject(.protocolNotSupported, now: now) }
        let pairs = Array(zip(splits, readings))
        let isBypassed = bypass(at: now) != nil
        let best =
            pairs.first { $0.1.verdict.isRight }
            ?? pairs.first { if case .keyword = $0.1.verdict { true } else { false } }
            // Whoever is asked for no code types the password alone, and it may end like one.
            ?? (isBypassed ? nil : pairs.first { $0.1.verdict != .malformed })
            ?? pairs.first { readsByShape && !isBypassed && $0.0.tailHasShapeOfFactor }
        guard let best else { return checkWhole(field, now: now) }
        if !mayBind(best.1, now: now) { return [.countFailure(.passwordFromSource)] + reject(.wrongCode, now: now) }
        typedTail = best.0.tail
        return checkPassword(best.0.password, owed: .tail(best.1), now: now)
    }

    /// A tail that looks like a code, a recovery code or a keyword is none of the password, though this user has no such factor:
    /// so nobody is locked for typing `push`, and the way a field is read tells nothing. A directory's users may have passwords that
    /// nobody refused when they were set; there the whole field is tried, unless the factor is concealed.
    private var readsByShape: Bool { client.settings.concealFactor || !bindCountsElsewhere }

    /// Whether a wrong password also counts against this user at a system that is not ours.
    private var bindCountsElsewhere: Bool { rules.bindCountsElsewhere || facts.user?.directory != nil }

    private mutating func checkWhole(_ field: Secret, now: Moment) -> [Action] {
        if client.settings.asking == .append, !mayBind(CodeReading(.malformed, factor: nil), now: now) {
            return [.countFailure(.passwordFromSource)] + reject(.codeMissing, now: now)
        }
        return checkPassword(field, owed: whole, now: now)
    }

    /// A directory counts every wrong password against its user: a stranger must hold a code before one is tried there.
    /// For as long as a bypass is open the password is all that there is.
    private func mayBind(_ reading: CodeReading, now: Moment) -> Bool {
        guard bindCountsElsewhere, !client.settings.bindBeforeCode else { return true }
        switch reading.verdict {
        case .right, .granted, .keyword: return true
        case .beyondWindow, .wrong, .malformed: return bypass(at: now) != nil
        }
    }

    private mutating func checkPassword(_ password: Secret, owed: Owed, now: Moment) -> [Action] {
        check(by: .checkPassword(password), owed: owed, now: now)
    }

    mutating func check(by action: Action, owed: Owed, now: Moment) -> [Action] {
        if goesRound { return reject(.proxyLoop, now: now) }
        phase = .checkingPassword(owed)
        if isPasswordLocked(now) {
            steps.add("password-locked", at: now, since: began)
            if owed != .concealed { return reject(.passwordLocked, now: now) }
        }
        // A concealed login is checked all the same, so that a lock cannot be told from a wrong password by the clock.
        return [action]
    }

    private func isPasswordLocked(_ now: Moment) -> Bool {
        failures.isLocked(.passwordFromSource, source: request.failureSource, at: now.wall, rules: rules.lockout)
            || failures.isLocked(.password, at: now.wall, rules: rules.lockout)
    }

    /// Evaluates a typed code, unless the guesses are used up: then only a recovery code may still lift the lock.
    mutating func readCode(_ field: Secret, now: Moment) -> [Action] {
        guard let text = field.revealText(), !text.isEmpty else { return reject(.codeMissing, now: now) }
        if isCodeLocked(now), !mayRecover {
            return reject(.factorLocked, now: now)
        }
        phase = .readingCode
        return [.readCodes([text])]
    }

    func isCodeLocked(_ now: Moment) -> Bool {
        failures.isLocked(.code, at: now.wall, rules: rules.lockout)
    }

    /// Recovery codes are tried only after a right password.
    var mayRecover: Bool {
        readsAs == .passwordAndFactor && facts.factors.contains { $0.kind == .recovery }
    }

    /// Without a copy of the factor.
    func kind(of id: Int64?) -> FactorKind? {
        guard let id, let index = facts.factors.firstIndex(where: { $0.id == id }) else { return nil }
        return facts.factors[index].kind
    }

    func factor(_ id: Int64?) -> Factor? {
        facts.factors.first { $0.id == id }
    }
}

// MARK: The first factor's verdict

extension Login {
    private mutating func passwordChecked(
        _ verdict: PasswordVerdict, owed: Owed, now: Moment, random: inout some RandomNumberGenerator, seal: some HandleSeal
    ) -> [Action] {
        // Others may have used the guesses up since this one began.
        if verdict == .right, !steps.contains("password-locked"), isPasswordLocked(now) {
            steps.add("password-locked", at: now, since: began)
        }
        let wasLocked = steps.contains("password-locked")
        switch verdict {
        case .overloaded:
            return decide(.none(.overloaded))
        case .unreachable(let source):
            steps.add("source \(source) unreachable", at: now, since: began)
            return unreachable(now: now)
        case .asks(let question):
            return passOn(question, owed: owed, now: now, random: &random, seal: seal)
        case .rightOf:
            // `Logins` has asked the records about this one before.
            return passwordChecked(.right, owed: owed, now: now, random: &random, seal: seal)
        case .refused(let reason):
            steps.add("directory-refused", at: now, since: began)
            // Whoever tries names must be slowed down as whoever tries passwords is.
            let count: [Action] = reason == .notInDirectory && !wasLocked && !wasWrongJustNow ? [.countFailure(.passwordFromSource)] : []
            if owed == .concealed { return count + challenge(firstFactor: .wrong, now: now, random: &random, seal: seal) }
            return count + reject(wasLocked ? .passwordLocked : reason, now: now)
        case .rightGiving(let attributes):
            given = attributes
            return passwordChecked(.right, owed: owed, now: now, random: &random, seal: seal)
        case .expired:
            steps.add("password-expired", at: now, since: began)
            if owed == .concealed { return challenge(firstFactor: .wrong, now: now, random: &random, seal: seal) }
            return reject(wasLocked ? .passwordLocked : .passwordExpired, now: now)
        case .notKept where owed != .concealed:
            // No guess: whatever was typed, it could not be looked at.
            return reject(facts.user == nil && stranger == nil ? .unknownUser : .passwordNotKept, now: now)
        case .right where (facts.user != nil || stranger != nil) && !wasLocked:
            steps.add("password-right", at: now, since: began)
        case .right, .wrong, .notKept:
            steps.add(verdict == .notKept ? "password-not-kept" : "password-wrong", at: now, since: began)
            let count: [Action] =
                wasLocked || wasWrongJustNow || verdict == .notKept
                ? [] : [.countFailure(.passwordFromSource), .countFailure(.password), .rememberWrongProof]
            if owed == .concealed {
                return count + challenge(firstFactor: .wrong, now: now, random: &random, seal: seal)
            }
            return count + reject(wasLocked ? .passwordLocked : passwordReason, now: now)
        }
        if let stranger { return stranger.isNewcomer ? reject(.changedMeanwhile, now: now) : accept(marks: [], now: now) }
        if let reason = statusReason, owed != .concealed { return reject(reason, now: now) }
        if isDenied, owed != .concealed { return reject(denial, now: now) }
        if mustChangePassword, owed != .concealed { return reject(.passwordExpired, now: now) }
        switch owed {
        case .nothing:
            return accept(marks: [], now: now)
        case .tail(let reading):
            return codeRead(reading, now: now)
        case .concealed:
            return challenge(
                firstFactor: statusReason == nil && !mustChangePassword ? .right : .wrong, now: now, random: &random, seal: seal)
        case .missing, .challenge:
            if facts.factors.isEmpty, let accept = inGrace(now: now) { return accept }
            if let accept = bypassed(now: now) { return accept }
            let hasCode = hasTemporaryCode(at: now)
            if facts.factors.isEmpty, !hasCode { return reject(noFactorReason, now: now) }
            if owed == .missing { return reject(.codeMissing, now: now) }
            // Whoever was given a code has no phone at hand.
            if client.settings.automaticPush, !hasCode, let (factor, life) = selfStarting { return [.startFactor(factor, lives: life)] }
            guard request.carriesQuestions else { return reject(.cannotAsk, now: now) }
            return challenge(firstFactor: .right, now: now, random: &random, seal: seal)
        }
    }

    private var passwordReason: RejectReason {
        guard let user = facts.user else { return stranger == nil ? .unknownUser : .wrongPassword }
        return user.passwordHash == nil && user.directory == nil ? .noPassword : .wrongPassword
    }

    var statusReason: RejectReason? {
        switch facts.user?.status {
        case .active: nil
        case .disabled: .userDisabled
        case .pending: .userPending
        case nil: .unknownUser
        }
    }

    mutating func challenge(
        firstFactor: SuspendedLogin.FirstFactor, now: Moment, random: inout some RandomNumberGenerator, seal: some HandleSeal,
        prompt: String? = nil, echo: Bool = true, source: SourceWord? = nil
    ) -> [Action] {
        let handle = HandleID(Bits128(random: &random))
        let settings = client.settings
        let text =
            prompt
            ?? (settings.concealFactor || readsAs == .factor
                ? Prompt.uniform
                : Prompt.text(offering: facts.factors.map(\.kind), keywords: keywords, temporaryCode: hasTemporaryCode(at: now)))
        var row = SuspendedLogin(
            handle: handle, login: id, client: client.id, user: facts.user?.id, nameKey: nameKey, station: request.callingStation,
            firstFactor: firstFactor, issued: now.wall, expires: now.wall + Self.handleLife)
        row.renewal = renewal
        row.source = source ?? (given.isEmpty ? nil : .gave(given))
        steps.add("asked", at: now, since: began)
        let asked = Challenge(
            handle: seal.text(of: handle), prompt: text, echo: echo, lifetime: Int(Self.handleLife.microseconds / 1_000_000))
        if phase == .waiting { (confirming, confirmingHandle) = (asked, handle) } else { phase = .suspending(asked) }
        return [.suspend(row, event(.loginChallenged, reason: nil, now: now))]
    }

    private var keywords: [String] {
        var words: [String] = []
        for factor in facts.factors {
            if let word = rules.offers[factor.kind]?.keyword, !words.contains(word) { words.append(word) }
        }
        return words
    }
}
