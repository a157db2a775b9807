// SPDX-License-Identifier: Apache-2.0
// Users who do not give up: each keeps trying one code until it is known what became of it, however long the server is gone or busy.
// What a server must never do, whatever happened to it meanwhile, is noticed here: `CodeLedger`.

import Administration
import CSockets
import Directories
import Foundation
import LoginEngine
import RADIUS
import Synchronization

struct PersistentPlan {
    var server: ServerAddress
    var secret: SharedSecret
    var users: BenchUsers
    var mode: BenchMode
    /// Tries a second, whatever the server does.
    var rate = 1_000.0
    /// Tries that wait for an answer, at most.
    var window = 1_000_000
    var sockets = 16
    var seconds = 10.0
    /// After so long without an answer a user tries again.
    var patience = 5.0
    /// Whether each user's last code is sent once more at the end.
    var replays = false
    var ahead = 0
    var journal: String?

    /// A gateway takes no answer that comes later (RFC 5080 §2.2.1 has it send again long before).
    static let clientsPatience: UInt64 = 5_000_000_000
    /// So long it waits at the end for what is still open.
    static let drain: UInt64 = 60_000_000_000
}

final class PersistentLoad {
    private enum Phase {
        case running
        /// Only what is not known yet is tried again.
        case draining
        /// Used codes are tried again.
        case replaying
    }

    /// Ends the load early, for SIGTERM.
    static let isStopped = Atomic<Bool>(false)

    private let plan: PersistentPlan
    private var book: CodeBook
    private var forge: RequestForge
    private var ledger: CodeLedger
    private var sockets: [LoadSocket] = []
    private var random = FastRandom(state: monotonicNanoseconds())
    private var journal: Journal?
    private var phase = Phase.running
    private var tally = PersistentTally()
    private var pace: Pace
    private var turn = 0
    private var waiting = 0
    /// Users whose turn comes, and those who try again, who come first.
    private var ready: IndexQueue
    private var again: IndexQueue
    /// In the order in which they were sent, which is that in which patience ends.
    private var sent: [(user: Int, serial: UInt32, at: UInt64)] = []
    private var sentHead = 0

    init(_ plan: PersistentPlan) throws {
        self.plan = plan
        book = try CodeBook(plan.users, plan.mode, firstCounter: 0, ahead: plan.ahead)
        forge = RequestForge(plan.secret)
        ledger = CodeLedger(users: plan.users.count, staysGood: !plan.mode.usesCounters)
        ready = IndexQueue(0..<plan.users.count)
        again = IndexQueue(0..<0)
        pace = Pace(from: monotonicNanoseconds(), perSecond: plan.rate)
        journal = try plan.journal.map { try Journal(path: $0) }
        for _ in 0..<plan.sockets { sockets.append(try LoadSocket(to: plan.server)) }
    }

    func run() throws -> PersistentTally {
        let start = monotonicNanoseconds()
        let end = start + UInt64(plan.seconds * 1e9)
        var now = start
        pace = Pace(from: start, perSecond: plan.rate)
        while true {
            if phase == .running, now >= end || Self.isStopped.load(ordering: .relaxed) {
                phase = .draining
                tally.seconds = Double(now - start) / 1e9
                tally.acceptedInTime = tally.latency.count
                tally.offered = tally.sent
            }
            if phase != .running, waiting == 0, again.isEmpty {
                guard phase == .draining, plan.replays else { break }
                phase = .replaying
                for user in 0..<plan.users.count where ledger.counter(of: user) > 0 { again.append(user) }
            }
            if phase != .running, now > end + PersistentPlan.drain + (plan.replays ? PersistentPlan.drain : 0) { break }
            fill(now)
            try journal?.flush()
            for socket in sockets { try socket.flush() }
            try receive(now)
            now = monotonicNanoseconds()
            expire(now)
        }
        try journal?.flush()
        tally.unresolved = waiting + again.count
        return tally
    }

    // MARK: Sending

    private func fill(_ now: UInt64) {
        while waiting < plan.window, !again.isEmpty || (phase == .running && !ready.isEmpty) {
            guard pace.take(at: now) != nil else { return }
            guard let user = again.popFirst() ?? ready.popFirst() else { return }
            send(user, now)
        }
        // Nobody is there to try: what was due is not made up for later.
        if pace.nextDue + 1_000_000_000 < now { pace = Pace(from: now, perSecond: plan.rate) }
    }

    private func send(_ user: Int, _ now: UInt64) {
        let isReplay = phase == .replaying
        let request = ledger.send(user, authenticator: Authenticator(using: &random), isReplay: isReplay, at: now)
        let place = Int(request.counter) * plan.users.count + user
        let proof = plan.mode == .password ? BenchUsers.password.reveal { $0 } : book.code(of: user, place: place, now: 0)
        turn += 1
        let socket = sockets[turn % sockets.count]
        let identifier = UInt8(truncatingIfNeeded: turn / sockets.count)
        let label = Self.label(user, request.serial)
        journal?.note(isReplay ? "p" : "s", user, request.counter)
        let name = book.name(of: user)
        socket.queue { bytes in
            forge.write(
                identifier: identifier, authenticator: request.authenticator, name: name, proof: .password(proof), state: nil,
                proxyState: label[...], to: &bytes)
        }
        sent.append((user, request.serial, now))
        waiting += 1
        tally.sent += 1
        if isReplay { tally.replayed += 1 }
    }

    private static func label(_ user: Int, _ serial: UInt32) -> [UInt8] {
        let word = UInt64(user) << 32 | UInt64(serial)
        return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
    }

    // MARK: Receiving

    private func receive(_ now: UInt64) throws {
        let due = min(pace.nextDue, now + 5_000_000)
        let descriptors = sockets.map(\.descriptor)
        guard datagrams_wait_readable(descriptors, descriptors.count, due > now ? due - now : 0) else { return }
        var wanted = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&wanted, nfds_t(wanted.count), 0) > 0 else { return }
        for (index, entry) in wanted.enumerated() where entry.revents != 0 {
            var now: UInt64?
            try sockets[index].receive { bytes in
                let arrived = now ?? monotonicNanoseconds()
                now = arrived
                take(bytes, arrived)
            }
        }
    }

    private func take(_ bytes: UnsafeBufferPointer<UInt8>, _ now: UInt64) {
        guard let label = RequestForge.proxyState(in: bytes), label.count == 8 else { return tally.bad += 1 }
        let word = label.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let user = Int(word >> 32)
        guard let request = ledger.find(user, serial: UInt32(truncatingIfNeeded: word)) else { return tally.stale += 1 }
        let verdict = forge.check(bytes, to: request.authenticator, requiringMessageAuthenticator: true)
        guard case .genuine(let code, _) = verdict, let code = Code(rawValue: code), code != .accessChallenge else {
            return tally.bad += 1
        }
        let wasWaiting = ledger.isWaiting(user)
        let finding = ledger.answer(user, to: request, isAccept: code == .accessAccept)
        let age = now - request.sent
        if age > PersistentPlan.clientsPatience { tally.late += 1 }
        tally.count(finding)
        switch finding {
        case .accepted:
            if age <= PersistentPlan.clientsPatience, phase == .running { tally.latency.add(nanoseconds: age) }
            journal?.note("a", user, request.counter)
        case .acceptedTwice: journal?.note("d", user, request.counter)
        case .usedUpUnheard: journal?.note("u", user, request.counter)
        case .wronglyRefused: journal?.note("w", user, request.counter)
        case .refusedAgain: journal?.note("r", user, request.counter)
        case .stale: break
        }
        guard wasWaiting, !ledger.isWaiting(user) else { return }
        waiting -= 1
        if phase == .running { ready.append(user) }
    }

    private func expire(_ now: UInt64) {
        let patience = UInt64(plan.patience * 1e9)
        while sentHead < sent.count, sent[sentHead].at + patience < now {
            let (user, serial, _) = sent[sentHead]
            sentHead += 1
            guard ledger.giveUp(user, serial: serial) else { continue }
            waiting -= 1
            tally.unanswered += 1
            // A later answer may have told meanwhile; then there is nothing to try again.
            if phase == .replaying || ledger.isUnresolved(user) { again.append(user) } else if phase == .running { ready.append(user) }
        }
        if sentHead > 65_536, sentHead * 2 > sent.count {
            sent.removeFirst(sentHead)
            sentHead = 0
        }
    }
}

/// Users in a row.
struct IndexQueue {
    private var items: [Int32]
    private var head = 0

    init(_ range: Range<Int>) { items = range.map { Int32($0) } }

    var count: Int { items.count - head }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ index: Int) { items.append(Int32(index)) }

    mutating func popFirst() -> Int? {
        guard head < items.count else { return nil }
        defer {
            head += 1
            if head > 65_536, head * 2 > items.count {
                items.removeFirst(head)
                head = 0
            }
        }
        return Int(items[head])
    }
}

/// A line for each code that was sent and each answer, with the kernel before the datagram is.
struct Journal {
    private let file: Int32
    private var lines: [UInt8] = []

    init(path: String) throws {
        file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw Refusal(.configuration, "The journal cannot be written: \(String(cString: strerror(errno))).", place: path)
        }
    }

    mutating func note(_ what: String, _ user: Int, _ counter: UInt32) {
        lines += Array("\(what) \(user) \(counter)\n".utf8)
    }

    mutating func flush() throws {
        guard !lines.isEmpty else { return }
        var written = 0
        while written < lines.count {
            let count = lines.withUnsafeBytes { write(file, $0.baseAddress.map { $0 + written }, lines.count - written) }
            guard count > 0 || errno == EINTR else {
                throw Refusal(.failed, "The journal cannot be written: \(String(cString: strerror(errno))).")
            }
            written += max(0, count)
        }
        lines.removeAll(keepingCapacity: true)
    }
}
