// SPDX-License-Identifier: Apache-2.0
// Recovery codes: ten, each with 80 random bits, in a format that no other code has; kept as keyed hashes.

package import LoginEngine

/// Makes recovery codes and recognises them. A code is accepted wherever a code is, after a right password, once.
package struct RecoveryCodes: Sendable {
    /// How many a set has.
    package static let setSize = 10

    /// HMAC-SHA-256 under a key derived from the master key, held by the store: the hashes alone cannot be searched by guessing.
    private let keyedHash: @Sendable (_ symbols: [UInt8], _ factor: Int64) -> [UInt8]

    /// - Parameter keyedHash: 32 bytes for the sixteen symbols of a code and the factor that it belongs to.
    package init(keyedHash: @escaping @Sendable (_ symbols: [UInt8], _ factor: Int64) -> [UInt8]) {
        self.keyedHash = keyedHash
    }

    /// A fresh set as text: `sp-0abc-1def-2ghj-3kmn`, sixteen characters of Crockford's base 32.
    package static func make(random: inout some RandomNumberGenerator) -> [String] {
        (0..<setSize).map { _ in
            let symbols = (0..<16).map { _ in alphabet[Int(random.next() & 31)] }
            let groups = stride(from: 0, to: 16, by: 4).map { String(String.UnicodeScalarView(symbols[$0..<$0 + 4])) }
            return "sp-" + groups.joined(separator: "-")
        }
    }

    /// What was typed as it was made: case, blanks, hyphens and the letters that are misread do not matter.
    ///
    /// - Returns: the sixteen symbols, or nil when the text is no recovery code.
    package static func symbols(in text: String) -> String? {
        guard text.utf8.count <= 64 else { return nil }
        var symbols = ""
        var rest = Substring(text.lowercased().filter { $0 != " " && $0 != "-" })
        guard rest.hasPrefix("sp") else { return nil }
        rest.removeFirst(2)
        for scalar in rest.unicodeScalars {
            let meant: Unicode.Scalar =
                switch scalar {
                case "o": "0"
                case "i", "l": "1"
                default: scalar
                }
            guard alphabet.contains(meant) else { return nil }
            symbols.unicodeScalars.append(meant)
        }
        return symbols.utf8.count == 16 ? symbols : nil
    }

    /// 32 bytes to look up; nil when the text is no recovery code.
    package func hash(_ text: String, factor: Int64) -> [UInt8]? {
        guard let symbols = Self.symbols(in: text) else { return nil }
        return keyedHash(Array(symbols.utf8), factor)
    }

    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".unicodeScalars)
}

extension RecoveryCodes: SecondFactor {
    package var kind: FactorKind { .recovery }
    package var beginning: FactorBeginning { .typed }
    package var keyword: String? { nil }

    package func isWellFormed(_ text: String, for factor: Factor) -> Bool {
        Self.symbols(in: text) != nil
    }

    package func verify(_ text: String, for factor: Factor, at now: Moment) -> CodeVerdict {
        guard let hash = hash(text, factor: factor.id) else { return .malformed }
        return .right(.recovery(factor: factor.id, hash: hash))
    }

    package func start(_ start: FactorStart, answer: @escaping @Sendable (FactorAnswer) -> Void) {}
    package func cancel(_ login: LoginID) {}
}
