// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of the socket, as the kernel says, and the person behind a root shell.

package import Administration
internal import Foundation
internal import Glibc

/// SO_PEERCRED, unix(7): what the kernel saw at connect; the peer cannot choose it.
package struct Peer: Sendable, Equatable {
    package var process: Int32
    package var user: UInt32

    package init(process: Int32, user: UInt32) {
        self.process = process
        self.user = user
    }

    /// The same user as the node, or root.
    package func isAllowed(node: UInt32) -> Bool {
        user == node || user == 0
    }

    /// The login user survives sudo and su; where none was recorded, it is the peer's own user.
    package func actor(node: String) -> Actor {
        let person = Self.loginUser(of: process) ?? user
        return .commandLine(user: Self.name(of: person), node: node)
    }

    /// The actor of this process, for commands that work without a node.
    package static func own(node: String) -> Actor {
        Peer(process: getpid(), user: getuid()).actor(node: node)
    }

    /// /proc/PID/loginuid, proc(5); 4294967295 where nobody logged in.
    static func loginUser(of process: Int32) -> UInt32? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/loginuid", encoding: .utf8),
            let user = UInt32(text.trimmingCharacters(in: .whitespacesAndNewlines)), user != .max
        else { return nil }
        return user
    }

    package static func name(of user: UInt32) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwuid_r(user, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name else {
            return "uid\(user)"
        }
        return String(cString: name)
    }
}

/// `struct ucred` of Linux, unix(7); Glibc declares it only for C with _GNU_SOURCE.
struct PeerCredentials: Sendable {
    var process: Int32 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
}
