// SPDX-License-Identifier: Apache-2.0
// What a gateway's traffic shows, beside what its client is set to: where the two differ, what to change, in the product's words.

internal import LoginEngine

struct GatewayCheck {
    /// So much of it has to be there before it counts as a habit and not as somebody's trial.
    static let enough = 3
    static let enoughChallenges = 5
    static let enoughAccepts = 5
    static let enoughRequests = 20

    private let client: Client
    private let settings: ClientSettings
    private let habits: GatewayHabits
    private let words: GatewayWords
    /// Nil: no accounting is taken.
    private let accountingPort: String?

    private init(_ client: Client, _ habits: GatewayHabits, accountingPort: String?) {
        self.client = client
        self.habits = habits
        self.accountingPort = accountingPort
        settings = client.settings
        words = GatewayWords.of(client.settings)
    }

    /// - Parameter habits: nil: nothing is known of the client.
    static func findings(
        _ clients: [Client], accountingPort: String?, habits: (Int64) -> GatewayHabits?
    ) -> [Finding] {
        var looked = 0
        let findings = clients.filter(\.settings.isEnabled).flatMap { client -> [Finding] in
            guard let habits = habits(client.id), habits.requests > 0 else { return [] }
            looked += 1
            return GatewayCheck(client, habits, accountingPort: accountingPort).findings
        }
        guard looked > 0 else { return [] }
        return findings.orElse(
            Finding(.gatewaysRight, nil, "\(Words.count(looked, "gateway")) asked, and work as their clients are set."))
    }

    private var findings: [Finding] {
        ofRetries + ofNewIdentifiers + ofAuthenticator + ofChallenges + ofProtocols + ofCharset + ofStation + ofAccounting
    }

    private func finding(_ kind: Finding.Kind, _ text: String, gateway: String?, here: String? = nil) -> Finding {
        let there = gateway.map { "At the gateway: " + GatewayWords.filled($0, settings, accountingPort: accountingPort ?? "1813") }
        let command = here.map { "sallyport client set \(client.name) \($0)" }
        let remedy =
            switch (there, command) {
            case (let there?, let command?): "\(there); or here: \(command)"
            case (let there?, nil): there
            case (nil, let command): command
            }
        return Finding(kind, client.name, text, remedy: remedy)
    }

    // MARK: Waiting

    private var set: String { "\(Words.count(settings.retryTimeout, "second")) and \(settings.retryTries) in all are set" }

    private var ofRetries: [Finding] {
        guard !settings.addresses.isEmpty else { return [] }
        guard let interval = habits.retries.interval, habits.retries.repeated >= Self.enough else { return ofPatience }
        let timeout = Double(interval.microseconds) / 1_000_000
        let tries = habits.retries.tries ?? max(settings.retryTries, habits.retries.most)
        let (total, expected) = (timeout * Double(tries), Double(settings.retryTimeout * settings.retryTries))
        let isAsSet = abs(timeout - Double(settings.retryTimeout)) <= max(0.5, Double(settings.retryTimeout) / 5)
        if isAsSet, tries == settings.retryTries { return [] }
        let often = habits.retries.tries.map { ", \($0) in all" } ?? ""
        let seen = "The gateway of client \(client.name) asks again after \(Self.seconds(timeout))\(often); \(set)."
        // Shorter than a second, or longer than a minute, cannot be set here.
        let fits = (1.0...60).contains(timeout.rounded()) && (1...10).contains(tries)
        let here = fits ? "--retry-timeout \(Int(timeout.rounded())) --retry-tries \(tries)" : nil
        if total < expected * 0.9 {
            return [
                finding(
                    .gatewayGivesUpEarly, "\(seen) Answers that come later than that reach nobody.", gateway: words.retries, here: here)
            ]
        }
        guard total > expected * 1.1 else { return [] }
        return [finding(.gatewayWaitsLonger, "\(seen) People could be given more time.", gateway: words.retries, here: here)]
    }

    /// Where it never asked again there is no interval, but a time that it is at least.
    private var ofPatience: [Finding] {
        guard let patience = habits.retries.patience, habits.retries.repeated == 0 else { return [] }
        let seconds = Double(patience.microseconds) / 1_000_000
        guard seconds > Double(settings.retryTimeout) * 1.5, seconds.rounded(.down) <= 60 else { return [] }
        return [
            finding(
                .gatewayWaitsLonger,
                "The gateway of client \(client.name) waited \(Self.seconds(seconds)) without asking again; \(set). It waits longer, or asks once.",
                gateway: words.retries, here: "--retry-timeout \(Int(seconds.rounded(.down)))")
        ]
    }

    private var ofNewIdentifiers: [Finding] {
        guard habits.retries.renewed >= Self.enough, !settings.rejoin else { return [] }
        return [
            finding(
                .gatewayRenewsRetries,
                "The gateway of client \(client.name) asks again with new packets: one that comes behind the answer counts as a login of its own.",
                gateway: nil, here: "--rejoin on")
        ]
    }

    static func seconds(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        if tenths == 10 { return "1 second" }
        return tenths % 10 == 0 ? "\(tenths / 10) seconds" : "\(tenths / 10).\(tenths % 10) seconds"
    }

    // MARK: Packets

    private var ofAuthenticator: [Finding] {
        if habits.unsigned > 0 {
            return [
                finding(
                    .gatewayUnsigned,
                    "\(habits.unsigned) of \(Words.count(habits.accepts, "accepted login")) of client \(client.name) came without "
                        + "Message-Authenticator: answers to them can be forged on the way.",
                    gateway: words.authenticator)
            ]
        }
        // Over TLS it is neither needed nor asked for.
        guard settings.messageAuthenticator == .allow, habits.requests >= Self.enoughRequests, !settings.isKnownByTLS else { return [] }
        return [
            finding(
                .gatewaySigns,
                "The \(habits.requests) last requests of client \(client.name) that are known to be its own all carried Message-Authenticator: "
                    + "nothing has to be allowed.",
                gateway: nil, here: "--message-authenticator require")
        ]
    }

    private var ofChallenges: [Finding] {
        // A client that conceals is sent a challenge whatever was typed, so strangers' guesses are among them.
        // One that only appends is sent none any more: what was counted is of before.
        guard habits.challenges >= Self.enoughChallenges, habits.answers == 0, !settings.concealFactor, settings.asking != .append else {
            return []
        }
        let joint = "password\(settings.separator.map(String.init) ?? "")123456"
        let ask = settings.asking == .challenge ? "append+challenge" : "append"
        return [
            finding(
                .gatewayShowsNoChallenge,
                "Client \(client.name) was sent \(habits.challenges) challenges, and not one was answered: its gateway seems to show none.",
                gateway: words.challenge, here: "--ask \(ask), and users type \(joint)")
        ]
    }

    private var ofProtocols: [Finding] {
        var findings = ProofScheme.allCases.compactMap { scheme -> Finding? in
            let count = habits.count(scheme)
            guard count >= Self.enough, !settings.schemes.contains(scheme) else { return nil }
            let allowed = (settings.schemes.schemes + [scheme]).map { "--protocol \($0.rawValue)" }.joined(separator: " ")
            return finding(
                .gatewayProtocol,
                "\(Words.count(count, "request")) of client \(client.name) came by \(scheme.title), which it may not use: all were refused.",
                gateway: scheme == .pap ? nil : words.pap, here: allowed)
        }
        // Counted only while no method was offered; what was seen before one was is of the past.
        if habits.eap >= Self.enough, settings.eap.isEmpty {
            findings.append(
                finding(
                    .gatewayProtocol,
                    "\(Words.count(habits.eap, "request")) of client \(client.name) came by EAP, of which it offers no method: all were refused.",
                    gateway: words.pap, here: "--eap gtc,mschapv2"))
        }
        return findings + ofWantedMethods
    }

    /// Devices refuse what is offered and name others (RFC 3748 §5.3.1): they fail until one is offered, or they are set to another.
    private var ofWantedMethods: [Finding] {
        guard !settings.eap.isEmpty else { return [] }
        let offered = settings.eap.map(\.title)
        return habits.eapWanted.filter { $0.value >= Self.enough && !offered.contains(GatewayHabits.title(ofEAP: $0.key)) }
            .sorted { $0.key < $1.key }.map { type, count in
                let title = GatewayHabits.title(ofEAP: type)
                let here = EAPMethodName.allCases.first { $0.title == title }.map { method in
                    "; or offer it: sallyport client set \(client.name) --eap "
                        + (settings.eap + [method]).map(\.rawValue).joined(separator: ",")
                }
                return Finding(
                    .gatewayProtocol, client.name,
                    "Devices behind client \(client.name) asked \(Words.count(count, "time")) for \(title), which it does not offer: they were "
                        + "refused.",
                    remedy: "Set the devices to \(Words.list(offered, "or"))\(here ?? "")")
            }
    }

    private var ofCharset: [Finding] {
        let (count, what): (Int, String) =
            switch settings.charset {
            case .utf8: (habits.textsNotUTF8, "is not UTF-8")
            case .latin1: (habits.textsUTF8, "is UTF-8, and is read as Latin-1")
            case .auto: (0, "")
            }
        guard count >= Self.enough else { return [] }
        return [
            finding(
                .gatewayCharset,
                "In \(Words.count(count, "request")) of client \(client.name) the name or the password \(what): such logins are refused.",
                gateway: nil, here: "--charset auto")
        ]
    }

    private var ofStation: [Finding] {
        guard habits.requests >= Self.enoughRequests, habits.withoutStation >= habits.requests else { return [] }
        return [
            finding(
                .gatewayNamesNoDevice,
                "Client \(client.name) sends no Calling-Station-Id: a retry with a new packet cannot be told from another login, and wrong "
                    + "passwords count for the gateway as a whole.",
                gateway: words.station)
        ]
    }

    private var ofAccounting: [Finding] {
        guard accountingPort != nil, let accounting = words.accounting, habits.records == 0, habits.accepts >= Self.enoughAccepts else {
            return []
        }
        return [
            finding(
                .gatewaySendsNoAccounting,
                "Client \(client.name) had \(Words.count(habits.accepts, "login")) accepted and reported no session: `session list` shows none, "
                    + "and none can be ended.",
                gateway: accounting)
        ]
    }
}
