// SPDX-License-Identifier: Apache-2.0
// How many sessions a user may have open at once: who says so, and what counts. Pure.

package struct SessionLimit: Sendable, Equatable {
    package enum Origin: Sendable, Equatable {
        case user
        case group(String)
        case policy(String)
    }

    package var most: Int
    package var origin: Origin

    /// Who is to have none is disabled, or denied by a policy.
    package static let range = 1...1000

    package init(_ most: Int, _ origin: Origin) {
        self.most = most
        self.origin = origin
    }
}

extension SessionLimit.Origin {
    /// For the steps of the trail.
    package var words: String {
        switch self {
        case .user: "user"
        case .group(let name): "group \(name)"
        case .policy(let name): "policy \(name)"
        }
    }
}

/// What groups say. An immutable value, replaced as a whole with the policies.
package struct SessionLimits: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        var name: String
        var most: Int
    }

    private let groups: [Int64: Entry]

    package static let none = SessionLimits([])

    package init(_ groups: [(id: Int64, name: String, most: Int?)]) {
        var entries: [Int64: Entry] = [:]
        for group in groups { if let most = group.most { entries[group.id] = Entry(name: group.name, most: most) } }
        self.groups = entries
    }

    /// No group says anything, so that nobody's groups have to be known for it.
    package var isEmpty: Bool { groups.isEmpty }

    /// The least of them; of several that say the same the first by name.
    /// - Parameter groups: the user's, nested ones too.
    package func least(of groups: [Int64]) -> SessionLimit? {
        if isEmpty { return nil }
        let entries = groups.compactMap { self.groups[$0] }
        return entries.min { ($0.most, $0.name) < ($1.most, $1.name) }.map { SessionLimit($0.most, .group($0.name)) }
    }
}

// MARK: What counts

/// What an accept opens, until the gateway reports it.
package struct SessionClaim: Sendable, Equatable {
    package var limit: SessionLimit
    package var client: Int64
    package var station: String?
    /// Acct-Session-Id, where the login came with it.
    package var sessionID: String?
    package var at: Timestamp

    /// A gateway reports a session within seconds, where the user's device is slow within a minute. What it has not reported by then
    /// did not come about, or it reports none.
    package static let life = Timestamp.Span.minutes(2)
    /// A record that was on its way when the next session began proves nothing.
    static let tolerance = Timestamp.Span.seconds(60)

    package init(_ limit: SessionLimit, client: Int64, station: String?, sessionID: String?, at: Timestamp) {
        self.limit = limit
        self.client = client
        self.station = station
        self.sessionID = sessionID
        self.at = at
    }

    /// One of a user's: a session that a gateway reported and that is open, or what another accept claims.
    package struct Other: Sendable, Equatable {
        package var isClaim: Bool
        package var client: Int64
        package var station: String?
        package var sessionID: String?
        package var began: Timestamp
        package var heard: Timestamp

        package init(
            isClaim: Bool, client: Int64, station: String?, sessionID: String?, began: Timestamp, heard: Timestamp
        ) {
            self.isClaim = isClaim
            self.client = client
            self.station = station
            self.sessionID = sessionID
            self.began = began
            self.heard = heard
        }
    }

    /// How many sessions the user has beside the one that this accept opens.
    ///
    /// A device that comes back replaces the session that it had: what a gateway reports of one station counts once, unless an older
    /// session of that station was heard of when a newer one had long begun, so that both live.
    package func count(beside others: [Other]) -> Int {
        var count = 0
        var places: [Place: [Other]] = [:]
        let reported = others.filter { !$0.isClaim }
        for other in reported where !isSame(other) {
            if let station = other.station {
                places[Place(client: other.client, station: station), default: []].append(other)
            } else {
                count += 1
            }
        }
        for (place, sessions) in places {
            let living = Self.living(sessions)
            count += place.client == client && place.station == station ? living - 1 : living
        }
        var claimed: Set<Place> = []
        for claim in others where claim.isClaim {
            // Its Start is on its way: an older session of that station is what it replaces.
            if isSame(claim) || reported.contains(where: { $0.isSame(as: claim) }) { continue }
            if let station = claim.station {
                if claim.client == client, station == self.station { continue }
                guard claimed.insert(Place(client: claim.client, station: station)).inserted else { continue }
            }
            count += 1
        }
        return count
    }

    private struct Place: Hashable {
        var client: Int64
        var station: String
    }

    /// The gateway gave both the same Acct-Session-Id.
    private func isSame(_ other: Other) -> Bool {
        other.client == client && other.sessionID != nil && other.sessionID == sessionID
    }

    private static func living(_ sessions: [Other]) -> Int {
        let ordered = sessions.sorted { $0.began < $1.began }
        return zip(ordered, ordered.dropFirst()).count { older, newer in older.heard > newer.began + tolerance } + 1
    }
}

extension SessionClaim.Other {
    fileprivate func isSame(as claim: SessionClaim.Other) -> Bool {
        guard client == claim.client else { return false }
        return station != nil && station == claim.station || sessionID != nil && sessionID == claim.sessionID
    }
}
