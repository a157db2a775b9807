// SPDX-License-Identifier: Apache-2.0
// What is there, as an apply file that changes nothing.

import Administration
import LoginEngine

extension Blueprint {
    /// Every key that is not the default; secrets are kept.
    var yaml: String {
        var lines = ["version: \(ApplyFile.version)"]
        if let channels, !channels.isEmpty {
            lines.append("channels:")
            for channel in channels { lines += Self.lines(channel) }
        }
        if let directories, !directories.isEmpty {
            lines.append("directories:")
            for directory in directories { lines += Self.lines(directory) }
        }
        if let clients {
            lines.append(clients.isEmpty ? "clients: {}" : "clients:")
            for client in clients { lines += Self.lines(client) }
        }
        if let groups {
            lines.append(groups.isEmpty ? "groups: {}" : "groups:")
            for group in groups { lines += Self.lines(group) }
        }
        if let policies {
            lines.append(policies.isEmpty ? "policies: []" : "policies:")
            for policy in policies { lines += Self.lines(policy) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ channel: Channel) -> [String] {
        let choices = channel.choices
        var lines = [
            "  \(scalar(channel.name)):", "    type: \(scalar(choices.type ?? ChannelKind.smtp.rawValue))",
            "    server: \(scalar(choices.server ?? ""))", "    from: \(scalar(choices.from ?? ""))",
        ]
        func add(_ key: String, _ value: String?, _ standard: String) {
            if let value, value != standard { lines.append("    \(key): \(scalar(value))") }
        }
        add("from-name", choices.fromName, "")
        add("tls", choices.tls, MailSecurity.starttls.rawValue)
        if choices.authorities == nil { lines.append("    ca: { keep: true }") }
        if let user = choices.user, !user.isEmpty { lines += ["    user: \(scalar(user))", "    password: { keep: true }"] }
        add("timeout", choices.timeout, "30s")
        if let most = choices.perMinute, most != 60 { lines.append("    per-minute: \(most)") }
        if choices.isEnabled == false { lines.append("    enabled: off") }
        return lines
    }

    private static func lines(_ directory: Directory) -> [String] {
        let choices = directory.choices
        let standard = DirectorySettings(name: directory.name, servers: [], secret: LoginEngine.Secret([]))
        var lines = [
            "  \(scalar(directory.name)):", "    type: \(scalar(choices.type ?? DirectoryKind.radius.rawValue))",
        ]
        if let ldap = choices.ldap { return lines + ldapLines(directory, choices, ldap) }
        let own = choices.ownSecrets ?? []
        if own.isEmpty {
            lines.append("    servers: \(list(choices.servers ?? []))")
        } else {
            lines.append("    servers:")
            lines += (choices.servers ?? []).map { server in
                own.contains { $0.server == server }
                    ? "      - { address: \(scalar(server)), secret: { keep: true } }" : "      - \(scalar(server))"
            }
        }
        lines.append("    secret: { keep: true }")
        func add(_ key: String, _ value: String?, _ standard: String) {
            if let value, value != standard { lines.append("    \(key): \(scalar(value))") }
        }
        add("timeout", choices.timeout, standard.timeout.words)
        if let tries = choices.tries, tries != standard.tries { lines.append("    tries: \(tries)") }
        add("message-authenticator", choices.messageAuthenticator, standard.messageAuthenticator.rawValue)
        add("send-name", choices.sends, standard.nameSent.rawValue)
        if let takes = choices.takes, !takes.isEmpty { lines.append("    take: \(list(takes))") }
        if choices.isEnabled == false { lines.append("    enabled: off") }
        return lines
    }

    private static func lines(_ client: Client) -> [String] {
        let choices = client.choices
        var standard = ClientSettings(name: client.name, addresses: [], secret: LoginEngine.Secret([]))
        (choices.profile.flatMap { ClientProfile.named($0) } ?? .generic).shape(&standard)
        var lines = ["  \(scalar(client.name)):", "    address: \(list(choices.addresses ?? []))", "    secret: { keep: true }"]
        func add(_ key: String, _ value: String?, _ standard: String) {
            if let value, value != standard { lines.append("    \(key): \(scalar(value))") }
        }
        func add(_ key: String, _ value: Bool?, _ standard: Bool) {
            if let value, value != standard { lines.append("    \(key): \(value ? "on" : "off")") }
        }
        func add(_ key: String, _ value: Int?, _ standard: Int) {
            if let value, value != standard { lines.append("    \(key): \(value)") }
        }
        add("profile", choices.profile, ClientProfile.generic.name)
        add("probe-user", choices.probeUser, standard.probeUser ?? "none")
        if let certificates = choices.certificates, !certificates.isEmpty { lines.append("    certificate: \(list(certificates))") }
        if let identity = choices.pskIdentity { lines += ["    psk-identity: \(scalar(identity))", "    psk: { keep: true }"] }
        if let tags = choices.tags, !tags.isEmpty { lines.append("    tags: \(list(tags))") }
        add("message-authenticator", choices.messageAuthenticator, standard.messageAuthenticator.rawValue)
        // Always written: what it is without the key depends on whether there are policies.
        add("require", choices.requirement, "")
        add("ask", choices.asking, standard.asking.rawValue)
        add("separator", choices.separator, standard.separator.map { String($0) } ?? "none")
        add("fixed-length-tail", choices.fixedLengthTail, standard.fixedLengthTail)
        add("conceal-factor", choices.concealFactor, standard.concealFactor)
        add("helpful-messages", choices.helpfulMessages, standard.helpfulMessages)
        add("strip", choices.nameStripping, standard.nameStripping.rawValue)
        add("charset", choices.charset, standard.charset.rawValue)
        add("retry-timeout", choices.retryTimeout, standard.retryTimeout)
        add("retry-tries", choices.retryTries, standard.retryTries)
        add("rejoin", choices.rejoin, standard.rejoin)
        add("automatic-push", choices.automaticPush, standard.automaticPush)
        add("disconnect-port", choices.disconnectPort, Int(standard.disconnectPort))
        if let protocols = choices.protocols, protocols != standard.schemes.schemes.map(\.rawValue) {
            lines.append("    protocols: \(list(protocols))")
        }
        if let directory = choices.directory { lines.append("    directory: \(scalar(directory))") }
        if let rules = choices.passThrough, !rules.isEmpty { lines.append("    pass-through: \(list(rules))") }
        if let eap = choices.eap, eap != standard.eap.map(\.rawValue) { lines.append("    eap: \(list(eap))") }
        add("enabled", choices.isEnabled, standard.isEnabled)
        return lines + reply(choices.reply ?? [])
    }

    private static func lines(_ group: Group) -> [String] {
        guard
            group.users != nil || group.groups != nil || group.directory != nil || group.sessions != nil || !group.reply.isEmpty
        else {
            return ["  \(scalar(group.name)): {}"]
        }
        var lines = ["  \(scalar(group.name)):"]
        if let users = group.users {
            lines.append(users.isEmpty ? "    members: []" : "    members:")
            lines += users.map { "      - \(scalar($0.name))" }
        }
        if let groups = group.groups { lines.append("    groups: \(list(groups.map(\.name)))") }
        if let most = group.sessions { lines.append("    sessions: \(most)") }
        if let directory = group.directory { lines.append("    directory: \(scalar(directory))") }
        return lines + reply(group.reply)
    }

    private static func lines(_ policy: Policy) -> [String] {
        let choices = policy.choices
        var lines = ["  - name: \(scalar(policy.name))"]
        var conditions: [String] = []
        for (key, values) in [
            ("client", choices.clients), ("client-tag", choices.clientTags), ("group", choices.groups), ("method", choices.methods),
            ("realm", choices.realms), ("user", choices.users), ("network", choices.networks), ("not-network", choices.otherNetworks),
            ("country", choices.countries), ("not-country", choices.otherCountries), ("hours", choices.hours),
        ] {
            guard let values, !values.isEmpty else { continue }
            conditions.append("\(key): \(values.count == 1 ? scalar(values[0]) : list(values))")
        }
        if !conditions.isEmpty { lines.append("    when: { \(conditions.joined(separator: ", ")) }") }
        lines.append("    require: \(choices.require ?? "deny")")
        if let factors = choices.factors, !factors.isEmpty { lines.append("    factors: \(list(factors))") }
        if let end = choices.graceUntil { lines.append("    unenrolled: { do: grace, until: \(scalar(end)) }") }
        if let days = choices.graceDays { lines.append("    unenrolled: { do: grace, for: \(days)d }") }
        if let most = choices.sessions, most > 0 { lines.append("    sessions: \(most)") }
        if choices.isReportOnly == true { lines.append("    report-only: on") }
        return lines + reply(choices.reply ?? [])
    }

    /// Values of one name stand together, as a list where there are several.
    private static func reply(_ settings: [ReplySetting]) -> [String] {
        var names: [String] = []
        for setting in settings where !names.contains(setting.name) { names.append(setting.name) }
        let lines = names.map { name in
            let values = settings.filter { $0.name == name }.map(\.value)
            return "      \(scalar(name)): \(values.count == 1 ? scalar(values[0]) : list(values))"
        }
        return lines.isEmpty ? [] : ["    reply:"] + lines
    }

    static func list(_ items: [String]) -> String { "[" + items.map(scalar).joined(separator: ", ") + "]" }

    /// Plain where no reader of YAML could take it for anything else.
    static func scalar(_ text: String) -> String {
        let isPlain =
            text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || "-_.+/@".utf8.contains($0)
            } && text.utf8.first.map { (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) } == true
        let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        if isPlain, !words.contains(text.lowercased()) { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case let scalar where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\x" + String(repeating: "0", count: 2 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
