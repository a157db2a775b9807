// SPDX-License-Identifier: Apache-2.0
// The machine as transcripts: what comes, what goes.

import EAP
import Testing

/// Sixteen bytes that are easy to see.
let challenge = [UInt8](0x10...0x1f)

func response(_ identifier: UInt8, _ type: EAPType, _ data: [UInt8] = []) -> ArraySlice<UInt8> {
    EAPPacket(.response, identifier: identifier, type: type, data: data).bytes[...]
}

func request(_ identifier: UInt8, _ type: EAPType, _ data: [UInt8] = []) -> EAPAuthenticator.Step {
    .send(EAPPacket(.request, identifier: identifier, type: type, data: data).bytes)
}

func failure(_ identifier: UInt8, _ reason: EAPFailureReason) -> EAPAuthenticator.Step {
    .failure(EAPPacket(.failure, identifier: identifier).bytes, reason)
}

let prompt = Array("Password: ".utf8)

struct EAPAuthenticatorTests {
    private func authenticator(_ methods: [any EAPMethod]? = nil, limits: EAPLimits = EAPLimits()) -> EAPAuthenticator {
        EAPAuthenticator(
            methods: methods ?? [MSCHAPv2Method(challenge: challenge, server: "gw"), GTCMethod(), MD5Method(challenge: challenge)],
            limits: limits)
    }

    private let mschapChallenge: [UInt8] = [1, 6, 0, 23, 16] + challenge + Array("gw".utf8)

    @Test func gatewayHasAskedForTheIdentity() {
        var machine = authenticator()
        #expect(machine.take(response(5, .identity, Array("alice".utf8))) == request(6, .msCHAPv2, mschapChallenge))
        #expect(machine.identity == Array("alice".utf8))
        #expect(machine.state == .idle)
        #expect(machine.methodType == .msCHAPv2 && !machine.hasMethod)
    }

    @Test func serverAsksForTheIdentity() {
        var machine = authenticator([GTCMethod()])
        #expect(machine.start(identifier: 9) == request(9, .identity))
        #expect(machine.start(identifier: 9) == .discard)
        #expect(machine.take(response(9, .identity, Array("bob".utf8))) == request(10, .genericTokenCard, prompt))
    }

    @Test func identifiersCountOnBeyondTheLast() {
        var machine = authenticator([GTCMethod()])
        #expect(machine.take(response(255, .identity)) == request(0, .genericTokenCard, prompt))
    }

    @Test func peerChoosesByNak() {
        var machine = authenticator()
        _ = machine.take(response(0, .identity))
        // It wants what was not offered, MD5, then GTC: the server's order decides.
        #expect(machine.take(response(1, .nak, [13, 4, 6])) == request(2, .genericTokenCard, prompt))
        #expect(machine.take(response(2, .nak, [4])) == request(3, .md5Challenge, [16] + challenge))
        #expect(machine.take(response(3, .nak, [26])) == failure(3, .noCommonMethod(wanted: [.msCHAPv2])))
        #expect(machine.state == .failure)
        #expect(machine.take(response(3, .md5Challenge)) == .discard)
    }

    @Test(arguments: [([], []), ([0], []), ([13, 21], [.tls, .ttls]), ([254], [.expanded])] as [([UInt8], [EAPType])])
    func nakForNothingThatIsThereFails(_ wanted: [UInt8], _ types: [EAPType]) {
        var machine = authenticator()
        _ = machine.take(response(0, .identity))
        #expect(machine.take(response(1, .nak, wanted)) == failure(1, .noCommonMethod(wanted: types)))
    }

    @Test func methodIsNotChangedOnceItIsAgreedTo() {
        var machine = authenticator([GTCMethod(), MSCHAPv2Method(challenge: challenge, server: "gw")])
        _ = machine.take(response(0, .identity))
        guard case .ask = machine.take(response(1, .genericTokenCard, Array("sesame".utf8))) else {
            Issue.record("nothing is asked")
            return
        }
        #expect(machine.take(verdict: .challenge(prompt: "Code: ")) == request(2, .genericTokenCard, Array("Code: ".utf8)))
        // RFC 3748 §5.3.1: Nak is no answer any more, and another method none either.
        #expect(machine.take(response(2, .nak, [26])) == .discard)
        #expect(machine.take(response(2, .msCHAPv2, [3])) == .discard)
        #expect(machine.lastRequest == EAPPacket(.request, identifier: 2, type: .genericTokenCard, data: Array("Code: ".utf8)).bytes)
        guard case .ask = machine.take(response(2, .genericTokenCard, Array("123456".utf8))) else {
            Issue.record("nothing is asked")
            return
        }
        #expect(machine.take(verdict: .accept()) == .success([3, 2, 0, 4], nil))
        #expect(machine.state == .success)
    }

    @Test func otherIdentifiersAndOtherCodesAreDiscarded() {
        var machine = authenticator([GTCMethod()])
        _ = machine.take(response(0, .identity))
        #expect(machine.take(response(0, .genericTokenCard, [1])) == .discard)
        #expect(machine.take(response(2, .genericTokenCard, [1])) == .discard)
        #expect(machine.take(EAPPacket(.request, identifier: 1, type: .genericTokenCard).bytes[...]) == .discard)
        #expect(machine.take(EAPPacket(.success, identifier: 1).bytes[...]) == .discard)
        #expect(machine.take([2, 1, 0, 9, 6]) == .discard)
        guard case .ask = machine.take(response(1, .genericTokenCard, [1])) else {
            Issue.record("nothing is asked")
            return
        }
    }

    @Test func nothingIsTakenWhileTheApplicationJudges() {
        var machine = authenticator([GTCMethod()])
        _ = machine.take(response(0, .identity))
        _ = machine.take(response(1, .genericTokenCard, [1]))
        #expect(machine.state == .methodResponse)
        #expect(machine.take(response(1, .genericTokenCard, [2])) == .discard)
        #expect(machine.state == .methodResponse)
        #expect(machine.take(verdict: .reject()) == failure(1, .rejected))
        #expect(machine.take(verdict: .accept()) == .discard)
    }

    @Test func verdictThatNobodyAskedForIsNothing() {
        var machine = authenticator([GTCMethod()])
        #expect(machine.take(verdict: .accept()) == .discard)
        _ = machine.take(response(0, .identity))
        #expect(machine.take(verdict: .accept()) == .discard)
        #expect(machine.state == .idle)
    }

    @Test func conversationBeginsWithAnIdentity() {
        var machine = authenticator()
        #expect(machine.take(response(3, .nak, [4])) == failure(3, .unexpectedType(.nak)))
        var other = authenticator()
        #expect(other.take([1, 2, 3]) == failure(0, .malformed("EAP packet")))
    }

    @Test func identitiesAreBounded() {
        var longest = authenticator([GTCMethod()])
        #expect(longest.take(response(0, .identity, [UInt8](repeating: 65, count: 253))) == request(1, .genericTokenCard, prompt))
        var longer = authenticator([GTCMethod()])
        #expect(longer.take(response(0, .identity, [UInt8](repeating: 65, count: 254))) == failure(0, .malformed("identity of 254 bytes")))
    }

    @Test func roundsAndDiscardedPacketsAreBounded() {
        var limits = EAPLimits()
        limits.rounds = 4
        limits.discarded = 2
        var discarding = authenticator([GTCMethod()], limits: limits)
        _ = discarding.take(response(0, .identity))
        #expect(discarding.take(response(7, .genericTokenCard)) == .discard)
        #expect(discarding.take(response(7, .genericTokenCard)) == .discard)
        #expect(discarding.take(response(7, .genericTokenCard)) == failure(1, .tooManyRounds))
        var asking = authenticator([GTCMethod()], limits: limits)
        _ = asking.take(response(0, .identity))
        for round in 1...3 as ClosedRange<UInt8> {
            _ = asking.take(response(round, .genericTokenCard))
            #expect(asking.take(verdict: .challenge(prompt: "?")) == request(round + 1, .genericTokenCard, [63]))
        }
        #expect(asking.take(response(4, .genericTokenCard)) == failure(4, .tooManyRounds))
    }

    @Test func nothingToOfferFails() {
        var machine = authenticator([])
        #expect(machine.take(response(0, .identity)) == failure(0, .noCommonMethod(wanted: [])))
    }
}
