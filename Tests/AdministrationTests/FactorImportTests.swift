// SPDX-License-Identifier: Apache-2.0
// Tokens from a table: the plan, what is there already, and lines that cannot be.

import Administration
import LoginEngine
import OTP
import Store
import Testing

@Suite struct FactorImportTests {
    private static let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    private static let other = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    private static let header = "user,kind,label,secret,algorithm,digits,period,counter\n"

    private func office() async throws -> Office {
        let office = try Office()
        for name in ["alice", "bob"] { try await office.perform(AddUser(name: name)) }
        return office
    }

    private func request(_ lines: String..., isDryRun: Bool = false, skipping: Bool = false) -> ImportFactors {
        ImportFactors(
            csv: SecretText(Self.header + lines.joined(separator: "\n") + "\n"), isDryRun: isDryRun, skipsUnknownUsers: skipping)
    }

    @Test func tokensAreEnrolledAsTheyWere() async throws {
        let office = try await office()
        let request = request(
            "alice,totp,T-1,\(Self.key),sha256,8,60,", "bob,hotp,,\(Self.other),,,,42", "bob,totp,T-1,\(Self.key),sha1,6,30,")
        let plan = try await office.perform(ImportFactors(csv: request.csv, isDryRun: true))
        #expect(plan.steps.map(\.action) == ["add", "add", "add"])
        #expect(plan.steps.map(\.what) == ["totp T-1", "hotp hotp", "totp T-1"])
        #expect(plan.warnings.contains { $0.hasPrefix("1 line with a key that another user has too") })
        #expect(try await office.perform(ListFactors(user: "bob")).factors.isEmpty)

        let done = try await office.perform(request)
        #expect(done.steps == plan.steps)
        let alice = try #require(try await office.perform(ListFactors(user: "alice")).factors.first)
        #expect((alice.label, alice.algorithm, alice.digits, alice.period) == ("T-1", "sha256", 8, 60))
        let user = try #require(try office.records.user(key: "bob"))
        let factors = try office.records.factors(ofUser: user.id)
        #expect(factors.map(\.kind) == [.hotp, .totp] && factors[0].highestUsed == 41)
        #expect(try office.records.factorSecret(factors[0].id)?.reveal { $0 } == Base32.decode(Self.other))
        #expect(try await office.perform(ListEvents(kinds: ["factor-added"])).events.count == 3)
        #expect(try await office.perform(VerifyTrail()).isIntact)
        #expect(!"\(done)".contains(Self.key))
    }

    @Test func whatIsThereStaysAsItIs() async throws {
        let office = try await office()
        try await office.perform(request("bob,hotp,T-2,\(Self.key),,,,7"))
        let again = try await office.perform(request("bob,hotp,another,\(Self.key),,,,99", "bob,hotp,T-2,\(Self.other),,,,1"))
        #expect(again.steps.map(\.action) == ["keep", "add"])
        #expect(again.steps.map(\.what) == ["hotp T-2", "hotp T-2 2"])
        let user = try #require(try office.records.user(key: "bob"))
        #expect(try office.records.factors(ofUser: user.id).map(\.highestUsed) == [6, 0])
        let third = try await office.perform(request("bob,hotp,another,\(Self.key),,,,99", "bob,hotp,T-2,\(Self.other),,,,1"))
        #expect(third.steps.map(\.action) == ["keep", "keep"])
    }

    @Test(arguments: [
        ("alice,sms,,K,,,,", "line 2, kind: No kind `sms` of tokens. Use totp or hotp."),
        ("alice,totp,,!,,,,", "line 2, secret: Character 1 of the secret is not Base32."),
        ("alice,totp,,GEZDGNBV,,,,", "line 2, secret: The key has 5 bytes; it must have 10 to 128."),
        ("alice,totp,,K,md5,,,", "line 2, algorithm: No algorithm `md5`. Use sha1, sha256 or sha512."),
        ("alice,totp,,K,,9,,", "line 2, digits: 9 is out of range. It must be 6 to 8."),
        ("alice,totp,,K,,6,soon,", "line 2, period: `soon` is no number. Write digits alone."),
        ("alice,totp,,K,,,,5", "line 2, counter: A totp token has no counter. Leave the field empty."),
        ("alice,hotp,,K,,,30,5", "line 2, period: A hotp token has no period. Leave the field empty."),
        ("alice,hotp,,K,,,,9223372036854775807", "line 2, counter: A counter above 4611686018427387904 is none that a token has reached."),
        ("carol,totp,,K,,,,", "line 2, user: There is no user `carol`."), (",totp,,K,,,,", "line 2, user: The line names no user."),
        ("alice,totp,a:b,K,,,,", "line 2, label: `a:b` cannot be a label."),
    ]) func badLinesAreNamed(line: String, words: String) async throws {
        let office = try await office()
        let line = line.replacing(",K,", with: ",\(Self.key),")
        let refusal = await office.refusal(of: request(line, "bob,totp,,\(Self.key),,,,"))
        #expect(refusal.hasPrefix(words), "\(refusal)")
        // Nothing of the file was written, not even the line that is right.
        #expect(try await office.perform(ListFactors(user: "bob")).factors.isEmpty)
        let plan = try await office.perform(request(line, "bob,totp,,\(Self.key),,,,", isDryRun: true))
        #expect(plan.steps.map(\.action) == ["refuse", "add"])
    }

    @Test func unknownUsersAreLeftOutWhereAsked() async throws {
        let office = try await office()
        let answer = try await office.perform(
            request("carol,totp,,\(Self.key),,,,", ",totp,T-9,\(Self.key),,,,", "bob,totp,,\(Self.key),,,,", skipping: true))
        #expect(answer.steps.map(\.action) == ["skip", "skip", "add"])
    }

    @Test func theSameTokenTwiceIsRefused() async throws {
        let office = try await office()
        #expect(
            await office.refusal(of: request("bob,totp,,\(Self.key),,,,", "BOB,totp,x,\(Self.key),,,,"))
                == "line 3, secret: The same token stands on line 2 already. Keep one of the two.")
        #expect(
            await office.refusal(of: ImportFactors(csv: SecretText("user,kind\n"), isDryRun: false)).contains(
                "The column `secret` is missing."))
    }

    @Test func aThousandTokensAreWrittenInAFewTransactions() async throws {
        let office = try await office()
        let lines = (0..<450).map { number in
            "bob,hotp,T-\(number),\(Base32.encode((0..<20).map { UInt8(truncatingIfNeeded: number >> ($0 % 2 * 8)) })),,,,"
        }
        let csv = SecretText(Self.header + lines.joined(separator: "\n"))
        let before = office.records.writer.statistics.groups
        let answer = try await office.perform(ImportFactors(csv: csv, isDryRun: false))
        #expect(answer.steps.count { $0.action == "add" } == 450)
        #expect(office.records.writer.statistics.groups - before <= 6)
        #expect(try await office.perform(ImportFactors(csv: csv, isDryRun: false)).steps.allSatisfy { $0.action == "keep" })
    }

    @Test func ownersAreReadFromATable() throws {
        #expect(try TokenOwners.read("serial,user\nT-1,alice\n T-2 ,bob\nT-3,\n") == ["T-1": "alice", "T-2": "bob"])
        #expect(throws: Refusal.self) { try TokenOwners.read("serial,user\nT-1,alice\nT-1,bob\n") }
    }
}
