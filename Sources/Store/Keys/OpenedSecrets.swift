// SPDX-License-Identifier: Apache-2.0
// Secrets that were opened lately, by their sealed bytes: opening costs more than reading the user. A changed row has other
// sealed bytes, so nothing here is ever out of date. What is kept of passwords for CHAP and MS-CHAP is opened anew for each login and
// stays nowhere: an NT hash is the password itself to whoever reads the memory (docs/design/0010).

package import LoginEngine
internal import Synchronization

package final class OpenedSecrets: Sendable {
    private struct Key: Hashable {
        var row: Int64
        var owner: Int64?
        var column: Column
        var sealed: [UInt8]
    }

    private enum Column: Hashable {
        case passwordHash, factor
    }

    /// Two generations: the older one goes when the younger is full, and what is asked for moves to the younger.
    private struct Generations {
        var young: [Key: Secret] = [:]
        var old: [Key: Secret] = [:]
    }

    private let sealing: Sealing
    private let capacity: Int
    private let known = Mutex(Generations())

    package init(_ sealing: Sealing, capacity: Int = 32_768) {
        self.sealing = sealing
        self.capacity = capacity
    }

    package func passwordHash(_ sealed: [UInt8], ofUser user: Int64) throws(SealingError) -> Secret {
        try open(Key(row: user, column: .passwordHash, sealed: sealed), at: .passwordHash(user))
    }

    package func ntHash(_ sealed: [UInt8], ofUser user: Int64) throws(SealingError) -> Secret {
        try sealing.open(sealed, at: .ntHash(user))
    }

    package func clearPassword(_ sealed: [UInt8], ofUser user: Int64) throws(SealingError) -> Secret {
        try sealing.open(sealed, at: .clearPassword(user))
    }

    package func factorSecret(_ sealed: [UInt8], of factor: Int64, ofUser user: Int64) throws(SealingError) -> Secret {
        try open(Key(row: factor, owner: user, column: .factor, sealed: sealed), at: .factorSecret(factor, ofUser: user))
    }

    private func open(_ key: Key, at place: SealedPlace) throws(SealingError) -> Secret {
        let (found, isYoung): (Secret?, Bool) = known.withLock { known in
            if let secret = known.young[key] { return (.some(secret), true) }
            return (known.old[key], false)
        }
        if let found, isYoung { return found }
        let secret: Secret
        if let found { secret = found } else { secret = try sealing.open(key.sealed, at: place) }
        known.withLock { known in
            if known.young.count >= capacity {
                known.old = known.young
                known.young = [:]
            }
            known.young[key] = secret
        }
        return secret
    }
}
