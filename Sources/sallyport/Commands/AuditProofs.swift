// SPDX-License-Identifier: Apache-2.0
// sallyport audit verify, export, anchor, key: the trail as evidence.

import Administration
import ArgumentParser
import Foundation
import Store

extension AuditCommand {
    struct Verify: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prove that no event was changed, removed or reordered.",
            discussion: """
                Exits 1 when one was, and says which. With --anchors it also tells a trail that was put back or written anew from the one that
                was anchored; the file may be a log with such lines in it. With --export it checks an exported file, alone: no node is asked.

                Examples:
                  sallyport audit verify
                  sallyport audit verify --anchors /mnt/elsewhere/anchors
                  sallyport audit verify --export trail.jsonl --key RzN0c2vgbTvUcjZy3GVf6f2pXjk3cGZ4dH1yb0xkS2E
                """)

        @Option(help: ArgumentHelp("Compare with the anchors in this file; - is standard input.", valueName: "file"), completion: .file())
        var anchors: String?
        @Option(help: ArgumentHelp("Check this exported file instead.", valueName: "file"), completion: .file()) var export: String?
        // A key may begin with a dash.
        @Option(parsing: .unconditional, help: ArgumentHelp("What audit key printed, kept elsewhere.", valueName: "key")) var key: String?
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            if let export {
                guard anchors == nil else {
                    throw Refusal(.invalid, "--export checks a file, --anchors the node's trail.", remedy: "Use one of them.")
                }
                return try await verify(export: export, options.output)
            }
            let node = try await NodeConnection.open(options)
            defer { node.close() }
            try await run(node, options.output)
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let lines = try anchors.map { try AnchorFile(path: $0).lines() }
            if let anchors, lines?.isEmpty == true {
                throw Refusal(
                    .invalid, "There is no anchor in this file.", remedy: "`sallyport audit anchor FILE` writes one.", place: anchors)
            }
            let answer = try await node.perform(VerifyTrail(anchors: lines, key: key))
            try output.show(answer, warnings: Self.warnings(answer)) { answer in
                let erased = answer.erased == 0 ? "" : ", \(answer.erased) with erased personal fields"
                let removed = answer.removed == 0 ? "" : "; retention removed those up to \(answer.removed)"
                if answer.isIntact {
                    output.done("The trail is intact: \(Words.count(answer.events, "event"))\(erased)\(removed).")
                } else {
                    var table = Table([.init("EVENT", isRight: true), .init("FINDING"), .init("WHAT", isFlexible: true)])
                    for finding in answer.findings {
                        table.rows.append([Span("\(finding.sequence)"), Span(finding.kind, .bad), Span(finding.text)])
                    }
                    output.lines(table.lines(output.terminal))
                }
                Self.tellOfAnchors(answer, file: anchors, output)
            }
            guard answer.isIntact else {
                throw Refusal(
                    .failed,
                    "The trail was edited: \(Words.count(answer.findings.count, "finding")) in \(Words.count(answer.events, "event")).",
                    remedy: "Keep a copy of the data directory as it is, and compare with a backup.")
            }
        }

        private static func tellOfAnchors(_ answer: VerifyTrail.Answer, file: String?, _ output: Output) {
            guard let last = answer.lastAnchor else {
                return output.line("It was never anchored: nothing would tell an older copy of the database from this one.")
            }
            let own = answer.anchors - answer.givenAnchors
            let ours = "\(Words.count(own, "anchor")) of the node itself"
            let place =
                file.map { file in
                    let source = SafeText.line(file == "-" ? "standard input" : file)
                    let beside = own == 0 ? "" : " and \(ours)"
                    let given = Words.count(answer.givenAnchors, "anchor")
                    return "The trail agrees with \(given) of \(source)\(beside). The newest anchor given is"
                } ?? "The trail agrees with \(ours), the newest"
            let behind = answer.unanchored == 0 ? "nothing was written since" : "\(Words.count(answer.unanchored, "event")) since"
            output.line("\(place) of \(TimeText.full(last.at, output.terminal)) at event \(last.sequence); \(behind).")
        }

        private static func warnings(_ answer: VerifyTrail.Answer) -> [String] {
            guard !answer.unreadableLines.isEmpty else { return [] }
            let lines = Words.list(answer.unreadableLines.prefix(5).map { "\($0)" })
            return ["\(Words.count(answer.unreadableLines.count, "line")) of the anchors cannot be read or were edited: \(lines)."]
        }

        /// Needs nothing but the file; a node that runs here is asked for its key only to compare.
        private func verify(export path: String, _ output: Output) async throws {
            let check = try ExportedFile.check(path)
            var isKnown = false
            if let key {
                guard key.trimmingCharacters(in: .whitespacesAndNewlines) == check.manifest.key else {
                    throw Refusal(
                        .failed, "The file is signed by another key, \(check.manifest.key).",
                        remedy: "Trust it only if you know that key; `sallyport audit key` lists those of a node.", place: path)
                }
                isKnown = true
            } else if let node = await NodeConnection.running(options), let own = try? await node.perform(ShowTrailKey()) {
                isKnown = ([own.key] + own.earlier).contains(check.manifest.key)
            }
            let manifest = check.manifest
            let warning =
                isKnown ? [] : ["Whose key that is was not checked: compare it with what `sallyport audit key` prints, or give --key."]
            try output.show(manifest, warnings: warning) { manifest in
                output.done(
                    "The file is as it was exported \(TimeText.full(manifest.at, output.terminal)): \(Words.count(manifest.events, "event")), \(manifest.filter)."
                )
                output.line("Signed by \(manifest.key).")
            }
        }
    }

    struct Export: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print events as JSON lines or CSV, newest first.",
            discussion: """
                The last line is a signature: `sallyport audit verify --export FILE` proves later, anywhere, that nothing was changed.
                What was erased of a person is not in it.

                Examples:
                  sallyport audit export --since 30d > trail.jsonl
                  sallyport audit export --format csv --kind login --user alice > alice.csv
                """)

        @OptionGroup var flags: EventFlags
        @Option(help: ArgumentHelp("json or csv.", valueName: "format")) var format: ExportFormat = .json
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = ExportTrail(events: try flags.request(limit: 1), format: format)
            repeat {
                let answer = try await node.perform(request)
                Output.write(answer.text, STDOUT_FILENO)
                request.step = answer.step
            } while request.step != nil
        }
    }

    struct Anchor: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Append a signed line that names the trail's end to a file.",
            discussion: """
                Keep that file where whoever could edit the database cannot: `audit verify --anchors FILE` then tells a trail that was cut,
                written anew or put back. The setting audit.anchor-file does it every minute.

                Examples:
                  sallyport audit anchor /mnt/elsewhere/anchors
                  sallyport audit anchor - | ssh backup 'cat >> anchors'
                """)

        @Argument(
            help: ArgumentHelp("The file, outside of the data directory; - is standard output.", valueName: "file"), completion: .file())
        var file: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let target = AnchorFile(path: file)
            try target.check(outside: try options.location().dataDirectory)
            let anchor = try await node.perform(AnchorTrail())
            try target.append(anchor.line)
            guard file != "-" else { return }
            try output.show(anchor) { output.done("Anchored the trail at event \($0.sequence) in \(file).") }
        }
    }

    struct Key: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the public key that anchors and exports are checked with.",
            discussion: """
                It is no secret: keep a copy elsewhere, so that nobody can give you another one.

                Example:
                  sallyport audit key
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ShowTrailKey())) { answer in
                output.line(answer.key)
                if output.terminal.isOutput {
                    output.line(Span("trail \(answer.chain)", .soft))
                    for key in answer.earlier { output.line(Span("earlier: \(key)", .soft)) }
                }
            }
        }
    }
}

extension ExportFormat: ExpressibleByArgument {}

/// An exported file, checked without anything else.
struct ExportedFile {
    var manifest: ExportManifest

    /// Every line but the last is hashed, the last one says what must come out.
    static func check(_ path: String) throws -> ExportedFile {
        var hash = ExportHash()
        var last: [UInt8]?
        try TextLines.read(path) { line in
            if let last { hash.take(line: last) }
            last = Array(line)
        }
        guard let last, let manifest = ExportManifest(in: String(decoding: last, as: UTF8.self)) else {
            throw Refusal(
                .failed, "The file does not end with a signature, or with an edited one.",
                remedy: "It was cut, edited, or not written by `sallyport audit export`.", place: path)
        }
        guard manifest.hash == hash.text else {
            throw Refusal(
                .failed, "The file was changed after it was exported \(manifest.at): its lines are not those that were signed.",
                remedy: "Keep it as it is, and export those events again.", place: path)
        }
        return ExportedFile(manifest: manifest)
    }
}
