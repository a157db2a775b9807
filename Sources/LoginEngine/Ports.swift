// SPDX-License-Identifier: Apache-2.0
// What the engine needs of the layers above it. It declares; `sallyport/Node` plugs in.

// MARK: Records

/// What is asked of the database before a login is judged.
package struct LoginLookup: Sendable {
    /// The normalised name (`UserName.key`); nil for a request that carries only a handle.
    package var nameKey: String?
    package var handle: HandleID?
    /// Whether a policy that may match looks at groups, or gives grace.
    package var wantsGroups = false
    package var wantsGrace = false

    package init(nameKey: String?, handle: HandleID?) {
        self.nameKey = nameKey
        self.handle = handle
    }
}

/// What the database knows of one login; one consistent view.
package struct LoginFacts: Sendable {
    /// Nil: nobody has that name.
    package var user: User?
    /// The user's factors that are active, in the order in which they are preferred.
    package var factors: [Factor]
    /// The row behind the handle, used ones too.
    package var suspended: SuspendedLogin?
    /// Failures that count against the user, from every node and source.
    package var failures: [FailureRecord]
    /// What the records count up with every change that could make these facts untrue; nil where nobody counts.
    package var version: UInt64?
    /// Rows of the user's groups, nested ones too; empty where nobody asked.
    package var groups: [Int64] = []
    /// Empty where nobody asked.
    package var grace = GraceFacts()
    /// Who sent this login to a directory; nil where none is asked.
    package var home: HomeRuling?
    /// Nobody has the name, and a rule of the client passes it through.
    package var stranger: Stranger?
    /// What is known of the certificate that the request brings; nil where it brings none.
    package var certificate: CertificateFacts?
    /// Those of the user that are open or were lately; hardly anybody has any.
    package var grants: [Grant] = []
    /// The user was given one that is open or was lately, as far as the row of the user knows.
    package var mayHaveGrants = false

    package init(user: User? = nil, factors: [Factor] = [], suspended: SuspendedLogin? = nil, failures: [FailureRecord] = []) {
        self.user = user
        self.factors = factors
        self.suspended = suspended
        self.failures = failures
    }

    /// Empty where nobody has that name.
    var ownedFactors: [Factor] { user == nil ? [] : factors }
}

/// A login that waits for the next packet: the row behind a handle.
package struct SuspendedLogin: Sendable, Equatable {
    package var handle: HandleID
    package var login: LoginID
    package var client: Int64
    /// Nil where a name that nobody has was challenged, so that nobody learns it.
    package var user: Int64?
    /// The normalised name; the next packet must carry the same.
    package var nameKey: String
    package var station: String?
    /// Whether the first factor was right. False only under `concealFactor`.
    package var firstFactor: FirstFactor
    package var issued: Timestamp
    package var expires: Timestamp
    /// Set once the handle was used.
    package var decision: RecordedDecision?
    /// A new password that came with the first factor: its accept writes it.
    package var renewal: PasswordRenewal?
    /// What the password source said besides, to be gone on with.
    package var source: SourceWord?

    package enum FirstFactor: UInt8, Sendable {
        case right = 1
        case wrong = 2
        /// Nothing was asked: factor-only.
        case none = 3
        /// The password source asks something itself; what comes next is for it.
        case asked = 4
    }

    package init(
        handle: HandleID, login: LoginID, client: Int64, user: Int64?, nameKey: String, station: String?, firstFactor: FirstFactor,
        issued: Timestamp, expires: Timestamp, decision: RecordedDecision? = nil, source: SourceWord? = nil
    ) {
        self.handle = handle
        self.login = login
        self.client = client
        self.user = user
        self.nameKey = nameKey
        self.station = station
        self.firstFactor = firstFactor
        self.issued = issued
        self.expires = expires
        self.decision = decision
        self.source = source
    }
}

/// A decision as it was written down; what tells a retry from a replay.
package struct RecordedDecision: Sendable, Equatable {
    package var login: LoginID
    package var isAccept: Bool
    package var at: Timestamp
    /// Of the datagram that was decided.
    package var request: Fingerprint
    /// Keyed, of client, user, State or station, gateway session and proof; nil where the client may not rejoin.
    package var retry: Fingerprint?
    /// The attributes of an accept, so that its retry is answered with the same.
    package var reply: [UInt8]

    package init(login: LoginID, isAccept: Bool, at: Timestamp, request: Fingerprint, retry: Fingerprint?, reply: [UInt8] = []) {
        self.login = login
        self.isAccept = isAccept
        self.at = at
        self.request = request
        self.retry = retry
        self.reply = reply
    }
}

/// What is used up by an accept.
package enum Mark: Sendable, Equatable, Hashable {
    /// A TOTP step: any step that was not used and lies above the folded one.
    case totp(factor: Int64, step: Int64)
    /// A HOTP counter: must lie above every used one.
    case hotp(factor: Int64, counter: Int64)
    /// A recovery code of the user, by its keyed hash.
    case recovery(factor: Int64, hash: [UInt8])
}

/// One transaction: everything in it becomes true together, durably, or nothing does.
package struct Settlement: Sendable, Equatable {
    package var decision: RecordedDecision
    /// Must still be there and active for an accept; nil for rejects of names that nobody has.
    package var user: Int64?
    /// Must still be active for an accept that has no mark: a factor that the user answered elsewhere.
    package var factor: Int64?
    package var marks: [Mark]
    /// Used up by accept and reject alike.
    package var handle: HandleID?
    package var event: Event
    /// What the accept was judged by. Where it still holds, user and factor need no second look.
    package var basis: Basis?

    package struct Basis: Sendable, Equatable {
        /// Of the facts (`LoginFacts.version`).
        package var version: UInt64
        /// Of the one factor that is marked (`Factor.folded`); 0 where none is.
        package var folded: Int64

        package init(version: UInt64, folded: Int64) {
            self.version = version
            self.folded = folded
        }
    }
    /// A certificate that must still be registered for the user, and not be revoked: its SHA-256.
    package var certificate: [UInt8]?
    /// A time of grace that begins with this accept.
    package var grace: GraceStart?
    /// A new password that is set with this accept, unless the one that was proved is another by now.
    package var renewal: PasswordRenewal?
    /// What the trail says of it.
    package var renewalEvent: Event?
    /// The session that the accept opens, where there may not be more than so many.
    package var claim: SessionClaim?
    /// An accept of a name that nobody has here, on a directory's word.
    package var passedThrough: PassedThrough?
    /// The grant that the accept uses once.
    package var grant: Int64?

    package init(
        decision: RecordedDecision, user: Int64?, factor: Int64? = nil, marks: [Mark], handle: HandleID?, event: Event,
        basis: Basis? = nil
    ) {
        self.decision = decision
        self.user = user
        self.factor = factor
        self.marks = marks
        self.handle = handle
        self.event = event
        self.basis = basis
    }
}

package enum SettlementOutcome: Sendable, Equatable {
    /// Written and durable.
    case done
    /// A mark was there already; with the decision it was made for, where that is still known.
    case markUsed(RecordedDecision?)
    /// The handle was used already, or is gone.
    case handleSpent(RecordedDecision?)
    /// The user or factor was disabled or removed since the login was read.
    case changedMeanwhile
    /// As many sessions as may be, or more, are open or about to be.
    case tooManySessions(open: Int)
    /// The grant opens nothing any more; nil: it is gone. With the decision that this very request was given by it before.
    case grantRefused(Grant.Standing?, RecordedDecision?)
    /// Nothing was written.
    case failed(NoAnswer)
}

/// Failures that count against a user.
package struct FailureRecord: Sendable, Equatable, Hashable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// Wrong passwords from one source.
        case passwordFromSource = 1
        /// Wrong passwords from anywhere.
        case password = 2
        /// Wrong codes.
        case code = 3
        /// Wrong recovery codes.
        case recovery = 4
    }

    package var kind: Kind
    /// The source's address for `passwordFromSource`, else empty.
    package var source: String
    /// Failures in the window that began at `since`.
    package var count: Int
    package var since: Timestamp
    /// How often it was locked in a row: 0 for never; the n-th lock lasts 2ⁿ⁻¹ minutes.
    package var level: Int
    package var lockedUntil: Timestamp?

    package init(kind: Kind, source: String, count: Int, since: Timestamp, level: Int, lockedUntil: Timestamp?) {
        self.kind = kind
        self.source = source
        self.count = count
        self.since = since
        self.level = level
        self.lockedUntil = lockedUntil
    }
}

/// What is written without anybody waiting for it.
package enum Afterthought: Sendable {
    case event(Event)
    /// The new state of one counter; replaces what is there.
    case failure(user: Int64, FailureRecord)
    /// A right login: every counter of these kinds goes.
    case forgive(user: Int64, [FailureRecord.Kind])
    case resynchronisation(factor: Int64, Factor.Resynchronisation)
}

/// The database as the engine sees it. Implemented by `Store`.
package protocol LoginRecords: Sendable {
    /// Reads a batch in one consistent view, on the caller's thread: it may block for one round trip, never for a writer.
    /// - Returns: one value per look-up, in order.
    func load(_ lookups: [LoginLookup], at now: Timestamp) throws(NoAnswer) -> [LoginFacts]

    /// Hands a settlement to the one writer. `completion` runs on the writer's thread after the group it was in is durable,
    /// or at once, on the caller's, with `.failed(.overloaded)` when the queue is full.
    func settle(_ settlement: Settlement, completion: @escaping @Sendable (SettlementOutcome) -> Void)

    /// Writes the row behind a handle together with its event. `completion(nil)` once durable.
    func suspend(_ login: SuspendedLogin, event: Event, completion: @escaping @Sendable (NoAnswer?) -> Void)

    /// Takes over what a directory says of somebody who is right there: groups, the entry's own name, a user at the first login.
    /// `completion` runs once, on a thread that may wait for the database.
    func meet(_ meeting: DirectoryMeeting, completion: @escaping @Sendable (MeetingOutcome) -> Void)

    /// Queues what nobody waits for; when the queue is full it is counted and lost, never waited for.
    func remember(_ afterthought: Afterthought)
}

/// Makes and checks the text of handles, and keyed fingerprints; equal on every node. Implemented by `Store`.
package protocol HandleSeal: Sendable {
    /// 32 characters of base64url: 128 random bits and a 64-bit MAC that covers the key's id.
    func text(of handle: HandleID) -> String
    /// Nil when the text is none of ours; costs one MAC.
    func open(_ text: String) -> HandleID?
    /// Keyed hash of several parts; parts are delimited, so that no two lists of parts collide by shifting bytes.
    func digest(_ parts: [[UInt8]]) -> Fingerprint
}

// MARK: First factor

package enum PasswordVerdict: Sendable, Equatable {
    case right
    case wrong
    /// The source did not answer: never counted as a failure.
    case unreachable(String)
    /// Its queue is full, or so long that the verdict would come too late.
    case overloaded
    /// A proof that shows no password, and nothing is kept that it could be compared with.
    case notKept
    /// Right, and the accept is to carry these attributes, as they stand in a packet.
    case rightGiving([UInt8])
    /// Right, and it has to be changed where it lives.
    case expired
    /// Neither yet: the source asks something itself.
    case asks(SourceQuestion)
    /// Right, with what the directory says of the person.
    case rightOf(DirectoryPerson)
    /// The directory lets this account not in, whatever the password is: no guess.
    case refused(RejectReason)
}

package enum NewPasswordVerdict: Sendable, Equatable {
    /// Fit to be written; nothing is yet.
    case ready(hash: Secret, KeptPassword?)
    /// By a rule; the text is for the trail and holds none of the password.
    case refused(String)
    /// It could not be looked at.
    case failed
}

/// Holds a new password against the rules of any other one and hashes it; `completion` runs once, on any thread.
package typealias NewPasswordCheck =
    @Sendable (_ password: Secret, _ completion: @escaping @Sendable (NewPasswordVerdict) -> Void) -> Void

/// A new password that came behind the proof of the old one. It becomes true with the accept of its login or not at all. An object,
/// because hardly any login has one.
package final class PasswordRenewal: Sendable, Equatable {
    package let hash: Secret
    package let kept: KeptPassword?
    /// `User.passwordRevision` of the password that was proved.
    package let replaces: Int64

    package init(hash: Secret, kept: KeptPassword?, replaces: Int64) {
        self.hash = hash
        self.kept = kept
        self.replaces = replaces
    }

    package static func == (left: PasswordRenewal, right: PasswordRenewal) -> Bool {
        left.hash == right.hash && left.kept == right.kept && left.replaces == right.replaces
    }
}

/// What checks the first factor.
package protocol PasswordSource: Sendable {
    /// Whether a wrong password counts against the user at a system that is not ours (a directory's own lockout).
    var countsElsewhere: Bool { get }

    /// Checks on the source's own bounded pool; never blocks the caller. A nil user costs the same as a wrong password.
    /// `completion` runs once, on any thread.
    ///
    /// `request` says where the user logs in: the source's time is shared fairly between clients, and a check that would begin later than
    /// the client waits (`checkTime`) helps nobody, so that it may be `.overloaded` without a look.
    ///
    /// - Parameter thread: the source's own question that this answers; nil for a password.
    func check(
        _ password: Secret, of user: User?, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void)

    /// Judges a proof that shows no password, with the candidate that fits. A nil user costs the same as a wrong proof.
    /// `completion` runs once, on any thread.
    func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void)

    /// The same where it takes microseconds, on the caller's thread; nil where somebody has to be asked.
    func matchAtOnce(_ proof: HashedProof, of user: User?) -> (verdict: PasswordVerdict, candidate: PasswordCandidate?)?
}

extension PasswordSource {
    /// A source that must be shown the password.
    package func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        completion(.notKept, nil)
    }

    package func matchAtOnce(_ proof: HashedProof, of user: User?) -> (verdict: PasswordVerdict, candidate: PasswordCandidate?)? { nil }
}

// MARK: Second factor

/// What a typed text is to one factor. Looks, consumes nothing.
package enum CodeVerdict: Sendable, Equatable {
    /// Right as far as can be told without the database; the settlement of the mark decides.
    case right(Mark)
    /// Could have been a code of this factor, and is not the one.
    case wrong
    /// HOTP: right, but beyond the window; right again with the next counter it is taken.
    case beyondWindow(Factor.Resynchronisation)
    /// Not of this factor's shape.
    case malformed
}

/// A code that would be taken now.
package struct LiveCode: Sendable, Equatable {
    package var text: String
    package var mark: Mark

    package init(_ text: String, _ mark: Mark) {
        self.text = text
        self.mark = mark
    }
}

/// How a factor begins.
package enum FactorBeginning: Sendable, Equatable {
    /// Nothing has to happen: the user reads a code from a device.
    case typed
    /// Something is sent and the user types what arrived (SMS, mail).
    case sent
    /// The user answers elsewhere (push, call); the login waits.
    case waits(Timestamp.Span)
}

package struct FactorStart: Sendable {
    package var login: LoginID
    package var user: User
    package var factor: Factor
    package var clientName: String
    package var station: String?
    package var at: Moment

    package init(login: LoginID, user: User, factor: Factor, clientName: String, station: String?, at: Moment) {
        self.login = login
        self.user = user
        self.factor = factor
        self.clientName = clientName
        self.station = station
        self.at = at
    }
}

/// A kind of second factor. The engine knows kinds only by this.
package protocol SecondFactor: Sendable {
    var kind: FactorKind { get }
    var beginning: FactorBeginning { get }
    /// The word that asks for it (`push`, `sms`); nil for factors whose code is simply typed.
    var keyword: String? { get }

    /// Whether `text` has the shape of an answer of this factor; consults no secret.
    func isWellFormed(_ text: String, for factor: Factor) -> Bool
    /// Pure: the same input gives the same verdict.
    func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict
    /// What `verify` would find right at this moment, used ones too: the mark tells those. Empty for factors whose codes cannot be made.
    func codes(for factor: Factor, at now: Moment) -> [LiveCode]
    /// Starts a factor that waits or sends. `answer` runs at most once, on any thread; for `.sent`, `.approved` means *was sent*.
    func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void)
    /// The login was decided otherwise: withdraw what was started.
    func cancel(_ login: LoginID)
}

extension SecondFactor {
    package func codes(for factor: Factor, at now: Moment) -> [LiveCode] { [] }
}
