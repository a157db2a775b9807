// SPDX-License-Identifier: Apache-2.0
// sallyport client, gateway: who may ask.

import Administration
import ArgumentParser

struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client", abstract: "VPN gateways and whatever else asks; `gateway` is the same.",
        discussion: """
            Examples:
              sallyport client add office --address 192.0.2.7 --generate-secret
              sallyport client show office --howto
              sallyport client set office --ask append --separator ,
            """,
        subcommands: [Add.self, List.self, Show.self, Set.self, Remove.self, Unpin.self], aliases: ["gateway"])
}

/// Every field of a client, for `add` and `set`.
struct ClientFlags: ParsableArguments {
    @Option(
        name: .customLong("address"),
        help: ArgumentHelp("Where its requests come from: an address or a range; can be repeated.", valueName: "cidr"))
    var addresses: [String] = []
    @Flag(help: "Read the shared secret, one line, from standard input.") var secretStdin = false
    @Flag(help: "Let the node make the shared secret; it is printed once.") var generateSecret = false
    @Option(help: ArgumentHelp("What product it is, such as fortigate or cisco-asa: where it reads groups from.", valueName: "profile"))
    var profile: String?
    @Option(
        name: .customLong("message-authenticator"),
        help: ArgumentHelp("require, auto or allow: requests that come without it (BlastRADIUS).", valueName: "rule"))
    var messageAuthenticator: String?
    @Option(
        name: .customLong("require"),
        help: ArgumentHelp(
            "password, factor, password+factor, certificate, certificate+factor, or deny: where no policy decides.", valueName: "what"))
    var requirement: String?
    @Option(
        name: .customLong("ask"), help: ArgumentHelp("challenge, append or append+challenge: how the code is asked for.", valueName: "how"))
    var asking: String?
    @Option(help: ArgumentHelp("Between password and code with append: one mark, or none.", valueName: "mark")) var separator: String?
    @Option(help: ArgumentHelp("on or off: a tail of 6 to 8 digits is read as a code without a separator.", valueName: "switch"))
    var fixedLengthTail: Switch?
    @Option(help: ArgumentHelp("on or off: always ask for both and judge them together.", valueName: "switch")) var concealFactor: Switch?
    @Option(help: ArgumentHelp("on or off: rejects tell the user why.", valueName: "switch")) var helpfulMessages: Switch?
    @Option(
        name: .customLong("strip"), help: ArgumentHelp("none, realm, domain or both: what is dropped from login names.", valueName: "what"))
    var nameStripping: String?
    @Option(help: ArgumentHelp("utf-8, latin-1 or auto: in which bytes it sends names and passwords.", valueName: "set"))
    var charset: String?
    @Option(help: ArgumentHelp("Seconds until the gateway asks again, 1 to 60.", valueName: "seconds")) var retryTimeout: Int?
    @Option(help: ArgumentHelp("How often it asks in all, 1 to 10.", valueName: "count")) var retryTries: Int?
    @Option(help: ArgumentHelp("on or off: a new packet with the same proof takes over the answer of the one before.", valueName: "switch"))
    var rejoin: Switch?
    @Option(help: ArgumentHelp("on or off: a factor on the phone starts by itself.", valueName: "switch")) var automaticPush: Switch?
    @Option(
        name: .customLong("protocol"),
        help: ArgumentHelp(
            "pap, chap, ms-chap or ms-chap-v2: how a password or code may be proved; can be repeated, replaces all.", valueName: "protocol")
    )
    var protocols: [String] = []
    @Option(help: ArgumentHelp("Methods of EAP in the order of offering, such as gtc,mschapv2; or none.", valueName: "methods"))
    var eap: String?
    @Option(
        help: ArgumentHelp("A name that is refused without a word in the trail: what the product asks about; or none.", valueName: "name"))
    var probeUser: String?
    @Option(
        help: ArgumentHelp(
            "The directory where passwords live of which neither user nor group says it; local; or none.", valueName: "directory"))
    var directory: String?
    @Option(
        help: ArgumentHelp(
            "Names that nobody has here, and the directory that lets them in alone: corp.example=nps, 'CORP\\=nps' or '*=nps'; can be repeated, replaces all.",
            valueName: "realm=directory"))
    var passThrough: [String] = []
    @Option(help: ArgumentHelp("Its UDP port for Disconnect-Requests, as a rule 3799; 0 if it takes none.", valueName: "port"))
    var disconnectPort: Int?
    @Option(
        name: .customLong("certificate"),
        help: ArgumentHelp(
            "By which certificate it is known over TLS: name:gw1.example.org or sha256:…; can be repeated, replaces all.", valueName: "rule"
        ))
    var certificates: [String] = []
    @Flag(help: "Read a pre-shared key of TLS, text or hex: and digits, one line, from standard input.") var pskStdin = false
    @Flag(name: .customLong("generate-psk"), help: "Let the node make the pre-shared key of TLS; it is printed once.")
    var generatePSK = false
    @Option(help: ArgumentHelp("What the gateway calls that key; without it, the client's name.", valueName: "identity"))
    var pskIdentity: String?
    @Option(
        name: .customLong("tag"),
        help: ArgumentHelp("A word that policies may name it by; can be repeated, replaces all.", valueName: "tag"))
    var tags: [String] = []
    @OptionGroup var reply: ReplyFlags
    @Flag(help: "Give its requests no answer.") var disable = false

    func choices(_ prompts: Prompts) throws -> ClientChoices {
        var choices = ClientChoices()
        choices.addresses = addresses.isEmpty ? nil : addresses
        if secretStdin { choices.secret = try prompts.secret("Shared secret") }
        choices.profile = profile
        choices.messageAuthenticator = messageAuthenticator
        choices.requirement = requirement
        choices.asking = asking
        choices.separator = separator
        choices.fixedLengthTail = fixedLengthTail?.isOn
        choices.concealFactor = concealFactor?.isOn
        choices.helpfulMessages = helpfulMessages?.isOn
        choices.nameStripping = nameStripping
        choices.charset = charset
        choices.retryTimeout = retryTimeout
        choices.retryTries = retryTries
        choices.rejoin = rejoin?.isOn
        choices.automaticPush = automaticPush?.isOn
        choices.probeUser = probeUser
        choices.disconnectPort = disconnectPort
        choices.directory = directory
        choices.passThrough = passThrough.isEmpty ? nil : passThrough
        choices.protocols = protocols.isEmpty ? nil : protocols
        choices.eap = eap.map { $0 == "none" ? [] : $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        choices.certificates = certificates.isEmpty ? nil : certificates
        choices.pskIdentity = pskIdentity
        if pskStdin { choices.psk = try prompts.secret("Pre-shared key") }
        choices.tags = tags.isEmpty ? nil : tags
        choices.reply = try reply.settings
        if disable { choices.isEnabled = false }
        return choices
    }

    func validate() throws {
        if secretStdin, generateSecret { throw ValidationError("Use one of --secret-stdin and --generate-secret.") }
        if pskStdin, generatePSK { throw ValidationError("Use one of --psk-stdin and --generate-psk.") }
        if secretStdin, pskStdin { throw ValidationError("Give --secret-stdin and --psk-stdin one after the other, in two commands.") }
    }
}

extension ClientCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register a gateway.",
            discussion: """
                Examples:
                  sallyport client add office --address 192.0.2.7 --generate-secret
                  pass show radius/office | sallyport client add office --address 10.20.0.0/16 --secret-stdin
                  sallyport client add aws --address 10.0.1.5 --address 10.0.2.5 --generate-secret --profile aws-directory
                  sallyport client add branch --certificate name:gw.branch.example.org
                  sallyport client add kiosk --generate-psk
                """)

        @Argument(help: "Its name: lower case letters, digits, -, _ and dots.") var name: String
        @OptionGroup(title: "Client options") var flags: ClientFlags
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(
                AddClient(
                    name: name, choices: try flags.choices(options.prompts), generateSecret: flags.generateSecret,
                    generatePSK: flags.generatePSK))
            try ClientCommand.show(answer, output)
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List clients.",
            discussion: """
                Example:
                  sallyport client list
                """)

        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(ListClients())) { list in
                guard !list.clients.isEmpty else {
                    return output.line(
                        "No clients yet: `sallyport client add NAME --address ADDRESS --generate-secret` registers a gateway.")
                }
                var table = Table([
                    .init("NAME", isFlexible: true), .init("ADDRESSES", isFlexible: true), .init("REQUIRES"), .init("ASKS BY"),
                    .init("MESSAGE-AUTH"),
                    .init("STATUS"), .init("TAGS", isFlexible: true),
                ])
                for client in list.clients {
                    let pins = client.pins == 0 ? "" : ", \(client.pins) pinned"
                    table.rows.append([
                        Span(client.name, .strong), output.list(client.addresses),
                        client.requirement == "password+factor" ? Span(client.requirement) : Span(client.requirement, .warn),
                        client.requirement == "password+factor" ? Span(client.asking) : .none,
                        client.messageAuthenticator == "allow" ? Span("allow", .warn) : Span(client.messageAuthenticator + pins),
                        .status(client.isEnabled ? "active" : "disabled"), output.list(client.tags),
                    ])
                }
                output.lines(table.lines(output.terminal))
            }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a client, what to enter at the gateway, or what a user's accept would carry.",
            discussion: """
                Examples:
                  sallyport client show office
                  sallyport client show office --howto
                  sallyport client show office --preview alice
                """)

        @Argument(help: "The client's name.") var name: String
        @Flag(help: "Print the lines to enter at the gateway.") var howto = false
        @Option(help: ArgumentHelp("Show the attributes that this user's accept would carry.", valueName: "user")) var preview: String?
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if howto, preview != nil { throw ValidationError("Use one of --howto and --preview.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            if let preview {
                let answer = try await node.perform(PreviewReply(client: name, user: preview))
                return try output.show(answer, warnings: answer.warnings) { $0.show(output) }
            }
            let client = try await node.perform(ShowClient(name: name, withHowto: howto))
            try output.show(client, warnings: howto ? [] : client.warnings) { client in
                if let howto = client.howto { return output.line(howto) }
                ClientCommand.sheet(client, output)
            }
        }
    }

    struct Set: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a client.",
            discussion: """
                --address replaces all addresses that were there.

                Examples:
                  sallyport client set office --ask append --separator ,
                  sallyport client set office --generate-secret
                  sallyport client set office --message-authenticator require
                """)

        @Argument(help: "The client's name.") var client: String
        @Option(help: ArgumentHelp("A new name.", valueName: "name")) var name: String?
        @Flag(help: "Answer its requests again.") var enable = false
        @Flag(help: "Take all tags away.") var noTags = false
        @Flag(help: "Take all reply attributes away.") var noReply = false
        @Flag(help: "Let nobody in on another server's word any more.") var noPassThrough = false
        @Flag(help: "Do not know it by certificates any more.") var noCertificates = false
        @Flag(name: .customLong("no-psk"), help: "Do not know it by a pre-shared key any more.") var noPSK = false
        @OptionGroup(title: "Client options") var flags: ClientFlags
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            if noTags, !flags.tags.isEmpty { throw ValidationError("Use one of --tag and --no-tags.") }
            if noReply, !flags.reply.reply.isEmpty { throw ValidationError("Use one of --reply and --no-reply.") }
            if noCertificates, !flags.certificates.isEmpty { throw ValidationError("Use one of --certificate and --no-certificates.") }
            if noPassThrough, !flags.passThrough.isEmpty { throw ValidationError("Use one of --pass-through and --no-pass-through.") }
            if noPSK, flags.pskStdin || flags.generatePSK || flags.pskIdentity != nil {
                throw ValidationError("Use --no-psk without the other flags of a pre-shared key.")
            }
            if enable, flags.disable { throw ValidationError("Use one of --enable and --disable.") }
        }

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var choices = try flags.choices(options.prompts)
            if enable { choices.isEnabled = true }
            if noTags { choices.tags = [] }
            if noReply { choices.reply = [] }
            if noPassThrough { choices.passThrough = [] }
            if noCertificates { choices.certificates = [] }
            if noPSK { choices.hasNoPSK = true }
            let request = SetClient(
                client: client, name: name, choices: choices, generateSecret: flags.generateSecret, generatePSK: flags.generatePSK)
            try ClientCommand.show(try await node.perform(request), output)
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a client; its requests get no answer any more.",
            discussion: """
                Example:
                  sallyport client remove office --yes
                """)

        @Argument(help: "The client's name.") var name: String
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let client = try await node.perform(ShowClient(name: name))
            try options.prompts.confirm(
                "Remove client \(client.name) (\((client.addresses + client.certificates + (client.pskIdentity.map { ["pre-shared key \($0)"] } ?? [])).joined(separator: ", ")))? Nobody can log in through it then.",
                isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveClient(name: name)))
        }
    }

    struct Unpin: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let pinned sources come without Message-Authenticator again.",
            discussion: """
                With the rule auto, a source that has always sent Message-Authenticator is held to it for good. After a gateway was
                replaced or set back, this undoes it.

                Example:
                  sallyport client unpin office --address 192.0.2.7
                """)

        @Argument(help: "The client's name.") var name: String
        @Option(help: ArgumentHelp("Only this source; without it, every one.", valueName: "address")) var address: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(UnpinClient(name: name, address: address)))
        }
    }
}

extension ClientCommand {
    fileprivate static func show(_ answer: AddClient.Answer, _ output: Output) throws {
        try output.show(answer, warnings: answer.warnings) { answer in
            output.done(answer.message)
            if let secret = answer.generatedSecret { output.line("Shared secret, shown once: ", Span(secret.text, .strong)) }
            if let key = answer.generatedPSK { output.line("Pre-shared key, shown once: ", Span(key.text, .strong)) }
        }
    }

    fileprivate static func sheet(_ client: ClientView, _ output: Output) {
        func word(_ value: Bool) -> Span { value ? "on" : Span("off", .soft) }
        var sheet = Sheet()
        sheet.add("Name", Span(client.name, .strong))
        sheet.add("Status", .status(client.isEnabled ? "active" : "disabled"))
        if client.profile != "generic" { sheet.add("Profile", Span(client.profile)) }
        if !client.tags.isEmpty { sheet.add("Tags", output.list(client.tags)) }
        if !client.addresses.isEmpty {
            sheet.add("Addresses", client.addresses.map { Span($0) })
            sheet.add("Secret", Span("set; never shown", .soft))
        }
        if !client.certificates.isEmpty { sheet.add("Certificates", client.certificates.map { Span($0) }) }
        if let identity = client.pskIdentity { sheet.add("Pre-shared key", [Span(identity), Span("set; never shown", .soft)]) }
        sheet.add("Message-Authenticator", Span(client.messageAuthenticator))
        if !client.pins.isEmpty {
            sheet.add("Pinned sources", client.pins.map { Span("\($0.address) since \(TimeText.full($0.since, output.terminal))") })
        }
        sheet.add("Requires", Span(client.requirement))
        if client.requirement == "password+factor" {
            sheet.add("Asks by", Span(client.asking))
            if client.asking != "challenge" {
                sheet.add("Separator", client.separator.map { Span($0) } ?? Span("none", .soft))
                sheet.add("Fixed-length tail", word(client.fixedLengthTail))
            }
            sheet.add("Conceals the factor", word(client.concealFactor))
        }
        if let probe = client.probeUser { sheet.add("Probe user", Span(probe)) }
        sheet.add("Protocols", output.list(client.protocols))
        if let directory = client.directory { sheet.add("Passwords", directory == "local" ? "here" : Span("at directory \(directory)")) }
        if !client.passThrough.isEmpty { sheet.add("Passes through", client.passThrough.map { Span($0, .warn) }) }
        if !client.eap.isEmpty { sheet.add("EAP", output.list(client.eap)) }
        sheet.add("Helpful messages", word(client.helpfulMessages))
        sheet.add("Strips from names", Span(client.nameStripping))
        if client.charset != "utf-8" { sheet.add("Character set", Span(client.charset)) }
        sheet.add("Retries", Span("every \(Words.count(client.retryTimeout, "second")), \(client.retryTries) in all"))
        sheet.add("Rejoin", word(client.rejoin))
        sheet.add("Automatic push", word(client.automaticPush))
        sheet.add("Disconnects on", client.disconnectPort.map { Span("UDP \($0)") } ?? Span("nothing", .soft))
        if !client.reply.isEmpty { sheet.add("Accept carries", ReplyFlags.spans(client.reply)) }
        if let seen = client.seen { sheet.add("Seen", Self.lines(of: seen, output)) }
        output.lines(sheet.lines(output.terminal))
    }

    /// What the client's requests showed, one line each.
    private static func lines(of seen: ClientView.Seen, _ output: Output) -> [Span] {
        var lines = [
            "\(Words.count(seen.requests, "request")) since \(TimeText.full(seen.since, output.terminal)), by \(Words.list(seen.protocols))"
        ]
        if !seen.sources.isEmpty { lines.append("from \(Words.list(seen.sources))") }
        if seen.unsigned > 0 {
            lines.append("\(seen.unsigned) of \(Words.count(seen.accepts, "accepted login")) without Message-Authenticator")
        }
        if seen.challenges > 0 { lines.append("\(Words.count(seen.challenges, "challenge")), \(seen.challengesAnswered) answered") }
        if seen.eapRounds > 0 {
            func words(_ counts: [String: Int]) -> String {
                Words.list(counts.sorted { $0.key < $1.key }.map { "\($0.value) by \($0.key)" })
            }
            let accepted = seen.eapAccepted.isEmpty ? "no login accepted" : "accepted \(words(seen.eapAccepted))"
            let size = seen.framedMTU.map { ", Framed-MTU \($0)" } ?? ""
            lines.append("EAP: \(Words.count(seen.eapRounds, "round")), \(accepted)\(size)")
        }
        for (method, count) in seen.eapWanted.sorted(by: { $0.key < $1.key }) {
            lines.append("devices asked for \(method) \(Words.count(count, "time")), which is not offered")
        }
        if let timeout = seen.retryTimeout {
            let tries = seen.retryTries.map { ", \($0) in all" } ?? ""
            lines.append("asked again after \(timeout) s\(tries), in \(Words.count(seen.repeated, "request"))")
        }
        if seen.renewedRetries > 0 {
            let moved = seen.movedRetries > 0 ? ", \(seen.movedRetries) from another address" : ""
            lines.append("\(Words.count(seen.renewedRetries, "retry", "retries")) with a new packet\(moved)")
        }
        if seen.withoutCallingStation > 0 {
            lines.append("\(seen.withoutCallingStation) without Calling-Station-Id, \(seen.withoutAcctSession) without Acct-Session-Id")
        }
        if seen.textsUTF8 + seen.textsNotUTF8 > 0 {
            lines.append("beyond ASCII: \(seen.textsUTF8) in UTF-8, \(seen.textsNotUTF8) not")
        }
        lines.append(seen.accountingRecords > 0 ? Words.count(seen.accountingRecords, "accounting record") : "no accounting")
        return lines.map { Span($0) }
    }
}
