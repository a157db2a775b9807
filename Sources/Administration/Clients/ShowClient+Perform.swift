// SPDX-License-Identifier: Apache-2.0
// Looking clients up.

internal import LoginEngine
internal import Store

extension ListClients {
    package func perform(in operations: Operations, by actor: Actor) async throws -> ClientList {
        let pins = try operations.records.pins(ofClient: nil)
        return ClientList(
            clients: try operations.records.clients().sorted { $0.name < $1.name }.map { client in
                let settings = client.settings
                return ClientSummary(
                    name: client.name, addresses: settings.addresses.map(\.description), requirement: settings.requirement.rawValue,
                    asking: settings.asking.rawValue, messageAuthenticator: settings.messageAuthenticator.rawValue,
                    pins: pins.count { $0.client == client.id }, isEnabled: settings.isEnabled,
                    tags: settings.tags)
            })
    }
}

extension ShowClient {
    package func perform(in operations: Operations, by actor: Actor) async throws -> ClientView {
        let client = try operations.client(name)
        let settings = client.settings
        let pins = try operations.records.pins(ofClient: client.id)
        var view = ClientView(
            name: client.name, profile: settings.profile, addresses: settings.addresses.map(\.description),
            messageAuthenticator: settings.messageAuthenticator.rawValue,
            pins: pins.map { ClientView.Pin(address: $0.address.description, since: Instant($0.at)) },
            requirement: settings.requirement.rawValue, asking: settings.asking.rawValue, separator: settings.separator.map(String.init),
            fixedLengthTail: settings.fixedLengthTail, concealFactor: settings.concealFactor, helpfulMessages: settings.helpfulMessages,
            nameStripping: settings.nameStripping.rawValue, charset: settings.charset.rawValue, retryTimeout: settings.retryTimeout,
            retryTries: settings.retryTries,
            rejoin: settings.rejoin, automaticPush: settings.automaticPush, protocols: settings.schemes.schemes.map(\.rawValue),
            probeUser: settings.probeUser, certificates: settings.certificates.map(\.description), isEnabled: settings.isEnabled,
            tags: settings.tags, reply: settings.reply)
        view.eap = settings.eap.map(\.rawValue)
        view.pskIdentity = settings.preSharedKey?.identity
        view.disconnectPort = settings.disconnectPort == 0 ? nil : Int(settings.disconnectPort)
        view.seen = operations.ports.habits(client.id).flatMap(ClientView.Seen.init)
        view.passThrough = settings.passThrough.texts(try operations.records.directories())
        view.directory = try settings.home.map { try operations.records.directories().word(for: $0) }
        if !settings.isEnabled {
            view.warnings.append("Disabled: its requests get no answer. `sallyport client set \(client.name) --enable` takes it up again.")
        }
        view.warnings += settings.secretWarnings(among: try operations.records.clients()) + settings.warnings
        if withHowto {
            view.howto = HowTo.lines(
                for: settings, listening: operations.ports.radiusAddresses(), accounting: operations.ports.accountingAddresses(),
                among: try operations.records.clients().map { ($0.name, $0.settings.addresses.map(\.description)) })
        }
        return view
    }
}

extension ClientView.Seen {
    /// Nil where nothing came.
    init?(_ habits: GatewayHabits) {
        guard habits.requests > 0 || habits.records > 0 else { return nil }
        let schemes = ProofScheme.allCases.filter { habits.count($0) > 0 }.map(\.rawValue)
        self.init(
            since: Instant(habits.since), requests: habits.requests, accepts: habits.accepts, unsigned: habits.unsigned,
            challenges: habits.challenges, challengesAnswered: habits.answers, protocols: schemes + (habits.eap > 0 ? ["eap"] : []),
            withoutCallingStation: habits.withoutStation, withoutAcctSession: habits.withoutSession, textsUTF8: habits.textsUTF8,
            textsNotUTF8: habits.textsNotUTF8, accountingRecords: habits.records, sources: habits.sources.map(\.description),
            repeated: habits.retries.repeated,
            retryTimeout: habits.retries.interval.map { Double($0.microseconds / 1_000) / 1_000 },
            retryTries: habits.retries.tries, renewedRetries: habits.retries.renewed, movedRetries: habits.retries.moved)
        func titled(_ counts: [UInt8: Int]) -> [String: Int] {
            Dictionary(uniqueKeysWithValues: counts.map { (GatewayHabits.title(ofEAP: $0.key), $0.value) })
        }
        (eapRounds, framedMTU) = (habits.eap, habits.framedMTU)
        (eapAccepted, eapWanted) = (titled(habits.eapAccepted), titled(habits.eapWanted))
    }
}
