// SPDX-License-Identifier: Apache-2.0
// First and second factors whose answers a test gives.

package import LoginEngine
internal import Synchronization

/// Passwords as a table; checks wait until the test lets them go, when it wants to.
package final class ScriptedPasswords: PasswordSource {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var checks: [String] = []
        var directories: [Int64?] = []
        var holdsBack = false
        var question: SourceQuestion?
        var person: DirectoryPerson?
    }

    private let state = Mutex(State())
    private let table: Mutex<[Int64: String]>
    private var passwords: [Int64: String] { table.withLock { $0 } }
    package let countsElsewhere: Bool

    package init(_ passwords: [Int64: String], countsElsewhere: Bool = false) {
        table = Mutex(passwords)
        self.countsElsewhere = countsElsewhere
    }

    /// Names of those who were checked, `nobody` for names that nobody has: one entry per bind.
    package var checks: [String] { state.withLock { $0.checks } }

    /// Where each of them was sent; nil: here.
    package var directories: [Int64?] { state.withLock { $0.directories } }

    /// What a directory takes of names that nobody has here.
    package static let strangersPassword = "their own horse"

    /// What a directory asks names that nobody has here, behind the password. The right answer is the password again.
    package func askStrangers(_ question: SourceQuestion) { state.withLock { $0.question = question } }

    package func take(password: String, of user: Int64) { table.withLock { $0[user] = password } }

    /// What the directory of whoever is right says of them.
    package func know(_ person: DirectoryPerson) { state.withLock { $0.person = person } }

    package func holdBack(_ holds: Bool) {
        let waiting = state.withLock { state in
            defer { if !holds { state.waiting = [] } }
            state.holdsBack = holds
            return holds ? [] : state.waiting
        }
        for go in waiting { go() }
    }

    package func check(
        _ password: Secret, of user: User?, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void
    ) {
        let isRight =
            user.map { user in
                let known = user.id < 0 ? Self.strangersPassword : passwords[user.id]
                return known.map { Secret(utf8: $0) } == password
            } ?? false
        let verdict = state.withLock { state -> PasswordVerdict? in
            state.checks.append(user?.name ?? "nobody")
            state.directories.append(user?.directory)
            var verdict: PasswordVerdict = isRight ? .right : .wrong
            if isRight, thread == nil, let user, user.id < 0, let question = state.question { verdict = .asks(question) }
            if isRight, user?.directory != nil, let person = state.person { verdict = .rightOf(person) }
            guard state.holdsBack else { return verdict }
            state.waiting.append { [verdict] in completion(verdict) }
            return nil
        }
        if let verdict { completion(verdict) }
    }

    /// Of everybody in the table the password itself is kept.
    package func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        state.withLock { $0.checks.append(user?.name ?? "nobody") }
        guard let user else { return completion(.wrong, nil) }
        guard let password = passwords[user.id] else { return completion(.notKept, nil) }
        let candidate = PasswordCandidate.text(Secret(utf8: password))
        proof.fits(candidate) ? completion(.right, candidate) : completion(.wrong, nil)
    }
}

/// Codes that are right are in a table: code → step.
package struct ScriptedCodes: SecondFactor {
    package let kind: FactorKind
    private let codes: [String: Int64]

    package init(kind: FactorKind = .totp, _ codes: [String: Int64]) {
        self.kind = kind
        self.codes = codes
    }

    package var beginning: FactorBeginning { .typed }
    package var keyword: String? { nil }

    package func isWellFormed(_ text: String, for factor: Factor) -> Bool {
        text.utf8.count == 6 && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    package func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict {
        codes[text].map { .right(.totp(factor: factor.id, step: $0)) } ?? .wrong
    }

    package func codes(for factor: Factor, at now: Moment) -> [LiveCode] {
        codes.sorted { $0.value < $1.value }.map { LiveCode($0.key, .totp(factor: factor.id, step: $0.value)) }
    }

    package func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {}
    package func cancel(_ login: LoginID) {}
}

/// A phone: remembers what was asked, answers when the test says so.
package final class ScriptedPhone: SecondFactor {
    private struct State {
        var asked: [(login: LoginID, answer: @Sendable (FactorAnswer) -> Void)] = []
        var cancelled: [LoginID] = []
        var startCount = 0
    }

    private let state = Mutex(State())
    private let life: Timestamp.Span

    package init(life: Timestamp.Span = .seconds(60)) {
        self.life = life
    }

    package var kind: FactorKind { .push }
    package var beginning: FactorBeginning { .waits(life) }
    package var keyword: String? { "push" }
    package var startCount: Int { state.withLock { $0.startCount } }
    package var cancelled: [LoginID] { state.withLock { $0.cancelled } }

    package func isWellFormed(_ text: String, for factor: Factor) -> Bool { false }
    package func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict { .malformed }

    package func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {
        state.withLock { state in
            state.startCount += 1
            state.asked.append((start.login, answer))
        }
    }

    package func cancel(_ login: LoginID) {
        state.withLock { $0.cancelled.append(login) }
    }

    /// Answers the push that was asked last.
    package func answer(_ reply: FactorAnswer) {
        let answer = state.withLock { $0.asked.popLast()?.answer }
        answer?(reply)
    }
}
