// SPDX-License-Identifier: Apache-2.0
// Logins against servers that are scripted: Active Directory's words, and servers that hang, close and lie.

import Directories
import Dispatch
import Foundation
import LoginEngine
import Synchronization
import TestSupport
import Testing

@Suite struct LDAPSourceTests {
    private static let account = "cn=reader,dc=example"
    private static let secret = "reader's password"
    private static let alice = "uid=alice,ou=people,dc=example"

    private static func settings(_ kind: DirectoryKind, _ servers: [LDAPServer]) -> LDAPSettings {
        var settings = LDAPSettings(kind)
        settings.servers = servers
        settings.base = "dc=example"
        if kind == .ldap { settings.account = account } else { settings.domains = ["corp.example", "CORP"] }
        return settings
    }

    /// A node's part of it, with its own deadlines.
    private final class Bench: Sendable {
        let source: LDAPPasswordSource
        let deadlines = Deadlines(now: { Bench.now })
        let changes = Mutex<[String]>([])

        static var now: Moment {
            Moment(
                wall: Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)), uptime: BlockingPool.uptime())
        }

        init(_ servers: [LDAPServer], _ kind: DirectoryKind = .ldap, timeout: Timestamp.Span = .milliseconds(400)) {
            var settings = DirectorySettings(name: "corp", servers: [], secret: Secret(utf8: secret))
            settings.kind = kind
            let ldap = LDAPSourceTests.settings(kind, servers)
            settings.ldap = ldap
            settings.timeout = timeout
            let told = Told()
            let asked = LDAPServers(ldap, name: "corp", secret: settings.secret, timeout: timeout, deadlines: deadlines, now: { Self.now })
            {
                told.note($0)
            }
            source = LDAPPasswordSource(
                Directory(id: 1, settings: settings), ldap, servers: asked, counts: UpstreamCounts(), deadlines: deadlines)
            deadlines.start()
        }

        deinit { source.servers.retire() }

        func check(_ name: String = "alice", _ password: Secret = Secret(utf8: "right")) async -> PasswordVerdict {
            var settings = ClientSettings(name: "gw", addresses: [AddressRange(NetworkAddress(v4: 1))], secret: Secret(utf8: "s"))
            settings.retryTimeout = 2
            let client = Client(id: 1, settings: settings)
            var user = User(id: 1, name: name, status: .active, passwordHash: nil)
            user.directory = 1
            let asked = user
            return await withCheckedContinuation { continuation in
                let request = LoginRequest(
                    door: .radius, client: client, name: name, proof: .plaintext(password), source: NetworkAddress(v4: 1),
                    fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
                source.check(password, of: asked, for: request, answering: nil) { continuation.resume(returning: $0) }
            }
        }

        func reason(_ name: String = "alice") async -> String {
            guard case .unreachable(let why) = await check(name) else { return "" }
            return why
        }
    }

    private final class Told: Sendable {
        let all = Mutex<[LDAPServers.Change]>([])
        func note(_ change: LDAPServers.Change) { all.withLock { $0.append(change) } }
    }

    /// Lets the account in, finds alice, and answers her bind as given.
    private static func directory(
        _ user: @escaping @Sendable (Int) -> [ScriptedLDAP.Deed] = { [.bytes(BER.bound($0))] },
        entry: [(String, [[UInt8]])] = [("uid", [Array("alice".utf8)]), ("entryUUID", [Array("0000-01".utf8)])]
    ) throws -> ScriptedLDAP {
        try ScriptedLDAP { number, request in
            switch request {
            case .bind(account, _): [.bytes(BER.bound(number))]
            case .bind: user(number)
            case .search("dc=example"): [.bytes(BER.entry(number, alice, entry) + BER.searchDone(number))]
            case .search: [.bytes(BER.searchDone(number))]
            default: []
            }
        }
    }

    @Test func aRightPasswordComesWithThePerson() async throws {
        // The search for groups finds the same entry, which is no group below the base of groups but one all the same.
        let server = try Self.directory()
        let bench = Bench([server.server])
        let begun = ContinuousClock.now
        guard case .rightOf(let person) = await bench.check() else {
            Issue.record("not let in")
            return
        }
        #expect(person.key == "0000-01" && person.name == "alice" && person.creates)
        #expect(server.binds.contains(.bind(name: Self.alice, password: Array("right".utf8))))
        // The connections are kept, and the entry is known for a while.
        let before = server.connections
        guard case .rightOf = await bench.check() else {
            Issue.record("not let in again")
            return
        }
        // For three seconds; a machine that is busier says nothing of it.
        #expect(server.connections == before || ContinuousClock.now - begun > .seconds(2))
    }

    @Test func anEmptyPasswordIsNeverSent() async throws {
        let server = try Self.directory()
        let bench = Bench([server.server])
        #expect(await bench.check("alice", Secret([])) == .wrong)
        #expect(server.connections == 0)
    }

    @Test(arguments: [
        ("52e", PasswordVerdict.wrong), ("533", .refused(.accountDisabled)), ("773", .expired), ("775", .refused(.accountLocked)),
        ("701", .refused(.accountExpired)), ("530", .refused(.outsideLogonHours)), ("531", .refused(.logonNotAllowed)), ("532", .expired),
    ])
    func activeDirectorysWordsAreReasons(data: String, verdict: PasswordVerdict) async throws {
        let server = try ScriptedLDAP { number, request in
            guard case .bind = request else { return [] }
            return [
                .bytes(BER.bound(number, 49, "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data \(data), v3839"))
            ]
        }
        let bench = Bench([server.server], .activeDirectory)
        #expect(await bench.check("CORP\\alice") == verdict)
        #expect(server.binds == [.bind(name: "alice@corp.example", password: Array("right".utf8))], "bound once, by the domain's name")
        #expect(bench.source.servers.status.first?.isUp == true)
    }

    @Test func aNameOfAnotherDomainReachesNoServer() async throws {
        let server = try ScriptedLDAP { _, _ in [] }
        let bench = Bench([server.server], .activeDirectory)
        #expect(await bench.check("alice@evil.example") == .refused(.notInDirectory))
        #expect(server.connections == 0)
    }

    @Test func whoHangsIsUnreachableInTimeAndTheNextOneIsAsked() async throws {
        let deaf = try ScriptedLDAP { _, _ in [] }
        let bench = Bench([deaf.server])
        #expect(await bench.reason().contains("not answered in time"))
        let second = try Self.directory()
        let both = Bench([deaf.server, second.server])
        guard case .rightOf = await both.check() else {
            Issue.record("the second server was not asked")
            return
        }
        #expect(both.source.servers.status.map(\.isUp) == [false, true])
    }

    @Test func whoeverClosesOrListensNotIsUnreachable() async throws {
        let closing = try ScriptedLDAP { _, _ in [.close] }
        let bench = Bench([closing.server])
        guard case .unreachable = await bench.check() else {
            Issue.record("a closed connection judged a password")
            return
        }
        let nobody = Bench([try #require(LDAPServer("ldap://127.0.0.1:1"))])
        guard case .unreachable = await nobody.check() else {
            Issue.record("nobody judged a password")
            return
        }
        #expect(nobody.source.servers.status.first?.problem != nil)
    }

    @Test func aConnectionThatWasClosedMeanwhileIsNotAnswer() async throws {
        let count = Mutex(0)
        // Closes behind each user's bind.
        let server = try Self.directory { number in
            count.withLock { $0 += 1 }
            return [.bytes(BER.bound(number)), .close]
        }
        let bench = Bench([server.server])
        for _ in 0..<3 {
            guard case .rightOf = await bench.check() else {
                Issue.record("not let in")
                return
            }
        }
        #expect(count.withLock { $0 } == 3, "each login was one bind")
    }

    @Test(arguments: [
        // A length that never comes, one beyond every bound, no LDAP at all, an answer to another question, a search's answer to a bind.
        [0x30, 0x20, 0x02] as [UInt8], [0x30, 0x84, 0x7F, 0xFF, 0xFF, 0xFF, 0x02, 0x01, 0x01],
        Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
        BER.bound(99), BER.message(1, [0x61, 0x01, 0x0A]),
    ])
    func whoLiesLetsNobodyIn(bytes: [UInt8]) async throws {
        let server = try ScriptedLDAP { _, request in request == .unbind ? [] : [.bytes(bytes)] }
        let bench = Bench([server.server])
        guard case .unreachable = await bench.check() else {
            Issue.record("a lie judged a password")
            return
        }
    }

    @Test func anAccountThatIsRefusedIsNoWrongPasswordAndIsNotTriedAtEveryLogin() async throws {
        let server = try ScriptedLDAP { number, request in
            guard case .bind = request else { return [] }
            return [.bytes(BER.bound(number, 49))]
        }
        let bench = Bench([server.server])
        let begun = ContinuousClock.now
        for _ in 0..<3 { #expect(await bench.reason().contains("the account cn=reader,dc=example is refused")) }
        // For half a minute.
        #expect(server.binds.count == 1 || ContinuousClock.now - begun > .seconds(29))
        #expect(bench.source.servers.status.first?.isUp == true)
    }

    @Test func twoEntriesAndNoneAreToldApart() async throws {
        let two = try ScriptedLDAP { number, request in
            switch request {
            case .bind: [.bytes(BER.bound(number))]
            case .search:
                [
                    .bytes(
                        BER.entry(number, Self.alice, []) + BER.entry(number, "uid=alice,ou=old,dc=example", []) + BER.searchDone(number))
                ]
            default: []
            }
        }
        #expect(await Bench([two.server]).check() == .refused(.directoryEntryUnfit))
        #expect(two.binds.count == 1, "nobody is bound as one of two")
        let none = try ScriptedLDAP { number, request in
            if case .bind = request { [.bytes(BER.bound(number))] } else { [.bytes(BER.searchDone(number))] }
        }
        #expect(await Bench([none.server]).check() == .refused(.notInDirectory))
    }

    @Test func referralsAreNotFollowed() async throws {
        let elsewhere = try Self.directory()
        let server = try ScriptedLDAP { number, request in
            switch request {
            case .bind: [.bytes(BER.bound(number))]
            case .search: [.bytes(BER.reference(number, "ldap://127.0.0.1:\(elsewhere.port)/dc=example") + BER.searchDone(number))]
            default: []
            }
        }
        #expect(await Bench([server.server]).check() == .refused(.notInDirectory))
        #expect(elsewhere.connections == 0)
    }

    @Test func valuesThatAreNoTextAreLeftOut() async throws {
        let server = try Self.directory(entry: [
            ("uid", [[0xFF, 0xFE]]), ("entryUUID", [[0x00, 0xFF, 0x10]]), ("mail", [[0xC3], Array("a@b.example".utf8)]),
            ("mobile", [Array("0171 1234567".utf8)]), ("memberOf", [Array("cn=staff,dc=example".utf8), [0xFF], Array("no name".utf8)]),
        ])
        guard case .rightOf(let person) = await Bench([server.server]).check() else {
            Issue.record("not let in")
            return
        }
        #expect(person.key == "00ff10" && person.name == nil && person.email == "a@b.example" && person.phone == nil)
        #expect(person.groups.contains("staff"))
    }
}
