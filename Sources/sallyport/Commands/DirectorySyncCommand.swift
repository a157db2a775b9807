// SPDX-License-Identifier: Apache-2.0
// sallyport directory sync: the plan of a sync, and the sync.

import Administration
import ArgumentParser
import Foundation
import LoginEngine
import Synchronization

extension DirectoryCommand {
    struct Sync: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take over the users and groups of a directory.",
            discussion: """
                Who is gone there, or outside of the filter, is disabled here and their sessions end; nobody is removed. A sync that would disable more
                than 10 % of the directory's users is refused without --yes. A user of this server is never taken over unasked: --adopt names one.

                Examples:
                  sallyport directory sync corp --dry-run
                  sallyport directory sync corp
                  sallyport directory sync corp --adopt alice --adopt bob
                """)

        @Argument(help: "The directory's name.") var name: String
        @Flag(help: "Show what would be done, and do nothing.") var dryRun = false
        @Flag(name: [.customLong("yes"), .customShort("y")], help: "Do it, however much it takes away.") var isConfirmed = false
        @Option(
            name: .customLong("adopt"),
            help: ArgumentHelp("A user of this server who becomes the directory's; can be repeated.", valueName: "user"))
        var adopting: [String] = []
        @Option(help: ArgumentHelp("How many of each kind are shown, as a rule 10.", valueName: "count")) var limit =
            SyncDirectory.standardLimit
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let watch = output.isJSON ? nil : await SyncWatch.start(name, options, output)
            defer { watch?.end() }
            let answer = try await node.perform(
                SyncDirectory(
                    name: name, isDryRun: dryRun, isConfirmed: isConfirmed, adopting: adopting, limit: limit))
            watch?.end()
            try output.show(answer, warnings: answer.warnings) { show($0, output) }
            // The plan would be refused.
            if answer.objection != nil { throw ExitCode(2) }
        }

        private func show(_ answer: SyncDirectory.Answer, _ output: Output) {
            let counts = answer.counts
            output.line(
                Span("\(answer.directory): ", .strong),
                Span("\(Words.count(counts.users, "user")) and \(Words.count(counts.groups, "group")) in the directory."))
            for (title, actions, total) in [
                ("Disable", ["disable"], counts.disabled), ("Enable", ["enable"], counts.enabled), ("Change", ["change"], counts.changed),
                ("Add", ["add"], counts.added), ("Add group", ["add-group"], counts.groupsAdded),
                ("Change group", ["change-group"], counts.groupsChanged), ("Empty group", ["empty-group"], counts.groupsEmptied),
                ("Members", ["members"], 0),
            ] {
                let steps = answer.steps.filter { actions.contains($0.action) }
                guard !steps.isEmpty else { continue }
                output.heading(total > 0 ? "\(title) (\(total))" : title)
                for step in steps {
                    let differences = step.differences.isEmpty ? "" : "  " + step.differences.joined(separator: ", ")
                    output.line(Span("  " + SafeText.line(step.name), .strong), Span(SafeText.line(differences)))
                }
                if total > steps.count { output.line("  and \(total - steps.count) more") }
            }
            if !answer.faults.isEmpty {
                output.heading("Left alone (\(counts.faults))")
                for fault in answer.faults {
                    output.line(Span("  " + SafeText.line(fault.entry), .warn), Span(": " + SafeText.line(fault.message)))
                }
                if counts.faults > answer.faults.count { output.line("  and \(counts.faults - answer.faults.count) more") }
            }
            output.line()
            if counts.passedOver > 0 {
                output.line("\(Words.count(counts.passedOver, "user")) disabled there and unknown here: not added.")
            }
            if let objection = answer.objection {
                output.line(Span("Would be refused without --yes: ", .bad), Span(objection))
            }
            let time = answer.milliseconds < 1_000 ? "\(answer.milliseconds) ms" : "\(answer.milliseconds / 1_000) s"
            if answer.isDryRun {
                output.line("Nothing was done: \(counts.words) (\(time)). Without --dry-run it is done.")
            } else {
                output.done("Synced \(answer.directory): \(counts.words) (\(time)).")
            }
        }
    }
}

/// Says on a terminal how far the node is, each second, over a connection of its own.
private final class SyncWatch: Sendable {
    private let deadlines = Deadlines(now: NodeClock.now)
    private let node: NodeConnection
    private let name: String
    private let hasEnded = Ended()

    /// Nil where nobody watches.
    static func start(_ name: String, _ options: GlobalOptions, _ output: Output) async -> SyncWatch? {
        guard output.terminal.isError, let node = await NodeConnection.running(options) else { return nil }
        let watch = SyncWatch(name, node)
        watch.deadlines.start()
        watch.schedule()
        return watch
    }

    private init(_ name: String, _ node: NodeConnection) {
        self.name = name
        self.node = node
    }

    private func schedule() {
        deadlines.schedule(at: NodeClock.now().uptime + .seconds(1)) { [weak self] _ in
            Task { await self?.look() }
        }
    }

    private func look() async {
        guard let progress = try? await node.perform(ShowSyncProgress(name: name)) else { return }
        hasEnded.unlessSo {
            guard let phase = progress.phase else { return }
            let count = progress.of > 0 ? "\(progress.done) of \(progress.of)" : progress.done > 0 ? "\(progress.done)" : ""
            Output.write("\r\u{1B}[K\(phase) \(count)", FileHandle.standardError.fileDescriptor)
        }
        schedule()
    }

    func end() {
        hasEnded.make {
            Output.write("\r\u{1B}[K", FileHandle.standardError.fileDescriptor)
            deadlines.stop()
            node.close()
        }
    }
}

/// What is not done any more once something has ended.
private final class Ended: Sendable {
    private let isSo = Mutex(false)

    func unlessSo(_ body: () -> Void) {
        isSo.withLock { if !$0 { body() } }
    }

    func make(_ body: () -> Void) {
        isSo.withLock { isSo in
            guard !isSo else { return }
            isSo = true
            body()
        }
    }
}
