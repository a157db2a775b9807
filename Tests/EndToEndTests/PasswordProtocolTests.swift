// SPDX-License-Identifier: Apache-2.0
// CHAP, MS-CHAP and MS-CHAPv2 against a real node, by the project's own client; and that client against FreeRADIUS.

import Administration
import Directories
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct PasswordProtocolTests {
    /// - Returns: the reply, and what it proves to who knows the password.
    private func ask(
        _ node: TestNode, _ password: String, _ scheme: PasswordScheme, user: String = "alice", state: [UInt8]? = nil
    ) async throws -> Exchanged {
        var request = RADIUSExchange.Request(userName: user, password: Secret(utf8: password), nasIdentifier: "test")
        request.scheme = scheme
        request.state = state
        return try await exchange(request, node.endpoint, TestNode.secret)
    }

    private struct Exchanged {
        let reply: Packet
        let proof: ServerProof
        /// On the thread that asked: a test itself waits for hundreds of others before it goes on.
        let took: Duration
    }

    private func exchange(
        _ request: RADIUSExchange.Request, _ endpoint: UDPEndpoint, _ secret: String
    ) async throws -> Exchanged {
        let secret = try #require(SharedSecret(secret))
        var exchange = RADIUSExchange(to: ServerAddress(endpoint.address, port: endpoint.port), secret: secret)
        // FreeRADIUS of Debian 12 signs no reply.
        exchange.requiresMessageAuthenticator = endpoint.port < 20_000 || endpoint.port >= 30_000
        return try await onThread { [exchange] in
            var random = SystemRandomNumberGenerator()
            let began = ContinuousClock.now
            let answer = try exchange.perform(request, random: &random)
            let took = ContinuousClock.now - began
            let proof = request.password.reveal { ServerProof(answer.reply, to: answer.request, password: $0, secret: secret) }
            return Exchanged(reply: answer.reply, proof: proof, took: took)
        }
    }

    @Test(arguments: PasswordScheme.allCases) func theCodeIsThePassword(_ scheme: PasswordScheme) async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "aws-directory" }
            let token = try await node.addUser()
            let code = try token.code()
            let answer = try await ask(node, code, scheme)
            let (reply, proof) = (answer.reply, answer.proof)
            #expect(reply.code == .accessAccept)
            // A code proves the server too, and makes no keys.
            #expect(proof == (scheme == .msCHAPv2 ? .proved(keys: false) : .none))
            #expect(try await ask(node, code, scheme).reply.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "code-already-used")
            #expect(try await ask(node, try token.wrongCode(), scheme).reply.code == .accessReject)
            #expect(try await ask(node, code, scheme, user: "nobody").reply.code == .accessReject)
            #expect(try await node.verifyTrail().findings.isEmpty)
        }
    }

    @Test(arguments: [PasswordScheme.chap, .msCHAP, .msCHAPv2]) func aKeptPasswordThenACode(_ scheme: PasswordScheme) async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: scheme == .chap ? "clear-password" : "nt-hash"))
            try await node.addClient { $0.protocols = ["pap", "chap", "ms-chap", "ms-chap-v2"].filter { scheme == .chap || $0 != "chap" } }
            let token = try await node.addUser()
            let question = try await ask(node, TestNode.password, scheme).reply
            #expect(question.code == .accessChallenge)
            let answer = try await ask(node, try token.code(), scheme, state: question.octets(.state))
            let (reply, proof) = (answer.reply, answer.proof)
            #expect(reply.code == .accessAccept)
            #expect(proof == (scheme == .msCHAPv2 ? .proved(keys: false) : .none))
            let wrong = try await ask(node, "wrong password", scheme).reply
            #expect(wrong.code == .accessReject)
            let error = wrong.first(vendor: 311, type: MicrosoftAttribute.chapError).flatMap { MSCHAPError(wrong.value(of: $0)) }
            #expect(error?.code == (scheme == .chap ? nil : .authenticationFailure))
            #expect(error?.message == (scheme == .chap ? nil : Prompt.rejected))
        }
    }

    @Test func aPasswordAloneProvesTheServerAndMakesKeys() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "nt-hash"))
            try await node.addClient { choices in
                choices.requirement = "password"
                choices.protocols = ["ms-chap", "ms-chap-v2"]
            }
            try await node.addUser()
            for scheme in [PasswordScheme.msCHAP, .msCHAPv2] {
                let answer = try await ask(node, TestNode.password, scheme)
                let (reply, proof) = (answer.reply, answer.proof)
                #expect(reply.code == .accessAccept)
                #expect(proof == .proved(keys: true))
            }
            #expect(try await ask(node, TestNode.password, .pap).reply.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "protocol-not-allowed")
        }
    }

    /// A retransmission hears the same bytes, and so does the same request after the node was killed and started again.
    @Test func theProofReachesRetriesToo() async throws {
        var node = try await TestNode.start()
        do {
            try await node.addClient { $0.profile = "aws-directory" }
            let token = try await node.addUser()
            let hash = try #require(NTHash(password: Array(try token.code().utf8)))
            let response = MSCHAPv2Response(
                identifier: 3, challenge: Authenticator(high: 8, low: 9), peerChallenge: Authenticator(high: 6, low: 7),
                userName: Array("alice".utf8), hash: hash)
            var gateway = try GatewayClient(node)
            let request = try gateway.request("alice", nil) { writer in
                writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, response.challenge.bytes)
                writer.addVendor(311, type: MicrosoftAttribute.chap2Response, response.bytes)
            }
            let began = ContinuousClock.now
            let first = try #require(try await gateway.exchange(request))
            #expect(first.code == .accessAccept)
            #expect(try await gateway.exchange(request) == first)
            node = try await node.restarted()
            gateway = try GatewayClient(node)
            let again = try #require(try await gateway.exchange(request))
            // After ten seconds it is a used code, and a machine that is busy may take so long to start a node again.
            if ContinuousClock.now - began < .seconds(9) {
                #expect(again == first)
            } else {
                #expect(again == first || again.code == .accessReject)
            }
            #expect(try await node.logins("login-accepted").count == 1)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    @Test func aPolicyMayAskForWhatTheProtocolCannotProve() async throws {
        try await withNode { node in
            try await node.addClient { choices in
                choices.requirement = "factor"
                choices.protocols = ["ms-chap-v2"]
            }
            try await node.addUser()
            var choices = PolicyChoices()
            choices.require = "password+factor"
            try await node.perform(AddPolicy(name: "both", choices: choices))
            #expect(try await ask(node, TestNode.password, .msCHAPv2).reply.code == .accessReject)
            #expect(try await node.lastReason(of: "alice") == "password-not-kept-for-protocol")
            let login = try #require(try await node.logins("login-rejected").first?.login)
            let story = try await node.story(login)
            #expect(story.contains("sallyport password show"), "\(story)")
            #expect(story.contains("MS-CHAPv2"), "\(story)")
        }
    }

    @Test func theProbeIsAnsweredWithinASecondAndLeavesNothing() async throws {
        try await withNode { node in
            try await node.addClient("aws", ["127.0.0.1", "127.0.0.2"]) { $0.profile = "aws-directory" }
            var times: [Duration] = []
            for scheme in PasswordScheme.allCases {
                let answer = try await ask(node, "anything", scheme, user: "FakeUserName")
                #expect(answer.reply.code == .accessReject)
                times.append(answer.took)
            }
            // Other tests may have the machine for a while, but not four times.
            #expect(try #require(times.min()) < .seconds(1))
            let other = try GatewayClient(node, from: "127.0.0.2")
            #expect(try await other.login("fakeusername", "123456")?.code == .accessReject)
            // Another name that nobody has is refused alike, and stands in the trail.
            #expect(try await ask(node, "anything", .msCHAPv2, user: "nobody").reply.code == .accessReject)
            #expect(try await node.lastReason(of: "nobody") == "unknown-user")
            #expect(try await node.logins("login").count == 1)
        }
    }

    @Test func oneLoginFromBothAddressesIsOne() async throws {
        try await withNode { node in
            try await node.addClient("aws", ["127.0.0.1", "127.0.0.2"]) { $0.profile = "aws-directory" }
            let token = try await node.addUser()
            let (one, two) = (try GatewayClient(node), try GatewayClient(node, from: "127.0.0.2"))
            let request = try one.request("alice", try token.code())
            #expect(try await one.exchange(request)?.code == .accessAccept)
            // The same packet by way of the other address is a retry, and no replay.
            #expect(try await two.exchange(request)?.code == .accessAccept)
            #expect(try await node.logins("login-accepted").count == 1)
        }
    }

    @Test func theTestClientSaysWhetherTheServerKnewThePassword() async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "aws-directory" }
            let token = try await node.addUser()
            let folder = try TemporaryFolder()
            let secret = try folder.file("secret", TestNode.secret + "\n")
            func login(_ code: String, _ scheme: String) async throws -> Finished {
                try await Program.sallyport.run(
                    [
                        "login", "alice", "--server", "\(node.endpoint)", "--secret-file", secret, "--password-stdin", "--protocol", scheme,
                        "--show-packets",
                    ], input: code + "\n")
            }
            let code = try token.code()
            let accepted = try await login(code, "ms-chap-v2")
            #expect(accepted.status == 0, "\(accepted.everything)")
            #expect(accepted.output.contains("The server knew the password too: proved."), "\(accepted.everything)")
            let refused = try await login(code, "ms-chap-v2")
            #expect(refused.status == 2)
            #expect(refused.output.contains("MS-CHAP-Error E=691 R=1 C="), "\(refused.everything)")
            #expect(try await login(code, "ms-chap-3").status == 64)
        }
    }

    private func change(
        _ node: TestNode, _ challenge: Authenticator, from old: NTHash, to new: String
    ) async throws -> (reply: Packet, response: MSCHAPv2Response) {
        let made = MSCHAPPasswordChange(
            identifier: 5, challenge: challenge, peerChallenge: Authenticator(high: 1, low: 2), userName: Array("alice".utf8), old: old,
            new: Array(new.utf8), padding: [UInt8](repeating: 0x2A, count: 512))
        let change = try #require(made)
        let gateway = try GatewayClient(node)
        let reply = try await gateway.login("alice", nil) { writer in
            writer.addVendor(311, type: MicrosoftAttribute.chapChallenge, change.response.challenge.bytes)
            for piece in change.pieces { writer.addVendor(311, type: MicrosoftAttribute.chapNTEncPW, piece) }
            writer.addVendor(311, type: MicrosoftAttribute.chap2CPW, change.bytes)
        }
        return (try #require(reply), change.response)
    }

    /// RFC 2759 §7 from the first refusal to the next login.
    @Test func anExpiredPasswordIsChangedByTheDevice() async throws {
        try await withNode { node in
            try await node.perform(KeepPasswords(part: "nt-hash"))
            try await node.addClient { choices in
                choices.requirement = "password"
                choices.protocols = ["pap", "ms-chap-v2"]
            }
            try await node.addUser()
            try await node.setUser("alice") { $0.expiresPassword = true }
            let refused = try await ask(node, TestNode.password, .msCHAPv2).reply
            let error = try #require(
                refused.first(vendor: 311, type: MicrosoftAttribute.chapError).flatMap { MSCHAPError(refused.value(of: $0)) })
            #expect(error.code == .passwordExpired && error.allowsRetry && error.challenge.count == 16)
            #expect(try await node.lastReason(of: "alice") == "password-must-be-changed")
            #expect(try await ask(node, TestNode.password, .pap).reply.code == .accessReject)

            let old = try #require(NTHash(password: Array(TestNode.password.utf8)))
            let challenge = try #require(Authenticator(error.challenge))
            let short = try await change(node, challenge, from: old, to: "short").reply
            let refusal = short.first(vendor: 311, type: MicrosoftAttribute.chapError).flatMap { MSCHAPError(short.value(of: $0)) }
            #expect(refusal?.code == .changeFailed)
            let wrong = try #require(NTHash(password: Array("another".utf8)))
            #expect(try await change(node, challenge, from: wrong, to: "a better password").reply.code == .accessReject)

            let (accepted, response) = try await change(node, challenge, from: old, to: "a better password")
            #expect(accepted.code == .accessAccept)
            let new = try #require(NTHash(password: Array("a better password".utf8)))
            let success = try #require(accepted.first(vendor: 311, type: MicrosoftAttribute.chap2Success))
            #expect(response.isSuccess(accepted.value(of: success), new))
            #expect(try await ask(node, "a better password", .msCHAPv2).proof == .proved(keys: true))
            #expect(try await ask(node, "a better password", .pap).reply.code == .accessAccept)
            #expect(try await ask(node, TestNode.password, .msCHAPv2).reply.code == .accessReject)
            let event = try await node.logins("user-changed").first { $0.actor?.hasPrefix("user@") == true }
            #expect(event?.actor == "user@vpn" && event?.user == "alice" && event?.text.contains("password set") == true)
        }
    }

    // MARK: Foreign programs

    @Test(.enabled(if: Foreign.isHere("radclient"), "radclient (freeradius-utils) is not installed"), arguments: ["CHAP", "MS-CHAP"])
    func radclientProvesAPasswordAndACode(_ name: String) async throws {
        try await withNode { node in
            try await node.addClient { $0.profile = "aws-directory" }
            let token = try await node.addUser()
            let radclient = try #require(Program(installed: "radclient"))
            func ask(_ password: String) async throws -> Finished {
                try await radclient.run(
                    ["-x", "-r", "1", "-t", "15", "\(node.endpoint)", "auth", TestNode.secret],
                    input: "User-Name = \"alice\"\n\(name)-Password = \"\(password)\"\nMessage-Authenticator = 0x00\n")
            }
            let code = try token.code()
            let accepted = try await ask(code)
            #expect(accepted.output.contains("Received Access-Accept"), "\(accepted.everything)")
            let refused = try await ask(code)
            #expect(refused.output.contains("Received Access-Reject"), "\(refused.everything)")
            if name == "MS-CHAP" { #expect(refused.output.contains("E=691 R=1 C="), "\(refused.everything)") }
            // And a password that is kept.
            try await node.perform(KeepPasswords(part: "clear-password"))
            try await node.setUser("alice") { $0.password = SecretText(TestNode.password) }
            try await node.setClient { $0.requirement = "password" }
            let password = try await ask(TestNode.password)
            #expect(password.output.contains("Received Access-Accept"), "\(password.everything)")
            #expect(password.output.contains("MS-CHAP-MPPE-Keys") == (name == "MS-CHAP"), "\(password.everything)")
        }
    }

    @Test(.enabled(if: Foreign.isHere("freeradius"), "freeradius is not installed")) func freeRADIUSAndWeMakeTheSameProofs() async throws {
        let server = try await FreeRADIUS.start(password: "clientPass-ä")
        for name in ["alice", "CORP\\alice"] {
            for scheme in PasswordScheme.allCases {
                var request = RADIUSExchange.Request(userName: name, password: Secret(utf8: "clientPass-ä"), nasIdentifier: "test")
                request.scheme = scheme
                let answer = try await exchange(request, server.endpoint, FreeRADIUS.secret)
                let (reply, proof) = (answer.reply, answer.proof)
                #expect(reply.code == .accessAccept, "\(name) \(scheme)")
                switch scheme {
                case .pap, .chap: #expect(proof == .none)
                case .msCHAP, .msCHAPv2: #expect(proof == .proved(keys: true), "\(name) \(scheme)")
                }
                request.password = Secret(utf8: "another")
                let refused = try await exchange(request, server.endpoint, FreeRADIUS.secret).reply
                #expect(refused.code == .accessReject)
                let error = refused.first(vendor: 311, type: MicrosoftAttribute.chapError).flatMap { MSCHAPError(refused.value(of: $0)) }
                #expect((error?.code == .authenticationFailure) == (scheme == .msCHAP || scheme == .msCHAPv2))
            }
        }
        try await server.stop()
    }
}

/// FreeRADIUS with one password for everybody on a configuration of its own.
private struct FreeRADIUS {
    static let secret = "a-long-enough-shared-secret"

    let endpoint: UDPEndpoint
    let running: RunningProgram
    let folder: TemporaryFolder

    static func start(password: String) async throws -> FreeRADIUS {
        let folder = try TemporaryFolder()
        // It cannot tell which port it was given, so a free one is looked for.
        let port = UInt16.random(in: 20_000..<30_000)
        _ = try folder.file("dictionary", "")
        let users = try folder.file("users", "DEFAULT Cleartext-Password := \"\(password)\"\n")
        _ = try folder.file(
            "radiusd.conf",
            """
            prefix = /usr
            localstatedir = \(folder.path)
            sysconfdir = \(folder.path)
            libdir = /usr/lib/freeradius
            raddbdir = \(folder.path)
            logdir = \(folder.path)
            run_dir = \(folder.path)
            pidfile = \(folder.path)/radiusd.pid
            max_request_time = 30
            cleanup_delay = 5
            max_requests = 1024
            log {
                destination = files
                file = \(folder.path)/radius.log
            }
            security {
                reject_delay = 0
            }
            proxy_requests = no
            client loopback {
                ipaddr = 127.0.0.1
                secret = \(secret)
                require_message_authenticator = yes
            }
            modules {
                files {
                    usersfile = \(users)
                }
                pap {
                }
                chap {
                }
                mschap {
                    use_mppe = yes
                    with_ntdomain_hack = yes
                }
            }
            server default {
                listen {
                    type = auth
                    ipaddr = 127.0.0.1
                    port = \(port)
                }
                authorize {
                    chap
                    mschap
                    files
                    pap
                }
                authenticate {
                    Auth-Type PAP {
                        pap
                    }
                    Auth-Type CHAP {
                        chap
                    }
                    Auth-Type MS-CHAP {
                        mschap
                    }
                }
            }
            """)
        let program = try #require(Program(installed: "freeradius"))
        let running = try await program.start(["-f", "-d", folder.path, "-n", "radiusd"])
        let endpoint = UDPEndpoint(address: NetworkAddress(v4: 0x7F00_0001), port: port)
        let here = try await eventually { folder.text(of: "radius.log").contains("Ready to process requests") }
        try #require(here, "\(folder.text(of: "radius.log"))")
        return FreeRADIUS(endpoint: endpoint, running: running, folder: folder)
    }

    func stop() async throws {
        running.signal(SIGTERM)
        _ = try await running.end()
    }
}
