// SPDX-License-Identifier: Apache-2.0
// One accounting record of a load. Its place in the order says which: every user's session begins, then every one reports, then every
// one ends, and so on; so that there are as many sessions open as there are users, and none reports before its beginning was acknowledged.

import RADIUS

struct BenchRecord: Equatable {
    /// Acct-Status-Type (RFC 2866 §5.1).
    enum Kind: UInt32, CaseIterable {
        case start = 1
        case interimUpdate = 3
        case stop = 2
    }

    var kind: Kind
    /// Differs from run to run.
    var run: UInt32
    var user: Int
    /// Which of the user's sessions.
    var round: Int

    init(place: Int, users: Int, run: UInt32) {
        self.run = run
        user = place % users
        round = place / users / Kind.allCases.count
        kind = Kind.allCases[place / users % Kind.allCases.count]
    }

    /// What a VPN gateway sends of a session.
    func appendAttributes(to bytes: inout [UInt8]) {
        Self.append(.acctStatusType, kind.rawValue, to: &bytes)
        RequestForge.append(.acctSessionID, Array("\(String(run, radix: 16))-\(user)-\(round)".utf8)[...], to: &bytes)
        Self.append(.nasIPAddress, 0x7F00_0001, to: &bytes)
        Self.append(.nasPort, UInt32(truncatingIfNeeded: user), to: &bytes)
        // Of 10/8.
        Self.append(.framedIPAddress, 0x0A00_0000 | UInt32(truncatingIfNeeded: user) & 0xFF_FFFF, to: &bytes)
        RequestForge.append(.callingStationID, Array("192.0.2.\(user % 256)".utf8)[...], to: &bytes)
        guard kind != .start else { return }
        let isEnd = kind == .stop
        Self.append(.acctSessionTime, isEnd ? 1_200 : 600, to: &bytes)
        Self.append(.acctInputOctets, isEnd ? 3_000_000 : 1_000_000, to: &bytes)
        Self.append(.acctOutputOctets, isEnd ? 40_000_000 : 20_000_000, to: &bytes)
        if isEnd { Self.append(.acctTerminateCause, Self.userRequest, to: &bytes) }
    }

    /// RFC 2866 §5.10.
    private static let userRequest: UInt32 = 1

    private static func append(_ type: AttributeType, _ value: UInt32, to bytes: inout [UInt8]) {
        RequestForge.append(type, (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }[...], to: &bytes)
    }
}
