// SPDX-License-Identifier: Apache-2.0
// Why `serve` does not start: the documented exit code and words that name the remedy.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct ServeExitTests {
    @Test(arguments: [
        ("radius:\n  lisen: [\"127.0.0.1:0\"]\n", "radius.lisen", ":2:"), ("log:\n  level: [info]\n", "log.level", ":2:"),
        ("web:\n  health: 8080\n", "web.health", ":2:"), ("database: mysql\n", "database", ":1:"), ("log: [\n", "not YAML", ":"),
    ])
    func aWrongSettingsFileIsNamedWithItsLine(yaml: String, subject: String, place: String) async throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("sallyport.yaml", yaml)
        let end = try await Program.sallyport.run(["serve", "--data-dir", folder.path + "/data", "--config", file])
        #expect(end.status == 78)
        #expect(end.complaint.count == 1, "\(end.errors)")
        #expect(end.errors.contains(subject) && end.errors.contains("sallyport.yaml" + place), "\(end.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/data"))
    }

    @Test func aBusyRadiusPortIsUnavailable() async throws {
        let folder = try TemporaryFolder()
        let (descriptor, port) = try occupy(SOCK_DGRAM)
        defer { close(descriptor) }
        let end = try await Program.sallyport.run([
            "serve", "--data-dir", folder.path, "--radius-listen", "127.0.0.1:\(port)", "--radius-accounting", "", "--web-health", "",
            "--web-metrics", "",
        ])
        #expect(end.status == 69)
        #expect((1...2).contains(end.complaint.count) && end.errors.contains("127.0.0.1:\(port)"), "\(end.errors)")
        // Nothing is lost or left locked: the next start works.
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func aBusyMetricsPortIsUnavailable() async throws {
        let folder = try TemporaryFolder()
        let (descriptor, port) = try occupy(SOCK_STREAM)
        defer { close(descriptor) }
        let end = try await Program.sallyport.run([
            "serve", "--data-dir", folder.path, "--radius-listen", "127.0.0.1:0", "--radius-accounting", "", "--web-health", "",
            "--web-metrics", "127.0.0.1:\(port)",
        ])
        #expect(end.status == 69)
        #expect((1...2).contains(end.complaint.count) && end.errors.contains("127.0.0.1:\(port)"), "\(end.errors)")
    }

    @Test func anUnusableDataDirectoryIsConfiguration() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("file", "")
        for path in [file, file + "/data", "/proc/sallyport"] {
            let end = try await Program.sallyport.run(["serve", "--data-dir", path])
            #expect(end.status == 78)
            #expect((1...2).contains(end.complaint.count) && end.errors.contains(file) || path.hasPrefix("/proc"), "\(end.errors)")
        }
    }

    @Test func aWrongOrMissingMasterKeyIsConfigurationAndLosesNothing() async throws {
        let folder = try TemporaryFolder()
        try makeData(in: folder)
        let key = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/master.key"))

        let wrong = try await Program.sallyport.run(
            ["serve", "--data-dir", folder.path, "--master-key-source", "environment"] + NodeProcess.loopback,
            environment: ["SALLYPORT_MASTER_KEY": String(repeating: "5a", count: 32)])
        #expect(wrong.status == 78)
        #expect((1...2).contains(wrong.complaint.count) && wrong.errors.contains("master key"), "\(wrong.errors)")
        #expect(!wrong.everything.contains("5a5a"))

        try FileManager.default.removeItem(atPath: folder.path + "/master.key")
        let missing = try await Program.sallyport.run(["serve", "--data-dir", folder.path] + NodeProcess.loopback)
        #expect(missing.status == 78)
        #expect((1...2).contains(missing.complaint.count) && missing.errors.contains("master.key"), "\(missing.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/master.key"))

        try key.write(to: URL(fileURLWithPath: folder.path + "/master.key"))
        chmod(folder.path + "/master.key", 0o600)
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func demoAndRealDataAreKeptApart() async throws {
        let real = try TemporaryFolder()
        try makeData(in: real)
        let refusedDemo = try await Program.sallyport.run(["serve", "--demo", "--data-dir", real.path] + NodeProcess.loopback)
        #expect(refusedDemo.status == 78)
        #expect((1...2).contains(refusedDemo.complaint.count), "\(refusedDemo.errors)")
        #expect(!FileManager.default.fileExists(atPath: real.path + "/demo"))

        let demo = try TemporaryFolder()
        let running = try await Program.sallyport.start(["serve", "--demo", "--data-dir", demo.path] + NodeProcess.loopback)
        _ = try await running.radiusEndpoint()
        #expect(try await eventually { running.output.contains("sallyport login alice") })
        running.signal(SIGTERM)
        #expect(try await running.end().status == 0)
        let refusedReal = try await Program.sallyport.run(["serve", "--data-dir", demo.path] + NodeProcess.loopback)
        #expect(refusedReal.status == 78)
        #expect(refusedReal.errors.contains("--demo"), "\(refusedReal.errors)")
    }

    /// What was changed since is not printed as if it were still so.
    @Test func aDemoThatIsStartedAgainPrintsWhatIsTrue() async throws {
        let folder = try TemporaryFolder()
        func page(_ meanwhile: () async throws -> Void = {}) async throws -> String {
            let running = try await Program.sallyport.start(["serve", "--demo", "--data-dir", folder.path] + NodeProcess.loopback)
            _ = try await running.radiusEndpoint()
            #expect(try await eventually { running.output.contains("Ctrl-C") })
            try await meanwhile()
            running.signal(SIGTERM)
            #expect(try await running.end().status == 0)
            return running.output
        }
        let first = try await page()
        let password = try #require(first.split(separator: "\n").first { $0.hasPrefix("  password  ") })
        let second = try await page {
            let end = try await Program.sallyport.run(
                ["user", "set", "alice", "--password-stdin", "--data-dir", folder.path], input: "another long password\n")
            #expect(end.status == 0, "\(end.everything)")
        }
        #expect(second.contains(password), "nothing had changed yet")
        let third = try await page()
        #expect(!third.contains(password.dropFirst(12)) && third.contains("  password  was changed since"))
        #expect(third.contains("scan this") && !third.contains("--demo --server"))
        #expect(try await Program.sallyport.run(["user", "disable", "alice", "--data-dir", folder.path]).status == 0)
        #expect(try await page().contains("gone or disabled"))
    }

    /// A command that only looks leaves nothing behind.
    @Test func anEmptyDirectoryStaysEmptyWhereNothingIsWritten() async throws {
        let folder = try TemporaryFolder()
        let other = try TemporaryFolder()
        let file = try other.file("a.yaml", "version: 1\nclients: {}\n")
        for arguments in [
            ["user", "list"], ["client", "show", "office"], ["export"], ["apply", "-f", file, "--dry-run"], ["audit", "list"],
        ] {
            let end = try await Program.sallyport.run(arguments + ["--data-dir", folder.path])
            #expect(end.status == 78 && end.errors.contains("no node here") && end.errors.contains("sallyport serve"), "\(end.everything)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        // One that writes begins the data.
        #expect(try await Program.sallyport.run(["group", "add", "staff", "--data-dir", folder.path]).status == 0)
        #expect(try await Program.sallyport.run(["group", "list", "--data-dir", folder.path]).output.contains("staff"))
    }

    @Test func aSecondNodeOnTheSameDataIsRefused() async throws {
        let folder = try TemporaryFolder()
        let first = try await NodeProcess.start(in: folder)
        _ = try await first.endpoint()
        let second = try await Program.sallyport.run(["serve", "--data-dir", folder.path] + NodeProcess.loopback)
        #expect(second.status == 69)
        #expect((1...2).contains(second.complaint.count) && second.errors.contains(folder.path), "\(second.errors)")
        // The first is not disturbed.
        #expect(try await first.command("user", "list", "--json").status == 0)
        first.running.signal(SIGTERM)
        #expect(try await first.running.end().status == 0)
    }

    /// A database with a key, as a node leaves it.
    private func makeData(in folder: TemporaryFolder) throws {
        let directory = try DataDirectory.open(folder.path)
        let records = try Records.open(in: directory, key: .file(directory.keyPath), at: NodeClock.now().wall)
        records.close()
        directory.close()
    }

    private func occupy(_ type: __socket_type) throws -> (descriptor: CInt, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
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
        if type == SOCK_STREAM { try #require(listen(descriptor, 1) == 0) }
        return (descriptor, UInt16(bigEndian: name.sin_port))
    }
}
