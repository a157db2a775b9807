// SPDX-License-Identifier: Apache-2.0
// Time-based codes of apps and hardware tokens, RFC 6238.

package import LoginEngine
internal import OTP

package struct TOTPFactor: SecondFactor {
    /// Steps to either side of the token's learnt clock.
    package static let window = 1

    package init() {}

    package var kind: FactorKind { .totp }
    package var beginning: FactorBeginning { .typed }
    package var keyword: String? { nil }

    package func isWellFormed(_ text: String, for factor: Factor) -> Bool {
        OTPCode.normalized(text)?.utf8.count == factor.digits
    }

    package func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict {
        guard let code = OTPCode.normalized(text), code.utf8.count == factor.digits else { return .malformed }
        guard let totp = token(of: factor)?.totp else { return .wrong }
        guard let step = totp.match(code, at: now.wall.seconds, window: Self.window, drift: factor.drift) else { return .wrong }
        return .right(.totp(factor: factor.id, step: used(step, of: factor, by: totp) ?? step))
    }

    /// The step that was used last, where it has the same code as this one: what was used just now is not taken for the code of another step.
    private func used(_ step: Int64, of factor: Factor, by totp: TOTP) -> Int64? {
        let last = factor.highestUsed
        let reach = 2 * Int64(Self.window)
        guard last != step, last >= step - reach, last <= step + reach, let code = totp.code(step: step) else { return nil }
        return totp.code(step: last) == code ? last : nil
    }

    package func codes(for factor: Factor, at now: Moment) -> [LiveCode] {
        guard let totp = token(of: factor)?.totp else { return [] }
        let centre = totp.step(at: now.wall.seconds) + Int64(factor.drift)
        // The likeliest first.
        return (0...Int64(Self.window)).flatMap { $0 == 0 ? [centre] : [centre - $0, centre + $0] }.compactMap { step in
            totp.code(step: step).map { LiveCode($0, .totp(factor: factor.id, step: used(step, of: factor, by: totp) ?? step)) }
        }
    }

    private func token(of factor: Factor) -> Token? {
        factor.derived.value {
            guard let key = try? factor.secret.reveal({ try OTPKey($0) }) else { return nil }
            return (try? TOTP(key: key, algorithm: factor.algorithm.otp, digits: factor.digits, period: factor.period)).map { Token($0) }
        }
    }

    /// With its key taken in; kept with the factor.
    private final class Token: Sendable {
        let totp: TOTP
        init(_ totp: TOTP) { self.totp = totp }
    }

    package func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {}
    package func cancel(_ login: LoginID) {}
}

extension CodeAlgorithm {
    var otp: OTPAlgorithm {
        switch self {
        case .sha1: .sha1
        case .sha256: .sha256
        case .sha512: .sha512
        }
    }
}
