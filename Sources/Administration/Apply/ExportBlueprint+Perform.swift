// SPDX-License-Identifier: Apache-2.0
// What is there, in the words of an apply file.

internal import LoginEngine
internal import Store

extension ExportBlueprint {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let records = operations.records
        var blueprint = Blueprint()
        var warnings: [String] = []
        blueprint.channels = try records.channels().map {
            Blueprint.Channel(name: $0.name, place: "", choices: ChannelChoices(of: $0.settings))
        }
        let directories = try records.directories()
        blueprint.directories = directories.map {
            Blueprint.Directory(name: $0.name, place: "", choices: DirectoryChoices(of: $0.settings))
        }
        blueprint.clients = try records.clients().sorted { $0.name < $1.name }.map {
            Blueprint.Client(name: $0.name, place: "", choices: ClientChoices(of: $0.settings, directories))
        }
        let groups = try records.groups()
        let names = Dictionary(groups.map { ($0.id, $0.name) }) { first, _ in first }
        var exported: [Blueprint.Group] = []
        for group in groups {
            var entry = Blueprint.Group(name: group.name, place: "")
            entry.reply = group.reply
            entry.sessions = group.mostSessions
            entry.directory = group.home.map { directories.word(for: $0) }
            // Whom a directory puts into it, it does at each login.
            if operations.keeper(ofGroup: group.name, among: directories) != nil {
                exported.append(entry)
                continue
            }
            guard group.users <= Self.mostMembers else {
                warnings.append(
                    "Group \(group.name) has \(group.users) users: they are left out, and stay as they are when the file is applied.")
                exported.append(entry)
                continue
            }
            let members = try records.members(ofGroup: group.id)
            let users = try records.userNames(inGroup: group.id)
            entry.users = users.map { Blueprint.Member($0, place: "") }
            entry.groups = members.compactMap { member in
                guard case .group(let id) = member else { return nil }
                return names[id].map { Blueprint.Member($0, place: "") }
            }.sorted { $0.name < $1.name }
            exported.append(entry)
        }
        blueprint.groups = exported
        let policies = try records.policySet().records
        let named = try operations.names(operations.policyRows(), for: policies.map(\.policy))
        blueprint.policies = policies.map {
            Blueprint.Policy(name: $0.policy.name, place: "", choices: PolicyChoices(of: PolicyView($0, current: named)))
        }
        return Answer(blueprint: blueprint, warnings: warnings)
    }
}

extension DirectoryChoices {
    /// Everything but the secret.
    init(of settings: DirectorySettings) {
        self.init()
        type = settings.kind.rawValue
        servers = settings.serverNames
        if let ldap = settings.ldap {
            self.ldap = LDAP(of: ldap)
            timeout = settings.timeout.words
            sends = settings.nameSent.rawValue
            isEnabled = settings.isEnabled
            syncEvery = settings.syncEvery?.every ?? Self.never
            return
        }
        ownSecrets = settings.servers.filter { settings.ownSecrets[$0] != nil }.map { OwnSecret(server: $0.description, secret: nil) }
        timeout = settings.timeout.words
        tries = settings.tries
        messageAuthenticator = settings.messageAuthenticator.rawValue
        sends = settings.nameSent.rawValue
        takes = settings.takes
        isEnabled = settings.isEnabled
    }
}

extension ClientChoices {
    /// Everything but secret and pre-shared key.
    init(of settings: ClientSettings, _ directories: [LoginEngine.Directory]) {
        self.init()
        directory = settings.home.map { directories.word(for: $0) }
        passThrough = settings.passThrough.texts(directories)
        addresses = settings.addresses.map(\.description)
        profile = settings.profile
        probeUser = settings.probeUser ?? "none"
        disconnectPort = Int(settings.disconnectPort)
        messageAuthenticator = settings.messageAuthenticator.rawValue
        requirement = settings.requirement.rawValue
        asking = settings.asking.rawValue
        separator = settings.separator.map { String($0) } ?? "none"
        fixedLengthTail = settings.fixedLengthTail
        concealFactor = settings.concealFactor
        helpfulMessages = settings.helpfulMessages
        nameStripping = settings.nameStripping.rawValue
        charset = settings.charset.rawValue
        retryTimeout = settings.retryTimeout
        retryTries = settings.retryTries
        rejoin = settings.rejoin
        automaticPush = settings.automaticPush
        protocols = settings.schemes.schemes.map(\.rawValue)
        eap = settings.eap.map(\.rawValue)
        pskIdentity = settings.preSharedKey?.identity
        certificates = settings.certificates.map(\.description)
        isEnabled = settings.isEnabled
        tags = settings.tags
        reply = settings.reply
    }
}

extension PolicyChoices {
    init(of view: PolicyView) {
        self.init()
        clients = view.clients
        clientTags = view.clientTags
        groups = view.groups
        methods = view.methods
        realms = view.realms
        users = view.users
        (networks, otherNetworks) = (view.networks, view.otherNetworks)
        (countries, otherCountries) = (view.countries, view.otherCountries)
        hours = view.hours
        require = view.require
        factors = view.factors ?? []
        unenrolled = view.unenrolled.action
        graceUntil = view.unenrolled.until.map { end in
            let text = end.description
            // The beginning of a day is written as the day.
            return text.hasSuffix("T00:00:00.000Z") ? String(text.prefix(10)) : text
        }
        graceDays = view.unenrolled.days
        remember = view.remember
        isReportOnly = view.isReportOnly
        reply = view.reply
        sessions = view.sessions ?? 0
    }
}
