// SPDX-License-Identifier: Apache-2.0
// sallyport import: files of other products as files for `apply`, `user import` and `factor import`. The database is not touched.

import Administration
import ArgumentParser
import Foundation
import LoginEngine
import Migration

extension MigrationKind: ExpressibleByArgument {}
extension MigratedFactor.Kind: ExpressibleByArgument {}

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read another product's files into files to review and apply.",
        discussion: """
            Prints what would be taken, what was changed and what is left, by file and line. With --to it writes a folder: sallyport.yaml
            for `sallyport apply`, secrets beside it, users.csv for `sallyport user import`, factors.csv for `sallyport factor import`, and
            the report. Everything in it is for your eyes alone, and nothing is changed in the database. docs/start/migration.md says for
            each kind what is taken.

            Kinds: \(MigrationKind.allCases.map(\.rawValue).joined(separator: ", ")).

            Examples:
              sallyport import freeradius /etc/freeradius/3.0/clients.conf
              sallyport import freeradius clients.conf users --to ./from-freeradius
              sallyport import google-authenticator /home/*/.google_authenticator --to ./tokens
              pass show token-key | sallyport import pskc tokens.xml --key-stdin --owners owners.csv --to ./tokens
            """)

    @Argument(help: ArgumentHelp("What wrote the files.", valueName: "kind")) var kind: MigrationKind
    @Argument(help: ArgumentHelp("The files.", valueName: "file"), completion: .file()) var files: [String]
    @Option(help: ArgumentHelp("A new or empty folder to write to; without it there is the report alone.", valueName: "folder"))
    var to: String?
    @Option(help: ArgumentHelp("A CSV file with columns serial and user: whose token is whose.", valueName: "file")) var owners: String?
    @Option(help: ArgumentHelp("totp or hotp, where a list of tokens does not say it.", valueName: "kind")) var type: MigratedFactor.Kind?
    @Flag(help: "Read the key or the passphrase of an encrypted file, one line, from standard input.") var keyStdin = false
    @Flag(name: .customLong("json"), help: "Print JSON.") var isJSON = false
    @Option(name: .customLong("color"), help: ArgumentHelp("auto, always or never; NO_COLOR is minded.", valueName: "when"))
    var color: ColorChoice = .auto

    static let mostFiles = 20_000

    func validate() throws {
        if files.isEmpty { throw ValidationError("Name the files to read.") }
    }

    func run() async throws {
        let output = Output(terminal: .current(color), isJSON: isJSON)
        var options = MigrationOptions()
        options.tokenKind = type
        options.owners = try owners.map(Self.owners) ?? [:]
        if keyStdin { options.key = try Prompts(terminal: .current(color)).secret("Key", isRepeated: false).secret }
        let draft: MigrationDraft
        do throws(MigrationError) {
            draft = try MigrationDraft.read(kind, try contents(), options)
        } catch {
            throw Refusal(.invalid, error.message, remedy: error.remedy, place: error.line > 0 ? "\(error.file):\(error.line)" : error.file)
        }
        let folder = try to.map { try Self.write(draft, to: $0) }
        try output.show(Answer(draft, folder: folder)) { _ in Self.show(draft, folder, output) }
    }

    private func contents() throws(MigrationError) -> [ForeignFile] {
        guard files.count <= Self.mostFiles else {
            throw MigrationError(Place(files[0], 0), "There are more than \(Self.mostFiles) files.", remedy: "Name fewer at a time.")
        }
        var contents: [ForeignFile] = []
        for file in files {
            do {
                contents.append(ForeignFile(name: file, bytes: try TextFile.read(file, limit: ForeignFile.mostBytes)))
            } catch let refusal as Refusal {
                throw MigrationError(Place(file, 0), refusal.message, remedy: refusal.remedy)
            } catch {
                throw MigrationError(Place(file, 0), "The file cannot be read.")
            }
        }
        return contents
    }

    private static func owners(_ file: String) throws -> [String: String] {
        guard let text = String(validating: try TextFile.read(file, limit: 8 << 20), as: UTF8.self) else {
            throw Refusal(.invalid, "The file is not UTF-8 text.", remedy: "Save it as \"CSV UTF-8\".", place: file)
        }
        do throws(Refusal) {
            return try TokenOwners.read(text)
        } catch {
            throw error.place.map { error.at("\(file), \($0)") } ?? error.at(file)
        }
    }

    /// - Returns: the folder's path from the root.
    private static func write(_ draft: MigrationDraft, to path: String) throws -> String {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        let folder = try PrivateFolder(absolute, flag: "--to", takesEmpty: true)
        var report = draft.reportLines + ["", draft.summary]
        let steps = draft.nextSteps(absolute)
        if !steps.isEmpty { report += ["", "Next, each without --dry-run when its plan is what you want:"] + steps.map { "  " + $0 } }
        try folder.write(MigrationDraft.reportFile, Array((report.joined(separator: "\n") + "\n").utf8))
        for file in draft.files(in: absolute) { try file.contents.reveal { try folder.write(file.name, $0) } }
        return absolute
    }

    private static func show(_ draft: MigrationDraft, _ folder: String?, _ output: Output) {
        output.lines(draft.reportLines)
        if !draft.reportLines.isEmpty { output.line() }
        output.done(draft.summary)
        guard let folder else { return output.line("Nothing was written; --to writes what was taken to a folder.") }
        output.line("Written to \(SafeText.line(folder)), which holds secrets: remove it when all is done.")
        let steps = draft.nextSteps(folder)
        guard !steps.isEmpty else { return }
        output.heading("Next, each without --dry-run when its plan is what you want")
        output.lines(steps.map { "  " + SafeText.line($0) })
    }

    /// The report for programs.
    private struct Answer: Encodable {
        struct Line: Encodable {
            var file: String
            var line: Int
            var fate: String
            var what: String
            var why: String?
        }

        var kind: String
        var clients: Int
        var directories: Int
        var users: Int
        var factors: Int
        var folder: String?
        var notes: [Line]
        var furtherNotes: Int

        init(_ draft: MigrationDraft, folder: String?) {
            kind = draft.kind.rawValue
            (clients, directories) = (draft.clients.count, draft.directories.count)
            (users, factors) = (draft.users.count, draft.factors.count)
            self.folder = folder
            notes = draft.notes.map { Line(file: $0.place.file, line: $0.place.line, fate: $0.fate.rawValue, what: $0.what, why: $0.why) }
            furtherNotes = draft.furtherNotes
        }
    }
}
