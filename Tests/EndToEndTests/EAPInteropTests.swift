// SPDX-License-Identifier: Apache-2.0
// wpa_supplicant's eapol_test against a node: the methods that need no TLS, with the keys of both sides compared.

import Administration
import Foundation
import LoginEngine
import RADIUSDoor
import Store
import TLS
import Testing

@testable import sallyport

@Suite(.enabled(if: Foreign.isHere("eapol_test"), "eapol_test (eapoltest) is not installed"))
struct EAPInteropTests {
    @Test func gtcWithPasswordAndCode() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.asking = "append"
                $0.eap = ["gtc"]
            }
            let token = try await node.addUser()
            let test = try EAPOLTest(node)
            let field = append(try token.code())
            expectSuccess(try await test.login("GTC", field, comparesKeys: false), hasKeys: false)
            expectFailure(try await test.login("GTC", field, comparesKeys: false))
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
            expectFailure(try await test.login("GTC", append(try token.code(), to: "wrong password"), comparesKeys: false))
            expectFailure(try await test.login("GTC", "anything", name: "nobody", comparesKeys: false))
        }
    }

    @Test func msCHAPv2WithTheCodeAsPassword() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["mschapv2"]
            }
            let token = try await node.addUser()
            let test = try EAPOLTest(node)
            let code = try token.code()
            expectSuccess(try await test.login("MSCHAPV2", code), hasKeys: true)
            expectFailure(try await test.login("MSCHAPV2", code))
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
        }
    }

    @Test func msCHAPv2WithAKeptPassword() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "nt-hash"))
            try await node.addClient {
                $0.requirement = "password"
                $0.eap = ["mschapv2"]
            }
            _ = try await node.addUser()
            let test = try EAPOLTest(node)
            // Wireless: keys of a password may go anywhere.
            expectSuccess(try await test.login("MSCHAPV2", TestNode.password, portType: 19), hasKeys: true)
            let refused = try await test.login("MSCHAPV2", "wrong password")
            expectFailure(refused)
            #expect(refused.output.contains("EAP-MSCHAPV2: error 691"), "\(refused.everything)")
            #expect(try await node.lastReason(of: "alice") == "wrong-password")
        }
    }

    @Test func md5WithAKeptPassword() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "clear-password"))
            try await node.addClient {
                $0.requirement = "password"
                $0.eap = ["md5"]
            }
            _ = try await node.addUser()
            let test = try EAPOLTest(node)
            expectSuccess(try await test.login("MD5", TestNode.password, comparesKeys: false), hasKeys: false)
            expectFailure(try await test.login("MD5", "wrong password", comparesKeys: false))
        }
    }

    @Test func deviceChoosesAmongTheMethodsOfTheClient() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["mschapv2", "gtc"]
            }
            let token = try await node.addUser()
            let test = try EAPOLTest(node)
            let end = try await test.login("GTC", try token.code(), comparesKeys: false)
            expectSuccess(end, hasKeys: false)
            #expect(end.output.contains("EAP: Building EAP-Nak"), "\(end.everything)")
            // Nothing that the client offers.
            expectFailure(try await test.login("MD5", "123456", comparesKeys: false))
            #expect(try await node.lastReason(of: "alice") == "eap-failed")
            let view = try await node.perform(ShowClient(name: "vpn"))
            let seen = try #require(view.seen)
            #expect(view.eap == ["mschapv2", "gtc"] && seen.protocols == ["eap"] && seen.eapRounds == seen.requests)
            #expect(seen.eapAccepted == ["EAP-GTC": 1] && seen.eapWanted == ["EAP-MD5": 1] && seen.accepts == 1)
            #expect(seen.framedMTU == 1_400, "eapol_test's own")
        }
    }

    /// The authority that the node made for itself is all that the device needs.
    private func inside(_ node: TestNode, _ phase2: String, _ phase1: String, outer: String = "anonymous") -> [String] {
        [
            "anonymous_identity=\"\(outer)\"", "ca_cert=\"\(node.folder.path)/eap/ca.pem\"", "phase2=\"\(phase2)\"",
            "phase1=\"\(phase1)\"",
        ]
    }

    @Test(arguments: ["tls_disable_tlsv1_3=1", "tls_disable_tlsv1_3=0"]) func ttlsWithPasswordAndCode(_ version: String) async throws {
        try await withNode { node in
            try await node.addClient {
                $0.asking = "append"
                $0.eap = ["ttls"]
            }
            let token = try await node.addUser()
            let test = try EAPOLTest(node)
            let lines = inside(node, "auth=PAP", version)
            let field = append(try token.code())
            let end = try await test.login("TTLS", field, lines: lines)
            expectSuccess(end, hasKeys: true)
            // Whom the gateway lets in is whom the device named inside.
            #expect(end.output.contains("Attribute 1 (User-Name) length=7"), "\(end.everything)")
            expectFailure(try await test.login("TTLS", field, lines: lines))
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
            expectFailure(try await test.login("TTLS", "wrong", lines: lines))
        }
    }

    @Test(arguments: ["tls_disable_tlsv1_3=1", "tls_disable_tlsv1_3=0"]) func peapWithTheCodeAsPassword(_ version: String) async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["peap"]
            }
            let token = try await node.addUser()
            let test = try EAPOLTest(node)
            let code = try token.code()
            let lines = inside(node, "auth=MSCHAPV2", version + " peapver=0 crypto_binding=2")
            // Wireless: the keys are TLS's, and may go anywhere.
            expectSuccess(try await test.login("PEAP", code, portType: 19, lines: lines), hasKeys: true)
            // A device that demands the binding breaks off at a failure, which has none, and the gateway hears nothing more.
            let refused = try await test.login("PEAP", code, lines: inside(node, "auth=MSCHAPV2", version))
            expectFailure(refused)
            #expect(
                refused.output.contains("EAP-MSCHAPV2: failure message") || refused.output.contains("error 691"), "\(refused.everything)")
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
        }
    }

    @Test(arguments: ["TTLS", "PEAP"]) func nobodyIsAnotherUserOutside(_ method: String) async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["ttls", "peap"]
            }
            let token = try await node.addUser()
            let test = try EAPOLTest(node)
            let phase2 = method == "TTLS" ? "auth=PAP" : "auth=MSCHAPV2"
            let version = method == "TTLS" ? "" : "peapver=0"
            let code = try token.code()
            for (number, outer) in ["boss", "boss@corp.example", "alice2"].enumerated() {
                // The code is right, and is not used up.
                let end = try await test.login(method, code, lines: inside(node, phase2, version, outer: outer))
                #expect(end.status != 0 && !end.output.contains("Access-Accept"), "\(end.everything)")
                #expect(try await node.lastReason(of: "alice", count: number + 1) == "eap-failed")
            }
            let end = try await test.login(method, code, lines: inside(node, phase2, version, outer: "ALICE"))
            expectSuccess(end, hasKeys: true)
        }
    }

    @Test func peapBesideBareMSCHAPv2DemandsTheBinding() async throws {
        for methods in [["peap"], ["peap", "mschapv2"]] {
            try await withNode { node in
                try await node.addClient {
                    $0.requirement = "factor"
                    $0.eap = methods
                }
                let token = try await node.addUser()
                let test = try EAPOLTest(node)
                let lines = inside(node, "auth=MSCHAPV2", "peapver=0 crypto_binding=0")
                let end = try await test.login("PEAP", try token.code(), lines: lines)
                guard methods.count > 1 else {
                    expectSuccess(end, hasKeys: true)
                    return
                }
                // The device believes that it is done, and only the gateway hears of the refusal.
                #expect(end.status != 0 && end.output.contains("code=3 (Access-Reject)"), "\(end.everything)")
                #expect(!end.output.contains("Access-Accept"), "\(end.everything)")
                #expect(try await node.lastReason(of: "anonymous") == "eap-failed")
            }
        }
    }

    @Test func deviceThatDoesNotTrustTheNodeIsTold() async throws {
        try await withNode { node in
            try await node.addClient {
                $0.requirement = "factor"
                $0.eap = ["ttls", "gtc"]
            }
            _ = try await node.addUser()
            let test = try EAPOLTest(node)
            let other = try IssuedCertificate(name: "elsewhere", of: nil, serial: Array(repeating: 1, count: 16), days: 2)
            let file = try test.folder.file("elsewhere.pem", String(decoding: other.certificate, as: UTF8.self))
            var lines = inside(node, "auth=PAP", "")
            lines[1] = "ca_cert=\"\(file)\""
            expectFailure(try await test.login("TTLS", "123456", lines: lines))
            // A gateway would take the anonymous name for whoever it was.
            #expect(try await node.lastReason(of: "anonymous") == "eap-failed")
        }
    }
}
