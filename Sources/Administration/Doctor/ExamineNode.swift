// SPDX-License-Identifier: Apache-2.0
// Examines what the node knows: database, key, clients, users, and the process itself. Changes nothing and leaves no event.

internal import Dispatch
internal import LoginEngine
internal import Store

package struct ExamineNode: AdminOperation {
    package static let verb = "doctor.examine"
    /// Seconds for looking through the database.
    package static let longest = 600

    package var seconds: Int

    package init(seconds: Int = 10) {
        self.seconds = seconds
    }

    package struct Answer: Codable, Sendable {
        package var findings: [Finding]
        /// Where RADIUS answers; where no node runs, what its settings say.
        package var radius: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let seconds = try Valid.number(seconds, in: 0...Self.longest, "database-seconds")
        // Looking through a database blocks: not on a thread that logins need.
        let found: [Finding] = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(returning: Self.findings(operations, seconds: seconds)) }
        }
        return Answer(findings: operations.ports.examine() + found, radius: operations.ports.radiusAddresses())
    }

    private static func findings(_ operations: Operations, seconds: Int) -> [Finding] {
        let records = operations.records
        var findings: [Finding] = []
        /// A check that cannot read says so and keeps no other from looking.
        func examine(_ part: String, _ check: () throws(StoreError) -> [Finding]) {
            do throws(StoreError) {
                findings += try check()
            } catch {
                let kind: Finding.Kind = error.code == .damaged ? .databaseDamaged : .dataUnavailable
                findings.append(Finding(kind, part, "The \(part) cannot be read: \(error.what).", remedy: DatabaseCheck.restore))
            }
        }
        examine("trail") { () throws(StoreError) in
            TrailClockCheck.findings(newest: try records.events(EventFilter(limit: 1)).first?.event.at, now: operations.now())
        }
        examine("trail") { () throws(StoreError) in
            guard let evidence = try records.evidence() else { return [] }
            return [
                Finding(
                    .trailEdited, nil,
                    "\(Words.count(evidence.groups, "group")) of the trail, from event \(evidence.first) on, "
                        + "\(evidence.groups == 1 ? "was" : "were") edited, and retention left them as evidence.",
                    remedy: "See `sallyport audit verify`, and find out who can write to the database.")
            ]
        }
        examine("database") { () throws(StoreError) in
            DatabaseCheck.findings(try records.examine(within: .seconds(Int64(seconds))), health: records.health())
        }
        examine("key") { () throws(StoreError) in
            KeyCheck.findings(try records.keyStatus(), dataDirectory: operations.ports.dataDirectory, damaged: records.damagedSecrets)
        }
        examine("clients") { () throws(StoreError) in
            ClientCheck.findings(
                try records.clients(), pinned: Set(try records.pins(ofClient: nil).map(\.client)), policies: try records.policySet().table)
                + ReplyCheck.findings(
                    clients: try records.clients(), groups: try records.groups(), policies: try records.policySet().records.map(\.policy),
                    operations.ports.replies)
        }
        examine("policies") { () throws(StoreError) in try PolicyCheck.findings(operations) }
        examine("sessions") { () throws(StoreError) in try SessionLimitCheck.findings(records) }
        examine("gateways") { () throws(StoreError) in
            let port = operations.ports.accountingAddresses().first?.split(separator: ":").last.map(String.init)
            return GatewayCheck.findings(try records.clients(), accountingPort: port, habits: operations.ports.habits)
        }
        examine("directories") { () throws(StoreError) in
            DirectorySettingsCheck.findings(
                try records.directories(), uses: try operations.directoryUses(), syncs: try records.syncRecords(), now: operations.now())
        }
        examine("channels") { () throws(StoreError) in
            MailCheck.findings(
                try records.channels(), try records.outboxFigures(), hasPages: operations.ports.publicURL() != nil, now: operations.now())
        }
        examine("certificates") { () throws(StoreError) in
            let now = operations.now()
            let end = now + .minutes(Int64(CertificateCheck.certificateDays) * 24 * 60)
            return CertificateCheck.findings(
                try records.authorities(), try records.certificateFigures(at: now, endingBefore: end), now: now)
        }
        examine("backups") { () throws(StoreError) in
            // The first key is nobody's successor.
            let key = try records.keyStatus()
            return BackupCheck.findings(
                last: try records.lastBackup(), keySince: key.id > 1 ? key.since : nil, users: try records.userFigures().active,
                now: operations.now())
        }
        examine("users") { () throws(StoreError) in UserCheck.findings(try records.userFigures()) }
        examine("grants") { () throws(StoreError) in
            let now = operations.now()
            let names = EventNames(records)
            return GrantCheck.findings(
                try records.grants(GrantFilter(openAt: now, limit: 1000)), count: try records.openGrantCount(at: now),
                name: { names.user($0) })
        }
        examine("passwords") { () throws(StoreError) in
            var kept: [PasswordKeeping.Part: Int] = [:]
            let keeping = try records.passwordKeeping()
            for part in PasswordKeeping.Part.allCases {
                let users = try records.keptCount(part)
                if users > 0 || keeping.parts.contains(part) { kept[part] = users }
            }
            return UserCheck.findings(kept: kept)
        }
        return findings
    }
}

/// Codes and locks go by the clock, and the trail is never written backwards on purpose.
enum TrailClockCheck {
    /// Two nodes, or a slow disk, may differ by this.
    static let tolerance = Timestamp.Span.seconds(5)

    static func findings(newest: Timestamp?, now: Timestamp) -> [Finding] {
        guard let newest, newest > now + tolerance else { return [] }
        let ahead = (newest - now).microseconds / 1_000_000
        return [
            Finding(
                .clockBehindTrail, nil,
                "The newest event of the trail lies \(Words.count(Int(ahead), "second")) in the future: the clock was set back.",
                remedy: "Set the clock right (`timedatectl`). Until then codes of time-based tokens are refused, and locks last longer.")
        ]
    }
}
