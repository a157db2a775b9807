// SPDX-License-Identifier: Apache-2.0
// What a door hands to the engine: who asks, who logs in, with what proof.

/// How the user proves the first factor, or the code where the password field is the code.
package enum PasswordProof: Sendable, Equatable {
    /// PAP, GTC, a form: the text itself.
    case plaintext(Secret)
    /// CHAP and its kin: no text, only whether a candidate fits.
    case hashed(HashedProof)
    /// A protocol that this server cannot judge yet; its name as the trail shows it, such as `CHAP`.
    case unsupported(String)
    /// EAP-TLS: a certificate that the user's device has.
    case certificate(CertificateProof)
    /// The door found nothing good in the certificate that was shown; why, as the trail shows it.
    case refusedCertificate(String)
    /// An exchange that came to no proof; what went wrong, as the trail shows it.
    case failed(String)
}

package enum Door: UInt8, Sendable {
    case radius = 1
    case api = 2
}

package struct LoginRequest: Sendable, Equatable {
    package var door: Door
    package var client: Client
    /// The login name as typed.
    package var name: String
    package var proof: PasswordProof
    /// The text of a handle that an earlier challenge gave out (RADIUS State).
    package var handle: String?
    /// Where the user's device is, as the gateway says (Calling-Station-Id); nil when it says nothing.
    package var callingStation: String?
    /// NAS-Port and Acct-Session-Id, joined by the door into one text; nil when neither was sent.
    package var gatewaySession: String?
    /// Whether `gatewaySession` names one session (Acct-Session-Id) and not a port alone, which may be the same for everybody.
    package var namesSession = false
    /// How many proxies it has been through (Proxy-State, RFC 2865 §5.33).
    package var hops = 0
    /// One that has been through so many is passed on no more: it goes round.
    package static let mostHops = 5
    /// The address that the request came from.
    package var source: NetworkAddress
    /// By which method of EAP it came, such as `EAP-GTC`; the door knows which ones the client may use. Nil: by none.
    package var method: String?
    /// Whether a question reaches the user: most methods of EAP have no room for one.
    package var carriesQuestions = true
    /// Hash of the whole request: equal for a retransmission, and only for that.
    package var fingerprint: Fingerprint

    /// Acct-Session-Id as text; nil where there is none, or one that is no text.
    package var sessionID: String? {
        guard namesSession, let session = gatewaySession, let mark = session.firstIndex(where: { $0 == "/" || $0 == "#" }),
            session[mark] == "/"
        else { return nil }
        return String(session[session.index(after: mark)...])
    }

    /// What failures of the first factor are counted by: the user's device where the gateway names it, else the gateway.
    package var failureSource: String {
        callingStation.map { String($0.prefix(64)) } ?? source.description
    }

    package static func == (left: LoginRequest, right: LoginRequest) -> Bool {
        left.fingerprint == right.fingerprint && left.client === right.client && left.source == right.source
    }

    package init(
        door: Door, client: Client, name: String, proof: PasswordProof, handle: String? = nil, callingStation: String? = nil,
        gatewaySession: String? = nil, source: NetworkAddress, fingerprint: Fingerprint
    ) {
        self.door = door
        self.client = client
        self.name = name
        self.proof = proof
        self.handle = handle
        self.callingStation = callingStation
        self.gatewaySession = gatewaySession
        self.source = source
        self.fingerprint = fingerprint
    }
}
