// SPDX-License-Identifier: Apache-2.0
// `sallyport doctor` as an administrator runs it: beside a node, without one, and where nothing can be opened.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Testing

@testable import sallyport

@Suite struct DoctorTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden/doctor.txt")

    /// Nobody answers there, so that the clock of the machine that tests does not matter.
    private static let clock = ["--ntp", "127.0.0.1:9"]

    private func doctor(_ folder: TemporaryFolder, _ more: String...) async throws -> Finished {
        try await Program.sallyport.run(["doctor", "--data-dir", folder.path] + Self.clock + more)
    }

    private struct Report: Decodable {
        struct Finding: Decodable {
            var kind: String
            var severity: String
            var subject: String?
            var text: String
            var remedy: String?
        }
        var problems: Int
        var warnings: Int
        var notes: Int
        var findings: [Finding]
    }

    private func report(_ end: Finished) throws -> Report {
        try JSONDecoder().decode(Report.self, from: Data(end.output.utf8))
    }

    /// A node with a client and a user about whom nothing is to be said.
    private func soundNode(in folder: TemporaryFolder) async throws -> NodeProcess {
        let port = "127.0.0.1:\(try Self.freePort())"
        let settings = try folder.file(
            "sallyport.yaml", "radius: { listen: [\"\(port)\"], accounting: [] }\nweb: { health: [\"127.0.0.1:0\"], metrics: [] }\n")
        chmod(settings, 0o600)
        let shell = try #require(Program(installed: "sh"))
        let running = try await shell.start(
            ["-c", "ulimit -c 0; exec \"$0\" \"$@\"", Program.sallyport.path, "serve", "--data-dir", folder.path, "--config", settings])
        let node = NodeProcess(running: running, folder: folder)
        _ = try await node.endpoint()
        let safe = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: folder.path + "/master.key", toPath: safe.path + "/copy")
        for (arguments, input) in [
            (["client", "add", "office", "--address", "127.0.0.1", "--message-authenticator", "require", "--secret-stdin"], Self.secret),
            (["user", "add", "alice", "--password-stdin"], "correct horse battery"), (["factor", "add", "alice", "totp"], ""),
            (["key", "confirm-copy", safe.path + "/copy"], ""),
        ] {
            let end = try await Program.sallyport.run(arguments + ["--data-dir", folder.path], input: input + "\n")
            try #require(end.status == 0, "\(arguments): \(end.everything)")
        }
        return node
    }

    private static let secret = "a-long-enough-shared-secret"

    @Test func aSoundNodeIsAsItShouldBe() async throws {
        let folder = try TemporaryFolder()
        let node = try await soundNode(in: folder)
        let settings = folder.path + "/sallyport.yaml"
        let end = try await doctor(folder, "--config", settings, "--json", "--strict")
        #expect(end.status == 0, "\(end.everything)")
        let report = try report(end)
        let notes = report.findings.filter { $0.severity != "ok" }.map(\.kind)
        #expect(Set(notes) == ["clock-unchecked", "key-beside-data", "backup-none"])
        #expect(
            Set(report.findings.filter { $0.severity == "ok" }.map(\.kind)).isSuperset(of: [
                "node-runs", "settings-right", "files-right", "disk-right", "database-right", "key-right", "clients-right", "users-right",
            ]))
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        // The same without a node, but that there is none.
        let offline = try await doctor(folder, "--config", settings, "--json")
        #expect(offline.status == 0)
        let kinds = Set(try self.report(offline).findings.map(\.kind))
        #expect(kinds.isSuperset(of: ["node-stopped", "database-right", "key-right"]) && !kinds.contains("node-runs"))
    }

    @Test func whatIsWrongIsToldWithItsRemedy() async throws {
        let folder = try TemporaryFolder()
        let node = try await soundNode(in: folder)
        let settings = folder.path + "/sallyport.yaml"
        for (arguments, input) in [
            (["client", "set", "office", "--message-authenticator", "allow", "--secret-stdin"], "testing123"),
            (["client", "add", "branch", "--address", "127.0.0.2", "--require", "factor", "--secret-stdin"], "testing123"),
            (["user", "add", "bob"], ""),
        ] {
            let end = try await Program.sallyport.run(arguments + ["--data-dir", folder.path], input: input + "\n")
            try #require(end.status == 0, "\(end.everything)")
        }
        chmod(settings, 0o666)
        try Data().write(to: URL(fileURLWithPath: folder.path + "/stray"))
        chmod(folder.path + "/stray", 0o644)
        // Signed with another secret, and asked by nobody's client.
        let endpoint = try await node.endpoint()
        let gateway = try GatewayClient(endpoint, secret: "another-secret-altogether")
        #expect(try await gateway.exchange(try gateway.request("alice", "x"), within: 300) == nil)
        _ = try await eventually { node.running.errors.contains("cause=") }

        let end = try await doctor(folder, "--config", settings)
        #expect(end.status == 1)
        var text = end.output.replacing(folder.path, with: "DIR").replacing("\(endpoint.port)", with: "PORT")
        text = text.replacing(/[0-9]{4}-[0-9-]+T[0-9:.]+Z/, with: "TIME").replacing(/[0-9]+ MiB are/, with: "SPACE are")
        text = text.replacing(/schema [0-9]+, [0-9]+ events/, with: "schema N, N events")
        text = text.replacing(/[0-9a-f]{4}(-[0-9a-f]{4}){3}/, with: "FINGERPRINT")
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: Self.golden.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: Self.golden, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: Self.golden, encoding: .utf8) == text, "run `make golden`, and read the difference")
        #expect(!end.everything.contains("testing123"))
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func whatCannotBeLookedAtIsAFindingOfItsOwn() async throws {
        let folder = try TemporaryFolder()
        let nowhere = try await Program.sallyport.run(["doctor", "--json", "--data-dir", folder.path + "/nowhere"] + Self.clock)
        #expect(nowhere.status == 1)
        #expect(try report(nowhere).findings.contains { $0.kind == "data-unavailable" && $0.remedy?.contains("serve") == true })

        let wrong = try folder.file("wrong.yaml", "radius:\n  lisen: []\n")
        let unread = try await Program.sallyport.run(["doctor", "--json", "--config", wrong] + Self.clock)
        #expect(unread.status == 1)
        #expect(try report(unread).findings.contains { $0.kind == "settings-wrong" && $0.text.contains("wrong.yaml:2:3") })

        try FileManager.default.removeItem(atPath: wrong)
        let node = try await soundNode(in: folder)
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        rename(folder.path + "/master.key", folder.path + "/elsewhere")
        let keyless = try await doctor(folder, "--json")
        #expect(keyless.status == 1)
        let report = try report(keyless)
        #expect(report.findings.contains { $0.kind == "data-unavailable" && $0.text.contains("key") }, "\(keyless.output)")
        #expect(report.findings.contains { $0.kind == "disk-right" || $0.kind == "disk-low" }, "the rest is looked at all the same")
    }

    @Test func warningsCountOnlyWhenAsked() async throws {
        let folder = try TemporaryFolder()
        let node = try await soundNode(in: folder)
        let settings = folder.path + "/sallyport.yaml"
        #expect(try await node.command("user", "add", "bob").status == 0)
        #expect(try await doctor(folder, "--config", settings).status == 0)
        #expect(try await doctor(folder, "--config", settings, "--strict").status == 1)
        #expect(try await doctor(folder, "--config", settings, "--database-seconds", "601").status == 64)
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func whoGotNoAnswerIsToldWithTheDoorsOwnRemedy() {
        let now = Moment(wall: Timestamp(seconds: 1_795_262_591), uptime: Timestamp(seconds: 90_000))
        let words = DropReason.unknownClient.explanation(client: nil, source: NetworkAddress(v4: 0xC000_0209)) ?? ""
        let told = [
            DropExplanation(cause: "unknown_client", words: words, at: Timestamp(seconds: 89_990)),
            DropExplanation(cause: "no_proof", words: "old", at: Timestamp(seconds: 3_000)),
        ]
        let findings = NodeCheck.ofDrops(told, now: now)
        #expect(findings.map(\.subject) == ["unknown_client"])
        #expect(findings[0].text.contains("2026-11-21T12:03:01.000Z: unknown client 192.0.2.9"))
        #expect(findings[0].remedy?.contains("sallyport client add NAME --address 192.0.2.9") == true)
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(isBound)
        return UInt16(bigEndian: name.sin_port)
    }
}
