// SPDX-License-Identifier: Apache-2.0
// What an administrator chose for a channel, held against the rules of each field.

internal import Channels
internal import LoginEngine
internal import TLS

extension ChannelChoices {
    static let timeouts = 1...120
    static let rates = 1...6_000
    static let longestName = 100
    /// RFC 4954 leaves it open; nobody has longer ones.
    static let longestUser = 254

    /// - Parameter old: nil for a new one.
    /// - Throws: the first that cannot be so, with what to do.
    func apply(to old: ChannelSettings?, name: String) throws(Refusal) -> ChannelSettings {
        if let type, ChannelKind(rawValue: type) == nil {
            throw Refusal(.invalid, "`\(Valid.shown(type))` is no type of channel.", remedy: "Use smtp.", place: "type")
        }
        var new: ChannelSettings
        if let old {
            new = old
        } else {
            guard let server, let from else {
                throw Refusal(
                    .invalid, "A channel needs \(server == nil ? "the server that it hands mail to" : "the address that it sends from").",
                    remedy: server == nil ? "Give --server smtp.example.org:587." : "Give --from vpn@example.org.",
                    place: server == nil ? "server" : "from")
            }
            new = ChannelSettings(name: name, server: try Self.server(server), sender: try Self.sender(from))
        }
        new.name = name
        if let server { new.server = try Self.server(server) }
        if let from { new.sender = try Self.sender(from) }
        if let tls {
            guard let security = MailSecurity(rawValue: tls) else {
                throw Refusal(
                    .invalid, "`\(Valid.shown(tls))` is none of none, starttls and tls.",
                    remedy: "Use starttls (port 587), tls (port 465), or none for a server on this host.", place: "tls")
            }
            new.security = security
        }
        if let authorities { new.authorities = authorities.isEmpty ? nil : try Self.authorities(authorities) }
        if let user { new.userName = user.isEmpty ? nil : try Self.user(user) }
        if let fromName { new.senderName = fromName.isEmpty ? nil : try Self.senderName(fromName) }
        if let timeout { new.timeout = try Self.span(timeout) }
        if let perMinute { new.perMinute = try Valid.number(perMinute, in: Self.rates, "per-minute") }
        if let isEnabled { new.isEnabled = isEnabled }
        if let password { new.secret = try Self.password(password.secret) }
        if new.userName == nil { new.secret = Secret([]) }
        try checkLogin(new, since: old)
        return new
    }

    private func checkLogin(_ new: ChannelSettings, since old: ChannelSettings?) throws(Refusal) {
        guard new.userName != nil else {
            if password != nil {
                throw Refusal(.invalid, "There is a password, and nobody who logs in with it.", remedy: "Give --user too.", place: "user")
            }
            return
        }
        guard password != nil || old?.userName != nil else {
            throw Refusal(
                .invalid, "Whoever logs in at the server needs a password.", remedy: "Give it with --password-stdin.", place: "password")
        }
        guard new.security != .none || new.server.isLoopback else {
            throw Refusal(
                .conflict, "The password would go to \(new.server) in the open.", remedy: "Use --tls starttls or --tls tls.", place: "tls")
        }
        // Whoever may change a channel need not know its password, and could have it sent to a server of their own.
        if let old, password == nil, old.server.host != new.server.host || old.authorities != new.authorities && new.authorities != nil {
            throw Refusal(
                .conflict, "The password that is kept was given for \(old.server), and is shown to no other server.",
                remedy: "Give it anew with --password-stdin.", place: "password")
        }
    }

    private static func server(_ text: String) throws(Refusal) -> MailServer {
        guard let server = MailServer(Valid.trimmed(text)) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is neither the host name nor the address of a server.",
                remedy: "Write it as smtp.example.org, smtp.example.org:587, 192.0.2.25:25 or [2001:db8::25]:25.", place: "server")
        }
        return server
    }

    private static func sender(_ text: String) throws(Refusal) -> String {
        try mailAddress(text, place: "from").description
    }

    static func mailAddress(_ text: String, place: String) throws(Refusal) -> MailAddress {
        guard let address = MailAddress(Valid.trimmed(text)) else {
            throw Refusal(
                .invalid, "No mail can be sent to or from `\(Valid.shown(text))`.",
                remedy: "Write it as vpn@example.org, in ASCII; a domain in another script as xn--….", place: place)
        }
        return address
    }

    private static func senderName(_ text: String) throws(Refusal) -> String {
        let name = Valid.trimmed(text)
        guard (1...longestName).contains(name.count), Valid.isPrintable(name) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` cannot be a sender's name.",
                remedy: "Use 1 to \(longestName) characters without control characters.", place: "from-name")
        }
        return name
    }

    private static func user(_ text: String) throws(Refusal) -> String {
        let name = Valid.trimmed(text)
        guard (1...longestUser).contains(name.utf8.count), Valid.isPrintable(name) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` cannot be a user name.",
                remedy: "Use 1 to \(longestUser) bytes without control characters.", place: "user")
        }
        return name
    }

    private static func password(_ secret: Secret) throws(Refusal) -> Secret {
        guard !secret.isEmpty, secret.count <= 1_024, let text = secret.revealText(), Valid.isPrintable(text) else {
            throw Refusal(
                .invalid, "This cannot be the password of a mail server.", remedy: "Give one line of text on standard input.",
                place: "password")
        }
        return secret
    }

    private static func authorities(_ pem: String) throws(Refusal) -> String {
        var settings = TLSSettings()
        settings.peerAuthorities = Array(pem.utf8)
        do throws(TLSError) {
            _ = try TLSContext(.client(), settings)
        } catch {
            throw Refusal(
                .invalid, "The certificate authorities cannot be used: \(error.description).",
                remedy: "Name a file of certificates in PEM (-----BEGIN CERTIFICATE-----).", place: "ca")
        }
        return pem
    }

    private static func span(_ text: String) throws(Refusal) -> Timestamp.Span {
        let text = Valid.trimmed(text)
        let digits = text.hasSuffix("s") ? text.dropLast() : text[...]
        guard let seconds = Int(digits), timeouts.contains(seconds) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is no time for a mail.",
                remedy: "Write it as 30s; it must be \(timeouts.lowerBound)s to \(timeouts.upperBound)s.", place: "timeout")
        }
        return .seconds(Int64(seconds))
    }
}

extension ChannelSettings {
    /// `tls: starttls → tls`; of password and authorities only that they changed.
    func changes(since old: ChannelSettings) -> [String] {
        var changes: [String] = []
        func compare<Value: Equatable>(_ field: String, _ path: KeyPath<ChannelSettings, Value>, _ text: (Value) -> String) {
            if self[keyPath: path] != old[keyPath: path] {
                changes.append("\(field): \(text(old[keyPath: path])) → \(text(self[keyPath: path]))")
            }
        }
        compare("name", \.name) { $0 }
        compare("server", \.server) { $0.description }
        compare("tls", \.security, \.rawValue)
        if authorities != old.authorities { changes.append("ca changed") }
        compare("user", \.userName) { $0 ?? "none" }
        if secret != old.secret { changes.append("password changed") }
        compare("from", \.sender) { $0 }
        compare("from-name", \.senderName) { $0 ?? "none" }
        compare("timeout", \.timeout, \.words)
        compare("per-minute", \.perMinute) { "\($0)" }
        compare("enabled", \.isEnabled) { $0 ? "on" : "off" }
        return changes
    }

    var isMute: Bool { userName != nil && secret.isEmpty }

    /// What deserves a second look.
    var warnings: [String] {
        var warnings: [String] = []
        if isMute {
            warnings.append("The password does not open, so nothing is sent: sallyport channel set \(name) --password-stdin")
        }
        if security == .none, !server.isLoopback {
            warnings.append("Mail goes to \(server) in the open: whoever is on the way reads the links in it and can use them.")
        }
        if !isEnabled { warnings.append("Disabled: what is to go by it waits.") }
        return warnings
    }
}

extension ChannelChoices {
    /// Everything but password and authorities, which are kept.
    init(of settings: ChannelSettings) {
        self.init()
        type = settings.kind.rawValue
        server = settings.server.description
        tls = settings.security.rawValue
        if settings.authorities == nil { authorities = "" }
        user = settings.userName ?? ""
        from = settings.sender
        fromName = settings.senderName ?? ""
        timeout = settings.timeout.words
        perMinute = settings.perMinute
        isEnabled = settings.isEnabled
    }
}
