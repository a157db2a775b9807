// SPDX-License-Identifier: Apache-2.0
// Hashes of local users, and the pool they are checked on.

import Directories
import Dispatch
import LoginEngine
import Synchronization
import Testing

@Suite struct Argon2idTests {
    /// Cheap on purpose: what is tested is the format, not the cost.
    let cheap = Argon2id(memoryKiB: 64, passes: 1, lanes: 1)

    @Test func aPasswordIsRightAgainstItsOwnHashAndNoOther() throws {
        let hash = try cheap.hash(Secret(utf8: "correct horse"), salt: Array(repeating: 7, count: 16))
        #expect(try Argon2id.verify(Secret(utf8: "correct horse"), against: hash))
        #expect(try !Argon2id.verify(Secret(utf8: "correct horsf"), against: hash))
        #expect(try !Argon2id.verify(Secret([]), against: hash))
    }

    /// Computed by the reference library's own command: `printf password | argon2 somesaltsomesalt -id -t 1 -k 64 -p 1 -l 32 -e`.
    @Test func theHashIsWhatTheReferenceComputes() throws {
        let hash = try cheap.hash(Secret(utf8: "password"), salt: Array("somesaltsomesalt".utf8))
        #expect(hash.revealText() == Self.reference)
    }

    static let reference = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$55PWTvddWPUD1GMbKxSff4ASfF85k9ibHJt4HlHQtBM"

    /// The memory of one hash serves the next, also with another size, and a wrong password after a right one is still wrong.
    @Test func keptMemoryChangesNoVerdict() throws {
        let larger = Argon2id(memoryKiB: 4_096, passes: 1, lanes: 1)
        let hash = try larger.hash(Secret(utf8: "right"), salt: Array(repeating: 3, count: 16))
        for _ in 0..<3 {
            #expect(try Argon2id.verify(Secret(utf8: "right"), against: hash))
            #expect(try !Argon2id.verify(Secret(utf8: "wrong"), against: hash))
            #expect(try !Argon2id.verify(Secret(utf8: "wrong"), against: Secret(utf8: Self.reference)))
            #expect(try Argon2id.verify(Secret(utf8: "password"), against: Secret(utf8: Self.reference)))
        }
    }

    @Test(arguments: [
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$55PWTvddWPUD1GMbKxSff4ASfF85k9ibHJt4HlHQtBM",
        "$argon2id$v=19$m=64,t=1$c29tZXNhbHRzb21lc2FsdA$55PWTvddWPUD1GMbKxSff4ASfF85k9ibHJt4HlHQtBM",
        "$argon2id$v=19$m=-64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$55PWTvddWPUD1GMbKxSff4ASfF85k9ibHJt4HlHQtBM",
        "$argon2id$v=19$m=99999999999,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$55PWTvddWPUD1GMbKxSff4ASfF85k9ibHJt4HlHQtBM",
        "$argon2id$v=19$m=64,t=1,p=1$$55PWTvddWPUD1GMbKxSff4ASfF85k9ibHJt4HlHQtBM",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$???",
    ])
    func aHashThatLacksAPartOpensNothing(text: String) {
        #expect(throws: Argon2Error.self) { try Argon2id.verify(Secret(utf8: "password"), against: Secret(utf8: text)) }
    }

    @Test(arguments: ["", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$", "$2b$10$abc", "plain"])
    func whatIsNoHashIsAnErrorAndNeverRight(text: String) {
        #expect(throws: Argon2Error.self) { try Argon2id.verify(Secret(utf8: "x"), against: Secret(utf8: text)) }
    }
}

@Suite struct LocalPasswordSourceTests {
    private let cheap = Argon2id(memoryKiB: 64, passes: 1, lanes: 1)

    private func source(_ pool: BlockingPool) throws -> LocalPasswordSource {
        try LocalPasswordSource(
            pool: pool, cost: cheap, nobodysPassword: Secret(utf8: "nobody's"), salt: Array(repeating: 9, count: 16))
    }

    private let gateway = Client(
        id: 1, settings: ClientSettings(name: "gw", addresses: [AddressRange(NetworkAddress(v4: 1))], secret: Secret(utf8: "s")))

    private func check(_ source: LocalPasswordSource, _ password: String, _ user: User?) async -> PasswordVerdict {
        await withCheckedContinuation { continuation in
            let request = LoginRequest(
                door: .radius, client: gateway, name: user?.name ?? "nobody", proof: .plaintext(Secret(utf8: password)),
                source: NetworkAddress(v4: 1), fingerprint: Fingerprint(Bits128(high: 0, low: 1)))
            source.check(Secret(utf8: password), of: user, for: request, answering: nil) { continuation.resume(returning: $0) }
        }
    }

    @Test func rightWrongNobodyAndNoPassword() async throws {
        let pool = BlockingPool(name: "test", threads: 2, queueLimit: 8)
        defer { pool.stop() }
        let source = try source(pool)
        let hash = try cheap.hash(Secret(utf8: "pw"), salt: Array(repeating: 7, count: 16))
        let alice = User(id: 1, name: "alice", status: .active, passwordHash: hash)
        let bob = User(id: 2, name: "bob", status: .active, passwordHash: nil)
        #expect(await check(source, "pw", alice) == .right)
        #expect(await check(source, "pv", alice) == .wrong)
        #expect(await check(source, "pw", nil) == .wrong)
        #expect(await check(source, "nobody's", nil) == .wrong, "even the password of the dummy hash opens nothing")
        #expect(await check(source, "nobody's", bob) == .wrong)
        #expect(!source.countsElsewhere)
    }

    @Test func aHashThatIsDamagedIsNoFailureOfTheUser() async throws {
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 8)
        defer { pool.stop() }
        let damaged = User(id: 1, name: "alice", status: .active, passwordHash: Secret(utf8: "damaged"))
        guard case .unreachable(let why) = await check(try source(pool), "pw", damaged) else {
            Issue.record("a damaged hash was judged")
            return
        }
        #expect(!why.contains("damaged"), "the hash itself is not shown")
    }
}

@Suite struct BlockingPoolTests {
    @Test func whatFindsNoRoomIsRefusedAtOnce() {
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 2)
        let (started, gate, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let ran = Atomic<Int>(0)
        #expect(
            pool.run {
                started.signal()
                gate.wait()
                ran.add(1, ordering: .relaxed)
            })
        started.wait()
        #expect(pool.run { ran.add(1, ordering: .relaxed) })
        #expect(
            pool.run {
                ran.add(1, ordering: .relaxed)
                ended.signal()
            })
        #expect(!pool.run { ran.add(100, ordering: .relaxed) })
        #expect(pool.load.waiting == 2)
        gate.signal()
        ended.wait()
        #expect(ran.load(ordering: .relaxed) == 3)
        pool.stop()
        #expect(!pool.run {})
    }

    @Test func whatWaitedTooLongIsNotBegun() {
        let clock = Atomic<Int64>(0)
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 8, patience: .seconds(4)) {
            Timestamp(microseconds: clock.load(ordering: .relaxed))
        }
        defer { pool.stop() }
        let (started, gate, told) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        #expect(
            pool.run {
                started.signal()
                gate.wait()
            })
        started.wait()
        let early = Mutex<Int?>(-1)
        let late = Mutex<Int?>(-1)
        let first = pool.run({ 1 }, completion: { value in late.withLock { $0 = value } })
        clock.store(4_000_000, ordering: .relaxed)
        let second = pool.run({ 2 }) { value in
            early.withLock { $0 = value }
            told.signal()
        }
        #expect(first && second)
        clock.store(4_000_001, ordering: .relaxed)
        gate.signal()
        told.wait()
        #expect(late.withLock { $0 } == nil, "it waited longer than its gateway does")
        #expect(early.withLock { $0 } == 2)
    }

    @Test func whoIsLessPatientIsNotServedLate() {
        let clock = Atomic<Int64>(0)
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 8, patience: .seconds(4)) {
            Timestamp(microseconds: clock.load(ordering: .relaxed))
        }
        defer { pool.stop() }
        let (started, gate, told) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        #expect(
            pool.run {
                started.signal()
                gate.wait()
            })
        started.wait()
        let values = Mutex<[Int?]>([])
        for patience in [Timestamp.Span.seconds(1), .seconds(60)] {
            let isTaken = pool.run(within: patience) {
                1
            } completion: { value in
                values.withLock { $0.append(value) }
                told.signal()
            }
            #expect(isTaken)
        }
        clock.store(2_000_000, ordering: .relaxed)
        gate.signal()
        told.wait()
        told.wait()
        #expect(values.withLock { $0 } == [nil, 1])
        #expect(pool.shedCount == 1)
    }

    @Test func whatWouldWaitTooLongIsRefused() {
        let clock = Atomic<Int64>(0)
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 100, patience: .seconds(4)) {
            Timestamp(microseconds: clock.load(ordering: .relaxed))
        }
        defer { pool.stop() }
        // One piece that takes a second teaches the pool how long it takes.
        let ended = DispatchSemaphore(value: 0)
        let teaches = pool.run({ clock.add(1_000_000, ordering: .relaxed).newValue }) { _ in ended.signal() }
        #expect(teaches)
        ended.wait()
        let (started, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        defer { gate.signal() }
        #expect(
            pool.run {
                started.signal()
                gate.wait()
            })
        started.wait()
        let taken = (0..<10).map { _ in pool.run {} }
        #expect(taken == Array(repeating: true, count: 5) + Array(repeating: false, count: 5))
    }

    @Test func whoBringsThousandsWaitsForItself() {
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 4)
        defer { pool.stop() }
        let (started, gate, told) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        #expect(
            pool.run {
                started.signal()
                gate.wait()
            })
        started.wait()
        let order = Mutex<[String]>([])
        func submit(_ name: String, of asker: Int64) -> Bool {
            pool.run(for: asker) {
                true
            } completion: { value in
                order.withLock { $0.append(value == nil ? "\(name) given up" : name) }
                told.signal()
            }
        }
        for index in 1...4 { #expect(submit("crowd \(index)", of: 1)) }
        #expect(!submit("crowd 5", of: 1), "there is no room")
        #expect(submit("other", of: 2), "room is made")
        told.wait()
        gate.signal()
        for _ in 0..<4 { told.wait() }
        #expect(order.withLock { $0 } == ["crowd 4 given up", "crowd 1", "other", "crowd 2", "crowd 3"])
        #expect(pool.shedCount == 2)
    }

    @Test func aPoolThatStopsTellsWhatWaitsAndEndsWhatRuns() {
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 8)
        let (started, gate, told) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let ran = Mutex<Int?>(nil)
        let waited = Mutex<Int?>(-1)
        let running = pool.run {
            started.signal()
            gate.wait()
            return 1
        } completion: { value in
            ran.withLock { $0 = value }
            told.signal()
        }
        started.wait()
        let waiting = pool.run({ 2 }) { value in
            waited.withLock { $0 = value }
            told.signal()
        }
        #expect(running && waiting)
        pool.stop()
        told.wait()
        #expect(waited.withLock { $0 } == nil)
        gate.signal()
        told.wait()
        #expect(ran.withLock { $0 } == 1)
    }

    @Test func memoryIsGivenBackWhenNothingIsToDo() {
        let idle = DispatchSemaphore(value: 0)
        let pool = BlockingPool(name: "test", threads: 1, queueLimit: 8, whenIdle: { idle.signal() })
        defer { pool.stop() }
        #expect(pool.run {})
        #expect(idle.wait(timeout: .now() + .seconds(20)) == .success)
    }
}
