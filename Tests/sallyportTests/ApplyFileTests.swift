// SPDX-License-Identifier: Apache-2.0
// Apply files: what is read of them, what is refused with its place, and what an export writes.

import Administration
import Foundation
import LoginEngine
import Testing

@testable import sallyport

@Suite struct ApplyFileTests {
    private func read(_ text: String) throws -> Blueprint {
        try ApplyFile(
            fileName: "a.yaml",
            secret: { source in
                switch source {
                case .file(let path): SecretText("from file \(path)")
                case .variable(let name): SecretText("from variable \(name)")
                case .document(let path): SecretText("document \(path)")
                }
            }
        ).read(Array(text.utf8))
    }

    private func refusal(_ text: String) -> String {
        do {
            _ = try read(text)
            return "not refused"
        } catch {
            return "\(error)"
        }
    }

    @Test func conditionsOfOneLoginAreReadAndWrittenAlike() throws {
        let text = """
            version: 1
            policies:
              - name: day
                when:
                  user: alice
                  network: [203.0.113.0/24, "2001:db8::/32"]
                  not-network: 203.0.113.9
                  country: [DE, "NO"]
                  not-country: CH
                  hours:
                    - { days: mon-fri, from: "07:00", to: "20:00", zone: Europe/Berlin, holidays: [2026-12-25, 2026-12-26] }
                    - { days: [sat, holiday] }
                    - sat 09:00-12:00 user
                require: password

            """
        let choices = try #require(try read(text).policies?.first?.choices)
        #expect(choices.users == ["alice"] && choices.networks == ["203.0.113.0/24", "2001:db8::/32"])
        #expect(choices.otherNetworks == ["203.0.113.9"] && choices.countries == ["DE", "NO"] && choices.otherCountries == ["CH"])
        #expect(
            choices.hours == [
                "mon-fri 07:00-20:00 Europe/Berlin holidays=2026-12-25,2026-12-26", "sat,holiday", "sat 09:00-12:00 user",
            ])
        let blueprint = try read(text)
        #expect(try read(blueprint.yaml).policies?.first?.choices == choices)
    }

    @Test func replyAttributesAndSessionsAreReadAndWrittenAlike() throws {
        let text = """
            version: 1
            clients:
              hq:
                address: [10.0.0.5]
                secret: { keep: true }
                profile: fortigate
                require: deny
                reply:
                  Session-Timeout: 28800
                  Framed-Route: ["10.0.0.0/8 0.0.0.0 1", "off"]
                  "Tunnel-Type:1": VLAN
            groups:
              staff:
                sessions: 2
                reply:
                  group: staff
            policies:
              - name: rest
                require: deny
                sessions: 5
                reply:
                  Class: "{user.name}"

            """
        let blueprint = try read(text)
        let names = blueprint.clients?.first?.choices.reply?.map(\.name)
        #expect(names == ["Session-Timeout", "Framed-Route", "Framed-Route", "Tunnel-Type:1"])
        #expect(blueprint.clients?.first?.choices.reply?[2].value == "off")
        #expect(blueprint.yaml == text)
        #expect(blueprint.groups?.first?.sessions == 2 && blueprint.policies?.first?.choices.sessions == 5)
        #expect(try read("version: 1\ngroups: { staff: { sessions: any } }").groups?.first?.sessions == 0)
        #expect(refusal("version: 1\ngroups: { staff: { sessions: few } }").contains("whole number"))
        #expect(refusal("version: 1\ngroups: { staff: { reply: [a] } }").contains("reply must hold keys"))
    }

    @Test func channelsAreReadAndWrittenAlike() throws {
        let text = """
            version: 1
            channels:
              mail:
                type: smtp
                server: "smtp.corp.example:587"
                from: vpn@corp.example
                from-name: "VPN of Corp"
                tls: tls
                ca: { keep: true }
                user: vpn
                password: { keep: true }
                per-minute: 5
                enabled: off

            """
        let blueprint = try read(text)
        #expect(blueprint.yaml == text)
        let choices = try #require(blueprint.channels?.first?.choices)
        #expect(choices.password == nil && choices.authorities == nil && choices.isEnabled == false)
        let bare = try read("version: 1\nchannels: { a: { type: smtp, server: b.example, from: a@b.example, ca: { file: /ca.pem } } }")
        #expect(bare.channels?.first?.choices.authorities == "document /ca.pem" && bare.channels?.first?.choices.user == "")
    }

    @Test func aServerOfADirectoryMayHaveASecretOfItsOwn() throws {
        let text = """
            version: 1
            directories:
              nps:
                type: radius
                servers:
                  - 192.0.2.10
                  - { address: 192.0.2.11, secret: { keep: true } }
                secret: { keep: true }
            """
        let blueprint = try read(text)
        let choices = try #require(blueprint.directories?.first?.choices)
        #expect(choices.servers == ["192.0.2.10", "192.0.2.11"] && choices.ownSecrets == [.init(server: "192.0.2.11", secret: nil)])
        #expect(try read(blueprint.yaml).directories?.first?.choices == choices, "and is written as it is read")
        #expect(refusal(text.replacing("address: 192.0.2.11, ", with: "")).contains("A server needs an address"))
        #expect(refusal(text.replacing("{ keep: true } }", with: "open }")).contains("never stands in the file"))
    }

    @Test func aDirectoryByLDAPIsReadAndWrittenAlike() throws {
        let text = """
            version: 1
            directories:
              corp:
                type: active-directory
                servers: [ldaps://dc1.corp.example, "ldaps://dc2.corp.example:3269"]
                ca: /etc/ca.pem
                base: "dc=corp,dc=example"
                bind: service
                account: { name: svc@corp.example, password: { keep: true } }
                filter: "(mail={name})"
                users: "(memberOf=cn=VPN Users,dc=corp,dc=example)"
                domains: [corp.example, CORP]
                map: { id: objectSid, aliases: [mail, cn] }
                groups: { base: "ou=g,dc=corp,dc=example", nested: off }
                create-users: off
                timeout: 2s
            groups:
              corp/VPN Users: {}
            """
        let blueprint = try read(text)
        let choices = try #require(blueprint.directories?.first?.choices)
        let ldap = try #require(choices.ldap)
        #expect(ldap.account == "svc@corp.example" && choices.secret == nil && ldap.nested == false && ldap.creates == false)
        #expect(ldap.map == [.init("id", ["objectSid"]), .init("aliases", ["mail", "cn"])])
        #expect(try read(blueprint.yaml).directories?.first?.choices == choices, "and is written as it is read")
        let fresh = try read(text.replacing("{ keep: true }", with: "{ file: /x }")).directories?.first?.choices.secret
        #expect(fresh == SecretText("from file /x"))
        #expect(refusal(text.replacing("{ keep: true }", with: "open")).contains("never stands in the file"))
        #expect(refusal(text.replacing("type: active-directory", with: "type: radius")).contains("has no `ca`"))
        #expect(refusal(text.replacing("id: objectSid", with: "idd: objectSid")).contains("idd"))
        #expect(refusal(text.replacing("name: svc@corp.example, ", with: "")).contains("has no name"))
    }

    @Test func preSharedKeysNeverStandInTheFile() throws {
        let text = """
            version: 1
            clients:
              hq:
                address: []
                secret: { keep: true }
                psk-identity: "gateway of the office"
                psk: { keep: true }
                require: deny

            """
        let blueprint = try read(text)
        let choices = try #require(blueprint.clients?.first?.choices)
        #expect(choices.pskIdentity == "gateway of the office" && choices.psk == nil && choices.hasNoPSK == nil)
        #expect(blueprint.yaml == text)
        func choice(_ keys: String) throws -> ClientChoices? { try read("version: 1\nclients:\n  a: { \(keys) }").clients?.first?.choices }
        #expect(try choice("psk: { env: KEY }")?.psk?.text == "from variable KEY")
        // Kept under the client's name, and refused later if there is none.
        #expect(try choice("psk: { keep: true }")?.pskIdentity == "a")
        #expect(try choice("address: 10.0.0.1")?.hasNoPSK == true)
        #expect(refusal("version: 1\nclients:\n  a: { psk: 0123456789abcdef }").contains("Write `psk: { file: PATH }`"))
    }

    @Test func everyKeyIsReadByItsOwnType() throws {
        let blueprint = try read(
            """
            version: 1
            clients:
              on:
                address: [10.0.0.5, 10.0.1.0/24]
                secret: { file: /etc/s }
                tags: [vpn, off]
                message-authenticator: require
                require: deny
                ask: append
                separator: ":"
                fixed-length-tail: on
                helpful-messages: off
                strip: realm
                retry-timeout: 7
                retry-tries: 2
                rejoin: on
                automatic-push: off
                enabled: off
              two:
                address: 192.0.2.10/32
                secret: { env: TWO }
              three: { address: 192.0.2.11, secret: { keep: true } }
            groups:
              pilot: { members: [alice, 007], groups: [no] }
              untouched:
            policies:
              - name: admins
                when: { group: VPN Admins, client-tag: [vpn, wifi], client: on }
                require: password+factor
                factors: [totp, recovery]
                unenrolled: { do: grace, until: 2027-02-01 }
                remember: never
                report-only: on
              - { name: rest, require: deny, unenrolled: deny }
            """)
        let clients = try #require(blueprint.clients)
        #expect(clients.map(\.name) == ["on", "two", "three"] && clients[0].place == "a.yaml:3:3")
        #expect(clients[0].places["address"] == "a.yaml:4:5" && clients[0].places["strip"] == "a.yaml:13:5")
        let choices = clients[0].choices
        #expect(choices.addresses == ["10.0.0.5", "10.0.1.0/24"] && choices.tags == ["vpn", "off"] && choices.separator == ":")
        #expect(choices.secret?.text == "from file /etc/s" && clients[1].choices.secret?.text == "from variable TWO")
        #expect(clients[2].choices.secret == nil)
        #expect(choices.fixedLengthTail == true && choices.helpfulMessages == false && choices.isEnabled == false)
        #expect(choices.retryTimeout == 7 && choices.retryTries == 2 && choices.nameStripping == "realm" && choices.requirement == "deny")
        #expect(blueprint.groups?[0].users?.map(\.name) == ["alice", "007"] && blueprint.groups?[0].groups?.map(\.name) == ["no"])
        #expect(blueprint.groups?[1].users == nil && blueprint.groups?[1].name == "untouched")
        let policy = try #require(blueprint.policies?.first)
        #expect(
            policy.choices.groups == ["VPN Admins"] && policy.choices.clientTags == ["vpn", "wifi"] && policy.choices.clients == ["on"])
        #expect(policy.choices.graceUntil == "2027-02-01" && policy.choices.unenrolled == "grace" && policy.choices.isReportOnly == true)
        #expect(blueprint.policies?[1].choices.unenrolled == "deny" && blueprint.policies?[1].place == "a.yaml:34:13")
        #expect(try read("version: 1\n").clients == nil)
    }

    @Test(arguments: [
        ("", "a.yaml: The file is empty."),
        ("version: 2", "a.yaml:1:10: This program reads `version: 1` alone."),
        ("clients: {}", "The file does not say which format it is."),
        ("version: 1\nclient: {}", "a.yaml:2:1: The file has no key `client`. Did you mean `clients`?"),
        ("version: 1\nalerts: {}", "a.yaml:2:1: The file: `alerts` is not in this version yet."),
        ("version: 1\nchannels: { a: { type: smtp } }", "needs a server and the address that it sends from"),
        ("version: 1\nchannels: { a: { server: b.example, from: a@b.example } }", "does not say what it is"),
        ("version: 1\nchannels: { a: { type: smtp, server: b, from: c, password: word } }", "A secret never stands in the file."),
        ("version: 1\nchannels: { a: { type: smtp, server: b, from: c, ca: /a/file } }", "ca is read from a file."),
        ("version: 1\nclients: [a]", "a.yaml:2:10: clients must hold keys, not a list."),
        ("version: 1\nclients:\n  a: { adress: 1.2.3.4 }", "a.yaml:3:8: Client a has no key `adress`. Did you mean `address`?"),
        ("version: 1\nclients:\n  a: { rejoin: yes }", "a.yaml:3:16: rejoin must be on or off, not `yes`."),
        ("version: 1\nclients:\n  a: { retry-tries: many }", "a.yaml:3:21: retry-tries must be a whole number, not `many`."),
        ("version: 1\nclients:\n  a: { secret: hunter2hunter2 }", "a.yaml:3:16: A secret never stands in the file."),
        ("version: 1\nclients:\n  a: { secret: { file: x, env: y } }", "A secret has one of file, env and keep."),
        ("version: 1\nclients:\n  a: { address: }", "address has no value."),
        ("version: 1\nclients:\n  a: {}\n  a: {}", "the key \"a\" is there twice"),
        ("version: 1\ngroups:\n  g: { members: alice }", "a.yaml:3:17: members must be a list."),
        ("version: 1\npolicies:\n  p: {}", "policies must be a list"),
        ("version: 1\npolicies:\n  - require: deny", "A policy needs a name."),
        ("version: 1\npolicies:\n  - { name: p }", "A policy has to say what it requires."),
        (
            "version: 1\npolicies:\n  - { name: p, require: deny, when: { grup: x } }",
            "a.yaml:3:39: when has no key `grup`. Did you mean `group`?"
        ),
        ("version: 1\npolicies:\n  - { name: p, require: deny, when: { station: x } }", "when: `station` is not in this version yet."),
        (
            "version: 1\npolicies:\n  - { name: p, require: deny, when: { hours: { days: mon, from: \"07:00\" } } }",
            "Hours have `from` and `to`"
        ),
        (
            "version: 1\npolicies:\n  - { name: p, require: deny, unenrolled: { do: grace, for: 14 } }",
            "for must be a whole number and `d`, such as 14d"
        ),
        ("version: 1\npolicies:\n  - { name: p, require: deny, remember: { for: 12h } }", "This version remembers no device."),
        ("version: [", "not YAML"),
    ])
    func whatIsWrongIsNamedWithItsPlace(text: String, words: String) {
        let refusal = refusal(text)
        #expect(refusal.contains(words), "\(refusal)")
        #expect(!refusal.contains("hunter2"))
    }

    /// Small files that cost a parser much, or that mean something else than they look like.
    @Test(arguments: [
        ("a: &a [x]\nb: [*a, *a]", "Anchors and aliases"), ("? [a]\n: b", "begins with `?`"), ("a: !!binary aGk=", "Type marks"),
        (String(repeating: "[", count: 100_000), "nested too deeply"), (String(repeating: "- ", count: 100_000), "nested too deeply"),
        (String(repeating: "{a: ", count: 100_000), "nested too deeply"),
        ((0..<200).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n"), "nested too deeply"),
        (String(repeating: "a", count: 5 << 20), "larger than 4 MiB"), ("version: 1\n\u{0}", "not YAML"),
        ("a: 1\n--- \nb: 2", "not YAML"), ("<<: {version: 1}", "The file has no key `<<`"),
    ])
    func whatCostsAParserMuchIsRefusedFirst(text: String, words: String) {
        let began = ContinuousClock.now
        let refusal = refusal(text)
        #expect(refusal.contains(words), "\(refusal.prefix(300))")
        #expect(ContinuousClock.now - began < .seconds(5))
    }

    @Test func textInQuotesAndCommentsIsNoAnchor() throws {
        let blueprint = try read(
            """
            version: 1 # &not *one [[[
            groups:
              "&a *b": { members: ['*c', "\\"&d", a&b, it's] }
            """)
        #expect(blueprint.groups?[0].name == "&a *b")
        #expect(blueprint.groups?[0].users?.map(\.name) == ["*c", "\"&d", "a&b", "it's"])
    }

    @Test func bytesThatAreNoTextAreRefused() {
        #expect(throws: Refusal.self) { try ApplyFile(fileName: "a", secret: { _ in SecretText("") }).read([0x76, 0xFF, 0xFE]) }
    }

    /// Whatever names there are, an export is read as what it was made of.
    @Test(arguments: [
        "plain", "with blank", "off", "null", "1.5", "", "-", "- x", "a: b", "#c", "&a", "*b", "!c", "\"q\"", "it's", "a\\b", "ä ö",
        "tab\there",
        "@x", "[x]", "{x}", "a,b", "名前", "C:\\x", "?", "|", ">", "%", "2027-02-01", "e\u{301}",
    ])
    func anExportIsReadAsItself(name: String) throws {
        #expect(
            try read("version: 1\ngroups:\n  g:\n    members:\n      - \(Blueprint.scalar(name))\n").groups?[0].users?.map(\.name) == [name]
        )
        #expect(try read("version: 1\ngroups:\n  g: { members: [x, \(Blueprint.scalar(name))] }\n").groups?[0].users?.last?.name == name)
    }

    @Test func anExportHoldsWhatItWasMadeOf() throws {
        var blueprint = Blueprint()
        var choices = ClientChoices()
        choices.addresses = ["10.0.0.0/8", "2001:db8::/48"]
        choices.tags = ["a", "b"]
        choices.requirement = "deny"
        choices.separator = "none"
        choices.concealFactor = true
        choices.retryTries = 9
        choices.eap = ["mschapv2", "gtc"]
        choices.isEnabled = false
        var closed = ClientChoices()
        closed.profile = "strongswan"
        closed.eap = []
        blueprint.clients = [
            Blueprint.Client(name: "no", place: "", choices: choices), Blueprint.Client(name: "closed", place: "", choices: closed),
        ]
        blueprint.groups = [
            Blueprint.Group(name: "VPN Users", place: "", users: [Blueprint.Member("CORP\\bob", place: "")], groups: []),
            Blueprint.Group(name: "large", place: ""),
        ]
        var rule = PolicyChoices()
        rule.groups = ["VPN Users"]
        rule.clientTags = ["a", "b"]
        rule.methods = ["eap-gtc", "pap"]
        rule.realms = ["otp"]
        rule.require = "password+factor"
        rule.factors = ["totp"]
        rule.graceDays = 14
        rule.isReportOnly = true
        blueprint.policies = [Blueprint.Policy(name: "p", place: "", choices: rule)]
        let text = blueprint.yaml
        #expect(text.contains("secret: { keep: true }") && text.contains("large: {}"))
        let again = try read(text)
        #expect(again.yaml == text)
        #expect(again.clients?[0].choices.addresses == choices.addresses && again.clients?[0].choices.isEnabled == false)
        // In their order; and none is not what the profile sets.
        #expect(again.clients?[0].choices.eap == ["mschapv2", "gtc"] && again.clients?[1].choices.eap == [])
        #expect(again.groups?[0].users?[0].name == "CORP\\bob" && again.groups?[1].users == nil)
        #expect(again.policies?[0].choices.graceDays == 14 && again.policies?[0].choices.clientTags == ["a", "b"])
        #expect(again.policies?[0].choices.methods == ["eap-gtc", "pap"] && again.policies?[0].choices.realms == ["otp"])
    }
}
