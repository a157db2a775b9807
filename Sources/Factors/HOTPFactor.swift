// SPDX-License-Identifier: Apache-2.0
// Counter-based codes of hardware tokens, RFC 4226.

package import LoginEngine
internal import OTP
internal import Synchronization

package struct HOTPFactor: SecondFactor {
    /// Counters ahead of the last used one that are taken at once (RFC 4226 §7.2: the look-ahead window).
    package static let window = 10
    /// Counters ahead where a right code asks for its successor (RFC 4226 §7.4: resynchronisation).
    package static let resynchronisationWindow = 50
    /// How long the successor may take.
    package static let resynchronisationLife: Timestamp.Span = .minutes(10)
    /// Used counters that are recognised, so that a retry is told from a wrong code.
    package static let remembered: Int64 = 2

    /// Counters are 64 bits (RFC 4226 §5.1); half of that leaves room for every window.
    package static let highestCounter = Int64.max / 2

    package init() {}

    package var kind: FactorKind { .hotp }
    package var beginning: FactorBeginning { .typed }
    package var keyword: String? { nil }

    package func isWellFormed(_ text: String, for factor: Factor) -> Bool {
        OTPCode.normalized(text)?.utf8.count == factor.digits
    }

    package func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict {
        guard let code = OTPCode.normalized(text), code.utf8.count == factor.digits else { return .malformed }
        guard let token = token(of: factor) else { return .wrong }
        let hotp = token.hotp
        // A counter at the end of its range is no token's: an editor's or an import's mistake must not stop the node.
        guard factor.highestUsed < Self.highestCounter else { return .wrong }
        func right(_ counter: UInt64) -> CodeVerdict { .right(.hotp(factor: factor.id, counter: Int64(clamping: counter))) }
        let next = UInt64(max(0, factor.highestUsed + 1))
        // Behind a restore the counter may lie behind what was used: then a code shows itself by its successor alone.
        let isProven = factor.unproven.map { factor.highestUsed > $0 } ?? true
        // Two counters of one token may share a code: what was used just now is not taken for the code of a later one.
        let oldest = UInt64(max(0, factor.highestUsed + 1 - Self.remembered))
        func used() -> UInt64? { oldest < next ? token.match(code, among: oldest..<next) : nil }
        if isProven, let counter = hotp.search(code, from: next, window: Self.window) {
            if let counter = used() { return right(counter) }
            token.keep(code, of: counter)
            return right(counter)
        }
        if let wait = factor.resynchronisation, now.wall <= wait.expires, wait.counter >= factor.highestUsed,
            wait.counter < Self.highestCounter,
            let counter = hotp.search(code, from: UInt64(wait.counter + 1), window: 1)
        {
            return right(used() ?? counter)
        }
        if let counter = used() { return right(counter) }
        let near = isProven ? Self.window : 0
        if let counter = hotp.search(code, from: next + UInt64(near), window: Self.resynchronisationWindow - near) {
            return .beyondWindow(
                Factor.Resynchronisation(counter: Int64(clamping: counter), expires: now.wall + Self.resynchronisationLife))
        }
        return .wrong
    }

    /// As `verify`, but for what is beyond the window: a token that is far ahead comes back by a code that is shown.
    package func codes(for factor: Factor, at now: Moment) -> [LiveCode] {
        guard let hotp = token(of: factor)?.hotp, factor.highestUsed < Self.highestCounter else { return [] }
        let next = max(0, factor.highestUsed + 1)
        var counters: [Int64] = []
        if factor.unproven.map({ factor.highestUsed > $0 }) ?? true { counters += next..<next + Int64(Self.window) }
        if let wait = factor.resynchronisation, now.wall <= wait.expires, wait.counter >= factor.highestUsed,
            wait.counter < Self.highestCounter
        {
            counters.append(wait.counter + 1)
        }
        func live(_ counter: Int64) -> LiveCode {
            LiveCode(hotp.code(counter: UInt64(counter)), .hotp(factor: factor.id, counter: counter))
        }
        let used = (max(0, next - Self.remembered)..<next).map(live)
        return counters.map(live).filter { ahead in !used.contains { $0.text == ahead.text } } + used
    }

    private func token(of factor: Factor) -> Token? {
        factor.derived.value {
            guard let key = try? factor.secret.reveal({ try OTPKey($0) }) else { return nil }
            return (try? HOTP(key: key, algorithm: factor.algorithm.otp, digits: factor.digits)).map { Token($0) }
        }
    }

    /// With its key taken in; kept with the factor.
    private final class Token: Sendable {
        let hotp: HOTP
        /// Of the counters that were used last: each login compares with them.
        private let latest = Mutex<[(counter: UInt64, code: UInt32)]>([])

        init(_ hotp: HOTP) { self.hotp = hotp }

        /// The counter whose code this is.
        func match(_ text: String, among counters: Range<UInt64>) -> UInt64? {
            guard let wanted = OTPCode.value(text, digits: hotp.digits) else { return nil }
            return latest.withLock { latest in
                counters.last { counter in
                    let code = latest.first { $0.counter == counter }?.code ?? hotp.value(counter: counter)
                    return code ^ wanted == 0
                }
            }
        }

        func keep(_ text: String, of counter: UInt64) {
            guard let code = OTPCode.value(text, digits: hotp.digits) else { return }
            latest.withLock { latest in
                if latest.count >= HOTPFactor.remembered { latest.removeFirst() }
                latest.append((counter, code))
            }
        }
    }

    package func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {}
    package func cancel(_ login: LoginID) {}
}
