// SPDX-License-Identifier: Apache-2.0
// The methods alone, byte by byte.

import EAP
import Testing

struct GTCMethodTests {
    @Test func asksAsOftenAsTheApplicationDoes() {
        var method = GTCMethod(prompt: "PIN: ")
        #expect(method.begin(identifier: 1) == .request(Array("PIN: ".utf8)))
        let typed = EAPSecret(Array("sesame".utf8))
        #expect(method.take(response: Array("sesame".utf8)[...]) == .ask(EAPQuestion(method: "EAP-GTC", proof: .password(typed))))
        #expect(method.take(verdict: .challenge(prompt: "Code: ")) == .request(Array("Code: ".utf8)))
        #expect(method.take(response: []) == .ask(EAPQuestion(method: "EAP-GTC", proof: .password(EAPSecret([])))))
        #expect(method.take(verdict: .accept()) == .success(nil))
        #expect(method.take(verdict: .reject()) == .failure(.rejected))
    }

    @Test func whatIsTypedIsBounded() {
        var method = GTCMethod()
        guard case .ask = method.take(response: [UInt8](repeating: 65, count: 253)[...]) else {
            Issue.record("nothing is asked")
            return
        }
        #expect(method.take(response: [UInt8](repeating: 65, count: 254)[...]) == .failure(.malformed("EAP-GTC response of 254 bytes")))
    }
}

struct MD5MethodTests {
    private let hash = [UInt8](repeating: 0xab, count: 16)

    @Test func carriesCHAP() {
        var method = MD5Method(challenge: challenge)
        #expect(method.begin(identifier: 7) == .request([16] + challenge))
        let question = EAPQuestion(method: "EAP-MD5", proof: .chap(identifier: 7, challenge: challenge, response: hash))
        #expect(method.take(response: ([16] + hash)[...]) == .ask(question))
        // RFC 3748 §5.4: a name may follow.
        #expect(method.take(response: ([16] + hash + Array("alice".utf8))[...]) == .ask(question))
        #expect(method.take(verdict: .accept()) == .success(nil))
        #expect(method.take(verdict: .reject()) == .failure(.rejected))
        #expect(method.take(verdict: .challenge(prompt: "?")) == .failure(.unsupported("EAP-MD5 that cannot ask for a code")))
    }

    @Test func malformedResponsesAreRefused() {
        for bytes in [[], [16], [16] + hash.dropLast(), [15] + hash, [17] + hash + [1], [0]] as [[UInt8]] {
            var method = MD5Method(challenge: challenge)
            _ = method.begin(identifier: 1)
            #expect(method.take(response: bytes[...]) == .failure(.malformed("EAP-MD5 response")))
        }
    }
}

/// With the values of RFC 2759 §9.2.
struct MSCHAPv2MethodTests {
    private let authenticatorChallenge: [UInt8] = [
        0x5B, 0x5D, 0x7C, 0x7D, 0x7B, 0x3F, 0x2F, 0x3E, 0x3C, 0x2C, 0x60, 0x21, 0x32, 0x26, 0x26, 0x28,
    ]
    private let peerChallenge: [UInt8] = [
        0x21, 0x40, 0x23, 0x24, 0x25, 0x5E, 0x26, 0x2A, 0x28, 0x29, 0x5F, 0x3A, 0x33, 0x7C, 0x7E, 0x21,
    ]
    private let ntResponse: [UInt8] = [
        0x82, 0x30, 0x9E, 0xCD, 0x8D, 0x70, 0x8B, 0x5E, 0xA0, 0x8F, 0xAA, 0x39, 0x81, 0xCD, 0x83, 0x54, 0x42, 0x33, 0x11, 0x4A, 0x3D, 0x85,
        0xD6, 0xDF,
    ]
    private let grant = MSCHAPv2Grant(
        success: Array("S=407A5589115FD0D6209F510FE9C04566932CDA56".utf8), receive: EAPSecret([UInt8](repeating: 1, count: 16)),
        send: EAPSecret([UInt8](repeating: 2, count: 16)))

    private func answer(identifier: UInt8 = 7, name: String = "User") -> [UInt8] {
        let value = peerChallenge + [UInt8](repeating: 0, count: 8) + ntResponse + [0]
        return [2, identifier, 0, UInt8(5 + value.count + name.utf8.count), 49] + value + Array(name.utf8)
    }

    private func begun() -> MSCHAPv2Method {
        var method = MSCHAPv2Method(challenge: authenticatorChallenge, server: "sallyport")
        #expect(method.begin(identifier: 7) == .request([1, 7, 0, 30, 16] + authenticatorChallenge + Array("sallyport".utf8)))
        return method
    }

    @Test func rightPasswordIsProvedBothWays() {
        var method = begun()
        let question = EAPQuestion(
            method: "EAP-MSCHAPv2",
            proof: .msCHAPv2(
                challenge: authenticatorChallenge, value: [7, 0] + peerChallenge + [UInt8](repeating: 0, count: 8) + ntResponse,
                name: Array("User".utf8)))
        #expect(method.take(response: answer()[...]) == .ask(question))
        #expect(method.take(verdict: .accept(grant)) == .request([3, 7, 0, 46] + grant.success))
        #expect(method.take(response: [3]) == .success(EAPKeys(receive: grant.receive, send: grant.send)))
    }

    @Test func wrongPasswordIsToldBeforeTheEnd() {
        var method = begun()
        _ = method.take(response: answer()[...])
        let message = "E=691 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=No."
        #expect(
            method.take(verdict: .reject(message: message)) == .request([4, 7, 0, UInt8(4 + message.utf8.count)] + Array(message.utf8)))
        #expect(method.take(response: [4]) == .failure(.rejected))
    }

    @Test func noOtherTryIsTakenBehindARefusal() {
        var method = begun()
        _ = method.take(response: answer()[...])
        _ = method.take(verdict: .reject())
        #expect(method.take(response: answer()[...]) == .failure(.rejected))
    }

    @Test func deviceThatDoesNotBelieveTheServerIsNotLetIn() {
        var method = begun()
        _ = method.take(response: answer()[...])
        _ = method.take(verdict: .accept(grant))
        #expect(method.take(response: [4]) == .failure(.refusedByPeer("the server's proof")))
    }

    // MARK: A new password (RFC 2759 §7)

    private let renewal = [UInt8](repeating: 0xAB, count: 16)
    private let change = (0..<582).map { UInt8(truncatingIfNeeded: $0) }

    private func expired() -> MSCHAPv2Method {
        var method = MSCHAPv2Method(challenge: authenticatorChallenge, renewal: renewal, server: "sallyport")
        _ = method.begin(identifier: 7)
        _ = method.take(response: answer()[...])
        let message = Array("E=648 R=1 C=\(String(repeating: "AB", count: 16)) V=3 M=Change it.".utf8)
        #expect(method.take(verdict: .expired(message: "Change it.")) == .request([4, 7, 0, UInt8(4 + message.count)] + message))
        return method
    }

    private func changePacket(identifier: UInt8 = 8) -> [UInt8] { [7, identifier, 0x02, 0x4A] + change }

    @Test func expiredPasswordIsReplacedByANewOne() {
        for identifier: UInt8 in [7, 8] {
            var method = expired()
            let question = EAPQuestion(
                method: "EAP-MSCHAPv2",
                proof: .newPassword(
                    challenge: renewal, value: [7, identifier] + change[516...], block: Array(change[..<516]), name: Array("User".utf8)))
            #expect(method.take(response: changePacket(identifier: identifier)[...]) == .ask(question))
            #expect(method.take(verdict: .accept(grant)) == .request([3, identifier, 0, 46] + grant.success))
            #expect(method.take(response: [3]) == .success(EAPKeys(receive: grant.receive, send: grant.send)))
        }
    }

    @Test func newPasswordIsAskedForOnce() {
        var method = expired()
        _ = method.take(response: changePacket()[...])
        guard case .request(let packet) = method.take(verdict: .expired(message: "Again.")) else {
            Issue.record("nothing is said")
            return
        }
        #expect(String(decoding: packet.dropFirst(4), as: UTF8.self).hasPrefix("E=691 R=0 "))
        #expect(method.take(response: changePacket()[...]) == .failure(.rejected))
    }

    @Test func nobodyIsAskedForANewPasswordWhereNoneIsTaken() {
        var method = begun()
        _ = method.take(response: answer()[...])
        guard case .request(let packet) = method.take(verdict: .expired(message: "Change it.")) else {
            Issue.record("nothing is said")
            return
        }
        #expect(String(decoding: packet.dropFirst(4), as: UTF8.self).hasPrefix("E=691 R=0 "))
    }

    @Test func newPasswordComesBehindTheRequestForOneAlone() {
        var unasked = begun()
        #expect(unasked.take(response: changePacket()[...]) == .failure(.malformed("order of EAP-MSCHAPv2 packets")))
        var refused = begun()
        _ = refused.take(response: answer()[...])
        _ = refused.take(verdict: .reject())
        #expect(refused.take(response: changePacket()[...]) == .failure(.rejected))
        var without = expired()
        #expect(without.take(response: [4]) == .failure(.rejected))
        var another = expired()
        #expect(another.take(response: changePacket(identifier: 9)[...]) == .ignore)
        for wrong in [Array(changePacket().dropLast()), [7], [7, 8, 0, 4]]
            + [(2, 0x03), (3, 0x49)].map({ place, value in
                var bytes = changePacket()
                bytes[place] = UInt8(value)
                return bytes
            })
        {
            var method = expired()
            #expect(method.take(response: wrong[...]) == .failure(.malformed("EAP-MSCHAPv2 change of password")))
        }
    }

    @Test func acceptWithoutProofFails() {
        var method = begun()
        _ = method.take(response: answer()[...])
        #expect(
            method.take(verdict: .accept()) == .failure(.unsupported("EAP-MSCHAPv2 without what the server proves itself by")))
    }

    @Test func nothingIsSkipped() {
        for bytes in [[3], [4], answer()] as [[UInt8]] {
            var unasked = begun()
            guard bytes.count == 1 else { continue }
            #expect(unasked.take(response: bytes[...]) == .failure(.malformed("order of EAP-MSCHAPv2 packets")))
        }
        var proven = begun()
        _ = proven.take(response: answer()[...])
        _ = proven.take(verdict: .accept(grant))
        #expect(proven.take(response: answer()[...]) == .failure(.malformed("order of EAP-MSCHAPv2 packets")))
    }

    @Test func answerToAnotherChallengeIsIgnored() {
        var method = begun()
        #expect(method.take(response: answer(identifier: 8)[...]) == .ignore)
        guard case .ask = method.take(response: answer()[...]) else {
            Issue.record("nothing is asked")
            return
        }
    }

    @Test func malformedPacketsAreRefused() {
        let right = answer(name: "")
        var wrong: [[UInt8]] = [[], [0], [5], [8], [255, 7], [2], [2, 7, 0, 54], Array(right.dropLast())]
        for (place, value) in [(2, 1), (3, 55), (3, 53), (3, 0), (4, 48), (4, 50), (4, 0)] as [(Int, UInt8)] {
            var bytes = right
            bytes[place] = value
            wrong.append(bytes)
        }
        for bytes in wrong {
            var method = begun()
            guard case .failure(.malformed) = method.take(response: bytes[...]) else {
                Issue.record("\(bytes) was taken")
                continue
            }
        }
        var method = begun()
        guard case .ask = method.take(response: right[...]) else {
            Issue.record("nothing is asked")
            return
        }
        // What stands behind the length is no part of the name.
        var padded = begun()
        guard case .ask(let question) = padded.take(response: (answer() + [0, 0])[...]), case .msCHAPv2(_, _, let name) = question.proof
        else {
            Issue.record("nothing is asked")
            return
        }
        #expect(name == Array("User".utf8))
    }
}
