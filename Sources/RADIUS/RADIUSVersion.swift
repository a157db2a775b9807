// SPDX-License-Identifier: Apache-2.0
// The two forms of a packet: RFC 2865's, and that of RADIUS/1.1 (RFC 9765), which is spoken inside TLS alone.

/// What a packet's header means, and whether it protects itself.
public enum RADIUSVersion: String, Sendable, Hashable, CaseIterable {
    /// Identifier and authenticator; signed with a shared secret, which hides passwords too (RFC 2865 §3).
    case historic = "1.0"
    /// A token; nothing is signed or hidden, because TLS does both (RFC 9765 §4).
    case tokens = "1.1"

    /// How TLS names it (RFC 9765 §3.3).
    public var applicationProtocol: String { "radius/" + rawValue }
}

extension Packet {
    /// Matches a reply to its request in RADIUS/1.1 (RFC 9765 §4.2).
    public var token: UInt32 { UInt32(truncatingIfNeeded: authenticator.high >> 32) }
}

extension Authenticator {
    /// What stands in its place in RADIUS/1.1: the token, and twelve octets that are zero (RFC 9765 §4.1).
    init(token: UInt32) {
        self.init(high: UInt64(token) << 32, low: 0)
    }
}
