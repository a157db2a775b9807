// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import LoginEngine
import Synchronization
import Testing

@testable import sallyport

@Suite struct LogLineTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
        private let kept = Mutex<LogOutput?>(nil)

        /// One for all, so that `text` can wait for what is queued.
        var output: LogOutput {
            kept.withLock { kept in
                if let kept { return kept }
                let made = LogOutput { [weak self] line in
                    self?.all.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
                }
                kept = made
                return made
            }
        }

        var text: String {
            output.flush(seconds: 30)
            return all.withLock { $0.joined() }
        }
    }

    private func logger(_ lines: Lines, _ style: LogStyle, level: Logger.Level = .info) -> Logger {
        Logger(label: "radius") { label in
            LineLogHandler(label: label, level: level, style: style, output: lines.output) {
                Timestamp(microseconds: 1_795_261_060_007_000)
            }
        }
    }

    @Test func aTextLineHasTheLoginFirst() {
        let lines = Lines()
        var logger = logger(lines, .text(coloured: false))
        logger[metadataKey: "client"] = "vpn"
        logger.warning("rejected", metadata: ["zone": "a b", "reason": "wrong-code", "login": "3f"])
        #expect(lines.text == "2026-11-21T11:37:40.007Z warning  radius: rejected  login=3f client=vpn reason=wrong-code zone=\"a b\"\n")
    }

    @Test func databaseThatFailsIsToldOnceAndItsReturnOnce() {
        let lines = Lines()
        let database = DatabaseLog(logger: logger(lines, .text(coloured: false)))
        for error in [nil, "full: x", "full: x", "full: x", nil, nil, "connection lost: y"] { database.note(error) }
        let told = lines.text.split(separator: "\n").map { $0.dropFirst(25) }
        #expect(
            told == [
                "error    radius: the database cannot be written, so nobody is let in: full: x",
                "notice   radius: the database can be written again",
                "error    radius: the database cannot be written, so nobody is let in: connection lost: y",
            ])
    }

    @Test func aTerminalGetsColours() {
        let lines = Lines()
        logger(lines, .text(coloured: true)).error("x")
        #expect(lines.text.contains("\u{1B}[1;31merror\u{1B}[0m"))
    }

    @Test func aJSONLineIsOneObject() throws {
        let lines = Lines()
        logger(lines, .json).info(
            "say \"hi\"\n", metadata: ["login": "3f", "message": "other", "list": ["a", "b"], "map": ["k": "v"], "n": "\(5)"])
        let text = lines.text
        #expect(text.hasSuffix("}\n"))
        #expect(text.split(separator: "\n").count == 1)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["time"] as? String == "2026-11-21T11:37:40.007Z")
        #expect(object["level"] as? String == "info")
        #expect(object["label"] as? String == "radius")
        #expect(object["message"] as? String == "say \"hi\"\n")
        #expect(object["message_"] as? String == "other")
        #expect(object["list"] as? [String] == ["a", "b"])
        #expect(object["map"] as? [String: String] == ["k": "v"])
        #expect(object["n"] as? String == "5")
    }

    @Test(arguments: ["a\nb", "a\r\nb", "\u{1B}[2Jx", "a\u{85}b", "a\u{2028}b", "a\u{202E}b", "\u{0}", "tab\tq\"=\\"])
    func aHostileNameStaysInItsLine(name: String) throws {
        for style in [LogStyle.text(coloured: false), .json] {
            let lines = Lines()
            logger(lines, style).info("\(name)", metadata: ["user": "\(name)", "\(name)": "x"])
            let scalars = lines.text.unicodeScalars
            #expect(scalars.filter { $0 == "\n" }.count == 1)
            #expect(
                !scalars.dropLast().contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || (0x2028...0x202E).contains($0.value) }
            )
            if style == .json { _ = try JSONSerialization.jsonObject(with: Data(lines.text.utf8)) }
        }
    }

    @Test func whatIsNamedASecretIsNotWritten() {
        for style in [LogStyle.text(coloured: false), .json] {
            let lines = Lines()
            logger(lines, style).info("x", metadata: ["password": "hunter2", "deep": ["secret": "hunter2"], "list": [["seed": "hunter2"]]])
            #expect(lines.text.contains("<secret>"))
            #expect(!lines.text.contains("hunter2"))
        }
    }

    @Test func linesBelowTheLevelAreLeftOut() {
        let lines = Lines()
        let logger = logger(lines, .json, level: .warning)
        logger.info("x")
        #expect(lines.text.isEmpty)
        logger.warning("x")
        #expect(!lines.text.isEmpty)
    }

    @Test func coloursOnlyWhereTheyAreWanted() {
        #expect(LogStyle(format: .text, environment: [:], terminal: true) == .text(coloured: true))
        #expect(LogStyle(format: .text, environment: [:], terminal: false) == .text(coloured: false))
        #expect(LogStyle(format: .text, environment: ["NO_COLOR": "1"], terminal: true) == .text(coloured: false))
        #expect(LogStyle(format: .text, environment: ["TERM": "dumb"], terminal: true) == .text(coloured: false))
        #expect(LogStyle(format: .json, environment: [:], terminal: true) == .json)
    }

    @Test(arguments: [
        (0, 1970, 1, 1), (59, 1970, 3, 1), (11_016, 2000, 2, 29), (11_017, 2000, 3, 1), (47_540, 2100, 2, 28), (47_541, 2100, 3, 1),
        (-1, 1969, 12, 31),
    ])
    func datesAreGregorian(days: Int, year: Int, month: Int, day: Int) {
        #expect(LogLine.date(daysSince1970: days) == (year, month, day))
    }
}
