// SPDX-License-Identifier: Apache-2.0
// How long a sync of a large directory takes, and what memory; prints figures, and fails only when they are far off.
// Runs with SALLYPORT_MEASURE=1, as a rule in a release build: SALLYPORT_MEASURE=1 swift test -c release --filter SyncSpeed

import Administration
import Directories
import Foundation
import LoginEngine
import Store
import Testing

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["SALLYPORT_MEASURE"] != nil, "set SALLYPORT_MEASURE=1"))
struct SyncSpeedTests {
    private static let users = 100_000
    private static let groups = 5_000
    /// Of each user.
    private static let memberships = 4

    private func megabytes(_ name: String) -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return (line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) / 1_024
    }

    @Test func aHundredThousandUsersAndFiveThousandGroups() async throws {
        let corp = try await SyncOffice()
        corp.pages.change { script in
            script.users = (0..<Self.users).map { number in
                ScriptedPages.user("user\(number)", id: "3f2504e0-4f89-11d3-9a0c-\(number)") {
                    $0.email = "user\(number)@corp.example"
                    $0.aliases = ["user\(number)@corp.example"]
                }
            }
            script.groups = (0..<Self.groups).map { number in
                let size = Self.users * Self.memberships / Self.groups
                let members = (0..<size).map { "user\((number * 37 + $0 * 191) % Self.users)" }
                return ScriptedPages.group("group\(number)", members, groups: number % 10 == 0 ? [] : ["group\(number - 1)"])
            }
        }
        let before = megabytes("VmRSS")
        var measured: [String] = []
        func measure(_ what: String, seconds most: Int64, _ body: () async throws -> SyncDirectory.Answer) async throws {
            let clock = ContinuousClock()
            var words = ""
            let span = try await clock.measure { words = try await body().counts.words }
            measured.append("\(what): \(span.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1)))), \(words)")
            #expect(span < .seconds(most))
        }
        try await measure("plan", seconds: 60) { try await corp.sync(dry: true) }
        try await measure("first sync", seconds: 120) { try await corp.sync() }
        let statistics = corp.office.records.writer.statistics
        try await measure("second sync, nothing changed", seconds: 20) { try await corp.sync() }
        corp.pages.change { script in
            for number in 0..<10 { script.users[number * 9_000].email = "new\(number)@corp.example" }
        }
        try await measure("sync with ten changes", seconds: 20) { try await corp.sync() }
        print(measured.joined(separator: "\n"))
        print(
            "transactions: \(statistics.groups), \(statistics.microsecondsWriting / max(1, statistics.groups)) µs each; "
                + "memory: \(before) MB before, \(megabytes("VmHWM")) MB at most")
    }
}
