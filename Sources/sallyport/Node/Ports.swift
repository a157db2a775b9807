// SPDX-License-Identifier: Apache-2.0
// Whether a port can be had, asked of the kernel by binding it.

import Glibc
import LoginEngine
import WebDoor

enum Ports {
    static func isFree(_ address: ListenAddress, isUDP: Bool) -> Bool {
        guard address.host.isIPv4, address.port != 0 else { return true }
        let type = Int32(isUDP ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue)
        let descriptor = socket(AF_INET, type | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = address.port.bigEndian
        place.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.host.bits).bigEndian
        return withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
