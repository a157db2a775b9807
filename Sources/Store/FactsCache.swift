// SPDX-License-Identifier: Apache-2.0
// Users who logged in lately with their factors and opened secrets, for a database that nobody else writes to.

internal import Dispatch
internal import LoginEngine
internal import Synchronization

/// Never out of date: what it holds is good for one version of the facts (`MarkLog.version`), which every change ends. Users with
/// failures are not in it, since failures are written without being a change. What is kept of passwords for CHAP and MS-CHAP leaves it
/// with the change that ends it, not when its place is needed (docs/design/0010).
final class FactsCache: Sendable {
    final class Entry: Sendable {
        let version: UInt64
        let user: User
        /// As their rows say; live marks are laid over.
        let factors: [Factor]
        /// Nested ones too; nil where nobody has asked for them.
        let groups: [Int64]?

        init(version: UInt64, user: User, factors: [Factor], groups: [Int64]? = nil) {
            self.version = version
            self.user = user
            self.factors = factors
            self.groups = groups
        }
    }

    /// What must not have happened between reading and keeping.
    struct Ticket: Sendable, Equatable {
        fileprivate var cleared: UInt64
    }

    private static let shardCount = 16
    private static let mostFailing = 65_536

    private struct Generations {
        var young: [String: Entry] = [:]
        var old: [String: Entry] = [:]
    }

    private final class Shard: Sendable {
        let known = Mutex(Generations())
    }

    private struct Failing {
        var users: Set<Int64> = []
        var cleared: UInt64 = 0
    }

    private let shards = (0..<FactsCache.shardCount).map { _ in Shard() }
    private let perShard: Int
    private let failing = Mutex(Failing())
    private let hasFailing = Atomic<Bool>(false)
    private let hasKept = Atomic<Bool>(false)

    /// - Parameter capacity: entries of the younger generation; as many again are kept of the older. With 131,072 a node that has 100,000
    ///   users accepts 0.73 of what it accepts with 1,000, and takes 90 MB more; with 16,384 it was 0.49.
    init(capacity: Int = 131_072) {
        perShard = max(1, capacity / Self.shardCount)
    }

    private func shard(of key: String) -> Shard {
        var hash: UInt = 5381
        for byte in key.utf8 { hash = hash &* 33 &+ UInt(byte) }
        return shards[Int(hash % UInt(Self.shardCount))]
    }

    /// To be taken before the rows are read.
    var ticket: Ticket { Ticket(cleared: failing.withLock { $0.cleared }) }

    func entry(_ key: String, version: UInt64) -> Entry? {
        let found = shard(of: key).known.withLock { known -> Entry? in
            if let entry = known.young[key] { return entry }
            guard let entry = known.old.removeValue(forKey: key) else { return nil }
            keep(entry, for: key, in: &known)
            return entry
        }
        guard let found, found.version == version else { return nil }
        if hasFailing.load(ordering: .acquiring), failing.withLock({ $0.users.contains(found.user.id) }) { return nil }
        return found
    }

    func keep(_ entry: Entry, for key: String, _ ticket: Ticket) {
        if entry.user.kept != nil { hasKept.store(true, ordering: .releasing) }
        // Looked at inside the lock: whoever clears the shard afterwards takes this entry away too.
        shard(of: key).known.withLock { known in
            guard self.ticket == ticket else { return }
            keep(entry, for: key, in: &known)
        }
    }

    private func keep(_ entry: Entry, for key: String, in known: inout Generations) {
        if known.young.count >= perShard {
            known.old = known.young
            known.young = [:]
        }
        known.young[key] = entry
    }

    /// The user has failures from now on, whether they are written already or not.
    func noteFailure(ofUser user: Int64) {
        let isFull = failing.withLock { failing in
            failing.users.insert(user)
            return failing.users.count > Self.mostFailing
        }
        hasFailing.store(true, ordering: .releasing)
        if isFull { clear() }
    }

    private func clear() {
        // Nothing that was read before is kept afterwards; then nobody is left whose failures it does not know.
        letGo()
        failing.withLock { $0.users = [] }
    }

    /// The facts have changed. Whatever is here is of no use any more, and may be a password that was just dropped.
    func noteChange() {
        // Nor of what was read before, and is still to be kept.
        failing.withLock { $0.cleared += 1 }
        guard hasKept.exchange(false, ordering: .acquiringAndReleasing) else { return }
        letGo()
    }

    /// A hundred thousand users take a while to free: not on the thread that every accept waits for.
    private func letGo() {
        failing.withLock { $0.cleared += 1 }
        for shard in shards {
            let known = shard.known.withLock { known in
                defer { known = Generations() }
                return known
            }
            if !known.young.isEmpty || !known.old.isEmpty { DispatchQueue.global(qos: .utility).async { _ = known } }
        }
    }
}
