// SPDX-License-Identifier: Apache-2.0
// A revocation list that somebody else signed, as it comes from a distribution point (RFC 5280 §5): who signed it, its number and its times.

internal import COpenSSL

package struct SignedRevocationList: Sendable, Equatable {
    package let pem: [UInt8]
    /// Who signed it, as RFC 2253 writes it.
    package let issuer: String
    /// Without leading zeros; empty where it has none. Never goes back (RFC 5280 §5.2.3).
    package let number: [UInt8]
    /// Seconds since 1970.
    package let begins: Int64
    /// When the next one is due.
    package let ends: Int64

    /// - Parameters:
    ///   - bytes: PEM or DER.
    ///   - authorities: PEM: one of them must have signed it, and be allowed to.
    /// - Throws: `unusable`
    package init(_ bytes: [UInt8], by authorities: [UInt8]) throws(TLSError) {
        // RFC 5280 §5.1: a SEQUENCE.
        let isDER = bytes.first == 0x30
        let found = IssuedCertificate.read(bytes) {
            isDER ? d2i_X509_CRL_bio($0, nil) : PEM_read_bio_X509_CRL($0, nil, Callbacks.noPassphrase, nil)
        }
        guard let found else {
            _ = OpenSSLError.take()
            throw .unusable("it is no revocation list, neither in DER nor in PEM")
        }
        defer { X509_CRL_free(found) }
        issuer = PeerCertificate.text(X509_CRL_get_issuer(found))
        // A part of a list (RFC 5280 §5.2.4) says nothing by itself.
        guard !openssl_list_is_delta(found) else { throw .unusable("it is a delta of \(issuer)'s list; whole lists are read alone") }
        let trusted = try LoadedChain(pem: authorities, "the file of certificate authorities")
        defer { withExtendedLifetime(trusted) {} }
        let isSigned = trusted.certificates.contains { openssl_signed_list(found, $0) }
        // A wrong signature leaves its words behind.
        ERR_clear_error()
        guard isSigned else { throw .unusable("the list of \(issuer) is signed by none of the authorities that are trusted") }
        (begins, ends) = (openssl_list_begin(found), openssl_list_end(found))
        guard ends != .max else { throw .unusable("the list of \(issuer) does not say when its next one is due") }
        var room = [UInt8](repeating: 0, count: 20)
        let count = openssl_list_number(found, &room)
        guard count >= 0 else { throw .unusable("the list of \(issuer) has a number that is none") }
        number = Array(room.prefix(Int(count)))
        pem = try IssuedCertificate.write { PEM_write_bio_X509_CRL($0, found) }
    }

    /// Whether this one may stand in the other's place: of the same authority, with no lower number, and begun no earlier.
    package func succeeds(_ other: SignedRevocationList) -> Bool {
        guard issuer == other.issuer, begins >= other.begins else { return false }
        return number.count == other.number.count ? !number.lexicographicallyPrecedes(other.number) : number.count > other.number.count
    }
}
