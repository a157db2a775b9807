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

    private func check(_ source: LocalPasswordSource, _ password: String, _ user: User?) async -> PasswordVerdict {
        await withCheckedContinuation { continuation in
            source.check(Secret(utf8: password), of: user) { continuation.resume(returning: $0) }
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
}
