// SPDX-License-Identifier: Apache-2.0
// The device's side of a method: a machine that takes what the server sent and what its owner knows, and says what comes next.

/// One authentication method for one conversation, on the device's side. It knows no password and no random numbers: it asks for what is
/// made of them. For tests of servers; not `Sendable`, for the reason of `EAPMethod`.
public protocol EAPPeerMethod {
    var type: EAPType { get }
    /// What the server's last word may be, as far as this side is concerned.
    var outcome: PeerOutcome { get }

    /// - Parameters:
    ///   - request: what stands behind the type.
    ///   - identifier: of its packet; EAP-MD5 hashes it.
    mutating func take(request: ArraySlice<UInt8>, identifier: UInt8) -> PeerStep
    /// Called once for each `ask`.
    mutating func take(answer: PeerAnswer) -> PeerStep
}

/// What a method wants next.
public enum PeerStep: Sendable, Equatable {
    /// Goes out behind the type.
    case response([UInt8])
    case ask(PeerQuestion)
    /// The server is not to be spoken with any more.
    case failure(PeerFault)
}

/// RFC 4137 §4.1.1: `decision`, with what it is worth.
public enum PeerOutcome: Sendable, Equatable {
    /// A success now would be somebody else's.
    case unfinished
    /// Nil: the method makes no keys.
    case done(EAPKeys?)
    /// The server said so, or this side did; a failure follows.
    case refused(PeerFault)
}

/// What a method needs to know.
public enum PeerQuestion: Sendable, Equatable {
    /// Nobody has asked for it in words.
    case password
    /// What the server shows.
    case text(prompt: String)
    /// EAP-MD5 (RFC 1994 §4.1)
    case chap(identifier: UInt8, challenge: [UInt8])
    /// RFC 2759; the challenge has 16 bytes.
    case msCHAPv2(identifier: UInt8, challenge: [UInt8])
}

public enum PeerAnswer: Sendable, Equatable {
    /// To `password` and `text`.
    case text(EAPSecret)
    /// 16 bytes.
    case chap([UInt8])
    case msCHAPv2(MSCHAPv2Proof)
}

/// What the device makes of the password, and what the server must prove itself by.
public struct MSCHAPv2Proof: Sendable, Equatable {
    public static let responseLength = 24

    /// Of the device's own, 16 bytes.
    public var challenge: [UInt8]
    /// 24 bytes.
    public var response: [UInt8]
    public var expected: MSCHAPv2Grant

    public init(challenge: [UInt8], response: [UInt8], expected: MSCHAPv2Grant) {
        precondition(challenge.count == MSCHAPv2Method.challengeLength && response.count == Self.responseLength)
        (self.challenge, self.response, self.expected) = (challenge, response, expected)
    }

    /// Both, with the reserved zeros between them (RFC 2548 §2.3.2, draft-kamath §2.2).
    var value: [UInt8] { challenge + Array(repeating: 0, count: 8) + response }

    /// - Parameter message: `S=`, forty digits, and whatever text follows (RFC 2759 §5).
    func isProven(by message: ArraySlice<UInt8>) -> Bool {
        !expected.success.isEmpty && EAPSecret(Array(message.prefix(expected.success.count))) == EAPSecret(expected.success)
    }
}

/// Why the device's side gave up. Never holds a secret.
public enum PeerFault: Sendable, Hashable {
    /// The server's EAP-Failure, with nothing said before.
    case refused
    /// What the server said when it refused.
    case refusedWith(String)
    /// Names the part that is wrong.
    case malformed(String)
    /// Another method than the one that was begun.
    case unexpectedType(EAPType)
    /// A success before the method was done.
    case successTooEarly
    /// The server does not know the password, or is not the one that the tunnel was made with.
    case notProven(String)
    /// TLS came to nothing, in OpenSSL's words.
    case tls(String)
    /// The certificate is good and somebody else's.
    case serverName([String])
    case tooManyRounds
}

extension PeerFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused: "the server refused"
        case .refusedWith(let message): "the server refused: \(message)"
        case .malformed(let part): "the server sent a malformed \(part)"
        case .unexpectedType(let type): "the server went on with \(type)"
        case .successTooEarly: "the server sent EAP-Success before the method was done"
        case .notProven(let what): "the server did not prove itself: \(what)"
        case .tls(let words): "TLS: \(words)"
        case .serverName(let names): "the server's certificate is for \(names.isEmpty ? "no name" : names.joined(separator: ", "))"
        case .tooManyRounds: "the server never came to an end"
        }
    }
}
