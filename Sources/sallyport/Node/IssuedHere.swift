// SPDX-License-Identifier: Apache-2.0
// Certificates of devices that the authority of the database has issued: each is good for its row alone, whatever it says of its holder.

import Foundation
import LoginEngine
import RADIUSDoor
import Store
import Synchronization
import TLS

final class IssuedHere: Sendable {
    private let records: Records
    /// As RFC 2253 writes them: those that are trusted, and every one that ever was in this process. A handshake that began before an
    /// authority was taken away still trusts it, and so does the node where what came after cannot be taken into force.
    private let issuers = Mutex<(trusted: Set<String>, ever: Set<String>)>(([], []))

    init(records: Records) {
        self.records = records
    }

    /// Whose a certificate is. One of an authority of ours without a row, or whose user is gone, counts as revoked: the name in it may be
    /// another user's by now. Of other authorities' there is no row, so their names count.
    func registered(_ certificate: CertificateProof) throws(NoAnswer) -> RegisteredCertificate? {
        let record: CertificateRecord?
        do throws(StoreError) {
            record = try records.certificate(fingerprint: certificate.fingerprint)
        } catch {
            throw .databaseUnavailable
        }
        guard let record else {
            let isOurs = issuers.withLock { $0.ever.contains(certificate.issuer) }
            return isOurs ? RegisteredCertificate(user: 0, name: "", isRevoked: true) : nil
        }
        guard let device = record.device else { return RegisteredCertificate(user: 0, name: "", isRevoked: true) }
        return RegisteredCertificate(user: device.user, name: device.userName, isRevoked: record.revocation != nil)
    }

    /// Whether an authority of this name is, or was, one of ours: its rows say all.
    func isOurs(issuer: String) -> Bool { issuers.withLock { $0.ever.contains(issuer) } }

    /// Subjects of the authorities that handshakes trust.
    var subjects: Set<String> { issuers.withLock { $0.trusted } }

    /// Changes whenever an authority is made or taken away.
    func mark() throws(StoreError) -> [String] { try records.authorities().map(\.certificate) }

    /// Lets handshakes trust what was issued here, beside what the files say.
    func extend(_ trust: inout DeviceTrust, at now: Timestamp) throws {
        let authorities = try records.authorities()
        let subjects = try authorities.map { try CertificateText(pem: Array($0.certificate.utf8)).peer.subject }
        issuers.withLock { $0 = (Set(subjects), $0.ever.union(subjects)) }
        trust.rules.registered = { [self] certificate throws(NoAnswer) in try registered(certificate) }
        for authority in authorities {
            trust.authorities += Array(authority.certificate.utf8) + [0x0A]
            // Where lists are looked up at all, an authority without one lets nobody in. Its rows say what is revoked, at each login.
            guard trust.looksUpRevocations, let key = authority.key, authority.ends > now else { continue }
            let own = IssuedCertificate(certificate: Array(authority.certificate.utf8), key: key.reveal { Array($0) })
            trust.revocations += try RevocationList([], by: own, at: now.seconds, next: authority.ends.seconds, number: 1).pem + [0x0A]
        }
    }
}
