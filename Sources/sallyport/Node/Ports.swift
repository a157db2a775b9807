// SPDX-License-Identifier: Apache-2.0
// Whether a port can be had, asked of the kernel by binding it.

import Glibc
import LoginEngine
import WebDoor

enum Ports {
    static func isFree(_ address: ListenAddress, isUDP: Bool) -> Bool { bindError(address, isUDP: isUDP) == nil }

    /// Not free because somebody has it.
    static func isTaken(_ address: ListenAddress, isUDP: Bool) -> Bool { bindError(address, isUDP: isUDP) == EADDRINUSE }

    private static func bindError(_ address: ListenAddress, isUDP: Bool) -> Int32? {
        guard address.port != 0 else { return nil }
        let type = Int32(isUDP ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue)
        let descriptor = socket(address.host.isIPv4 ? AF_INET : AF_INET6, type | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        var on: Int32 = 1
        if !address.host.isIPv4 {
            setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        // What was bound a moment ago by an ended process of ours is free (tcp(7), TIME_WAIT).
        if !isUDP { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size)) }
        return withAddress(address.host, address.port) { bind(descriptor, $0, $1) } == 0 ? nil : errno
    }

    /// A socket address of either family.
    static func withAddress<Result>(
        _ host: NetworkAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        if host.isIPv4 {
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_port = port.bigEndian
            place.sin_addr.s_addr = UInt32(truncatingIfNeeded: host.bits).bigEndian
            return withUnsafePointer(to: &place) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
        }
        var place = sockaddr_in6()
        place.sin6_family = sa_family_t(AF_INET6)
        place.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &place.sin6_addr) { $0.copyBytes(from: host.bytes) }
        return withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
        }
    }
}
