// SPDX-License-Identifier: Apache-2.0
// Each kind's sample: what is taken, what is left and why, and the files that come of it, as they were read and agreed to.

import Foundation
import LoginEngine
import Testing

@testable import Migration

enum Sample {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    static let samples = folder.appending(path: "Samples")
    static let goldens = folder.appending(path: "Golden")

    static func file(_ name: String) throws -> ForeignFile {
        ForeignFile(name: name, bytes: Array(try Data(contentsOf: samples.appending(path: name))))
    }

    static func draft(_ kind: MigrationKind, _ names: [String], _ options: MigrationOptions = MigrationOptions()) throws -> MigrationDraft {
        try MigrationDraft.read(kind, try names.map(file), options)
    }

    /// Why a file of one kind is refused; nil where it is not.
    static func refusal(_ kind: MigrationKind, _ text: String, _ options: MigrationOptions = MigrationOptions()) -> MigrationError? {
        refusal(kind, Array(text.utf8), options)
    }

    static func refusal(_ kind: MigrationKind, _ bytes: [UInt8], _ options: MigrationOptions = MigrationOptions()) -> MigrationError? {
        do throws(MigrationError) {
            _ = try MigrationDraft.read(kind, [ForeignFile(name: "f", bytes: bytes)], options)
            return nil
        } catch {
            return error
        }
    }

    static func key(_ text: String) -> MigrationOptions {
        var options = MigrationOptions()
        options.key = Secret(utf8: text)
        return options
    }
}

@Suite struct MigrationTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var kind: MigrationKind
        var files: [String]
        var options = MigrationOptions()
        var golden: String

        var testDescription: String { golden }

        init(_ kind: MigrationKind, _ files: [String], _ golden: String, _ change: (inout MigrationOptions) -> Void = { _ in }) {
            (self.kind, self.files, self.golden) = (kind, files, golden)
            change(&options)
        }
    }

    static let cases = [
        Case(.freeradius, ["clients.conf", "users"], "freeradius"), Case(.duoAuthproxy, ["authproxy.cfg"], "duo-authproxy"),
        Case(.nps, ["nps.xml"], "nps"),
        Case(.googleAuthenticator, ["alice/google_authenticator", "bob/google_authenticator"], "google-authenticator"),
        Case(.pskc, ["tokens.pskcxml"], "pskc") { $0.owners = ["T-0002": "bob"] },
        Case(.pskc, ["rfc6030-figure6.pskcxml"], "pskc-encrypted") { $0.key = Secret(utf8: "12345678901234567890123456789012") },
        Case(.pskc, ["rfc6030-figure7.pskcxml"], "pskc-passphrase") { $0.key = Secret(utf8: "qwerty") },
        Case(.oathCSV, ["token2.csv"], "oath-csv-names"), Case(.oathCSV, ["feitian.txt"], "oath-csv-plain") { $0.tokenKind = .hotp },
        Case(.yubikeyCSV, ["yubikey.csv"], "yubikey-csv") { $0.owners = ["508326": "carol"] },
        Case(.privacyidea, ["privacyidea.csv"], "privacyidea-csv"),
        Case(.privacyidea, ["privacyidea.xml"], "privacyidea-pskc") { $0.key = Secret(utf8: "12345678901234567890123456789012") },
    ]

    @Test(arguments: cases) func sampleIsTakenAsAgreed(_ sample: Case) throws {
        let draft = try Sample.draft(sample.kind, sample.files, sample.options)
        var text = draft.reportLines.joined(separator: "\n") + "\n\n\(draft.summary)\n"
        text += draft.nextSteps("/etc/sallyport/import").map { "  \($0)\n" }.joined()
        for file in draft.files(in: "/etc/sallyport/import") {
            text += "\n== \(file.name)\n" + (file.contents.revealText() ?? "no text")
            if !text.hasSuffix("\n") { text += "\n" }
        }
        let golden = Sample.goldens.appending(path: sample.golden + ".txt")
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try text.write(to: golden, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: golden, encoding: .utf8) == text, "run `make golden`, and read the difference")
    }

    @Test func everyKindHasASample() {
        #expect(Set(Self.cases.map(\.kind)) == Set(MigrationKind.allCases))
    }

    @Test func noSecretIsInAReport() throws {
        for sample in Self.cases {
            let draft = try Sample.draft(sample.kind, sample.files, sample.options)
            let report = draft.reportLines.joined(separator: "\n")
            let secrets =
                draft.clients.compactMap { if case .value(let secret) = $0.secret { secret.revealText() } else { nil } }
                + draft.directories.compactMap { $0.secret.revealText() } + draft.users.compactMap { $0.password?.revealText() }
            for secret in secrets { #expect(!report.contains(secret), "\(sample.golden)") }
            #expect(!report.contains("GEZDGNBV") && !report.contains("31323334") && !report.contains("skey="))
            #expect(!"\(draft.users)".contains("correct horse"))
        }
    }

    @Test func passwordsOfTheFigureAreNeeded() throws {
        let figure = try Sample.file("rfc6030-figure6.pskcxml").bytes
        #expect(Sample.refusal(.pskc, figure, Sample.key("12345678901234567890123456789013"))?.message.contains("decrypted") == true)
        #expect(Sample.refusal(.pskc, figure, Sample.key("qwerty"))?.remedy == "Give 32, 48 or 64 hexadecimal digits.")
        let without = try Sample.draft(.pskc, ["rfc6030-figure6.pskcxml"])
        #expect(
            without.factors.isEmpty
                && without.notes.map(\.why) == ["its secret is encrypted: give the key or the passphrase by --key-stdin"])
    }

    @Test func changedKeyIsNoticed() throws {
        let text = String(decoding: try Sample.file("rfc6030-figure6.pskcxml").bytes, as: UTF8.self)
        let key = Sample.key("12345678901234567890123456789012")
        // One bit of the vector would turn one bit of the key.
        let turned = Sample.refusal(.pskc, text.replacing("AAECAwQF", with: "ABECAwQF"), key)
        #expect(turned?.message.contains("MAC") == true && turned?.line == 29, "\(turned as Any)")
        let cut = text.replacing(/<ValueMAC>[^<]*<\/ValueMAC>/, with: "")
        #expect(Sample.refusal(.pskc, cut, key)?.message.contains("no MAC") == true)
        #expect(Sample.refusal(.pskc, text.replacing("hmac-sha1", with: "hmac-md5"), key)?.message.contains("method") == true)
    }

    @Test func passphraseIsNotHashedForEver() throws {
        let text = String(decoding: try Sample.file("rfc6030-figure7.pskcxml").bytes, as: UTF8.self)
        for rounds in ["0", "2000001", "99999999999999999999"] {
            let changed = text.replacing("<IterationCount>1000<", with: "<IterationCount>\(rounds)<")
            #expect(Sample.refusal(.pskc, changed, Sample.key("qwerty")) != nil)
        }
    }
}
