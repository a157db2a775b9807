// SPDX-License-Identifier: Apache-2.0
// Which login a session belongs to: what was accepted here a moment ago, by Acct-Session-Id, or by user and station.

import LoginEngine
import RADIUS
internal import Synchronization

/// What a record belongs to.
struct LoginLink {
    let login: LoginID
    /// What the user is found by who was let in, where the gateway was told another name: an anonymous one (RFC 7542 §2.4). Known by the
    /// session alone, which is one; behind a station there may be many.
    let nameKey: String?
}

/// A hint of fixed size that costs an accept two stores: newer logins push older ones out, and a restart forgets all.
final class LoginLinks: Sendable {
    private struct Place {
        var hash: UInt64 = 0
        var login = LoginID(Bits128(high: 0, low: 0))
        var nameKey: String?
        var until = Timestamp(microseconds: .min)
    }

    private static let count = 1 << 14
    /// A session begins within seconds of its login; a slow client may take minutes to ask for its addresses.
    private static let knownBySession = Timestamp.Span.minutes(60)
    /// The same user from the same place logs in again before long.
    private static let knownByStation = Timestamp.Span.minutes(10)

    private let places = Mutex([Place](repeating: Place(), count: LoginLinks.count))

    func note(_ login: LoginID, nameKey: String?, _ packet: Packet, of client: Int64, at now: Timestamp) {
        let (session, station) = Self.hashes(packet, client)
        places.withLock { places in
            if let session {
                let until = now + Self.knownBySession
                places[Self.index(session)] = Place(hash: session, login: login, nameKey: nameKey, until: until)
            }
            if let station { places[Self.index(station)] = Place(hash: station, login: login, until: now + Self.knownByStation) }
        }
    }

    func login(of packet: Packet, of client: Int64, at now: Timestamp) -> LoginLink? {
        let (session, station) = Self.hashes(packet, client)
        return places.withLock { places in
            for case .some(let hash) in [session, station] {
                let place = places[Self.index(hash)]
                if place.hash == hash, place.until > now { return LoginLink(login: place.login, nameKey: place.nameKey) }
            }
            return nil
        }
    }

    private static func index(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash) & (count - 1) }

    /// Without a station, one user's logins cannot be told apart, so that none is named.
    private static func hashes(_ packet: Packet, _ client: Int64) -> (session: UInt64?, station: UInt64?) {
        guard let name = packet.first(.userName) else { return (nil, nil) }
        func hash(_ attribute: Attribute?, _ kind: UInt8) -> UInt64? {
            guard let attribute else { return nil }
            var hasher = Hasher()
            hasher.combine(kind)
            hasher.combine(client)
            hasher.combine(packet.value(of: name))
            hasher.combine(packet.value(of: attribute))
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
        return (hash(packet.first(.acctSessionID), 1), hash(packet.first(.callingStationID), 2))
    }
}
