// SPDX-License-Identifier: Apache-2.0
// Data that a node cannot work with: one clear line, the documented exit code, nothing lost, and the way back of docs/run/when-it-does-not-start.md.

import Foundation
import GRDB
import Glibc
import Testing

@testable import sallyport

@Suite struct DoesNotStartTests {
    private func serve(_ folder: TemporaryFolder) async throws -> Finished {
        try await Program.sallyport.run(["serve", "--data-dir", folder.path] + NodeProcess.loopback)
    }

    private func contents(_ folder: TemporaryFolder) throws -> [String: Data] {
        var contents: [String: Data] = [:]
        for name in ["sallyport.sqlite", "master.key"] {
            contents[name] = FileManager.default.contents(atPath: "\(folder.path)/\(name)")
        }
        return contents
    }

    /// Data of today's schema, stopped in order, with a backup that holds the key.
    private func stopped() async throws -> (folder: TemporaryFolder, backup: String) {
        let folder = try EarlierDirectory.copy("schema-1")
        let backup = folder.path + "/with-key.backup"
        let made = try await Program.sallyport.run(
            ["backup", backup, "--with-key", "--data-dir", folder.path], input: "a long enough passphrase\n")
        try #require(made.status == 0, "\(made.everything)")
        return (folder, backup)
    }

    private func damage(_ folder: TemporaryFolder, _ change: (inout Data) -> Void) throws {
        let url = URL(fileURLWithPath: folder.path + "/sallyport.sqlite")
        var data = try Data(contentsOf: url)
        change(&data)
        try data.write(to: url)
    }

    @Test(arguments: ["header", "pages", "end", "empty"]) func damagedDatabaseIsNamedAndTheBackupLeadsBack(part: String) async throws {
        let (folder, backup) = try await stopped()
        try damage(folder) { data in
            switch part {
            case "header": data.replaceSubrange(0..<64, with: Data(repeating: 0xFF, count: 64))
            case "pages": data.replaceSubrange(4096..<data.count, with: Data(repeating: 0xA5, count: data.count - 4096))
            case "end": data = data.prefix(8192)
            default: data = Data()
            }
        }
        let before = try contents(folder)
        let end = try await serve(folder)
        #expect(end.status == 1, "\(end.errors)")
        #expect((1...2).contains(end.complaint.count), "\(end.errors)")
        #expect(end.errors.contains("sallyport.sqlite") && end.errors.lowercased().contains("backup"), "\(end.errors)")
        #expect(try contents(folder) == before)
        let restored = try await Program.sallyport.run(
            ["restore", backup, "--data-dir", folder.path + "/new"], input: "a long enough passphrase\n")
        #expect(restored.status == 0, "\(restored.everything)")
        #expect(try await Program.sallyport.run(["audit", "verify", "--data-dir", folder.path + "/new"]).status == 0)
    }

    @Test func lostDatabaseIsNotMadeAnew() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        #expect(node.running.errors.contains("made a new database and master key in \(folder.path)"), "\(node.running.errors)")
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        let database = folder.path + "/sallyport.sqlite"
        for file in [database, database + "-wal", database + "-shm"] { try? FileManager.default.removeItem(atPath: file) }
        for arguments in [["serve"] + NodeProcess.loopback, ["user", "list"]] {
            let end = try await Program.sallyport.run(arguments + ["--data-dir", folder.path])
            #expect(end.status == 78, "\(end.everything)")
            #expect(end.errors.contains(database) && end.errors.contains("restore a backup") && end.errors.contains("master.key"))
            #expect(!FileManager.default.fileExists(atPath: database))
        }
        for name in ["master.key", "reserve"] { try? FileManager.default.removeItem(atPath: "\(folder.path)/\(name)") }
        let anew = try await NodeProcess.start(in: folder)
        _ = try await anew.endpoint()
        anew.running.signal(SIGTERM)
        #expect(try await anew.running.end().status == 0)
        #expect(anew.running.errors.contains("made a new database and master key in"), "\(anew.running.errors)")
    }

    @Test func damagedJournalIsLeftOutAndTheTrailStaysIntact() async throws {
        let (folder, _) = try await stopped()
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        #expect(try await node.command("user", "add", "erin").status == 0)
        node.running.signal(SIGKILL)
        _ = try await node.running.end()
        let journal = URL(fileURLWithPath: folder.path + "/sallyport.sqlite-wal")
        var bytes = try Data(contentsOf: journal)
        try #require(bytes.count > 4096)
        bytes.replaceSubrange((bytes.count - 2000)..<bytes.count, with: Data(repeating: 0xA5, count: 2000))
        try bytes.write(to: journal)
        #expect(try await node.command("audit", "verify").status == 0)
        let again = try await NodeProcess.start(in: folder)
        _ = try await again.endpoint()
        again.running.signal(SIGTERM)
        #expect(try await again.running.end().status == 0)
    }

    @Test func newerSchemaNamesVersionAndBackup() async throws {
        let folder = try EarlierDirectory.copy("schema-1")
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        // As a later version leaves it, with its own backup.
        let backups = folder.path + "/backups"
        let made = try #require(try FileManager.default.contentsOfDirectory(atPath: backups).first)
        let later = "\(backups)/before-schema-900-20991231T000000Z.backup"
        try FileManager.default.copyItem(atPath: "\(backups)/\(made)", toPath: later)
        let database = try DatabaseQueue(path: folder.path + "/sallyport.sqlite")
        try await database.write { try $0.execute(sql: "INSERT INTO schema_version VALUES (900, 'later', 'x', 1)") }
        try database.close()
        let before = try contents(folder)
        let end = try await serve(folder)
        #expect(end.status == 78, "\(end.errors)")
        #expect(end.errors.contains("schema 900") && end.errors.contains(later), "\(end.errors)")
        #expect(try contents(folder)["master.key"] == before["master.key"])
    }

    @Test(.enabled(if: geteuid() == 0 && Foreign.isHere("unshare"), "needs root and unshare")) func readOnlyFileSystemIsNamed() async throws
    {
        let (folder, _) = try await stopped()
        let shell = try #require(Program(installed: "unshare"))
        let script = "mount --bind \(folder.path) \(folder.path) && mount -o remount,ro,bind \(folder.path) && exec \"$0\" \"$@\""
        let end = try await shell.run(
            ["-m", "sh", "-c", script, Program.sallyport.path, "serve", "--data-dir", folder.path] + NodeProcess.loopback)
        #expect(end.status == 78, "\(end.errors)")
        #expect((1...2).contains(end.complaint.count) && end.errors.contains("Read-only file system"), "\(end.errors)")
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func keyIsRotatedWhileLoginsGoOnAndSurvivesKills() async throws {
        let folder = try EarlierDirectory.copy("schema-1")
        // Killed at whatever moment: the next start goes on, and everything opens.
        for milliseconds in [30, 60, 120] as [CInt] {
            let node = try await NodeProcess.start(in: folder)
            _ = try await node.endpoint()
            let rotating = try await Program.sallyport.start(["key", "rotate", "--yes", "--data-dir", folder.path])
            try await onThread { _ = poll(nil, 0, milliseconds) }
            node.running.signal(SIGKILL)
            _ = try await node.running.end()
            _ = try await rotating.end()
        }
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        let rotated = try await node.command("key", "rotate", "--yes")
        #expect(rotated.status == 0, "\(rotated.everything)")
        for arguments in [["client", "show", "vpn"], ["audit", "verify"], ["user", "show", "alice"]] {
            let end = try await Program.sallyport.run(arguments + ["--data-dir", folder.path])
            #expect(end.status == 0, "\(end.everything)")
        }
        let (safe, key) = (try TemporaryFolder(), folder.path + "/master.key")
        try FileManager.default.copyItem(atPath: key, toPath: safe.path + "/copy")
        try FileManager.default.copyItem(atPath: key, toPath: folder.path + "/beside")
        try FileManager.default.linkItem(atPath: key, toPath: safe.path + "/hard")
        try FileManager.default.createSymbolicLink(atPath: safe.path + "/soft", withDestinationPath: key)
        for original in [key, safe.path + "/hard", safe.path + "/soft"] {
            let end = try await node.command("key", "confirm-copy", original)
            #expect(end.status == 64 && end.errors.contains("That is the key itself, not a copy."), "\(end.everything)")
        }
        #expect(try await node.command("key", "confirm-copy", folder.path + "/beside").status == 64)
        let bad = try await node.command("key", "confirm-copy", try safe.file("bad", "no key at all\n"))
        #expect(bad.status == 64 && bad.errors.contains(safe.path + "/bad"), "\(bad.everything)")
        #expect(!bad.errors.contains("SALLYPORT_MASTER_KEY"), "\(bad.everything)")
        let copy = try await node.command("key", "confirm-copy", safe.path + "/copy")
        #expect(copy.status == 0, "\(copy.everything)")
        let shown = try await node.command("key", "show", "--json")
        #expect(shown.output.contains("copyConfirmed") && !shown.output.contains("\"left\""), "\(shown.everything)")
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        let keys = try String(contentsOfFile: folder.path + "/master.key", encoding: .utf8)
        #expect(keys.split(separator: "\n").count == 1)
        #expect(!node.running.errors.contains(keys.prefix(64)))
    }
}
