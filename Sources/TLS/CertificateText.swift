// SPDX-License-Identifier: Apache-2.0
// A certificate as text, and what it says.

internal import COpenSSL

/// The first certificate of a PEM text.
package struct CertificateText: Sendable, Equatable {
    package let peer: PeerCertificate
    /// As it is signed (DER).
    package let bytes: [UInt8]
    package let serial: [UInt8]
    /// SHA-1, by which Windows names a certificate; nothing is trusted by it.
    package let thumbprint: [UInt8]
    /// Seconds since 1970.
    package let begins: Int64
    package let isRSA: Bool

    /// - Throws: `unusable`
    package init(pem: [UInt8]) throws(TLSError) {
        let found = IssuedCertificate.read(pem) { PEM_read_bio_X509($0, nil, Callbacks.noPassphrase, nil) }
        guard let found, let peer = PeerCertificate(found) else {
            _ = OpenSSLError.take()
            throw .unusable("this holds no certificate in PEM")
        }
        defer { X509_free(found) }
        self.peer = peer
        bytes = try IssuedCertificate.write { i2d_X509_bio($0, found) }
        var number = [UInt8](repeating: 0, count: 20)
        let count = Int(openssl_serial(found, &number))
        serial = Array(number.prefix(count))
        var digest = [UInt8](repeating: 0, count: 20)
        guard openssl_thumbprint(found, &digest) else { throw IssuedCertificate.failed() }
        thumbprint = digest
        begins = openssl_begin(found)
        isRSA = X509_get0_pubkey(found).map { openssl_is_rsa($0) } ?? false
    }

    /// All certificates of a PEM text, as they are signed (DER).
    package static func chain(pem: [UInt8]) throws(TLSError) -> [[UInt8]] {
        let loaded = try LoadedChain(pem: pem, "the certificate file")
        // What it hands out is freed with it.
        defer { withExtendedLifetime(loaded) {} }
        var chain: [[UInt8]] = []
        for certificate in loaded.certificates { chain.append(try LoadedChain.bytes(of: certificate)) }
        return chain
    }

    /// The name of whoever issued a certificate, from its bytes (DER); nil: they are no certificate.
    package static func issuer(of bytes: [UInt8]) -> String? {
        guard let found = IssuedCertificate.read(bytes, { d2i_X509_bio($0, nil) }) else {
            _ = OpenSSLError.take()
            return nil
        }
        defer { X509_free(found) }
        return PeerCertificate(found)?.issuer
    }

    /// The same certificate in PEM, from its bytes.
    package static func pem(of bytes: [UInt8]) throws(TLSError) -> [UInt8] {
        let found = IssuedCertificate.read(bytes) { d2i_X509_bio($0, nil) }
        guard let found else { throw IssuedCertificate.failed() }
        defer { X509_free(found) }
        return try IssuedCertificate.write { PEM_write_bio_X509($0, found) }
    }
}
