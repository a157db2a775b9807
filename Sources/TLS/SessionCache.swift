// SPDX-License-Identifier: Apache-2.0
// Sessions that a peer may take up again without a full handshake. In memory alone, and only those of peers that were accepted.

internal import COpenSSL
internal import Synchronization

/// A peer that takes a session up shows its certificate to nobody: so a cache goes with its context, and a change of trust or
/// revocation makes both anew.
package final class SessionCache: Sendable {
    /// Who a session belongs to, as it was told when the session was kept.
    package struct Owner: Sendable, Equatable {
        /// What the session may be taken up for: nothing else.
        package let purpose: [UInt8]
        package let identity: [UInt8]
        /// When the full handshake was, in seconds since 1970. A session that is taken up does not get older than its first one.
        package let since: Int64

        package init(purpose: [UInt8], identity: [UInt8], since: Int64) {
            (self.purpose, self.identity, self.since) = (purpose, identity, since)
        }
    }

    /// Holds one reference of OpenSSL's.
    private final class Entry: Sendable {
        /// A finished SSL_SESSION: OpenSSL only counts references to it, atomically.
        nonisolated(unsafe) let session: OpaquePointer
        let owner: Owner
        let ends: Int64

        init(_ session: OpaquePointer, _ owner: Owner, ends: Int64) {
            (self.session, self.owner, self.ends) = (session, owner, ends)
        }

        deinit { SSL_SESSION_free(session) }
    }

    private struct Kept {
        var entries: [[UInt8]: Entry] = [:]
        /// In the order they were kept; some are gone from `entries`.
        var order: [[UInt8]] = []
        var oldest = 0
    }

    package let capacity: Int
    /// Seconds. RFC 8446 §4.6.1 allows seven days.
    package let lifetime: Int64
    private let kept = Mutex(Kept())

    package init(capacity: Int = 10_000, lifetime: Int64 = 3600) {
        self.capacity = max(1, capacity)
        self.lifetime = min(max(1, lifetime), 7 * 86_400)
    }

    package var count: Int { kept.withLock { $0.entries.count } }

    /// Takes over the reference.
    func keep(_ id: [UInt8], _ session: OpaquePointer, _ owner: Owner, notAfter end: Int64?) {
        let entry = Entry(session, owner, ends: min(owner.since + lifetime, end ?? .max))
        // Freed outside of the lock.
        var dropped: [Entry] = []
        kept.withLock { kept in
            if let old = kept.entries.updateValue(entry, forKey: id) { dropped.append(old) } else { kept.order.append(id) }
            while kept.entries.count > capacity, kept.oldest < kept.order.count {
                if let old = kept.entries.removeValue(forKey: kept.order[kept.oldest]) { dropped.append(old) }
                kept.oldest += 1
            }
            // What was removed by name leaves its place behind.
            if kept.oldest > capacity || kept.order.count > 4 * capacity {
                kept.order = kept.order[kept.oldest...].filter { kept.entries[$0] != nil }
                kept.oldest = 0
            }
        }
        withExtendedLifetime(dropped) {}
    }

    func drop(_ id: [UInt8]) {
        let dropped = kept.withLock { $0.entries.removeValue(forKey: id) }
        withExtendedLifetime(dropped) {}
    }

    /// With a reference of its own.
    func find(_ id: [UInt8], purpose: [UInt8], now: Int64) -> (session: OpaquePointer, owner: Owner)? {
        guard let entry = kept.withLock({ $0.entries[id] }) else { return nil }
        guard now < entry.ends else {
            drop(id)
            return nil
        }
        guard entry.owner.purpose == purpose, SSL_SESSION_up_ref(entry.session) == 1 else { return nil }
        return (entry.session, entry.owner)
    }
}
