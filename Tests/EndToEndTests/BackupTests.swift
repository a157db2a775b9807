// SPDX-License-Identifier: Apache-2.0
// The built program: a backup of a running node, restored elsewhere, and a login there; the backup before an upgrade, and the way back.

import Foundation
import Glibc
import OTP
import RADIUS
import RADIUSDoor
import Testing

@testable import sallyport

@Suite struct BackupTests {
    private static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    private static let clientSecret = "quite-a-long-client-secret"
    private static let passphrase = "correct horse battery staple"

    private func filledNode(in folder: TemporaryFolder) async throws -> NodeProcess {
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        for end in [
            try await node.command("user", "add", "bob", "--password-stdin", input: TestNode.password + "\n"),
            try await node.command("user", "add", "carol", "--password-stdin", input: TestNode.password + "\n"),
            try await node.command("factor", "add", "bob", "hotp", "--secret-stdin", input: Self.key + "\n"),
            try await node.command("factor", "add", "carol", "totp", "--secret-stdin", input: Self.key + "\n"),
            try await node.command(
                "client", "add", "vpn", "--address", "127.0.0.1", "--ask", "append", "--secret-stdin", input: Self.clientSecret + "\n"),
        ] { try #require(end.status == 0, "\(end.everything)") }
        return node
    }

    private func stop(_ node: NodeProcess) async throws {
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func backupOfARunningNodeIsRestoredElsewhere() async throws {
        let (folder, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
        let node = try await filledNode(in: folder)
        let hotp = try TestToken(uri: "otpauth://hotp/bob?secret=\(Self.key)&counter=0")
        let totp = try TestToken(uri: "otpauth://totp/carol?secret=\(Self.key)")
        var gateway = try GatewayClient(try await node.endpoint(), secret: Self.clientSecret)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 0)))?.code == .accessAccept)
        let file = folder.path + "/a.backup"
        let made = try await node.command("backup", file, input: Self.passphrase + "\n")
        #expect(made.status == 0 && made.errors.contains("Keep a copy of that key"), "\(made.everything)")
        #expect(try await node.command("backup", file, input: Self.passphrase + "\n").status == 1)
        #expect(try await node.command("backup", file + "2", input: "short\n").status == 64)
        // However the command ends, a key that goes into a backup is told before it does.
        let nowhere = folder.path + "/nowhere/a.backup"
        #expect(try await node.command("backup", nowhere, "--with-key", input: Self.passphrase + "\n").status != 0)
        let begun = try await node.command("audit", "list", "--kind", "backup-begun", "--json")
        #expect(begun.output.contains("backup-begun") && begun.output.contains("\"included\""), "\(begun.everything)")
        // Used behind the backup, which does not know it.
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 1)))?.code == .accessAccept)
        let code = try totp.code()
        #expect(try await gateway.login("carol", append(code))?.code == .accessAccept)
        let noted = try await node.command("audit", "list", "--kind", "backup", "--json")
        #expect(noted.output.contains("backup-made") && noted.output.contains("not included"), "\(noted.everything)")
        try await stop(node)

        let verified = try await node.command("backup", "--verify", file, "--json", input: Self.passphrase + "\n")
        #expect(verified.status == 0 && verified.output.contains("\"users\":2"), "\(verified.everything)")
        let wrong = try await node.command("backup", "--verify", file, input: "something else\n")
        #expect(wrong.status == 1 && wrong.errors.contains("passphrase is wrong"), "\(wrong.everything)")
        let data = elsewhere.path + "/data"
        let keyless = try await Program.sallyport.run(["restore", file, "--data-dir", data], input: Self.passphrase + "\n")
        #expect(keyless.status == 78 && keyless.errors.contains("--key-file"), "\(keyless.everything)")
        let dry = try await node.command("restore", file, "--dry-run", input: Self.passphrase + "\n")
        #expect(dry.status == 0 && dry.output.contains("bob"), "\(dry.everything)")
        let restored = try await Program.sallyport.run(
            ["restore", file, "--data-dir", data, "--key-file", folder.path + "/master.key"], input: Self.passphrase + "\n")
        #expect(restored.status == 0, "\(restored.everything)")
        for next in ["sallyport serve --data-dir \(data)", "first minute", "two codes in a row", "key confirm-copy FILE"] {
            #expect(restored.output.contains(next), "\(restored.everything)")
        }
        #expect(!dry.output.contains("sallyport serve"))
        #expect(restored.output.contains("epoch 2") && restored.output.contains("bob") && restored.output.contains("carol"))
        for end in [made, verified, wrong, keyless, dry, restored] { #expect(!end.everything.contains(Self.passphrase)) }

        let running = try await Program.sallyport.start(["serve", "--data-dir", data] + NodeProcess.loopback)
        gateway = try GatewayClient(try await running.radiusEndpoint(), secret: Self.clientSecret)
        #expect(running.errors.contains("works on a backup of") && running.errors.contains("carol"), "\(running.errors)")
        // What was used behind the backup opens nothing; a token shows itself by two codes in a row.
        #expect(try await gateway.login("carol", append(code))?.code == .accessReject)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 1)))?.code == .accessReject)
        try await waitForRejects(1, "code-beyond-window", data)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 3)))?.code == .accessReject)
        try await waitForRejects(2, "code-beyond-window", data)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 4)))?.code == .accessAccept)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 5)))?.code == .accessAccept)
        let trail = try await Program.sallyport.run(["audit", "verify", "--data-dir", data])
        #expect(trail.status == 0, "\(trail.everything)")
        running.signal(SIGTERM)
        #expect(try await running.end().status == 0)
    }

    /// The database alone was put back by other means, as a snapshot of the machine does it.
    @Test(arguments: [false, true]) func aDatabaseThatWasPutBackIsMadeSafeInPlace(keepsRecoveryCodes: Bool) async throws {
        let folder = try TemporaryFolder()
        var node = try await filledNode(in: folder)
        let made = try await node.command("factor", "add", "carol", "recovery", "--json")
        let codes = made.output.matches(of: /sp-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}/).map { String($0.output) }
        try #require(codes.count == 10, "\(made.everything)")
        let hotp = try TestToken(uri: "otpauth://hotp/bob?secret=\(Self.key)&counter=0")
        let totp = try TestToken(uri: "otpauth://totp/carol?secret=\(Self.key)")
        var gateway = try GatewayClient(try await node.endpoint(), secret: Self.clientSecret)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 0)))?.code == .accessAccept)
        try await stop(node)
        let (database, copy) = (folder.path + "/sallyport.sqlite", folder.path + "/copy")
        try FileManager.default.copyItem(atPath: database, toPath: copy)

        node = try await NodeProcess.start(in: folder)
        gateway = try GatewayClient(try await node.endpoint(), secret: Self.clientSecret)
        // Used behind the copy, which does not know it.
        let code = try totp.code()
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 1)))?.code == .accessAccept)
        #expect(try await gateway.login("carol", append(code))?.code == .accessAccept)
        #expect(try await gateway.login("carol", append(codes[0]))?.code == .accessAccept)
        // Not under a running node.
        let refused = try await node.command("restore", "--in-place")
        #expect(refused.status != 0 && refused.errors.contains("works on this data directory"), "\(refused.everything)")
        #expect(refused.errors.contains("Stop the node first"), "\(refused.everything)")
        let second = try await Program.sallyport.run(["serve", "--data-dir", folder.path] + NodeProcess.loopback)
        #expect(second.status == 69 && second.errors.contains("runs already"), "\(second.everything)")
        #expect(!second.errors.contains("try again"), "\(second.everything)")
        try await stop(node)
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasPrefix("sallyport.sqlite") {
            try FileManager.default.removeItem(atPath: "\(folder.path)/\(file)")
        }
        try FileManager.default.moveItem(atPath: copy, toPath: database)

        #expect(try await node.command("restore", "--in-place", "some.backup").status == 64)
        #expect(try await node.command("restore", "--in-place", "--dry-run").status == 64)
        let safe = try await Program.sallyport.run(
            ["restore", "--in-place", "--data-dir", folder.path] + (keepsRecoveryCodes ? ["--keep-recovery-codes"] : []))
        #expect(safe.status == 0, "\(safe.everything)")
        #expect(safe.output.contains("Epoch 2: \(keepsRecoveryCodes ? "0 recovery codes" : "10 recovery codes") void, 1 HOTP token"))

        node = try await NodeProcess.start(in: folder)
        gateway = try GatewayClient(try await node.endpoint(), secret: Self.clientSecret)
        #expect(try await gateway.login("carol", append(code))?.code == .accessReject)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 1)))?.code == .accessReject)
        try await waitForRejects(1, "code-beyond-window", folder.path)
        // What was used may be among those that are kept: that is what the flag says.
        #expect(try await gateway.login("carol", append(codes[5]))?.code == (keepsRecoveryCodes ? .accessAccept : .accessReject))
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 3)))?.code == .accessReject)
        try await waitForRejects(2, "code-beyond-window", folder.path)
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 4)))?.code == .accessAccept)
        let told = try await node.command("audit", "list", "--kind", "restored", "--json")
        #expect(told.status == 0 && told.output.contains("\"restored\""), "\(told.everything)")
        let verified = try await node.command("audit", "verify")
        #expect(verified.status == 0, "\(verified.everything)")
        try await stop(node)
    }

    /// What waits for its successor is written behind the answer, with the event.
    private func waitForRejects(_ count: Int, _ reason: String, _ data: String) async throws {
        for _ in 0..<20 {
            let trail = try await Program.sallyport.run(["audit", "list", "--kind", "login-rejected", "--json", "--data-dir", data])
            if trail.output.split(separator: "\n").filter({ $0.contains(reason) }).count >= count { return }
        }
        Issue.record("\(count) times \(reason) was waited for")
    }

    @Test func backupForARecipientWithTheKeyNeedsNothingElse() async throws {
        let folder = try TemporaryFolder()
        let node = try await filledNode(in: folder)
        let identity = folder.path + "/identity"
        let made = try await Program.sallyport.run(["key", "make", "--recipient", identity, "--json"])
        let answer = try JSONSerialization.jsonObject(with: Data(made.output.utf8)) as? [String: Any]
        let recipient = try #require(answer?["recipient"] as? String)
        let file = folder.path + "/b.backup"
        #expect(try await node.command("backup", file, "--recipient", recipient, "--with-key").status == 0)
        try await stop(node)
        let restored = try await Program.sallyport.run(["restore", file, "--identity", identity, "--data-dir", folder.path + "/data"])
        #expect(restored.status == 0, "\(restored.everything)")
        let users = try await Program.sallyport.run(["user", "list", "--data-dir", folder.path + "/data"])
        #expect(users.status == 0 && users.output.contains("bob"), "\(users.everything)")
        // Offline, on the data itself.
        #expect(try await Program.sallyport.run(["key", "rotate", "--yes", "--data-dir", folder.path + "/data"]).status == 0)
        #expect(try await Program.sallyport.run(["audit", "verify", "--data-dir", folder.path + "/data"]).status == 0)
    }

    @Test func anUpgradeIsBackedUpAndTheWayBackIsNamed() async throws {
        let folder = try EarlierDirectory.copy("schema-1")
        let refused = try await Program.sallyport.run(["serve", "--no-migrate", "--data-dir", folder.path] + NodeProcess.loopback)
        #expect(refused.status == 78 && refused.errors.contains("schema 1"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/backups"))
        let node = try await NodeProcess.start(in: folder)
        _ = try await node.endpoint()
        #expect(node.running.errors.contains("wrote \(folder.path)/backups/before-schema-"), "\(node.running.errors)")
        #expect(node.running.errors.contains("migrated the database from schema 1 to"), "\(node.running.errors)")
        let migrated = try await node.command("audit", "list", "--kind", "schema", "--json")
        #expect(migrated.output.contains("schema-migrated"), "\(migrated.everything)")
        try await stop(node)
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/backups").first)
        let backup = "\(folder.path)/backups/\(name)"
        let verified = try await node.command("backup", "--verify", backup, "--json")
        #expect(verified.status == 0 && verified.output.contains("\"schema\":1"), "\(verified.everything)")
        // And once more from the backup: the old schema is made, filled, and brought up to date.
        let restored = try await Program.sallyport.run(
            ["restore", backup, "--key-file", folder.path + "/master.key", "--data-dir", folder.path + "/data"])
        #expect(restored.status == 0 && restored.output.contains("from schema 1 to"), "\(restored.everything)")
        let users = try await Program.sallyport.run(["user", "list", "--data-dir", folder.path + "/data"])
        #expect(users.output.contains("alice@example.org") || users.output.contains("alice"), "\(users.everything)")
    }
}
