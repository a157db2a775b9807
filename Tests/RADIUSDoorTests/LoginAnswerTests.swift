// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct LoginAnswerTests {
    private func reply(_ answer: LoginAnswer, to bytes: [UInt8] = request()) throws -> Packet {
        let request = try packet(bytes)
        let reply = try packet(try #require(answer.reply(to: request, secret: sharedSecret)))
        #expect(reply.verifyReply(to: request, secret: sharedSecret) == .genuine)
        // CVE-2024-3596: Message-Authenticator comes first.
        #expect(reply.bytes[20] == 80)
        return reply
    }

    private func challenge(_ prompt: String, echo: Bool = false, lifetime: Int = 60) -> LoginAnswer {
        .challenge(loginID, Challenge(handle: "abcdefgh-_ABCDEFGHabcdefgh012345", prompt: prompt, echo: echo, lifetime: lifetime))
    }

    @Test func accept() throws {
        let reply = try reply(.accept(loginID))
        #expect(reply.code == .accessAccept)
        #expect(reply.attributes.map(\.type) == [.messageAuthenticator])
    }

    @Test func challengeCarriesStatePromptAndLifetime() throws {
        let reply = try reply(challenge("Enter your code:"))
        #expect(reply.code == .accessChallenge)
        #expect(try reply.text(.state) == "abcdefgh-_ABCDEFGHabcdefgh012345")
        #expect(try reply.text(.replyMessage) == "Enter your code:")
        #expect(reply.integer(.prompt) == 0)
        #expect(reply.integer(.sessionTimeout) == 60)
        #expect(try self.reply(challenge("", echo: true)).integer(.prompt) == 1)
        #expect(try self.reply(challenge("")).all(.replyMessage).isEmpty)
    }

    @Test func absurdLifetimeIsClamped() throws {
        #expect(try reply(challenge("", lifetime: -1)).integer(.sessionTimeout) == 0)
        #expect(try reply(challenge("", lifetime: .max)).integer(.sessionTimeout) == .max)
    }

    @Test func rejectCarriesItsMessage() throws {
        let reply = try reply(.reject(loginID, message: "Login failed."))
        #expect(reply.code == .accessReject)
        #expect(try reply.text(.replyMessage) == "Login failed.")
    }

    @Test func noAnswerIsNoReply() throws {
        let request = try packet(request())
        for cause in NoAnswer.allCases { #expect(LoginAnswer.none(cause).reply(to: request, secret: sharedSecret) == nil) }
    }

    @Test(arguments: ["€", "é", "😀", "a"])
    func longMessageIsSplitOnScalars(scalar: Character) throws {
        let text = "x" + String(repeating: scalar, count: 400)
        let pieces = try reply(.reject(loginID, message: text)).all(.replyMessage)
        #expect(pieces.count > 1)
        #expect(pieces.allSatisfy { $0.count <= 253 && String(validating: $0, as: UTF8.self) != nil })
        #expect(String(decoding: pieces.flatMap { $0 }, as: UTF8.self) == text)
    }

    @Test(arguments: ["€", "😀", "a"])
    func messageThatHasNoRoomIsCut(scalar: Character) throws {
        for count in [10, 500, 5000] {
            let text = String(repeating: scalar, count: count)
            for states in [0, 3, 14, 15] {
                let bytes = request {
                    $0.login()
                    for number in 0..<states { $0.add(.proxyState, [UInt8](repeating: UInt8(number), count: 253)) }
                }
                for answer in [LoginAnswer.reject(loginID, message: text), challenge(text)] {
                    let reply = try reply(answer, to: bytes)
                    #expect(reply.bytes.count <= 4096)
                    #expect(reply.all(.proxyState).count == states)
                    let read = String(validating: reply.all(.replyMessage).flatMap { $0 }, as: UTF8.self)
                    #expect(read.map { text.hasPrefix($0) } == true)
                    if text.utf8.count + 2 * (text.utf8.count / 250 + 1) + 64 + 255 * states + 20 <= 4096 { #expect(read == text) }
                }
            }
        }
    }

    @Test func proxyStateComesLastAndInOrder() throws {
        let bytes = request {
            $0.add(.proxyState, [1])
            $0.login()
            $0.add(.proxyState, [])
            $0.add(.proxyState, [3, 3])
        }
        for answer in [LoginAnswer.accept(loginID), challenge("Code:"), .reject(loginID, message: "No.")] {
            let reply = try reply(answer, to: bytes)
            #expect(reply.all(.proxyState) == [[1], [], [3, 3]])
            #expect(reply.attributes.map(\.type).suffix(3) == [.proxyState, .proxyState, .proxyState])
        }
    }

    @Test func challengeWithoutRoomForItsStateIsNoReply() throws {
        // 20 + 18 + 3 + 15 × 255 + 230 = 4096: nothing is left for State.
        let bytes = request {
            $0.add(.userName, [65])
            for _ in 0..<15 { $0.add(.proxyState, [UInt8](repeating: 1, count: 253)) }
            $0.add(.proxyState, [UInt8](repeating: 1, count: 228))
        }
        #expect(bytes.count == 4096)
        #expect(challenge("").reply(to: try packet(bytes), secret: sharedSecret) == nil)
        #expect(try reply(.accept(loginID), to: bytes).bytes.count == 4093)
        #expect(try reply(.reject(loginID, message: "No."), to: bytes).bytes.count <= 4096)
    }

    @Test func rejectOfEAPCarriesEAPFailureAndNoMessage() throws {
        let bytes = request {
            $0.addText(.userName, "alice")
            $0.add(.eapMessage, [2, 77, 0, 5, 1])
        }
        let reply = try reply(.reject(loginID, message: "Login failed."), to: bytes)
        #expect(reply.all(.eapMessage) == [[4, 77, 0, 4]])
        #expect(reply.all(.replyMessage).isEmpty)
    }

    @Test func statusServerIsAccepted() throws {
        let bytes = request(.statusServer) { $0.add(.proxyState, [9]) }
        let request = try packet(bytes)
        let reply = try packet(try #require(statusReply(to: request, secret: sharedSecret)))
        #expect(reply.code == .accessAccept)
        #expect(reply.verifyReply(to: request, secret: sharedSecret) == .genuine)
        #expect(reply.all(.proxyState) == [[9]])
    }
}
