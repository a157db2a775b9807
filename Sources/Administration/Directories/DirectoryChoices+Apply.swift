// SPDX-License-Identifier: Apache-2.0
// What an administrator chose for a directory, held against the rules of each field.

internal import LoginEngine

extension DirectoryChoices {
    static let timeouts = 100...30_000
    static let mostTries = 5

    /// - Throws: the first that cannot be so, with what to do.
    func apply(to old: DirectorySettings, _ replies: ReplyDictionary) throws(Refusal) -> DirectorySettings {
        var new = old
        if let type: DirectoryKind = try Self.choice(type, "type") { new.kind = type }
        if let servers { new.servers = try Self.servers(servers) }
        if let secret {
            try Operations.check(secret.secret)
            new.secret = secret.secret
        }
        new.ownSecrets = old.ownSecrets.filter { new.servers.contains($0.key) }
        if let ownSecrets { new.ownSecrets = try Self.secrets(ownSecrets, of: new, old) }
        if let timeout { new.timeout = try Self.span(timeout) }
        if let tries { new.tries = try Valid.number(tries, in: 1...Self.mostTries, "tries") }
        if let rule: ReplyAuthenticatorRule = try Self.choice(messageAuthenticator, "message-authenticator") {
            new.messageAuthenticator = rule
        }
        if let sent: NameSent = try Self.choice(sends, "send-name") { new.nameSent = sent }
        if let takes { new.takes = try Self.taken(takes, replies) }
        if let isEnabled { new.isEnabled = isEnabled }
        guard !new.servers.isEmpty else {
            throw Refusal(.invalid, "A directory needs a server.", remedy: "Give --server 192.0.2.10.", place: "server")
        }
        if new.messageAuthenticator == .allow, let named = new.servers.first(where: { $0.hostName != nil }) {
            throw Refusal(
                .conflict,
                "Replies without Message-Authenticator can be forged, and whoever answers for \(named) in the DNS could do it from afar.",
                remedy: "Give that server by its address, or leave message-authenticator at require.", place: "message-authenticator")
        }
        return new
    }

    private static func secrets(
        _ entries: [OwnSecret], of new: DirectorySettings, _ old: DirectorySettings
    ) throws(Refusal) -> [DirectoryServer: Secret] {
        var secrets: [DirectoryServer: Secret] = [:]
        for entry in entries {
            let server = try server(entry.server)
            guard new.servers.contains(server) else {
                throw Refusal(.missing, "The directory has no server \(server).", remedy: "Add it first.", place: "server")
            }
            guard let secret = entry.secret?.secret ?? old.ownSecrets[server] else {
                throw Refusal(
                    .invalid, "The server \(server) has no secret of its own that could be kept.",
                    remedy: "Write `secret: { file: PATH }` or `secret: { env: NAME }`, or its address alone.", place: "server")
            }
            if entry.secret != nil { try Operations.check(secret) }
            secrets[server] = secret
        }
        return secrets
    }

    static func server(_ text: String) throws(Refusal) -> DirectoryServer {
        guard let server = DirectoryServer(Valid.trimmed(text)) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is neither the address nor the host name of a server.",
                remedy: "Write it as 192.0.2.10, 192.0.2.10:1645, [2001:db8::1]:1812, nps1.corp.example or nps1.corp.example:1645.",
                place: "server")
        }
        if case .address(let address) = server.place, !address.isOfOneHost {
            throw Refusal(
                .invalid, "\(address) is the address of no single server.", remedy: "Give the address at which it answers.", place: "server"
            )
        }
        return server
    }

    private static func servers(_ texts: [String]) throws(Refusal) -> [DirectoryServer] {
        var servers: [DirectoryServer] = []
        for text in texts {
            let server = try server(text)
            guard !servers.contains(server) else { throw Refusal(.invalid, "The server \(server) is named twice.", place: "server") }
            servers.append(server)
        }
        guard servers.count <= DirectorySettings.mostServers else {
            throw Refusal(
                .invalid, "A directory has \(DirectorySettings.mostServers) servers at most.", remedy: "Take some away.", place: "server")
        }
        return servers
    }

    /// `3s`, `500ms`, or seconds alone.
    private static func span(_ text: String) throws(Refusal) -> Timestamp.Span {
        let text = Valid.trimmed(text)
        let isMilliseconds = text.hasSuffix("ms")
        let digits = isMilliseconds ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast() : text[...]
        guard let number = Int(digits), number > 0, number <= timeouts.upperBound else {
            throw Refusal(.invalid, "`\(Valid.shown(text))` is no length of time.", remedy: "Write it as 3s or 500ms.", place: "timeout")
        }
        let milliseconds = isMilliseconds ? number : number * 1_000
        guard timeouts.contains(milliseconds) else {
            throw Refusal(
                .invalid, "A timeout of \(Valid.shown(text)) is out of range.", remedy: "It must be 100ms to 30s.", place: "timeout")
        }
        return .milliseconds(Int64(milliseconds))
    }

    private static func taken(_ names: [String], _ replies: ReplyDictionary) throws(Refusal) -> [String] {
        var taken: [String] = []
        for name in names {
            let name = try replies.taken(Valid.trimmed(name)).name
            if !taken.contains(name) { taken.append(name) }
        }
        guard taken.count <= DirectorySettings.mostTaken else {
            throw Refusal(
                .invalid, "More than \(DirectorySettings.mostTaken) attributes are taken over.", remedy: "Take some away.", place: "take")
        }
        return taken
    }

    private static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ text: String?, _ field: String
    ) throws(Refusal) -> Choice? {
        guard let text else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let all = Choice.allCases.map(\.rawValue)
        let near = NearNames.nearest(to: text, among: all)
        throw Refusal(
            .invalid, "`\(Valid.shown(text))` is none of \(Words.list(all, "and")).", remedy: near.isEmpty ? nil : NearNames.question(near),
            place: field)
    }
}

extension DirectorySettings {
    /// `timeout: 3s → 5s`; of the secret only that it changed.
    func changes(since old: DirectorySettings) -> [String] {
        var changes: [String] = []
        func compare<Value: Equatable>(_ field: String, _ path: KeyPath<DirectorySettings, Value>, _ text: (Value) -> String) {
            if self[keyPath: path] != old[keyPath: path] {
                changes.append("\(field): \(text(old[keyPath: path])) → \(text(self[keyPath: path]))")
            }
        }
        compare("name", \.name) { $0 }
        compare("type", \.kind, \.rawValue)
        compare("servers", \.servers) { $0.map(\.description).joined(separator: ", ") }
        if secret != old.secret { changes.append("secret changed") }
        for server in servers where ownSecrets[server] != old.ownSecrets[server] {
            changes.append("secret of \(server) \(ownSecrets[server] == nil ? "shared" : "changed")")
        }
        compare("timeout", \.timeout, \.words)
        compare("tries", \.tries) { "\($0)" }
        compare("message-authenticator", \.messageAuthenticator, \.rawValue)
        compare("send-name", \.nameSent, \.rawValue)
        compare("take", \.takes) { $0.isEmpty ? "none" : $0.joined(separator: ", ") }
        compare("enabled", \.isEnabled) { $0 ? "on" : "off" }
        return changes
    }

    func commandForSecret(of server: DirectoryServer) -> String {
        ownSecrets[server] == nil
            ? "sallyport directory set \(name) --secret-stdin"
            : "sallyport directory server add \(name) --address \(server) --secret-stdin"
    }

    /// What deserves a second look.
    var warnings: [String] {
        var warnings: [String] = []
        for server in servers {
            guard ownSecrets[server] != nil || server == servers.first(where: { ownSecrets[$0] == nil }) else { continue }
            let secret = secret(of: server)
            let what = ownSecrets[server] == nil ? "The shared secret" : "The secret of \(server)"
            if secret.isEmpty {
                warnings.append("\(what) does not open, so it is asked nothing: \(commandForSecret(of: server))")
            } else if secret.count < ClientSettings.shortestGoodSecret {
                warnings.append("\(what) has only \(secret.count) bytes; whoever records one packet can guess it offline.")
            }
        }
        if messageAuthenticator == .allow {
            warnings.append(
                "Replies without Message-Authenticator are taken: anyone on the way can turn a wrong password into a right one (BlastRADIUS, "
                    + "CVE-2024-3596). Update that server, then: sallyport directory set \(name) --message-authenticator require")
        }
        if !isEnabled { warnings.append("Disabled: nobody whose password lives there is let in.") }
        return warnings
    }
}

extension Timestamp.Span {
    /// `3s`, `500ms`
    package var words: String {
        let milliseconds = microseconds / 1_000
        return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000)s" : "\(milliseconds)ms"
    }
}
