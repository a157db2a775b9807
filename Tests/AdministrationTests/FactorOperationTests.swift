// SPDX-License-Identifier: Apache-2.0
// Factors, recovery codes, the trail, and users from a file.

import Administration
import LoginEngine
import OTP
import Store
import Testing

@Suite struct FactorOperationTests {
    private func office() async throws -> Office {
        let office = try Office()
        try await office.perform(AddUser(name: "alice"))
        return office
    }

    @Test func madeKeyIsInTheURIAndNowhereElse() async throws {
        let office = try await office()
        let answer = try await office.perform(AddFactor(user: "alice", kind: "totp"))
        let uri = try OTPAuthURI(parsing: answer.uri.text)
        #expect(uri.issuer == "Sallyport")
        #expect(uri.account == "alice")
        #expect(uri.key.bytes.count == 20)
        #expect(answer.key.text == Base32.encode(uri.key.bytes))
        #expect(answer.factor.label == "totp")
        #expect(!"\(answer)".contains(answer.key.text))
        let second = try await office.perform(AddFactor(user: "alice", kind: "totp", algorithm: "SHA-256", digits: 8, period: 60))
        #expect(second.factor.label == "totp 2")
        #expect(second.factor.algorithm == "sha256")
        #expect(second.warnings.count == 1)
        #expect(try OTPAuthURI(parsing: second.uri.text).kind == .totp(period: 60))
        #expect(await office.refusal(of: RemoveFactor(user: "alice", factor: "TOTP")) == "not refused")
        #expect(try await office.perform(ListFactors(user: "alice")).factors.map(\.label) == ["totp 2"])
    }

    @Test(arguments: [
        ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 20), ("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", 20),
        ("3132333435363738393031323334353637383930", 20), ("31:32:33:34:35:36:37:38:39:30", 10),
    ]) func keysAreReadAsBase32AndHexadecimal(text: String, count: Int) async throws {
        let office = try await office()
        let answer = try await office.perform(AddFactor(user: "alice", kind: "hotp", secret: SecretText(text), counter: 7))
        let uri = try OTPAuthURI(parsing: answer.uri.text)
        #expect(uri.key.bytes.count == count)
        #expect(uri.key.bytes.prefix(3) == [0x31, 0x32, 0x33])
        #expect(uri.kind == .hotp(counter: 7))
        #expect(answer.warnings.isEmpty == (count >= 16))
    }

    @Test func refusalsNameFieldAndRemedy() async throws {
        let office = try await office()
        try await office.perform(AddFactor(user: "alice", kind: "totp", label: "phone"))
        let expected: [(AddFactor, String)] = [
            (AddFactor(user: "alice", kind: "sms"), "kind: No factor kind `sms`. Use totp, hotp or recovery."),
            (AddFactor(user: "alice", kind: "totp", label: "Phone"), "label: There is a factor \"Phone\" already. Choose another label."),
            (AddFactor(user: "alice", kind: "totp", digits: 9), "digits: 9 is out of range. It must be 6 to 8."),
            (AddFactor(user: "alice", kind: "totp", algorithm: "md5"), "algorithm: No algorithm `md5`. Use sha1, sha256 or sha512."),
            (
                AddFactor(user: "alice", kind: "totp", counter: 1),
                "counter: A totp factor has no counter. Leave --counter out, or enrol hotp."
            ),
            (AddFactor(user: "alice", kind: "hotp", period: 30), "period: A hotp factor has no period. Leave --period out, or enrol totp."),
            (
                AddFactor(user: "alice", kind: "hotp", secret: SecretText("JBSWY3DPEHPK3PX0")),
                "secret: Character 16 of the secret is not Base32. Give the key as Base32 (A–Z, 2–7) or hexadecimal, 10 to 128 bytes."
            ),
        ]
        for (request, text) in expected { #expect(await office.refusal(of: request) == text) }
        #expect(
            await office.refusal(of: ShowFactor(user: "alice", factor: "phon"))
                == "factor: alice has no factor `phon`. Did you mean `phone`?")
        #expect(
            await office.refusal(of: SetFactor(user: "alice", factor: "phone"))
                == "Nothing to change was given. Give --label, --disable or --enable.")
    }

    @Test func disablingTheLastFactorIsSaid() async throws {
        let office = try await office()
        try await office.perform(AddFactor(user: "alice", kind: "totp"))
        let done = try await office.perform(SetFactor(user: "alice", factor: "totp", label: "phone", state: "disabled"))
        #expect(done.message == "Factor \"totp\" of alice is renamed to \"phone\" and disabled.")
        #expect(done.warnings.first?.hasPrefix("alice has no second factor now") == true)
    }

    @Test func recoveryCodesReplaceOlderOnes() async throws {
        let office = try await office()
        let first = try await office.perform(AddRecoveryCodes(user: "alice"))
        #expect(first.codes.count == 10)
        #expect(Set(first.codes.map(\.text)).count == 10)
        #expect(first.codes.allSatisfy { $0.text.hasPrefix("sp-") })
        #expect(first.warnings.isEmpty)
        let second = try await office.perform(AddRecoveryCodes(user: "alice"))
        #expect(second.warnings == ["10 older codes stopped working."])
        #expect(try await office.perform(ListFactors(user: "alice")).factors.map(\.codesLeft) == [10])
        #expect(try office.newest().kind == .recoveryCodesMade)
    }

    @Test func trailIsListedFilteredAndVerified() async throws {
        let office = try await office()
        try await office.perform(office.client())
        try await office.perform(AddFactor(user: "alice", kind: "totp"))
        let all = try await office.perform(ListEvents())
        #expect(all.events.map(\.kind) == ["factor-added", "client-added", "user-added"])
        #expect(all.events[0].text == "factor added: totp")
        #expect(all.events[0].user == "alice")
        #expect(all.events[0].actor == "cli:anna@vpn1")
        #expect(try await office.perform(ListEvents(user: "alice")).events.count == 2)
        #expect(try await office.perform(ListEvents(kinds: ["client"])).events.map(\.kind) == ["client-added"])
        #expect(try await office.perform(ListEvents(limit: 2)).next != nil)
        #expect(
            await office.refusal(of: ListEvents(kinds: ["login-reject"]))
                == "kind: No kind of event `login-reject`. Did you mean `login-rejected` or `logins-rejected`?")
        let verdict = try await office.perform(VerifyTrail())
        #expect(verdict.isIntact)
        #expect(verdict.events == 3)
    }

    @Test func namesThatNobodyHasAreFoundInTheTrail() async throws {
        let office = try await office()
        for name in ["Mallory", "mallet", "mallory@corp.example"] {
            var event = Event(.loginRejected, at: Office.start, reason: "unknown-user")
            event.subject = PersonalFields([PersonalFields.Field("name", name)])
            try await office.records.append(event)
        }
        #expect(try await office.perform(ListEvents(user: "mallory")).events.map(\.user) == ["Mallory"])
        #expect(try await office.perform(ListEvents(user: " MALLET ", kinds: ["login"])).events.map(\.reason) == ["unknown-user"])
        #expect(await office.refusal(of: ListEvents(user: "alicee")).contains("Did you mean `alice`?"))
        #expect(await office.refusal(of: ListEvents(user: "nobody")).contains("No user `nobody`"))
        try await office.perform(RemoveUser(name: "alice"))
        #expect(try await office.perform(ListEvents(user: "alice")).events.map(\.kind) == ["user-removed", "user-added"])
    }

    @Test func importPlansFirstAndWritesThen() async throws {
        let office = try await office()
        try await office.perform(AddGroup(name: "staff"))
        let csv = [
            "name,email,groups,aliases", "alice,alice@example.org,staff,", "bob,,\"staff\",\"robert;bob@example.org\"", "",
            "\"carol \"\"cc\"\"\",carol@example.org,,", "",
        ].joined(separator: "\n")
        let plan = try await office.perform(ImportUsers(csv: SecretText(csv), isDryRun: true))
        #expect(plan.steps.map(\.line) == [2, 3, 5])
        #expect(plan.steps.map(\.action) == ["change", "add", "add"])
        #expect(plan.steps.map(\.user) == ["alice", "bob", "carol \"cc\""])
        #expect(plan.steps[0].differences == ["email: none → alice@example.org", "joins staff"])
        #expect(plan.steps[1].differences == ["groups: staff", "aliases: robert, bob@example.org"])
        #expect(try office.records.userCount() == 1)
        try await office.perform(ImportUsers(csv: SecretText(csv), isDryRun: false))
        #expect(try office.records.userCount() == 3)
        let again = try await office.perform(ImportUsers(csv: SecretText(csv), isDryRun: false))
        #expect(again.steps.map(\.action) == ["keep", "keep", "keep"])
    }

    @Test(arguments: [
        ("name,mail\na,b\n", "line 1: No column `mail`. Did you mean `email`?"),
        ("email\na@b.c\n", "line 1: The column `name` is missing. Begin with a line such as name,email,groups."),
        ("", "line 1: The file is empty. Begin with a line of columns: name,email,phone,groups,aliases,password,directory."),
        ("name\nbob\nBOB\n", "line 3: `BOB` stands on line 2 already. Keep one of the two."),
        ("name,email\nbob,\"bob\n\n", "line 2: A quote is opened and never closed. Close it, or double it where it is meant."),
        (
            "name,email\nbob,b@example.org\ncarol,carol\n",
            "line 3, email: `carol` is not an e-mail address. Write it as alice@example.org."
        ),
        (
            "name,groups\nbob,staff,vpn\n",
            "line 2: There are 3 fields for 2 columns. Put fields with a comma in quotes; separate several groups by semicolons."
        ),
        ("name,password\nbob,1234\n", "line 2, password: The password is shorter than 8 characters. Choose a longer one."),
    ]) func badFileNamesTheLine(csv: String, text: String) async throws {
        let office = try Office()
        #expect(await office.refusal(of: ImportUsers(csv: SecretText(csv), isDryRun: false)) == text)
        #expect(try office.records.userCount() == 0)
    }

    @Test func aCounterThatNoTokenReachesIsRefused() async throws {
        let office = try Office()
        try await office.perform(AddUser(name: "bob"))
        let limit: Int64 = 1 << 62
        #expect(await office.kind(of: AddFactor(user: "bob", kind: "hotp", counter: limit + 1)) == .invalid)
        #expect(await office.kind(of: AddFactor(user: "bob", kind: "hotp", counter: limit)) == nil)
    }
}
