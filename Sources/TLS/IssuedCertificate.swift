// SPDX-License-Identifier: Apache-2.0
// Certificates that this program makes: of an authority of its own, and of a server that the authority vouches for.

internal import COpenSSL

/// A certificate and its key, both in PEM. P-256.
package struct IssuedCertificate: Sendable {
    package let certificate: [UInt8]
    /// A private key: never printed.
    package let key: [UInt8]

    package init(certificate: [UInt8], key: [UInt8]) {
        (self.certificate, self.key) = (certificate, key)
    }

    /// Longest name of a host (RFC 1035 §2.3.4); the common name has room for 64 (RFC 5280 §A.1).
    package static let longestName = 64

    /// - Parameters:
    ///   - name: letters, digits, dots and hyphens.
    ///   - authority: nil: it becomes an authority itself.
    ///   - serial: 16 random bytes.
    /// - Throws: `unusable`
    package init(name: String, of authority: IssuedCertificate?, serial: [UInt8], days: Int) throws(TLSError) {
        let isName = !name.isEmpty && name.utf8.count <= Self.longestName && name.utf8.allSatisfy(PeerCertificate.isOfName)
        guard isName, serial.count == 16 else { throw .unusable("no certificate can have this name") }
        // A number is positive, and no longer than 20 bytes (RFC 5280 §4.1.2.2).
        let number = [serial[0] & 0x7f | 0x40] + serial.dropFirst()
        guard let own = openssl_make_key() else { throw Self.failed() }
        defer { EVP_PKEY_free(own) }
        let made: OpaquePointer?
        if let authority {
            guard let issuer = Self.read(authority.certificate, { PEM_read_bio_X509($0, nil, Callbacks.noPassphrase, nil) }) else {
                throw Self.failed()
            }
            defer { X509_free(issuer) }
            guard let key = Self.read(authority.key, { PEM_read_bio_PrivateKey($0, nil, Callbacks.noPassphrase, nil) }) else {
                throw Self.failed()
            }
            defer { EVP_PKEY_free(key) }
            made = openssl_make_certificate(own, name, issuer, key, number, days)
        } else {
            made = openssl_make_certificate(own, name, nil, own, number, days)
        }
        guard let made else { throw Self.failed() }
        defer { X509_free(made) }
        certificate = try Self.write { PEM_write_bio_X509($0, made) }
        key = try Self.write { PEM_write_bio_PKCS8PrivateKey($0, own, nil, nil, 0, nil, nil) }
    }

    /// Whether the authority signed it: by its key, not by its name alone.
    package func isIssued(by authority: IssuedCertificate) -> Bool {
        guard let own = Self.read(certificate, { PEM_read_bio_X509($0, nil, Callbacks.noPassphrase, nil) }) else { return false }
        defer { X509_free(own) }
        guard let issuer = Self.read(authority.certificate, { PEM_read_bio_X509($0, nil, Callbacks.noPassphrase, nil) }) else {
            return false
        }
        defer { X509_free(issuer) }
        defer { ERR_clear_error() }
        return openssl_issued(own, issuer)
    }

    static func read(_ pem: [UInt8], _ body: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
        pem.withUnsafeBytes { bytes in
            guard let memory = BIO_new_mem_buf(bytes.baseAddress, CInt(clamping: bytes.count)) else { return nil }
            defer { BIO_free(memory) }
            return body(memory)
        }
    }

    static func write(_ body: (OpaquePointer) -> CInt) throws(TLSError) -> [UInt8] {
        guard let memory = openssl_memory() else { throw failed() }
        defer { BIO_free(memory) }
        guard body(memory) == 1 else { throw failed() }
        var bytes = [UInt8](repeating: 0, count: Int(openssl_pending(memory)))
        let count = CInt(clamping: bytes.count)
        guard BIO_read(memory, &bytes, count) == count else { throw failed() }
        return bytes
    }

    static func failed() -> TLSError {
        .unusable(OpenSSLError.take().map { "no certificate can be made: \($0.words)" } ?? "no certificate can be made")
    }
}
