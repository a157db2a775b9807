// SPDX-License-Identifier: Apache-2.0
// What one conversation may take.

public struct EAPLimits: Sendable, Equatable {
    /// Packets of the peer in all. A chain of certificates in small fragments takes some forty; nobody needs more than this.
    public var rounds = 100
    /// Of these, how many may have been discarded.
    public var discarded = 8
    /// What RADIUS has room for as User-Name (RFC 2865 §5.1).
    public var identityLength = 253

    public init() {}
}
