// SPDX-License-Identifier: Apache-2.0
// What a stranger could make of how a client is set up.

internal import LoginEngine

enum ClientCheck {
    /// - Parameter pinned: clients of which a source is held to Message-Authenticator.
    static func findings(_ clients: [Client], pinned: Set<Int64>, policies: PolicyTable) -> [Finding] {
        let enabled = clients.filter(\.settings.isEnabled)
        guard !enabled.isEmpty else {
            return [
                Finding(
                    .clientsNone, nil, "There is no client, so nobody can ask.",
                    remedy: "Add a gateway: sallyport client add NAME --address 192.0.2.7 --generate-secret")
            ]
        }
        let findings = enabled.flatMap { client -> [Finding] in
            let secrets = ofSecret(client, among: enabled)
            let packets = ofAuthenticator(client, isPinned: pinned.contains(client.id))
            let proofs = ofProof(client) + ofPassThrough(client) + ofEAP(client)
            return secrets + packets + proofs + ofDenial(client, policies) + ofReach(client)
        }
        return findings.orElse(
            Finding(.clientsRight, nil, "\(Words.count(enabled.count, "client")): secrets of their own, none of them weak."))
    }

    /// Never says what it is.
    private static func ofSecret(_ client: Client, among clients: [Client]) -> [Finding] {
        let set = "sallyport client set \(client.name) --generate-secret, and enter it at the gateway"
        guard !client.settings.lacksSecret else {
            return [
                Finding(
                    .secretDamaged, client.name,
                    "The shared secret of client \(client.name) does not open, so its requests get no answer; the others are served.",
                    remedy: set)
            ]
        }
        var findings = ofKey(client)
        switch client.settings.secretWeakness {
        case .known:
            findings.append(
                Finding(
                    .secretKnown, client.name, "The shared secret of client \(client.name) is one that everybody tries first.", remedy: set)
            )
        case .short(let bytes):
            findings.append(
                Finding(
                    .secretWeak, client.name,
                    "The shared secret of client \(client.name) has only \(bytes) bytes; whoever records one packet can guess it offline.",
                    remedy: set))
        case .repetitive:
            findings.append(
                Finding(
                    .secretWeak, client.name, "The shared secret of client \(client.name) has only a few different characters.", remedy: set
                )
            )
        case nil: break
        }
        // Told once for all who share it, at the first of them.
        let same = clients.filter { !$0.settings.secret.isEmpty && $0.settings.secret == client.settings.secret }
        if same.count > 1, same.first?.id == client.id {
            findings.append(
                Finding(
                    .secretShared, client.name,
                    "Clients \(Words.list(same.map(\.name))) share one secret: whoever has one of the gateways can answer for the others.",
                    remedy: "Give each its own: \(set)"))
        }
        return findings
    }

    private static func ofPassThrough(_ client: Client) -> [Finding] {
        let rules = client.settings.passThrough
        guard !rules.isEmpty else { return [] }
        let who =
            rules.contains { $0.realm == .any }
            ? "every name that nobody has here" : "names of \(Words.list(rules.map(\.realm.description)))"
        return [
            Finding(
                .namesPassedThrough, client.name,
                "Client \(client.name) lets \(who) in on another server's word alone: no second factor of this one is asked for. "
                    + "A user with letters beyond ASCII may be known there by plain ones (`josé` as `jose`), and that name has to be an alias here.",
                remedy: "When those people are users here: sallyport client set \(client.name) --no-pass-through")
        ]
    }

    /// The pre-shared key of TLS.
    private static func ofKey(_ client: Client) -> [Finding] {
        guard let key = client.settings.preSharedKey else { return [] }
        let remedy = "sallyport client set \(client.name) --generate-psk, and enter it at the gateway"
        if key.key.isEmpty {
            return [
                Finding(
                    .secretDamaged, client.name, "The pre-shared key of client \(client.name) does not open, so it cannot connect by TLS.",
                    remedy: remedy)
            ]
        }
        guard !client.settings.keyWarnings.isEmpty else { return [] }
        return [
            Finding(
                .secretWeak, client.name,
                "The pre-shared key of client \(client.name) is short or has only a few different octets (RFC 9813 §4.1).", remedy: remedy)
        ]
    }

    private static func ofAuthenticator(_ client: Client, isPinned: Bool) -> [Finding] {
        switch client.settings.messageAuthenticator {
        case .require: []
        case .allow:
            [
                Finding(
                    .authenticatorAllowed, client.name,
                    "Client \(client.name) may ask without Message-Authenticator: answers can be forged on the way (CVE-2024-3596).",
                    remedy: "Update the gateway, then: sallyport client set \(client.name) --message-authenticator require")
            ]
        case .auto where isPinned: []
        case .auto:
            [
                Finding(
                    .authenticatorUnproven, client.name,
                    "No source of client \(client.name) has shown yet that it always sends Message-Authenticator.",
                    remedy: "If the gateway sends it: sallyport client set \(client.name) --message-authenticator require")
            ]
        }
    }

    private static func ofProof(_ client: Client) -> [Finding] {
        switch client.settings.requirement {
        case .passwordAndFactor, .certificateAndFactor, .deny: []
        case .certificate:
            [
                Finding(
                    .certificateAlone, client.name,
                    "At client \(client.name) a certificate alone is enough: whoever holds the device is let in.",
                    remedy: "If that is not meant: sallyport client set \(client.name) --require certificate+factor --automatic-push on")
            ]
        case .password:
            [
                Finding(
                    .passwordAlone, client.name, "At client \(client.name) the password alone is enough.",
                    remedy: "If that is not meant: sallyport client set \(client.name) --require password+factor")
            ]
        case .factor where client.settings.automaticPush:
            [
                Finding(
                    .pushUnasked, client.name,
                    "At client \(client.name) no password is asked for, and a factor that waits starts by itself: anybody can make telephones "
                        + "ring.",
                    remedy: "sallyport client set \(client.name) --automatic-push off")
            ]
        case .factor:
            [
                Finding(
                    .factorAlone, client.name, "At client \(client.name) the code alone is enough.",
                    remedy: "See that the gateway checks the password itself.")
            ]
        }
    }

    private static func ofEAP(_ client: Client) -> [Finding] {
        guard client.settings.eap.contains(.md5) else { return [] }
        let others = client.settings.eap.filter { $0 != .md5 }
        return [
            Finding(
                .eapMD5, client.name,
                "Client \(client.name) offers EAP-MD5: it proves nothing of this server, and whoever listens can try passwords against it.",
                remedy: "sallyport client set \(client.name) --eap "
                    + (others.isEmpty ? "none" : others.map(\.rawValue).joined(separator: ",")))
        ]
    }

    /// A client that denies is there for policies to open: without one it is a mistake, or a gateway that is out of service.
    private static func ofDenial(_ client: Client, _ policies: PolicyTable) -> [Finding] {
        guard client.settings.requirement == .deny else { return [] }
        let opens = policies.policies.contains { policy in
            !policy.rule.isReportOnly && policy.rule.requirement != .deny && policy.rule.when.fits(client)
        }
        if opens { return [] }
        return [
            Finding(
                .nobodyLetIn, client.name, "Client \(client.name) denies, and no policy lets anybody in there: every login is refused.",
                remedy: "Add one: sallyport policy add NAME --client \(client.name) --group GROUP --require password+factor")
        ]
    }

    private static func ofReach(_ client: Client) -> [Finding] {
        var findings: [Finding] = []
        if client.settings.hasLargeRange {
            findings.append(
                Finding(
                    .rangeLarge, client.name,
                    "The address range of client \(client.name) is very large: anybody in it who has the secret can ask.",
                    remedy: "Name the gateways: sallyport client set \(client.name) --address ADDRESS"))
        }
        if client.settings.helpfulMessages {
            findings.append(
                Finding(
                    .reasonTold, client.name,
                    "Client \(client.name) tells whoever logs in why a login is refused; strangers learn from it too.",
                    remedy: "sallyport client set \(client.name) --helpful-messages off"))
        }
        return findings
    }
}
