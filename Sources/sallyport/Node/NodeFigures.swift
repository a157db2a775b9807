// SPDX-License-Identifier: Apache-2.0
// Figures of queues and pools, read when somebody asks for `/metrics`.

import Directories
import LoginEngine
import Metrics
import Store
import Synchronization

struct NodeFigures: Sendable {
    let records: Records
    let hashing: BlockingPool
    let logins: Logins
    let passwords: PasswordSources
    let openConversations: @Sendable () -> Int
    let tunnelWork: @Sendable () -> (waiting: Int, shed: Int)
    private let revocation: RevocationFigures

    private let waitingLogins = Gauge(label: "sallyport_logins_waiting")
    private let conversations = Gauge(label: "sallyport_eap_conversations")
    private let tunnelQueue = Gauge(label: "sallyport_eap_tls_queue")
    private let tunnelShed = GrowingFigure("sallyport_eap_tls_shed_total")
    private let keptRejects = Gauge(label: "sallyport_rejects_kept")
    private let writerQueue = Gauge(label: "sallyport_writer_queue")
    private let writerGroups = GrowingFigure("sallyport_writer_groups_total")
    private let writerUnits = GrowingFigure("sallyport_writer_units_total")
    private let writerFailedGroups = GrowingFigure("sallyport_writer_failed_groups_total")
    private let databaseSessions = GrowingFigure("sallyport_database_reconnects_total")
    private let writerShed = GrowingFigure("sallyport_writer_shed_total")
    private let eventsLost = GrowingFigure("sallyport_events_lost_total")
    private let droppedLines = GrowingFigure("sallyport_log_lines_dropped_total")
    private let hashQueue = Gauge(label: "sallyport_hash_queue")
    private let hashShed = GrowingFigure("sallyport_hash_shed_total")
    private let rejectsNotWritten = Gauge(label: "sallyport_rejects_not_written")
    private let openSessions = Gauge(label: "sallyport_sessions_open")
    private let openGrants = Gauge(label: "sallyport_grants_open")
    private let authorityEnds = Gauge(label: "sallyport_ca_ends_seconds")
    private let devices = Gauge(label: "sallyport_devices")
    private let certificatesEnding = Gauge(label: "sallyport_certificates_ending")
    private let certificatesRevoked = Gauge(label: "sallyport_certificates_revoked")
    private let mailsWaiting = Gauge(label: "sallyport_mails_waiting")
    private let mailsFailed = Gauge(label: "sallyport_mails_failed")
    private let mailOldest = Gauge(label: "sallyport_mail_oldest_waiting_seconds")
    private let trailEvents = Gauge(label: "sallyport_trail_events")
    private let trailBytes = Gauge(label: "sallyport_trail_bytes")
    private let trailOldest = Gauge(label: "sallyport_trail_oldest_seconds")

    private let directories = DirectoryFigures()

    init(
        records: Records, hashing: BlockingPool, logins: Logins, passwords: PasswordSources,
        openConversations: @escaping @Sendable () -> Int, tunnelWork: @escaping @Sendable () -> (waiting: Int, shed: Int),
        tunnel: TunnelKeeper
    ) {
        self.records = records
        self.hashing = hashing
        self.logins = logins
        self.passwords = passwords
        self.openConversations = openConversations
        self.tunnelWork = tunnelWork
        revocation = RevocationFigures(tunnel)
    }

    static let help = [
        "sallyport_logins_total": "Logins by result and reason.",
        "sallyport_policy_decisions_total": "Logins decided by a policy, by its name and result.",
        "sallyport_policy_doubts_total": "Logins decided by a policy of which it is not known whether it matches, by what is not known.",
        "sallyport_logins_by_protocol_total": "Logins by EAP, or that showed no password, by protocol and result.",
        "sallyport_logins_waiting": "Logins that wait for a password check or a phone.",
        "sallyport_eap_conversations": "Conversations of EAP that are under way.",
        "sallyport_eap_certificates_total": "Certificates of devices by EAP-TLS, by what became of them in the handshake.",
        "sallyport_eap_crl_ends_seconds":
            "When the first of the revocation lists of other authorities is due to be replaced, in seconds since 1970.",
        "sallyport_eap_crl_fetches_total": "Fetches of revocation lists, by what came of them.",
        "sallyport_eap_ocsp_total": "Words on devices' certificates by OCSP responders, by what they were.",
        "sallyport_eap_staple_ends_seconds":
            "Until when the answer holds that is shown beside the certificate of EAP, in seconds since 1970.",
        "sallyport_eap_conversations_total": "Conversations of EAP, by what became of them.",
        "sallyport_eap_tls_queue": "Packets of EAP-TTLS and PEAP that wait for a thread that speaks TLS.",
        "sallyport_eap_tls_shed_total": "Packets of EAP-TTLS and PEAP that were dropped because too many waited.",
        "sallyport_rejects_kept": "Rejects that wait for their moment.",
        "sallyport_writer_queue": "Changes that wait to be written.",
        "sallyport_writer_groups_total": "Transactions since the start.",
        "sallyport_writer_units_total": "Changes written since the start.",
        "sallyport_writer_failed_groups_total": "Transactions that failed since the start.",
        "sallyport_database_reconnects_total": "Sessions with the database server that were lost and made anew.",
        "sallyport_writer_shed_total": "Changes refused because the queue was full.",
        "sallyport_events_lost_total": "Events that nobody waited for and that found no room.",
        "sallyport_log_lines_dropped_total": "Log lines that nobody read fast enough.",
        "sallyport_hash_queue": "Passwords that wait to be hashed.",
        "sallyport_hash_shed_total": "Passwords that were not hashed because the answer would have come too late.",
        "sallyport_trail_events": "Events in the trail.",
        "sallyport_trail_bytes": "What the trail takes on disk with its indexes, estimated.",
        "sallyport_trail_oldest_seconds": "When the oldest event was written, in seconds since 1970.",
        "sallyport_trail_anchored_seconds": "When the trail was last anchored, in seconds since 1970.",
        "sallyport_trail_anchor_failures_total": "Anchors that could not be made, or not be written to their file.",
        "sallyport_disk_free_bytes": "Free space on the file system of the data directory.",
        "sallyport_disk_low": "1 while space is low and refusals are counted instead of written.",
        "sallyport_disk_reserve_bytes": "Space that is kept for accepts on a full disk.",
        "sallyport_rejects_not_written": "Refusals that were counted and not written since space became low.",
        "sallyport_radius_requests_total": "Datagrams read, whoever sent them.",
        "sallyport_radius_duplicates_total": "Retransmissions: of a request being decided (swallowed) or answered (answered again).",
        "sallyport_radius_renewed_retries_total": "Retries under a new identifier that were recognised.",
        "sallyport_radius_replies_total": "Replies sent by code, retransmissions among them.",
        "sallyport_radsec_connections": "Gateways' connections by TLS that are open.",
        "sallyport_radsec_connections_total": "Connections by TLS that came about.",
        "sallyport_radsec_refused_total": "Connections by TLS that were refused, by cause.",
        "sallyport_radius_dropped_total": "Datagrams that got no answer, by cause.",
        "sallyport_accounting_records_total": "Accounting records by kind, retransmissions of the same packet not among them.",
        "sallyport_sessions_open": "Sessions that gateways carry, as far as they said.",
        "sallyport_grants_open": "Grants of the help desk that are open.",
        "sallyport_grant_uses_total": "Accepts by a grant of the help desk, by its kind.",
        "sallyport_directory_requests_total": "Logins that a directory was asked about, by what became of them.",
        "sallyport_directory_packets_total": "Packets to and from the servers of a directory, by what became of them.",
        "sallyport_directory_requests_waiting": "Logins that wait for a directory.",
        "sallyport_directory_servers_up": "Servers of a directory that answer.",
        "sallyport_directory_names_lost": "Host names of a directory's servers that cannot be looked up at the moment.",
        "sallyport_directory_synced_seconds": "When the users and groups of a directory were last synced, in seconds since 1970; 0: never.",
        "sallyport_directory_sync_duration_seconds": "How long the last sync of a directory took.",
        "sallyport_directory_sync_failures": "Syncs of a directory that failed since the last one that did not.",
        "sallyport_ca_ends_seconds": "When the authority ends, in seconds since 1970; 0 where there is none.",
        "sallyport_devices": "Devices of users whose certificate holds.",
        "sallyport_certificates_ending": "Certificates that hold and end within 30 days.",
        "sallyport_certificates_revoked": "Certificates that were revoked.",
        "sallyport_mails_total": "Tries to send a mail, by what became of them.",
        "sallyport_mails_waiting": "Mails that wait to be sent.",
        "sallyport_mails_failed": "Mails of the last 30 days that are not tried again.",
        "sallyport_mail_oldest_waiting_seconds": "How long the oldest mail that waits has waited; 0 where none does.",
        "sallyport_radius_answer_seconds": "Time from reading a request to its reply; under load every eighth is timed.",
    ]

    func refresh() {
        let writer = records.writer.statistics
        waitingLogins.record(logins.waitingCount)
        keptRejects.record(logins.keptAnswerCount)
        conversations.record(openConversations())
        let tunnel = tunnelWork()
        tunnelQueue.record(tunnel.waiting)
        tunnelShed.reach(tunnel.shed)
        writerQueue.record(writer.waiting)
        writerGroups.reach(writer.groups)
        writerUnits.reach(writer.units)
        writerFailedGroups.reach(writer.failedGroups)
        databaseSessions.reach(writer.sessions)
        writerShed.reach(writer.overloaded)
        eventsLost.reach(writer.afterthoughtsLost)
        droppedLines.reach(LogOutput.standardError.droppedCount)
        hashQueue.record(hashing.load.waiting)
        hashShed.reach(hashing.shedCount)
        rejectsNotWritten.record(records.sparedRejects)
        if let syncs = try? records.syncRecords() { directories.refresh(passwords.figures, syncs: syncs) }
        revocation.refresh(at: NodeClock.now().wall)
        if let open = try? records.openSessions() { openSessions.record(open) }
        let now = NodeClock.now().wall
        if let open = try? records.openGrantCount(at: now) { openGrants.record(open) }
        refreshCertificates(at: now)
        if let outbox = try? records.outboxFigures() {
            mailsWaiting.record(outbox.waiting)
            mailsFailed.record(outbox.failed)
            mailOldest.record(outbox.oldest.map { Double((NodeClock.now().wall - $0).microseconds) / 1_000_000 } ?? 0)
        }
        guard let trail = try? records.trailExtent() else { return }
        trailEvents.record(trail.events)
        trailBytes.record(trail.bytes)
        trailOldest.record(trail.oldest?.seconds ?? 0)
    }

    private func refreshCertificates(at now: Timestamp) {
        guard let authority = try? records.authorities().first,
            let figures = try? records.certificateFigures(at: now, endingBefore: now + .minutes(30 * 24 * 60))
        else { return authorityEnds.record(0) }
        authorityEnds.record(authority.ends.seconds)
        devices.record(figures.devices)
        certificatesEnding.record(figures.ending)
        certificatesRevoked.record(figures.revoked)
    }
}

/// A number that its owner counts from zero, as a counter.
final class GrowingFigure: Sendable {
    private let counter: Counter
    private let last = Mutex(0)

    init(_ label: String, _ dimensions: [(String, String)] = []) {
        counter = Counter(label: label, dimensions: dimensions)
    }

    func reach(_ value: Int) {
        last.withLock { last in
            guard value > last else { return }
            counter.increment(by: value - last)
            last = value
        }
    }
}
