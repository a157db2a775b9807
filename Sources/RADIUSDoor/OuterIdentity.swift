// SPDX-License-Identifier: Apache-2.0
// The name outside of a tunnel: what the gateway knows a device by, who counts and matches its sessions under it.

import LoginEngine

enum OuterIdentity {
    /// Whether a device may say `outer` to the gateway and prove `inner` inside of the tunnel: it is the same user, or nobody at all.
    ///
    /// Not every gateway heeds the User-Name of the accept; one that does not would take whoever proved `inner` for `outer`.
    static func fits(_ outer: [UInt8], inner: [UInt8], of client: ClientSettings) -> Bool {
        if isAnonymous(outer) || outer == inner { return true }
        guard let outer = key(outer, of: client), let inner = key(inner, of: client) else { return false }
        return outer == inner
    }

    /// What a user of that name is found by.
    static func key(_ name: [UInt8], of client: ClientSettings) -> String? {
        client.charset.text(name[...]).flatMap { UserName.key(of: $0, stripping: client.nameStripping) }
    }

    /// RFC 7542 §2.4 has nothing in front of the realm; most devices are set to this one word.
    static func isAnonymous(_ name: [UInt8]) -> Bool {
        let parts = name.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        return parts.count <= 2 && (parts[0].isEmpty || parts[0].elementsEqual("anonymous".utf8))
    }
}
