// SPDX-License-Identifier: Apache-2.0
// Enrolling a token, and making recovery codes.

internal import Factors
internal import LoginEngine
internal import OTP
internal import Store

extension AddFactor {
    /// RFC 4226 counts in 64 bits; half of a signed number leaves the window room to add to it.
    static let largestCounter: Int64 = 1 << 62

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let user = try operations.user(user)
        let existing = try operations.records.factors(ofUser: user.id)
        let draft = try draft(random: operations.ports.random())
        let label = try operations.freeLabel(label, kind: kind, among: existing)
        var factor = NewFactor(user: user.id, kind: draft.kind, label: label, secret: Secret(draft.key.bytes), created: operations.now())
        factor.algorithm = draft.algorithm
        factor.digits = draft.digits
        factor.period = draft.period
        factor.firstCounter = counter ?? 0
        // A colon would end the account's name in the label of the URI.
        let account = user.name.replacing(":", with: "_")
        let uri = try OTPAuthURI(
            draft.kind == .totp ? .totp(period: draft.period) : .hotp(counter: UInt64(counter ?? 0)), issuer: operations.issuer,
            account: account, key: draft.key, algorithm: OTPAlgorithm(draft.algorithm), digits: draft.digits)
        let id = try await operations.records.addFactor(
            factor,
            event: operations.event(
                .factorAdded, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)],
                ["factor": draft.kind.rawValue, "label": label]))
        guard let record = try operations.records.factor(id) else {
            throw Refusal(.failed, "The factor was written and is gone again.", remedy: "Somebody removed it; see `sallyport audit list`.")
        }
        return Answer(
            message: "Enrolled \(draft.kind.rawValue) \"\(label)\" for \(user.name); it counts from now on.",
            factor: FactorView(record, codesLeft: nil),
            uri: SecretText(uri.text), key: SecretText(Base32.encode(draft.key.bytes)), warnings: draft.warnings)
    }

    private struct Draft {
        var kind: FactorKind
        var key: OTPKey
        var algorithm: CodeAlgorithm
        var digits: Int
        var period: Int
        var warnings: [String]
    }

    private func draft(random: any RandomNumberGenerator) throws -> Draft {
        guard let kind = FactorKind(rawValue: kind), kind == .totp || kind == .hotp else {
            throw Refusal(.invalid, "No factor kind `\(Valid.shown(kind))`.", remedy: "Use totp, hotp or recovery.", place: "kind")
        }
        var algorithm = CodeAlgorithm.sha1
        if let name = self.algorithm {
            guard let known = CodeAlgorithm(rawValue: name.lowercased().filter { $0 != "-" }) else {
                throw Refusal(.invalid, "No algorithm `\(Valid.shown(name))`.", remedy: "Use sha1, sha256 or sha512.", place: "algorithm")
            }
            algorithm = known
        }
        let digits = try Valid.number(digits ?? 6, in: HOTP.digitCounts, "digits")
        let period = try Valid.number(period ?? 30, in: TOTP.periods, "period", unit: " seconds")
        if kind == .totp, counter != nil {
            throw Refusal(.invalid, "A totp factor has no counter.", remedy: "Leave --counter out, or enrol hotp.", place: "counter")
        }
        if kind == .hotp, self.period != nil {
            throw Refusal(.invalid, "A hotp factor has no period.", remedy: "Leave --period out, or enrol totp.", place: "period")
        }
        if let counter, counter > Self.largestCounter {
            throw Refusal(
                .invalid, "A counter above \(Self.largestCounter) is none that a token has reached.",
                remedy: "Give the next counter of the token, as its maker or the server before this one shows it.", place: "counter")
        }
        if let counter, counter < 0 {
            throw Refusal(
                .invalid, "A counter cannot be negative.", remedy: "Give the next counter of the token, from 0.", place: "counter")
        }
        var warnings: [String] = []
        let key: OTPKey
        if let secret {
            key = try Self.key(secret.secret)
            if key.bytes.count < 16 {
                warnings.append(
                    "The key has only \(key.bytes.count) bytes; RFC 4226 asks for 16 at least. Seed the token again when you can.")
            }
        } else {
            var random = random
            key = try OTPKey((0..<OTPAlgorithm(algorithm).keyLength).map { _ in UInt8.random(in: .min ... .max, using: &random) })
        }
        if algorithm != .sha1 || digits != 6 || period != 30 {
            warnings.append("Some authenticator apps ignore algorithm, digits or period. Try a login before the user leaves.")
        }
        return Draft(kind: kind, key: key, algorithm: algorithm, digits: digits, period: period, warnings: warnings)
    }

    /// Hexadecimal where it can be nothing else: an even count of hexadecimal digits of which some are not Base32, or 40, 64 or 128 of them.
    private static func key(_ secret: Secret) throws -> OTPKey {
        let text = (secret.revealText() ?? "").filter { !$0.isWhitespace && $0 != "-" && $0 != ":" }
        guard !text.isEmpty else {
            throw Refusal(.invalid, "The key is empty.", remedy: "Give it on one line, as Base32 or hexadecimal.", place: "secret")
        }
        let isHexadecimal = text.utf8.count % 2 == 0 && text.allSatisfy { $0.isHexDigit && $0.isASCII }
        let isBase32 = text.allSatisfy { ("A"..."Z").contains($0) || ("a"..."z").contains($0) || ("2"..."7").contains($0) || $0 == "=" }
        do throws(OTPError) {
            if isHexadecimal, !isBase32 || [40, 64, 128].contains(text.utf8.count) {
                let digits = text.compactMap(\.hexDigitValue)
                return try OTPKey(stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
            }
            return try OTPKey(base32: text)
        } catch {
            throw Refusal(
                .invalid, error.description, remedy: "Give the key as Base32 (A–Z, 2–7) or hexadecimal, 10 to 128 bytes.", place: "secret")
        }
    }
}

extension OTPAlgorithm {
    init(_ algorithm: CodeAlgorithm) {
        self =
            switch algorithm {
            case .sha1: .sha1
            case .sha256: .sha256
            case .sha512: .sha512
            }
    }
}

extension Operations {
    /// The label as given, or the kind with the first free number.
    func freeLabel(_ label: String?, kind: String, among factors: [FactorRecord]) throws -> String {
        let taken = Set(factors.map { $0.label.lowercased() })
        if let label {
            let label = try Valid.label(label)
            guard !taken.contains(label.lowercased()) else {
                throw Refusal(.conflict, "There is a factor \"\(label)\" already.", remedy: "Choose another label.", place: "label")
            }
            return label
        }
        for number in 1... {
            let label = number == 1 ? kind : "\(kind) \(number)"
            if !taken.contains(label) { return label }
        }
        return kind
    }
}

extension AddRecoveryCodes {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let user = try operations.user(user)
        let left = try operations.records.recoveryCodesLeft(ofUser: user.id)
        var random = operations.ports.random()
        let codes = RecoveryCodes.make(random: &random)
        _ = try await operations.records.replaceRecoveryCodes(
            ofUser: user.id, codes: codes.compactMap(RecoveryCodes.symbols(in:)).map { Array($0.utf8) }, at: operations.now(),
            event: operations.event(
                .recoveryCodesMade, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)],
                ["count": "\(codes.count)"]))
        return Answer(
            message: "Made \(codes.count) recovery codes for \(user.name). Each works once, wherever a code is asked for.",
            codes: codes.map { SecretText($0) }, warnings: left > 0 ? ["\(Words.count(left, "older code")) stopped working."] : [])
    }
}
