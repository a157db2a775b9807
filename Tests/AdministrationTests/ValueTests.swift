// SPDX-License-Identifier: Apache-2.0
// Times, near names, and secrets that do not print.

import Administration
import Foundation
import LoginEngine
import Testing

@Suite struct ValueTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00.000Z", 0), ("2026-11-21T12:03:11.482Z", 1_795_262_591_482_000),
        ("2024-02-29T23:59:59.001Z", 1_709_251_199_001_000),
        ("1969-12-31T23:59:59.999Z", -1000),
    ]) func timesRoundTrip(text: String, microseconds: Int64) {
        #expect(Instant(Timestamp(microseconds: microseconds)).description == text)
        #expect(Instant(text)?.timestamp.microseconds == microseconds)
    }

    @Test func timesAreReadWithZones() {
        #expect(Instant("2026-11-21T13:03:11+01:00") == Instant("2026-11-21 12:03:11Z"))
        #expect(Instant("2026-11-21", zone: 3600) == Instant("2026-11-20T23:00:00Z"))
        for text in ["2026-02-30", "2026-13-01", "yesterday", "2026-11-21T24:00", ""] { #expect(Instant(text) == nil) }
    }

    @Test func nearNamesAreFew() {
        #expect(NearNames.nearest(to: "alcie", among: ["alice", "alina", "bob"]) == ["alice"])
        #expect(NearNames.nearest(to: "x", among: ["y", "longer"]) == ["y"])
        #expect(NearNames.nearest(to: "", among: ["a"]).isEmpty)
        #expect(NearNames.question(["a", "b", "c"]) == "Did you mean `a`, `b` or `c`?")
    }

    @Test func argumentsAreQuotedForTheShell() {
        #expect(Words.argument("alice@example.org") == "alice@example.org")
        #expect(Words.argument("it's me") == "'it'\\''s me'")
        #expect(Words.argument("") == "''")
        #expect(Words.argument("--yes") == "--yes")
    }

    @Test func secretsDoNotPrintButTravel() throws {
        let secret = SecretText("hunter2")
        #expect("\(secret) \(String(reflecting: secret))" == "<secret> <secret>")
        var text = ""
        dump(AddUser(name: "a", password: secret), to: &text)
        #expect(!text.contains("hunter2"))
        #expect(try JSONDecoder().decode(SecretText.self, from: JSONEncoder().encode(secret)) == secret)
    }

    @Test func everyVerbIsThereOnce() {
        #expect(Set(Verbs.all.map { $0.verb }).count == Verbs.all.count)
    }

    @Test func unknownVerbAndGarbageAreRefusals() async throws {
        let office = try Office()
        for (verb, body) in [("user.fly", "{}"), ("user.add", "{"), ("user.add", "[1]")] {
            let refused = await office.outcome(verb, body)
            #expect(refused == .invalid)
        }
    }
}

extension Office {
    func outcome(_ verb: String, _ body: String) async -> Refusal.Kind? {
        do {
            _ = try await Verbs.perform(verb, body: Data(body.utf8), in: operations, by: Self.actor)
            return nil
        } catch {
            return error.kind
        }
    }
}
