// SPDX-License-Identifier: Apache-2.0
// Looking clients up, and the lines to enter at the gateway.

package import LoginEngine
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
        view.pskIdentity = settings.preSharedKey?.identity
        view.disconnectPort = settings.disconnectPort == 0 ? nil : Int(settings.disconnectPort)
        if !settings.isEnabled {
            view.warnings.append("Disabled: its requests get no answer. `sallyport client set \(client.name) --enable` takes it up again.")
        }
        view.warnings += settings.secretWarnings(among: try operations.records.clients()) + settings.warnings
        if withHowto { view.howto = HowTo.generic(settings, listening: operations.ports.radiusAddresses()) }
        return view
    }
}

/// What to enter at a product. One source for the CLI and the gateway pages of the documentation.
package enum HowTo {
    /// - Parameter listening: where the node answers; the first counts.
    package static func generic(_ settings: ClientSettings, listening: [String] = []) -> String {
        if settings.addresses.isEmpty { return radsec(settings).joined(separator: "\n") }
        let timeout = settings.retryTimeout
        let (address, port) = Self.parts(listening.first) ?? (NetworkAddress(v4: 0), "1812")
        if settings.profile == ClientProfile.awsDirectory.name { return awsDirectory(settings, port: port) }
        var lines = [
            "RADIUS server             the address of this host, as \(settings.name) reaches it",
            "Authentication port       \(port) (UDP)",
            "Shared secret             the one given when the client was added",
            "Authentication protocol   \(settings.schemes.schemes.reversed().map(\.title).joined(separator: " or "))",
            "Timeout                   \(timeout) seconds (Sallyport goes by it: --retry-timeout)",
            "Tries in all              \(settings.retryTries) (--retry-tries)",
            "Accounting                1813 (UDP), the same secret, interim updates every 10 minutes; or off",
        ]
        if settings.messageAuthenticator != .allow {
            lines.append("Message-Authenticator     send it, and require it in replies (CVE-2024-3596)")
        }
        let separator = settings.separator.map(String.init) ?? ""
        let typed =
            switch (settings.requirement, settings.asking) {
            case (.password, _): "Users type their password."
            case (.factor, _): "Users type their code into the password field; the gateway checks the password elsewhere."
            case (.deny, _):
                "What users type depends on the policy that lets them in: `sallyport policy explain USER --client \(settings.name)`."
            case (.passwordAndFactor, .challenge):
                "Users type their password, then the code that is asked for. Let the gateway show RADIUS challenges."
            case (.passwordAndFactor, .append):
                "Users type password and code in one: secret\(separator)123456. Challenges are never sent."
            case (.passwordAndFactor, .appendOrChallenge):
                "Users type password and code in one (secret\(separator)123456), or the password alone and then the code."
            }
        lines += ["", typed, "", "Test from here:  sallyport login USER --client \(settings.name)"]
        if let remedy = TestLogin.remedy(
            client: settings.name, addresses: settings.addresses.map(\.description), destination: TestLogin.destination(of: address))
        {
            lines.append("But first " + remedy)
        }
        if settings.isKnownByTLS { lines += ["", "Or over TLS:", ""] + radsec(settings) }
        return lines.joined(separator: "\n")
    }

    /// RFC 6614.
    private static func radsec(_ settings: ClientSettings) -> [String] {
        var lines = [
            "RadSec server             the name in this host's certificate, as \(settings.name) reaches it",
            "Port                      that of `radsec.listen`, usually 2083 (TCP)",
            "Shared secret             radsec",
        ]
        if !settings.certificates.isEmpty {
            lines += [
                "Its certificate           \(settings.certificates.map(\.description).joined(separator: " or "))",
                "It must trust             the authority that signed the certificate of this host (`radsec.certificate`)",
            ]
        }
        if let key = settings.preSharedKey {
            lines += [
                "PSK identity              \(key.identity)",
                "PSK                       the one given or shown when it was set (TLS 1.3; hexadecimal digits behind `hex:` stand for octets)",
            ]
        }
        return lines + ["Status-Server             on: it is answered"]
    }

    /// In the words of the AWS console.
    private static func awsDirectory(_ settings: ClientSettings, port: String) -> String {
        let names = [ProofScheme.pap: "PAP", .chap: "CHAP", .msCHAP: "MS-CHAPv1", .msCHAPv2: "MS-CHAPv2"]
        return [
            "Directory Service > the directory > Networking & security > Multi-factor authentication > Actions > Enable",
            "",
            "RADIUS server DNS name or IP addresses   this host, as both of the directory's DNS addresses reach it",
            "Port                                     \(port) (UDP; AWS takes 1025 and above only)",
            "Shared secret code                       the one given when the client was added",
            "Protocol                                 \(settings.schemes.schemes.compactMap { names[$0] }.joined(separator: ", ")): any of them",
            "Server timeout (in seconds)              \(settings.retryTimeout) (Sallyport goes by it: --retry-timeout)",
            "Max RADIUS request retries               \(settings.retryTries - 1) (--retry-tries is one more)",
            "",
            "Requests come from both DNS addresses of the directory: `sallyport client set \(settings.name) --address A --address B`.",
            "Users type the code into the field *MFA code*; login names are those of the directory.",
            "",
            "Test from here:  sallyport login USER --client \(settings.name) --protocol ms-chap-v2",
        ].joined(separator: "\n")
    }

    /// `192.0.2.1:1812`, `[2001:db8::1]:1812`
    private static func parts(_ endpoint: String?) -> (NetworkAddress, port: String)? {
        guard let endpoint, let colon = endpoint.lastIndex(of: ":") else { return nil }
        let host = endpoint[..<colon].drop { $0 == "[" }
        guard let address = NetworkAddress(host.hasSuffix("]") ? host.dropLast() : host) else { return nil }
        return (address, String(endpoint[endpoint.index(after: colon)...]))
    }
}
