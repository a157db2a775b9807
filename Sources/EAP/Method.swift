// SPDX-License-Identifier: Apache-2.0
// What a method is: a machine that takes what the peer sent and what the application judged, and says what comes next.

/// One authentication method for one conversation, on the server's side. It asks nobody and knows no password: where something is to
/// be judged it gives the question out and goes on with the verdict.
///
/// Not `Sendable`: one that speaks TLS holds a session. Who keeps conversations keeps each behind a lock.
public protocol EAPMethod {
    var type: EAPType { get }
    /// What is kept for it, in bytes, so that who keeps many can bound them.
    var keptBytes: Int { get }
    /// It has come to nothing, and the peer is being told: whether it answers that or not, this is the end.
    var pendingFailure: EAPFailureReason? { get }

    /// The first request.
    ///
    /// - Parameter identifier: of the packet that will carry it; some methods hash it.
    mutating func begin(identifier: UInt8) -> MethodStep
    /// - Parameter response: what stands behind the type.
    mutating func take(response: ArraySlice<UInt8>) -> MethodStep
    /// Called once for each `ask`.
    mutating func take(verdict: EAPVerdict) -> MethodStep
}

extension EAPMethod {
    public var pendingFailure: EAPFailureReason? { nil }
}

/// What a method wants next.
public enum MethodStep: Sendable, Equatable {
    /// Goes out behind the type, under the next identifier.
    case request([UInt8])
    /// The application must judge this.
    case ask(EAPQuestion)
    /// Done. Nil: the method makes no keys.
    case success(EAPKeys?)
    case failure(EAPFailureReason)
    /// Not to be answered; the peer is sent the same request again, as if nothing had come.
    case ignore
}

/// What the application has to judge.
public struct EAPQuestion: Sendable, Equatable {
    public enum Proof: Sendable, Equatable {
        /// EAP-GTC, TTLS with PAP.
        case password(EAPSecret)
        /// EAP-MD5, TTLS with CHAP (RFC 1994 §4.1).
        case chap(identifier: UInt8, challenge: [UInt8], response: [UInt8])
        /// TTLS with MS-CHAP (RFC 2433). `value` as RFC 2548 §2.1.3 has it, 50 bytes; the challenge has 8.
        case msCHAP(challenge: [UInt8], value: [UInt8])
        /// EAP-MSCHAPv2, TTLS with MS-CHAPv2 (RFC 2759). `value` as RFC 2548 §2.3.2 has it, 50 bytes; the challenge has 16; `name` as it
        /// went into the hash.
        case msCHAPv2(challenge: [UInt8], value: [UInt8], name: [UInt8])
        /// EAP-MSCHAPv2 behind `expired` (RFC 2759 §7). `value` as RFC 2548 §2.3.4 has MS-CHAP2-CPW, 68 bytes; `block` the 516 that hide
        /// the new password.
        case newPassword(challenge: [UInt8], value: [UInt8], block: [UInt8], name: [UInt8])
        /// EAP-TLS: a certificate whose chain was found good, now or in the handshake whose session is taken up again.
        case certificate(EAPCertificate)
        /// TTLS and PEAP: a session that is taken up again, of the login whose name this is. Proves the device, and nothing that a user
        /// knows or has; whatever the verdict is but acceptance, the peer has to prove itself inside the tunnel as usual.
        case session(since: Int64)
    }

    /// The method, with the outer one of a tunnel in front: `EAP-GTC`, `EAP-TTLS/PAP`.
    public var method: String
    /// Who logs in, where the method has a name of its own; nil: the identity of the conversation.
    public var name: [UInt8]?
    public var proof: Proof

    public init(method: String, name: [UInt8]? = nil, proof: Proof) {
        self.method = method
        self.name = name
        self.proof = proof
    }
}

/// What a certificate says of its holder.
public struct EAPCertificate: Sendable, Hashable {
    /// As RFC 2253 writes it.
    public var subject: String
    public var issuer: String
    public var commonNames: [String]
    /// Of the alternative names: mail addresses, and the names by which Windows knows users (`alice@corp.example`).
    public var mails: [String] = []
    public var principals: [String] = []
    /// DNS names, lower case.
    public var hosts: [String] = []
    /// SHA-256
    public var fingerprint: [UInt8]
    /// Seconds since 1970.
    public var expires: Int64
    /// When it was shown, in seconds since 1970, where a session is taken up again; nil: in this very handshake.
    public var shownBefore: Int64?
    /// As it was shown, DER: its own first, then what led to an authority.
    package var chain: [[UInt8]] = []
    /// Which context of TLS found the chain good (`TLSContext.number`).
    package var context: UInt64 = 0

    public init(subject: String, issuer: String, commonNames: [String], fingerprint: [UInt8], expires: Int64) {
        (self.subject, self.issuer, self.commonNames) = (subject, issuer, commonNames)
        (self.fingerprint, self.expires) = (fingerprint, expires)
    }
}

/// What the application made of a question.
public enum EAPVerdict: Sendable, Equatable {
    /// - Parameter grant: what MS-CHAPv2 proves the server by; nil for every other proof.
    case accept(MSCHAPv2Grant? = nil)
    /// One more thing is asked of the user; a method that cannot ask fails.
    case challenge(prompt: String)
    /// The password was right and has to be changed first. A method that takes a new one asks for it; for every other it is a reject.
    ///
    /// - Parameter message: for people.
    case expired(message: String)
    /// - Parameter message: of MS-CHAP, such as `E=691 R=0 C=… V=3 M=Login refused.`; nil: the method makes the plainest there is.
    case reject(message: String? = nil)
}

/// What MS-CHAPv2 makes of the right password.
public struct MSCHAPv2Grant: Sendable, Equatable {
    /// `S=` and forty digits (RFC 2759 §8.7).
    public var success: [UInt8]
    /// The server's keys (RFC 3079 §3.4), 16 bytes each.
    public var receive: EAPSecret
    public var send: EAPSecret

    public init(success: [UInt8], receive: EAPSecret, send: EAPSecret) {
        self.success = success
        self.receive = receive
        self.send = send
    }
}

/// What both sides know after a method that makes keys.
public struct EAPKeys: Sendable, Equatable {
    /// What an EAP server over RADIUS gives out as two attributes: MS-MPPE-Recv-Key is the first half, MS-MPPE-Send-Key the second
    /// (RFC 5216 §2.3, RFC 2548 §2.4). For EAP-MSCHAPv2 alone 16 bytes each, and the MSK is both and 32 zeros; else 32 each.
    public var receive: EAPSecret
    public var send: EAPSecret
    /// RFC 5247 §1.4; empty where the method names none.
    public var sessionID: [UInt8]

    public init(receive: EAPSecret, send: EAPSecret, sessionID: [UInt8] = []) {
        self.receive = receive
        self.send = send
        self.sessionID = sessionID
    }
}

/// Bytes that cannot be printed. Two compare in a time that depends on their lengths alone.
public struct EAPSecret: Sendable, Equatable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public static func == (left: EAPSecret, right: EAPSecret) -> Bool {
        guard left.bytes.count == right.bytes.count else { return false }
        // Both operators bind alike: without the parentheses little but the last byte would count.
        return zip(left.bytes, right.bytes).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension EAPSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "<secret>" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
