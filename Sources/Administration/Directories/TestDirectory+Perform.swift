// SPDX-License-Identifier: Apache-2.0
// Asks the servers of a directory from here, beside the logins that are under way.

internal import Directories
internal import Dispatch
internal import LoginEngine
internal import RADIUS
internal import Store

extension TestDirectory {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let directory = try operations.directory(name)
        let settings = directory.settings
        if let ldap = settings.ldap { return await performLDAP(directory, ldap) }
        if user != nil, password == nil {
            throw Refusal(.invalid, "A user is asked about by a password.", remedy: "Give it with --password-stdin.", place: "password")
        }
        var request = UpstreamRequest(password.map { .password($0.secret) } ?? .status, nasIdentifier: "sallyport")
        request.userName = user.map(Valid.trimmed) ?? ""
        if user == nil { request.content = .status }
        var random = operations.ports.random()
        var results: [Answer.Result] = []
        for server in settings.servers {
            guard let secret = settings.secret(of: server).reveal({ SharedSecret($0) }) else {
                results.append(
                    Answer.Result(
                        server: "\(server)", outcome: "silent",
                        message: "It is asked nothing: the secret does not open. Set it anew: `\(settings.commandForSecret(of: server))`."))
                continue
            }
            for place in await Self.places(of: server) {
                let address: ServerAddress
                switch place {
                case .success(let found): address = found
                case .failure(let error):
                    results.append(Answer.Result(server: "\(server)", outcome: "silent", message: error.description))
                    continue
                }
                let probe = ServerProbe(
                    server: server, address: address, settings: settings, secret: secret, request: request,
                    identifier: UInt8.random(in: 0...255, using: &random),
                    authenticator: Authenticator(high: random.next(), low: random.next()))
                results.append(await Self.offThread { probe.perform() })
            }
        }
        return Answer(directory: directory.name, results: results)
    }

    /// Every address that it has now, or why it has none.
    private static func places(of server: DirectoryServer) async -> [Result<ServerAddress, ServerAddressError>] {
        switch server.place {
        case .address(let address): return [.success(ServerAddress(address, port: server.port))]
        case .name(let name):
            return await offThread {
                do throws(ServerAddressError) {
                    return try ServerAddress.addresses(of: name).prefix(ServerNames.mostAddresses).map {
                        .success(ServerAddress($0, port: server.port))
                    }
                } catch {
                    return [.failure(error)]
                }
            }
        }
    }

    /// An exchange and a look-up block: not on a thread that logins need.
    static func offThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(returning: body()) }
        }
    }
}

private struct ServerProbe: Sendable {
    var server: DirectoryServer
    var address: ServerAddress
    var settings: DirectorySettings
    var secret: SharedSecret
    var request: UpstreamRequest
    var identifier: UInt8
    var authenticator: Authenticator

    func perform() -> TestDirectory.Answer.Result {
        var exchange = RADIUSExchange(to: address, secret: secret)
        exchange.timeout = settings.timeout
        exchange.tries = settings.tries
        var isStatus = false
        if case .status = request.content { isStatus = true }
        exchange.requiresMessageAuthenticator = settings.messageAuthenticator == .require && !isStatus
        func result(_ outcome: String, _ message: String, _ duration: Timestamp.Span? = nil) -> TestDirectory.Answer.Result {
            TestDirectory.Answer.Result(
                server: server.hostName == nil ? "\(server)" : "\(server), \(address)", outcome: outcome,
                milliseconds: duration.map { Int($0.microseconds / 1_000) }, message: message)
        }
        let packet: Packet
        do throws(PacketError) {
            packet = try request.packet(identifier: identifier, authenticator: authenticator, secret: secret)
        } catch {
            return result("silent", "The request cannot be written: \(error)")
        }
        do throws(RADIUSExchangeError) {
            let answer = try exchange.exchange(packet)
            let isUnsigned = !answer.reply.contains(.messageAuthenticator)
            let caution =
                isStatus && isUnsigned && settings.messageAuthenticator == .require
                ? " Its reply had no Message-Authenticator: see with --user whether those to logins have one." : ""
            switch (isStatus, answer.reply.code) {
            case (true, _): return result("answers", "It answers Status-Server.\(caution)", answer.duration)
            case (false, .accessAccept): return result("accepted", "The password is right.", answer.duration)
            case (false, .accessChallenge): return result("challenged", "It asks the user something more.", answer.duration)
            case (false, .accessReject): return result("rejected", "The password is wrong, or it lets this user in not.", answer.duration)
            case (false, let code): return result("silent", "It answered with \(code), which is no answer to a login.", answer.duration)
            }
        } catch {
            let more =
                isStatus ? " A server that knows no Status-Server (RFC 5997), as NPS does not, is silent too: test it with --user." : ""
            return result("silent", error.description + more)
        }
    }
}
