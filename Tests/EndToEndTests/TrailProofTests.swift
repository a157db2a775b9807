// SPDX-License-Identifier: Apache-2.0
// The trail as evidence, by the built program: a cut, edited, reordered and restored one are each named; an export is checked alone.

import Administration
import Foundation
import GRDB
import LoginEngine
import Store
import Testing

@testable import sallyport

@Suite struct TrailProofTests {
    private func run(_ folder: TemporaryFolder, _ arguments: String...) async throws -> Finished {
        try await Program.sallyport.run(arguments + ["--data-dir", folder.path])
    }

    /// A data directory with some events, and anchors of it elsewhere.
    private func prepared() async throws -> (data: TemporaryFolder, elsewhere: TemporaryFolder) {
        let (data, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
        let directory = try DataDirectory.open(data.path)
        try Records.open(in: directory, key: .file(directory.keyPath), at: NodeClock.now().wall).close()
        directory.close()
        for name in ["ann", "ben", "cem", "dan"] {
            try #require(try await run(data, "user", "add", name).status == 0)
            if name == "ben" { try #require(try await run(data, "audit", "anchor", elsewhere.path + "/anchors").status == 0) }
        }
        try #require(try await run(data, "audit", "anchor", elsewhere.path + "/anchors").status == 0)
        return (data, elsewhere)
    }

    private func tamper(_ folder: TemporaryFolder, _ sql: String) throws {
        let queue = try DatabaseQueue(path: folder.path + "/sallyport.sqlite")
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test(arguments: [
        ("cut", "DELETE FROM event_group WHERE first_seq = 4; DELETE FROM event_personal WHERE first_seq = 4", ["4  cut"]),
        ("edited", "UPDATE event_group SET body = CAST(replace(body, x'736574', x'534554') AS BLOB) WHERE first_seq = 2", ["2  changed"]),
        (
            "reordered",
            """
            UPDATE event_group SET first_seq = -1 WHERE first_seq = 2; UPDATE event_group SET first_seq = 2 WHERE first_seq = 3;
            UPDATE event_group SET first_seq = 3 WHERE first_seq = -1
            """, ["2  reordered", "3  reordered"]
        ),
        ("removed", "DELETE FROM event_group WHERE first_seq = 2; DELETE FROM event_personal WHERE first_seq = 2", ["2  removed"]),
    ])
    func tamperedTrailIsNamedByTheProgram(_ what: String, _ sql: String, _ named: [String]) async throws {
        let (data, elsewhere) = try await prepared()
        try tamper(data, sql)
        let found = try await run(data, "audit", "verify", "--anchors", elsewhere.path + "/anchors")
        #expect(found.status == 1, "\(found.everything)")
        let lines = found.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        for name in named { #expect(lines.contains { $0.hasPrefix(name) }, "\(what): \(found.output)") }
    }

    @Test func restoredCopyIsNamedByItsAnchorsAlone() async throws {
        let (data, elsewhere) = try await prepared()
        let anchors = elsewhere.path + "/anchors"
        let intact = try await run(data, "audit", "verify", "--anchors", anchors)
        #expect(intact.status == 0 && intact.output.contains("nothing was written since"), "\(intact.everything)")
        #expect(
            intact.output.contains("The trail agrees with 2 anchors of \(anchors) and 2 anchors of the node itself. The newest"),
            "\(intact.everything)")
        let own = try await run(data, "audit", "verify")
        #expect(own.output.contains("The trail agrees with 2 anchors of the node itself, the newest of "), "\(own.everything)")
        for name in ["sallyport.sqlite", "master.key"] {
            try FileManager.default.copyItem(atPath: data.path + "/" + name, toPath: elsewhere.path + "/" + name)
        }
        try #require(try await run(data, "user", "add", "eve").status == 0)
        let behind = try await run(data, "audit", "verify", "--anchors", anchors)
        #expect(behind.status == 0 && behind.output.contains("1 event since"))
        try #require(try await run(data, "audit", "anchor", anchors).status == 0)
        try FileManager.default.removeItem(atPath: data.path + "/sallyport.sqlite")
        try? FileManager.default.removeItem(atPath: data.path + "/sallyport.sqlite-wal")
        try FileManager.default.copyItem(atPath: elsewhere.path + "/sallyport.sqlite", toPath: data.path + "/sallyport.sqlite")
        #expect(try await run(data, "audit", "verify").status == 0)
        let restored = try await run(data, "audit", "verify", "--anchors", anchors)
        #expect(restored.status == 1 && restored.output.contains("5  restored"), "\(restored.everything)")
        let json = try await run(data, "audit", "verify", "--anchors", anchors, "--json")
        #expect(json.status == 1 && json.output.contains("\"kind\":\"restored\""))
        // An edited anchor is said to be none.
        let edited = try elsewhere.file("edited", try String(contentsOfFile: anchors, encoding: .utf8).replacing("seq=5", with: "seq=4"))
        #expect(
            try await run(data, "audit", "verify", "--anchors", edited).errors.contains(
                "1 line of the anchors cannot be read or were edited: 3"))
    }

    @Test func anchorsBesideTheDatabaseAreRefused() async throws {
        let (data, _) = try await prepared()
        let refused = try await run(data, "audit", "anchor", data.path + "/anchors")
        #expect(refused.status == 64 && refused.errors.contains("prove nothing"))
        let node = try await Program.sallyport.run(
            ["serve", "--data-dir", data.path, "--audit-anchor-file", data.path + "/anchors"] + NodeProcess.loopback)
        #expect(node.status == 78 && node.errors.contains("audit.anchor-file"), "\(node.errors)")
    }

    @Test func nodeAnchorsWhenItEndsAndTheFileMayBeRotated() async throws {
        let (data, elsewhere) = try await prepared()
        let file = elsewhere.path + "/node"
        try "a line that was cut by a full dis".write(toFile: file, atomically: true, encoding: .utf8)
        for number in 1...2 {
            let node = try await NodeProcess.start(in: data, ["--audit-anchor-file", file])
            _ = try await node.endpoint()
            node.running.signal(SIGTERM)
            let end = try await node.running.end()
            #expect(end.status == 0)
            #expect(end.errors.contains("anchored") && end.errors.contains("sallyport-anchor 1 chain="), "\(end.errors)")
            if number == 1 {
                let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
                #expect(lines.count == 2 && lines[1].hasPrefix("sallyport-anchor 1 "))
                // The log of the node is as good a place.
                let log = try elsewhere.file("log", end.errors)
                #expect(try await run(data, "audit", "verify", "--anchors", log).status == 0)
                try FileManager.default.moveItem(atPath: file, toPath: file + ".1")
            }
        }
        #expect(try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").count == 1)
        let verified = try await run(data, "audit", "verify", "--anchors", file)
        #expect(verified.status == 0 && verified.output.contains("nothing was written since"), "\(verified.everything)")
    }

    @Test(arguments: ["json", "csv"]) func exportIsCheckedWithoutTheNode(_ format: String) async throws {
        let (data, elsewhere) = try await prepared()
        try #require(try await run(data, "user", "set", "dan", "--name", "=cmd|' /C calc'!A0").status == 0)
        let exported = try await run(data, "audit", "export", "--format", format)
        #expect(exported.status == 0)
        let lines = exported.output.split(separator: "\n").map(String.init)
        #expect(lines.count == (format == "csv" ? 7 : 6), "\(exported.output)")
        if format == "csv" { #expect(lines[1].contains(",'=cmd|")) }
        let key = try await run(data, "audit", "key").output.trimmingCharacters(in: .whitespacesAndNewlines)
        let file = try elsewhere.file("export", exported.output)
        func check(_ path: String, _ more: String...) async throws -> Finished {
            try await Program.sallyport.run(["audit", "verify", "--export", path, "--data-dir", elsewhere.path + "/none"] + more)
        }
        let fine = try await check(file, "--key", key)
        #expect(fine.status == 0 && fine.output.contains("5 events, all") && fine.errors.isEmpty, "\(fine.everything)")
        let unknown = try await check(file)
        #expect(unknown.status == 0 && unknown.errors.contains("was not checked"))
        #expect(try await check(file, "--key", String(key.reversed())).status == 1)
        let tampered: [(String, String)] = [
            ("edited", exported.output.replacing("cem", with: "xem")),
            ("cut", lines.dropLast().joined(separator: "\n") + "\n"),
            ("shortened", (lines.prefix(2) + lines.suffix(1)).joined(separator: "\n") + "\n"),
            ("reordered", ([lines[0], lines[2], lines[1]] + lines.dropFirst(3)).joined(separator: "\n") + "\n"),
            ("longer", exported.output + lines[1] + "\n"),
            ("recounted", exported.output.replacing("events=5", with: "events=4")),
        ]
        for (what, text) in tampered {
            let end = try await check(try elsewhere.file(what, text), "--key", key)
            #expect(end.status == 1, "\(what): \(end.everything)")
        }
    }

    @Test func exportGoesOnOverManyPieces() async throws {
        try await withNode { node in
            for number in 0..<2500 as Range<UInt64> {
                node.node.store.records.remember(
                    .event(Event(.loginRejected, at: NodeClock.now().wall, login: LoginID(Bits128(high: 1, low: number)))))
            }
            #expect(try await eventually { (try? node.node.store.records.trailExtent().events) ?? 0 > 2500 })
            var request = ExportTrail(events: ListEvents(kinds: ["login-rejected"]), format: .json)
            var hash = ExportHash()
            var lines: [Substring] = []
            var pieces = 0
            repeat {
                let answer = try await node.perform(request)
                lines += answer.text.split(separator: "\n")
                request.step = answer.step
                pieces += 1
            } while request.step != nil
            #expect(pieces == 3 && lines.count == 2501)
            for line in lines.dropLast() { hash.take(line: line.utf8) }
            let manifest = try #require(lines.last.flatMap { ExportManifest(in: String($0)) })
            #expect(manifest.events == 2500 && manifest.hash == hash.text && manifest.filter == "kinds login-rejected")
            // A step of one export does not go on with another.
            var other = ExportTrail(events: ListEvents(kinds: ["login-rejected"]), format: .json)
            let first = try await node.perform(other)
            other = ExportTrail(events: ListEvents(), format: .json, step: first.step)
            await #expect(throws: Refusal.self) { try await node.perform(other) }
            let forged = first.step?.replacing("events=1000", with: "events=1001")
            await #expect(throws: Refusal.self) {
                try await node.perform(ExportTrail(events: ListEvents(kinds: ["login-rejected"]), format: .json, step: forged))
            }
        }
    }

    @Test func erasedPersonIsNowhereToBeSeen() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: folder)
        let endpoint = try await node.endpoint()
        let password = "correct horse battery"
        try #require(try await node.command("user", "add", "alice", "--password-stdin", input: password + "\n").status == 0)
        try #require(
            try await node.command("client", "add", "vpn", "--address", "127.0.0.1", "--secret-stdin", input: TestNode.secret + "\n").status
                == 0)
        try #require(try await node.command("user", "add", "bob").status == 0)
        let gateway = try GatewayClient(endpoint, secret: TestNode.secret)
        for _ in 0..<8 { _ = try await gateway.login("alice", "not the password") }
        let listed = try await node.command("audit", "list", "--user", "alice", "--json")
        #expect(listed.output.contains("\"user\":\"alice\""))
        let id = try #require(listed.output.split(separator: "\"login\":\"").dropFirst().first?.prefix(26))

        #expect(try await node.command("user", "erase", "alice").status == 64)
        let erased = try await node.command("user", "remove", "alice", "--erase", "--yes")
        #expect(erased.status == 0 && erased.output.contains("Erased user alice"), "\(erased.everything)")
        for arguments in [["audit", "list"], ["audit", "list", "--json"], ["audit", "export"], ["audit", "export", "--format", "csv"]] {
            let shown = try await Program.sallyport.run(arguments + ["--data-dir", folder.path])
            #expect(shown.status == 0 && !shown.output.contains("alice") && shown.output.contains("bob"), "\(shown.output)")
        }
        #expect(try await node.command("audit", "list").output.contains("erased"))
        #expect(try await node.command("trace", String(id)).output.contains("name was erased"))
        #expect(try await node.command("audit", "verify").status == 0)
        #expect(try await node.command("user", "add", "alice").status == 0)
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }
}
