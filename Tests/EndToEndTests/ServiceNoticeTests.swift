// SPDX-License-Identifier: Apache-2.0
// A node as a service of Type=notify: it says when it is ready and when it stops, and needs nobody who listens.

import Foundation
import Glibc
import Testing

@testable import sallyport

@Suite struct ServiceNoticeTests {
    @Test func aServiceManagerHearsReadyOnceRADIUSAnswersAndStoppingAtTheEnd() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/notify"
        let descriptor = try listen(Array(path.utf8))
        defer { close(descriptor) }
        let running = try await Program.sallyport.start(
            ["serve", "--data-dir", folder.path + "/data"] + NodeProcess.loopback, environment: ["NOTIFY_SOCKET": path])
        let endpoint = try await running.radiusEndpoint()
        #expect(try await datagram(descriptor) == "READY=1\nSTATUS=RADIUS on \(endpoint)")
        running.signal(SIGTERM)
        #expect(try await running.end().status == 0)
        #expect(try await datagram(descriptor).hasPrefix("STOPPING=1\n"))
    }

    @Test func anAbstractSocketIsFound() async throws {
        let name = "sallyport-notice-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let descriptor = try listen([0] + Array(name.utf8))
        defer { close(descriptor) }
        try #require(ServiceNotice(environment: ["NOTIFY_SOCKET": "@" + name])).ready("here")
        #expect(try await datagram(descriptor) == "READY=1\nSTATUS=here")
    }

    @Test(arguments: ["", "/", "relative", "vsock:2:1234", "/" + String(repeating: "a", count: 107)])
    func whatIsNoSocketOfAFileSystemOrOfANameIsNobody(place: String) {
        #expect(ServiceNotice(environment: ["NOTIFY_SOCKET": place]) == nil)
    }

    @Test func nobodyWhoListensIsNoTrouble() throws {
        #expect(ServiceNotice(environment: [:]) == nil)
        try #require(ServiceNotice(environment: ["NOTIFY_SOCKET": "/nonexistent/" + String(repeating: "a", count: 94)])).ready("")
    }

    private func listen(_ address: [UInt8]) throws -> CInt {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var place = sockaddr_un()
        place.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: address) }
        let length = socklen_t(2 + address.count + (address.first == 0 ? 0 : 1))
        let isBound = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 }
        }
        try #require(isBound)
        return descriptor
    }

    private func datagram(_ descriptor: CInt) async throws -> String {
        try await onThread {
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, 10_000) == 1 else { return "nothing" }
            var bytes = [UInt8](repeating: 0, count: 1_024)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        }
    }
}
