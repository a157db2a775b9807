// SPDX-License-Identifier: Apache-2.0
// One line of the trail as it is shown, listed and exported.

internal import LoginEngine
internal import Store

package struct EventView: Codable, Sendable, Equatable {
    /// Its place in the chain.
    package var sequence: Int64
    package var at: Instant
    /// `login-accepted`
    package var kind: String
    package var login: String?
    /// The login name as typed, or as it was at the time.
    package var user: String?
    package var client: String?
    /// The address that the request came from.
    package var source: String?
    package var station: String?
    /// The subject and the fingerprint of a certificate that the device showed.
    package var certificate: String?
    package var reason: String?
    /// Why the help desk gave the grant that it is about.
    package var grantReason: String?
    /// Who did it, for changes.
    package var actor: String?
    package var details: [Detail]
    /// Whether the personal fields were erased.
    package var isErased: Bool
    /// The same in a few words.
    package var text: String

    package struct Detail: Codable, Sendable, Equatable {
        package var name: String
        package var value: String
    }
}

/// Names of rows, looked up once per answer.
final class EventNames {
    private let records: Records
    private var users: [Int64: String?] = [:]
    private var clients: [Int64: String?] = [:]

    init(_ records: Records) {
        self.records = records
    }

    func user(_ id: Int64) -> String? {
        if let known = users[id] { return known }
        let name = (try? records.user(id: id))?.name
        users[id] = .some(name)
        return name
    }

    func client(_ id: Int64) -> String? {
        if let known = clients[id] { return known }
        let name = (try? records.client(id: id))?.name
        clients[id] = .some(name)
        return name
    }
}

extension EventView {
    static let loginKinds: Set<EventKind> = [.loginAccepted, .loginRejected, .loginsRejected]

    init(_ record: EventRecord, names: EventNames) {
        let event = record.event
        sequence = record.seq
        at = Instant(event.at)
        kind = event.kind.word
        login = event.login?.description
        user = event.subject["name"] ?? (record.isErased ? nil : event.user.flatMap { names.user($0) })
        client = event["client"] ?? event.client.flatMap { names.client($0) }
        source = event.source?.description
        station = event.subject["station"]
        certificate = event.subject["certificate"]
        reason = event.reason
        grantReason = event.subject["grant-reason"]
        actor = event.actor["actor"]
        details = event.details.filter { $0.name != "client" }.map { Detail(name: $0.name, value: $0.value) }
        isErased = record.isErased
        text = event.summary
    }
}

extension EventKind {
    /// Stable: what `--kind` takes and exports hold.
    package var word: String {
        switch self {
        case .loginAccepted: "login-accepted"
        case .loginChallenged: "login-challenged"
        case .loginRejected: "login-rejected"
        case .loginsRejected: "logins-rejected"
        case .userAdded: "user-added"
        case .userChanged: "user-changed"
        case .userRemoved: "user-removed"
        case .userUnlocked: "user-unlocked"
        case .userErased: "user-erased"
        case .passwordKeepingChanged: "password-keeping-changed"
        case .groupAdded: "group-added"
        case .groupChanged: "group-changed"
        case .groupRemoved: "group-removed"
        case .clientAdded: "client-added"
        case .clientChanged: "client-changed"
        case .clientRemoved: "client-removed"
        case .clientPinned: "client-pinned"
        case .clientUnpinned: "client-unpinned"
        case .clientSecretViewed: "client-secret-viewed"
        case .factorAdded: "factor-added"
        case .factorChanged: "factor-changed"
        case .factorRemoved: "factor-removed"
        case .recoveryCodesMade: "recovery-codes-made"
        case .policyAdded: "policy-added"
        case .policyChanged: "policy-changed"
        case .policyRemoved: "policy-removed"
        case .trailCut: "trail-cut"
        case .diskLow: "disk-low"
        case .diskRecovered: "disk-recovered"
        case .sessionDisconnect: "session-disconnect"
        case .sessionEnded: "session-ended"
        case .sessionUpdate: "session-update"
        case .nodeStarted: "node-started"
        case .nodeStopped: "node-stopped"
        case .keyRotationBegun: "key-rotation-begun"
        case .keyRotated: "key-rotated"
        case .keyCopyConfirmed: "key-copy-confirmed"
        case .backupBegun: "backup-begun"
        case .backupMade: "backup-made"
        case .restored: "restored"
        case .schemaMigrated: "schema-migrated"
        case .directoryAdded: "directory-added"
        case .directoryChanged: "directory-changed"
        case .directoryRemoved: "directory-removed"
        case .directoryDown: "directory-down"
        case .directoryUp: "directory-up"
        case .directoryMoved: "directory-moved"
        case .directorySynced: "directory-synced"
        case .authorityAdded: "authority-added"
        case .authorityRemoved: "authority-removed"
        case .certificateIssued: "certificate-issued"
        case .certificateRevoked: "certificate-revoked"
        case .deviceAdded: "device-added"
        case .deviceRevoked: "device-revoked"
        case .channelAdded: "channel-added"
        case .channelChanged: "channel-changed"
        case .channelRemoved: "channel-removed"
        case .userInvited: "user-invited"
        case .invitationOpened: "invitation-opened"
        case .userActivated: "user-activated"
        case .mailSent: "mail-sent"
        case .mailFailed: "mail-failed"
        case .mailDropped: "mail-dropped"
        case .revocationsFetched: "revocations-fetched"
        case .grantIssued: "grant-issued"
        case .grantRevoked: "grant-revoked"
        }
    }
}

extension Event {
    /// What happened, without who and where: `accepted with totp`, `refused: code already used`, `disabled`.
    var summary: String {
        let reason = self.reason.map { $0.replacing("-", with: " ") } ?? "no reason given"
        func detail(_ name: String, _ prefix: String = "") -> String { self[name].flatMap { $0.isEmpty ? nil : prefix + $0 } ?? "" }
        switch kind {
        case .loginAccepted:
            return "accepted" + detail("factor", " with ") + detail("grant", " by grant ")
                + detail("grace-until", " without a factor, grace until ")
        case .loginChallenged: return "asked for the code"
        case .loginRejected: return "refused: \(reason)"
        case .loginsRejected: return "refused \(self["count"] ?? "many") more times: \(reason)"
        case .userAdded: return "user added"
        case .userChanged: return "user changed" + detail("change", ": ")
        case .userRemoved: return "user removed"
        case .userUnlocked: return "unlocked"
        case .userErased: return self["events"].map { "erased from \($0) events" } ?? "user removed, to be erased from the trail"
        case .passwordKeepingChanged: return "passwords" + detail("change", ": ")
        case .groupAdded: return "group added" + detail("group", ": ")
        case .groupChanged: return "group " + detail("group") + detail("change", ": ")
        case .groupRemoved: return "group removed" + detail("group", ": ")
        case .clientAdded: return "client added" + detail("addresses", ": ")
        case .clientChanged: return "client changed" + detail("change", ": ")
        case .clientRemoved: return "client removed"
        case .clientPinned: return "Message-Authenticator required from now on" + (source.map { " of \($0)" } ?? "")
        case .clientUnpinned: return "Message-Authenticator no longer required" + detail("source", " of ")
        case .clientSecretViewed: return "shared secret handed out"
        case .factorAdded: return "factor added: " + detail("factor") + labelled
        case .factorChanged: return "factor " + detail("factor") + labelled + detail("change", ": ")
        case .factorRemoved: return "factor removed: " + detail("factor") + labelled
        case .recoveryCodesMade: return "recovery codes made"
        case .policyAdded: return "policy added: " + detail("policy")
        case .policyChanged: return "policy " + detail("policy") + detail("change", ": ")
        case .policyRemoved: return "policy removed: " + detail("policy")
        case .trailCut: return "events" + detail("from", " ") + detail("to", " to ") + " removed by retention"
        case .diskLow: return "little disk space: refusals are counted, not written"
        case .diskRecovered: return "disk space again" + detail("rejects", "; refusals that were not written: ")
        case .sessionDisconnect: return "session" + detail("session", " ") + " to be disconnected: " + detail("answer")
        case .sessionUpdate:
            return "session" + detail("session", " ") + " to be updated with " + detail("attributes") + ": " + detail("answer")
        case .sessionEnded: return "session" + detail("session", " ") + " counts as lost"
        case .nodeStarted: return "node started" + detail("release", ": ")
        case .nodeStopped: return "node stopped"
        case .keyRotationBegun: return "a new master key seals" + detail("key", ": key ")
        case .keyRotated: return "everything is sealed under the new master key" + detail("key", ": key ")
        case .keyCopyConfirmed: return "a copy of the master key was confirmed"
        case .backupBegun: return "backup begun" + detail("key", ", master key ")
        case .backupMade: return "backup made" + detail("key", ", master key ")
        case .restored: return "restored from a backup" + detail("made", " of ") + detail("epoch", ", epoch ")
        case .schemaMigrated: return "database migrated" + detail("from", " from schema ") + detail("to", " to ")
        case .directoryAdded: return "directory added: " + detail("directory") + detail("servers", ", ")
        case .directoryChanged: return "directory " + detail("directory") + detail("change", ": ")
        case .directoryRemoved: return "directory removed: " + detail("directory")
        case .directoryDown: return "directory " + detail("directory") + ": " + detail("server") + " does not answer" + detail("why", ": ")
        case .directoryUp: return "directory " + detail("directory") + ": " + detail("server") + " answers again"
        case .directoryMoved:
            return "directory " + detail("directory") + ": " + detail("server") + detail("addresses", " is ")
                + detail("why", " is not found: ")
        case .directorySynced:
            return "directory " + detail("directory") + detail("why", " could not be synced: ") + detail("counts", " synced: ")
        case .authorityAdded: return "authority made: " + detail("authority") + detail("domains", ", for ")
        case .authorityRemoved: return "authority removed: " + detail("authority")
        case .certificateIssued: return "certificate issued: " + detail("certificate") + detail("usage", ", ")
        case .certificateRevoked: return "certificate revoked: " + detail("certificate") + detail("reason", ", ")
        case .deviceAdded: return "device added" + device + detail("until", ", until ")
        case .deviceRevoked: return "device revoked" + device + detail("reason", ", ")
        case .channelAdded: return "channel added: " + detail("channel") + detail("server", ", ")
        case .channelChanged: return "channel " + detail("channel") + detail("change", ": ")
        case .channelRemoved: return "channel removed: " + detail("channel")
        case .userInvited: return "invited" + detail("channel", " by channel ") + detail("until", ", until ")
        case .invitationOpened: return "link of the invitation opened"
        case .userActivated: return "password set by the link of the invitation"
        case .mailSent: return "mail sent (" + detail("purpose") + ")" + detail("channel", " by channel ")
        case .mailFailed: return "mail not sent (" + detail("purpose") + ")" + detail("why", ": ")
        case .mailDropped: return "mail dropped (" + detail("purpose") + ")"
        case .revocationsFetched:
            return "revocation list " + detail("address") + detail("issuer", ": ") + detail("until", ", until ")
                + detail("why", " cannot be fetched: ")
        case .grantIssued: return "grant " + detail("grant") + " given" + detail("until", " until ") + detail("uses", ", uses: ") + why
        case .grantRevoked: return "grant " + detail("grant") + " revoked"
        }
    }

    private var why: String { subject["grant-reason"].map { ", \($0)" } ?? "" }

    private var device: String { subject["device"].map { ": \"\($0)\"" } ?? "" }

    private var labelled: String {
        guard let label = self["label"], label != self["factor"] else { return "" }
        return " \"\(label)\""
    }
}
