// SPDX-License-Identifier: Apache-2.0
// Pre-shared keys of TLS: what may be one (RFC 9813 §4.1), and how one is written.

internal import LoginEngine

extension ClientChoices {
    /// RFC 9813 §4.1.1: at least 16 octets; OpenSSL takes 512.
    static let keyLength = 16...256
    /// RFC 9813 §4.2: at least 128 octets have to be taken; OpenSSL takes 256.
    static let longestIdentity = 128

    /// In front of digits that stand for octets; everything else is the key itself.
    static let hexMark = "hex:"

    /// 32 octets.
    static func randomKey(_ random: any RandomNumberGenerator) -> SecretText {
        var random = random
        let octets = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        return SecretText(hexMark + octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }

    func withKey(generated: Bool, random: any RandomNumberGenerator) throws(Refusal) -> (ClientChoices, SecretText?) {
        guard generated else { return (self, nil) }
        guard psk == nil else {
            throw Refusal(
                .invalid, "A pre-shared key was given and one is to be generated.", remedy: "Use one of --psk-stdin and --generate-psk.")
        }
        var choices = self
        choices.psk = Self.randomKey(random)
        return (choices, choices.psk)
    }

    /// What there will be; `old` is what there was.
    func preSharedKey(_ old: PreSharedKey?, of client: String) throws(Refusal) -> PreSharedKey? {
        if hasNoPSK == true, psk == nil, pskIdentity == nil { return nil }
        guard psk != nil || pskIdentity != nil else { return old }
        let identity = try pskIdentity.map { text throws(Refusal) in try Self.identity(text) } ?? old?.identity ?? client
        if let psk { return PreSharedKey(identity: identity, key: try Self.key(psk.secret)) }
        guard let old else {
            throw Refusal(
                .invalid, "There is an identity, and no pre-shared key that it names.",
                remedy: "Give the key with --psk-stdin, or let --generate-psk make one.", place: "psk")
        }
        return PreSharedKey(identity: identity, key: old.key)
    }

    private static func identity(_ text: String) throws(Refusal) -> String {
        let identity = Valid.trimmed(text)
        guard (1...longestIdentity).contains(identity.utf8.count), Valid.isPrintable(identity) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` cannot be the identity of a pre-shared key.",
                remedy: "Use 1 to \(longestIdentity) bytes without control characters; the client's name will do.", place: "psk-identity")
        }
        return identity
    }

    private static func key(_ text: Secret) throws(Refusal) -> Secret {
        let key: Secret? = text.reveal { bytes in
            guard bytes.starts(with: hexMark.utf8) else { return text }
            return octets(bytes.dropFirst(hexMark.utf8.count)).map { Secret($0) }
        }
        guard let key else {
            throw Refusal(
                .invalid, "Behind `\(hexMark)` there are no pairs of hexadecimal digits.",
                remedy: "`openssl rand -hex 32` makes 64 of them; a key that is text stands without `\(hexMark)`.", place: "psk")
        }
        guard keyLength.contains(key.count) else {
            throw Refusal(
                .invalid,
                "The pre-shared key has \(Words.count(key.count, "octet")); it needs \(keyLength.lowerBound) to \(keyLength.upperBound).",
                remedy: "--generate-psk makes one of 32 random octets.", place: "psk")
        }
        return key
    }

    private static func octets(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var octets: [UInt8] = []
        var rest = digits
        while !rest.isEmpty {
            let pair = String(decoding: rest.prefix(2), as: UTF8.self)
            guard pair.utf8.first != UInt8(ascii: "+"), let octet = UInt8(pair, radix: 16) else { return nil }
            octets.append(octet)
            rest = rest.dropFirst(2)
        }
        return octets
    }
}

extension Operations {
    /// RFC 9813 §4.1.3: nobody else has it, and it is no shared secret.
    func check(_ key: PreSharedKey, of settings: ClientSettings, against others: [Client]) throws(Refusal) {
        let generate = "--generate-psk makes one that nobody has."
        guard key.key != settings.secret else {
            throw Refusal(.invalid, "The pre-shared key is the shared secret, which must not protect both.", remedy: generate, place: "psk")
        }
        for other in others where other.name != settings.name {
            if other.settings.preSharedKey?.identity == key.identity {
                throw Refusal(
                    .conflict, "Client `\(other.name)` has the identity `\(Valid.shown(key.identity))` already.",
                    remedy: "Two clients cannot be told apart by it; choose another one.", place: "psk-identity")
            }
            guard !key.key.isEmpty, other.settings.preSharedKey?.key == key.key || other.settings.secret == key.key else { continue }
            throw Refusal(
                .conflict, "Client `\(other.name)` has the same key or secret: whoever has one gateway could be the other.",
                remedy: generate,
                place: "psk")
        }
    }
}

extension ClientSettings {
    /// RFC 9813 §4.1.2: at least 24 octets, and random.
    static let shortestGoodKey = 24

    var keyWarnings: [String] {
        guard let key = preSharedKey?.key, !key.isEmpty else { return [] }
        let isRepetitive = key.reveal { Set($0).count < 8 }
        guard key.count < Self.shortestGoodKey || isRepetitive else { return [] }
        return ["The pre-shared key is short or has only a few different octets: use `--generate-psk`, and enter it at the gateway."]
    }
}
