// SPDX-License-Identifier: Apache-2.0
// What an import writes is what `apply` reads: the same names, addresses and secrets, whatever they hold.

import Administration
import Foundation
import LoginEngine
import Migration
import Testing

@testable import sallyport

@Suite struct MigrationFileTests {
    private static let samples = DocsTests.root.appendingPathComponent("Tests/MigrationTests/Samples")

    private func draft(_ kind: MigrationKind, _ files: [(String, [UInt8])]) throws -> MigrationDraft {
        try MigrationDraft.read(kind, files.map { ForeignFile(name: $0.0, bytes: $0.1) })
    }

    private func applied(_ draft: MigrationDraft, in folder: String) throws -> Blueprint {
        let files = draft.files(in: folder)
        let text = try #require(files.last { $0.name == MigrationDraft.applyFile })
        return try ApplyFile(
            fileName: "a.yaml",
            secret: { source in
                switch source {
                case .file(let path):
                    let file = try #require(files.first { folder + "/" + $0.name == path }, "no file \(path)")
                    return SecretText(file.contents)
                case .variable(let name): return SecretText("variable \(name)")
                case .document(let path): return SecretText("document \(path)")
                }
            }
        ).read(text.contents.reveal { $0 })
    }

    @Test(arguments: [(MigrationKind.freeradius, "clients.conf"), (.duoAuthproxy, "authproxy.cfg"), (.nps, "nps.xml")])
    func samplesParseBackToTheSame(kind: MigrationKind, file: String) throws {
        let bytes = Array(try Data(contentsOf: Self.samples.appendingPathComponent(file)))
        let draft = try draft(kind, [(file, bytes)])
        let blueprint = try applied(draft, in: "/var/lib/x: y #\"'")
        let clients = try #require(blueprint.clients)
        #expect(clients.map(\.name) == draft.clients.map(\.name) && clients.count >= 2)
        for (client, original) in zip(clients, draft.clients) {
            #expect(client.choices.addresses == original.addresses.map(\.description))
            switch original.secret {
            case .value(let secret): #expect(client.choices.secret?.secret == secret)
            case .variable(let name): #expect(client.choices.secret?.text == "variable \(name)")
            }
        }
        #expect(blueprint.directories?.map(\.name) ?? [] == draft.directories.map(\.name))
    }

    /// Whatever a file of FreeRADIUS says between quotes.
    @Test(arguments: [
        "plain-secret", "a: b, {c} [d] # e", "\\\"quoted\\\" and \\\\ back", "& *anchor !tag | > % @ `", "ünïcödé 日本語 🙂 ok", "- - - - - -",
        "null~true", "secret: { keep: true }", "1234567890", "0x1f.e+5:00",
    ]) func secretsComeThrough(written: String) throws {
        let meant = written.replacing("\\\"", with: "\"").replacing("\\\\", with: "\\")
        let text = "client x {\n ipaddr = 192.0.2.1\n shortname = \"\(written)\"\n secret = \"\(written)\"\n}\n"
        let blueprint = try applied(try draft(.freeradius, [("f", Array(text.utf8))]), in: "/t")
        let client = try #require(blueprint.clients?.first)
        #expect(client.choices.secret?.text == meant)
    }

    @Test func everyKindIsOnThePage() throws {
        let page = try DocsTests.text("docs/start/migration.md")
        for kind in MigrationKind.allCases {
            #expect(page.contains("`\(kind.rawValue)`"), "docs/start/migration.md lacks \(kind.rawValue)")
        }
        for column in ImportFactors.columns { #expect(page.contains("`\(column)`"), "docs/start/migration.md lacks \(column)") }
        #expect(ImportFactors.columns == MigrationDraft.factorColumns)
        #expect(ImportFactors.mostRows == MigrationDraft.rowsOfAFile && ImportUsers.mostRows == MigrationDraft.rowsOfAFile)
    }
}
