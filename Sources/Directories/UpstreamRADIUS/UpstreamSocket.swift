// SPDX-License-Identifier: Apache-2.0
// One source port towards one upstream server: anybody may send, one thread reads.

internal import Foundation
internal import Glibc
internal import RADIUS
internal import Synchronization

/// Connected, so that nobody but that server is heard, and a closed port is told. Whoever waits for an answer waits in a table.
final class UpstreamSocket: Sendable {
    enum Arrival: Sendable {
        case datagram([UInt8])
        /// Nothing has the port (ICMP port unreachable).
        case refused
    }

    private let descriptor: Int32
    private let isStopped = Atomic<Bool>(false)

    init(to server: ServerAddress) throws(RADIUSExchangeError) {
        descriptor = try ConnectedSocket.open(to: server)
    }

    /// When nobody sends on it and its thread has ended.
    deinit { close(descriptor) }

    enum Sending: Sendable {
        case sent
        /// As if it were lost on the way.
        case lost
        /// This port reaches nobody any more: the machine's own address is another by now, or the network is gone.
        case broken
    }

    func send(_ bytes: [UInt8]) -> Sending {
        var isSecondTry = false
        while true {
            if Glibc.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT)) >= 0 { return .sent }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return .lost
            case ECONNREFUSED:
                // The kernel reports an ICMP error to an earlier packet here, and sends nothing.
                if isSecondTry { return .lost }
                isSecondTry = true
            default: return .broken
            }
        }
    }

    /// Reads on a thread of its own until `stop`.
    func read(_ arrived: @escaping @Sendable (Arrival) -> Void) {
        let thread = Thread { [self] in
            // One byte more than a packet has, so that a longer datagram is noticed.
            var buffer = [UInt8](repeating: 0, count: Packet.maximumLength + 1)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count > 0 {
                    arrived(.datagram(Array(buffer[..<count])))
                } else if count == 0 {
                    // An empty datagram, or the end.
                    if isStopped.load(ordering: .acquiring) { return }
                } else if errno == ECONNREFUSED {
                    arrived(.refused)
                } else if errno != EINTR, errno != EAGAIN {
                    return
                }
            }
        }
        thread.name = "upstream"
        thread.stackSize = 512 * 1024
        thread.start()
    }

    func stop() {
        isStopped.store(true, ordering: .releasing)
        _ = shutdown(descriptor, CInt(SHUT_RDWR))
    }
}
