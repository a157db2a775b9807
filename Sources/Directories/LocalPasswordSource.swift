// SPDX-License-Identifier: Apache-2.0
// The first factor of Sallyport's own users.

package import LoginEngine

/// Checks argon2id hashes on a pool of its own. A name that nobody has costs the same as a wrong password.
package final class LocalPasswordSource: PasswordSource {
    private let pool: BlockingPool
    /// The hash of a random password, with today's cost.
    private let nobodysHash: Secret

    /// Blocks for one hash.
    ///
    /// - Parameters:
    ///   - nobodysPassword: random; nobody ever learns it.
    ///   - salt: `Argon2id.saltLength` random bytes.
    package init(pool: BlockingPool, cost: Argon2id = Argon2id(), nobodysPassword: Secret, salt: [UInt8]) throws(Argon2Error) {
        self.pool = pool
        nobodysHash = try cost.hash(nobodysPassword, salt: salt)
    }

    package var countsElsewhere: Bool { false }

    package func check(
        _ password: Secret, of user: User?, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void
    ) {
        let client = request.client
        let known = user?.passwordHash
        let hash = known ?? nobodysHash
        let isTaken = pool.run(for: client.id, within: client.settings.checkTime) { () -> PasswordVerdict in
            do throws(Argon2Error) {
                let matches = try Argon2id.verify(password, against: hash)
                return matches && known != nil ? .right : .wrong
            } catch {
                return .unreachable("local: \(error)")
            }
        } completion: { verdict in
            completion(verdict ?? .overloaded)
        }
        if !isTaken { completion(.overloaded) }
    }

    package func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        let (verdict, candidate) = matched(proof, of: user)
        completion(verdict, candidate)
    }

    package func matchAtOnce(_ proof: HashedProof, of user: User?) -> (verdict: PasswordVerdict, candidate: PasswordCandidate?)? {
        matched(proof, of: user)
    }

    private func matched(_ proof: HashedProof, of user: User?) -> (PasswordVerdict, PasswordCandidate?) {
        guard let candidate = user?.kept?.candidate(for: proof.scheme) else {
            // As much work as for somebody of whom something is kept.
            _ = proof.fits(proof.scheme == .chap ? .text(nobodysHash) : .ntHash(Self.nobodysNTHash))
            return (user == nil ? .wrong : .notKept, nil)
        }
        return proof.fits(candidate) ? (.right, candidate) : (.wrong, nil)
    }

    private static let nobodysNTHash = Secret([UInt8](repeating: 0x5A, count: 16))
}
