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
        if !settings.isEnabled {
            view.warnings.append("Disabled: its requests get no answer. `sallyport client set \(client.name) --enable` takes it up again.")
        }
        view.warnings += settings.secretWarnings(among: try operations.records.clients()) + settings.warnings
        if withHowto {
            view.howto = HowTo.lines(
                for: settings, listening: operations.ports.radiusAddresses(), accounting: operations.ports.accountingAddresses())
        }
        return view
    }
}
