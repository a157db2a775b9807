// SPDX-License-Identifier: Apache-2.0
// A VPN gateway (or any other system) that asks, and how it wants to be answered.

/// What a login must prove.
package enum Requirement: String, Sendable, CaseIterable {
    case password
    case factor
    case passwordAndFactor = "password+factor"
    /// A certificate of the user's device and nothing else (EAP-TLS).
    case certificate
    /// And a factor behind it, which has to come by itself.
    case certificateAndFactor = "certificate+factor"
    /// Nobody is let in. Of a client: nobody but by a policy.
    case deny
}

/// What is asked of a RADIUS client's requests without Message-Authenticator (CVE-2024-3596).
package enum MessageAuthenticatorRule: String, Sendable, CaseIterable {
    /// Every request must carry a valid one.
    case require
    /// As `allow`, until a source has shown that it always sends one; then as `require` for that source, for good.
    case auto
    /// Requests may come without; one that is there must still be valid.
    case allow
}

/// How the second factor is asked for where the requirement is `password+factor`.
package enum Asking: String, Sendable, CaseIterable {
    /// Access-Challenge with a prompt; the password field is the password and nothing else.
    case challenge
    /// Password and code in one field; no challenge is ever sent.
    case append
    /// A field that holds both is read as `append`; one that holds the password alone gets a challenge.
    case appendOrChallenge = "append+challenge"
}

/// How a login that waits for a phone looks to the gateway.
package enum WaitingShape: String, Sendable, CaseIterable {
    /// The answer is held until the phone answers or the gateway is about to give up.
    case hold
    /// A challenge at once: *approve, then press OK*; a code may be typed instead.
    case confirm
}

/// What of a typed login name is dropped before it is looked up.
package enum NameStripping: String, Sendable, CaseIterable {
    case none
    /// `alice@corp.example` → `alice`
    case realm
    /// `CORP\alice` → `alice`
    case domain
    case both
}

/// A certificate by which a client is known over TLS.
package enum CertificateRule: Sendable, Hashable {
    /// One of the DNS names of a certificate that a trusted authority signed; lower case.
    case name(String)
    /// SHA-256 over the certificate, whoever signed it; 32 bytes.
    case fingerprint([UInt8])
}

extension CertificateRule: CustomStringConvertible {
    /// `name:gw1.example.org`, `sha256:0a:1b:…` with or without colons; nil for what is neither.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "name":
            let name = parts[1].lowercased()
            let isHost = name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                    UInt8(ascii: "_"):
                    true
                default: false
                }
            }
            guard isHost, (1...253).contains(name.utf8.count) else { return nil }
            self = .name(name)
        case "sha256":
            let digits = parts[1].filter { $0 != ":" }
            guard digits.utf8.count == 64 else { return nil }
            var bytes: [UInt8] = []
            var rest = digits[...]
            while !rest.isEmpty {
                guard let byte = UInt8(rest.prefix(2), radix: 16), rest.first != "+" else { return nil }
                bytes.append(byte)
                rest = rest.dropFirst(2)
            }
            self = .fingerprint(bytes)
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .name(let name): "name:\(name)"
        case .fingerprint(let bytes):
            "sha256:" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
        }
    }
}

/// What a client and this server both know, so that TLS needs no certificate of the client (RFC 9813).
package struct PreSharedKey: Sendable, Equatable {
    /// By which the client names the key; it goes over the wire readable.
    package var identity: String
    /// Empty where its sealed value does not open.
    package var key: Secret

    package init(identity: String, key: Secret) {
        self.identity = identity
        self.key = key
    }
}

/// A method of EAP, as clients are set to it.
package enum EAPMethodName: String, Sendable, CaseIterable {
    /// The password is shown: to the gateway too (RFC 3748 §5.6).
    case gtc
    case msCHAPv2 = "mschapv2"
    /// Proves nothing of the server and makes no keys.
    case md5
    /// Any password, or one of the methods above, under the protection of TLS.
    case ttls
    /// `mschapv2` or `gtc` under the protection of TLS.
    case peap
    /// A certificate of the user's device.
    case tls

    /// Whether it needs a certificate of this node.
    package var shakesHands: Bool { self == .ttls || self == .peap || self == .tls }

    /// What the trail and people call it.
    package var title: String {
        switch self {
        case .gtc: "EAP-GTC"
        case .msCHAPv2: "EAP-MSCHAPv2"
        case .md5: "EAP-MD5"
        case .ttls: "EAP-TTLS"
        case .peap: "PEAP"
        case .tls: "EAP-TLS"
        }
    }

    /// How it proves the password; nil: it proves none.
    package var scheme: ProofScheme? {
        switch self {
        case .gtc, .ttls, .peap: .pap
        case .msCHAPv2: .msCHAPv2
        case .md5: .chap
        case .tls: nil
        }
    }
}

/// A client as the engine and the doors judge by it. A value that is replaced as a whole when it changes.
package struct ClientSettings: Sendable, Equatable {
    /// Unique; lower case letters, digits, `-`, `_`, `.`; 1…64 characters.
    package var name: String
    package var addresses: [AddressRange]
    package var secret: Secret
    package var messageAuthenticator: MessageAuthenticatorRule = .auto
    package var requirement: Requirement = .passwordAndFactor
    package var asking: Asking = .challenge
    /// Between password and code on an append client; nil or one character.
    package var separator: Character? = ","
    /// Whether a tail of exactly a factor's digits is read as a code without a separator.
    package var fixedLengthTail = false
    /// Password and factor are always both asked for and judged together at the end.
    package var concealFactor = false
    /// Whether rejects carry the reason to the user.
    package var helpfulMessages = false
    package var nameStripping: NameStripping = .none
    /// In which bytes it sends names and passwords.
    package var charset: Charset = .utf8
    /// Seconds until the gateway sends a request again, 1…60.
    package var retryTimeout = 5
    /// How often it sends it in all, 1…10.
    package var retryTries = 3
    /// Whether a new packet with the same proof may take over the answer of the one before.
    package var rejoin = false
    /// Whether a factor that waits starts by itself, with nothing typed.
    package var automaticPush = false
    /// How a factor that waits is shown to this gateway.
    package var waitingShape: WaitingShape = .hold
    /// Whether an append client's password is checked at a directory before its tail was seen to be a code.
    package var bindBeforeCode = false
    /// How its requests may prove a password or code.
    package var schemes: ProofSchemes = .pap
    /// Where the passwords of its users live of whom neither they nor a group say it; nil: here.
    package var home: PasswordHome?
    /// Names that nobody has here and that a directory decides about alone; the first that fits.
    package var passThrough: [PassThroughRule] = []
    /// The methods of EAP that are offered to its users' devices, in this order; none: EAP is refused.
    package var eap: [EAPMethodName] = []
    /// The product that it is.
    package var profile = ClientProfile.generic.name
    /// A name (`UserName.key`) that the product asks about to see whether somebody answers: refused, and nothing is written.
    package var probeUser: String?
    /// By which certificates it is known over TLS; none: it is asked over UDP alone.
    package var certificates: [CertificateRule] = []
    /// The key by which it is known over TLS.
    package var preSharedKey: PreSharedKey?
    /// Where it takes Disconnect-Requests (RFC 5176); 0: nowhere.
    package var disconnectPort: UInt16 = 3799
    package var isEnabled = true
    /// What policies may name it by; sorted, lower case.
    package var tags: [String] = []
    /// What goes out with an accept, where neither policy nor group say otherwise.
    package var reply: [ReplySetting] = []

    /// Whether it may ask over TLS.
    package var isKnownByTLS: Bool { !certificates.isEmpty || preSharedKey != nil }

    /// Whether its secret did not open. A client that is known over TLS alone needs none.
    package var lacksSecret: Bool { secret.isEmpty && !addresses.isEmpty }

    package init(name: String, addresses: [AddressRange], secret: Secret) {
        self.name = name
        self.addresses = addresses
        self.secret = secret
    }

    /// How long an answer may be held for this client: one second less than it waits in all.
    package var holdTime: Timestamp.Span { .seconds(Int64(retryTimeout * retryTries - 1)) }
    /// How long a check may wait for its turn: what is left until the gateway gives up is for the check and the way back. Somewhat, even
    /// for a gateway that asks once and gives up after a second.
    package var checkTime: Timestamp.Span { max(.milliseconds(500), holdTime) }
    /// Within this time the same wrong proof is a retry, not a new guess.
    package var retryTime: Timestamp.Span { .seconds(Int64(retryTimeout * retryTries)) }
}

/// A client that has a row; a reference, so that a request carries it for the price of a pointer.
package final class Client: Sendable {
    package let id: Int64
    package let settings: ClientSettings

    package init(id: Int64, settings: ClientSettings) {
        self.id = id
        self.settings = settings
    }

    package var name: String { settings.name }
}
