// SPDX-License-Identifier: Apache-2.0
// PKCS #12: a certificate, its key and its authority in one file under a password.

internal import COpenSSL

package enum CertificatePack {
    package enum Strength: String, Sendable, CaseIterable {
        /// Triple DES and HMAC-SHA-1: what iOS, macOS and Windows of every age read.
        case compatible
        /// AES-256 and HMAC-SHA-256.
        case modern
    }

    /// Of the derivation from the password, which is random: whoever guesses has nothing to begin with.
    private static let rounds: CInt = 10_000
    private static let longestPassword = 128

    /// - Parameters:
    ///   - name: what the device shows.
    ///   - password: printable ASCII.
    /// - Throws: `unusable`
    package static func pack(
        _ issued: IssuedCertificate, authority: [UInt8], name: String, password: [UInt8], _ strength: Strength
    ) throws(TLSError) -> [UInt8] {
        guard (1...longestPassword).contains(password.count), password.allSatisfy({ (0x21...0x7e).contains($0) }),
            !name.utf8.contains(0)
        else { throw .unusable("no pack can have this password or name") }
        let own = try LoadedCertificate(issued)
        guard let root = IssuedCertificate.read(authority, { PEM_read_bio_X509($0, nil, Callbacks.noPassphrase, nil) }) else {
            throw IssuedCertificate.failed()
        }
        defer { X509_free(root) }
        var text = password.map { CChar(bitPattern: $0) } + [0]
        defer { for index in text.indices { text[index] = 0 } }
        guard let pack = openssl_pack(text, name, own.key, own.certificate, root, strength == .modern, rounds) else {
            throw IssuedCertificate.failed()
        }
        defer { PKCS12_free(pack) }
        return try IssuedCertificate.write { i2d_PKCS12_bio($0, pack) }
    }
}
