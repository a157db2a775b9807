// SPDX-License-Identifier: Apache-2.0
// A certificate that a user's device proved to have: what it says, and whose it is. Pure.

/// What a certificate can say of its holder. Which of them count is a setting of the node.
package enum CertificateName: String, Sendable, CaseIterable {
    /// By which Windows knows users: `alice@corp.example`.
    case principal = "upn"
    case mail = "email"
    case host = "dns"
    case common = "common-name"
}

/// Its chain was found good by the door. An object, so that a request that shows its password carries nothing of it.
package final class CertificateProof: Sendable, Equatable {
    /// SHA-256, 32 bytes.
    package let fingerprint: [UInt8]
    /// As RFC 2253 writes it.
    package let subject: String
    package let issuer: String
    package let names: [CertificateName: [String]]
    package let expires: Timestamp
    /// When it was shown, where a session is taken up again that began so; nil: in this very handshake.
    package let shownBefore: Timestamp?
    /// What was found beside the handshake, as a word for the trail.
    package let note: String?
    /// Why its chain is not good any more; nil: it is. Blocks for a fraction of a millisecond.
    package let standing: @Sendable () -> String?

    /// Names of one certificate that are looked up; nobody has more.
    package static let mostNames = 16

    package init(
        fingerprint: [UInt8], subject: String, issuer: String, names: [CertificateName: [String]], expires: Timestamp,
        shownBefore: Timestamp? = nil, note: String? = nil, standing: @escaping @Sendable () -> String? = { nil }
    ) {
        (self.fingerprint, self.subject, self.issuer) = (fingerprint, subject, issuer)
        (self.names, self.expires, self.shownBefore) = (names, expires, shownBefore)
        (self.note, self.standing) = (note, standing)
    }

    package static func == (left: CertificateProof, right: CertificateProof) -> Bool {
        left === right || left.fingerprint == right.fingerprint && left.shownBefore == right.shownBefore
    }

    /// `sha256:0a:1b:…`
    package var fingerprintText: String { CertificateRule.fingerprint(fingerprint).description }

    /// Those that count, in that order, each with the key that users are found by. Whole, whatever the client strips of typed names: who
    /// signed `alice@partner.example` has vouched for no `alice`.
    func keys(_ kinds: [CertificateName]) -> [(kind: CertificateName, key: String)] {
        var keys: [(kind: CertificateName, key: String)] = []
        for kind in kinds {
            for name in names[kind] ?? [] {
                guard let key = UserName.key(of: name), !keys.contains(where: { $0.key == key }) else { continue }
                keys.append((kind, key))
            }
        }
        return Array(keys.prefix(Self.mostNames))
    }
}

/// A certificate that is registered for a user by its fingerprint.
package struct RegisteredCertificate: Sendable, Equatable {
    /// The row, and the login name.
    package var user: Int64
    package var name: String
    package var isRevoked: Bool

    package init(user: Int64, name: String, isRevoked: Bool = false) {
        (self.user, self.name, self.isRevoked) = (user, name, isRevoked)
    }
}

/// How it is told whose a certificate is.
package struct CertificateRules: Sendable {
    /// The names that count, in this order.
    package var names: [CertificateName] = [.principal, .mail]
    /// Whom one is registered for; nil: it is not, and its names count.
    package var registered: @Sendable (CertificateProof) throws(NoAnswer) -> RegisteredCertificate? = { _ throws(NoAnswer) in nil }

    package init() {}

    /// Who is meant where the device's identity names nobody: whom it is registered for, else its first name that counts.
    package func name(of certificate: CertificateProof) throws(NoAnswer) -> String? {
        if let entry = try registered(certificate) { return entry.name.isEmpty ? nil : entry.name }
        return names.lazy.compactMap { certificate.names[$0]?.first }.first
    }
}

/// What the records know of one certificate. An object, because most logins bring none.
package final class CertificateFacts: Sendable {
    /// Whom its names name, and by which kind of name first.
    package let named: [Int64: CertificateName]
    package let registered: RegisteredCertificate?

    package init(named: [Int64: CertificateName], registered: RegisteredCertificate?) {
        (self.named, self.registered) = (named, registered)
    }

    package enum Verdict: Sendable, Equatable {
        /// By `upn`, `email`, `dns`, `common-name` or `fingerprint`.
        case of(by: String)
        case revoked
        /// Its names, or who registered it, name somebody else.
        case another
        /// It names two users: who signed it has vouched for neither alone.
        case several
        /// None of its names is a user's.
        case nobody
    }

    /// Whether it is this user's. What is registered wins over what it says.
    package func verdict(for user: Int64) -> Verdict {
        if let registered {
            if registered.isRevoked { return .revoked }
            return registered.user == user ? .of(by: "fingerprint") : .another
        }
        guard named.count <= 1 else { return .several }
        guard let first = named.first else { return .nobody }
        return first.key == user ? .of(by: first.value.rawValue) : .another
    }

    func isOf(_ user: User?) -> Bool {
        guard let user, case .of = verdict(for: user.id) else { return false }
        return true
    }
}
