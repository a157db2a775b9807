// SPDX-License-Identifier: Apache-2.0
// sallyport backup: an encrypted copy of everything, made beside the running node.

import Administration
import ArgumentParser
import Foundation
import Glibc
import LoginEngine
import Store

/// What opens a backup, or is asked for where nothing is named.
struct BackupFlags: ParsableArguments {
    @Option(help: ArgumentHelp("A file with the passphrase, on one line.", valueName: "file"), completion: .file())
    var passphraseFile: String?
    @Option(help: ArgumentHelp("The identity file of the recipient that it was made for.", valueName: "file"), completion: .file())
    var identity: String?
    @Option(help: ArgumentHelp("A copy of the master key that the backup is sealed under.", valueName: "file"), completion: .file())
    var keyFile: String?

    static func passphrase(from file: String) throws -> SecretText {
        var bytes = try TextFile.read(file, limit: Prompts.longestLine)
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self), !text.isEmpty, !text.contains(where: \.isNewline) else {
            throw Refusal(.invalid, "The file does not hold a passphrase on one line.", place: file)
        }
        return SecretText(text)
    }

    func masterKeys() throws -> [MasterKey] {
        guard let keyFile else { return [] }
        return try MasterKey.load(.credential(keyFile)) ?? []
    }

    /// Opens the file with what was named, with the node's own key where it is locked with that, or asks for the passphrase.
    func open(_ file: String, _ options: GlobalOptions) throws -> BackupReader {
        let reader = try BackupReader(file)
        if reader.isForPassphrase {
            let passphrase =
                try passphraseFile.map { try Self.passphrase(from: $0) } ?? options.prompts.secret("Passphrase", isRepeated: false)
            try reader.unlock(.passphrase(BackupPassphrase(passphrase)))
        } else if reader.isForRecipient {
            guard let path = identity else {
                throw Refusal(.invalid, "The backup was made for a recipient.", remedy: "Name the identity that opens it with --identity.")
            }
            guard let identity = BackupIdentity(LoginEngine.Secret(try TextFile.read(path, limit: Prompts.longestLine))) else {
                throw Refusal(
                    .invalid, "The file is no identity for backups.", remedy: "`sallyport key make --recipient` makes one.", place: path)
            }
            try reader.unlock(.identity(identity))
        } else {
            var keys = try masterKeys()
            if keys.isEmpty {
                let settings = try options.location().settings
                let source = try OpenedStore.keySource(
                    settings.masterKeySource, settings.dataDirectory + "/master.key", ProcessInfo.processInfo.environment)
                keys = try MasterKey.load(source) ?? []
            }
            try reader.unlock(.masterKeys(keys))
        }
        return reader
    }
}

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write an encrypted backup while the node runs, or verify one.",
        discussion: """
            Locked with a passphrase (asked for, or the first line of standard input), or with the public key of a
            recipient. The master key is in it only with --with-key: without it, the backup and a copy of the key
            open everything together, and each alone nothing.

            Examples:
              sallyport backup /srv/backup/sallyport.backup
              sallyport backup --recipient spb-2cFkd7y4m9uD5b1bF4b8kR3nL6xW0vQeYtZpHjGsAXM nightly.backup
              sallyport backup --verify nightly.backup --identity backup.identity
            """)

    @Argument(help: ArgumentHelp("The backup.", valueName: "file"), completion: .file()) var file: String
    @Option(help: ArgumentHelp("Lock it for this recipient (`sallyport key make --recipient`).", valueName: "spb-…")) var recipient: String?
    @Flag(help: "Put the master key into it too.") var withKey = false
    @Flag(help: "Replace a file that is there.") var force = false
    @Flag(help: "Make none: read this one to its end, and say whether it is whole and what is in it.") var verify = false
    @OptionGroup var flags: BackupFlags
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        if verify, recipient != nil || withKey || force { throw ValidationError("--verify makes no backup; leave the others away.") }
        if recipient != nil, flags.passphraseFile != nil { throw ValidationError("Use one of --recipient and --passphrase-file.") }
        if !verify, flags.identity != nil || flags.keyFile != nil {
            throw ValidationError("--identity and --key-file open a backup: add --verify.")
        }
    }

    func run() async throws {
        let output = options.output
        if verify {
            let progress = ProgressLine(output.terminal)
            let reader = try flags.open(file, options)
            let summary = try Backup.verify(reader) { progress.show("verified", $0, of: $1) }
            progress.end()
            return try output.show(BackupView(file, summary)) { view in
                output.done("The backup is whole.")
                output.lines(view.sheet(output).lines(output.terminal))
            }
        }
        let settings = try options.location().settings
        try Self.requireFile(settings)
        let node = try await NodeConnection.open(options)
        defer { node.close() }
        let lock = try lock()
        var key: MasterKey?
        if withKey {
            // Before the key is read: killed at any moment, it leaves an event.
            _ = try await node.perform(BeginBackup(lock: lock.words))
            let source = try OpenedStore.keySource(
                settings.masterKeySource, settings.dataDirectory + "/master.key", ProcessInfo.processInfo.environment)
            key = try MasterKey.load(source)?.first
            guard key != nil else { throw Refusal(.configuration, "The master key is not there.", remedy: "See `sallyport key show`.") }
        }
        // Logins come first.
        _ = nice(10)
        let progress = ProgressLine(output.terminal)
        let summary = try Backup.write(
            databaseAt: settings.dataDirectory + "/sallyport.sqlite", to: file, lock: lock, key: key, release: Sallyport.release,
            node: NodeLocation.nodeName, at: NodeClock.now().wall, replacing: force
        ) { rows, bytes in progress.show("wrote", bytes, "\(rows) rows") }
        progress.end()
        _ = try await node.perform(NoteBackup(lock: lock.words, holdsKey: withKey))
        try output.show(BackupView(file, summary), warnings: warnings(summary)) { view in
            output.done("Wrote \(file): \(view.size) bytes, locked with \(lock.words).")
        }
    }

    static func requireFile(_ settings: Settings) throws(Refusal) {
        guard case .postgres = settings.database else { return }
        throw Refusal(
            .conflict, "The data are in PostgreSQL, which makes backups by its own tools.",
            remedy: "Use pg_dump and a copy of the master key; behind pg_restore, `sallyport restore --in-place`. See docs/run/backup.md.")
    }

    private func lock() throws -> BackupLock {
        if let recipient {
            guard let key = BackupRecipient(recipient) else {
                throw Refusal(
                    .invalid, "This is no recipient of backups.", remedy: "`sallyport key make --recipient` makes one and prints it.",
                    place: "recipient")
            }
            return .recipient(key)
        }
        let passphrase =
            try flags.passphraseFile.map { try BackupFlags.passphrase(from: $0) } ?? options.prompts.secret("Passphrase")
        return .passphrase(try BackupPassphrase.new(passphrase))
    }

    private func warnings(_ summary: BackupSummary) -> [String] {
        withKey
            ? ["It holds the master key: whoever opens it has every secret."]
            : ["It opens together with master key \(summary.origin.keyFingerprint) alone. Keep a copy of that key somewhere else."]
    }
}

/// What a backup holds, as it is shown.
struct BackupView: Encodable {
    var file: String
    var made: Instant
    var release: String
    var node: String
    var schema: Int
    var key: String
    var holdsKey: Bool
    var users: Int64
    var factors: Int64
    var clients: Int64
    var events: Int64
    var rows: Int64
    var size: Int

    init(_ file: String, _ summary: BackupSummary) {
        let origin = summary.origin
        self.file = file
        made = Instant(origin.made)
        (release, node, schema) = (origin.release, origin.node, origin.schemaVersion)
        (key, holdsKey) = (origin.keyFingerprint, origin.holdsKey)
        (users, factors, clients) = (summary.users, summary.factors, summary.clients)
        (events, rows, size) = (origin.head, summary.rows, summary.size)
    }

    func sheet(_ output: Output) -> Sheet {
        var sheet = Sheet()
        sheet.add("Made", Span("\(TimeText.full(made, output.terminal)) on \(node), release \(release), schema \(schema)"))
        sheet.add("Master key", Span("\(key), \(holdsKey ? "in the backup" : "not in the backup")"))
        sheet.add(
            "Holds",
            Span(
                Words.list([
                    Words.count(Int(users), "user"), Words.count(Int(factors), "factor"), Words.count(Int(clients), "client"),
                    Words.count(Int(events), "event"),
                ])))
        return sheet
    }
}

/// One line that is written over, on a terminal alone.
struct ProgressLine: Sendable {
    private let isShown: Bool

    init(_ terminal: Terminal) {
        isShown = terminal.isError
    }

    func show(_ verb: String, _ bytes: Int, _ more: String) {
        show("\(verb) \(bytes >> 20) MiB, \(more)")
    }

    func show(_ verb: String, _ bytes: Int, of all: Int) {
        show("\(verb) \(bytes >> 20) of \(all >> 20) MiB")
    }

    private func show(_ text: String) {
        if isShown { Output.write("\r\u{1B}[K\(text)", STDERR_FILENO) }
    }

    func end() {
        if isShown { Output.write("\r\u{1B}[K", STDERR_FILENO) }
    }
}
