// SPDX-License-Identifier: Apache-2.0
// Every port of the engine, of which the n-th call fails, whichever port it is of.

package import LoginEngine
internal import Synchronization

package final class PortFailures: Sendable {
    package enum Manner: Sendable, CaseIterable {
        /// It says that it could not.
        case fails
        /// It never calls back.
        case isSilent
        /// It did what was asked, and says that it could not.
        case lies
    }

    private struct State {
        var calls = 0
        var failed: String?
    }

    package let manner: Manner
    private let failing: Int
    private let state = Mutex(State())

    /// - Parameter failing: the call that fails, from 1.
    package init(at failing: Int, _ manner: Manner) {
        self.failing = failing
        self.manner = manner
    }

    /// The call that failed; nil while none has.
    package var failed: String? { state.withLock { $0.failed } }

    fileprivate func isNext(_ call: String) -> Bool {
        state.withLock { state in
            state.calls += 1
            if state.calls == failing { state.failed = call }
            return state.calls == failing
        }
    }
}

/// Records, passwords and handles.
package struct FailingPorts: LoginRecords, PasswordSource, HandleSeal {
    let records: any LoginRecords
    let passwords: any PasswordSource
    let seal: any HandleSeal
    let failures: PortFailures

    package func load(_ lookups: [LoginLookup], at now: Timestamp) throws(NoAnswer) -> [LoginFacts] {
        if failures.isNext("load") { throw .databaseUnavailable }
        return try records.load(lookups, at: now)
    }

    package func settle(_ settlement: Settlement, completion: @escaping @Sendable (SettlementOutcome) -> Void) {
        guard failures.isNext("settle") else { return records.settle(settlement, completion: completion) }
        switch failures.manner {
        case .fails: completion(.failed(.databaseUnavailable))
        case .isSilent: break
        case .lies: records.settle(settlement) { _ in completion(.failed(.databaseUnavailable)) }
        }
    }

    package func suspend(_ login: SuspendedLogin, event: Event, completion: @escaping @Sendable (NoAnswer?) -> Void) {
        guard failures.isNext("suspend") else { return records.suspend(login, event: event, completion: completion) }
        switch failures.manner {
        case .fails: completion(.databaseUnavailable)
        case .isSilent: break
        case .lies: records.suspend(login, event: event) { _ in completion(.databaseUnavailable) }
        }
    }

    package func remember(_ afterthought: Afterthought) {
        if !failures.isNext("remember") { records.remember(afterthought) }
    }

    package var countsElsewhere: Bool { passwords.countsElsewhere }

    package func check(
        _ password: Secret, of user: User?, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void
    ) {
        guard failures.isNext("check") else {
            return passwords.check(password, of: user, for: request, answering: thread, completion: completion)
        }
        switch failures.manner {
        case .fails: completion(.unreachable("planted"))
        case .isSilent: break
        case .lies: completion(.overloaded)
        }
    }

    package func match(
        _ proof: HashedProof, of user: User?, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        guard failures.isNext("match") else { return passwords.match(proof, of: user, for: request, completion: completion) }
        switch failures.manner {
        case .fails: completion(.unreachable("planted"), nil)
        case .isSilent: break
        case .lies: completion(.overloaded, nil)
        }
    }

    package func text(of handle: HandleID) -> String { failures.isNext("text") ? "" : seal.text(of: handle) }
    package func open(_ text: String) -> HandleID? { failures.isNext("open") ? nil : seal.open(text) }

    package func digest(_ parts: [[UInt8]]) -> Fingerprint {
        // Equal for whatever it is asked: the worst that a broken one can say.
        failures.isNext("digest") ? Fingerprint(Bits128(high: 0, low: 0)) : seal.digest(parts)
    }
}

package struct FailingFactor: SecondFactor {
    let factor: any SecondFactor
    let failures: PortFailures

    init(_ factor: any SecondFactor, _ failures: PortFailures) {
        self.factor = factor
        self.failures = failures
    }

    package var kind: FactorKind { factor.kind }
    package var beginning: FactorBeginning { factor.beginning }
    package var keyword: String? { factor.keyword }

    package func isWellFormed(_ text: String, for factor: Factor) -> Bool { self.factor.isWellFormed(text, for: factor) }

    package func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict {
        guard failures.isNext("verify") else { return self.factor.verify(text, for: factor, at: now) }
        return failures.manner == .fails ? .malformed : .wrong
    }

    package func codes(for factor: Factor, at now: Moment) -> [LiveCode] {
        failures.isNext("codes") ? [] : self.factor.codes(for: factor, at: now)
    }

    package func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {
        guard failures.isNext("start") else { return factor.start(start, answer: answer) }
        switch failures.manner {
        case .fails: answer(.failed("planted"))
        case .isSilent: break
        case .lies: factor.start(start) { _ in answer(.failed("planted")) }
        }
    }

    package func cancel(_ login: LoginID) { factor.cancel(login) }
}
