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
        return new
    }

    private static func servers(_ texts: [String]) throws(Refusal) -> [DirectoryServer] {
        var servers: [DirectoryServer] = []
        for text in texts {
            guard let server = DirectoryServer(Valid.trimmed(text)) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(text))` is not the address of a server.",
                    remedy: "Write it as 192.0.2.10, 192.0.2.10:1645 or [2001:db8::1]:1812; names are not looked up.", place: "server")
            }
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
        compare("timeout", \.timeout, \.words)
        compare("tries", \.tries) { "\($0)" }
        compare("message-authenticator", \.messageAuthenticator, \.rawValue)
        compare("send-name", \.nameSent, \.rawValue)
        compare("take", \.takes) { $0.isEmpty ? "none" : $0.joined(separator: ", ") }
        compare("enabled", \.isEnabled) { $0 ? "on" : "off" }
        return changes
    }

    /// What deserves a second look.
    var warnings: [String] {
        var warnings: [String] = []
        if secret.isEmpty {
            warnings.append("The shared secret does not open, so it is asked nothing: sallyport directory set \(name) --secret-stdin")
        } else if secret.count < ClientSettings.shortestGoodSecret {
            warnings.append("The shared secret has only \(secret.count) bytes; whoever records one packet can guess it offline.")
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
