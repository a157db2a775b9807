// SPDX-License-Identifier: Apache-2.0
// A closed loop: so many logins are always open, and each that ends starts the next. Nothing is sent twice.

import CDatagrams
import Directories
import Dispatch
import Foundation
import LoginEngine
import RADIUS

struct LoadPlan {
    var server: ServerAddress
    var secret: SharedSecret
    var users: BenchUsers
    var mode: BenchMode
    var window = 64
    var sockets = 4
    var seconds = 10.0
    var warmup = 1.0
    var requiresMessageAuthenticator = true
    /// This share of the proofs is wrong on purpose.
    var wrongPercent = 0
    var firstCounter: UInt64 = 0
    /// Codes computed before the load begins.
    var ahead = 0
    /// The server's process, when it runs here.
    var process: Int32?

    /// An unanswered request counts as lost after this.
    static let patience: UInt64 = 3_000_000_000
    /// Its identifier rests so long again, so that a late reply is known as one.
    static let rest: UInt64 = 10_000_000_000
}

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
    private var cost = (start: ProcessCost(), server: ProcessCost?.none)

    init(_ plan: LoadPlan) throws {
        self.plan = plan
        book = try CodeBook(plan.users, plan.mode, firstCounter: plan.firstCounter, ahead: plan.ahead)
        forge = RequestForge(plan.secret)
        for _ in 0..<plan.sockets { sockets.append(try LoadSocket(to: plan.server)) }
    }

    func run() throws -> LoadTally {
        let start = monotonicNanoseconds()
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
            try receive()
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
        cost = (ProcessCost.own(), plan.process.flatMap { ProcessCost.of(process: $0) })
    }

    private func endMeasuring(_ now: UInt64) {
        isStarting = false
        isMeasuring = false
        tally.ended = now
        tally.own = ProcessCost.own() - cost.start
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
            guard socket.freeCount > 64, let identifier = socket.takeIdentifier() else {
                full += 1
                continue
            }
            full = 0
            let (user, place) = book.next()
            open += 1
            send(socket, identifier, user: user, place: place, state: nil, began: now, now)
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
                to: &bytes)
        }
        if isMeasuring { tally.sent += 1 }
    }

    // MARK: Receiving

    private func receive() throws {
        if sockets.count == 1 { return take(sockets[0]) }
        var wanted = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&wanted, nfds_t(wanted.count), 50) > 0 else { return }
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
        socket.giveBack(identifier)
        if isMeasuring { tally.replies += 1 }
        switch Code(rawValue: code) {
        case .accessChallenge where plan.mode == .passwordAndCode && request.phase == .first && state != nil:
            if isMeasuring { tally.challenged += 1 }
            guard let next = socket.takeIdentifier() else { return close() }
            send(socket, next, user: request.user, place: request.place, state: state, began: request.began, now)
            return
        case .accessAccept: if isMeasuring { tally.accepted += 1 }
        case .accessReject: if isMeasuring { tally.rejected += 1 }
        case .accessChallenge: if isMeasuring { tally.challenged += 1 }
        default: tally.malformed += 1
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
