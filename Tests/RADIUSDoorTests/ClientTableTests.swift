// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import TLS
import Testing

@testable import RADIUSDoor

@Suite struct ClientTableTests {
    private let table: ClientTable

    init() throws {
        table = try ClientTable(
            [
                client("wide", id: 1, ["10.0.0.0/8", "2001:db8::/32"]), client("narrow", id: 2, ["10.1.0.0/16", "2001:db8:7::/48"]),
                client("one", id: 3, ["10.1.2.3", "2001:db8:7::1"]), client("all-v6", id: 4, ["::/0"]),
            ], pins: [ClientPin(client: 2, address: address("10.1.9.9"))])
    }

    @Test(arguments: [
        ("10.1.2.3", "one"), ("10.1.2.4", "narrow"), ("10.2.0.1", "wide"), ("2001:db8:7::1", "one"), ("2001:db8:7::2", "narrow"),
        ("2001:db8:8::1", "wide"), ("fe80::1", "all-v6"),
    ])
    func longestMatchWins(source: String, name: String) {
        #expect(table.client(for: address(source))?.client.name == name)
    }

    @Test func strangerHasNoClient() throws {
        let table = try ClientTable([client("wide", id: 1, ["10.0.0.0/8"])], pins: [])
        #expect(table.client(for: address("11.0.0.1")) == nil)
        #expect(table.client(for: address("::a00:1")) == nil)
        #expect(ClientTable.empty.client(for: address("10.0.0.1")) == nil)
    }

    /// `::/0` holds the mapped addresses too; an IPv4 gateway must still be named by an IPv4 range.
    @Test func mappedAddressIsTheIPv4Address() {
        #expect(table.client(for: address("::ffff:10.1.2.3"))?.client.name == "one")
    }

    @Test func rangeOfTwoClientsIsRefused() {
        #expect(throws: ClientTableError.rangeTaken(AddressRange("10.0.0.0/8")!, by: "a", and: "b")) {
            try ClientTable([client("a", id: 1, ["10.0.0.0/8"]), client("b", id: 2, ["192.0.2.1", "10.0.0.0/8"])], pins: [])
        }
    }

    @Test func sameRangeTwiceInOneClientIsNoConflict() throws {
        _ = try ClientTable([client("a", id: 1, ["10.0.0.0/8", "10.0.0.0/8"])], pins: [])
    }

    @Test func emptySecretIsRefused() {
        #expect(throws: ClientTableError.emptySecret(client: "a")) { try ClientTable([client("a", secret: "")], pins: []) }
    }

    @Test func pinAsksForMessageAuthenticatorOfThatSourceOnly() throws {
        let entry = try #require(table.client(for: address("10.1.9.9")))
        #expect(entry.messageAuthenticatorMode(for: address("10.1.9.9")) == .auto(pinned: true))
        #expect(entry.messageAuthenticatorMode(for: address("10.1.9.8")) == .auto(pinned: false))
    }

    /// Whatever it names, though its chain is good, and where its very fingerprint is registered.
    @Test(arguments: [false, true]) func certificateThatIsRefusedIsNoClients(_ isRegistered: Bool) throws {
        let made = try IssuedCertificate(name: "gw.example.org", of: nil, serial: [UInt8](repeating: 1, count: 16), days: 2)
        let peer = try CertificateText(pem: made.certificate).peer
        var settings = ClientSettings(name: "gw", addresses: [], secret: Secret(utf8: "a long shared secret"))
        settings.certificates = [isRegistered ? .fingerprint(peer.fingerprint) : .name("gw.example.org")]
        let client = Client(id: 1, settings: settings)
        func refusal(_ refused: Set<[UInt8]>) throws -> String? {
            let table = try ClientTable([client], pins: [], refused: refused)
            let verdict = table.peers.client(.certificate(peer, isChainTrusted: true), from: try #require(NetworkAddress("192.0.2.7")))
            if case .refused(_, let words) = verdict { return words }
            return nil
        }
        #expect(try refusal([]) == nil)
        #expect(try refusal([peer.fingerprint])?.contains("is revoked, or is no gateway's") == true)
    }
}
