// SPDX-License-Identifier: Apache-2.0
// From what was chosen to a client's settings, with everything that does not fit refused by name.

internal import LoginEngine

extension ClientChoices {
    /// - Parameter directories: by which names are known.
    func apply(to settings: ClientSettings, _ operations: Operations, directories: [Directory]) throws(Refusal) -> ClientSettings {
        var new = settings
        if let directory { new.home = try operations.home(directory, among: directories) }
        if let passThrough { new.passThrough = try Self.rules(passThrough, operations, directories) }
        if let addresses { new.addresses = try ranges(addresses) }
        if let secret { new.secret = secret.secret }
        if let profile, profile != settings.profile { try Self.take(profile, by: &new) }
        if let reply { new.reply = try operations.ports.replies.checked(reply) }
        new.messageAuthenticator = try choice(messageAuthenticator, "message-authenticator") ?? new.messageAuthenticator
        new.requirement = try choice(requirement, "require") ?? new.requirement
        new.asking = try choice(asking, "ask") ?? new.asking
        new.nameStripping = try choice(nameStripping, "strip") ?? new.nameStripping
        new.charset = try choice(charset, "charset") ?? new.charset
        if let separator { new.separator = try character(separator) }
        new.fixedLengthTail = fixedLengthTail ?? new.fixedLengthTail
        new.concealFactor = concealFactor ?? new.concealFactor
        new.helpfulMessages = helpfulMessages ?? new.helpfulMessages
        if let retryTimeout { new.retryTimeout = try Valid.number(retryTimeout, in: 1...60, "retry-timeout", unit: " seconds") }
        if let retryTries { new.retryTries = try Valid.number(retryTries, in: 1...10, "retry-tries") }
        new.rejoin = rejoin ?? new.rejoin
        new.automaticPush = automaticPush ?? new.automaticPush
        if let probeUser { new.probeUser = probeUser == "none" ? nil : try Valid.userName(probeUser, field: "probe-user").key }
        if let protocols { new.schemes = try Self.schemes(protocols) }
        if let eap { new.eap = try Self.methods(eap) }
        if let certificates { new.certificates = try Self.rules(certificates) }
        new.preSharedKey = try preSharedKey(new.preSharedKey, of: new.name)
        if let disconnectPort { new.disconnectPort = UInt16(try Valid.number(disconnectPort, in: 0...65_535, "disconnect-port")) }
        new.isEnabled = isEnabled ?? new.isEnabled
        if let tags { new.tags = try Self.sorted(tags) }
        try check(new)
        return new
    }

    private static func rules(
        _ texts: [String], _ operations: Operations, _ directories: [Directory]
    ) throws(Refusal) -> [PassThroughRule] {
        var rules: [PassThroughRule] = []
        for text in texts {
            let parts = Valid.trimmed(text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, let realm = PassThroughRule.Realm(Valid.trimmed(parts[0])) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(text))` says no realm.",
                    remedy: "Write `corp.example=nps` for user@corp.example, `CORP\\=nps` for CORP\\user, `*=nps` for every other name.",
                    place: "pass-through")
            }
            guard case .directory(let row)? = try operations.home(parts[1], among: directories) else {
                throw Refusal(
                    .invalid, "Nobody is passed through to `\(Valid.shown(parts[1]))`: whom nobody knows here, nothing here decides about.",
                    remedy: "Name a directory: `sallyport directory list` shows all.", place: "pass-through")
            }
            guard !rules.contains(where: { $0.realm == realm }) else {
                throw Refusal(.invalid, "The realm `\(realm)` is named twice.", place: "pass-through")
            }
            guard rules.last?.realm != .any else {
                throw Refusal(
                    .invalid, "Behind `*` no rule is ever looked at.", remedy: "Write `*` as the last one.", place: "pass-through")
            }
            rules.append(PassThroughRule(realm, directory: row))
        }
        guard rules.count <= PassThroughRule.mostRules else {
            throw Refusal(
                .invalid, "A client passes \(PassThroughRule.mostRules) realms through at most.", remedy: "Take some away.",
                place: "pass-through")
        }
        return rules
    }

    private func ranges(_ texts: [String]) throws(Refusal) -> [AddressRange] {
        var ranges: [AddressRange] = []
        for text in texts {
            let range = try Valid.address(Valid.trimmed(text))
            if !ranges.contains(range) { ranges.append(range) }
        }
        return ranges
    }

    static let mostCertificates = 32

    private static func rules(_ texts: [String]) throws(Refusal) -> [CertificateRule] {
        var rules: [CertificateRule] = []
        for text in texts {
            guard let rule = CertificateRule(Valid.trimmed(text)) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(text))` says no certificate.",
                    remedy:
                        "Write name:gw1.example.org, a DNS name in it, or sha256: and what `openssl x509 -noout -fingerprint -sha256` prints.",
                    place: "certificate")
            }
            if !rules.contains(rule) { rules.append(rule) }
        }
        guard rules.count <= mostCertificates else {
            throw Refusal(
                .invalid, "A client has \(mostCertificates) certificates at most.", remedy: "Take some away.", place: "certificate")
        }
        return rules
    }

    static let mostTags = 32

    private static func sorted(_ tags: [String]) throws(Refusal) -> [String] {
        var found: Set<String> = []
        for tag in tags { found.insert(try Valid.tag(Valid.trimmed(tag))) }
        guard found.count <= mostTags else {
            throw Refusal(.invalid, "A client has \(mostTags) tags at most.", remedy: "Take some away.", place: "tag")
        }
        return found.sorted()
    }

    /// What is chosen beside the profile wins over it.
    private static func take(_ name: String, by settings: inout ClientSettings) throws(Refusal) {
        guard let profile = ClientProfile.named(name) else {
            let all = ClientProfile.all.map(\.name)
            let near = NearNames.nearest(to: name, among: all)
            throw Refusal(
                .invalid, "No profile `\(Valid.shown(name))`.",
                remedy: near.isEmpty ? "It is one of \(Words.list(all, "and"))." : NearNames.question(near), place: "profile")
        }
        profile.shape(&settings)
    }

    private static func schemes(_ names: [String]) throws(Refusal) -> ProofSchemes {
        var schemes: ProofSchemes = []
        for name in names {
            guard let scheme = ProofScheme(rawValue: name) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(name))` is none of \(Words.list(ProofScheme.allCases.map(\.rawValue), "and")).",
                    place: "protocol")
            }
            schemes.insert(.one(scheme))
        }
        guard !schemes.isEmpty else {
            throw Refusal(.invalid, "A client needs a protocol.", remedy: "Give --protocol pap.", place: "protocol")
        }
        return schemes
    }

    private static func methods(_ names: [String]) throws(Refusal) -> [EAPMethodName] {
        var methods: [EAPMethodName] = []
        for name in names {
            guard let method = EAPMethodName(rawValue: Valid.trimmed(name)) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(name))` is none of \(Words.list(EAPMethodName.allCases.map(\.rawValue), "and")).",
                    place: "eap")
            }
            if !methods.contains(method) { methods.append(method) }
        }
        return methods
    }

    private func choice<Choice: RawRepresentable<String> & CaseIterable>(_ text: String?, _ field: String) throws(Refusal) -> Choice? {
        guard let text else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let all = Choice.allCases.map(\.rawValue)
        let near = NearNames.nearest(to: text, among: all)
        throw Refusal(
            .invalid, "`\(Valid.shown(text))` is none of \(Words.list(all, "and")).", remedy: near.isEmpty ? nil : NearNames.question(near),
            place: field)
    }

    private func character(_ text: String) throws(Refusal) -> Character? {
        if text == "none" { return nil }
        guard text.count == 1, let character = text.first, !character.isLetter, !character.isNumber, !character.isWhitespace,
            Valid.isPrintable(text)
        else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` cannot separate password and code.",
                remedy: "Use one mark such as `,` or `:`, or `none`; a letter or digit would cut passwords and codes.", place: "separator")
        }
        return character
    }

    private func check(_ new: ClientSettings) throws(Refusal) {
        guard !new.addresses.isEmpty || new.isKnownByTLS else {
            throw Refusal(
                .invalid, "A client needs an address.",
                remedy:
                    "Give --address 192.0.2.7 or --address 10.20.0.0/16; or --certificate or --generate-psk, if it asks over TLS alone.",
                place: "address"
            )
        }
        guard new.asking != .append || new.requirement != .passwordAndFactor || new.separator != nil || new.fixedLengthTail else {
            throw Refusal(
                .invalid, "With `append`, no separator and no fixed-length tail, no code could ever be found in the field.",
                remedy: "Give --separator ',' or --fixed-length-tail, or use --ask challenge.", place: "separator")
        }
        guard !new.concealFactor || !new.helpfulMessages else {
            throw Refusal(
                .invalid, "--helpful-messages would tell what --conceal-factor hides: which of password and code was wrong.",
                remedy: "Turn one of the two off.", place: "helpful-messages")
        }
        guard !new.concealFactor || new.passThrough.isEmpty else {
            throw Refusal(
                .invalid, "--pass-through would tell what --conceal-factor hides: who is a user here, and which factor was wrong.",
                remedy: "Turn one of the two off.", place: "pass-through")
        }
        if let scheme = new.schemeThatCannotAppend {
            throw Refusal(
                .invalid, "With \(scheme.title) the password is never shown, so no code could be cut from its end.",
                remedy: "Use --ask challenge, --require factor, or --protocol pap alone.", place: "protocol")
        }
        guard new.retryTimeout * new.retryTries > 1 else {
            throw Refusal(
                .invalid, "With one try of one second the gateway gives up before it can be answered.",
                remedy: "Set --retry-timeout and --retry-tries as they are at the gateway.", place: "retry-timeout")
        }
    }
}

extension ClientSettings {
    /// A scheme that this client may use and that no password could be checked by; nil where codes are all that is asked.
    func schemesWithoutPassword(kept: ProofSchemes) -> ProofScheme? {
        guard requirement == .password || requirement == .passwordAndFactor else { return nil }
        return schemes.hashed.first { !kept.contains($0) }
    }

    /// A scheme that shows no password, where a code is to be cut from its end.
    var schemeThatCannotAppend: ProofScheme? {
        asking == .append && requirement == .passwordAndFactor ? schemes.hashed.first : nil
    }

    /// Whether what this client itself requires could be proved by a method of EAP.
    func isProvable(by method: EAPMethodName, kept: ProofSchemes) -> Bool {
        switch (requirement, method.scheme) {
        case (.deny, _): true
        case (.certificate, let scheme): scheme == nil
        case (.certificateAndFactor, let scheme): scheme == nil && automaticPush
        case (_, nil): false
        case (.factor, _?): true
        case (.password, let scheme?): scheme == .pap || kept.contains(scheme)
        // Where nothing can be typed behind the password, a factor has to come by itself.
        case (.passwordAndFactor, let scheme?): scheme == .pap || kept.contains(scheme) && automaticPush
        }
    }

    static let shortestGoodSecret = 16

    enum SecretWeakness: Equatable {
        case known, short(bytes: Int), repetitive
    }

    var secretWeakness: SecretWeakness? {
        // Known over TLS alone, it has none.
        guard !addresses.isEmpty else { return nil }
        let (isRepetitive, isKnown) = secret.reveal { bytes in
            (Set(bytes).count < 5, Self.commonSecrets.contains(String(decoding: bytes, as: UTF8.self).lowercased()))
        }
        if isKnown { return .known }
        if secret.count < Self.shortestGoodSecret { return .short(bytes: secret.count) }
        return isRepetitive ? .repetitive : nil
    }

    var hasLargeRange: Bool { addresses.contains { $0.prefixLength < 104 && $0.base.isIPv4 || $0.prefixLength == 0 } }

    /// Why a secret should be exchanged; never says what it is. RFC 2865 §3: at least 16 octets are preferred.
    func secretWarnings(among others: [Client]) -> [String] {
        var warnings: [String] = []
        let remedy = "Use `--generate-secret`, and enter it at the gateway."
        switch secretWeakness {
        case .known: warnings.append("The shared secret is one that everybody tries first. \(remedy)")
        case .short(let bytes):
            warnings.append("The shared secret has only \(bytes) bytes; whoever records one packet can guess it offline. \(remedy)")
        case .repetitive: warnings.append("The shared secret has only a few different characters. \(remedy)")
        case nil: break
        }
        let same = others.filter { $0.name != name && !secret.isEmpty && $0.settings.secret == secret }.map { "`\($0.name)`" }
        if !same.isEmpty {
            warnings.append(
                "The same secret is used by client \(Words.list(same)): whoever has one gateway can answer for the other. \(remedy)")
        }
        return warnings
    }

    /// What deserves a second look in how the client is set up.
    var warnings: [String] {
        var warnings: [String] = []
        if messageAuthenticator == .allow {
            warnings.append(
                "Requests without Message-Authenticator are allowed (BlastRADIUS, CVE-2024-3596). Update the gateway, then set --message-authenticator auto."
            )
        }
        if requirement == .password { warnings.append("The password alone is enough here: no second factor is asked for.") }
        if requirement == .deny {
            warnings.append("Only a policy lets anybody in here: `sallyport policy list` shows which name this client.")
        }
        if requirement == .certificate {
            warnings.append("The certificate alone is enough here: whoever holds the device is let in, without a second factor.")
        }
        if requirement == .certificateAndFactor, !automaticPush {
            warnings.append(
                "Nobody is let in by a certificate here: no code can be asked for behind it, and no factor starts by itself "
                    + "(`--automatic-push on`).")
        }
        if requirement.asksCertificate, !eap.contains(.tls) {
            warnings.append("A certificate is asked for, and EAP-TLS is not offered: nobody is let in. Give --eap tls.")
        }
        if requirement == .factor { warnings.append("The code alone is enough here. Let the gateway check the password itself.") }
        if eap.contains(.md5) {
            warnings.append(
                "EAP-MD5 is offered: it proves nothing of this server, and whoever listens can try passwords against it. Use mschapv2 or gtc."
            )
        }
        if eap.contains(where: { $0.scheme != nil && $0.scheme != .pap }), requirement == .passwordAndFactor, !automaticPush {
            warnings.append(
                "Whoever takes an offered method of EAP that shows no password is refused here: no code can be asked for by it, unless a policy "
                    + "requires the code alone.")
        }
        if helpfulMessages { warnings.append("Reject messages tell whoever logs in why; strangers learn from them too.") }
        warnings += keyWarnings
        if hasLargeRange {
            warnings.append("Its address range is very large: anybody in it who has the secret can ask.")
        }
        if requirement == .passwordAndFactor, concealFactor, asking == .append {
            warnings.append("--conceal-factor changes nothing with `append`: password and code are judged together anyway.")
        }
        return warnings
    }

    /// What passing names through means. Said when it is set; `doctor` goes on reminding.
    func passThroughWarnings(since old: ClientSettings?) -> [String] {
        guard !passThrough.isEmpty, passThrough != old?.passThrough else { return [] }
        let names =
            passThrough.contains { $0.realm == .any }
            ? "Names that nobody has here" : "Names of \(Words.list(passThrough.map(\.realm.description)))"
        return [
            "\(names) are let in on another server's word alone, without a second factor of this one.",
            "A user whose name has letters beyond ASCII may be known there by plain ones (`josé` as `jose`): give that name as an alias here, "
                + "or whoever types it needs no second factor.",
        ]
    }

    private static let commonSecrets: Set<String> = [
        "testing123", "secret", "radius", "password", "sharedsecret", "shared-secret", "shared_secret", "changeme", "cisco", "fortinet",
        "mysecret", "radiussecret", "12345678", "1234567890", "0123456789abcdef", "testtesttesttest",
    ]
}
