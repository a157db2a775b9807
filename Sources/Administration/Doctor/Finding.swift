// SPDX-License-Identifier: Apache-2.0
// What an examination of the node finds, as values: a kind that never changes its meaning, how bad it is, what to do.

package struct Finding: Codable, Sendable, Equatable {
    package enum Severity: String, Codable, Sendable, CaseIterable, Comparable {
        /// As it should be.
        case ok
        /// Worth knowing; may be meant so.
        case note
        /// Works, and should be changed.
        case warning
        /// Does not work, or protects nobody.
        case problem

        package static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }

        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    package var kind: Kind
    package var severity: Severity
    /// What it is about: a client, a file, an address.
    package var subject: String?
    package var text: String
    package var remedy: String?

    package init(_ kind: Kind, _ subject: String? = nil, _ text: String, remedy: String? = nil) {
        self.kind = kind
        severity = kind.severity
        self.subject = subject
        self.text = text
        self.remedy = remedy
    }
}

extension Finding {
    /// The raw value is what scripts and docs/run/doctor.md go by.
    package enum Kind: String, Codable, Sendable, CaseIterable {
        // The node
        case nodeRuns = "node-runs"
        case nodeStopped = "node-stopped"
        case settingsRight = "settings-right"
        case settingsWrong = "settings-wrong"
        case settingsDoubtful = "settings-doubtful"
        case settingsOpen = "settings-open"
        case settingsNotInForce = "settings-not-in-force"
        case portTaken = "port-taken"
        case portPrivileged = "port-privileged"
        case limitsLow = "limits-low"
        case coreDumps = "core-dumps"
        case packetsDropped = "packets-dropped"
        case datagramsLost = "datagrams-lost"
        // RADIUS over TLS
        case certificateRight = "certificate-right"
        case certificateEnding = "certificate-ending"
        case certificateEnded = "certificate-ended"
        case certificateNotInForce = "certificate-not-in-force"
        // Devices' certificates (EAP-TLS)
        case clientAuthorityRight = "client-authority-right"
        case clientAuthorityMissing = "client-authority-missing"
        case clientAuthorityEnding = "client-authority-ending"
        case clientAuthorityEnded = "client-authority-ended"
        case revocationsNone = "revocations-none"
        case revocationsOld = "revocations-old"
        case revocationsEnded = "revocations-ended"
        case revocationsNotFetched = "revocations-not-fetched"
        case statusUnanswered = "status-unanswered"
        case stapleMissing = "staple-missing"
        // The authority
        case authorityRight = "authority-right"
        case authorityEnding = "authority-ending"
        case authorityEnded = "authority-ended"
        case authorityDamaged = "authority-damaged"
        case certificatesEnding = "certificates-ending"
        // The clock
        case clockRight = "clock-right"
        case clockUnchecked = "clock-unchecked"
        case clockOff = "clock-off"
        case clockWrong = "clock-wrong"
        case clockSet = "clock-set"
        case clockBehindTrail = "clock-behind-trail"
        // Files
        case filesRight = "files-right"
        case fileOpen = "file-open"
        case fileForeign = "file-foreign"
        case diskRight = "disk-right"
        case diskLow = "disk-low"
        case diskFull = "disk-full"
        // The database
        case dataUnavailable = "data-unavailable"
        case databaseRight = "database-right"
        case databaseUnchecked = "database-unchecked"
        case databaseDamaged = "database-damaged"
        case databaseUnwritable = "database-unwritable"
        case databaseNotDurable = "database-not-durable"
        case journalLarge = "journal-large"
        case databaseElsewhere = "database-elsewhere"
        case trailEdited = "trail-edited"
        // The key
        case keyRight = "key-right"
        case keyNotCopied = "key-not-copied"
        case keyBesideData = "key-beside-data"
        case keyChanging = "key-changing"
        case keyWaiting = "key-waiting"
        case keySpent = "key-spent"
        case secretsDamaged = "secrets-damaged"
        // Backups
        case backupRight = "backup-right"
        case backupNone = "backup-none"
        case backupOld = "backup-old"
        case backupOtherKey = "backup-other-key"
        // Clients
        case clientsRight = "clients-right"
        case clientsNone = "clients-none"
        case secretDamaged = "secret-damaged"
        case secretKnown = "secret-known"
        case secretWeak = "secret-weak"
        case secretShared = "secret-shared"
        case authenticatorAllowed = "authenticator-allowed"
        case authenticatorUnproven = "authenticator-unproven"
        case factorAlone = "factor-alone"
        case certificateAlone = "certificate-alone"
        case pushUnasked = "push-unasked"
        case eapMD5 = "eap-weak"
        case passwordAlone = "password-alone"
        case namesPassedThrough = "names-passed-through"
        case nobodyLetIn = "nobody-let-in"
        // Policies
        case policiesRight = "policies-right"
        case everybodyLockedOut = "everybody-locked-out"
        case policyUnreachable = "policy-unreachable"
        case countriesUnknown = "countries-unknown"
        case countriesOld = "countries-old"
        case stationMissing = "station-missing"
        case rangeLarge = "range-large"
        case reasonTold = "reason-told"
        case replyUnfit = "reply-unfit"
        case sessionsUncounted = "sessions-uncounted"
        // Gateways, by their traffic
        case gatewaysRight = "gateways-right"
        case gatewayGivesUpEarly = "gateway-gives-up-early"
        case gatewayWaitsLonger = "gateway-waits-longer"
        case gatewayRenewsRetries = "gateway-renews-retries"
        case gatewayUnsigned = "gateway-unsigned"
        case gatewaySigns = "gateway-signs"
        case gatewayShowsNoChallenge = "gateway-shows-no-challenge"
        case gatewayProtocol = "gateway-protocol"
        case gatewayCharset = "gateway-charset"
        case gatewayNamesNoDevice = "gateway-names-no-device"
        case gatewaySendsNoAccounting = "gateway-sends-no-accounting"
        // Directories
        case directoriesRight = "directories-right"
        case directoryDown = "directory-down"
        case directoryUnsigned = "directory-unsigned"
        case directoryForgeable = "directory-forgeable"
        case directorySecretWeak = "directory-secret-weak"
        case directoryAlone = "directory-alone"
        case directoryClosed = "directory-closed"
        case directoryNameLost = "directory-name-lost"
        case directoryPlain = "directory-plain"
        case directoryAccountRefused = "directory-account-refused"
        case directoryCertificateEnding = "directory-certificate-ending"
        case directorySyncFailed = "directory-sync-failed"
        case directorySyncOld = "directory-sync-old"
        // Mail
        case channelsRight = "channels-right"
        case channelClosed = "channel-closed"
        case channelOpen = "channel-open"
        case mailStuck = "mail-stuck"
        case mailFailed = "mail-failed"
        case pageMissing = "page-missing"
        case pageUntrusted = "page-untrusted"
        // Users
        case usersRight = "users-right"
        case usersNone = "users-none"
        case factorMissing = "factor-missing"
        case ntHashKept = "nt-hash-kept"
        case clearPasswordKept = "clear-password-kept"
        case grantsOpen = "grants-open"
        case grantWide = "grant-wide"

        package var severity: Severity {
            switch self {
            case .nodeRuns, .settingsRight, .clockRight, .filesRight, .diskRight, .databaseRight, .keyRight, .backupRight, .clientsRight,
                .usersRight, .certificateRight, .clientAuthorityRight, .authorityRight, .directoriesRight, .gatewaysRight, .policiesRight,
                .channelsRight:
                .ok
            case .nodeStopped, .coreDumps, .clockUnchecked, .databaseUnchecked, .databaseElsewhere, .keyBesideData, .keyChanging,
                .keyWaiting, .clientsNone,
                .authenticatorUnproven, .factorAlone, .certificateAlone, .revocationsNone, .passwordAlone, .nobodyLetIn, .rangeLarge,
                .reasonTold, .usersNone, .backupNone,
                .directoryAlone, .gatewayWaitsLonger, .gatewayRenewsRetries, .gatewaySigns, .gatewayNamesNoDevice,
                .gatewaySendsNoAccounting, .mailFailed, .pageMissing, .grantsOpen:
                .note
            case .settingsDoubtful, .settingsNotInForce, .portPrivileged, .limitsLow, .packetsDropped, .datagramsLost, .clockOff,
                .clockSet, .diskLow, .journalLarge, .keyNotCopied, .keySpent, .secretWeak, .secretShared, .authenticatorAllowed,
                .pushUnasked, .namesPassedThrough, .eapMD5, .factorMissing, .ntHashKept, .clearPasswordKept, .backupOld, .backupOtherKey,
                .certificateEnding, .clientAuthorityEnding, .authorityEnding, .certificatesEnding, .revocationsOld, .directorySecretWeak,
                .revocationsNotFetched, .statusUnanswered, .stapleMissing,
                .sessionsUncounted, .directoryForgeable, .gatewayGivesUpEarly, .gatewayUnsigned, .directoryNameLost,
                .gatewayShowsNoChallenge, .gatewayProtocol, .gatewayCharset, .directoryCertificateEnding, .directorySyncFailed,
                .directorySyncOld, .policyUnreachable, .countriesOld, .stationMissing, .channelOpen, .mailStuck, .pageUntrusted, .grantWide:
                .warning
            case .settingsWrong, .settingsOpen, .portTaken, .clockWrong, .clockBehindTrail, .fileOpen, .fileForeign, .diskFull,
                .dataUnavailable, .databaseDamaged, .databaseUnwritable, .databaseNotDurable, .trailEdited, .secretsDamaged,
                .secretDamaged, .secretKnown, .replyUnfit, .certificateEnded, .certificateNotInForce, .clientAuthorityMissing,
                .clientAuthorityEnded, .authorityEnded, .authorityDamaged, .revocationsEnded, .directoryDown,
                .directoryUnsigned, .directoryClosed, .directoryPlain, .directoryAccountRefused, .everybodyLockedOut, .countriesUnknown,
                .channelClosed:
                .problem
            }
        }
    }
}

extension [Finding] {
    /// What is wrong, or that nothing is: a subject about which nothing worse than a note was found says so first.
    package func orElse(_ right: Finding) -> [Finding] {
        contains { $0.severity > .note } ? self : [right] + self
    }
}
