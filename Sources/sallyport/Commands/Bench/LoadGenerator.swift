// SPDX-License-Identifier: Apache-2.0
// A closed loop, where each login that ends starts the next, or an open one at a given rate. Nothing is lost silently, and nothing
// is sent twice but where that is what is measured.

import CSockets
import Directories
import Dispatch
import Foundation
import LoginEngine
import RADIUS

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
    private var cost = (start: ProcessCost(), server: ProcessCost?.none, allocations: UInt64?.none)

    init(_ plan: LoadPlan) throws {
        self.plan = plan
        book = try CodeBook(plan.users, plan.mode, firstCounter: plan.firstCounter, ahead: plan.ahead)
        forge = RequestForge(plan.secret)
        for _ in 0..<plan.sockets { sockets.append(try LoadSocket(to: plan.server, from: plan.source)) }
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
            if isStarting, now >= end { endMeasuring(now) }
            seconds = Int64(time(nil))
            if isStarting { fill(now) }
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

    private func beginMeasuring(_ now: UInt64) {
        isMeasuring = true
        // What the warm-up counted is dropped, but for replies that were not genuine: there should be none at any time.
        let before = tally
        tally = LoadTally()
        tally.malformed = before.malformed
        tally.wrongResponseAuthenticator = before.wrongResponseAuthenticator
        tally.missingMessageAuthenticator = before.missingMessageAuthenticator
        tally.wrongMessageAuthenticator = before.wrongMessageAuthenticator
        tally.began = now
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

    // MARK: Sending

    private func fill(_ now: UInt64) {
        var index = 0
        var full = 0
        while open < plan.window, full < sockets.count {
            let socket = sockets[index % sockets.count]
            index += 1
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
            send(socket, identifier, user: user, place: place, state: nil, began: began, now)
            guard !plan.mode.isAnswered else { continue }
            // Should an answer come, nothing waits for it, and it is counted as unexpected.
            socket.giveBack(identifier)
            open -= 1
        }
    }

    private func send(
        _ socket: LoadSocket, _ identifier: Int, user: Int, place: Int, state: [UInt8]?, began: UInt64, _ now: UInt64
    ) {
        let authenticator = Authenticator(using: &random)
        var proof: [UInt8]
        if plan.mode == .password || (plan.mode == .passwordAndCode && state == nil) {
            proof = BenchUsers.password.reveal { $0 }
        } else {
            proof = book.code(of: user, place: place, now: seconds)
        }
        // Evenly spread, and no user twice in a row.
        if plan.wrongPercent > 0, (place * plan.wrongPercent) % 100 < plan.wrongPercent { proof[proof.count - 1] ^= 1 }
        socket.requests[identifier] = Outstanding(
            phase: state == nil ? .first : .second, user: user, place: place, authenticator: authenticator, sent: now, began: began)
        let name = book.name(of: user)
        socket.queue { bytes in
            forge.write(
                identifier: UInt8(identifier), authenticator: authenticator, name: name, password: proof, state: state.map { $0[...] },
                isForged: plan.mode == .badSignature, to: &bytes)
        }
        if isMeasuring { tally.sent += 1 }
    }

    /// The same bytes once more, under the same identifier.
    private func sendAgain(_ socket: LoadSocket, _ identifier: Int, _ now: UInt64) {
        let request = socket.requests[identifier]
        socket.requests[identifier].sent = now
        let proof = book.code(of: request.user, place: request.place, now: seconds)
        let name = book.name(of: request.user)
        socket.queue { bytes in
            forge.write(
                identifier: UInt8(identifier), authenticator: request.authenticator, name: name, password: proof, state: nil, to: &bytes)
        }
        if isMeasuring { tally.sent += 1 }
    }

    // MARK: Receiving

    private func receive(_ now: UInt64) throws {
        var patience: Int32 = 50
        if isStarting, let pace {
            let due = min(pace.nextDue, now + 50_000_000)
            let descriptors = sockets.map(\.descriptor)
            _ = datagrams_wait_readable(descriptors, descriptors.count, due > now ? due - now : 0)
            patience = 0
        } else if sockets.count == 1 {
            return take(sockets[0])
        }
        var wanted = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&wanted, nfds_t(wanted.count), patience) > 0 else { return }
        for (index, entry) in wanted.enumerated() where entry.revents != 0 { take(sockets[index]) }
    }

    private func take(_ socket: LoadSocket) {
        let count = datagram_batch_receive(socket.batch, socket.descriptor)
        guard count > 0 else { return }
        let now = monotonicNanoseconds()
        for index in 0..<count {
            let bytes = UnsafeBufferPointer(
                start: datagram_batch_bytes(socket.batch, index), count: datagram_batch_length(socket.batch, index))
            take(bytes, on: socket, now)
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
                    tally.latency.add(nanoseconds: now - request.sent)
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
        case let code: if isMeasuring { tally.count(code) }
        }
        if isMeasuring { tally.latency.add(nanoseconds: now - request.began) }
        close()
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
