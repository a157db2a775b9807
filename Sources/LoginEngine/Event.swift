// SPDX-License-Identifier: Apache-2.0
// One line of the audit trail, before it is chained.

/// What happened. Raw values are stored: never reuse one.
package enum EventKind: UInt8, Sendable, CaseIterable {
    case loginAccepted = 1
    case loginChallenged = 2
    case loginRejected = 3
    /// Equal rejects beyond the first few of a minute, as one event with a count.
    case loginsRejected = 4
    case userAdded = 20
    case userChanged = 21
    case userRemoved = 22
    case userUnlocked = 23
    /// A person's row is gone and what the trail says of them is being erased; again when it is done, with the number of events.
    case userErased = 24
    /// What is kept of passwords beside their hash was enabled, or ended and erased.
    case passwordKeepingChanged = 25
    case groupAdded = 30
    case groupChanged = 31
    case groupRemoved = 32
    case clientAdded = 40
    case clientChanged = 41
    case clientRemoved = 42
    case clientPinned = 43
    case clientUnpinned = 44
    case clientSecretViewed = 45
    case factorAdded = 50
    case factorChanged = 51
    case factorRemoved = 52
    case recoveryCodesMade = 53
    case policyAdded = 60
    case policyChanged = 61
    case policyRemoved = 62
    /// Retention removed the oldest lines.
    case trailCut = 70
    /// Space is low: refusals are no longer written.
    case diskLow = 71
    /// There is space again; with the number of refusals that were not written.
    case diskRecovered = 72
    /// A gateway was asked to end a session; with what it answered.
    case sessionDisconnect = 80
    /// A session was taken for lost by an administrator, or because its gateway knows it no more.
    case sessionEnded = 81
    /// A gateway was sent what an accept would carry now; with what it answered.
    case sessionUpdate = 82
    case nodeStarted = 90
    case nodeStopped = 91
    case keyRotationBegun = 100
    case keyRotated = 101
    case keyCopyConfirmed = 102
    case backupMade = 103
    case restored = 104
    case schemaMigrated = 105
    /// A backup that holds the master key is about to be written.
    case backupBegun = 106
    case directoryAdded = 110
    case directoryChanged = 111
    case directoryRemoved = 112
    /// A server of a directory answers no more, or again.
    case directoryDown = 113
    case directoryUp = 114
    /// A host name of its servers stands for other addresses, or none is found for it.
    case directoryMoved = 116
    /// Users and groups were taken over from a directory; with how many, or why not.
    case directorySynced = 117
    case authorityAdded = 120
    case authorityRemoved = 121
    case certificateIssued = 122
    case certificateRevoked = 123
    /// A certificate for a device of a user.
    case deviceAdded = 124
    case deviceRevoked = 125
    case channelAdded = 140
    case channelChanged = 141
    case channelRemoved = 142
    /// Somebody was given a one-time link to set a first password.
    case userInvited = 143
    /// The link was opened for the first time.
    case invitationOpened = 144
    /// The password was set by it.
    case userActivated = 145
    /// A mail server has taken a mail.
    case mailSent = 146
    /// Nobody tries any more to send it.
    case mailFailed = 147
    /// By an administrator, before it was sent.
    case mailDropped = 148
    /// A newer revocation list of another authority was fetched, or none can be.
    case revocationsFetched = 126
    case grantIssued = 180
    case grantRevoked = 181
}

/// Why a login was rejected. The text is stored and shown by `trace`, metrics and logs: never reuse one for something else.
package enum RejectReason: String, Sendable, CaseIterable {
    case unknownUser = "unknown-user"
    case wrongPassword = "wrong-password"
    case noPassword = "no-password-set"
    case userDisabled = "user-disabled"
    case userPending = "user-not-activated"
    case passwordLocked = "password-locked"
    case factorLocked = "factor-locked"
    case wrongCode = "wrong-code"
    case codeMalformed = "code-malformed"
    case codeAlreadyUsed = "code-already-used"
    case recoveryCodeUsed = "recovery-code-unknown-or-used"
    case codeBeyondWindow = "code-beyond-window"
    case noFactor = "no-factor-enrolled"
    case noAllowedFactor = "no-allowed-factor"
    case deniedByPolicy = "denied-by-policy"
    case codeMissing = "code-missing"
    case handleUnknown = "handle-unknown"
    case handleExpired = "handle-expired"
    case handleSpent = "handle-already-used"
    case handleOfAnother = "handle-of-another-login"
    case anotherLoginWaiting = "another-login-is-waiting"
    case factorDenied = "factor-denied"
    case factorTimedOut = "factor-timed-out"
    case factorFailed = "factor-failed"
    case tooManyStarts = "too-many-pushes"
    case tooManyChallenges = "too-many-challenges"
    case keywordNotAllowed = "keyword-not-allowed"
    case sameWrongProof = "same-wrong-proof-again"
    case protocolNotSupported = "protocol-not-supported"
    case protocolNotAllowed = "protocol-not-allowed"
    case appendNeedsPlaintext = "append-needs-pap"
    case cannotAsk = "cannot-ask"
    case eapFailed = "eap-failed"
    case certificateMissing = "certificate-missing"
    case certificateNotAsked = "certificate-not-asked-for"
    case certificateNotBound = "certificate-not-of-user"
    case certificateRefused = "certificate-refused"
    case certificateRevoked = "certificate-revoked"
    case passwordNotKept = "password-not-kept-for-protocol"
    case passwordExpired = "password-must-be-changed"
    case newPasswordRefused = "new-password-refused"
    case sourceUnreachable = "password-source-unreachable"
    case sourceAsksMore = "password-source-asks-more"
    case proxyLoop = "proxy-loop"
    case nameMalformed = "name-malformed"
    case changedMeanwhile = "changed-meanwhile"
    case replyUnfit = "reply-attribute-unfit"
    case tooManySessions = "too-many-sessions"
    case accountDisabled = "directory-account-disabled"
    case accountLocked = "directory-account-locked"
    case accountExpired = "directory-account-expired"
    case outsideLogonHours = "directory-logon-hours"
    case logonNotAllowed = "directory-logon-not-allowed"
    case notInDirectory = "directory-entry-missing"
    case directoryEntryUnfit = "directory-entry-unfit"
    case directoryEntryChanged = "directory-entry-changed"
    case directoryNameTaken = "directory-name-taken"
    case grantNotValid = "grant-not-valid"
}

/// Fields that belong to one person. The chain holds only a salted commitment of them, so that they can be erased.
package struct PersonalFields: Sendable, Equatable {
    /// Name and value, in the order in which they are shown; names are stable: `name`, `station`, `country`, `certificate`,
    /// `email`, `phone`, `device`, `grant-reason`, `actor`.
    package var fields: [Field]

    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(_ fields: [Field] = []) {
        self.fields = fields
    }

    package subscript(_ name: String) -> String? {
        fields.first { $0.name == name }?.value
    }
}

package struct Event: Sendable, Equatable {
    package var kind: EventKind
    package var at: Timestamp
    package var login: LoginID?
    /// The row of the user it is about; nil for unknown users and for what concerns none.
    package var user: Int64?
    /// The row of the client.
    package var client: Int64?
    /// The address that the request came from (the gateway's, not a person's); kept binary, since text costs more than the login.
    package var source: NetworkAddress?
    /// The stable text of the reason (`RejectReason.rawValue`), or nil.
    package var reason: String?
    /// What can be told of everybody: client name, requirement, steps, before and after. Names are stable.
    package var details: [Detail]
    /// The person it is about.
    package var subject: PersonalFields
    /// Who did it, for changes by an administrator.
    package var actor: PersonalFields

    package struct Detail: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(
        _ kind: EventKind, at: Timestamp, login: LoginID? = nil, user: Int64? = nil, client: Int64? = nil,
        source: NetworkAddress? = nil, reason: String? = nil, details: [Detail] = [], subject: PersonalFields = PersonalFields(),
        actor: PersonalFields = PersonalFields()
    ) {
        self.kind = kind
        self.at = at
        self.login = login
        self.user = user
        self.client = client
        self.source = source
        self.reason = reason
        self.details = details
        self.subject = subject
        self.actor = actor
    }

    package subscript(_ name: String) -> String? {
        details.first { $0.name == name }?.value
    }
}
