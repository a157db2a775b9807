// SPDX-License-Identifier: Apache-2.0
// Files that are cut, in another charset, endless, or made to do something else than be read.

import Foundation
import LoginEngine
import Testing

@testable import Migration

@Suite struct HostileFileTests {
    private func draft(_ kind: MigrationKind, _ text: String, name: String = "f") throws -> MigrationDraft {
        try MigrationDraft.read(kind, [ForeignFile(name: name, bytes: Array(text.utf8))])
    }

    @Test(arguments: ["\n", "\r\n", "\r"]) func linesEndInAnyWay(end: String) throws {
        let text = ["client a {", "ipaddr = 192.0.2.1", "secret = long-enough", "}", "", "client b {", "}"].joined(separator: end)
        let draft = try draft(.freeradius, text)
        #expect(draft.clients.map(\.name) == ["a"])
        #expect(draft.notes.map(\.place.line) == [1, 6])
    }

    @Test func charsetsAreTold() throws {
        let plain = "alice Cleartext-Password := \"grüße aus Köln\"\n"
        let mark = try MigrationDraft.read(.freeradius, [ForeignFile(name: "f", bytes: [0xEF, 0xBB, 0xBF] + Array(plain.utf8))])
        let latin = try MigrationDraft.read(.freeradius, [ForeignFile(name: "f", bytes: plain.unicodeScalars.map { UInt8($0.value) })])
        let wide = try MigrationDraft.read(
            .freeradius, [ForeignFile(name: "f", bytes: [0xFF, 0xFE] + plain.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })])
        for draft in [mark, latin, wide] {
            #expect(draft.users.map(\.name) == ["alice"])
            #expect(draft.users.first?.password?.revealText() == "grüße aus Köln")
        }
        #expect(latin.notes.first?.why == "read as Latin-1: it is not UTF-8")
        #expect(Sample.refusal(.freeradius, [0xFF, 0xFE, 0x41])?.message == "The file begins like UTF-16 and is not.")
        #expect(Sample.refusal(.freeradius, [0x61, 0x0A, 0x62, 0])?.line == 2)
    }

    @Test func cutFilesAreRefusedOrShort() throws {
        for sample in MigrationTests.cases {
            for name in sample.files {
                let bytes = try Sample.file(name).bytes
                for part in 1..<24 {
                    let cut = ForeignFile(name: name, bytes: Array(bytes.prefix(bytes.count * part / 24)))
                    guard let draft = try? MigrationDraft.read(sample.kind, [cut], sample.options) else { continue }
                    #expect(!["nps", "pskc"].contains(sample.golden), "\(sample.golden) cut at \(part)/24 was read")
                    #expect(!draft.notes.isEmpty || draft.users.isEmpty)
                }
            }
        }
    }

    @Test func documentTypesAreRefusedBeforeTheyAreParsed() throws {
        let secret = NSTemporaryDirectory() + "sallyport-xxe-\(UUID().uuidString)"
        try "do not read me".write(toFile: secret, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: secret) }
        let bodies = [
            "<!DOCTYPE Root SYSTEM \"file://\(secret)\"><Root/>",
            "<!DOCTYPE Root [<!ENTITY x SYSTEM \"file://\(secret)\">]><Root>&x;</Root>",
            "<!doctype Root [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><Root>&b;</Root>",
            "<Root><![CDATA[<!DOCTYPE x>]]></Root>", "<Root>&x;</Root>", "<Root>", "<Root></root>", "<Root/><Root/>", "", "no markup",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><Root>",
        ]
        for body in bodies {
            let refusal = Sample.refusal(.nps, body)
            #expect(refusal != nil && !"\(refusal as Any)".contains("read me"), "\(body)")
            #expect(Sample.refusal(.pskc, body) != nil, "\(body)")
        }
        #expect(Sample.refusal(.nps, "\n" + bodies[1])?.message.contains("document type declaration") == true)
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "<a>", count: 300) + String(repeating: "</a>", count: 300)
        #expect(Sample.refusal(.pskc, deep) != nil)
        #expect(Sample.refusal(.freeradius, String(repeating: "server x {\n", count: 40))?.message.contains("nested") == true)
        #expect(Sample.refusal(.freeradius, "client a {\n")?.message == "The section that begins here is never closed.")
        #expect(Sample.refusal(.freeradius, "client a {\n}\n}\n")?.line == 3)
    }

    @Test func includesAreToldWhereverTheyStand() throws {
        let draft = try draft(.freeradius, "$INCLUDE a.conf\nserver x {\n  $INCLUDE b.conf\n  server y {\n  $INCLUDE c.conf\n  }\n}\n")
        #expect(draft.notes.map(\.place.line) == [1, 3, 5])
        #expect(draft.notes.allSatisfy { $0.fate == .left })
    }

    /// What comes from a file stays a value, whatever it looks like.
    @Test func namesCannotWriteIntoTheFiles() throws {
        let names = ["x: {keep: true}", "a\\nb", "*anchor", "!!binary", "../../etc/passwd", "..", "\u{202E}evil", "local", ""]
        for name in names {
            let quoted = name.replacing("\\", with: "\\\\")
            let draft = try draft(
                .freeradius, "client x {\n shortname = \"\(quoted)\"\n ipaddr = 192.0.2.1\n secret = \"long: enough # {secret}\"\n}\n")
            let client = try #require(draft.clients.first, "\(name)")
            #expect(client.name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-_.".utf8.contains($0) })
            #expect(!client.name.hasPrefix(".") && !client.name.isEmpty)
            let text = draft.applyText("/tmp/a b\"c")
            #expect(text.utf8.allSatisfy { $0 == 0x0A || (0x20...0x7E).contains($0) })
            #expect(text.split(separator: "\n").count == 5, "\(text)")
            #expect(draft.reportLines.allSatisfy { !$0.contains("\n") && !$0.contains("\u{202E}") })
        }
    }

    @Test func tablesKeepWhatHasSeparators() throws {
        let draft = try draft(.freeradius, "\"a,b;c \\\"d\\\"\" Cleartext-Password := \"pass,word;\\\"with\\\" all\"\n")
        let file = try #require(draft.files(in: "/f").first { $0.name == "users.csv" })
        #expect(file.contents.revealText() == "name,password\n\"a,b;c \"\"d\"\"\",\"pass,word;\"\"with\"\" all\"\n")
        let bad = try self.draft(.freeradius, "\"a\\nb\" Cleartext-Password := \"password\"\n")
        #expect(bad.users.isEmpty && bad.notes.first?.fate == .left)
    }

    @Test func aMillionLinesAreReadOrRefused() {
        // Comments and what is nothing cost no more than their reading.
        let many = Array(String(repeating: "#\n", count: 1_000_000).utf8)
        #expect(Sample.refusal(.oathCSV, many) == nil)
        #expect(Sample.refusal(.freeradius, Array(many.prefix(200_000))) == nil)
        let users = Array(String(repeating: "u Cleartext-Password := \"password\"\n", count: 20_000).utf8)
        #expect(Sample.refusal(.freeradius, users) == nil)
        #expect(
            Sample.refusal(.oathCSV, [UInt8](repeating: 0x61, count: ForeignFile.mostBytes + 1))?.message
                == "The file is larger than 32 MiB.")
        #expect(Sample.refusal(.oathCSV, [UInt8](repeating: 0x0A, count: 4096)) == nil)
    }

    @Test func notesAreBounded() throws {
        let lines = (0...MigrationDraft.mostNotes).map { "s\($0),!,totp\n" }.joined()
        let draft = try draft(.oathCSV, lines)
        #expect(draft.notes.count == MigrationDraft.mostNotes && draft.furtherNotes == 1)
        #expect(draft.reportLines.last == "and 1 more, which are not listed")
    }

    @Test func kindOfTokensIsNotGuessed() throws {
        #expect(Sample.refusal(.oathCSV, "1,3132333435363738393031323334353637383930\n")?.remedy == "Add --type totp or --type hotp.")
        #expect(try draft(.oathCSV, "serial;seed;counter\n1;3132333435363738393031323334353637383930;9\n").factors.map(\.counter) == [9])
    }

    /// In a table whose columns are shifted a key stands where the serial should.
    @Test(arguments: ["JBSWY3DPEHPK3PXP", "3132333435363738393031323334353637383930"])
    func aKeyInTheWrongColumnIsNotShown(key: String) throws {
        let report = "\(try draft(.oathCSV, "serial,key,type\n\(key),totp,JBSW\n"))"
        #expect(!report.contains(key) && report.contains("token \(key.prefix(4))…"), "\(report)")
    }

    @Test func keysAreReadAsTheModuleReadsThem() throws {
        // Two bits are left over, and are not zero.
        let draft = try draft(.googleAuthenticator, "jbswy3dpehpk3pxpjbswy3dpeh\n\" TOTP_AUTH\n", name: "alice")
        #expect(draft.factors.map(\.key) == [Array("Hello!".utf8) + [0xDE, 0xAD, 0xBE, 0xEF] + Array("Hello!".utf8)])
        #expect(Sample.refusal(.googleAuthenticator, "not base32 at all!\n") != nil)
        #expect(try self.draft(.googleAuthenticator, "JBSWY3DPEHPK3PXP\n", name: "bob").factors.isEmpty)
    }

    @Test func aCounterThatIsNotInTheFileIsToldOf() throws {
        let draft = try draft(.privacyidea, "bob@corp, OATH1, 3132333435363738393031323334353637383930, hotp, 6\n")
        #expect(draft.notes.first?.why?.contains("counter") == true && draft.factors.first?.counter == 0)
    }

    @Test(arguments: [
        ("/home/alice/.google_authenticator", "alice"), ("alice/google_authenticator", "alice"), ("/var/lib/otp/bob", "bob"),
        ("carol.google_authenticator", "carol"), (".google_authenticator", ""),
    ]) func usersAreNamedByTheirFiles(path: String, user: String) {
        #expect(GoogleAuthenticatorFile.user(of: path) == user)
    }

    @Test(arguments: [("CN=Jane Doe,OU=x", "Jane Doe"), ("DC=net, uid=jd", "jd"), ("jane", "jane"), ("a=b", "a=b"), ("x,y", "x,y")])
    func usersAreFoundInDistinguishedNames(text: String, name: String) {
        #expect(PSKCFile.name(in: text) == name)
    }

    /// As the fuzzer reads them.
    @Test(arguments: files("FailCases") + files("Seeds")) func filesOfTheFuzzerAreSurvived(_ file: URL) throws {
        let input = try Array(Data(contentsOf: file))
        let first = Int(input.first ?? 0)
        var options = Sample.key(first & 0x40 == 0 ? "12345678901234567890123456789012" : "qwerty")
        options.tokenKind = first & 0x80 == 0 ? nil : .totp
        let kind = MigrationKind.allCases[first % MigrationKind.allCases.count]
        let foreign = ForeignFile(name: "home/alice/.google_authenticator", bytes: Array(input.dropFirst()))
        guard let draft = try? MigrationDraft.read(kind, [foreign], options) else { return }
        #expect(draft.reportLines.allSatisfy { !$0.utf8.contains { $0 < 0x20 } })
    }

    private static func files(_ folder: String) -> [URL] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let url = root.appending(path: "Fuzz/\(folder)/FuzzMigration", directoryHint: .isDirectory)
        let files = try? FileManager.default.contentsOfDirectory(at: url, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }
}
