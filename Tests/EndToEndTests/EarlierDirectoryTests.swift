// SPDX-License-Identifier: Apache-2.0
// Every data directory that an earlier version left behind starts with the program of today, and forgets nothing.

import Foundation
import Glibc
import OTP
import RADIUS
import RADIUSDoor
import Testing

@testable import sallyport

/// A data directory as an earlier version left it; each has a README that says what is in it.
struct EarlierDirectory: Sendable, CustomTestStringConvertible {
    static let all = [
        EarlierDirectory(name: "schema-1", usedRecoveryCode: "sp-evdm-1jy6-849k-nqvk", unusedRecoveryCode: "sp-fq77-2v3q-b0e2-hsvx"),
        EarlierDirectory(
            name: "schema-5", usedRecoveryCode: "sp-z0ga-36tf-1mk3-wzb7", unusedRecoveryCode: "sp-7rce-h6nq-czsh-vxab",
            policies: ["staff-lobby", "newcomers"]),
    ]

    static let clientSecret = "quite-a-long-client-secret"
    static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    let name: String
    let usedRecoveryCode: String
    let unusedRecoveryCode: String
    var policies: [String] = []

    var testDescription: String { name }

    static func copy(_ name: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("DataDirectories/\(name)").path
        for file in ["master.key", "sallyport.sqlite"] {
            try FileManager.default.copyItem(atPath: "\(source)/\(file)", toPath: "\(folder.path)/\(file)")
            chmod("\(folder.path)/\(file)", 0o600)
        }
        return folder
    }
}

@Suite struct EarlierDirectoryTests {
    @Test(arguments: EarlierDirectory.all) func earlierDataStartsAndForgetsNothing(_ earlier: EarlierDirectory) async throws {
        let folder = try EarlierDirectory.copy(earlier.name)
        let node = try await NodeProcess.start(in: folder)
        let gateway = try GatewayClient(try await node.endpoint(), secret: EarlierDirectory.clientSecret)
        let totp = try TestToken(uri: "otpauth://totp/alice?secret=\(EarlierDirectory.key)")
        let hotp = try TestToken(uri: "otpauth://hotp/bob?secret=\(EarlierDirectory.key)&counter=0")

        // What was used stays used.
        for counter in [0, 3] as [UInt64] {
            #expect(try await gateway.login("bob", append(try hotp.code(counter: counter)))?.code == .accessReject)
        }
        #expect(try await gateway.login("carol", append(earlier.usedRecoveryCode))?.code == .accessReject)
        #expect(try await gateway.login("dave", append("123456"))?.code == .accessReject)
        // What was not opens.
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 4)))?.code == .accessAccept)
        #expect(try await gateway.login("alice@example.org", append(try totp.code()))?.code == .accessAccept)
        #expect(try await gateway.login("carol", append(earlier.unusedRecoveryCode))?.code == .accessAccept)

        let verified = try await node.command("audit", "verify")
        #expect(verified.status == 0, "\(verified.everything)")
        let group = try await node.command("group", "show", "everybody", "--json")
        #expect(group.output.contains("staff") && group.output.contains("carol"), "\(group.everything)")
        let policies = try await node.command("policy", "list", "--json")
        #expect(earlier.policies.allSatisfy { policies.output.contains($0) }, "\(policies.everything)")
        let alice = try await node.command("user", "show", "alice", "--json")
        #expect(alice.output.contains("+49301234567") && alice.output.contains("alice@example.org"), "\(alice.everything)")
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        #expect(try await node.command("audit", "verify").status == 0)
    }
}
