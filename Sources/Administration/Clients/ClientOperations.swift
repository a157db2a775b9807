// SPDX-License-Identifier: Apache-2.0
// Clients: VPN gateways and whatever else asks.

internal import LoginEngine
internal import Store

extension AddClient {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let name = try Valid.clientName(name)
        let others = try operations.records.clients()
        guard !others.contains(where: { $0.name == name }) else {
            throw Refusal(
                .conflict, "There is a client `\(name)` already.",
                remedy: "Change it with `sallyport client set \(name)`, or choose another name.",
                place: "name")
        }
        let (withSecret, generated) = try choices.withSecret(generated: generateSecret, random: operations.ports.random())
        let (choices, generatedKey) = try withSecret.withKey(generated: generatePSK, random: operations.ports.random())
        guard choices.secret != nil || choices.needsNoSecret else {
            throw Refusal(
                .invalid, "A client needs a shared secret.", remedy: "Give it with --secret-stdin, or let --generate-secret make one.",
                place: "secret")
        }
        var fresh = ClientSettings(name: name, addresses: [], secret: Secret([]))
        fresh.requirement = try operations.requirementOfNewClients()
        let settings = try choices.apply(to: fresh, operations, directories: try operations.records.directories())
        try operations.check(settings, against: others)
        let ways = settings.certificates.map(\.description) + (settings.preSharedKey.map { ["pre-shared key \($0.identity)"] } ?? [])
        let place = Words.list(settings.addresses.isEmpty ? ways : settings.addresses.map(\.description))
        _ = try await operations.records.addClient(
            settings,
            event: operations.event(
                .clientAdded, by: actor,
                [
                    "client": name, "addresses": settings.addresses.map(\.description).joined(separator: ", "),
                    "requirement": settings.requirement.rawValue, "asking": settings.asking.rawValue,
                ]))
        try await operations.ports.changed(.clients)
        return Answer(
            message: "Added client \(name) for \(place).",
            warnings: settings.secretWarnings(among: others) + settings.passThroughWarnings(since: nil) + settings.warnings + [
                "`sallyport client show \(name) --howto` prints what to enter at the gateway."
            ],
            generatedSecret: generated, generatedPSK: generatedKey)
    }
}

extension Operations {
    /// Where there are policies, they decide: who is named by none is not let in.
    func requirementOfNewClients() throws -> Requirement {
        try records.policySet().records.contains { !$0.policy.rule.isReportOnly } ? .deny : .passwordAndFactor
    }
}

extension ClientChoices {
    /// Over TLS alone there is none but the word `radsec`.
    var needsNoSecret: Bool { addresses?.isEmpty != false && (certificates?.isEmpty == false || psk != nil) }

    /// 32 characters of 62: 190 bits, and no character that a gateway's form would mistake.
    static func randomSecret(_ random: any RandomNumberGenerator) -> SecretText {
        var random = random
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        return SecretText(String((0..<32).map { _ in alphabet[Int.random(in: alphabet.indices, using: &random)] }))
    }

    func withSecret(generated: Bool, random: any RandomNumberGenerator) throws(Refusal) -> (ClientChoices, SecretText?) {
        guard generated else { return (self, nil) }
        guard secret == nil else {
            throw Refusal(
                .invalid, "A secret was given and one is to be generated.", remedy: "Use one of --secret-stdin and --generate-secret.")
        }
        var choices = self
        choices.secret = Self.randomSecret(random)
        return (choices, choices.secret)
    }
}

extension Operations {
    func client(_ name: String) throws -> Client {
        let wanted = Valid.trimmed(name)
        if let client = try records.client(name: wanted.lowercased()) { return client }
        throw Refusal.missing(
            "client", Valid.shown(wanted), among: try records.clients().map(\.name), otherwise: "`sallyport client list` shows all.")
    }

    /// What cannot stand beside the clients that are there.
    ///
    /// - Parameter directories: as they will be; nil: as they are.
    func check(_ settings: ClientSettings, against clients: [Client], directories: [Directory]? = nil) throws {
        if !settings.secret.isEmpty || !settings.addresses.isEmpty { try Self.check(settings.secret) }
        if let key = settings.preSharedKey { try check(key, of: settings, against: clients) }
        for other in clients where other.name != settings.name {
            guard let taken = settings.certificates.first(where: { other.settings.certificates.contains($0) }) else { continue }
            throw Refusal(
                .conflict, "The certificate \(taken) belongs to client `\(other.name)` already.",
                remedy: "Two clients cannot be told apart by it; change `\(other.name)` first.", place: "certificate")
        }
        let provable = provableSchemes(kept: try records.passwordKeeping().schemes, try directories ?? records.directories())
        if let scheme = settings.schemesWithoutPassword(kept: provable) {
            throw Refusal(
                .conflict, "Passwords are kept as argon2id hashes, which \(scheme.title) cannot be checked against.",
                remedy: "Let the code be all that is asked (--require factor), use --protocol pap, or see `sallyport password keep "
                    + "\(scheme == .chap ? "clear-password" : "nt-hash")`.", place: "protocol")
        }
        if let first = settings.eap.first, !settings.eap.contains(where: { settings.isProvable(by: $0, kept: provable) }) {
            throw Refusal(
                .conflict, "By \(first.title) nobody could prove what this client requires, \(settings.requirement.rawValue).",
                remedy: settings.requirement.asksCertificate || first == .tls
                    ? "EAP-TLS proves a certificate: --eap tls goes with --require certificate, with certificate+factor and --automatic-push "
                        + "on, or with --require deny and policies; see docs/gateways/eap-tls.md."
                    : "Offer gtc too, or let the code be all that is asked (--require factor); see docs/gateways/password-protocols.md.",
                place: "eap")
        }
        if let probe = settings.probeUser, let user = try records.user(key: probe) {
            throw Refusal(
                .conflict, "`\(probe)` is user \(user.name), who could never log in through this client.",
                remedy: "Use --probe-user none, or another name.", place: "probe-user")
        }
        for other in clients where other.name != settings.name {
            guard let taken = settings.addresses.first(where: { other.settings.addresses.contains($0) }) else { continue }
            throw Refusal(
                .conflict, "\(taken) belongs to client `\(other.name)` already.",
                remedy: "A request could not tell the two apart. Give a longer prefix, or change `\(other.name)` first.", place: "address")
        }
    }
}

extension Operations {
    static func check(_ secret: Secret) throws(Refusal) {
        guard !secret.isEmpty else {
            throw Refusal(.invalid, "The shared secret is empty.", remedy: "Give one line on standard input.", place: "secret")
        }
        guard secret.count >= 8 else {
            throw Refusal(
                .invalid, "The shared secret has only \(Words.count(secret.count, "byte")).",
                remedy: "Use at least 8, better 16 or more; --generate-secret makes a strong one.", place: "secret")
        }
        let isClean = secret.reveal { bytes in
            !bytes.contains { $0 < 0x20 || $0 == 0x7F } && bytes.first != 0x20 && bytes.last != 0x20
        }
        guard isClean, secret.count <= 253 else {
            throw Refusal(
                .invalid, "The shared secret is longer than 253 bytes, begins or ends with a blank, or holds a control character.",
                remedy: "Gateways could not be given the same one; choose another.", place: "secret")
        }
    }
}

extension SetClient {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let old = try operations.client(client)
        let others = try operations.records.clients().filter { $0.id != old.id }
        let (withSecret, generated) = try choices.withSecret(generated: generateSecret, random: operations.ports.random())
        let (choices, generatedKey) = try withSecret.withKey(generated: generatePSK, random: operations.ports.random())
        guard name != nil || choices != ClientChoices() else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "`sallyport client set --help` lists what can be changed.")
        }
        let directories = try operations.records.directories()
        var settings = try choices.apply(to: old.settings, operations, directories: directories)
        if let name {
            settings.name = try Valid.clientName(name)
            guard !others.contains(where: { $0.name == settings.name }) else {
                throw Refusal(.conflict, "There is a client `\(settings.name)` already.", remedy: "Choose another name.", place: "name")
            }
        }
        try operations.check(settings, against: others)
        let changes = settings.changes(since: old.settings, directories)
        guard !changes.isEmpty else {
            return Answer(message: "Nothing to change: client \(old.name) is like that already.", warnings: [], generatedSecret: nil)
        }
        try await operations.records.updateClient(
            old.id, settings,
            event: operations.event(
                .clientChanged, by: actor, client: old.id, ["client": settings.name, "change": changes.joined(separator: "; ")]))
        try await operations.ports.changed(.clients)
        var warnings = settings.passThroughWarnings(since: old.settings) + settings.warnings
        if settings.asking != .challenge, settings.cutting != old.settings.cutting {
            warnings.append(
                "Local passwords that were set before have not been checked: one that ends like a separator and a code would be cut here."
                    + " Whoever is refused with `wrong-password` needs a new one.")
        }
        if settings.home != old.settings.home, case .directory? = settings.home {
            warnings.append(
                "Whoever has a password here is asked at \(directories.word(for: settings.home)) at this client from now on: `sallyport user set NAME "
                    + "--directory local` keeps them here.")
        }
        if settings.preSharedKey != old.settings.preSharedKey, old.settings.preSharedKey != nil {
            warnings.insert("What is connected by the old pre-shared key is disconnected now.", at: 0)
        }
        if settings.secret != old.settings.secret {
            warnings =
                settings.secretWarnings(among: others) + ["Enter the new secret at the gateway now: the old one is no longer taken."]
                + warnings
        }
        if settings.reply != old.settings.reply {
            warnings += try operations.updateHint("--client \(Words.argument(settings.name))")
        }
        return Answer(
            message: "Changed client \(settings.name): \(changes.joined(separator: "; ")).", warnings: warnings, generatedSecret: generated,
            generatedPSK: generatedKey)
    }
}

extension ClientSettings {
    /// What decides where a password ends and a code begins.
    fileprivate var cutting: [String] { [asking == .challenge ? "no" : "yes", separator.map(String.init) ?? "", "\(fixedLengthTail)"] }

    /// `ask: challenge → append`; of the secret only that it changed.
    func changes(since old: ClientSettings, _ directories: [Directory]) -> [String] {
        var changes: [String] = []
        func compare<Value: Equatable>(_ field: String, _ path: KeyPath<ClientSettings, Value>, _ text: (Value) -> String) {
            if self[keyPath: path] != old[keyPath: path] {
                changes.append("\(field): \(text(old[keyPath: path])) → \(text(self[keyPath: path]))")
            }
        }
        func word(_ value: Bool) -> String { value ? "on" : "off" }
        compare("name", \.name) { $0 }
        compare("addresses", \.addresses) { $0.map(\.description).joined(separator: ", ") }
        if secret != old.secret { changes.append("secret changed") }
        compare("message-authenticator", \.messageAuthenticator, \.rawValue)
        compare("require", \.requirement, \.rawValue)
        compare("ask", \.asking, \.rawValue)
        compare("separator", \.separator) { $0.map { "`\($0)`" } ?? "none" }
        compare("fixed-length-tail", \.fixedLengthTail, word)
        compare("conceal-factor", \.concealFactor, word)
        compare("helpful-messages", \.helpfulMessages, word)
        compare("strip", \.nameStripping, \.rawValue)
        compare("charset", \.charset, \.rawValue)
        compare("retry-timeout", \.retryTimeout, String.init)
        compare("retry-tries", \.retryTries, String.init)
        compare("rejoin", \.rejoin, word)
        compare("automatic-push", \.automaticPush, word)
        compare("profile", \.profile) { $0 }
        compare("probe-user", \.probeUser) { $0 ?? "none" }
        compare("certificate", \.certificates) { $0.isEmpty ? "none" : $0.map(\.description).joined(separator: ", ") }
        compare("psk-identity", \.preSharedKey?.identity) { $0 ?? "none" }
        if let new = preSharedKey?.key, new != old.preSharedKey?.key { changes.append("psk changed") }
        compare("disconnect-port", \.disconnectPort) { $0 == 0 ? "none" : "\($0)" }
        compare("pass-through", \.passThrough) { $0.isEmpty ? "none" : $0.texts(directories).joined(separator: ", ") }
        compare("directory", \.home) { directories.word(for: $0) }
        compare("protocol", \.schemes) { $0.schemes.map(\.rawValue).joined(separator: ", ") }
        compare("eap", \.eap) { $0.isEmpty ? "none" : $0.map(\.rawValue).joined(separator: ", ") }
        compare("reply", \.reply, \.words)
        compare("tags", \.tags) { $0.isEmpty ? "none" : $0.joined(separator: ", ") }
        if isEnabled != old.isEnabled { changes.append(isEnabled ? "enabled" : "disabled") }
        return changes
    }
}

extension RemoveClient {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let client = try operations.client(name)
        try operations.refuseIfNamed(client: client)
        try await operations.records.removeClient(
            client.id, event: operations.event(.clientRemoved, by: actor, client: client.id, ["client": client.name]))
        try await operations.ports.changed(.clients)
        return Done("Removed client \(client.name). Its requests get no answer from now on.")
    }
}

extension UnpinClient {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let client = try operations.client(name)
        var source: NetworkAddress?
        if let address {
            guard let parsed = NetworkAddress(Valid.trimmed(address)) else {
                throw Refusal(.invalid, "`\(Valid.shown(address))` is not an address.", remedy: "Write it as 192.0.2.7.", place: "address")
            }
            source = parsed
        }
        let pins = try operations.records.pins(ofClient: client.id).filter { source == nil || $0.address == source }
        guard !pins.isEmpty else {
            return Done(source.map { "\($0) is not pinned at client \(client.name)." } ?? "Client \(client.name) has no pinned source.")
        }
        let shown = Words.list(pins.map(\.address.description))
        _ = try await operations.records.removePin(
            client: client.id, address: source,
            event: operations.event(.clientUnpinned, by: actor, client: client.id, ["client": client.name, "source": shown]))
        try await operations.ports.changed(.clients)
        return Done(
            "Unpinned \(shown) at client \(client.name): requests without Message-Authenticator are taken again.",
            warnings: client.settings.messageAuthenticator == .require
                ? ["Client \(client.name) requires Message-Authenticator from every source."] : [])
    }
}
