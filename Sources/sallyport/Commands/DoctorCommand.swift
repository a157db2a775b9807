// SPDX-License-Identifier: Apache-2.0
// sallyport doctor: what is wrong or will be, and what to do about each.

import Administration
import ArgumentParser
import Foundation
import Glibc

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look for what is wrong, and say what to do about it.",
        discussion: """
            Looks at the clock, ports, files, disk, database, key, clients, users and the running node, and changes nothing. Without
            a running node it looks at the data itself.
            Exits 1 when it finds a problem; with --strict, when it finds a warning. docs/run/doctor.md explains each finding.

            Examples:
              sallyport doctor
              sallyport doctor --json --strict
            """)

    @Flag(help: "Exit 1 for warnings as well.") var strict = false
    @Option(
        help: ArgumentHelp("A time server to compare the clock with; without it the one that this machine is set to.", valueName: "host"))
    var ntp: String?
    @Option(help: ArgumentHelp("How long to look through the database.", valueName: "seconds")) var databaseSeconds = 10
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let report = DoctorReport(try await examine())
        try options.output.show(report) { $0.show(options.output) }
        if report.problems > 0 || (strict && report.warnings > 0) { throw ExitCode(1) }
    }

    /// What stands in the way of one look keeps no other from being taken.
    private func examine() async throws -> [Finding] {
        let settings = Result { () throws(SettingsError) in try options.location().settings }
        let file = Settings.fileInForce(file: options.config)
        var findings = SettingsCheck.findings(settings, file: file)
        findings += await ClockCheck.findings(server: ntp)
        guard case .success(let settings) = settings else { return findings }
        let directory = settings.dataDirectory
        findings += FileCheck.findings(directory, key: settings.masterKeyFile) + DiskCheck.findings(directory)
        do {
            let node = try await NodeConnection.open(options)
            defer { node.close() }
            let answer = try await node.perform(ExamineNode(seconds: databaseSeconds))
            findings += answer.findings
            if node.isRunning {
                findings += SettingsCheck.inForce(settings, bound: answer.radius)
            } else {
                findings += Self.stopped + PortCheck.findings(settings, owner: FileState(directory)?.owner ?? geteuid())
            }
        } catch let refusal as Refusal where refusal.kind != .invalid {
            findings.append(Finding(.dataUnavailable, refusal.place, refusal.message, remedy: refusal.remedy))
            if !NodeConnection.isHeld(directory) {
                findings += Self.stopped + PortCheck.findings(settings, owner: FileState(directory)?.owner ?? geteuid())
            }
        }
        return findings
    }

    private static let stopped = [
        Finding(.nodeStopped, nil, "No node runs on these data.", remedy: "Start it: systemctl start sallyport, or `sallyport serve`")
    ]
}

struct DoctorReport: Encodable {
    var problems: Int
    var warnings: Int
    var notes: Int
    /// The worst first.
    var findings: [Finding]

    /// Where the package puts the pages that remedies name.
    private static let pages = "/usr/share/doc/sallyport"

    init(_ findings: [Finding]) {
        func count(_ severity: Finding.Severity) -> Int { findings.count { $0.severity == severity } }
        (problems, warnings, notes) = (count(.problem), count(.warning), count(.note))
        // In the order in which they were found, within each severity.
        self.findings = Finding.Severity.allCases.reversed().flatMap { severity in findings.filter { $0.severity == severity } }
    }

    func show(_ output: Output) {
        for finding in findings {
            output.line(Span(Self.mark(finding.severity), Self.tone(finding.severity)), Span("  \(finding.kind.rawValue)", .soft))
            write(finding.text, output)
            if let remedy = finding.remedy { write("→ " + remedy, output) }
        }
        output.line()
        if FileManager.default.fileExists(atPath: Self.pages + "/docs") {
            output.line(Span("What is called docs/… lies in \(Self.pages).", .soft))
        }
        output.line(
            Span(
                "\(Words.count(problems, "problem")), \(Words.count(warnings, "warning")), \(Words.count(notes, "note"))",
                problems > 0 ? .bad : warnings > 0 ? .warn : .good))
    }

    private func write(_ text: String, _ output: Output) {
        output.line("         " + SafeText.wrapped(SafeText.line(text), to: output.terminal.width.map { $0 - 9 }, indent: "         "))
    }

    private static func mark(_ severity: Finding.Severity) -> String {
        severity.rawValue.padding(toLength: 7, withPad: " ", startingAt: 0)
    }

    private static func tone(_ severity: Finding.Severity) -> Tone {
        switch severity {
        case .ok: .good
        case .note: .plain
        case .warning: .warn
        case .problem: .bad
        }
    }
}
