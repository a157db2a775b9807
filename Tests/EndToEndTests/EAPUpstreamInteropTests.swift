// SPDX-License-Identifier: Apache-2.0
// EAP whose password a FreeRADIUS knows: the proof goes there, and its success and keys come back into the method.

import Administration
import RADIUSDoor
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("freeradius", "eapol_test"), "freeradius or eapol_test (eapoltest) is not installed"))
struct EAPUpstreamInteropTests {
    enum Way: String, Sendable, CaseIterable {
        case bare = "MSCHAPV2"
        case inPEAP = "PEAP auth=MSCHAPV2"
        case inTTLS = "TTLS auth=MSCHAPV2"
        case asEAPInTTLS = "TTLS autheap=MSCHAPV2"
        case plainInTTLS = "TTLS auth=PAP"

        var method: String { String(rawValue.prefix { $0 != " " }) }

        func lines(_ node: TestNode) -> [String] {
            guard self != .bare else { return [] }
            return [
                "anonymous_identity=\"anonymous\"", "ca_cert=\"\(node.folder.path)/eap/ca.pem\"",
                "phase2=\"\(rawValue.split(separator: " ")[1])\"", self == .inPEAP ? "phase1=\"peapver=0 crypto_binding=2\"" : "",
            ]
        }
    }

    /// Both sides derive the same keys, though this node never saw the password or its hash.
    @Test(arguments: Way.allCases) func thePasswordIsJudgedThere(_ way: Way) async throws {
        let upstream = try await UpstreamFreeRADIUS.start()
        do {
            try await withNode { node in
                var choices = DirectoryChoices()
                choices.servers = [upstream.address]
                choices.secret = SecretText(UpstreamFreeRADIUS.secret)
                choices.timeout = "5s"
                try await node.perform(AddDirectory(name: "old", choices: choices))
                try await node.addClient {
                    $0.requirement = "password"
                    $0.eap = [way.method.lowercased()]
                }
                try await node.perform(AddUser(name: "alice", directory: "old"))
                let test = try EAPOLTest(node)
                // Wireless: keys of a password may go anywhere.
                let end = try await test.login(way.method, UpstreamFreeRADIUS.password, portType: 19, lines: way.lines(node))
                expectSuccess(end, hasKeys: true)
                #expect(try await node.logins("login-accepted", count: 1).map(\.user) == ["alice"])
                let wrong = try await test.login(way.method, "wrong password", lines: way.lines(node))
                #expect(wrong.status != 0 && !wrong.output.contains("Access-Accept"), "\(wrong.everything)")
                #expect(try await node.lastReason(of: "alice") == "wrong-password")
            }
        } catch {
            try await upstream.stop()
            throw error
        }
        try await upstream.stop()
    }
}
