// SPDX-License-Identifier: Apache-2.0
// What the help desk gives a user for a while: a bypass of the second factor, or a temporary code. Pure.

/// One grant as a login sees it. Its terms never change; it is used up, revoked, or over.
package struct Grant: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// No second factor is asked for. A right first one is, and whatever a policy denies stays denied.
        case bypass
        /// A code in place of the user's own ones.
        case code
    }

    /// Where it opens a login.
    package struct Scope: Sendable, Equatable {
        /// Rows of clients.
        package var clients: [Int64]
        package var tags: [String]

        /// Neither clients nor tags: everywhere.
        package init(clients: [Int64] = [], tags: [String] = []) {
            self.clients = clients
            self.tags = tags
        }

        package var isEverywhere: Bool { clients.isEmpty && tags.isEmpty }

        package func fits(_ client: Client) -> Bool {
            isEverywhere || clients.contains(client.id) || tags.contains { client.settings.tags.contains($0) }
        }
    }

    /// Whether it can be used now, and why not.
    package enum Standing: String, Sendable, CaseIterable {
        case open
        case revoked
        /// Given before the data were put back to an older state.
        case void
        /// Given later than now: the clock was set back.
        case early
        case expired
        case usedUp = "used up"
        /// At another client.
        case elsewhere = "not for this client"
    }

    package var id: Int64
    package var kind: Kind
    package var scope = Scope()
    package var issued: Timestamp
    /// From then on it is worth nothing.
    package var until: Timestamp
    /// How often it may be used; nil: any number of times.
    package var uses: Int?
    package var used = 0
    package var isRevoked = false
    /// Given before a restore.
    package var isVoid = false
    /// Why; may name people.
    package var reason: String
    /// Of a code: how many digits it has, and its keyed hash. 0 and empty of a bypass.
    package var digits = 0
    package var codeHash: [UInt8] = []

    package init(id: Int64, kind: Kind, issued: Timestamp, until: Timestamp, uses: Int?, reason: String) {
        self.id = id
        self.kind = kind
        self.issued = issued
        self.until = until
        self.uses = uses
        self.reason = reason
    }

    /// At least so long, and at most: what a setting allows, which is never more than the longest.
    package static let shortest: Timestamp.Span = .minutes(1)
    package static let longest: Timestamp.Span = .minutes(24 * 60)
    package static let mostUses = 50
    package static let digitCounts = 8...12
    /// Of one user at a time, open ones.
    package static let mostOpen = 10
    /// The clocks of two nodes may differ by this.
    package static let clockSlack: Timestamp.Span = .seconds(60)

    /// As far as the client does not matter.
    package func standing(at now: Timestamp) -> Standing {
        if isRevoked { return .revoked }
        if isVoid { return .void }
        if issued > now + Self.clockSlack { return .early }
        if now >= until { return .expired }
        if let uses, used >= uses { return .usedUp }
        return .open
    }

    package func standing(at now: Timestamp, for client: Client) -> Standing {
        let standing = standing(at: now)
        return standing == .open && !scope.fits(client) ? .elsewhere : standing
    }

    /// `12 bypass`, as events name it.
    package var label: String { "\(id) \(kind.rawValue)" }

    /// The digits of what was typed for a temporary code, blanks and hyphens taken out; nil where it has not the shape of one.
    package func digits(in text: String) -> [UInt8]? {
        guard kind == .code, text.utf8.count <= 32 else { return nil }
        let bare = text.utf8.filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "-") }
        guard bare.count == digits, bare.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return bare
    }
}

/// How temporary codes are told.
package struct GrantRules: Sendable {
    /// Keyed hash of a code's digits, bound to the grant.
    package var codeHash: @Sendable (_ digits: [UInt8], _ grant: Int64) -> [UInt8] = { _, _ in [] }

    package init() {}

    /// Takes as long for a code that is nearly right.
    func isRight(_ digits: [UInt8], of grant: Grant) -> Bool {
        let hash = codeHash(digits, grant.id)
        guard !hash.isEmpty, hash.count == grant.codeHash.count else { return false }
        return zip(hash, grant.codeHash).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
