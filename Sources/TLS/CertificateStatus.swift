// SPDX-License-Identifier: Apache-2.0
// OCSP (RFC 6960): the question whether a certificate is revoked, and what a responder's signed answer is worth. No sockets.

internal import COpenSSL

/// What a responder says of one certificate.
package struct CertificateStatus: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        case good
        case revoked
        /// The responder does not know it.
        case unknown
    }

    package let state: State
    /// When the responder knew it, in seconds since 1970.
    package let begins: Int64
    /// When it has to be asked again.
    package let ends: Int64
    /// The answer as it was signed (DER), for those who want to see it in a handshake.
    package let bytes: [UInt8]
}

package struct StatusQuestion: Sendable {
    /// What is sent (DER).
    package let request: [UInt8]
    /// What it is about; the same for every question about this certificate.
    package let subject: [UInt8]
    /// Where the certificate says that it can be asked, http or https (RFC 5280 §4.2.2.1).
    package let responders: [String]
    package let certificate: PeerCertificate
    private let issuer: [UInt8]
    private let wantsNonce: Bool

    /// An answer that does not say until when is good for so long, in seconds; and clocks may differ by it.
    static let leeway: Int64 = 300
    /// Of the addresses that a certificate names.
    private static let mostResponders = 4

    /// - Parameters:
    ///   - chain: DER, the certificate in question first; whoever signed it is looked for behind it, and in `authorities`.
    ///   - authorities: PEM; may be empty.
    ///   - wantsNonce: the answer has to be made for this very question (RFC 9654).
    /// - Throws: `unusable`
    package init(chain: [[UInt8]], authorities: [UInt8], wantsNonce: Bool) throws(TLSError) {
        guard let loaded = LoadedChain(chain), let certificate = PeerCertificate(loaded.certificates[0]) else {
            throw .unusable("there is no certificate to ask about")
        }
        let trusted = authorities.isEmpty ? nil : try LoadedChain(pem: authorities, "the file of certificate authorities")
        defer { withExtendedLifetime((loaded, trusted)) {} }
        let own = loaded.certificates[0]
        let above = (trusted?.certificates ?? []) + loaded.certificates.dropFirst()
        // By its key, not by its name alone: else a stranger's certificate of that name could vouch for the answer.
        guard let issuer = above.first(where: { openssl_issued(own, $0) }) else {
            ERR_clear_error()
            throw .unusable("who signed \(certificate.subject) is not at hand")
        }
        ERR_clear_error()
        guard let id = openssl_status_id(own, issuer) else { throw IssuedCertificate.failed() }
        defer { OCSP_CERTID_free(id) }
        guard let question = openssl_status_request(id, wantsNonce) else { throw IssuedCertificate.failed() }
        defer { OCSP_REQUEST_free(question) }
        subject = try IssuedCertificate.write { openssl_write_status_id($0, id) }
        request = try IssuedCertificate.write { openssl_write_status_request($0, question) }
        responders = Array(
            FoundNames.all(FoundNames.isText) { openssl_responders(own, $0, $1) }
                .filter { $0.hasPrefix("http://") || $0.hasPrefix("https://") }.prefix(Self.mostResponders))
        self.certificate = certificate
        self.issuer = try LoadedChain.bytes(of: issuer)
        self.wantsNonce = wantsNonce
    }

    /// - Parameter now: in seconds since 1970.
    /// - Throws: `unusable`: it is no answer to this, is signed by somebody else, or is too old.
    package func read(_ answer: [UInt8], at now: Int64) throws(TLSError) -> CertificateStatus {
        guard let issuer = LoadedChain([issuer]), let id = IssuedCertificate.read(subject, { openssl_read_status_id($0) }) else {
            throw IssuedCertificate.failed()
        }
        defer { withExtendedLifetime(issuer) {} }
        defer { OCSP_CERTID_free(id) }
        guard let question = IssuedCertificate.read(request, { openssl_read_status_request($0) }) else { throw IssuedCertificate.failed() }
        defer { OCSP_REQUEST_free(question) }
        var found = openssl_status()
        let problem = openssl_read_status(answer, answer.count, id, question, wantsNonce, issuer.certificates[0], &found)
        ERR_clear_error()
        if let problem { throw .unusable("the responder's answer is not good: \(String(cString: problem))") }
        guard found.begins > 0, found.begins <= now + Self.leeway else {
            throw .unusable("the responder's answer is of a time that is still to come")
        }
        let ends = found.ends > 0 ? Int64(found.ends) : Int64(found.begins) + Self.leeway
        guard now <= ends else { throw .unusable("the responder's answer is too old") }
        let state: CertificateStatus.State =
            switch found.status {
            case V_OCSP_CERTSTATUS_GOOD: .good
            case V_OCSP_CERTSTATUS_REVOKED: .revoked
            default: .unknown
            }
        return CertificateStatus(state: state, begins: Int64(found.begins), ends: ends, bytes: answer)
    }

    /// What is told of the certificate where it lets nobody in.
    package func refusal(_ cause: PeerRefusal.Cause, _ reason: String, expected: String) -> PeerRefusal {
        PeerRefusal(
            cause: cause, reason: reason, subject: certificate.subject, issuer: certificate.issuer, depth: 0, expected: expected,
            fingerprint: PeerCertificate.text(ofFingerprint: certificate.fingerprint))
    }
}

extension TLSSession {
    /// Asks the server to show what its authority's responder says of its certificate. Before the handshake.
    package func wantStaple() { openssl_want_staple(pointer) }

    /// What the server showed of that (DER); nil: nothing.
    package var staple: [UInt8]? {
        var bytes: UnsafePointer<UInt8>?
        let count = openssl_staple_shown(pointer, &bytes)
        guard count > 0, let bytes else { return nil }
        return Array(UnsafeBufferPointer(start: bytes, count: count))
    }
}
