// SPDX-License-Identifier: Apache-2.0
// sallyport key: the master key, its copy, and a new one in its place.

import Administration
import ArgumentParser
import Foundation
import LoginEngine
import Store

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "The master key that seals every secret.",
        discussion: """
            Examples:
              sallyport key show
              sallyport key rotate
              sallyport key confirm-copy /media/safe/master.key
            """,
        subcommands: [Show.self, Rotate.self, ConfirmCopy.self, Make.self])
}

extension KeyCommand {
    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Which key seals, where it is read, and whether a copy was confirmed.",
            discussion: """
                The fingerprint tells keys apart and reveals nothing.

                Example:
                  sallyport key show --json
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ShowKey())
            try output.show(answer, warnings: answer.warnings) { answer in
                var sheet = Sheet()
                sheet.add("Key", Span("\(answer.fingerprint) (number \(answer.id))", .strong))
                sheet.add("Read from", Span(answer.place))
                sheet.add("In use since", answer.since.map { Span(TimeText.full($0, output.terminal)) })
                sheet.add("Copy confirmed", output.time(answer.copyConfirmed))
                output.lines(sheet.lines(output.terminal))
            }
        }
    }

    struct Rotate: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a new master key in the place of the old one, while logins go on.",
            discussion: """
                Makes a key, seals every secret anew under it, and takes the old one away. Interrupted, it goes on at
                the next start. A key from the environment or from systemd is put there by you first: see
                docs/run/keys.md.

                Backups made before need the old key: without a confirmed copy of it, --yes must be given.

                Examples:
                  sallyport key confirm-copy /media/safe/master.key
                  sallyport key rotate
                """)

        @Flag(name: [.customLong("yes"), .customShort("y")], help: "Also when no copy of the present key was confirmed.")
        var isYes = false
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(RotateKey(isConfirmed: isYes))
            try output.show(answer, warnings: answer.warnings) { output.done($0.message) }
        }
    }

    struct ConfirmCopy: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show that a copy of the master key is one, so that nobody has to be reminded.",
            discussion: """
                Reads the copy from a file, or from standard input, and compares it with the key in use. The key itself, and
                what lies beside it, is no copy.

                Examples:
                  sallyport key confirm-copy /media/safe/master.key
                  pass show sallyport/master-key | sallyport key confirm-copy
                """)

        @Argument(help: ArgumentHelp("The copy; standard input where none is named.", valueName: "file"), completion: .file())
        var file: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var copy = SecretText("")
            if let file {
                try Self.refuseOriginal(
                    file, key: try await node.perform(ShowKey()).place, dataDirectory: try options.location().dataDirectory)
                let bytes = try TextFile.read(file, limit: Prompts.longestLine)
                // A key of 32 bytes as they are is not text.
                let isRaw = bytes.count == 32
                copy = SecretText(
                    Secret(isRaw ? Array(bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().utf8) : bytes))
            } else {
                copy = try options.prompts.secret("Copy of the master key", isRepeated: false)
            }
            try output.show(try await node.perform(ConfirmKeyCopy(copy: copy, place: file ?? "standard input")))
        }

        /// What is lost together with the key is no copy of it.
        private static func refuseOriginal(_ file: String, key: String, dataDirectory: String) throws {
            func resolved(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
            func identity(_ path: String) -> [NSNumber?]? {
                let attributes = try? FileManager.default.attributesOfItem(atPath: resolved(path))
                return attributes.map { [$0[.systemNumber] as? NSNumber, $0[.systemFileNumber] as? NSNumber] }
            }
            let remedy = "Put a copy where this machine's disk and its backups are not, and confirm that one."
            if let own = identity(key), own == identity(file) {
                throw Refusal(.invalid, "That is the key itself, not a copy.", remedy: remedy, place: file)
            }
            if resolved(file).hasPrefix(resolved(dataDirectory) + "/") {
                throw Refusal(.invalid, "That lies in the data directory and is lost together with the key.", remedy: remedy, place: file)
            }
        }
    }

    struct Make: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key file: a master key, or the identity that opens backups.",
            discussion: """
                Writes a new file with mode 0600; no node is asked, and none uses it yet. With --recipient, it prints
                the public half, which backups are made for: whoever has it alone opens none.

                Examples:
                  sallyport key make /root/next.key
                  sallyport key make --recipient /media/safe/backup.identity
                """)

        @Argument(help: ArgumentHelp("The file to make.", valueName: "file"), completion: .file()) var file: String
        @Flag(help: "Make an identity for backups.") var recipient = false
        @OptionGroup var options: GlobalOptions

        func run() throws {
            let output = options.output
            if recipient {
                let identity = BackupIdentity()
                try identity.write(to: file)
                return try output.show(Made(file: file, recipient: "\(identity.recipient)")) { made in
                    output.done("Made an identity in \(made.file). Backups for it: --recipient \(identity.recipient)")
                }
            }
            let key = try MasterKey.make(at: file)
            try output.show(Made(file: file, fingerprint: key.fingerprint)) { _ in output.done("Made key \(key.fingerprint) in \(file).") }
        }

        private struct Made: Encodable {
            var file: String
            var fingerprint: String?
            var recipient: String?
        }
    }
}
