// SPDX-License-Identifier: Apache-2.0
// Clients, groups and their refusals.

import Administration
import LoginEngine
import Store
import Testing

@Suite struct ClientOperationTests {
    @Test func clientIsAddedShownAndTakenUp() async throws {
        let office = try Office()
        let answer = try await office.perform(
            office.client {
                $0.asking = "append+challenge"
                $0.separator = ":"
                $0.retryTimeout = 10
            })
        #expect(answer.message == "Added client office for 192.0.2.7.")
        #expect(answer.warnings == ["`sallyport client show office --howto` prints what to enter at the gateway."])
        #expect(answer.generatedSecret == nil)
        #expect(office.changes.current == [.clients])
        let view = try await office.perform(ShowClient(name: "office", withHowto: true))
        #expect(view.asking == "append+challenge")
        #expect(view.separator == ":")
        #expect(view.howto?.contains("Timeout                   10 seconds") == true)
        #expect(view.howto?.contains("secret:123456") == true)
        #expect(view.warnings.isEmpty)
        #expect(try office.newest().kind == .clientAdded)
    }

    @Test func generatedSecretIsStrongAndNamedOnce() async throws {
        let office = try Office()
        var choices = ClientChoices()
        choices.addresses = ["2001:db8::/48"]
        let answer = try await office.perform(AddClient(name: "aws", choices: choices, generateSecret: true))
        let secret = try #require(answer.generatedSecret)
        #expect(secret.text.count == 32)
        #expect("\(answer)".contains(secret.text) == false)
        #expect(try office.records.client(name: "aws")?.settings.secret == secret.secret)
        for record in try office.records.events(EventFilter(limit: 10)) { #expect(!"\(record.event)".contains(secret.text)) }
    }

    @Test func aGeneratedPreSharedKeyIsAllThatAClientNeeds() async throws {
        let office = try Office()
        let answer = try await office.perform(AddClient(name: "kiosk", choices: ClientChoices(), generatePSK: true))
        let text = try #require(answer.generatedPSK?.text)
        #expect(text.hasPrefix("hex:") && text.utf8.count == 4 + 64 && answer.message.contains("pre-shared key kiosk"))
        let kept = try #require(try office.records.client(name: "kiosk")?.settings.preSharedKey)
        #expect(kept.identity == "kiosk" && kept.key.count == 32)
        #expect(!"\(answer)".contains(text.dropFirst(4)))
        for record in try office.records.events(EventFilter(limit: 10)) { #expect(!"\(record.event)".contains(text.dropFirst(4))) }
        let view = try await office.perform(ShowClient(name: "kiosk", withHowto: true))
        #expect(view.pskIdentity == "kiosk" && view.howto?.contains("PSK identity              kiosk") == true)
        #expect(!view.warnings.contains { $0.contains("secret") || $0.contains("key") })

        var choices = ClientChoices()
        choices.pskIdentity = "kiosk at the door"
        _ = try await office.perform(SetClient(client: "kiosk", choices: choices))
        let renamed = try office.records.client(name: "kiosk")?.settings.preSharedKey
        #expect(renamed == PreSharedKey(identity: "kiosk at the door", key: kept.key))
        let event = try office.newest()
        #expect(event.details.contains { $0.value.contains("psk-identity: kiosk → kiosk at the door") })
        choices = ClientChoices()
        choices.hasNoPSK = true
        #expect(await office.refusal(of: SetClient(client: "kiosk", choices: choices)).contains("A client needs an address"))
        choices.certificates = ["name:kiosk.example.org"]
        _ = try await office.perform(SetClient(client: "kiosk", choices: choices))
        #expect(try office.records.client(name: "kiosk")?.settings.preSharedKey == nil)
    }

    @Test(arguments: [
        ("hex:" + String(repeating: "0f", count: 15), "The pre-shared key has 15 octets"), ("fifteen octets!", "The pre-shared key has 15"),
        ("hex:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0", "no pairs of hexadecimal digits"),
        ("hex:+f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "no pairs of hexadecimal digits"),
        (String(repeating: "k", count: 257), "The pre-shared key has 257"), ("0mEq7-long-and-odd-office", "must not protect both"),
        ("0mEq7-long-and-odd-other", "Client `other` has the same key or secret"),
    ])
    func whatCannotBeAPreSharedKeyIsRefused(_ text: String, _ words: String) async throws {
        let office = try Office()
        try await office.perform(office.client())
        try await office.perform(office.client("other", address: "192.0.2.8"))
        var choices = ClientChoices()
        choices.psk = SecretText(text)
        let refusal = await office.refusal(of: SetClient(client: "office", choices: choices))
        #expect(refusal.contains(words) && !refusal.contains("k" + "kkkkkkkkkkkk"), "\(refusal)")
    }

    @Test func anIdentityIsOneClients() async throws {
        let office = try Office()
        let key = String(repeating: "0123456789abcdef", count: 2)
        try await office.perform(office.client { $0.psk = SecretText("hex:" + key) })
        #expect(try office.records.client(name: "office")?.settings.preSharedKey?.key.count == 16)
        let same = office.client("b", address: "10.0.0.1") {
            $0.psk = SecretText(String(repeating: "other", count: 5))
            $0.pskIdentity = "office"
        }
        #expect(await office.refusal(of: same).hasPrefix("psk-identity: Client `office` has the identity `office` already."))
        let twice = office.client("b", address: "10.0.0.1") { $0.psk = SecretText("hex:" + key.uppercased()) }
        #expect(await office.refusal(of: twice).hasPrefix("psk: Client `office` has the same key"))
        let without = office.client("b", address: "10.0.0.1") { $0.pskIdentity = "b" }
        #expect(await office.refusal(of: without).hasPrefix("psk: There is an identity, and no pre-shared key"))
        let view = try await office.perform(ShowClient(name: "office"))
        #expect(view.warnings.contains { $0.contains("The pre-shared key is short") })
    }

    @Test func refusalsNameFieldAndRemedy() async throws {
        let office = try Office()
        try await office.perform(office.client())
        let expected: [(AddClient, String)] = [
            (
                office.client(),
                "name: There is a client `office` already. Change it with `sallyport client set office`, or choose another name."
            ),
            (
                office.client("Büro"),
                "name: `Büro` cannot be a client's name. Use 1 to 64 lower case letters, digits, `-`, `_` and `.`, such as office-vpn."
            ),
            (
                office.client("b"),
                "address: 192.0.2.7 belongs to client `office` already. A request could not tell the two apart. Give a longer prefix, or change `office` first."
            ),
            (
                office.client("b", address: "10.1.2.3/8"),
                "address: `10.1.2.3/8` has bits set beyond its prefix. Did you mean `10.0.0.0/8`, or the one address `10.1.2.3`?"
            ),
            (
                office.client("b", address: "vpn.example.org"),
                "address: `vpn.example.org` is not an address or a range. Write it as 192.0.2.7, 10.20.0.0/16 or 2001:db8::/48."
            ),
            (
                office.client("b", address: "10.0.0.1") { $0.secret = SecretText("seven77") },
                "secret: The shared secret has only 7 bytes. Use at least 8, better 16 or more; --generate-secret makes a strong one."
            ),
            (
                office.client("b", address: "10.0.0.1") { $0.secret = nil },
                "secret: A client needs a shared secret. Give it with --secret-stdin, or let --generate-secret make one."
            ),
            (
                office.client("b", address: "10.0.0.1") { $0.requirement = "pasword" },
                "require: `pasword` is none of password, factor, password+factor, certificate, certificate+factor and deny. Did you mean `password`?"
            ),
            (
                office.client("b", address: "10.0.0.1") { $0.separator = "x" },
                "separator: `x` cannot separate password and code. Use one mark such as `,` or `:`, or `none`; a letter or digit would cut passwords and codes."
            ),
            (
                office.client("b", address: "10.0.0.1") {
                    $0.asking = "append"
                    $0.separator = "none"
                },
                "separator: With `append`, no separator and no fixed-length tail, no code could ever be found in the field. Give --separator ',' or --fixed-length-tail, or use --ask challenge."
            ),
            (office.client("b", address: "10.0.0.1") { $0.retryTries = 11 }, "retry-tries: 11 is out of range. It must be 1 to 10."),
            (
                office.client("b", address: "10.0.0.1") { $0.profile = "fortgate" },
                "profile: No profile `fortgate`. Did you mean `fortigate`?"
            ),
        ]
        for (request, text) in expected { #expect(await office.refusal(of: request) == text) }
        #expect(try office.records.clients().count == 1)
        #expect(await office.refusal(of: ShowClient(name: "ofice")) == "No client `ofice`. Did you mean `office`?")
    }

    @Test func weakAndSharedSecretsAreWarnedOf() async throws {
        let office = try Office()
        try await office.perform(office.client())
        let weak = try await office.perform(office.client("lab", address: "10.0.0.1") { $0.secret = SecretText("testing123") })
        #expect(
            weak.warnings.first
                == "The shared secret is one that everybody tries first. Use `--generate-secret`, and enter it at the gateway.")
        let short = try await office.perform(office.client("lab2", address: "10.0.0.2") { $0.secret = SecretText("Yq8-rrW2x") })
        #expect(
            short.warnings.first?.hasPrefix("The shared secret has only 9 bytes; whoever records one packet can guess it offline.") == true)
        let shared = try await office.perform(
            office.client("lab3", address: "10.0.0.3") { $0.secret = SecretText("0mEq7-long-and-odd-office") })
        #expect(shared.warnings.first?.hasPrefix("The same secret is used by client `office`:") == true)
    }

    @Test func changesAreNamedButNotTheSecret() async throws {
        let office = try Office()
        try await office.perform(office.client())
        var choices = ClientChoices()
        choices.asking = "append"
        choices.secret = SecretText("another-long-and-odd-one")
        choices.helpfulMessages = true
        let answer = try await office.perform(SetClient(client: "office", choices: choices))
        #expect(answer.message == "Changed client office: secret changed; ask: challenge → append; helpful-messages: off → on.")
        #expect(try office.newest()["change"] == "secret changed; ask: challenge → append; helpful-messages: off → on")
        #expect(
            try await office.perform(SetClient(client: "office", choices: choices)).message
                == "Nothing to change: client office is like that already.")
    }

    @Test func unpinTakesTheSourceBack() async throws {
        let office = try Office()
        try await office.perform(office.client())
        let id = try #require(try office.records.client(name: "office")).id
        let address = try #require(NetworkAddress("192.0.2.7"))
        try await office.records.addPin(
            client: id, address: address, at: Office.start, event: Event(.clientPinned, at: Office.start, client: id))
        #expect(try await office.perform(ShowClient(name: "office")).pins.map(\.address) == ["192.0.2.7"])
        #expect(
            try await office.perform(UnpinClient(name: "office", address: "192.0.2.7")).message
                == "Unpinned 192.0.2.7 at client office: requests without Message-Authenticator are taken again.")
        #expect(try await office.perform(UnpinClient(name: "office")).message == "Client office has no pinned source.")
        #expect(
            await office.refusal(of: UnpinClient(name: "office", address: "x")) == "address: `x` is not an address. Write it as 192.0.2.7.")
    }

    @Test func circleOfGroupsIsRefusedByName() async throws {
        let office = try Office()
        try await office.perform(AddGroup(name: "c"))
        try await office.perform(AddGroup(name: "b", groups: ["c"]))
        try await office.perform(AddGroup(name: "a", groups: ["b"]))
        var change = SetGroup(group: "c")
        change.addGroups = ["a"]
        #expect(
            await office.refusal(of: change)
                == "add-group: Group `a` already holds `c`: `c` → `a` → `b` → `c` would be a circle. Take one of the links out first.")
        change = SetGroup(group: "c")
        change.addGroups = ["c"]
        #expect(await office.refusal(of: change) == "add-group: A group cannot hold itself. Take one of the links out first.")
    }

    @Test func membersComeAndGo() async throws {
        let office = try Office()
        for name in ["alice", "bob"] { try await office.perform(AddUser(name: name)) }
        #expect(try await office.perform(AddGroup(name: "Staff", users: ["alice"])).message == "Added group Staff with alice.")
        #expect(await office.refusal(of: AddGroup(name: "staff")) == "name: There is a group `Staff` already. Choose another name.")
        var change = SetGroup(group: "staff")
        change.name = "Crew"
        change.addUsers = ["bob"]
        change.removeUsers = ["alice"]
        #expect(try await office.perform(change).message == "Changed group Crew: renamed from Staff, bob joined, alice left.")
        let crew = try await office.perform(ShowGroup(name: "Crew"))
        #expect(crew.users == ["bob"])
        #expect(crew.groups.isEmpty)
        #expect(try await office.perform(ListGroups()).groups.map(\.users) == [1])
        #expect(try await office.perform(RemoveGroup(name: "Crew")).message == "Removed group Crew. Its 1 user and 0 groups are kept.")
    }

    @Test func theSecretIsHandedOutAndTheTrailKnows() async throws {
        let office = try Office()
        try await office.perform(office.client())
        let answer = try await office.perform(RevealClientSecret(name: "office"))
        #expect(answer.secret == SecretText("0mEq7-long-and-odd-office"))
        #expect(answer.addresses == ["192.0.2.7"])
        let event = try office.newest()
        #expect(event.kind == .clientSecretViewed)
        #expect(event["client"] == "office")
        #expect(event.actor["actor"] == "cli:anna@vpn1")
        #expect(!"\(event)\(answer)".contains("0mEq7"))
        #expect(await office.kind(of: RevealClientSecret(name: "offcie")) == .missing)
    }

    @Test func howtoSaysHowToTestFromHere() {
        var settings = ClientSettings(name: "office", addresses: [AddressRange("192.0.2.7")!], secret: Secret(utf8: "x"))
        let far = HowTo.lines(for: settings, listening: ["0.0.0.0:11812", "[::]:11812"])
        #expect(far.contains("Authentication port       11812 (UDP)"))
        #expect(
            far.hasSuffix(
                "But first add 127.0.0.1 to the client to test from here: sallyport client set office --address 192.0.2.7 --address 127.0.0.1"
            ))
        settings.addresses.append(AddressRange("127.0.0.0/8")!)
        #expect(HowTo.lines(for: settings).hasSuffix("Test from here:  sallyport login USER --client office"))
        #expect(TestLogin.remedy(client: "a", addresses: ["2001:db8::/32"], destination: NetworkAddress("2001:db8::1")!) == nil)
    }

    /// A test from here would be a login of another client.
    @Test func howtoSaysWhoseLoopbackIs() {
        let settings = ClientSettings(name: "office", addresses: [AddressRange("192.0.2.7")!], secret: Secret(utf8: "x"))
        let loopback = NetworkAddress(v4: 0x7F00_0001)
        func owner(_ all: (String, [String])...) -> String? {
            TestLogin.owner(of: loopback, instead: "office", among: [("office", ["192.0.2.7"])] + all.map { (name: $0.0, addresses: $0.1) })
        }
        #expect(owner(("demo", ["127.0.0.1"])) == "demo")
        #expect(owner(("demo", ["127.0.0.0/8"])) == nil, "the address alone is closer, and can be added")
        #expect(TestLogin.owner(of: loopback, instead: "demo", among: [("demo", ["127.0.0.1"])]) == nil)
        let lines = HowTo.lines(for: settings, among: [("office", ["192.0.2.7"]), ("demo", ["127.0.0.1"])])
        #expect(lines.contains("But not from 127.0.0.1, which is client demo's") && !lines.contains("But first"))
    }

    @Test func howtoSaysWhichMethodsOfEAPAreOffered() {
        var settings = ClientSettings(name: "office", addresses: [AddressRange("192.0.2.7")!], secret: Secret(utf8: "x"))
        #expect(!HowTo.lines(for: settings).contains("EAP"))
        settings.profile = "windows-rras"
        #expect(HowTo.lines(for: settings).contains("refused until a method is offered: `sallyport client set office --eap mschapv2,gtc`"))
        settings.eap = [.peap, .msCHAPv2]
        let lines = HowTo.lines(for: settings)
        #expect(lines.contains("EAP: PEAP and EAP-MSCHAPv2 are offered, in this order. Devices have to trust"))
    }

    @Test func concealAndHelpfulMessagesExcludeEachOther() async throws {
        let office = try Office()
        let both = office.client {
            $0.concealFactor = true
            $0.helpfulMessages = true
        }
        #expect(await office.kind(of: both) == .invalid)
    }

    /// `--require` may change later; the password would then be cut.
    @Test func aPasswordIsCheckedAgainstEveryClientThatReadsTails() async throws {
        let office = try Office()
        try await office.perform(
            office.client {
                $0.asking = "append"
                $0.requirement = "factor"
                $0.separator = ","
            })
        #expect(await office.kind(of: AddUser(name: "alice", password: SecretText("correct horse,123456"))) == .conflict)
        var choices = ClientChoices()
        choices.asking = "challenge"
        #expect(try await office.perform(SetClient(client: "office", choices: choices)).warnings.contains { $0.contains("cut") } == false)
        try await office.perform(AddUser(name: "alice", password: SecretText("correct horse,123456")))
        choices.asking = "append"
        let answer = try await office.perform(SetClient(client: "office", choices: choices))
        #expect(answer.warnings.contains { $0.contains("set before have not been checked") })
    }
}
