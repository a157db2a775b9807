// SPDX-License-Identifier: Apache-2.0
// What can happen to a login, and what it can ask for.

extension Login {
    package enum Input: Sendable, Equatable {
        case started
        /// One reading per text of `readCodes`, in order.
        case codesRead([CodeReading])
        case passwordChecked(PasswordVerdict)
        /// What a hashed proof was tried with: the first code that fits, if any does.
        case codesMatched(CodeReading, PasswordCandidate?)
        /// With the candidate that fitted.
        case passwordMatched(PasswordVerdict, PasswordCandidate?)
        case newPasswordChecked(NewPasswordVerdict)
        /// The row behind the handle is durable, or was not written.
        case suspended(NoAnswer?)
        /// More challenges were sent to this user lately than anybody answers.
        case tooManyChallenges
        case settled(SettlementOutcome)
        case factorStarted(Int64)
        /// `isHeld`: whether a gateway still waits for the answer.
        case factorAnswered(FactorAnswer, isHeld: Bool)
        /// It was approved, and the certificate that the login began with is not good any more.
        case certificateLost(CertificateStanding)
        /// Another login of this user waits for a factor, and this one may not join it.
        case anotherIsWaiting
        /// More factors were started for this user lately than is decent.
        case tooManyStarts
        /// The next packet of a login that waits: what was typed, and the handle it came with.
        case typed(PasswordProof, handle: HandleID, request: LoginRequest, Ruling)
        /// A retry joined after the phone had answered.
        case rejoined(LoginRequest, Ruling)
        /// The gateway is about to give up on what is held.
        case holdEnded
        /// The factor's own life is over.
        case factorExpired
    }

    package enum Action: Sendable, Equatable {
        case readCodes([String])
        case checkPassword(Secret)
        /// What was typed is for the password source, which asked for it.
        case answerSource(Secret, SourceThread)
        /// The codes that would be taken now, and the password that is kept, against a proof that shows none.
        case matchCodes(HashedProof)
        case matchPassword(HashedProof)
        /// The old password was proved: whether this one may take its place.
        case checkNewPassword(Secret)
        // The large ones are boxed: an action is copied on its way, and each field would be counted up and down with it.
        indirect case suspend(SuspendedLogin, Event)
        indirect case settle(Settlement)
        case startFactor(Int64, lives: Timestamp.Span)
        case cancelFactor
        /// Decided for now: stay in memory this long for the retries that may still come.
        case keep(Timestamp.Span)
        /// Hold the answer of those who wait now until this long from now.
        case hold(Timestamp.Span)
        case countFailure(FailureRecord.Kind)
        case rememberWrongProof
        case forgive([FailureRecord.Kind])
        indirect case record(Event)
        case resynchronise(factor: Int64, Factor.Resynchronisation)
        /// To everybody who waits for this login.
        indirect case answer(LoginAnswer)
    }

    /// What one text is to this user's factors, the best of them.
    package struct CodeReading: Sendable, Equatable {
        package var verdict: Verdict
        /// The factor that it is of; nil when malformed.
        package var factor: Int64?

        package enum Verdict: Sendable, Equatable {
            case right(Mark)
            /// The temporary code of this grant.
            case granted(Int64)
            case beyondWindow(Factor.Resynchronisation)
            case wrong
            /// A keyword of a factor that this user has.
            case keyword(FactorBeginning)
            case malformed
        }

        package init(_ verdict: Verdict, factor: Int64?) {
            self.verdict = verdict
            self.factor = factor
        }

        /// The better one of two readings of one text.
        func orElse(_ other: CodeReading?) -> CodeReading {
            guard let other else { return self }
            return other.verdict.isRight || verdict == .malformed ? other : self
        }
    }
}

extension Login.CodeReading.Verdict {
    var isRight: Bool {
        switch self {
        case .right, .granted: true
        case .beyondWindow, .wrong, .keyword, .malformed: false
        }
    }
}

package enum FactorAnswer: Sendable, Equatable {
    case approved
    /// `notMe`: the user says that somebody else has the password.
    case denied(notMe: Bool)
    /// It could not be started or broke; the text is for the trail.
    case failed(String)
}
