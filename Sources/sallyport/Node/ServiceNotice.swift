// SPDX-License-Identifier: Apache-2.0
// Tells the service manager how far the node is: sd_notify(3) without its library, one datagram for each notice.

import Foundation
import Glibc

struct ServiceNotice: Sendable {
    /// unix(7): `sun_path` without the byte that ends it.
    static let longestPath = 107

    private let address: [UInt8]

    /// Nil where nobody wants to know.
    init?(environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard let path = environment["NOTIFY_SOCKET"], (2...Self.longestPath).contains(path.utf8.count) else { return nil }
        switch path.utf8.first {
        case UInt8(ascii: "/"): address = Array(path.utf8)
        // Written with @, an abstract name begins with NUL.
        case UInt8(ascii: "@"): address = [0] + path.utf8.dropFirst()
        default: return nil
        }
    }

    func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }

    func stopping() { send("STOPPING=1\nSTATUS=finishing what waits") }

    /// A manager that does not listen is none of the node's troubles.
    private func send(_ text: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var place = sockaddr_un()
        place.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: address) }
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
        // An abstract name is as long as it says, without a zero behind it.
        let length = socklen_t(start + address.count + (address.first == 0 ? 0 : 1))
        let bytes = Array(text.utf8)
        withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
