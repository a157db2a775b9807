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
enum EarlierDirectory {
    static let all = ["schema-1"]

    static let clientSecret = "quite-a-long-client-secret"
    static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    static let usedRecoveryCode = "sp-evdm-1jy6-849k-nqvk"
    static let unusedRecoveryCode = "sp-fq77-2v3q-b0e2-hsvx"

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
    @Test(arguments: EarlierDirectory.all) func earlierDataStartsAndForgetsNothing(name: String) async throws {
        let folder = try EarlierDirectory.copy(name)
        let node = try await NodeProcess.start(in: folder)
        let gateway = try GatewayClient(try await node.endpoint(), secret: EarlierDirectory.clientSecret)
        let totp = try TestToken(uri: "otpauth://totp/alice?secret=\(EarlierDirectory.key)")
        let hotp = try TestToken(uri: "otpauth://hotp/bob?secret=\(EarlierDirectory.key)&counter=0")

        // What was used stays used.
        for counter in [0, 3] as [UInt64] {
            #expect(try await gateway.login("bob", append(try hotp.code(counter: counter)))?.code == .accessReject)
        }
        #expect(try await gateway.login("carol", append(EarlierDirectory.usedRecoveryCode))?.code == .accessReject)
        #expect(try await gateway.login("dave", append("123456"))?.code == .accessReject)
        // What was not opens.
        #expect(try await gateway.login("bob", append(try hotp.code(counter: 4)))?.code == .accessAccept)
        #expect(try await gateway.login("alice@example.org", append(try totp.code()))?.code == .accessAccept)
        #expect(try await gateway.login("carol", append(EarlierDirectory.unusedRecoveryCode))?.code == .accessAccept)

        let verified = try await node.command("audit", "verify")
        #expect(verified.status == 0, "\(verified.everything)")
        let group = try await node.command("group", "show", "everybody", "--json")
        #expect(group.output.contains("staff") && group.output.contains("carol"), "\(group.everything)")
        let alice = try await node.command("user", "show", "alice", "--json")
        #expect(alice.output.contains("+49301234567") && alice.output.contains("alice@example.org"), "\(alice.everything)")
        node.running.signal(SIGTERM)
        #expect(try await node.running.end().status == 0)
        #expect(try await node.command("audit", "verify").status == 0)
    }
}
