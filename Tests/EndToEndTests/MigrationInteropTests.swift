// SPDX-License-Identifier: Apache-2.0
// From another product's files to a login, by the commands that an administrator types; radclient is the gateway, oathtool the token.

import Foundation
import LoginEngine
import RADIUSDoor
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("radclient", "oathtool"), "radclient (freeradius-utils) and oathtool are not installed"))
struct MigrationInteropTests {
    private static let secret = "shared since \"2019\", and kept"
    private static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    @Test func clientsUsersAndTokensOfOtherProductsLogIn() async throws {
        let folder = try TemporaryFolder()
        let node = try await NodeProcess.start(in: try TemporaryFolder())
        let endpoint = try await node.endpoint()
        func done(_ arguments: String...) async throws -> Finished {
            let end = try await Program.sallyport.run(arguments + (arguments[0] == "import" ? [] : ["--data-dir", node.folder.path]))
            try #require(end.status == 0, "\(arguments): \(end.everything)")
            return end
        }

        let clients = try folder.file(
            "clients.conf",
            """
            client localhost {
            \tipaddr = 127.0.0.1
            \tsecret = "\(Self.secret.replacing("\"", with: "\\\""))"
            \tshortname = "My VPN"
            }

            """
        )
        let users = try folder.file("users", "alice\tCleartext-Password := \"\(TestNode.password)\"\n\tReply-Message = \"hello\"\n")
        let report = try await done("import", "freeradius", clients, users)
        #expect(report.output.contains("clients.conf:1: taken: client my-vpn: 127.0.0.1; it was called My VPN"), "\(report.output)")
        #expect(report.output.contains("Nothing was written"))
        let target = folder.path + "/from-freeradius"
        #expect(
            try await done("import", "freeradius", clients, users, "--to", target).output.contains(
                "sallyport apply -f \(target)/sallyport.yaml --dry-run"))
        for file in ["sallyport.yaml", "secrets/my-vpn", "users.csv", "report.txt"] {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(target)/\(file)")[.posixPermissions] as? NSNumber
            #expect(mode?.intValue == 0o600, "\(file)")
        }
        #expect(!folder.text(of: "from-freeradius/sallyport.yaml").contains("2019"))
        #expect(try await done("apply", "-f", target + "/sallyport.yaml", "--dry-run").output.contains("+ client my-vpn"))
        _ = try await done("apply", "-f", target + "/sallyport.yaml")
        _ = try await done("user", "import", target + "/users.csv")
        // A folder with something in it is nobody's to write to.
        let again = try await Program.sallyport.run(["import", "freeradius", clients, "--to", target])
        #expect(again.status == 1 && again.errors.contains("no empty folder"), "\(again.everything)")

        try FileManager.default.createDirectory(atPath: folder.path + "/alice", withIntermediateDirectories: false)
        try FileManager.default.createDirectory(atPath: folder.path + "/tokens", withIntermediateDirectories: false)
        let token = try folder.file("alice/.google_authenticator", "\(Self.key)\n\" WINDOW_SIZE 17\n\" TOTP_AUTH\n12345678\n")
        _ = try await done("import", "google-authenticator", token, "--to", folder.path + "/tokens")
        #expect(try await done("user", "import", folder.path + "/tokens/users.csv").output.contains("1 the same already"))
        #expect(try await done("factor", "import", folder.path + "/tokens/factors.csv", "--dry-run").output.contains("+ add"))
        #expect(try await done("factor", "import", folder.path + "/tokens/factors.csv").output.contains("1 added"))
        #expect(try await done("factor", "import", folder.path + "/tokens/factors.csv").output.contains("1 there already"))

        let oathtool = try #require(Program(installed: "oathtool"), "oathtool is required and not installed")
        let radclient = try #require(Program(installed: "radclient"), "radclient is required and not installed")
        func ask(_ lines: String...) async throws -> String {
            try await radclient.run(
                ["-x", "-r", "1", "-t", "15", "\(endpoint)", "auth", Self.secret],
                input: (["User-Name = \"alice\""] + lines + ["Message-Authenticator = 0x00"]).joined(separator: "\n") + "\n"
            ).output
        }
        let question = try await ask("User-Password = \"\(TestNode.password)\"")
        let received = try #require(question.range(of: "Received Access-Challenge"), "\(question)")
        let state = try #require(question[received.upperBound...].firstMatch(of: /State = (0x[0-9a-f]+)/)).1
        let code = try await oathtool.run(["--totp", "--base32", Self.key]).output.trimmingCharacters(in: .whitespacesAndNewlines)
        let answer = try await ask("User-Password = \"\(code)\"", "State = \(state)")
        #expect(answer.contains("Received Access-Accept"), "\(answer)")
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
    }

    @Test func whatCannotBeReadIsToldWithItsPlace() async throws {
        let folder = try TemporaryFolder()
        let cut = try folder.file("clients.conf", "client a {\n  ipaddr = 192.0.2.1\n")
        let refused = try await Program.sallyport.run(["import", "freeradius", cut, "--to", folder.path + "/out"])
        #expect(refused.status == 64 && refused.errors.contains("clients.conf:1: The section that begins here is never closed."))
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/out"))
        let kind = try await Program.sallyport.run(["import", "freeradios", cut])
        #expect(kind.status == 64)
        let json = try await Program.sallyport.run([
            "import", "freeradius", try folder.file("users", "bob Auth-Type := Reject\n"), "--json",
        ])
        #expect(json.status == 0 && json.output.contains("\"fate\":\"left\""), "\(json.everything)")
        let open = folder.path + "/open"
        try FileManager.default.createDirectory(atPath: open, withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: open)
        let linked = try await Program.sallyport.run(["import", "freeradius", folder.path + "/users", "--to", folder.path + "/link"])
        #expect(linked.status == 1, "\(linked.everything)")
    }
}
