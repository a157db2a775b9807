// SPDX-License-Identifier: Apache-2.0
// The file that the PAM module google-authenticator keeps for a user: a key, options in lines that begin with a quote, scratch codes.

internal import OTP

enum GoogleAuthenticatorFile {
    static func read(_ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        let user = user(of: text.name)
        let what = "token of \(Characters.shown(user))"
        var factor = MigratedFactor(user: user, kind: .hotp, label: "google-authenticator", key: [])
        var hasKey = false
        var hasKind = false
        var scratchCodes = 0
        var counter: Int64 = 1
        try text.eachLine { number, raw throws(MigrationError) in
            let line = Characters.text(Characters.trimmed(raw))
            guard !line.isEmpty else { return }
            guard hasKey else {
                guard let key = key(line), !key.isEmpty else {
                    throw MigrationError(
                        text.place(number), "The first line is no key in Base32.",
                        remedy: "Name files as google-authenticator keeps them: ~/.google_authenticator of each user.")
                }
                (factor.key, hasKey) = (key, true)
                return
            }
            if line.hasPrefix("\"") {
                let words = line.dropFirst().split(separator: " ").map(String.init)
                switch words.first {
                case "TOTP_AUTH": (factor.kind, hasKind) = (.totp, true)
                case "HOTP_COUNTER":
                    guard words.count == 2, let value = Characters.number(words[1]) else {
                        throw MigrationError(text.place(number), "The counter is no number.")
                    }
                    (counter, hasKind) = (Int64(value), true)
                case "STEP_SIZE":
                    guard words.count == 2, let value = Characters.number(words[1]) else {
                        throw MigrationError(text.place(number), "The step is no number of seconds.")
                    }
                    factor.period = value
                case "WINDOW_SIZE", "TIME_SKEW":
                    draft.left(
                        text.place(number), "\(words[0]) of \(what)", "how far a clock or a counter may be off, is learnt and bounded here")
                // What codes were tried and when is nothing to go on with; a code is used once here in any case.
                case "RATE_LIMIT", "DISALLOW_REUSE", "RESETTING_TIME_SKEW", "SCRATCH_CODE": break
                case let word?:
                    if !word.hasPrefix("LAST") {
                        draft.left(text.place(number), "\(Characters.shown(word)) of \(what)", "it has no counterpart here")
                    }
                case nil: break
                }
            } else if line.utf8.count == 8, Characters.number(line) != nil {
                scratchCodes += 1
            } else {
                throw MigrationError(
                    text.place(number), "Here should be an option or a scratch code of eight digits.",
                    remedy: "Name files as google-authenticator keeps them.")
            }
        }
        guard hasKey else { throw MigrationError(text.place(1), "The file is empty.") }
        guard hasKind else {
            return draft.left(text.place(1), what, "it does not say whether it is TOTP or HOTP: the file may be cut off")
        }
        if factor.kind == .hotp { factor.counter = counter }
        if !draft.hasUser(user) { try draft.take(MigratedUser(name: user), at: text.place(1)) }
        try draft.take(factor, at: text.place(1))
        if scratchCodes > 0 {
            draft.left(
                text.place(1), "\(scratchCodes) scratch codes of \(Characters.shown(user))",
                "eight digits are too few for a code that lasts: `sallyport factor add NAME recovery` makes new ones")
        }
    }

    /// Base32 as the module reads it: bits that make no whole byte do not count, so that its codes and ours are the same.
    private static func key(_ text: String) -> [UInt8]? {
        if let key = try? Base32.decode(text) { return key }
        let symbols = text.uppercased().utf8.filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "=") }
        guard let values = try? symbols.map({ try value($0) }) else { return nil }
        var bytes: [UInt8] = []
        var (buffer, bits) = (UInt32(0), UInt32(0))
        for value in values {
            buffer = (buffer << 5 | UInt32(value)) & 0xFFF
            bits += 5
            guard bits >= 8 else { continue }
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: buffer >> bits))
        }
        return bytes
    }

    private static func value(_ symbol: UInt8) throws(OTPError) -> UInt8 {
        switch symbol {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): symbol - UInt8(ascii: "A")
        case UInt8(ascii: "2")...UInt8(ascii: "7"): symbol - UInt8(ascii: "2") + 26
        default: throw .base32Character(position: 0)
        }
    }

    /// `/home/alice/.google_authenticator` is of alice, as is `/var/lib/google-authenticator/alice`.
    static func user(of path: String) -> String {
        let parts = path.split(separator: "/").map(String.init)
        guard let last = parts.last else { return "" }
        let bare = last.hasPrefix(".") ? String(last.dropFirst()) : last
        if bare == "google_authenticator" || bare == "google-authenticator" { return parts.count > 1 ? parts[parts.count - 2] : "" }
        for ending in [".google_authenticator", ".google-authenticator"] where bare.hasSuffix(ending) {
            return String(bare.dropLast(ending.count))
        }
        return bare
    }
}
