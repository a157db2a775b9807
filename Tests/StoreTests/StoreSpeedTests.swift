// SPDX-License-Identifier: Apache-2.0
// How fast marks and events are written and logins are read; prints figures, and fails only when they are far off.
// Runs with SALLYPORT_MEASURE=1, in a release build: SALLYPORT_MEASURE=1 swift test -c release --filter StoreSpeed

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["SALLYPORT_MEASURE"] != nil, "set SALLYPORT_MEASURE=1"))
struct StoreSpeedTests {
    private func users(_ kind: TestDatabases, _ count: Int, in folder: TemporaryFolder) async throws -> Records {
        let records = try Records(
            try kind.open(in: folder), key: .file(folder.path + "/master.key"), at: start, options: Records.Options())
        let secret = Secret(utf8: "12345678901234567890")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<64 {
                group.addTask {
                    for number in stride(from: lane, to: count, by: 64) {
                        var user = NewUser(name: "user\(number)", key: "user\(number)", created: start)
                        user.passwordHash = Secret(
                            utf8: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
                        let id = try await records.addUser(user, event: Event(.userAdded, at: start))
                        let factor = NewFactor(user: id, kind: .hotp, label: "token", secret: secret, created: start)
                        _ = try await records.addFactor(factor, event: Event(.factorAdded, at: start))
                    }
                }
            }
            try await group.waitForAll()
        }
        records.close()
        var options = Records.Options()
        options.runsWriter = false
        return try Records(
            try kind.open(in: folder), key: .file(folder.path + "/master.key"), at: start, options: options)
    }

    @Test(arguments: TestDatabases.all, [1_000, 20_000]) func settlingAndLoading(_ kind: TestDatabases, count: Int) async throws {
        let folder = TemporaryFolder()
        let records = try await users(kind, count, in: folder)
        defer { records.close() }
        let lookups = (0..<count).map { LoginLookup(nameKey: "user\($0)", handle: nil) }
        for batch in [1, 16] {
            let began = Date()
            var read = 0
            while read < 40_000 {
                let from = read % (count - batch)
                let facts = try records.load(Array(lookups[from..<from + batch]), at: start)
                #expect(facts[0].factors.count == 1)
                read += batch
            }
            print("\(kind): load, \(count) users, \(batch) a call: \(Date().timeIntervalSince(began) / Double(read) * 1e6) µs a login")
        }
        let facts = try lookups.prefix(1_000).map { try records.load([$0], at: start)[0] }
        for size in [1, 64, 256] {
            let groups = size == 1 ? 4_000 : 40_000 / size
            var done = 0
            let outcomes = Collected<SettlementOutcome>()
            let began = Date()
            for group in 0..<groups {
                for position in 0..<size {
                    let number = (group * size + position) % facts.count
                    let fact = facts[number]
                    guard let user = fact.user else { continue }
                    let login = LoginID(Bits128(high: UInt64(group), low: UInt64(position)))
                    let counter = Int64(size) * 1_000_000 + Int64(group * size + position)
                    records.settle(
                        Settlement(
                            decision: RecordedDecision(
                                login: login, isAccept: true, at: start, request: Fingerprint(login.bits), retry: Fingerprint(login.bits)),
                            user: user.id, marks: [.hotp(factor: fact.factors[0].id, counter: counter)], handle: nil,
                            event: Event(
                                .loginAccepted, at: start, login: login, user: user.id, client: 1, source: NetworkAddress(v4: 0x7F00_0001),
                                details: [.init("requirement", "factor"), .init("factor", "hotp")],
                                subject: PersonalFields([.init("name", user.name)])))
                    ) { outcome in
                        if outcome != .done { outcomes.add(outcome) }
                    }
                }
                records.writer.commitNow()
                done += size
            }
            let seconds = Date().timeIntervalSince(began)
            print("\(kind): settle, \(count) users, \(size) a group: \(Int(Double(done) / seconds)) a second")
            #expect(outcomes.all.isEmpty)
        }
        var began = Date()
        var events = 0
        while try records.index.fillSome(upTo: records.chain.head.seq, atLeast: 1) { events += 1 }
        print("\(kind): index: \(Date().timeIntervalSince(began)) s for \(records.chain.head.seq) lines")
        began = Date()
        let report = try records.verifyChain()
        print("\(kind): verify: \(Date().timeIntervalSince(began)) s for \(report.events) lines; \(report.isIntact)")
        #expect(report.isIntact)
    }
}
