// SPDX-License-Identifier: Apache-2.0
// A small file system of its own, filled to the last byte under the built program: accepts go on in the reserve, then nobody is let in
// whose code would not be remembered, and space brings all of it back without a restart.

import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct FullDiskTests {
    private static let canMount = geteuid() == 0 && Program(installed: "unshare") != nil
    private static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    @Test(.enabled(if: canMount, "only root can mount a file system of its own"))
    func acceptsGoOnInTheReserveAndThenNobodyIsLetIn() async throws {
        let folder = try TemporaryFolder()
        let unshare = try #require(Program(installed: "unshare"))
        let running = try await unshare.start(
            [
                "-m", "sh", "-c", "mount -t tmpfs -o size=48m,mode=0700 none \"$1\" && shift && exec \"$@\"", "sh", folder.path,
                Program.sallyport.path, "serve", "--data-dir", folder.path,
            ] + NodeProcess.loopback)
        let gateway = try GatewayClient(try await running.radiusEndpoint(), secret: TestNode.secret, patience: 1500)
        // Its files and its socket, seen from outside.
        let data = "/proc/\(running.processID)/root\(folder.path)"
        func command(_ arguments: String..., input: String = "") async throws -> Finished {
            try await Program.sallyport.run(arguments + ["--data-dir", data], input: input)
        }
        let setUp = [
            try await command("user", "add", "alice"),
            try await command("factor", "add", "alice", "hotp", "--secret-stdin", input: Self.key + "\n"),
            try await command(
                "client", "add", "vpn", "--address", "127.0.0.1", "--require", "factor", "--secret-stdin", input: TestNode.secret + "\n"),
        ]
        for end in setUp { try #require(end.status == 0, "\(end.everything)") }
        let token = try TestToken(uri: "otpauth://hotp/alice?secret=\(Self.key)&counter=0")
        var counter: UInt64 = 0
        func login() async throws -> Bool {
            let reply = try await gateway.login("alice", try token.code(counter: counter))
            if reply?.code == .accessAccept { counter += 1 }
            return reply?.code == .accessAccept
        }
        #expect(try await login())
        #expect(
            try await eventually { (try? FileManager.default.attributesOfItem(atPath: data + "/reserve")[.size] as? Int) ?? 0 > 1 << 20 })

        try fill(data + "/filler")
        #expect(try await eventually { running.errors.contains("little space is left") })
        // Refused, and no line of the trail.
        for _ in 0..<3 { #expect(try await gateway.login("nobody", "000000")?.code == .accessReject) }
        let before = counter
        while try await login(), counter < 5000 {}
        #expect(counter > before + 20, "accepts went on: \(counter - before)")
        #expect(counter < 5000)
        for _ in 0..<3 { #expect(try await !login()) }
        #expect(!running.hasEnded && running.errors.contains("the disk is full"))

        try FileManager.default.removeItem(atPath: data + "/filler")
        #expect(try await login())
        #expect(try await eventually { running.errors.contains("there is space in the data directory again") })
        // Whatever was accepted is remembered: no code opens twice.
        for used in [0, before, counter - 2, counter - 1] {
            #expect(try await gateway.login("alice", try token.code(counter: used))?.code == .accessReject)
        }
        let accepted = try await command("audit", "list", "--kind", "login-accepted", "--json", "--limit", "5000")
        #expect(accepted.output.split(separator: "\n").count == Int(counter))
        let told = try await command("audit", "list", "--kind", "disk", "--json")
        #expect(told.output.contains("disk-recovered") && told.output.contains("{\"name\":\"rejects\",\"value\":\"3\"}"), "\(told.output)")
        let names = try await command("audit", "list", "--kind", "login-rejected", "--json")
        #expect(!names.output.contains("nobody"))
        let verified = try await command("audit", "verify")
        #expect(verified.status == 0, "\(verified.everything)")
        #expect(
            try await eventually { (try? FileManager.default.attributesOfItem(atPath: data + "/reserve")[.size] as? Int) ?? 0 > 1 << 20 })
        running.signal(SIGTERM)
        #expect(try await running.end().status == 0)
    }

    /// To the last byte.
    private func fill(_ path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = [UInt8](repeating: 0xA5, count: 1 << 16)
        for size in [1 << 16, 4096, 1] { while write(descriptor, bytes, size) == size {} }
        #expect(errno == ENOSPC)
    }
}

@Suite struct DiskStateTests {
    @Test func spaceIsLowBelowAShareOfTheDisk() {
        // 5 % of a large disk, 1 GiB of a medium one, a quarter of a small one.
        let gib: Int64 = 1 << 30
        #expect(DiskReserve.Space(free: 0, total: 100 * gib).low == 5 * gib)
        #expect(DiskReserve.Space(free: 0, total: 10 * gib).low == gib)
        #expect(DiskReserve.Space(free: 0, total: 2 * gib).low == gib / 2)
        #expect(
            DiskReserve.Space(free: 0, total: 100 * gib).reserve == 64 << 20
                && DiskReserve.Space(free: 0, total: 1 << 20).reserve == 1 << 20)
    }

    @Test func itTurnsOnceEachWay() {
        var state = DiskState()
        func look(_ free: Int64) -> DiskState.Turn? { state.look(at: DiskReserve.Space(free: free, total: 100_000)) }
        let low = DiskReserve.Space(free: 0, total: 100_000).low
        #expect(look(low) == nil && look(low - 1) == .low && look(low - 1) == nil && state.isLow)
        // A tenth more than was missing.
        #expect(look(low + low / 10) == nil && look(low + low / 10 + 1) == .recovered && look(low) == nil)
    }

    @Test func reserveIsRealAndGoesPieceByPiece() throws {
        let folder = try TemporaryFolder()
        let reserve = DiskReserve(in: folder.path)
        #expect(reserve.bytes == 0 && !reserve.release())
        try #require(reserve.fill())
        let whole = reserve.bytes
        let blocks = try FileManager.default.attributesOfItem(atPath: reserve.path)[.size] as? Int64
        #expect(blocks == whole && DiskReserve(in: folder.path).bytes == whole)
        var pieces = 0
        while reserve.release() { pieces += 1 }
        #expect((4...8).contains(pieces) && reserve.bytes == 0)
        #expect(reserve.fill() && reserve.bytes == whole)
    }
}
