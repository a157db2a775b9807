// SPDX-License-Identifier: Apache-2.0
// Tables, times, QR codes and refusals as a terminal and a pipe get them.

import Administration
import Foundation
import LoginEngine
import Testing

@testable import sallyport

@Suite struct CommandOutputTests {
    private let colored = Terminal(
        isInput: true, isOutput: true, isError: true, hasColor: true, hasErrorColor: true, width: 30, isUTF8: true)

    private var table: Table {
        var table = Table([.init("NAME", isFlexible: true), .init("COUNT", isRight: true), .init("EMPTY"), .init("STATE")])
        table.rows.append([Span("alice", .strong), "1", .none, .status("active")])
        table.rows.append(["名前", "200", .none, .status("disabled")])
        return table
    }

    @Test func pipeGetsAlignedPlainTextWithoutTabsAndEmptyColumns() {
        #expect(table.lines(.pipe) == ["NAME   COUNT  STATE", "alice      1  active", "名前     200  disabled"])
    }

    @Test func terminalGetsColors() {
        let lines = table.lines(colored)
        #expect(lines[1] == "\u{1B}[1malice\u{1B}[0m      1  \u{1B}[32mactive\u{1B}[0m")
    }

    @Test func narrowTerminalCutsTheFlexibleColumn() {
        var table = Table([.init("NAME", isFlexible: true), .init("STATE")])
        table.rows.append(["a-very-long-name-of-a-user@example.org", "active"])
        #expect(table.lines(colored).last == "a-very-long-name-of-a…  active")
        #expect(table.lines(.pipe).last == "a-very-long-name-of-a-user@example.org  active")
    }

    @Test func namesCannotSteerTheTerminal() {
        #expect(Span("a\u{1B}[31mb\nc\u{202E}d").text == "a·[31mb·c·d")
        #expect(SafeText.width("日本") == 4)
        #expect(SafeText.cut("日本語", to: 4) == "日…")
    }

    @Test func linesAreBrokenAtBlanks() {
        #expect(SafeText.wrapped("one two three four five six", to: 24, indent: "  ") == "one two three four five\n  six")
        #expect(SafeText.wrapped("one two", to: nil) == "one two")
    }

    @Test func colorsAreChosenAsAsked() {
        #expect(Terminal.color(.auto, isTerminal: true, [:]))
        #expect(!Terminal.color(.auto, isTerminal: true, ["NO_COLOR": "1"]))
        #expect(Terminal.color(.auto, isTerminal: true, ["NO_COLOR": ""]))
        #expect(!Terminal.color(.auto, isTerminal: true, ["TERM": "dumb"]))
        #expect(!Terminal.color(.auto, isTerminal: false, [:]))
        #expect(Terminal.color(.always, isTerminal: false, ["NO_COLOR": "1"]))
        #expect(!Terminal.color(.never, isTerminal: true, [:]))
    }

    @Test func qrCodeHasItsFindersAndQuietZone() throws {
        let code = try #require(QRCode("otpauth://totp/Sallyport:alice?secret=GEZDGNBVGY3TQOJQ"))
        for (row, column) in [(0, 0), (0, code.size - 7), (code.size - 7, 0)] {
            #expect(code.isDark(row, column) && code.isDark(row + 3, column + 3) && !code.isDark(row + 1, column + 1))
        }
        #expect(!code.isDark(-1, 0))
        let lines = code.lines(colored)
        #expect(lines.count == (code.size + 2 * QRCode.quietZone + 1) / 2)
        #expect(lines[0] == "\u{1B}[38;5;16;48;5;231m" + String(repeating: " ", count: code.size + 8) + "\u{1B}[0m")
        let plain = code.lines(.pipe)
        #expect(plain[0] == String(repeating: "█", count: code.size + 8))
        #expect(Set(lines.map { $0.count }).count == 1)
    }

    @Test func timesAreReadAsTyped() throws {
        let now = Timestamp(seconds: 1_795_262_591)
        let zone = try #require(TimeZone(identifier: "Europe/Berlin"))
        #expect(TimeText.parse("2h", now: now)?.timestamp == now - .seconds(7200))
        #expect(TimeText.parse("today", now: now, zone: zone)?.description == "2026-11-20T23:00:00.000Z")
        #expect(TimeText.parse("2026-07-01 12:00", now: now, zone: zone)?.description == "2026-07-01T10:00:00.000Z")
        #expect(TimeText.parse("soon", now: now) == nil)
        #expect(TimeText.relative(now - .seconds(61), now: now) == "1 minute ago")
        #expect(TimeText.relative(now + .seconds(7200), now: now) == "in 2 hours")
    }

    @Test func refusalsHaveTheirExitCodes() {
        let codes: [(Refusal.Kind, Int32)] = [
            (.invalid, 64), (.missing, 1), (.conflict, 1), (.unavailable, 69), (.configuration, 78), (.failed, 1),
        ]
        for (kind, code) in codes { #expect(Refusal(kind, "").exitCode == code) }
        #expect(Refusal(.missing, "No user `a`.", remedy: "Look.").text(.pipe) == "Error: No user `a`.\n       Look.\n")
    }

    @Test func wrongUserIsToldTheCommand() {
        let refusal = NodeConnection.wrongUser(
            "/var/lib/x", owner: 0, isRunning: false, arguments: ["/usr/bin/sallyport", "user", "add", "it's"])
        #expect(
            refusal.description
                == "No node runs on /var/lib/x, and only user root, who owns it, may work on the data there. Run: sudo -u root sallyport user add 'it'\\''s'"
        )
    }

    @Test func cellsAreSafeInASpreadsheet() {
        #expect(EventCSV.quoted("=1+1") == "'=1+1")
        #expect(EventCSV.quoted("a,\"b\"") == "\"a,\"\"b\"\"\"")
    }
}
