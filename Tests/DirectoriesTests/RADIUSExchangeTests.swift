// SPDX-License-Identifier: Apache-2.0
// One exchange against a server of a few lines on a real socket: what is taken, what is not, and the words for it.

import Directories
import LoginEngine
import RADIUS
import Testing

@Suite struct RADIUSExchangeTests {
    private static func exchange(_ server: ScriptedServer) throws -> RADIUSExchange {
        var exchange = RADIUSExchange(to: server.address, secret: try #require(SharedSecret("s3cret-of-both")))
        exchange.timeout = .milliseconds(150)
        exchange.tries = 2
        return exchange
    }

    private static var request: RADIUSExchange.Request {
        var request = RADIUSExchange.Request(userName: "alice", password: Secret(utf8: "pass,123456"), nasIdentifier: "test")
        request.state = [1, 2, 3]
        request.callingStation = "203.0.113.9"
        request.nasPort = 7
        request.sessionID = "s-1"
        return request
    }

    @Test func acceptIsTakenAndRequestIsSigned() throws {
        let server = try ScriptedServer("s3cret-of-both") { request in [.reply(.accessAccept, to: request, signed: true)] }
        var random = SystemRandomNumberGenerator()
        let answer = try Self.exchange(server).perform(Self.request, random: &random)
        #expect(answer.reply.code == .accessAccept)
        #expect(answer.sendings == 1)
        let secret = try #require(SharedSecret("s3cret-of-both"))
        let sent = try #require(server.requests.first)
        #expect(sent.hasValidMessageAuthenticator(secret: secret))
        #expect(Array(sent.attributes).first?.type == .messageAuthenticator)
        #expect(try sent.password(secret: secret) == Array("pass,123456".utf8))
        #expect(try sent.text(.userName) == "alice")
        #expect(sent.octets(.state) == [1, 2, 3])
        #expect(sent.integer(.nasPort) == 7)
        #expect(try sent.text(.acctSessionID) == "s-1")
    }

    @Test func lostRequestIsSentAgainUnchanged() throws {
        let server = try ScriptedServer("s3cret-of-both", deafTo: 1) { request in [.reply(.accessReject, to: request, signed: true)] }
        var random = SystemRandomNumberGenerator()
        var sendings = 0
        let answer = try Self.exchange(server).perform(Self.request, random: &random) { step in
            if case .sent = step { sendings += 1 }
        }
        #expect(answer.reply.code == .accessReject)
        #expect(answer.sendings == 2 && sendings == 2)
        #expect(server.requests.count == 2 && server.requests[0] == server.requests[1])
    }

    @Test func silenceNamesTheThreeCauses() throws {
        let server = try ScriptedServer("s3cret-of-both", deafTo: .max) { _ in [] }
        let error = try Self.failure(Self.exchange(server))
        #expect(error == .noAnswer(server.address, tries: 2, timeout: .milliseconds(150)))
        for word in ["address", "port", "secret"] { #expect(error?.description.contains(word) == true) }
    }

    @Test func closedPortIsToldAtOnce() throws {
        let address = try ScriptedServer("x") { _ in [] }.address
        let exchange = RADIUSExchange(to: address, secret: try #require(SharedSecret("s3cret-of-both")))
        #expect(try Self.failure(exchange) == .refused(address))
    }

    @Test func otherSecretIsNamed() throws {
        let server = try ScriptedServer("another-secret") { request in [.reply(.accessAccept, to: request, signed: true)] }
        let error = try Self.failure(Self.exchange(server))
        #expect(error == .notGenuine(server.address, .wrongResponseAuthenticator))
        #expect(error?.description.contains("the shared secret differs") == true)
    }

    @Test func replyWithoutMessageAuthenticatorIsRefusedUnlessAllowed() throws {
        let server = try ScriptedServer("s3cret-of-both") { request in [.reply(.accessAccept, to: request, signed: false)] }
        var exchange = try Self.exchange(server)
        #expect(try Self.failure(exchange) == .notGenuine(server.address, .missingMessageAuthenticator))
        exchange.requiresMessageAuthenticator = false
        var random = SystemRandomNumberGenerator()
        #expect(try exchange.perform(Self.request, random: &random).reply.code == .accessAccept)
    }

    @Test func forgeriesBeforeTheReplyAreIgnored() throws {
        let server = try ScriptedServer("s3cret-of-both") { request in
            [
                .bytes([2, request.identifier, 0, 20]), .forgery(.accessAccept, to: request),
                .reply(.accessReject, to: request, signed: true),
            ]
        }
        var random = SystemRandomNumberGenerator()
        var ignored = 0
        let answer = try Self.exchange(server).perform(Self.request, random: &random) { step in
            switch step {
            case .ignored, .ignoredMalformed: ignored += 1
            case .sent: break
            }
        }
        #expect(answer.reply.code == .accessReject)
        #expect(ignored == 2)
    }

    @Test func overlongValueIsNotSendable() throws {
        let server = try ScriptedServer("s3cret-of-both") { _ in [] }
        var exchange = try Self.exchange(server)
        exchange.tries = 1
        var request = Self.request
        request.password = Secret([UInt8](repeating: 65, count: 129))
        var random = SystemRandomNumberGenerator()
        #expect(throws: RADIUSExchangeError.notSendable(.passwordTooLong(length: 129))) {
            _ = try exchange.perform(request, random: &random)
        }
    }

    private static func failure(_ exchange: RADIUSExchange) throws -> RADIUSExchangeError? {
        var random = SystemRandomNumberGenerator()
        do throws(RADIUSExchangeError) {
            _ = try exchange.perform(request, random: &random)
            return nil
        } catch {
            return error
        }
    }
}

@Suite struct ServerAddressTests {
    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7:1812"), ("192.0.2.7:1645", "192.0.2.7:1645"), ("2001:db8::1", "[2001:db8::1]:1812"),
        ("[2001:db8::1]", "[2001:db8::1]:1812"), ("[::1]:1812", "[::1]:1812"),
    ])
    func addressesAreRead(_ text: String, _ shown: String) throws {
        #expect(try ServerAddress.resolve(text).description == shown)
    }

    @Test func localhostIsKnownWithoutAHostsFile() throws {
        #expect(try ServerAddress.resolve("localhost:1999").description == "127.0.0.1:1999")
    }

    @Test(arguments: ["", ":1812", "host:", "host:0", "host:65536", "[host]:1", "[::1", "a:b:c", "1.2.3.4:x"])
    func othersAreNot(_ text: String) {
        #expect(throws: ServerAddressError.malformed(text)) { try ServerAddress.resolve(text) }
    }
}
