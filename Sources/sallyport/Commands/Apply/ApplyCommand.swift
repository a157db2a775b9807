// SPDX-License-Identifier: Apache-2.0
// sallyport apply and export: channels, directories, clients, groups and policies as one file.

import Administration
import ArgumentParser
import Foundation
import LoginEngine

struct ApplyCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Bring channels, directories, clients, groups and policies to what a file says.",
        discussion: """
            All of it is written at once, or nothing. Sections that are not in the file stay untouched; within a section nothing is
            removed without --prune, which asks first.

            Examples:
              sallyport apply -f company.yaml --dry-run
              sallyport apply -f company.yaml
              sallyport export | sallyport apply -f - --dry-run
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: ArgumentHelp("The file; - for standard input.", valueName: "file"))
    var file: String
    @Flag(help: "Print the differences, and write nothing.") var dryRun = false
    @Flag(help: "Remove what the file's sections do not name.") var prune = false
    @Flag(help: "Leave members out whom nobody knows; else they are an error.") var skipUnknownMembers = false
    @OptionGroup var confirmation: Confirmation
    @OptionGroup var options: GlobalOptions

    func run(_ node: NodeConnection, _ output: Output) async throws {
        let bytes = file == "-" ? try Prompts.readAll(limit: YAMLBounds.mostBytes) : try TextFile.read(file, limit: YAMLBounds.mostBytes)
        let document = ApplyFile(fileName: file == "-" ? "standard input" : file, secret: { try Self.secret($0, warn: output.warn) })
        let request = ApplyBlueprint(
            blueprint: try document.read(bytes), isDryRun: dryRun, prunes: prune, skipsUnknownMembers: skipUnknownMembers)
        if prune, !dryRun, !confirmation.isYes { try await confirmRemovals(request, node, output) }
        let answer = try await node.perform(request)
        try output.show(answer, warnings: answer.warnings) { Self.show($0, output) }
    }

    private func confirmRemovals(_ request: ApplyBlueprint, _ node: NodeConnection, _ output: Output) async throws {
        var trial = request
        trial.isDryRun = true
        let removals = try await node.perform(trial).differences.filter { $0.action == .remove }
        guard !removals.isEmpty else { return }
        output.warn("It removes \(Words.list(removals.map { "\($0.kind) \($0.name)" })).")
        try options.prompts.confirm("Remove \(removals.count == 1 ? "it" : "them")?", isYes: false)
    }

    /// A secret is read where the command runs, by whoever runs it.
    private static func secret(_ source: ApplyFile.Secret, warn: (String) -> Void) throws -> SecretText {
        switch source {
        case .variable(let name):
            guard let text = ProcessInfo.processInfo.environment[name], !text.isEmpty else {
                throw Refusal(.invalid, "The environment variable \(SafeText.line(name)) is not set.", remedy: "Set it for this command.")
            }
            return SecretText(text)
        case .document(let path): return SecretText(try ChannelFlags.authorities(path))
        case .file(let path):
            var bytes = try TextFile.read(path, limit: Prompts.longestLine)
            while bytes.last == 0x0A || bytes.last == 0x0D { bytes.removeLast() }
            guard !bytes.contains(0x0A), String(validating: bytes, as: UTF8.self) != nil else {
                throw Refusal(.invalid, "The file must hold the secret alone, one line of text.", place: path)
            }
            ClientSecretSource.warnIfOthersRead(path, warn)
            return SecretText(Secret(bytes))
        }
    }

    private static func show(_ answer: ApplyBlueprint.Answer, _ output: Output) {
        let color = output.terminal.hasColor
        for difference in answer.differences {
            let (mark, tone, words): (String, Tone, String) =
                switch difference.action {
                case .add: ("+", .good, "")
                case .change: ("~", .warn, "")
                case .remove: ("-", .bad, "")
                case .missing: ("?", .soft, " is not in the file; --prune would remove it")
                }
            output.line(tone.paint("\(mark) \(difference.kind) \(SafeText.line(difference.name))", color) + words)
            for field in difference.fields { output.line("    " + SafeText.line(text(field))) }
        }
        let count = answer.differences.count { $0.action != .missing }
        if count == 0 {
            output.done(answer.differences.isEmpty ? "No differences." : "Nothing to change.")
        } else if answer.isDryRun {
            output.done("\(Words.count(count, "change")); nothing was written.")
        } else {
            output.done("\(Words.count(count, "change")), written.")
        }
    }

    private static func text(_ field: ApplyBlueprint.Field) -> String {
        switch (field.before, field.after) {
        case (let before?, let after?): "\(field.name): \(before) → \(after)"
        case (nil, let after?): "\(field.name): + \(after)"
        case (let before?, nil): "\(field.name): - \(before)"
        case (nil, nil): field.name == "secret" ? "secret: changed" : field.name
        }
    }
}

struct ExportCommand: NodeCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Print channels, directories, clients, groups and policies as a file for apply.",
        discussion: """
            Secrets are not in it: `secret: { keep: true }` leaves them as they are.

            Example:
              sallyport export > company.yaml
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ node: NodeConnection, _ output: Output) async throws {
        let answer = try await node.perform(ExportBlueprint())
        if output.isJSON {
            try output.json(answer)
        } else {
            Output.write(answer.blueprint.yaml, 1)
            for warning in answer.warnings { output.warn(warning) }
        }
    }
}
