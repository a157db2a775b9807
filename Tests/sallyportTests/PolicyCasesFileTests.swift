// SPDX-License-Identifier: Apache-2.0
// Files of cases for `policy test`: what is read, and where a fault is.

import Administration
import LoginEngine
import Testing

@testable import sallyport

@Suite struct PolicyCasesFileTests {
    private func read(_ text: String) throws -> [PolicyCase] { try PolicyCasesFile(fileName: "c.yaml").read(Array(text.utf8)) }

    @Test func everyKeyIsRead() throws {
        let cases = try read(
            """
            cases:
              - name: by day
                user: alice
                group: [staff, vpn]
                client: office
                from: 203.0.113.9
                country: DE
                at: 2026-12-01 10:00 Europe/Berlin
                zone: Asia/Tokyo
                method: pap
                realm: otp
                expect: { policy: staff, require: password+factor }
              - client-tag: vpn
                at: "2026-12-01T10:00Z"
                expect: { require: off }
            """)
        #expect(cases.count == 2 && cases[0].name == "by day" && cases[1].name == "case 2")
        #expect(cases[0].groups == ["staff", "vpn"] && cases[0].from == "203.0.113.9" && cases[0].policy == "staff")
        #expect(cases[0].at?.timestamp == Timestamp(seconds: 1_796_115_600) && cases[1].at?.timestamp == Timestamp(seconds: 1_796_119_200))
        #expect(cases[1].clientTags == ["vpn"] && cases[1].require == "off" && cases[1].place == "c.yaml:13:5")
    }

    @Test(arguments: [
        ("cases: []", "The file holds no cases."), ("cases:\n  - { client: a }", "c.yaml:2:5: A case has to say what it expects."),
        ("cases:\n  - { clint: a, expect: { policy: p } }", "A case has no key `clint`. Did you mean `client`?"),
        ("cases:\n  - { at: now, expect: { policy: p } }", "`now` is no time."),
        ("cases:\n  - { at: 2h, expect: { policy: p } }", "`2h` is no time."),
        ("cases:\n  - { at: 2026-12-01 10:00 Mars/Olympus, expect: { policy: p } }", "is no time."),
        ("case: x", "The file has no key `case`."),
        ("cases:\n  - { expect: { polcy: p } }", "expect has no key `polcy`."),
    ])
    func faultsAreNamedWithTheirPlace(text: String, words: String) {
        let error = #expect(throws: Refusal.self) { _ = try read(text) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
}
