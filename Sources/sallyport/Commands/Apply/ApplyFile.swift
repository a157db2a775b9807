// SPDX-License-Identifier: Apache-2.0
// An apply file as channels, directories, clients, groups and policies; docs/run/apply.md has every key.

import Administration
import Foundation
import LoginEngine
import Yams

struct ApplyFile {
    static let version = "1"
    static let sections = ["version", "channels", "directories", "clients", "groups", "policies"]
    /// Sections and keys of the format that later versions read.
    static let comingSections = ["alerts"]

    let reader: YAMLReader
    /// Reads the file or the variable that a secret is in; documentation tests read none.
    var secret: (Secret) throws -> SecretText

    enum Secret {
        case file(String)
        case variable(String)
        /// A text of many lines, such as certificates.
        case document(String)
    }

    init(fileName: String, secret: @escaping (Secret) throws -> SecretText) {
        reader = YAMLReader(fileName: fileName)
        self.secret = secret
    }

    func read(_ bytes: [UInt8]) throws -> Blueprint {
        let root = try reader.root(bytes)
        let sections = try reader.entries(root, "The file", keys: Self.sections, coming: Self.comingSections)
        guard let version = sections["version"] else {
            throw reader.refusal(root, "The file does not say which format it is.", "Begin it with `version: \(Self.version)`.")
        }
        guard try reader.text(version.value, "version") == Self.version else {
            throw reader.refusal(
                version.value, "This program reads `version: \(Self.version)` alone.", "Use a newer Sallyport, or that version.")
        }
        var blueprint = Blueprint()
        if let entry = sections["channels"] {
            blueprint.channels = try reader.entries(entry.value, "channels").map(channel)
        }
        if let entry = sections["directories"] {
            blueprint.directories = try reader.entries(entry.value, "directories").map(directory)
        }
        if let entry = sections["clients"] { blueprint.clients = try reader.entries(entry.value, "clients").map(client) }
        if let entry = sections["groups"] { blueprint.groups = try reader.entries(entry.value, "groups").map(group) }
        if let entry = sections["policies"] { blueprint.policies = try policies(entry.value) }
        return blueprint
    }

    /// Where each key stands, for what is refused of its value later.
    private func places(_ keys: [String: YAMLReader.Entry]) -> [String: String] { keys.mapValues { reader.place($0.keyNode) } }

    // MARK: Channels

    static let channelKeys = [
        "type", "server", "tls", "ca", "user", "password", "from", "from-name", "timeout", "per-minute", "enabled",
    ]

    private func channel(_ entry: YAMLReader.Entry) throws -> Blueprint.Channel {
        let what = "Channel \(SafeText.line(entry.key))"
        let keys = try reader.entries(entry.value, what, keys: Self.channelKeys)
        func text(_ key: String) throws -> String? { try keys[key].map { try reader.text($0.value, key) } }
        guard let type = try text("type") else {
            throw reader.refusal(entry.value, "\(what) does not say what it is.", "Write `type: smtp`.")
        }
        guard let server = try text("server"), let from = try text("from") else {
            throw reader.refusal(
                entry.value, "\(what) needs a server and the address that it sends from.",
                "Write `server: smtp.example.org:587` and `from: vpn@example.org`.")
        }
        var choices = ChannelChoices()
        (choices.type, choices.server, choices.from) = (type, server, from)
        choices.tls = try text("tls")
        choices.authorities = try keys["ca"].map { try document($0.value, "ca") } ?? ""
        choices.user = try text("user") ?? ""
        choices.password = try keys["password"].flatMap { try clientSecret($0.value, "password") }
        choices.fromName = try text("from-name")
        choices.timeout = try text("timeout")
        choices.perMinute = try keys["per-minute"].map { try reader.number($0.value, "per-minute") }
        choices.isEnabled = try keys["enabled"].map { try reader.isOn($0.value, "enabled") }
        var channel = Blueprint.Channel(name: entry.key, place: reader.place(entry.keyNode), choices: choices)
        channel.places = places(keys)
        return channel
    }

    /// Nil for *keep*.
    private func document(_ node: Yams.Node, _ name: String) throws -> String? {
        guard node.mapping != nil else {
            throw reader.refusal(node, "\(name) is read from a file.", "Write `\(name): { file: PATH }` or `{ keep: true }`.")
        }
        let keys = try reader.entries(node, name, keys: ["file", "keep"])
        guard keys.count == 1, let entry = keys.values.first else { throw reader.refusal(node, "\(name) has one of file and keep.") }
        let value = try reader.text(entry.value, entry.key)
        guard entry.key == "file" else {
            guard value == "true" else { throw reader.refusal(entry.value, "keep must be true.") }
            return nil
        }
        do {
            return try secret(.document(value)).text
        } catch let refusal as Refusal {
            throw refusal.at(reader.place(entry.value))
        }
    }

    // MARK: Directories

    static let directoryKeys = [
        "type", "servers", "secret", "timeout", "tries", "message-authenticator", "send-name", "take", "enabled", "ca", "base", "bind",
        "bind-name", "account", "filter", "users", "domains", "map", "groups", "create-users", "sync",
    ]

    private func directory(_ entry: YAMLReader.Entry) throws -> Blueprint.Directory {
        let what = "Directory \(SafeText.line(entry.key))"
        let coming = ["bind-failures"]
        let keys = try reader.entries(entry.value, what, keys: Self.directoryKeys, coming: coming)
        func text(_ key: String) throws -> String? { try keys[key].map { try reader.text($0.value, key) } }
        func list(_ key: String) throws -> [String]? { try keys[key].map { try reader.list($0.value, key).map(\.text) } }
        guard let type = try text("type") else {
            throw reader.refusal(entry.value, "\(what) does not say what it is.", "Write `type: radius`, `ldap` or `active-directory`.")
        }
        var choices = DirectoryChoices()
        choices.type = type
        if let servers = keys["servers"]?.value {
            let entries = try self.servers(servers)
            choices.servers = entries.map(\.address)
            choices.ownSecrets = entries.compactMap(\.own)
        }
        choices.secret = try keys["secret"].flatMap { try clientSecret($0.value) }
        choices.timeout = try text("timeout")
        choices.tries = try keys["tries"].map { try reader.number($0.value, "tries") }
        choices.messageAuthenticator = try text("message-authenticator")
        choices.sends = try text("send-name")
        choices.takes = try list("take") ?? []
        if DirectoryKind(rawValue: type)?.isLDAP == true {
            choices.ldap = try ldap(keys)
            choices.syncEvery = try keys["sync"].flatMap { try syncEvery($0.value) }
            if let account = keys["account"]?.value, account.mapping != nil { choices.secret = try accountPassword(account) }
        } else if let key = Self.ldapKeys.first(where: { keys[$0] != nil }), let entry = keys[key] {
            throw reader.refusal(entry.keyNode, "\(what): a directory of type \(SafeText.line(type)) has no `\(key)`.", "Take it out.")
        }
        choices.isEnabled = try keys["enabled"].map { try reader.isOn($0.value, "enabled") }
        var directory = Blueprint.Directory(name: entry.key, place: reader.place(entry.keyNode), choices: choices)
        directory.places = places(keys)
        return directory
    }

    /// Addresses, or mappings of an address and the secret that this server alone shares.
    private func servers(_ node: Yams.Node) throws -> [(address: String, own: DirectoryChoices.OwnSecret?)] {
        try (node.sequence.map { Array($0) } ?? [node]).map { entry in
            guard entry.mapping != nil else { return (try reader.text(entry, "servers"), nil) }
            let keys = try reader.entries(entry, "A server", keys: ["address", "secret"])
            guard let address = try keys["address"].map({ try reader.text($0.value, "address") }) else {
                throw reader.refusal(entry, "A server needs an address.", "Write `address: 192.0.2.10`.")
            }
            guard let secret = keys["secret"]?.value else { return (address, nil) }
            return (address, DirectoryChoices.OwnSecret(server: address, secret: try clientSecret(secret)))
        }
    }

    // MARK: Clients

    static let clientKeys = [
        "address", "secret", "profile", "tags", "message-authenticator", "require", "ask", "separator", "fixed-length-tail",
        "conceal-factor", "helpful-messages", "strip", "charset", "retry-timeout", "retry-tries", "rejoin", "automatic-push", "protocols",
        "eap", "probe-user", "certificate", "psk", "psk-identity", "disconnect-port", "directory", "pass-through", "enabled",
        "reply",
    ]

    private func client(_ entry: YAMLReader.Entry) throws -> Blueprint.Client {
        let what = "Client \(SafeText.line(entry.key))"
        let keys = try reader.entries(entry.value, what, keys: Self.clientKeys, coming: ["api-token"])
        func text(_ key: String) throws -> String? { try keys[key].map { try reader.text($0.value, key) } }
        func list(_ key: String) throws -> [String]? { try keys[key].map { try reader.list($0.value, key).map(\.text) } }
        func isOn(_ key: String) throws -> Bool? { try keys[key].map { try reader.isOn($0.value, key) } }
        func number(_ key: String) throws -> Int? { try keys[key].map { try reader.number($0.value, key) } }
        var choices = ClientChoices()
        choices.addresses = try list("address")
        choices.secret = try keys["secret"].flatMap { try clientSecret($0.value) }
        choices.profile = try text("profile")
        choices.tags = try list("tags") ?? []
        choices.messageAuthenticator = try text("message-authenticator")
        choices.requirement = try text("require")
        choices.asking = try text("ask")
        choices.separator = try text("separator")
        choices.fixedLengthTail = try isOn("fixed-length-tail")
        choices.concealFactor = try isOn("conceal-factor")
        choices.helpfulMessages = try isOn("helpful-messages")
        choices.nameStripping = try text("strip")
        choices.charset = try text("charset")
        choices.retryTimeout = try number("retry-timeout")
        choices.retryTries = try number("retry-tries")
        choices.rejoin = try isOn("rejoin")
        choices.automaticPush = try isOn("automatic-push")
        choices.protocols = try list("protocols")
        choices.eap = try list("eap")
        choices.probeUser = try text("probe-user")
        choices.certificates = try list("certificate") ?? []
        choices.pskIdentity = try text("psk-identity")
        if let key = keys["psk"]?.value {
            choices.psk = try clientSecret(key, "psk")
            // Nothing is kept where nothing is: what is named must be there.
            if choices.psk == nil, choices.pskIdentity == nil { choices.pskIdentity = entry.key }
        } else if choices.pskIdentity == nil {
            choices.hasNoPSK = true
        }
        choices.disconnectPort = try number("disconnect-port")
        choices.directory = try text("directory")
        choices.passThrough = try list("pass-through") ?? []
        choices.isEnabled = try isOn("enabled")
        choices.reply = try keys["reply"].map { try reply($0.value) } ?? []
        var client = Blueprint.Client(name: entry.key, place: reader.place(entry.keyNode), choices: choices)
        client.places = places(keys)
        return client
    }

    /// Nil for *keep*.
    func clientSecret(_ node: Yams.Node, _ name: String = "secret") throws -> SecretText? {
        guard node.mapping != nil else {
            throw reader.refusal(
                node, "A secret never stands in the file.", "Write `\(name): { file: PATH }`, `{ env: NAME }` or `{ keep: true }`.")
        }
        let keys = try reader.entries(node, name, keys: ["file", "env", "keep"])
        guard keys.count == 1, let entry = keys.values.first else {
            throw reader.refusal(node, "A secret has one of file, env and keep.")
        }
        let value = try reader.text(entry.value, entry.key)
        do {
            switch entry.key {
            case "file": return try secret(.file(value))
            case "env": return try secret(.variable(value))
            default:
                guard value == "true" else { throw reader.refusal(entry.value, "keep must be true.") }
                return nil
            }
        } catch let refusal as Refusal {
            throw Refusal(
                refusal.kind, refusal.place.map { "\($0): \(refusal.message)" } ?? refusal.message, remedy: refusal.remedy,
                place: reader.place(entry.value))
        }
    }

    // MARK: Groups

    private func group(_ entry: YAMLReader.Entry) throws -> Blueprint.Group {
        let keys = try reader.entries(
            entry.value, "Group \(SafeText.line(entry.key))", keys: ["members", "groups", "directory", "reply", "sessions"])
        func members(_ key: String) throws -> [Blueprint.Member]? {
            guard let value = keys[key]?.value else { return nil }
            guard value.sequence != nil else { throw reader.refusal(value, "\(key) must be a list.") }
            return try reader.list(value, key).map { Blueprint.Member($0.text, place: reader.place($0.node)) }
        }
        var group = Blueprint.Group(
            name: entry.key, place: reader.place(entry.keyNode), users: try members("members"), groups: try members("groups"))
        group.places = places(keys)
        group.directory = try keys["directory"].map { try reader.text($0.value, "directory") }
        group.reply = try keys["reply"].map { try reply($0.value) } ?? []
        group.sessions = try keys["sessions"].map { try sessions($0.value) }
        return group
    }

    /// A number, or `any`.
    private func sessions(_ node: Yams.Node) throws -> Int {
        try reader.text(node, "sessions") == "any" ? 0 : try reader.number(node, "sessions")
    }

    // MARK: Reply attributes

    /// A name and its value, or a list of values.
    private func reply(_ node: Yams.Node) throws -> [ReplySetting] {
        try reader.entries(node, "reply").flatMap { entry in
            try reader.list(entry.value, "reply \(SafeText.line(entry.key))").map { ReplySetting(entry.key, $0.text) }
        }
    }

    // MARK: Policies

    static let policyKeys = ["name", "when", "require", "factors", "unenrolled", "remember", "report-only", "reply", "sessions"]
    static let conditionKeys = [
        "client", "client-tag", "group", "method", "realm", "user", "network", "not-network", "country", "not-country", "hours",
    ]
    static let hoursKeys = ["days", "from", "to", "zone", "holidays"]

    private func policies(_ node: Yams.Node) throws -> [Blueprint.Policy] {
        if node.null != nil { return [] }
        guard let sequence = node.sequence else { throw reader.refusal(node, "policies must be a list: the first that matches decides.") }
        return try sequence.map(policy)
    }

    private func policy(_ node: Yams.Node) throws -> Blueprint.Policy {
        let keys = try reader.entries(node, "A policy", keys: Self.policyKeys, coming: ["enrol", "provisional", "hardware"])
        guard let name = try keys["name"].map({ try reader.text($0.value, "name") }) else {
            throw reader.refusal(node, "A policy needs a name.", "Write `name: staff`.")
        }
        guard let require = keys["require"] else {
            throw reader.refusal(node, "A policy has to say what it requires.", "Write `require: password+factor`.")
        }
        var choices = PolicyChoices()
        choices.require = try reader.text(require.value, "require")
        choices.clients = []
        choices.clientTags = []
        choices.groups = []
        choices.methods = []
        choices.realms = []
        (choices.users, choices.networks, choices.otherNetworks) = ([], [], [])
        (choices.countries, choices.otherCountries, choices.hours) = ([], [], [])
        if let when = keys["when"] {
            let conditions = try reader.entries(
                when.value, "when", keys: Self.conditionKeys, coming: ["station", "place"])
            func list(_ key: String) throws -> [String] { try conditions[key].map { try reader.list($0.value, key).map(\.text) } ?? [] }
            choices.clients = try list("client")
            choices.clientTags = try list("client-tag")
            choices.groups = try list("group")
            choices.methods = try list("method")
            choices.realms = try list("realm")
            choices.users = try list("user")
            (choices.networks, choices.otherNetworks) = (try list("network"), try list("not-network"))
            (choices.countries, choices.otherCountries) = (try list("country"), try list("not-country"))
            choices.hours = try conditions["hours"].map { try hours($0.value) } ?? []
        }
        choices.factors = try keys["factors"].map { try reader.list($0.value, "factors").map(\.text) } ?? []
        choices.unenrolled = "deny"
        if let entry = keys["unenrolled"] { try unenrolled(entry.value, &choices) }
        choices.remember = try keys["remember"].map { try remember($0.value) }
        choices.isReportOnly = try keys["report-only"].map { try reader.isOn($0.value, "report-only") } ?? false
        choices.reply = try keys["reply"].map { try reply($0.value) } ?? []
        choices.sessions = try keys["sessions"].map { try sessions($0.value) } ?? 0
        let place = keys["name"].map { reader.place($0.value) } ?? reader.place(node)
        var policy = Blueprint.Policy(name: name, place: place, choices: choices)
        policy.places = places(keys)
        return policy
    }

    /// One window or a list of them, each as text or as keys.
    private func hours(_ node: Yams.Node) throws -> [String] {
        try (node.sequence.map { Array($0) } ?? [node]).map { entry in
            guard entry.mapping != nil else { return try reader.text(entry, "hours") }
            let keys = try reader.entries(entry, "hours", keys: Self.hoursKeys)
            func text(_ key: String) throws -> String? {
                try keys[key].map { try reader.list($0.value, key).map(\.text).joined(separator: ",") }
            }
            let times = (try text("from"), try text("to"))
            guard (times.0 == nil) == (times.1 == nil) else {
                throw reader.refusal(entry, "Hours have `from` and `to`, or neither.", "Write `from: \"07:00\", to: \"20:00\"`.")
            }
            var words: [String] = []
            if let days = try text("days") { words.append(days) }
            if let from = times.0, let to = times.1 { words.append("\(from)-\(to)") }
            if let zone = try text("zone") { words.append(zone) }
            if let holidays = try text("holidays") { words.append("holidays=\(holidays)") }
            return words.joined(separator: " ")
        }
    }

    private func unenrolled(_ node: Yams.Node, _ choices: inout PolicyChoices) throws {
        guard node.mapping != nil else {
            choices.unenrolled = try reader.text(node, "unenrolled")
            return
        }
        let keys = try reader.entries(node, "unenrolled", keys: ["do", "until", "for"], coming: ["remind"])
        guard let what = keys["do"] else {
            throw reader.refusal(node, "unenrolled has to say what to do.", "Write `do: deny` or `do: grace`.")
        }
        choices.unenrolled = try reader.text(what.value, "do")
        choices.graceUntil = try keys["until"].map { try reader.text($0.value, "until") }
        choices.graceDays = try keys["for"].map { try reader.number($0.value, "for", unit: "d") }
    }

    private func remember(_ node: Yams.Node) throws -> String {
        guard node.mapping == nil else {
            throw reader.refusal(node, "This version remembers no device.", "Write `remember: never`, or take it out.")
        }
        return try reader.text(node, "remember")
    }
}
