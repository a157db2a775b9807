// SPDX-License-Identifier: Apache-2.0
// What a method of EAP asks ↔ what the engine judges.

import EAP
import LoginEngine
import RADIUS
import TLS

extension EAPQuestion {
    /// - Returns: nil for what cannot be judged here.
    func passwordProof(in charset: Charset) -> LoginEngine.PasswordProof? {
        switch proof {
        case .password(let secret):
            return .plaintext(Secret(charset.utf8(secret.bytes)))
        case .chap, .msCHAP, .msCHAPv2, .newPassword:
            return hashed.map { .hashed($0.proof(in: charset)) }
        case .certificate(let certificate):
            return .certificate(CertificateProof(certificate))
        // No session of a tunnel is kept.
        case .session:
            return nil
        }
    }

    /// Whether it was asked under the protection of TLS.
    var isOfTunnel: Bool { method.hasPrefix("EAP-TTLS/") || method.hasPrefix("PEAP/") }

    /// Whether a question of the engine reaches the user. RFC 5281 §11.2.5 has a way inside TTLS that devices do not know.
    var carriesQuestions: Bool {
        if case .password = proof { method != "EAP-TTLS/PAP" } else { false }
    }

    private var hashed: HashedPassword? {
        switch proof {
        case .chap(let identifier, let challenge, let response):
            Authenticator(response).map { .chap(CHAPResponse(identifier: identifier, challenge: challenge, response: $0)) }
        case .msCHAP(let challenge, let value):
            (try? MSCHAPResponse(challenge: challenge[...], value: value[...])).map { .msCHAP($0) }
        case .msCHAPv2(let challenge, let value, let name):
            (try? MSCHAPv2Response(challenge: challenge[...], value: value[...], userName: name[...])).map { .msCHAPv2($0) }
        case .newPassword(let challenge, let value, let block, let name):
            (try? MSCHAPPasswordChange(challenge: challenge[...], value: value[...], block: block[...], userName: name[...])).map {
                .change($0)
            }
        case .password, .certificate, .session:
            nil
        }
    }

    /// What proves the server, and the keys; nil unless this very proof is made of the candidate: others may hear the same decision.
    func grant(_ candidate: PasswordCandidate) -> MSCHAPv2Grant? {
        guard let hashed, let response = hashed.secondVersion, hashed.fits(candidate) else { return nil }
        if case .vouched(let voucher) = candidate {
            guard let success = voucher.success, let receive = voucher.receive, let send = voucher.send else { return nil }
            // RFC 2548 §2.3.3: behind the identifier.
            return MSCHAPv2Grant(
                success: Array(success.dropFirst()), receive: EAPSecret(receive.reveal { $0 }), send: EAPSecret(send.reveal { $0 }))
        }
        guard let hash = candidate.ntHash else { return nil }
        let keys = MPPEKeys(response, hash)
        return MSCHAPv2Grant(success: Array(response.success(hash).utf8), receive: EAPSecret(keys.receive), send: EAPSecret(keys.send))
    }

    /// What the method is told of a refusal, in the words of RFC 2759 §6 where it has any for the device. No other try is offered: that
    /// would be another login, and the device starts one by itself.
    func verdict(on refusal: ProofRefusal, message: String) -> EAPVerdict {
        let (code, challenge): (MSCHAPError.Code, [UInt8])
        switch (proof, refusal) {
        case (.msCHAPv2, .passwordExpired):
            return .expired(message: message)
        case (.msCHAPv2(let sent, _, _), .accountDisabled), (.newPassword(let sent, _, _, _), .accountDisabled):
            (code, challenge) = (.accountDisabled, sent)
        case (.newPassword(let sent, _, _, _), .changeFailed):
            (code, challenge) = (.changeFailed, sent)
        case (.msCHAPv2(let sent, _, _), _), (.newPassword(let sent, _, _, _), _):
            (code, challenge) = (.authenticationFailure, sent)
        default:
            return .reject()
        }
        return .reject(message: MSCHAPError(code, allowsRetry: false, challenge: challenge, message: message).text)
    }
}

extension EAPMethodName {
    /// A fresh one for one conversation; nil for a tunnel where there is no certificate, and for EAP-TLS where nobody signs devices'.
    ///
    /// - Parameters:
    ///   - contexts: what handshakes are made from, as it is when one begins: a device may be long in coming.
    ///   - binding: whether a device of PEAP must prove that it is the one that speaks inside.
    ///   - framedMTU: of the request (RFC 2865 §5.12).
    ///   - now: then, in seconds since 1970.
    ///   - challenge: draws 16 random bytes. Only here: a conversation must not ask for any while it is locked.
    func method(
        contexts: @escaping @Sendable () -> EAPContexts, binding: PEAPMethod.Binding, framedMTU: UInt32?,
        now: @escaping @Sendable () -> Int64, challenge: () -> [UInt8]
    ) -> (any EAPMethod)? {
        let size = framedMTU.map { Int(clamping: $0) }
        switch self {
        case .gtc: return GTCMethod()
        case .msCHAPv2: return MSCHAPv2Method(challenge: challenge(), renewal: challenge(), server: "sallyport")
        case .md5: return MD5Method(challenge: challenge())
        case .tls:
            guard contexts().devices != nil else { return nil }
            return DeferredMethod.tunnel(.tls) {
                guard let devices = contexts().devices else { throw NothingToOffer() }
                return try TLSMethod(context: devices, framedMTU: size, now: now())
            }
        case .ttls:
            guard contexts().tunnel != nil else { return nil }
            let (inside, renewal) = (challenge(), challenge())
            return DeferredMethod.tunnel(.ttls) {
                let inner: [any EAPMethod] = [GTCMethod(), MSCHAPv2Method(challenge: inside, renewal: renewal, server: "sallyport")]
                guard let tunnel = contexts().tunnel else { throw NothingToOffer() }
                return try TTLSMethod(context: tunnel, inner: inner, framedMTU: size, now: 0)
            }
        case .peap:
            guard contexts().tunnel != nil else { return nil }
            let (inside, renewal, nonce) = (challenge(), challenge(), challenge() + challenge())
            return DeferredMethod.tunnel(.peap) {
                let inner: [any EAPMethod] = [MSCHAPv2Method(challenge: inside, renewal: renewal, server: "sallyport"), GTCMethod()]
                guard let tunnel = contexts().tunnel else { throw NothingToOffer() }
                return try PEAPMethod(context: tunnel, inner: inner, nonce: nonce, binding: binding, framedMTU: size, now: 0)
            }
        }
    }
}

extension CertificateProof {
    convenience init(_ certificate: EAPCertificate, note: String? = nil, standing: @escaping @Sendable () -> String? = { nil }) {
        self.init(
            fingerprint: certificate.fingerprint, subject: certificate.subject, issuer: certificate.issuer,
            names: [
                .principal: certificate.principals, .mail: certificate.mails, .host: certificate.hosts, .common: certificate.commonNames,
            ],
            expires: Timestamp(seconds: certificate.expires), shownBefore: certificate.shownBefore.map { Timestamp(seconds: $0) },
            note: note,
            standing: standing)
    }
}

extension EAPCertificateRefusal {
    init(_ refusal: PeerRefusal) {
        self.init(
            cause: refusal.cause.rawValue, reason: refusal.reason, subject: refusal.subject, issuer: refusal.issuer,
            expected: refusal.expected, fingerprint: refusal.fingerprint)
    }
}
