// SPDX-License-Identifier: Apache-2.0
// What the pages say exists: links, commands, settings, and the tests that the threat model relies on.

import Administration
import ArgumentParser
import Foundation
import Testing

@testable import sallyport

@Suite struct DocsTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every page by its path from the root: the root's own, and all of docs/.
    static let pages: [String] = {
        let files = FileManager.default
        let top = (try? files.contentsOfDirectory(atPath: root.path)) ?? []
        let docs = (try? files.subpathsOfDirectory(atPath: root.appendingPathComponent("docs").path)) ?? []
        return (top + docs.map { "docs/" + $0 }).filter { $0.hasSuffix(".md") }.sorted()
    }()

    static func text(_ page: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(page), encoding: .utf8)
    }

    @Test func pagesAreFound() {
        #expect(Self.pages.contains("README.md"))
        #expect(Self.pages.contains("docs/start/first-login.md"))
    }

    @Test(arguments: pages) func everyLinkLeadsSomewhere(page: String) throws {
        let folder = Self.root.appendingPathComponent(page).deletingLastPathComponent()
        for link in Page(try Self.text(page)).links where !link.contains("://") && !link.hasPrefix("mailto:") {
            let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let file = parts[0].isEmpty ? Self.root.appendingPathComponent(page) : folder.appendingPathComponent(parts[0])
            guard FileManager.default.fileExists(atPath: file.path) else {
                Issue.record("\(page): \(link) leads nowhere")
                continue
            }
            guard parts.count == 2, let target = try? String(contentsOf: file, encoding: .utf8) else { continue }
            #expect(Page(target).anchors.contains(parts[1]), "\(page): \(link) names no heading")
        }
    }

    @Test(arguments: pages) func everyCommandParses(page: String) throws {
        for block in Page(try Self.text(page)).blocks where block.language == "sh" {
            for arguments in ShellText.commands(named: "sallyport", in: block.lines) {
                do {
                    _ = try Sallyport.parseAsRoot(arguments)
                } catch {
                    guard Sallyport.exitCode(for: error) != .success else { continue }
                    Issue.record("\(page): sallyport \(arguments.joined(separator: " ")): \(Sallyport.message(for: error))")
                }
            }
        }
    }

    @Test(arguments: pages) func everySettingsBlockIsTaken(page: String) throws {
        for block in Page(try Self.text(page)).blocks
        where block.language == "yaml" && block.lines.first != Self.applyFile && block.lines.first != "cases:" {
            #expect(throws: Never.self, "\(page): \(block.lines.first ?? "")") {
                _ = try Settings.read(yaml: block.lines.joined(separator: "\n"), fileName: page)
            }
        }
    }

    /// How an apply file begins; any other YAML is a settings file.
    private static let applyFile = "version: 1"

    @Test(arguments: pages) func everyApplyFileIsTaken(page: String) throws {
        for block in Page(try Self.text(page)).blocks where block.language == "yaml" && block.lines.first == Self.applyFile {
            #expect(throws: Never.self, "\(page)") {
                _ = try ApplyFile(fileName: page, secret: { _ in SecretText("") }).read(Array(block.lines.joined(separator: "\n").utf8))
            }
        }
    }

    @Test(arguments: pages) func everyFileOfCasesIsTaken(page: String) throws {
        for block in Page(try Self.text(page)).blocks where block.language == "yaml" && block.lines.first == "cases:" {
            #expect(throws: Never.self, "\(page)") {
                _ = try PolicyCasesFile(fileName: page).read(Array(block.lines.joined(separator: "\n").utf8))
            }
        }
    }

    @Test func everyKeyOfAnApplyFileIsOnItsPage() throws {
        let text = try Self.text("docs/run/apply.md")
        for key in ApplyFile.directoryKeys + ApplyFile.ldapKeys + ApplyFile.clientKeys + ApplyFile.policyKeys + ApplyFile.conditionKeys
            + ApplyFile.hoursKeys + ["members", "groups", "until", "for"]
        {
            #expect(text.contains("`\(key)`") || text.contains("\(key): "), "docs/run/apply.md lacks \(key)")
        }
    }

    /// A line of the threat model that holds nothing but names in backticks lists tests.
    @Test func everyTestOfTheThreatModelExists() throws {
        let tests = Self.root.appendingPathComponent("Tests")
        let sources = try FileManager.default.subpathsOfDirectory(atPath: tests.path).filter { $0.hasSuffix(".swift") }
        let all = try sources.map { try String(contentsOf: tests.appendingPathComponent($0), encoding: .utf8) }.joined(separator: "\n")
        var count = 0
        for line in try Self.text("docs/security/threat-model.md").split(separator: "\n") where line.hasPrefix("`") {
            let pieces = line.split(separator: "`", omittingEmptySubsequences: false)
            guard pieces.indices.allSatisfy({ !$0.isMultiple(of: 2) || pieces[$0].allSatisfy { ", ".contains($0) } }) else { continue }
            for index in pieces.indices where !index.isMultiple(of: 2) {
                count += 1
                #expect(all.contains("func \(pieces[index])("), "no test \(pieces[index])")
            }
        }
        #expect(count > 50)
    }
}

@Suite struct ShellTextTests {
    @Test func commandsAreFoundWhereverTheyStand() {
        let lines = [
            "sudo -u sallyport sallyport user list   # as its owner",
            "printf '%s\\n' \"$PASSWORD\" | sallyport login alice --password-stdin && echo done",
            "sallyport user set alice \\", "    --phone '+49 30 1234567' > /dev/null", "ask <<END", "sallyport is not a command here",
            "END",
            "A=1 .build/release/sallyport serve; true",
        ]
        #expect(
            ShellText.commands(named: "sallyport", in: lines) == [
                ["user", "list"], ["login", "alice", "--password-stdin"], ["user", "set", "alice", "--phone", "+49 30 1234567"], ["serve"],
            ])
    }
}

/// What is looked at of a page in Markdown.
private struct Page {
    struct Block {
        var language: String
        var lines: [String] = []
    }

    var blocks: [Block] = []
    private var prose: [String] = []

    init(_ text: String) {
        var block: Block?
        for line in text.components(separatedBy: "\n") {
            let bare = line.trimmingCharacters(in: .whitespaces)
            if bare.hasPrefix("```") {
                if let done = block { blocks.append(done) }
                block = block == nil ? Block(language: String(bare.dropFirst(3))) : nil
            } else if block != nil {
                block?.lines.append(line)
            } else {
                prose.append(line)
            }
        }
    }

    var links: [String] {
        prose.joined(separator: "\n").matches(of: /\]\(([^()\s]+)\)/).map { String($0.1) }
    }

    /// The names of its headings in addresses: lower case, without marks, blanks as hyphens.
    var anchors: Set<String> {
        Set(
            prose.filter { $0.hasPrefix("#") }.map { line in
                line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                    .filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }.replacing(" ", with: "-")
            })
    }
}

/// Enough of a shell's grammar for the examples on the pages.
enum ShellText {
    /// The arguments of each call of a program, also behind `sudo`, variables and pipes.
    static func commands(named program: String, in lines: [String]) -> [[String]] {
        var commands: [[String]] = []
        var pending = ""
        var end: String?
        for line in lines {
            if let word = end {
                if line == word { end = nil }
                continue
            }
            if line.hasSuffix("\\") {
                pending += line.dropLast() + " "
                continue
            }
            let whole = pending + line
            pending = ""
            if let here = whole.firstMatch(of: /<<'?([A-Z]+)'?/) { end = String(here.1) }
            commands += simpleCommands(in: whole).compactMap { arguments(of: program, in: $0) }
        }
        return commands
    }

    private static func arguments(of program: String, in words: [String]) -> [String]? {
        var rest = words[...]
        while let word = rest.first, word.firstMatch(of: /^[A-Z_]+=/) != nil { rest.removeFirst() }
        if rest.first == "sudo" {
            rest.removeFirst()
            if rest.first == "-u" { rest.removeFirst(min(2, rest.count)) }
        }
        guard let name = rest.first, name == program || name.hasSuffix("/" + program) else { return nil }
        var arguments: [String] = []
        var isTarget = false
        for word in rest.dropFirst() {
            // A redirection and the file behind it.
            if isTarget {
                isTarget = false
            } else if word == ">" || word == "<" || word == ">>" {
                isTarget = true
            } else {
                arguments.append(word)
            }
        }
        return arguments
    }

    /// The words of each command of one line; quotes are taken away, variables stay as they are.
    private static func simpleCommands(in line: String) -> [[String]] {
        var commands: [[String]] = [[]]
        var word: String?
        var quote: Character?
        var isEscaped = false
        func finish() {
            if let done = word { commands[commands.count - 1].append(done) }
            word = nil
        }
        for character in line {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\\" {
                isEscaped = true
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character == "#", word == nil {
                break
            } else if character == "|" || character == ";" || character == "&" {
                finish()
                commands.append([])
            } else if character.isWhitespace {
                finish()
            } else {
                word = (word ?? "") + String(character)
            }
        }
        finish()
        return commands
    }
}
