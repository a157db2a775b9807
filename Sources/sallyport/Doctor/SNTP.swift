// SPDX-License-Identifier: Apache-2.0
// One question to a time server (RFC 4330): enough to say how wrong a clock is, not to set it.

import Directories
import Foundation
import Glibc
import LoginEngine

enum SNTP {
    /// RFC 4330 §4, without authenticator.
    static let size = 48
    static let port: UInt16 = 123
    /// 1900-01-01 to 1970-01-01.
    private static let epoch: Int64 = 2_208_988_800

    /// Version 4, client. The cookie stands where a clock's time would: whoever cannot see the question cannot answer it.
    static func question(cookie: [UInt8]) -> [UInt8] {
        [0x23] + [UInt8](repeating: 0, count: size - 1 - cookie.count) + cookie
    }

    /// What has to be added to this clock; nil where this is no answer to the question, or the server does not know the time itself.
    static func difference(answer: [UInt8], cookie: [UInt8], asked: Timestamp, heard: Timestamp) -> Timestamp.Span? {
        guard answer.count >= size, answer[0] & 0x07 == 4, answer[0] >> 6 != 3, (1...15).contains(answer[1]),
            Array(answer[24..<32]) == cookie
        else { return nil }
        let (received, sent) = (time(answer[32..<40]), time(answer[40..<48]))
        guard let received, let sent else { return nil }
        // RFC 4330 §5: half of what both ways differ by.
        return Timestamp.Span(microseconds: ((received - asked).microseconds + (sent - heard).microseconds) / 2)
    }

    /// RFC 4330 §3: without its top bit set, the time lies in the era that begins in 2036.
    private static func time(_ bytes: ArraySlice<UInt8>) -> Timestamp? {
        let words = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard words != 0 else { return nil }
        let seconds = Int64(words >> 32) + (words >> 63 == 0 ? 1 << 32 : 0) - epoch
        return Timestamp(microseconds: seconds * 1_000_000 + Int64(((words & 0xFFFF_FFFF) * 1_000_000) >> 32))
    }

    /// Blocks for two seconds at most, and for as long as a name is looked up.
    static func ask(_ server: String) -> Timestamp.Span? {
        // A port other than NTP's own is for tests.
        let hasPort = server.split(separator: ":", omittingEmptySubsequences: false).count == 2 || server.contains("]:")
        guard let place = try? ServerAddress.resolve(hasPort ? server : isBareIPv6(server) ? "[\(server)]:\(port)" : "\(server):\(port)")
        else { return nil }
        let descriptor = socket(
            place.address.isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard Ports.withAddress(place.address, place.port, { connect(descriptor, $0, $1) }) == 0 else { return nil }
        let cookie = BufferedRandom.bytes(8)
        let question = question(cookie: cookie)
        let asked = NodeClock.now().wall
        guard send(descriptor, question, question.count, 0) == question.count else { return nil }
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, 2_000) == 1 else { return nil }
        var answer = [UInt8](repeating: 0, count: 512)
        let count = recv(descriptor, &answer, answer.count, 0)
        guard count > 0 else { return nil }
        return difference(answer: Array(answer.prefix(count)), cookie: cookie, asked: asked, heard: NodeClock.now().wall)
    }

    private static func isBareIPv6(_ server: String) -> Bool { NetworkAddress(server).map { !$0.isIPv4 } ?? false }
}
