// SPDX-License-Identifier: Apache-2.0
// How a login came, as far as policies ask for it: two rounds of one tunnel (RFC 4739) differ in nothing else.

/// By which protocol a login came, and under which realm its name was typed.
package struct LoginManner: Sendable, Equatable {
    /// `pap`, `chap`, `ms-chap`, `ms-chap-v2`, or the method of EAP with what is spoken inside of a tunnel: `eap-gtc`, `peap/eap-mschapv2`.
    /// Nil: nobody says.
    package var method: String?
    /// What stands behind the last `@`, as a key; nil: nothing does.
    package var realm: String?

    package static let unknown = LoginManner()

    package init(method: String? = nil, realm: String? = nil) {
        self.method = method
        self.realm = realm
    }

    package init(_ request: LoginRequest) {
        method = request.method?.lowercased() ?? Self.word(for: request.proof)
        realm = Self.realm(of: request.name)
    }

    private static func word(for proof: PasswordProof) -> String? {
        switch proof {
        case .plaintext: ProofScheme.pap.rawValue
        case .hashed(let proof): proof.scheme.rawValue
        case .unsupported(let name), .failed(let name): name.lowercased()
        case .certificate, .refusedCertificate: "eap-tls"
        }
    }

    package static func realm(of name: String) -> String? {
        name.lastIndex(of: "@").flatMap { UserName.key(of: name[name.index(after: $0)...]) }
    }

    /// What a policy may ask for. `eap` is every method of it; a tunnel is meant with whatever is spoken inside.
    package static let methods = [
        "pap", "chap", "ms-chap", "ms-chap-v2", "eap", "eap-gtc", "eap-mschapv2", "eap-md5", "eap-tls", "eap-ttls", "peap",
    ]

    func fits(method word: String) -> Bool {
        guard let method else { return false }
        return method == word || method.hasPrefix(word + "/") || word == "eap" && (method.hasPrefix("eap-") || method.hasPrefix("peap"))
    }
}
