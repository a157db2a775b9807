// SPDX-License-Identifier: Apache-2.0
// Whose certificates users' devices may show by EAP-TLS, and what handshakes of EAP are made from.

import EAP
package import LoginEngine
package import TLS

/// One value, whatever it is put together from: files, or an authority of this program's own.
package struct DeviceTrust: Sendable {
    /// PEM: who may have signed a device's certificate. Empty: nobody, and EAP-TLS is not offered.
    package var authorities: [UInt8] = []
    /// PEM: what they have revoked. Empty: nothing is looked up but what is registered.
    package var revocations: [UInt8] = []
    /// For how many seconds a list is believed beyond the time at which its next one was due.
    package var revocationGrace: Int64 = 0
    /// Whether lists are looked up; every authority needs one then, also where none has come yet.
    package var looksUpRevocations = false
    /// Who is asked besides whether a certificate is revoked; nil: nobody.
    package var status: (any DeviceStatusSource)?
    /// How it is told whose a certificate is, and which single ones are known or revoked.
    package var rules = CertificateRules()

    package init() {}
}

/// What a look at a certificate came to, beyond its handshake.
package enum DeviceStatus: Sendable, Equatable {
    /// Nothing is against it; a word for the trail.
    case fine(String)
    case refused(PeerRefusal)
}

/// Who is asked by network whether a device's certificate is revoked (OCSP). Never on a thread of the door.
package protocol DeviceStatusSource: Sendable {
    /// - Parameters:
    ///   - chain: DER, the device's own first.
    ///   - completion: called once, in bounded time, on any thread or before this returns.
    func ask(_ chain: [[UInt8]], completion: @escaping @Sendable (DeviceStatus) -> Void)
    /// What an earlier answer says against it, without asking anybody.
    func refusal(of chain: [[UInt8]]) -> PeerRefusal?
}

/// What handshakes of EAP are made from. A value that is replaced as a whole.
struct EAPContexts: Sendable {
    /// Of EAP-TTLS and PEAP; nil: neither is offered.
    var tunnel: TLSContext?
    /// Of EAP-TLS; nil: it is not offered.
    var devices: TLSContext?
    var rules = CertificateRules()
    var status: (any DeviceStatusSource)?

    /// What is against a certificate by what is trusted now: its handshake may have begun before a newer list came, or an authority went.
    ///
    /// - Parameter isOld: the handshake is over since long; else nothing is looked at twice.
    func refusal(of certificate: EAPCertificate, isOld: Bool, at now: Timestamp) -> PeerRefusal? {
        guard let devices else {
            return PeerRefusal(
                cause: .untrusted, reason: "no authority of devices is trusted any more", subject: certificate.subject,
                issuer: certificate.issuer, depth: 0, expected: TLSSettings.expectedDevice,
                fingerprint: PeerCertificate.text(ofFingerprint: certificate.fingerprint))
        }
        if isOld || devices.number != certificate.context, let refusal = devices.refusal(ofClient: certificate.chain, at: now.seconds) {
            return refusal
        }
        return isOld ? status?.refusal(of: certificate.chain) : nil
    }

    /// Sessions that devices may take up again, to save both sides most of a handshake.
    static let mostSessions = 4_096
    /// In seconds, from the full handshake on.
    static let sessionLife: Int64 = 3_600
}

/// No method is left to offer.
struct NothingToOffer: Error, CustomStringConvertible {
    var description: String { "there is no authority of devices' certificates (sallyport ca init, or eap.client-ca)" }
}

extension TLSSettings {
    /// Those of EAP-TLS: as for tunnels, but that the device has to show a certificate, and may take its session up again. That leaves out
    /// nothing that is judged: whose the certificate is, whether it is revoked, and what is asked behind it. A change of what is trusted
    /// makes another context, whose sessions are none of this one's.
    func asking(_ trust: DeviceTrust) -> TLSSettings {
        var settings = self
        (settings.peerAuthorities, settings.revocations) = (trust.authorities, trust.revocations)
        (settings.revocationGrace, settings.peerCertificate) = (trust.revocationGrace, .required)
        settings.sessions = SessionCache(capacity: EAPContexts.mostSessions, lifetime: EAPContexts.sessionLife)
        settings.checksRevocation = trust.looksUpRevocations
        settings.expectedPeer = Self.expectedDevice
        return settings
    }

    static let expectedDevice = "one that is signed by an authority of eap.client-ca, and valid"
}

extension Door {
    /// Who is judged. Inside of a tunnel the device names the user anew, and that is who proves something; a device that is anonymous
    /// outside of EAP-TLS (RFC 9190 §2.1.7) is whose its certificate is.
    func name(of question: EAPQuestion, _ identity: [UInt8], at client: ClientSettings) -> [UInt8] {
        if question.isOfTunnel { return question.name ?? identity }
        guard case .certificate(let certificate) = question.proof else { return identity }
        // Where nobody can be asked whose it is, the engine says so.
        guard OuterIdentity.isAnonymous(identity), let name = try? eapContexts.rules.name(of: CertificateProof(certificate)) else {
            return identity
        }
        return client.charset == .latin1 ? Charset.latin1(Array(name.utf8)) ?? identity : Array(name.utf8)
    }
}
