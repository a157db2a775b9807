// SPDX-License-Identifier: Apache-2.0
// The name outside of a tunnel: which may stand for which inside, and whose session it is afterwards.

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

struct OuterIdentityTests {
    private func fits(_ outer: [UInt8], _ inner: String, _ change: (inout ClientSettings) -> Void = { _ in }) -> Bool {
        var settings = client().settings
        change(&settings)
        return OuterIdentity.fits(outer, inner: Array(inner.utf8), of: settings)
    }

    private func fits(_ outer: String, _ inner: String, stripping: NameStripping = .none) -> Bool {
        fits(Array(outer.utf8), inner) { $0.nameStripping = stripping }
    }

    @Test(arguments: ["", "@corp.example", "anonymous", "anonymous@corp.example", "anonymous@", "alice", "Alice", " alice "])
    func theSameUserOrNobodyMayStandOutside(_ outer: String) {
        #expect(fits(outer, "alice"))
    }

    @Test(
        arguments: [
            "boss", "Anonymous2", "anonymous1", "xanonymous", "anonymous@boss@corp.example", "@@boss", "CORP\\anonymous", "alice\0",
            "alice2",
            "alice@corp.example", " ", "boss@anonymous", "a\u{301}lice",
        ])
    func anotherUserMayNot(_ outer: String) {
        #expect(!fits(outer, "alice"))
    }

    @Test func whatTheClientStripsIsNoDifference() {
        #expect(fits("alice@corp.example", "alice", stripping: .realm))
        #expect(fits("CORP\\alice", "alice", stripping: .domain))
        #expect(!fits("CORP\\boss", "alice", stripping: .both))
        #expect(!fits("boss@corp.example", "alice@corp.example", stripping: .both))
    }

    @Test func bytesThatAreNoTextAreNobodysName() {
        #expect(!fits([0x61, 0xFF], "a"))
        #expect(fits([0x6D, 0xFC], "m\u{FC}") { $0.charset = .auto })
    }

    @Test func theSessionOfWhoWasAnonymousOutsideIsTheUsers() throws {
        let links = LoginLinks()
        func says(_ name: String, session: String?) throws -> Packet {
            try packet(
                request {
                    $0.addText(.userName, name)
                    $0.addText(.callingStationID, "198.51.100.7")
                    if let session { $0.addText(.acctSessionID, session) }
                })
        }
        links.note(loginID, nameKey: "alice", try says("anonymous", session: "7f"), of: 1, at: uptime(0))
        let found = try #require(links.login(of: try says("anonymous", session: "7f"), of: 1, at: uptime(1)))
        #expect(found.login == loginID && found.nameKey == "alice")
        // Many may be anonymous behind one address.
        let near = try #require(links.login(of: try says("anonymous", session: "80"), of: 1, at: uptime(1)))
        #expect(near.login == loginID && near.nameKey == nil)
        #expect(links.login(of: try says("anonymous", session: "7f"), of: 2, at: uptime(1)) == nil)
    }
}
