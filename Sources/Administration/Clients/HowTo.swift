// SPDX-License-Identifier: Apache-2.0
// What to enter at a product: the section of its page, with this node's and this client's figures in it.

package import LoginEngine

package enum HowTo {
    /// - Parameters:
    ///   - listening: where the node answers logins, as `192.0.2.1:1812`; the first counts.
    ///   - accounting: where it takes accounting.
    ///   - clients: all of them, by name and addresses.
    package static func lines(
        for settings: ClientSettings, listening: [String] = [], accounting: [String] = [],
        among clients: [(name: String, addresses: [String])] = []
    ) -> String {
        if settings.addresses.isEmpty { return radsec(settings).joined(separator: "\n") }
        let profile = ClientProfile.named(settings.profile) ?? .generic
        let (address, port) = parts(listening.first) ?? (NetworkAddress(v4: 0), "1812")
        let text = filled(GatewayTexts.all[profile.name] ?? "", settings, server: address, port: port, accounting: accounting)
        var lines = ["\(profile.title), for client \(settings.name)"]
        if let legend = legend(text, settings) { lines.append(legend) }
        lines += ["", text, "", typed(settings)]
        if let misfit = misfit(profile, settings) { lines.append(misfit) }
        if let eap = eap(profile, settings) { lines.append(eap) }
        lines += ["", "More, and what to do when it fails: docs/gateways/\(profile.name).md", ""]
        let test = settings.schemes.contains(.pap) ? "" : " --protocol \(settings.schemes.hashed.last?.rawValue ?? "pap")"
        let destination = TestLogin.destination(of: address)
        lines.append("Test from here:  sallyport login USER --client \(settings.name)\(test)")
        if let owner = TestLogin.owner(of: destination, instead: settings.name, among: clients) {
            lines.append(
                "But not from \(destination), which is client \(owner)'s: it would be a login of that one. Test at the gateway itself, or take the "
                    + "address away from \(owner).")
        } else if let remedy = TestLogin.remedy(
            client: settings.name, addresses: settings.addresses.map(\.description), destination: destination)
        {
            lines.append("But first " + remedy)
        }
        if settings.isKnownByTLS { lines += ["", "Or over TLS:", ""] + radsec(settings) }
        return lines.joined(separator: "\n")
    }

    private static func filled(
        _ text: String, _ settings: ClientSettings, server: NetworkAddress, port: String, accounting: [String]
    ) -> String {
        var places = [
            "port": port, "accounting-port": parts(accounting.first)?.port ?? "1813", "client": settings.name,
            "timeout": "\(settings.retryTimeout)", "tries": "\(settings.retryTries)", "retries": "\(settings.retryTries - 1)",
            "total": "\(settings.retryTimeout * settings.retryTries)",
            "protocols": settings.schemes.schemes.reversed().map(\.title).joined(separator: " or "),
            "disconnect-port": "\(settings.disconnectPort)",
        ]
        // One that stands for all of the host's addresses, or for none that a gateway could reach, says nothing.
        if server != NetworkAddress(v4: 0), server != NetworkAddress(bits: 0), AddressRange("127.0.0.0/8")?.contains(server) != true,
            server != NetworkAddress(bits: 1)
        {
            places["server"] = "\(server)"
        }
        return places.reduce(text) { $0.replacing("<\($1.key)>", with: $1.value) }
    }

    /// What is left to be filled in by hand.
    private static func legend(_ text: String, _ settings: ClientSettings) -> String? {
        var words: [String] = []
        if text.contains("<server>") { words.append("<server> is this host's address, as \(settings.name) reaches it") }
        if text.contains("<secret>") { words.append("<secret> the shared secret that was given when the client was added") }
        return words.isEmpty ? nil : words.joined(separator: "; ") + "."
    }

    private static func typed(_ settings: ClientSettings) -> String {
        let joint = settings.separator.map { "secret\($0)123456" } ?? "secret123456"
        let both = settings.fixedLengthTail && settings.separator != nil ? joint + " or secret123456" : joint
        return switch (settings.requirement, settings.asking) {
        case (.password, _): "Users type their password."
        case (.factor, _): "Users type their code into the password field; the gateway checks the password elsewhere."
        case (.deny, _):
            "What users type depends on the policy that lets them in: `sallyport policy explain USER --client \(settings.name)`."
        case (.certificate, _): "Users type nothing: their devices show a certificate by EAP-TLS."
        case (.certificateAndFactor, _):
            "Users type nothing: their devices show a certificate by EAP-TLS, and a factor that comes by itself is answered."
        case (.passwordAndFactor, .challenge):
            "Users type their password, then the code that is asked for. Let the gateway show RADIUS challenges."
        case (.passwordAndFactor, .append):
            "Users type password and code in one: \(both). Challenges are never sent."
        case (.passwordAndFactor, .appendOrChallenge):
            "Users type password and code in one (\(both)), or the password alone and then the code."
        }
    }

    /// What devices may speak through it, or how that is switched on where the product hands EAP on.
    private static func eap(_ profile: ClientProfile, _ settings: ClientSettings) -> String? {
        let page = "Which second factor works by which: docs/gateways/password-protocols.md#eap."
        if settings.eap.isEmpty {
            guard profile.speaksEAP else { return nil }
            return
                "EAP from IKEv2 devices is refused until a method is offered: `sallyport client set \(settings.name) --eap mschapv2,gtc`. \(page)"
        }
        let trust =
            settings.eap.contains(where: \.shakesHands)
            ? " Devices have to trust the certificate of this node (`sallyport ca show --pem`; without an authority, `eap/ca.pem` in its data directory) and expect its name."
            : ""
        return
            "EAP: \(Words.list(settings.eap.map(\.title))) \(settings.eap.count == 1 ? "is" : "are") offered, in this order.\(trust) \(page)"
    }

    /// A way to ask that the product cannot show.
    private static func misfit(_ profile: ClientProfile, _ settings: ClientSettings) -> String? {
        guard profile.asking == .append, settings.asking == .challenge, settings.requirement != .password, settings.requirement != .factor,
            !settings.requirement.asksCertificate
        else { return nil }
        return "But \(profile.title) shows no challenge: `sallyport client set \(settings.name) --ask append`."
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

    /// `192.0.2.1:1812`, `[2001:db8::1]:1812`
    private static func parts(_ endpoint: String?) -> (NetworkAddress, port: String)? {
        guard let endpoint, let colon = endpoint.lastIndex(of: ":") else { return nil }
        let host = endpoint[..<colon].drop { $0 == "[" }
        guard let address = NetworkAddress(host.hasSuffix("]") ? host.dropLast() : host) else { return nil }
        return (address, String(endpoint[endpoint.index(after: colon)...]))
    }
}
