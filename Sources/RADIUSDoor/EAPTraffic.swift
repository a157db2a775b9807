// SPDX-License-Identifier: Apache-2.0
// What rounds of EAP show about a gateway and the devices behind it. Only what is out of the ordinary is looked at under a lock.

import EAP
import LoginEngine
import RADIUS

/// What was counted in one period.
struct EAPHabit {
    /// Devices can ask for anything: that many methods are told apart.
    static let mostMethods = 16

    private(set) var accepted: [UInt8: Int] = [:]
    private(set) var wanted: [UInt8: Int] = [:]
    private(set) var framedMTU: Int?

    mutating func noteAccept(_ method: UInt8) { Self.count(method, in: &accepted) }

    mutating func note(wanted methods: [UInt8]) {
        for method in Set(methods) { Self.count(method, in: &wanted) }
    }

    mutating func note(framedMTU bytes: Int) { framedMTU = min(framedMTU ?? bytes, bytes) }

    private static func count(_ method: UInt8, in counts: inout [UInt8: Int]) {
        guard counts[method] != nil || counts.count < mostMethods else { return }
        counts[method, default: 0] += 1
    }

    func adding(_ other: EAPHabit) -> EAPHabit {
        var sum = self
        sum.accepted.merge(other.accepted, uniquingKeysWith: +)
        sum.wanted.merge(other.wanted, uniquingKeysWith: +)
        if let bytes = other.framedMTU { sum.note(framedMTU: bytes) }
        return sum
    }
}

/// The little of an EAP Response that its sender can be known by (RFC 3748 §4.1, §5.3.1).
struct EAPRound {
    /// Of what the device speaks; nil where it is no method.
    let method: UInt8?
    /// What it would rather speak.
    let wanted: [UInt8]

    /// Code, identifier, length, type.
    private static let headerLength = 5
    private static let response: UInt8 = 2
    /// A device that wants more has lost its way.
    private static let mostWanted = 8

    init?(_ message: [UInt8]) {
        guard message.count >= Self.headerLength, message[0] == Self.response else { return nil }
        let type = message[4]
        if type == EAPType.nak.rawValue {
            method = nil
            // 0: there is nothing that it would rather.
            wanted = message.dropFirst(Self.headerLength).prefix(Self.mostWanted).filter { $0 != 0 }
        } else {
            method = type > EAPType.nak.rawValue && type != EAPType.expanded.rawValue ? type : nil
            wanted = []
        }
    }
}

extension EAPMethodName {
    /// RFC 3748 §5, and the methods' own.
    private var type: EAPType {
        switch self {
        case .gtc: .genericTokenCard
        case .msCHAPv2: .msCHAPv2
        case .md5: .md5Challenge
        case .tls: .tls
        case .ttls: .ttls
        case .peap: .peap
        }
    }

    static func isOffered(_ wanted: UInt8, among offered: [EAPMethodName]) -> Bool { offered.contains { $0.type.rawValue == wanted } }
}
