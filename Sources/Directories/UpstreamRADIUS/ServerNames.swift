// SPDX-License-Identifier: Apache-2.0
// What the host names of servers stand for: looked up beside the logins, at first, every minute, and when a server falls silent.

internal import Dispatch
package import LoginEngine
internal import Synchronization

/// The names of all directories. No login ever waits for a look-up: it goes by what was found last.
///
/// Whoever answers a look-up says where passwords are sent, not whether they are right: a server has to know the shared secret, and to
/// sign its replies, wherever it is.
package final class ServerNames: Sendable {
    /// What is known of one name.
    package struct Resolution: Sendable, Equatable {
        /// In the order in which they are asked; those found last, where nothing is found now.
        package var addresses: [NetworkAddress] = []
        /// When these were found last.
        package var found: Timestamp?
        /// Why the newest look-up found nothing, and since when none does.
        package var problem: String?
        package var failingSince: Timestamp?

        package init() {}

        /// - Returns: whether other addresses are asked from now on. The same ones in another order are no change: many name servers
        ///   turn their answers round each time, and a server's health is worth more than that.
        ///
        /// - Parameter mayBeOwn: somebody wrote a name that means this host.
        mutating func take(_ answer: Answer, mayBeOwn: Bool = false, at now: Timestamp) -> Bool {
            switch answer {
            case .found(let all):
                let ofOne = all.filter(\.isOfOneHost)
                // What listens here for this host alone would be reached by whoever answers look-ups.
                let usable = Array(ofOne.filter { mayBeOwn || !$0.isOfHostOrLink }.prefix(ServerNames.mostAddresses))
                guard !usable.isEmpty else {
                    let why =
                        ofOne.isEmpty
                        ? "no address of it is one host's"
                        : "its addresses are this host's own or its link's; if that is meant, write the address in place of the name"
                    return take(.failed(why), at: now)
                }
                (found, problem, failingSince) = (now, nil, nil)
                guard Set(usable) != Set(addresses) else { return false }
                addresses = usable
                return true
            case .failed(let why):
                problem = why
                failingSince = failingSince ?? now
                return false
            }
        }
    }

    package enum Answer: Sendable, Equatable {
        case found([NetworkAddress])
        case failed(String)
    }

    /// What a look-up changed.
    package struct Change: Sendable, Equatable {
        package var name: String
        package var before: Resolution
        package var after: Resolution

        package var isElsewhere: Bool { before.addresses != after.addresses }
    }

    /// The system's resolver tells no time to live. A server that moves is followed within this.
    package static let lookUpEvery: Timestamp.Span = .seconds(60)
    /// After a look-up that failed, and where a server fell silent.
    package static let soonest: Timestamp.Span = .seconds(5)
    /// Of one name.
    package static let mostAddresses = 8

    fileprivate struct Entry {
        var resolution = Resolution()
        /// Uptime; nil: never.
        var lookedUp: Timestamp?
        var isUnderWay = false
    }

    fileprivate struct State {
        var entries: [String: Entry] = [:]
        /// Uptime at which the timer is due; later ones are of no use.
        var wake: Timestamp?
    }

    private let lookUp: @Sendable (String) -> Answer
    private let deadlines: Deadlines
    private let now: @Sendable () -> Moment
    private let state = Mutex(State())
    private let changed = Mutex<@Sendable (Change) -> Void>({ _ in })

    /// - Parameter lookUp: blocks.
    package init(deadlines: Deadlines, now: @escaping @Sendable () -> Moment, lookUp: @escaping @Sendable (String) -> Answer = system) {
        self.lookUp = lookUp
        self.deadlines = deadlines
        self.now = now
    }

    package static let system: @Sendable (String) -> Answer = { name in
        do throws(ServerAddressError) {
            return .found(try ServerAddress.addresses(of: name))
        } catch {
            if case .unknownHost(_, let reason) = error { return .failed(reason) }
            return .failed("\(error)")
        }
    }

    /// Told on any thread, outside all locks, of other addresses, of a look-up that fails, and of one that does no more.
    package func whenChanged(_ body: @escaping @Sendable (Change) -> Void) {
        changed.withLock { $0 = body }
    }

    /// These and no others, from now on.
    package func watch(_ names: Set<String>) {
        state.withLock { state in
            state.entries = state.entries.filter { names.contains($0.key) }
            for name in names where state.entries[name] == nil { state.entries[name] = Entry() }
        }
        lookUpWhatIsDue()
    }

    package func resolution(of name: String) -> Resolution {
        state.withLock { $0.entries[name]?.resolution } ?? Resolution()
    }

    /// A server of these is silent: it may have moved.
    package func lookAgain(_ names: [String]) {
        let uptime = now().uptime
        state.withLock { state in
            for name in names {
                guard let last = state.entries[name]?.lookedUp, last + Self.soonest <= uptime else { continue }
                state.entries[name]?.lookedUp = nil
            }
        }
        lookUpWhatIsDue()
    }

    private func lookUpWhatIsDue() {
        let uptime = now().uptime
        let (due, wake) = state.withLock { state -> ([String], Timestamp?) in
            var due: [String] = []
            for (name, entry) in state.entries where !entry.isUnderWay && entry.next <= uptime {
                due.append(name)
                state.entries[name]?.isUnderWay = true
                state.entries[name]?.lookedUp = uptime
            }
            return (due, state.nextWake(at: uptime))
        }
        schedule(wake)
        // A resolver that is silent blocks for many seconds: each name for itself.
        for name in due {
            DispatchQueue.global(qos: .utility).async { [weak self] in
                guard let answer = self?.lookUp(name) else { return }
                self?.answered(name, answer)
            }
        }
    }

    private func schedule(_ wake: Timestamp?) {
        guard let wake else { return }
        deadlines.schedule(at: wake) { [weak self] _ in
            self?.state.withLock { state in
                if state.wake == wake { state.wake = nil }
            }
            self?.lookUpWhatIsDue()
        }
    }

    /// RFC 6761 §6.3
    private static func meansThisHost(_ name: String) -> Bool { name == "localhost" || name.hasSuffix(".localhost") }

    private func answered(_ name: String, _ answer: Answer) {
        let moment = now()
        let (change, wake) = state.withLock { state -> (Change?, Timestamp?) in
            // It may be watched no more.
            guard var entry = state.entries[name] else { return (nil, nil) }
            entry.isUnderWay = false
            let before = entry.resolution
            let isElsewhere = entry.resolution.take(answer, mayBeOwn: Self.meansThisHost(name), at: moment.wall)
            state.entries[name] = entry
            let isWorthTelling = isElsewhere || (before.problem == nil) != (entry.resolution.problem == nil)
            let change = isWorthTelling ? Change(name: name, before: before, after: entry.resolution) : nil
            return (change, state.nextWake(at: moment.uptime))
        }
        schedule(wake)
        if let change { changed.withLock { $0 }(change) }
    }
}

extension ServerNames.Entry {
    /// Uptime of the next look-up.
    fileprivate var next: Timestamp {
        guard let lookedUp else { return Timestamp(microseconds: 0) }
        return lookedUp + (resolution.problem == nil ? ServerNames.lookUpEvery : ServerNames.soonest)
    }
}

extension ServerNames.State {
    /// When the timer has to be set; nil where one is set that is early enough.
    fileprivate mutating func nextWake(at uptime: Timestamp) -> Timestamp? {
        guard let next = entries.values.lazy.filter({ !$0.isUnderWay }).map(\.next).min() else { return nil }
        if let wake, wake <= next { return nil }
        wake = max(next, uptime)
        return wake
    }
}
