// SPDX-License-Identifier: Apache-2.0
// sallyport restore: a data directory from a backup.

import Administration
import ArgumentParser
import ControlDoor
import Foundation
import Glibc
import LoginEngine
import Store

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make a data directory from a backup.",
        discussion: """
            Into a directory without a database, as the user that will run the node. What was used since the backup was
            made cannot be known, so nothing that could have been used opens: TOTP codes of this moment, one code of a
            HOTP token (it asks for two in a row), recovery codes, and logins that wait for a code.

            Examples:
              sallyport restore nightly.backup --dry-run --identity backup.identity
              sallyport restore nightly.backup --data-dir /var/lib/sallyport --key-file /media/safe/master.key
              sallyport restore --in-place
            """)

    @Argument(help: ArgumentHelp("The backup.", valueName: "file"), completion: .file()) var file: String?
    @Flag(help: "The database was put back by other means (pg_restore, a snapshot): void what may have been used since.")
    var inPlace = false
    @Flag(help: "Make nothing: try all of it in a temporary directory, and say what it would bring back.") var dryRun = false
    @Flag(help: "Leave recovery codes valid, although some may have been used since.") var keepRecoveryCodes = false
    @OptionGroup var flags: BackupFlags
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard (file == nil) == inPlace else { throw ValidationError("Name a backup, or use --in-place where no file is to be read.") }
        if inPlace, dryRun { throw ValidationError("--in-place has no --dry-run.") }
    }

    func run() async throws {
        guard let file else { return try await openEpochInPlace() }
        let output = options.output
        let settings = try options.location().settings
        try BackupCommand.requireFile(settings)
        let reader = try flags.open(file, options)
        let trial = dryRun ? try TrialFolder() : nil
        defer { trial?.remove() }
        let directory: DataDirectory
        do throws(StoreError) {
            directory = try DataDirectory.open(trial?.path ?? settings.dataDirectory)
        } catch {
            throw error.whenLocked("Restore into an empty directory (--data-dir), or stop the node and move its directory away.")
        }
        defer { directory.close() }
        var restore = Restore(by: Peer.own(node: NodeLocation.nodeName), now: { NodeClock.now().wall })
        restore.keepsRecoveryCodes = keepRecoveryCodes
        restore.keys = try flags.masterKeys()
        let progress = ProgressLine(output.terminal)
        restore.progress = { progress.show("restored", $0, of: $1) }
        let source = try keySource(settings, directory, isTrial: trial != nil, &restore)
        let report = try await restore.run(reader, into: directory, key: source, at: NodeClock.now().wall)
        progress.end()
        let names = try await broughtBack(report, directory, source)
        let view = RestoreView(
            file: file, dataDirectory: dryRun ? nil : directory.path, backup: BackupView(file, report.summary), epoch: report.epoch,
            schema: report.schema, voidRecoveryCodes: report.voidRecoveryCodes, counters: report.counters, broughtBack: names,
            next: dryRun ? [] : Self.next(in: directory.path))
        try output.show(view) { view in
            output.done(dryRun ? "The backup can be restored; nothing was made." : "Restored into \(directory.path), epoch \(view.epoch).")
            output.lines(view.backup.sheet(output).lines(output.terminal))
            output.line()
            for line in view.sentences(output.terminal) + view.next {
                output.line(SafeText.wrapped(line, to: output.terminal.width, indent: ""))
            }
        }
    }

    /// Under the lock of the data directory: a node that answers knows nothing of it.
    private func openEpochInPlace() async throws {
        let settings = try options.location().settings
        let store: OpenedStore
        do throws(StoreError) {
            store = try OpenedStore.open(settings, creating: false)
        } catch {
            throw error.whenLocked("Stop the node first: a running one would go on with what it remembers.")
        }
        defer { store.close() }
        let now = NodeClock.now().wall
        let restore = Restore(by: Peer.own(node: NodeLocation.nodeName), now: { now })
        let epoch = try await store.records.openEpoch(
            made: now, from: nil, keepsRecoveryCodes: keepRecoveryCodes, at: now, event: restore.event)
        let done = Done(
            "Epoch \(epoch.number): \(Words.count(epoch.voidRecoveryCodes, "recovery code")) void, "
                + "\(Words.count(epoch.counters, "HOTP token")) asked for two codes in a row.",
            warnings: ["For a minute behind the next start codes of authenticator apps are refused, since they may have been used."])
        try options.output.show(done)
    }

    /// What whoever restored does next.
    static func next(in directory: String) -> [String] {
        let place = "--data-dir \(Words.argument(directory))"
        return [
            "", "Next:", "  Start it: sallyport serve \(place) (or your service).",
            "  For the first minute codes of authenticator apps are refused, since they may have been used.",
            "  A HOTP token asks for two codes in a row.",
            "  See that a copy of its master key is elsewhere: sallyport key confirm-copy FILE \(place)",
            "  Make a backup: sallyport backup FILE \(place)",
        ]
    }

    /// A trial leaves the node's own key where it is, and may use it.
    private func keySource(
        _ settings: Settings, _ directory: DataDirectory, isTrial: Bool, _ restore: inout Restore
    ) throws -> MasterKeySource {
        let environment = ProcessInfo.processInfo.environment
        guard isTrial else { return try OpenedStore.keySource(settings.masterKeySource, directory.keyPath, environment) }
        if let own = try? OpenedStore.keySource(settings.masterKeySource, settings.dataDirectory + "/master.key", environment) {
            restore.keys += ((try? MasterKey.load(own)) ?? nil) ?? []
        }
        return .file(directory.keyPath)
    }

    private func broughtBack(_ report: RestoreReport, _ directory: DataDirectory, _ source: MasterKeySource) async throws -> [String] {
        let records = try Records.open(in: directory, key: source, at: NodeClock.now().wall)
        defer { records.close() }
        let operations = Operations(
            records: records, ports: Operations.Ports(hashPassword: { $0 }, now: { NodeClock.now().wall }))
        return try operations.broughtBack(since: report.summary.origin.made)
    }
}

struct RestoreView: Encodable {
    var file: String
    var dataDirectory: String?
    var backup: BackupView
    var epoch: Int64
    var schema: Int
    var voidRecoveryCodes: Int
    var counters: Int
    var broughtBack: [String]
    var next: [String]

    private enum CodingKeys: String, CodingKey {
        case file, dataDirectory, backup, epoch, schema, voidRecoveryCodes, counters, broughtBack
    }

    func sentences(_ terminal: Terminal) -> [String] {
        var lines = ["Whatever was changed since \(TimeText.full(backup.made, terminal)) is undone."]
        lines += broughtBack.map { $0.prefix(1).uppercased() + $0.dropFirst() + "." }
        if backup.schema < schema { lines.append("The database was brought from schema \(backup.schema) to \(schema).") }
        if voidRecoveryCodes > 0 {
            lines.append(
                "\(Words.count(voidRecoveryCodes, "recovery code is", "recovery codes are")) void: make new ones for those who need them.")
        }
        if counters > 0 { lines.append("\(Words.count(counters, "HOTP token")) will be asked for two codes in a row.") }
        return lines
    }
}

/// A private folder for a trial, which goes with everything in it.
private struct TrialFolder {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/sallyport-trial-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Refusal(.unavailable, "No temporary directory can be made: \(String(cString: strerror(errno))).")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }
}
