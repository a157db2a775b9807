// SPDX-License-Identifier: Apache-2.0
// A closed loop, where each login that ends starts the next, or an open one at a given rate. Nothing is lost silently, and nothing
// is sent twice but where that is what is measured.

import Administration
import CSockets
import Directories
import Dispatch
import Foundation
import LoginEngine
import RADIUS
import TLS

final class LoadGenerator {
    private let plan: LoadPlan
    private var book: CodeBook
    private var forge: RequestForge
    private var sockets: [LoadSocket] = []
    private var random = FastRandom(state: monotonicNanoseconds())
    private var open = 0
    private var isStarting = true
    private var isMeasuring = false
    private var seconds: Int64 = 0
    private var tally = LoadTally()
    private var pace: Pace?
    /// Watches the connections, which may be thousands.
    private var poller: Int32?
    /// Where the search for a free identifier goes on: each connection has its turn.
    private var turn = 0
    /// What MS-CHAPv2 users answer to a challenge of theirs; computed before, like codes.
    private var responses: [MSCHAPv2Response] = []
    /// By EAP.
    private var devices: LoadDevices?
    /// In the sessions' names, so that they are new ones in each run.
    private let runNumber = UInt32.random(in: 1 ... .max)
    private var interval = LoadInterval()
    /// Told while it measures (`LoadPlan.interval`).
    var told: (LoadInterval) -> Void = { _ in }
    private var cost = (start: ProcessCost(), server: ProcessCost?.none, allocations: UInt64?.none)

    init(_ plan: LoadPlan) throws {
        self.plan = plan
        book = try CodeBook(plan.users, plan.mode, firstCounter: plan.firstCounter, ahead: plan.ahead)
        forge = RequestForge(plan.secret)
        if let hash = BenchUsers.ntHash, plan.mode == .mschapv2 {
            responses = (0..<plan.users.count).map { user in
                MSCHAPv2Response(
                    identifier: 0, challenge: Authenticator(using: &random), peerChallenge: Authenticator(using: &random),
                    userName: book.name(of: user), hash: hash)
            }
        }
        if plan.mode.isEAP { devices = try LoadDevices(plan) }
        guard let tls = plan.tls else {
            for _ in 0..<plan.sockets { sockets.append(try LoadSocket(to: plan.server, from: plan.source)) }
            return
        }
        let poller = poller_create()
        guard poller >= 0 else { throw Refusal(.unavailable, "No poller: \(String(cString: strerror(-poller))).") }
        self.poller = poller
        for number in 0..<tls.connections {
            let connection = try LoadConnection(to: plan.server, tls.context)
            _ = poller_watch(poller, connection.descriptor, UInt64(number), true, false, true)
            sockets.append(LoadSocket(connection))
        }
    }

    deinit {
        if let poller { Foundation.close(poller) }
    }

    func run() throws -> LoadTally {
        let start = monotonicNanoseconds()
        if let rate = plan.rate {
            pace = Pace(from: start, perSecond: rate)
        } else if !plan.mode.isAnswered {
            pace = Pace(from: start, perSecond: LoadPlan.unansweredRate, burst: LoadPlan.unansweredBurst)
        }
        let measureFrom = start + UInt64(plan.warmup * 1e9)
        let end = measureFrom + UInt64(plan.seconds * 1e9)
        var nextSweep = start + 100_000_000
        var now = start
        while now < end || (open > 0 && now < end + LoadPlan.patience + 200_000_000) {
            if !isMeasuring, isStarting, now >= measureFrom { beginMeasuring(now) }
            if isStarting, now >= end || isAtMost { endMeasuring(now) }
            if !isStarting, open == 0 { break }
            if isMeasuring, let every = plan.interval, now >= interval.began + UInt64(every * 1e9) { tell(now) }
            seconds = Int64(time(nil))
            if isStarting { try fill(now) }
            for socket in sockets { try socket.flush() }
            try receive(now)
            now = monotonicNanoseconds()
            if now >= nextSweep {
                sweep(now)
                nextSweep = now + 100_000_000
            }
        }
        if isStarting { endMeasuring(monotonicNanoseconds()) }
        tally.unfinished = open
        tally.nextCounter = book.nextCounter
        tally.lateCodes = book.late
        return tally
    }

    private var isAtMost: Bool { plan.most.map { book.position >= $0 && open == 0 } ?? false }

    private func beginMeasuring(_ now: UInt64) {
        isMeasuring = true
        // What the warm-up counted is dropped, but for replies that were not genuine: there should be none at any time.
        let before = tally
        tally = LoadTally()
        tally.malformed = before.malformed
        tally.wrongResponseAuthenticator = before.wrongResponseAuthenticator
        tally.missingMessageAuthenticator = before.missingMessageAuthenticator
        tally.wrongMessageAuthenticator = before.wrongMessageAuthenticator
        tally.wrongProof = before.wrongProof
        tally.began = now
        interval = LoadInterval(began: now, tally)
        cost = (
            ProcessCost.own(), plan.process.flatMap { ProcessCost.of(process: $0) },
            plan.allocations.flatMap { ProcessCost.allocations(in: $0) }
        )
    }

    private func endMeasuring(_ now: UInt64) {
        isStarting = false
        isMeasuring = false
        tally.ended = now
        tally.own = ProcessCost.own() - cost.start
        if let path = plan.allocations, let before = cost.allocations, let after = ProcessCost.allocations(in: path) {
            tally.allocations = Int(after - before)
        }
        guard let process = plan.process, let before = cost.server, let after = ProcessCost.of(process: process) else { return }
        tally.server = after - before
        tally.serverKilobytes = ProcessCost.residentKilobytes(of: process)
    }

    private func tell(_ now: UInt64) {
        interval.end(now, tally, kilobytes: plan.process.flatMap { ProcessCost.residentKilobytes(of: $0) })
        told(interval)
        interval = LoadInterval(began: now, tally)
    }

    private func count(latency nanoseconds: UInt64) {
        tally.latency.add(nanoseconds: nanoseconds)
        if plan.interval != nil { interval.latency.add(nanoseconds: nanoseconds) }
    }

    // MARK: Sending

    private func fill(_ now: UInt64) throws {
        // Source ports are few and any will do.
        if plan.tls == nil { turn = 0 }
        var full = 0
        while open < plan.window, full < sockets.count, plan.most.map({ book.position < $0 }) ?? true {
            let socket = sockets[turn % sockets.count]
            turn += 1
            // Some identifiers are left for the second requests.
            guard socket.freeCount > 64 else {
                full += 1
                continue
            }
            full = 0
            var began = now
            if pace != nil {
                guard let due = pace?.take(at: now) else { return }
                began = due
            }
            guard let identifier = socket.takeIdentifier() else { continue }
            let (user, place) = book.next()
            open += 1
            let packet = try devices?.begin(place, book.name(of: user))
            send(socket, identifier, user: user, place: place, state: nil, eap: packet, began: began, now)
            guard !plan.mode.isAnswered else { continue }
            // Should an answer come, nothing waits for it, and it is counted as unexpected.
            socket.giveBack(identifier)
            open -= 1
        }
    }

    private func send(
        _ socket: LoadSocket, _ identifier: Int, user: Int, place: Int, state: [UInt8]?, eap: [UInt8]? = nil, began: UInt64, _ now: UInt64
    ) {
        let name = book.name(of: user)
        let authenticator: Authenticator
        if plan.mode == .accounting {
            let record = BenchRecord(place: place, users: plan.users.count, run: runNumber)
            authenticator = socket.queue { forge.write(record, identifier: UInt8(identifier), name: name, to: &$0) }
        } else {
            authenticator = Authenticator(using: &random)
            let proof = eap.map { .eap($0) } ?? proof(of: user, place: place, isFirst: state == nil)
            socket.queue { bytes in
                forge.write(
                    identifier: UInt8(identifier), authenticator: authenticator, name: name, proof: proof, state: state.map { $0[...] },
                    isForged: plan.mode == .badSignature, to: &bytes)
            }
        }
        socket.requests[identifier] = Outstanding(
            phase: state == nil ? .first : .second, user: user, place: place, authenticator: authenticator, sent: now, began: began)
        if isMeasuring { tally.sent += 1 }
    }

    private func proof(of user: Int, place: Int, isFirst: Bool) -> RequestForge.Proof {
        if plan.mode == .mschapv2 { return .msCHAPv2(responses[user]) }
        let isPassword = plan.mode == .password || plan.mode == .chap || (plan.mode == .passwordAndCode && isFirst)
        var proof = isPassword ? BenchUsers.password.reveal { $0 } : book.code(of: user, place: place, now: seconds)
        // Evenly spread, and no user twice in a row.
        if plan.wrongPercent > 0, (place * plan.wrongPercent) % 100 < plan.wrongPercent { proof[proof.count - 1] ^= 1 }
        return plan.mode == .chap ? .chap(proof) : .password(proof)
    }

    /// The same bytes once more, under the same identifier.
    private func sendAgain(_ socket: LoadSocket, _ identifier: Int, _ now: UInt64) {
        let request = socket.requests[identifier]
        socket.requests[identifier].sent = now
        let proof = book.code(of: request.user, place: request.place, now: seconds)
        let name = book.name(of: request.user)
        socket.queue { bytes in
            forge.write(
                identifier: UInt8(identifier), authenticator: request.authenticator, name: name, proof: .password(proof), state: nil,
                to: &bytes)
        }
        if isMeasuring { tally.sent += 1 }
    }

    // MARK: Receiving

    private func receive(_ now: UInt64) throws {
        if let poller { return try receive(by: poller, now) }
        var patience: Int32 = 50
        if isStarting, let pace {
            let due = min(pace.nextDue, now + 50_000_000)
            let descriptors = sockets.map(\.descriptor)
            _ = datagrams_wait_readable(descriptors, descriptors.count, due > now ? due - now : 0)
            patience = 0
        } else if sockets.count == 1 {
            return try take(sockets[0])
        }
        var wanted = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&wanted, nfds_t(wanted.count), patience) > 0 else { return }
        for (index, entry) in wanted.enumerated() where entry.revents != 0 { try take(sockets[index]) }
    }

    private func receive(by poller: Int32, _ now: UInt64) throws {
        var due = now + 50_000_000
        if isStarting, let pace { due = min(due, pace.nextDue) }
        guard datagrams_wait_readable([poller], 1, due > now ? due - now : 0) else { return }
        var events = [poller_event](repeating: poller_event(), count: 64)
        for index in 0..<Int(max(0, poller_wait(poller, &events, 64, 0))) { try take(sockets[Int(events[index].name)]) }
    }

    private func take(_ socket: LoadSocket) throws {
        var now: UInt64?
        try socket.receive { bytes in
            let arrived = now ?? monotonicNanoseconds()
            now = arrived
            take(bytes, on: socket, arrived)
        }
    }

    private func take(_ bytes: UnsafeBufferPointer<UInt8>, on socket: LoadSocket, _ now: UInt64) {
        guard bytes.count >= Packet.minimumLength else { return tally.malformed += 1 }
        let identifier = Int(bytes[1])
        let request = socket.requests[identifier]
        switch request.phase {
        case .free: return tally.unexpected += 1
        case .lost:
            tally.late += 1
            return socket.giveBack(identifier)
        case .first, .second: break
        }
        let verdict = forge.check(
            bytes, to: request.authenticator, requiringMessageAuthenticator: plan.requiresMessageAuthenticator)
        guard case .genuine(let code, let state) = verdict else {
            tally.count(verdict)
            return
        }
        if isMeasuring { tally.replies += 1 }
        if plan.mode == .duplicate {
            let answer = RequestForge.authenticator(of: bytes)
            if request.answers > 0 {
                if answer != request.answer { tally.changed += 1 }
                if isMeasuring {
                    tally.duplicates += 1
                    count(latency: now - request.sent)
                }
            } else {
                socket.requests[identifier].answer = answer
            }
            socket.requests[identifier].answers += 1
            if request.answers < plan.repetitions, isStarting {
                if request.answers == 0, isMeasuring { tally.count(Code(rawValue: code)) }
                return sendAgain(socket, identifier, now)
            }
            socket.giveBack(identifier)
            return close()
        }
        socket.giveBack(identifier)
        switch Code(rawValue: code) {
        case .accessChallenge where plan.mode == .passwordAndCode && request.phase == .first && state != nil:
            if isMeasuring { tally.challenged += 1 }
            guard let next = socket.takeIdentifier() else { return close() }
            send(socket, next, user: request.user, place: request.place, state: state, began: request.began, now)
            return
        case .accessChallenge where devices != nil:
            guard goOn(bytes, socket, request, state, now) else { return }
        case .accessAccept where devices != nil:
            if devices?.isProof(bytes, request.place, to: request.authenticator) == true {
                tally.proofs += 1
                if isMeasuring, devices?.wasResumed == true { tally.resumed += 1 }
            } else {
                tally.wrongProof += 1
            }
            if isMeasuring { tally.count(.accessAccept) }
        case .accessAccept where plan.mode == .mschapv2:
            if request.place % LoadPlan.proofSample == 0 { prove(bytes, request.user) }
            if isMeasuring { tally.count(.accessAccept) }
        case let code: if isMeasuring { tally.count(code) }
        }
        devices?.forget(request.place)
        if isMeasuring { count(latency: now - request.began) }
        close()
    }

    /// The next round of a conversation.
    ///
    /// - Returns: whether it is over.
    private func goOn(
        _ bytes: UnsafeBufferPointer<UInt8>, _ socket: LoadSocket, _ request: Outstanding, _ state: [UInt8]?, _ now: UInt64
    ) -> Bool {
        guard let devices else { return true }
        let next = devices.take(bytes, request.place) {
            plan.mode.usesCounters ? book.code(of: request.user, place: request.place, now: seconds) : BenchUsers.password.reveal { $0 }
        }
        switch next {
        case .send(let packet):
            guard let identifier = socket.takeIdentifier() else {
                devices.forget(request.place)
                return true
            }
            send(socket, identifier, user: request.user, place: request.place, state: state, eap: packet, began: request.began, now)
            return false
        case .over:
            if isMeasuring { tally.count(.accessChallenge) }
        case .wrong:
            tally.wrongProof += 1
        }
        return true
    }

    private func prove(_ bytes: UnsafeBufferPointer<UInt8>, _ user: Int) {
        guard let hash = BenchUsers.ntHash, RequestForge.isProof(bytes, of: responses[user], hash) else { return tally.wrongProof += 1 }
        tally.proofs += 1
    }

    private func close() {
        open -= 1
    }

    private func sweep(_ now: UInt64) {
        for socket in sockets {
            for identifier in 0..<256 {
                let request = socket.requests[identifier]
                switch request.phase {
                case .free: continue
                case .first, .second:
                    guard now > request.sent + LoadPlan.patience else { continue }
                    socket.requests[identifier].phase = .lost
                    if tally.began > 0, request.sent >= tally.began { tally.lost += 1 }
                    devices?.forget(request.place)
                    close()
                case .lost:
                    if now > request.sent + LoadPlan.patience + LoadPlan.rest { socket.giveBack(identifier) }
                }
            }
        }
    }
}

/// SplitMix64: authenticators have to differ here, not to be secret.
struct FastRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

func monotonicNanoseconds() -> UInt64 { DispatchTime.now().uptimeNanoseconds }
