// SPDX-License-Identifier: Apache-2.0
// What a certificate is to say, and making one of it: by itself for an authority, by the authority for all others.

internal import COpenSSL

package enum CertificateKey: String, Sendable, CaseIterable {
    case p256
    /// For devices that know no elliptic curves.
    case rsa3072

    fileprivate func make() -> OpaquePointer? {
        switch self {
        case .p256: openssl_make_key()
        case .rsa3072: openssl_make_rsa_key(3072)
        }
    }
}

package struct CertificateDraft: Sendable, Equatable {
    package enum Usage: Sendable, Equatable {
        /// `domains`: names of servers that it can vouch for, those below them among them; empty: every one.
        case authority(domains: [String])
        /// Servers of TLS and gateways of IPsec.
        case server
        case client
    }

    package var usage: Usage
    /// Of any characters but control characters.
    package var commonName: String
    package var dnsNames: [String] = []
    package var mails: [String] = []
    /// User principal names.
    package var principals: [String] = []
    /// Seconds since 1970.
    package var begins: Int64
    package var ends: Int64
    /// 16 random bytes.
    package var serial: [UInt8]

    package init(_ usage: Usage, commonName: String, begins: Int64, ends: Int64, serial: [UInt8]) {
        (self.usage, self.commonName, self.begins, self.ends) = (usage, commonName, begins, ends)
        self.serial = serial
    }

    /// RFC 5280 §A.1: ub-common-name.
    package static let longestCommonName = 64
    /// RFC 1035 §2.3.4; RFC 5321 §4.5.3.1.3.
    package static let longestName = 253

    /// A number is positive, has at least 64 random bits, and is no longer than 20 bytes (RFC 5280 §4.1.2.2).
    fileprivate var number: [UInt8] { [serial[0] & 0x7f | 0x40] + serial.dropFirst() }

    fileprivate var isSound: Bool {
        func isText(_ text: String) -> Bool {
            (1...Self.longestName).contains(text.utf8.count) && !text.utf8.contains { $0 < 0x20 || $0 == 0x7f }
        }
        func isASCII(_ text: String) -> Bool { isText(text) && text.utf8.allSatisfy { $0 < 0x80 } }
        func isHost(_ text: String) -> Bool { isText(text) && text.utf8.allSatisfy(PeerCertificate.isOfName) }
        let domains = if case .authority(let domains) = usage { domains } else { [String]() }
        return serial.count == 16 && begins < ends && isText(commonName) && commonName.unicodeScalars.count <= Self.longestCommonName
            && dnsNames.allSatisfy { isHost($0.hasPrefix("*.") ? String($0.dropFirst(2)) : $0) } && mails.allSatisfy(isASCII)
            && principals.allSatisfy(isText) && domains.allSatisfy(isHost)
    }
}

extension IssuedCertificate {
    /// - Parameter authority: nil: it is one itself.
    /// - Throws: `unusable`
    package init(_ draft: CertificateDraft, key kind: CertificateKey, by authority: IssuedCertificate?) throws(TLSError) {
        guard draft.isSound else { throw .unusable("no certificate can say this") }
        guard let own = kind.make() else { throw Self.failed() }
        defer { EVP_PKEY_free(own) }
        let number = draft.number
        guard let made = openssl_new_certificate(own, number, CInt(number.count), draft.begins, draft.ends) else { throw Self.failed() }
        defer { X509_free(made) }
        var name = Array(draft.commonName.utf8)
        guard openssl_add_name(made, "CN", &name, CInt(name.count)) else { throw Self.failed() }
        if let authority {
            let issuer = try LoadedCertificate(authority)
            guard openssl_set_issuer(made, issuer.certificate) else { throw Self.failed() }
            try Self.extend(made, draft, issuer: issuer.certificate, isRSA: kind == .rsa3072)
            guard openssl_sign(made, issuer.key) else { throw Self.failed() }
        } else {
            guard openssl_set_issuer(made, made) else { throw Self.failed() }
            try Self.extend(made, draft, issuer: made, isRSA: kind == .rsa3072)
            guard openssl_sign(made, own) else { throw Self.failed() }
        }
        self.init(
            certificate: try Self.write { PEM_write_bio_X509($0, made) },
            key: try Self.write { PEM_write_bio_PKCS8PrivateKey($0, own, nil, nil, 0, nil, nil) })
    }

    private static func extend(
        _ made: OpaquePointer, _ draft: CertificateDraft, issuer: OpaquePointer, isRSA: Bool
    ) throws(TLSError) {
        var parts: [(CInt, String)] = []
        switch draft.usage {
        case .authority(let domains):
            parts = [(NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign")]
            if !domains.isEmpty {
                // No address is a name of the domain. Not critical, against RFC 5280 §4.2.1.10: strongSwan reads certificates by OpenSSL on
                // many systems, Android among them, and takes none then that holds this as critical. Who knows it minds it all the same.
                let addresses = "excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"
                parts.append((NID_name_constraints, domains.map { "permitted;DNS:\($0)," }.joined() + addresses))
            }
        case .server:
            parts = [
                (NID_basic_constraints, "critical,CA:FALSE"),
                (NID_key_usage, "critical,digitalSignature" + (isRSA ? ",keyEncipherment" : "")),
                // ikeIntermediate: older Macs take no gateway without it.
                (NID_ext_key_usage, "serverAuth,1.3.6.1.5.5.8.2.2"),
            ]
        case .client:
            parts = [
                (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
                (NID_ext_key_usage, "clientAuth"),
            ]
        }
        parts += [(NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid:always")]
        for (kind, value) in parts {
            guard openssl_add_extension(made, issuer, kind, value) else { throw failed() }
        }
        guard let names = openssl_new_names() else { throw failed() }
        defer { openssl_free_names(names) }
        func all(_ texts: [String], _ add: ([UInt8], CInt) -> Bool) -> Bool {
            texts.allSatisfy { add(Array($0.utf8), CInt($0.utf8.count)) }
        }
        guard all(draft.dnsNames, { openssl_add_ascii_name(names, GEN_DNS, $0, $1) }),
            all(draft.mails, { openssl_add_ascii_name(names, GEN_EMAIL, $0, $1) }),
            all(draft.principals, { openssl_add_principal(names, $0, $1) }), openssl_set_names(made, names)
        else { throw failed() }
    }
}

/// A certificate and its key as OpenSSL has them.
final class LoadedCertificate {
    let certificate: OpaquePointer
    let key: OpaquePointer

    init(_ issued: IssuedCertificate) throws(TLSError) {
        guard let certificate = IssuedCertificate.read(issued.certificate, { PEM_read_bio_X509($0, nil, Callbacks.noPassphrase, nil) })
        else { throw IssuedCertificate.failed() }
        guard let key = IssuedCertificate.read(issued.key, { PEM_read_bio_PrivateKey($0, nil, Callbacks.noPassphrase, nil) }) else {
            X509_free(certificate)
            throw IssuedCertificate.failed()
        }
        guard openssl_belongs(certificate, key) else {
            X509_free(certificate)
            EVP_PKEY_free(key)
            // What is left in the queue of this thread would be taken for the next one's.
            _ = OpenSSLError.take()
            throw .unusable("the key is another than the certificate's")
        }
        (self.certificate, self.key) = (certificate, key)
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }
}
