// SPDX-License-Identifier: Apache-2.0
// The list of certificates that an authority has taken back (RFC 5280 §5).

internal import COpenSSL

package struct RevocationList: Sendable, Equatable {
    /// Why one was taken back (RFC 5280 §5.3.1).
    package enum Reason: Int, Sendable, CaseIterable {
        case unspecified = 0
        case keyCompromise = 1
        case affiliationChanged = 3
        case superseded = 4
        case cessation = 5
        /// It may come back.
        case hold = 6
    }

    package struct Entry: Sendable, Equatable {
        package var serial: [UInt8]
        /// Seconds since 1970.
        package var at: Int64
        package var reason: Reason

        package init(serial: [UInt8], at: Int64, reason: Reason) {
            (self.serial, self.at, self.reason) = (serial, at, reason)
        }
    }

    package let pem: [UInt8]
    /// DER, as devices and gateways fetch it.
    package let bytes: [UInt8]

    /// - Parameters:
    ///   - at: seconds since 1970.
    ///   - next: when there is a newer one at the latest.
    ///   - number: grows from list to list, or the older one is kept.
    /// - Throws: `unusable`
    package init(_ entries: [Entry], by authority: IssuedCertificate, at: Int64, next: Int64, number: Int64) throws(TLSError) {
        guard at < next, entries.allSatisfy({ (1...20).contains($0.serial.count) }) else {
            throw .unusable("no revocation list can say this")
        }
        let issuer = try LoadedCertificate(authority)
        guard let list = openssl_new_list(issuer.certificate, at, next) else { throw IssuedCertificate.failed() }
        defer { X509_CRL_free(list) }
        for entry in entries {
            guard openssl_add_revoked(list, entry.serial, CInt(entry.serial.count), entry.at, CInt(entry.reason.rawValue)) else {
                throw IssuedCertificate.failed()
            }
        }
        guard openssl_sign_list(list, issuer.certificate, issuer.key, number) else { throw IssuedCertificate.failed() }
        pem = try IssuedCertificate.write { PEM_write_bio_X509_CRL($0, list) }
        bytes = try IssuedCertificate.write { i2d_X509_CRL_bio($0, list) }
    }
}
