// SPDX-License-Identifier: Apache-2.0
// What the node does for its trail every minute, with a clock that the test moves by years.

import Foundation
import Logging
import LoginEngine
import Testing

@testable import Store
@testable import sallyport

@Suite struct TrailKeeperTests {
    private static let start = Timestamp(seconds: 1_767_225_600)

    private static func day(_ number: Int64) -> Timestamp { start + .minutes(number * 24 * 60) }

    /// A node's records and its keeper, with settings of the test.
    private func withKeeper(_ yaml: String, _ body: (Records, TrailKeeper, String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sallyport-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let directory = try DataDirectory.open(path + "/data")
        defer { directory.close() }
        let records = try Records.open(in: directory, key: .file(directory.keyPath), at: Self.start)
        defer { records.close() }
        let settings = try Settings.read(flags: ["data-directory": path + "/data"], yaml: yaml.replacing("PATH", with: path))
        let keeper = TrailKeeper(records: records, settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await body(records, keeper, path)
    }

    private func write(_ count: Int, _ records: Records, at time: Timestamp) async throws {
        for _ in 0..<count { try await records.append(Event(.loginRejected, at: time, user: 1)) }
        try await records.housekeeping(at: time)
    }

    @Test func eventsGoAfterThirteenMonthsWhenTheClockIsTrusted() async throws {
        try await withKeeper("") { records, keeper, _ in
            try await write(5, records, at: Self.start)
            try await write(4, records, at: Self.day(2))
            try await write(3, records, at: Self.day(400))
            func minute(_ minutes: Int64, _ uptime: Int64) async throws -> Int64 {
                await keeper.everyMinute(
                    at: Moment(wall: Self.day(404) + .minutes(minutes), uptime: Timestamp(seconds: uptime * 60)))
                return try records.trailExtent().base
            }
            // 404 days: what was written on the first day is older than 403, what came two days later is not.
            #expect(try await minute(0, 0) == 0)
            #expect(try await minute(59, 59) == 0)
            #expect(try await minute(61, 61) == 5)
            let told = try records.events(EventFilter(limit: 1))[0].event
            #expect(told.kind == .trailCut && told.details == [.init("from", "1"), .init("to", "5")])
            // A clock that jumps by ten years removes nothing.
            #expect(try await minute(5_256_000, 180) == 5)
            #expect(try await minute(5_256_030, 210) == 5)
            #expect(try await minute(240, 240) == 5)
            #expect(try records.verifyChain().isIntact)
        }
    }

    @Test func anEditedEventIsToldAndPassed() async throws {
        try await withKeeper("") { records, keeper, _ in
            for day in [0, 1, 2, 400] as [Int64] { try await write(3, records, at: Self.day(day)) }
            let edit = Statement(SQL(composed: "UPDATE event_group SET at_last = at_last - 1 WHERE first_seq = 2"), [])
            #expect(try records.database.write([Unit([edit])], closing: { _ in [] })[0].isDone)
            for minute in [0, 61] as [Int64] {
                await keeper.everyMinute(at: Moment(wall: Self.day(406) + .minutes(minute), uptime: Timestamp(seconds: minute * 60)))
            }
            #expect(try records.trailExtent().base == 9)
            let told = try records.events(EventFilter(limit: 3)).map(\.event)
            #expect(told.map(\.kind) == [.trailCut, .trailCut, .trailCut])
            #expect(told.map(\.reason) == [nil, "lines-edited", nil])
            #expect(told.map(\.details).map { $0.map(\.value) } == [["3", "9"], ["2", "2"], ["1", "1"]])
            let findings = try records.verifyChain().findings
            #expect(findings.map(\.lines) == [2...2])
        }
    }

    @Test func forEverIsForEver() async throws {
        try await withKeeper("audit: { keep: for-ever }") { records, keeper, _ in
            try await write(5, records, at: Self.start)
            for minute in [0, 61, 200] as [Int64] {
                await keeper.everyMinute(at: Moment(wall: Self.day(40_000) + .minutes(minute), uptime: Timestamp(seconds: minute * 60)))
            }
            #expect(try records.trailExtent().base == 0)
        }
    }

    @Test func fileOfAnchorsThatIsMissingIsWrittenAsSoonAsItCanBe() async throws {
        try await withKeeper("audit: { anchor-file: PATH/elsewhere/anchors }") { records, keeper, path in
            func minute(_ number: Int64) async -> [Substring] {
                await keeper.everyMinute(at: Moment(wall: Self.start + .minutes(number), uptime: Timestamp(seconds: number * 60)))
                return ((try? String(contentsOfFile: path + "/elsewhere/anchors", encoding: .utf8)) ?? "").split(separator: "\n")
            }
            try await write(1, records, at: Self.start)
            #expect(await minute(1) == [])
            try FileManager.default.createDirectory(atPath: path + "/elsewhere", withIntermediateDirectories: false)
            // Nothing was written since, and the file does not have it yet.
            #expect(await minute(2).count == 1)
            #expect(await minute(3).count == 1)
            try await write(1, records, at: Self.start)
            let lines = await minute(4)
            #expect(lines.count == 2)
            let anchors = lines.compactMap { Anchor(in: $0) }
            #expect(anchors.map(\.seq) == [1, 2])
            #expect(try records.verifyChain(anchors: anchors.map { PlacedAnchor($0, line: 1) }).isIntact)
        }
    }

    @Test func settingsOfTheTrailAreChecked() throws {
        func read(_ yaml: String) throws -> Settings { try Settings.read(yaml: yaml) }
        let standard = try read("")
        #expect(standard.auditAnchorFile == nil && standard.auditLargestSize == nil && standard.auditKeep == .minutes(403 * 24 * 60))
        #expect(try read("audit: { keep: 90 days }").auditKeep == .minutes(90 * 24 * 60))
        #expect(try read("audit: { keep: 1year, largest-size: 20 GiB }").auditLargestSize == 20 << 30)
        for wrong in [
            "keep: 0 days", "keep: soon", "keep: -1 days", "largest-size: 20", "largest-size: 0 MiB", "anchor-file: anchors",
            "anchor-file: /var/lib/sallyport/anchors", "anchor-file: /var/lib/sallyport/x/../anchors",
        ] {
            #expect(throws: SettingsError.self, "\(wrong)") { try read("audit: { \(wrong) }") }
        }
    }
}
