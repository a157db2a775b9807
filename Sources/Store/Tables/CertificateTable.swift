// SPDX-License-Identifier: Apache-2.0
// certificate and device: what was issued, to whom, and what was taken back.

package import LoginEngine

package enum CertificateUsage: String, Sendable, CaseIterable {
    case server
    case client
}

/// Why a certificate was taken back; the raw value is stored (RFC 5280 §5.3.1).
package enum RevocationReason: String, Sendable, CaseIterable {
    case unspecified
    case keyCompromise = "key-compromise"
    case affiliationChanged = "affiliation-changed"
    case superseded
    case cessation
    /// Never stored: of a device whose user is disabled, until the user is enabled again.
    case hold
}

package struct NewCertificate: Sendable {
    package struct Device: Sendable {
        package var user: Int64
        package var label: String

        package init(user: Int64, label: String) {
            (self.user, self.label) = (user, label)
        }
    }

    package var authority: Int64
    package var serial: [UInt8]
    /// SHA-256.
    package var fingerprint: [UInt8]
    package var usage: CertificateUsage
    /// Its name; nil for a device, which has the user's.
    package var subject: String?
    package var begins: Timestamp
    package var ends: Timestamp
    package var issuedBy: String
    package var device: Device?

    package init(
        authority: Int64, serial: [UInt8], fingerprint: [UInt8], usage: CertificateUsage, begins: Timestamp, ends: Timestamp,
        issuedBy: String
    ) {
        (self.authority, self.serial, self.fingerprint, self.usage) = (authority, serial, fingerprint, usage)
        (self.begins, self.ends, self.issuedBy) = (begins, ends, issuedBy)
    }
}

package struct CertificateRecord: Sendable, Equatable {
    package struct Device: Sendable, Equatable {
        package var user: Int64
        package var userName: String
        package var label: String
        /// Its user is disabled.
        package var isHeld: Bool
    }

    package struct Revocation: Sendable, Equatable {
        package var at: Timestamp
        package var reason: RevocationReason
    }

    package var id: Int64
    package var authority: Int64
    package var serial: [UInt8]
    package var fingerprint: [UInt8]
    package var usage: CertificateUsage
    package var subject: String?
    package var begins: Timestamp
    package var ends: Timestamp
    package var issuedBy: String
    package var revocation: Revocation?
    package var device: Device?
}

package struct RevokedSerial: Sendable, Equatable {
    package var serial: [UInt8]
    package var at: Timestamp
    package var reason: RevocationReason
}

package struct CertificateFigures: Sendable, Equatable {
    /// Devices whose certificate holds.
    package var devices: Int
    /// Certificates that hold and end within what was asked for.
    package var ending: Int
    package var revoked: Int

    package init(devices: Int, ending: Int, revoked: Int) {
        (self.devices, self.ending, self.revoked) = (devices, ending, revoked)
    }
}

extension Records {
    package func addCertificate(_ new: NewCertificate, event: Event) async throws(StoreError) -> Int64 {
        var guards = [
            Unit.Guard(
                Statement(
                    .insertCertificate,
                    [
                        .integer(new.authority), .blob(new.serial), .blob(new.fingerprint), .text(new.usage.rawValue), .text(new.subject),
                        .integer(new.begins.microseconds), .integer(new.ends.microseconds), .text(new.issuedBy),
                    ]))
        ]
        if let device = new.device { guards.append(Unit.Guard(Statement(.userIsThere, [.integer(device.user)]))) }
        let unit = Unit(guarded: guards) { rows in
            guard let device = new.device, let id = try? rows[0].first?.integer(0) else { return [Statement(.raiseRevision)] }
            return [
                Statement(.insertDevice, [.integer(id), .integer(device.user), .text(device.label)]), Statement(.raiseRevision),
            ]
        }
        let taken = StoreError(.notAllowed, "there is a certificate of this number already", remedy: "Try again.")
        let rows = try await change(unit, refusals: [taken, Self.noUser]) { _ in [new.device.map { event.about(user: $0.user) } ?? event] }
        do throws(DatabaseError) { return try rows[0][0].integer(0) } catch { throw StoreError(error) }
    }

    package func revokeCertificate(
        _ certificate: Int64, _ reason: RevocationReason, at: Timestamp, event: Event
    ) async throws(StoreError) {
        let values: [SQLValue] = [.integer(certificate), .integer(at.microseconds), .text(reason.rawValue)]
        let unit = Unit(guarded: [Unit.Guard(Statement(.revokeCertificate, values))]) { _ in [Statement(.raiseRevision)] }
        try await change(unit, refusals: [StoreError(.notAllowed, "the certificate is revoked already, or gone")]) { _ in [event] }
    }

    /// Goes before the user's row does: afterwards nobody knows whose they were.
    static func revokeDevices(ofUser user: Int64, at: Timestamp) -> Unit.Guard {
        Unit.Guard(
            Statement(
                .revokeDevices, [.integer(user), .integer(at.microseconds), .text(RevocationReason.cessation.rawValue)]), rows: nil)
    }

    /// The newest first.
    package func certificates(ofUser user: Int64? = nil) throws(StoreError) -> [CertificateRecord] {
        try certificates(Statement(user == nil ? .allCertificates : .certificatesOfUser, user.map { [.integer($0)] } ?? []))
    }

    package func certificate(fingerprint: [UInt8]) throws(StoreError) -> CertificateRecord? {
        try certificates(Statement(.certificateByFingerprint, [.blob(fingerprint)])).first
    }

    /// SHA-256 of what was issued here and lets no gateway in: what is revoked, servers' and devices' certificates.
    package func certificatesOfNoGateway() throws(StoreError) -> [[UInt8]] {
        try read([Statement(.certificatesOfNoGateway)]) { results throws(DatabaseError) in
            var found: [[UInt8]] = []
            for row in results[0] { found.append(try row.blob(0)) }
            return found
        }
    }

    /// What belongs on an authority's list: what was revoked, and devices of users who are disabled.
    /// - Parameter ended: what ended before needs no place on it (RFC 5280 §3.3).
    package func revokedSerials(
        ofAuthority authority: Int64, endedAfter ended: Timestamp, at now: Timestamp
    ) throws(StoreError) -> [RevokedSerial] {
        try read([Statement(.revokedSerials, [.integer(authority), .integer(ended.microseconds)])]) { results throws(DatabaseError) in
            var found: [RevokedSerial] = []
            for row in results[0] {
                guard let at = try row.integerIfAny(1) else {
                    found.append(RevokedSerial(serial: try row.blob(0), at: now, reason: .hold))
                    continue
                }
                let reason = try row.textIfAny(2).flatMap { RevocationReason(rawValue: $0) } ?? .unspecified
                found.append(RevokedSerial(serial: try row.blob(0), at: Timestamp(microseconds: at), reason: reason))
            }
            return found
        }
    }

    package func certificateFigures(at now: Timestamp, endingBefore end: Timestamp) throws(StoreError) -> CertificateFigures {
        let values: [SQLValue] = [.integer(now.microseconds), .integer(end.microseconds)]
        return try read([Statement(.certificateFigures, values)]) { results throws(DatabaseError) in
            let row = results[0][0]
            return CertificateFigures(
                devices: Int(try row.integer(0)), ending: Int(try row.integer(1)), revoked: Int(try row.integer(2)))
        }
    }

    private func certificates(_ statement: Statement) throws(StoreError) -> [CertificateRecord] {
        try read([statement]) { results throws(DatabaseError) in
            var found: [CertificateRecord] = []
            for row in results[0] { found.append(try Self.certificate(row)) }
            return found
        }
    }

    private static func certificate(_ row: Row) throws(DatabaseError) -> CertificateRecord {
        guard let usage = CertificateUsage(rawValue: try row.text(4)) else { throw .unexpectedValue(4) }
        var record = CertificateRecord(
            id: try row.integer(0), authority: try row.integer(1), serial: try row.blob(2), fingerprint: try row.blob(3), usage: usage,
            subject: try row.textIfAny(5), begins: Timestamp(microseconds: try row.integer(6)),
            ends: Timestamp(microseconds: try row.integer(7)), issuedBy: try row.text(8))
        if let at = try row.integerIfAny(9) {
            let reason = try row.textIfAny(10).flatMap { RevocationReason(rawValue: $0) } ?? .unspecified
            record.revocation = CertificateRecord.Revocation(at: Timestamp(microseconds: at), reason: reason)
        }
        if let user = try row.integerIfAny(11) {
            record.device = CertificateRecord.Device(
                user: user, userName: try row.text(13), label: try row.text(12), isHeld: try row.text(14) == UserStatus.disabled.rawValue)
        }
        return record
    }
}

extension SQL {
    fileprivate static let insertCertificate = SQL(
        """
        INSERT INTO certificate (authority, serial, fingerprint, usage, subject, begins, ends, issued_by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING RETURNING id
        """)
    fileprivate static let insertDevice = SQL("INSERT INTO device (certificate, \"user\", label) VALUES (?1, ?2, ?3)")
    fileprivate static let revokeCertificate = SQL(
        "UPDATE certificate SET revoked = ?2, reason = ?3 WHERE id = ?1 AND revoked IS NULL")
    fileprivate static let revokeDevices = SQL(
        """
        UPDATE certificate SET revoked = ?2, reason = ?3
        WHERE revoked IS NULL AND id IN (SELECT certificate FROM device WHERE "user" = ?1)
        """)
    fileprivate static let allCertificates = SQL(
        """
        SELECT c.id, c.authority, c.serial, c.fingerprint, c.usage, c.subject, c.begins, c.ends, c.issued_by, c.revoked, c.reason,
            d."user", d.label, u.name, u.status
        FROM certificate c LEFT JOIN device d ON d.certificate = c.id LEFT JOIN "user" u ON u.id = d."user" ORDER BY c.id DESC
        """)
    fileprivate static let certificatesOfUser = SQL(
        """
        SELECT c.id, c.authority, c.serial, c.fingerprint, c.usage, c.subject, c.begins, c.ends, c.issued_by, c.revoked, c.reason,
            d."user", d.label, u.name, u.status
        FROM device d JOIN certificate c ON c.id = d.certificate JOIN "user" u ON u.id = d."user" WHERE d."user" = ?1 ORDER BY c.id DESC
        """)
    fileprivate static let certificateByFingerprint = SQL(
        """
        SELECT c.id, c.authority, c.serial, c.fingerprint, c.usage, c.subject, c.begins, c.ends, c.issued_by, c.revoked, c.reason,
            d."user", d.label, u.name, u.status
        FROM certificate c LEFT JOIN device d ON d.certificate = c.id LEFT JOIN "user" u ON u.id = d."user" WHERE c.fingerprint = ?1
        """)
    /// Of a settlement (`Settlement.certificate`).
    static let certificateHolds = SQL(
        """
        SELECT 1 FROM certificate c JOIN device d ON d.certificate = c.id WHERE c.fingerprint = ?1 AND c.revoked IS NULL AND d."user" = ?2
        """)
    fileprivate static let revokedSerials = SQL(
        """
        SELECT c.serial, c.revoked, c.reason
        FROM certificate c LEFT JOIN device d ON d.certificate = c.id LEFT JOIN "user" u ON u.id = d."user"
        WHERE c.authority = ?1 AND c.ends > ?2 AND (c.revoked IS NOT NULL OR u.status = 'disabled') ORDER BY c.id
        """)
    fileprivate static let certificatesOfNoGateway = SQL(
        """
        SELECT c.fingerprint FROM certificate c LEFT JOIN device d ON d.certificate = c.id
        WHERE c.revoked IS NOT NULL OR c.usage <> 'client' OR d.certificate IS NOT NULL
        """)
    fileprivate static let certificateFigures = SQL(
        """
        SELECT count(CASE WHEN d.certificate IS NOT NULL AND c.revoked IS NULL AND c.ends > ?1 THEN 1 END),
            count(CASE WHEN c.revoked IS NULL AND c.ends > ?1 AND c.ends <= ?2 THEN 1 END), count(c.revoked)
        FROM certificate c LEFT JOIN device d ON d.certificate = c.id
        """)
}
