// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

/// What is dropped by which rule (CVE-2024-3596, RFC 3579 §3.1, RFC 5997 §3).
@Suite struct PacketCheckTests {
    enum Signature: CaseIterable { case right, wrong, absent }
    enum Content: CaseIterable { case plain, proxyState, eap, status }
    enum Rule: CaseIterable { case require, auto, pinned, allow }

    struct Case: Sendable, CustomStringConvertible {
        let signature: Signature, content: Content, rule: Rule

        static let all = Signature.allCases.flatMap { signature in
            Content.allCases.flatMap { content in
                Rule.allCases.map { Case(signature: signature, content: content, rule: $0) }
            }
        }

        var description: String { "\(signature) \(content) \(rule)" }

        var expected: DropReason? {
            switch (signature, content, rule) {
            case (.right, _, _): nil
            case (.wrong, _, _): .wrongMessageAuthenticator
            case (.absent, .eap, _): .eapWithoutMessageAuthenticator
            case (.absent, .proxyState, _): .proxyStateWithoutMessageAuthenticator
            case (.absent, .status, _): .statusWithoutMessageAuthenticator
            case (.absent, .plain, .require): .missingMessageAuthenticator
            case (.absent, .plain, .pinned): .pinnedWithoutMessageAuthenticator
            case (.absent, .plain, .auto), (.absent, .plain, .allow): nil
            }
        }
    }

    @Test(arguments: Case.all)
    func matrix(example: Case) throws {
        let source = address("127.0.0.1")
        let rule: MessageAuthenticatorRule =
            switch example.rule {
            case .require: .require
            case .auto, .pinned: .auto
            case .allow: .allow
            }
        let pins = example.rule == .pinned ? [ClientPin(client: 1, address: source)] : []
        let bytes = request(
            example.content == .status ? .statusServer : .accessRequest, signed: example.signature != .absent,
            secret: example.signature == .wrong ? RADIUS.SharedSecret("another")! : sharedSecret
        ) {
            switch example.content {
            case .plain: $0.login()
            case .proxyState:
                $0.login()
                $0.add(.proxyState, [1, 2, 3])
            case .eap:
                $0.addText(.userName, "alice")
                $0.add(.eapMessage, [2, 1, 0, 10, 1, 97, 108, 105, 99, 101])
            case .status: break
            }
        }
        let check = PacketCheck(try packet(bytes), of: try entry(client(rule: rule), pins: pins), from: source)
        #expect(check.drop == example.expected)
    }

    @Test func otherCodesAreDropped() throws {
        let entry = try entry(client())
        for code in Code.allCases where code != .accessRequest && code != .statusServer {
            let check = PacketCheck(try packet(request(code)), of: entry, from: address("127.0.0.1"))
            #expect(check.drop == (code == .accountingRequest ? .accountingRequest : .unexpectedCode))
        }
    }
}
