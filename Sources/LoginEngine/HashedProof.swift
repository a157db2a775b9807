// SPDX-License-Identifier: Apache-2.0
// Proofs that show no password: CHAP and MS-CHAP. Whoever knows candidates is told whether one of them is it.

/// How a password goes over the wire.
package enum ProofScheme: String, Sendable, CaseIterable {
    /// In plain, hidden on the wire (RFC 2865 §5.2).
    case pap
    case chap
    case msCHAP = "ms-chap"
    case msCHAPv2 = "ms-chap-v2"

    /// What the trail and people call it.
    package var title: String {
        switch self {
        case .pap: "PAP"
        case .chap: "CHAP"
        case .msCHAP: "MS-CHAP"
        case .msCHAPv2: "MS-CHAPv2"
        }
    }
}

/// The schemes that a client may use.
package struct ProofSchemes: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package init(_ schemes: some Sequence<ProofScheme>) {
        rawValue = schemes.reduce(0) { $0 | Self.one($1).rawValue }
    }

    package static let pap = one(.pap)
    package static let all = ProofSchemes(ProofScheme.allCases)
    /// What an NT hash is enough for.
    package static let needNTHash: ProofSchemes = [.one(.msCHAP), .one(.msCHAPv2)]
    /// What only the password itself is enough for; it is enough for MS-CHAP too.
    package static let needText: ProofSchemes = [.one(.chap), .one(.msCHAP), .one(.msCHAPv2)]

    package static func one(_ scheme: ProofScheme) -> ProofSchemes {
        switch scheme {
        case .pap: ProofSchemes(rawValue: 1)
        case .chap: ProofSchemes(rawValue: 2)
        case .msCHAP: ProofSchemes(rawValue: 4)
        case .msCHAPv2: ProofSchemes(rawValue: 8)
        }
    }

    package func contains(_ scheme: ProofScheme) -> Bool { contains(.one(scheme)) }

    /// In the order in which they are shown.
    package var schemes: [ProofScheme] { ProofScheme.allCases.filter { contains($0) } }

    /// Those that show no password.
    package var hashed: [ProofScheme] { schemes.filter { $0 != .pap } }
}

/// What may have been typed.
package enum PasswordCandidate: Sendable, Equatable {
    case text(Secret)
    /// Of a password in UTF-16 (RFC 2759 §8.3); good for MS-CHAP alone.
    case ntHash(Secret)
    /// Nobody here knows it: another server has judged the proof.
    case vouched(Voucher)
}

/// What another server made of a proof that it found right: only it knows the password. Good for that one proof.
package final class Voucher: Sendable, Equatable {
    /// Of the proof (`HashedProof.identity`).
    package let proof: [UInt8]
    /// The value of MS-CHAP2-Success, with its identifier (RFC 2548 §2.3.3).
    package let success: [UInt8]?
    /// The keys that the gateway sends and receives with (RFC 2548 §2.4).
    package let send: Secret?
    package let receive: Secret?
    /// Those of MS-CHAP's first version, both in one (RFC 2548 §2.4.1).
    package let firstKeys: Secret?

    package init(proof: [UInt8], success: [UInt8]?, send: Secret? = nil, receive: Secret? = nil, firstKeys: Secret? = nil) {
        self.proof = proof
        self.success = success
        self.send = send
        self.receive = receive
        self.firstKeys = firstKeys
    }

    package static func == (left: Voucher, right: Voucher) -> Bool {
        left === right
            || left.proof == right.proof && left.success == right.success && left.send == right.send && left.receive == right.receive
                && left.firstKeys == right.firstKeys
    }
}

/// A candidate that fitted: what the accept proves the server by, and what keys are made of.
package struct ProvenPassword: Sendable, Equatable {
    package var candidate: PasswordCandidate
    /// A one-time code and no password: keys made of it have the strength of six digits.
    package var isCode: Bool
    /// That it was seen to fit, so that nobody has to try again; nil where it is what a new password was made of.
    package var proof: HashedProof?

    package init(_ candidate: PasswordCandidate, isCode: Bool, by proof: HashedProof? = nil) {
        self.candidate = candidate
        self.isCode = isCode
        self.proof = proof
    }

    /// By which proof is no part of what is proven.
    package static func == (left: ProvenPassword, right: ProvenPassword) -> Bool {
        left.candidate == right.candidate && left.isCode == right.isCode
    }
}

/// Made by a door, which alone knows the protocol. An object, so that a request that shows its password carries nothing of it.
package final class HashedProof: Sendable, Equatable {
    package let scheme: ProofScheme
    /// Challenge and response: equal for the same proof, and telling no password.
    package let identity: [UInt8]
    /// The attributes that another server can judge it by; nil where it cannot be passed on.
    package var wire: [UInt8]? { makeWire() }
    private let makeWire: @Sendable () -> [UInt8]?
    private let test: @Sendable (PasswordCandidate) -> Bool
    private let change: (@Sendable (PasswordCandidate) -> Secret?)?

    /// - Parameters:
    ///   - test: pure; takes as long for a candidate that does not fit as for any other.
    ///   - change: the new password that comes with a proof of the old one; nil where none comes.
    package init(
        _ scheme: ProofScheme, identity: [UInt8], wire: @escaping @autoclosure @Sendable () -> [UInt8]? = nil,
        change: (@Sendable (PasswordCandidate) -> Secret?)? = nil,
        test: @escaping @Sendable (PasswordCandidate) -> Bool
    ) {
        self.scheme = scheme
        self.identity = identity
        makeWire = wire
        self.test = test
        self.change = change
    }

    /// Whether it brings a new password (RFC 2759 §7).
    package var asksForChange: Bool { change != nil }

    /// Nil unless `old` is what the new one was hidden with.
    package func newPassword(old: PasswordCandidate) -> Secret? { change?(old) }

    package func fits(_ candidate: PasswordCandidate) -> Bool { test(candidate) }

    package static func == (left: HashedProof, right: HashedProof) -> Bool {
        left.scheme == right.scheme && left.identity == right.identity
    }
}

/// Why a proof was refused, where its protocol has a word for it (RFC 2759 §6).
package enum ProofRefusal: Sendable, Equatable {
    /// Nothing that a stranger may know.
    case uniform
    case accountDisabled
    /// The password was right, and has to be changed first.
    case passwordExpired
    /// The old password was right, and the new one is not taken.
    case changeFailed
}
