// SPDX-License-Identifier: Apache-2.0
// The control socket as the kernel gives it: who may, what comes, and what a dead node leaves behind.

import Administration
import Foundation
import Glibc
import Logging
import LoginEngine
import Store
import Testing

@testable import ControlDoor

/// A node's end on a socket in a folder of its own.
private final class Door: Sendable {
    let path: String
    let service: ControlService
    private let directory: DataDirectory
    private let records: Records
    private let task: Task<Void, any Error>

    init(identify: @escaping @Sendable (Peer) -> Peer? = { $0 }) async throws {
        path = "/tmp/sp-\(UUID().uuidString.prefix(8))"
        directory = try DataDirectory.open(path)
        records = try Records.open(in: directory, key: .file(directory.keyPath), at: Timestamp(seconds: 1_795_262_591))
        let operations = Operations(
            records: records,
            ports: Operations.Ports(
                hashPassword: { _ in Secret(utf8: "$argon2id$test") }, now: { Timestamp(seconds: 1_795_262_591) }))
        service = try ControlService(
            operations: operations, dataDirectory: path, node: "vpn1", release: "1.2.3", logger: Logger(label: "test"), identify: identify)
        try await service.start()
        task = Task { [service] in try await service.run() }
    }

    func client() async throws -> ControlClient {
        // The node's side waits for threads that every other test wants too.
        try #require(try await ControlClient.connect(dataDirectory: path, release: "1.2.3", greetingSeconds: 60))
    }

    func stop() async {
        task.cancel()
        _ = try? await task.value
        records.close()
        directory.close()
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Sends bytes as they are, and reads until the other end closes or `count` frames came.
    func raw(_ bytes: [UInt8], frames count: Int) async -> [Data] {
        let socketPath = path + "/" + ControlWire.socketName
        return await withCheckedContinuation { continuation in
            // A thread of its own: the shared ones may all be blocked by other tests.
            Thread { continuation.resume(returning: Self.exchange(socketPath, bytes, count)) }.start()
        }
    }

    private static func exchange(_ path: String, _ bytes: [UInt8], _ count: Int) -> [Data] {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        guard status == 0 else { return [] }
        // Long enough for a machine that runs everything at once.
        var time = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if sent > 0 { rest = rest.dropFirst(sent) } else if sent < 0, errno != EINTR { break }
        }
        var frames: [Data] = []
        while frames.count < count, let head = read(socket, 4), let body = read(socket, head.reduce(0) { $0 << 8 | Int($1) }) {
            frames.append(Data(body))
        }
        return frames
    }

    private static func read(_ socket: CInt, _ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var buffer = [UInt8](repeating: 0, count: count - bytes.count)
            let got = recv(socket, &buffer, buffer.count, 0)
            if got < 0, errno == EINTR { continue }
            if got <= 0 { return nil }
            bytes += buffer[..<got]
        }
        return bytes
    }
}

@Suite struct ControlDoorTests {
    private func frame(_ text: String) -> [UInt8] { framed(Data(text.utf8)) }

    private var hello: [UInt8] { frame(#"{"sallyport":1,"release":"1.2.3"}"#) }

    private func refusal(_ data: Data?) -> Refusal? {
        guard let data, data.first == ControlAnswer.refused else { return nil }
        return try? JSONDecoder().decode(Refusal.self, from: Data(data.dropFirst()))
    }

    @Test func operationCrossesTheSocketAndNamesThePerson() async throws {
        let door = try await Door()
        let client = try await door.client()
        #expect(client.node == "vpn1")
        #expect(client.release == "1.2.3")
        #expect(try await client.perform(AddUser(name: "alice", password: SecretText("correct horse"))).message == "Added user alice.")
        #expect(try await client.perform(ListUsers()).users.map(\.name) == ["alice"])
        let events = try await client.perform(ListEvents()).events
        #expect(events.first?.actor == Peer.own(node: "vpn1").description)
        await #expect(throws: Refusal(.missing, "No user `alcie`.", remedy: "Did you mean `alice`?")) {
            _ = try await client.perform(ShowUser(name: "alcie"))
        }
        await door.stop()
    }

    @Test func socketIsForItsOwnerAlone() async throws {
        let door = try await Door()
        var status = stat()
        #expect(stat(door.path + "/control.sock", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        await door.stop()
        #expect(stat(door.path + "/control.sock", &status) != 0)
    }

    @Test func anotherUserIsRefusedInWords() async throws {
        let door = try await Door { Peer(process: $0.process, user: 54321) }
        await #expect {
            _ = try await ControlClient.connect(dataDirectory: door.path, release: "1.2.3", greetingSeconds: 60)
        } throws: { error in
            (error as? Refusal)?.message.hasSuffix("may not administer this node.") == true
        }
        await door.stop()
    }

    @Test func peerRules() {
        #expect(Peer(process: 1, user: 1000).isAllowed(node: 1000))
        #expect(Peer(process: 1, user: 0).isAllowed(node: 1000))
        #expect(!Peer(process: 1, user: 1001).isAllowed(node: 1000))
        #expect(Peer.name(of: 0) == "root")
        #expect(Peer.name(of: 54321) == "uid54321")
    }

    @Test func garbageGetsASentence() async throws {
        let door = try await Door()
        let noGreeting = await door.raw(frame("GET / HTTP/1.1"), frames: 1)
        #expect(refusal(noGreeting.first)?.message == "What came is no greeting of the control protocol.")
        let unknown = await door.raw(hello + frame("user.fly\n{}"), frames: 2)
        #expect(refusal(unknown.last)?.message == "This node does not know the operation `user.fly`.")
        let noVerb = await door.raw(hello + frame("no verb at all"), frames: 2)
        #expect(refusal(noVerb.last)?.message == "The request is not one of the control protocol.")
        let badBody = await door.raw(hello + frame("user.add\n{\"name\":7}"), frames: 2)
        #expect(refusal(badBody.last)?.message == "The request for `user.add` cannot be read.")
        // The node is well after all of it.
        #expect(try await door.client().perform(ListUsers()).users.isEmpty)
        await door.stop()
    }

    @Test func oversizedFrameIsRefusedBeforeItIsRead() async throws {
        let door = try await Door()
        let answers = await door.raw(hello + [0x7F, 0xFF, 0xFF, 0xFF], frames: 2)
        #expect(refusal(answers.last)?.message.hasPrefix("A request of 2147483647 bytes is larger than the 16 MiB that are read.") == true)
        let client = try await door.client()
        let large = ImportUsers(csv: SecretText(String(repeating: "x", count: ControlWire.longestRequest)), isDryRun: true)
        await #expect {
            _ = try await client.perform(large)
        } throws: { error in
            (error as? Refusal)?.kind == .invalid
        }
        await door.stop()
    }

    @Test func anotherProtocolVersionIsNamed() async throws {
        let door = try await Door()
        let answers = await door.raw(frame(#"{"sallyport":2,"release":"9.0.0"}"#), frames: 2)
        #expect(answers.count == 2)
        #expect(refusal(answers.last)?.message == "The command speaks version 2 of the control protocol, this program version 1.")
        await door.stop()
    }

    @Test func deadNodesSocketIsNoNodeAndIsReplaced() async throws {
        let first = try await Door()
        #expect(try await ControlClient.connect(dataDirectory: "/tmp/sp-none", release: "1") == nil)
        // A file that nobody listens on, as after kill -9.
        let path = "/tmp/sp-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: (path + "/control.sock").utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        close(socket)
        #expect(status == 0)
        #expect(try await ControlClient.connect(dataDirectory: path, release: "1") == nil)
        let second = try ControlService(
            operations: first.service.operations, dataDirectory: path, node: "vpn2", release: "1.2.3", logger: Logger(label: "test"))
        try await second.start()
        let task = Task { try await second.run() }
        #expect(try await ControlClient.connect(dataDirectory: path, release: "1", greetingSeconds: 60)?.node == "vpn2")
        task.cancel()
        _ = try? await task.value
        await first.stop()
    }

    @Test func twoClientsAtOnceGetTheirOwnAnswers() async throws {
        let door = try await Door()
        let (one, two) = (try await door.client(), try await door.client())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (client, prefix) in [(one, "a"), (two, "b")] {
                group.addTask {
                    for number in 0..<20 {
                        let name = "\(prefix)\(number)"
                        let done = try await client.perform(AddUser(name: name, password: SecretText("correct horse")))
                        #expect(done.message == "Added user \(name).")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await one.perform(ListUsers()).users.count == 40)
        await door.stop()
    }

    @Test func longPathIsNamed() {
        let path = "/" + String(repeating: "d", count: 96)
        #expect(throws: Refusal.self) { try ControlWire.path(in: path) }
        #expect(throws: Never.self) { try ControlWire.path(in: String(path.dropLast(3))) }
    }
}
