// SPDX-License-Identifier: Apache-2.0
// sallyport login: a RADIUS client that logs somebody in and shows each step.

import Administration
import ArgumentParser
import Directories
import Foundation
import LoginEngine
import RADIUS
import WebDoor

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Log in over real RADIUS as a gateway would, and show each step.",
        discussion: """
            Passwords and codes are asked for; in a pipe, each prompt takes one line of standard input.
            Exits 0 when the login is accepted, 2 when it is refused, 69 without an answer.

            Examples:
              sallyport login alice --client office
              sallyport login alice --secret-file office.secret
              printf '%s\\n' "$PASSWORD" "$CODE" | sallyport login alice --secret-file office.secret --password-stdin
              sallyport login alice --server vpn-auth.example:1812 --secret-stdin --show-packets
              sallyport login alice --client aws --protocol ms-chap-v2
              sallyport login alice --client ikev2 --eap ttls/pap --ca /var/lib/sallyport/eap/ca.pem
            """)

    @Argument(help: "The login name, as the user types it.") var user: String
    @Option(help: ArgumentHelp("As which client; the node of this host tells its secret.", valueName: "name")) var client: String?
    @Option(help: ArgumentHelp("Where to ask; without it the node of --data-dir, or 127.0.0.1:1812.", valueName: "host:port"))
    var server: String?
    @Option(
        name: .customLong("protocol"),
        help: ArgumentHelp("How the password is proved: pap, chap, ms-chap or ms-chap-v2.", valueName: "protocol"))
    var scheme = ProofScheme.pap
    @OptionGroup var eap: LoginEAPFlags
    @Option(help: ArgumentHelp("A file with the shared secret, on one line.", valueName: "file"), completion: .file())
    var secretFile: String?
    @Flag(help: "Read the shared secret from the first line of standard input.") var secretStdin = false
    @Flag(help: "Read the password, then an answer to each challenge, from lines of standard input.") var passwordStdin = false
    @Flag(help: "Log in the user of `serve --demo` with her password and the code of this moment.") var demo = false
    @Option(help: ArgumentHelp("Calling-Station-Id: where the user is, as the gateway says.", valueName: "address")) var station: String?
    @Option(help: ArgumentHelp("NAS-Port.", valueName: "number")) var nasPort: UInt32?
    @Option(help: ArgumentHelp("Acct-Session-Id.", valueName: "id")) var sessionID: String?
    @Option(help: ArgumentHelp("Seconds until a request is sent again.", valueName: "seconds")) var timeout = 5
    @Option(help: ArgumentHelp("How often a request is sent in all.", valueName: "count")) var tries = 3
    @Flag(help: "Show every attribute; secrets stay hidden.") var showPackets = false
    @OptionGroup var options: GlobalOptions

    /// The node never counts it for the pinning of Message-Authenticator: a test from the gateway's address changes nothing.
    static let nasIdentifier = "sallyport-login"
    /// A server that never ends asking is at fault.
    static let mostChallenges = 16

    func validate() throws {
        if secretFile != nil, secretStdin { throw ValidationError("Use one of --secret-file and --secret-stdin.") }
        if demo, secretFile != nil || secretStdin || passwordStdin {
            throw ValidationError("--demo knows password, code and secret; leave the others away.")
        }
        if eap.eap != nil, scheme != .pap { throw ValidationError("Use one of --protocol and --eap.") }
        guard (1...60).contains(timeout), (1...10).contains(tries) else {
            throw ValidationError("--timeout is 1 to 60 seconds, --tries 1 to 10.")
        }
        guard (1...Packet.maximumValueLength).contains(user.utf8.count) else {
            throw ValidationError("A login name has 1 to \(Packet.maximumValueLength) bytes.")
        }
        for (value, name) in [(station, "--station"), (sessionID, "--session-id")] where value?.isEmpty == true {
            throw ValidationError("\(name) is empty; leave it away instead.")
        }
    }

    func run() async throws {
        let screen = LoginScreen(output: options.output, showsPackets: showPackets)
        let typed = TypedAnswers(terminal: screen.output.terminal)
        var proofs = try proofs(typed)
        let address = try await address()
        let secret = try await secretSource(typed, address).secret(
            file: secretFile, isTyped: secretStdin, client: client, demo: proofs.demo)
        var exchange = RADIUSExchange(to: address, secret: secret)
        exchange.timeout = .seconds(Int64(timeout))
        exchange.tries = tries
        var request = RADIUSExchange.Request(userName: user, password: Secret([]), nasIdentifier: Self.nasIdentifier)
        request.callingStation = station
        request.nasPort = nasPort
        request.sessionID = sessionID
        if let method = eap.eap { return try attempt(exchange, request, by: method, &proofs, screen) }
        request.password = try proofs.first()
        request.scheme = scheme.onTheWire
        try attempt(exchange, request, &proofs, screen)
    }

    private func attempt(
        _ exchange: RADIUSExchange, _ request: RADIUSExchange.Request, by method: PeerMethodName, _ proofs: inout Proofs,
        _ screen: LoginScreen
    ) throws {
        var report = LoginReport(user: user, server: "\(exchange.server)")
        var dialogue = try EAPDialogue(exchange, request, eap, method, screen)
        let end = try dialogue.run(&proofs) { answer in
            screen.show(answer)
            report.add(answer)
        }
        switch end {
        case .accepted(let seen):
            report.eap = seen
            try screen.end(report, .accepted)
        case .refused(let seen, let words):
            report.eap = seen
            report.eap?.fault = words
            let isServers = report.exchanges.last?.reply == Code.accessReject.name
            try screen.end(
                report, .rejected, note: isServers ? "\(words) \(proofs.noteOnReject() ?? whereTheReasonIs)" : words, by: isServers)
            throw ExitCode(2)
        }
    }

    private func attempt(
        _ exchange: RADIUSExchange, _ first: RADIUSExchange.Request, _ proofs: inout Proofs, _ screen: LoginScreen
    ) throws {
        var request = first
        var report = LoginReport(user: user, server: "\(exchange.server)")
        var random = BufferedRandom()
        for round in 0...Self.mostChallenges {
            let answer: RADIUSExchange.Answer
            do throws(RADIUSExchangeError) {
                answer = try exchange.perform(request, random: &random) { screen.show($0, to: exchange.server) }
            } catch {
                throw Refusal(error)
            }
            screen.show(answer)
            report.add(answer)
            switch answer.reply.code {
            case .accessAccept:
                let proof = request.password.reveal { ServerProof(answer.reply, to: answer.request, password: $0, secret: exchange.secret) }
                report.serverProof = proof.word
                if let fault = proof.fault {
                    try screen.end(report, .rejected, note: fault)
                    throw ExitCode(2)
                }
                return try screen.end(report, .accepted)
            case .accessReject:
                try screen.end(report, .rejected, note: proofs.noteOnReject() ?? whereTheReasonIs)
                throw ExitCode(2)
            case .accessChallenge where round < Self.mostChallenges:
                request.password = try proofs.answer(to: Challenge(answer.reply))
                request.state = answer.reply.octets(.state)
            case .accessChallenge:
                throw Refusal(.failed, "The server asked \(round + 1) times and never decided.", remedy: "Its log tells what it waits for.")
            default:
                throw Refusal(
                    .failed, "\(exchange.server) answered with \(answer.reply.code.name), which answers no login.",
                    remedy: "Is it a RADIUS authentication port?")
            }
        }
    }

    private func proofs(_ typed: TypedAnswers) throws -> Proofs {
        guard demo else { return Proofs(source: .typed(typed)) }
        let made = try Demo.read(try options.location().dataDirectory)
        guard user == Demo.user else {
            throw Refusal(.invalid, "The demo's user is \(Demo.user).", remedy: "Leave --demo away to log in as \(SafeText.line(user)).")
        }
        return Proofs(source: .demo(made))
    }

    private var whereTheReasonIs: String {
        let command = "sallyport audit list --user \(Words.argument(user)) --limit 1"
        if server != nil { return "The reason is in that server's trail alone; there, `\(command)` shows it." }
        let directory = options.dataDirectory.map { " --data-dir \(Words.argument($0))" } ?? ""
        let file = options.config.map { " --config \(Words.argument($0))" } ?? ""
        return "The reason is in the node's trail alone: `\(command)\(directory)\(file)` shows it."
    }

    /// Where this host's own node is asked, it also knows the secret.
    private func secretSource(_ typed: TypedAnswers, _ address: ServerAddress) -> ClientSecretSource {
        var source = ClientSecretSource(options: options, typed: typed)
        guard server == nil else { return source }
        source.fromNode = { [options] client in
            let node = try await NodeConnection.open(options)
            defer { node.close() }
            let clients = try await node.perform(ListClients()).clients.map { ($0.name, $0.addresses) }
            guard clients.contains(where: { $0.0 == client }) else {
                let near = NearNames.nearest(to: client, among: clients.map(\.0))
                throw Refusal(
                    .missing, "No client `\(SafeText.line(client))`.",
                    remedy: near.isEmpty ? "See `sallyport client list`." : NearNames.question(near), place: "--client")
            }
            if let owner = TestLogin.owner(of: address.address, instead: client, among: clients) {
                throw Refusal(
                    .invalid, "The node would take a request from \(address.address) for one of client `\(owner)`, not of `\(client)`.",
                    remedy: "Test with `--client \(Words.argument(owner))`, at the gateway itself, or take the address away from \(owner).",
                    place: "--client")
            }
            let answer = try await node.perform(RevealClientSecret(name: client))
            if let remedy = TestLogin.remedy(client: client, addresses: answer.addresses, destination: address.address) {
                throw Refusal(
                    .invalid, "The node would not know a request from here as one of client `\(client)`.",
                    remedy: remedy.prefix(1).uppercased() + remedy.dropFirst(), place: "--client")
            }
            return answer.secret
        }
        return source
    }

    private func address() async throws -> ServerAddress {
        do throws(ServerAddressError) {
            if let server { return try ServerAddress.resolve(server) }
        } catch {
            throw Refusal(.invalid, error.description, place: "--server")
        }
        if let node = await NodeConnection.running(options), let bound = try? await node.perform(NodeStatus()).radius.first,
            let found = try? ServerAddress.resolve(bound)
        {
            return ServerAddress(TestLogin.destination(of: found.address), port: found.port)
        }
        let listen = try options.location().settings.radiusListen.first
        guard let listen, listen.port != 0 else { return ServerAddress(NetworkAddress(v4: 0x7F00_0001)) }
        return ServerAddress(TestLogin.destination(of: listen.host), port: listen.port)
    }
}

extension ProofScheme: ExpressibleByArgument {
    /// The same, in the words of the protocol's own library.
    fileprivate var onTheWire: PasswordScheme {
        switch self {
        case .pap: .pap
        case .chap: .chap
        case .msCHAP: .msCHAP
        case .msCHAPv2: .msCHAPv2
        }
    }
}

extension ServerProof {
    /// Nil where the protocol has none.
    var word: String? {
        switch self {
        case .none: nil
        case .proved(keys: true): "proved, with keys"
        case .proved(keys: false): "proved"
        case .missing: "missing"
        case .wrong: "wrong"
        case .wrongKeys: "wrong keys"
        }
    }

    /// What a user's device makes of it.
    var fault: String? {
        switch self {
        case .none, .proved: nil
        case .missing: "The accept carries no MS-CHAP2-Success: a user's device would hang up."
        case .wrong: "The accept's MS-CHAP2-Success was made with another password: a user's device would hang up."
        case .wrongKeys: "The accept's MPPE keys are not those of the password: no encrypted packet would get through."
        }
    }
}

extension Refusal {
    init(_ error: RADIUSExchangeError) {
        let kind: Kind =
            switch error {
            case .noAnswer, .refused, .cannotSend: .unavailable
            case .notGenuine: .configuration
            case .notSendable, .notHashable: .invalid
            }
        self.init(kind, error.what, remedy: error.remedy)
    }
}
