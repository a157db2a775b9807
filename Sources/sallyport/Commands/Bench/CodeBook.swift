// SPDX-License-Identifier: Apache-2.0
// Who logs in next, and with what: users in turn, their codes computed before the load begins.

import Foundation
import LoginEngine
import OTP

struct CodeBook {
    private let users: BenchUsers
    private let mode: BenchMode
    private let firstCounter: UInt64
    /// Code of the n-th login; users in turn, so that no user has two logins open.
    private var ready: [UInt32] = []
    private var steps: [Int64] = []
    private(set) var position = 0
    /// Codes that were not ready when they were wanted, and cost the generator time.
    private(set) var late = 0

    init(_ users: BenchUsers, _ mode: BenchMode, firstCounter: UInt64, ahead: Int) throws {
        self.users = users
        self.mode = mode
        self.firstCounter = firstCounter
        if mode == .totp {
            ready = [UInt32](repeating: 0, count: users.count)
            steps = [Int64](repeating: -1, count: users.count)
        }
        guard mode.usesCounters else { return }
        let rounds = (ahead + users.count - 1) / users.count
        ready = [UInt32](repeating: 0, count: rounds * users.count)
        for number in 0..<users.count {
            let hotp = try users.hotp(number)
            for round in 0..<rounds { ready[round * users.count + number] = Self.number(hotp.code(counter: firstCounter + UInt64(round))) }
        }
    }

    /// The counter that a next run may begin with.
    var nextCounter: UInt64 { firstCounter + UInt64((position + users.count - 1) / users.count) }

    /// The next login: its user, and its place in the order, which names its code.
    mutating func next() -> (user: Int, place: Int) {
        defer { position += 1 }
        return (position % users.count, position)
    }

    func name(of user: Int) -> [UInt8] {
        Array((mode == .unknown ? users.strangersName(user) : users.name(user)).utf8)
    }

    mutating func code(of user: Int, place: Int, now seconds: Int64) -> [UInt8] {
        switch mode {
        case .totp: return totp(user, seconds)
        // A different one each time: a proof that was wrong before costs less.
        case .unknown, .wrongCode, .badSignature: return Self.digits(UInt32(truncatingIfNeeded: place &* 7_919 % 1_000_000))
        case .code, .password, .passwordAndCode, .duplicate, .chap, .mschapv2, .accounting, .ttlsCode, .ttlsPassword,
            .peapMSCHAPv2, .tls, .tlsResumed, .halfOpen:
            break
        }
        if place < ready.count { return Self.digits(ready[place]) }
        late += 1
        let counter = firstCounter + UInt64(place / users.count)
        return (try? users.hotp(user)).map { Array($0.code(counter: counter).utf8) } ?? []
    }

    private mutating func totp(_ user: Int, _ seconds: Int64) -> [UInt8] {
        let step = seconds / 30
        if steps[user] != step {
            steps[user] = step
            ready[user] = (try? users.totp(user))?.code(step: step).map(Self.number) ?? 0
        }
        return Self.digits(ready[user])
    }

    static func number(_ code: String) -> UInt32 {
        code.utf8.reduce(0) { $0 * 10 + UInt32($1 - UInt8(ascii: "0")) }
    }

    static func digits(_ code: UInt32) -> [UInt8] {
        var rest = code
        var digits = [UInt8](repeating: 0, count: 6)
        for index in (0..<6).reversed() {
            digits[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        return digits
    }
}
