// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct PinRuleTests {
    private let source = ClientPin(client: 1, address: address("192.0.2.7"))

    private func note(_ rule: Rule, _ seconds: Int64, _ has: Bool = true) -> Bool {
        rule.note(source, hasMessageAuthenticator: has, at: uptime(seconds))
    }

    @Test func twentyRequestsOverAnHourPin() {
        let rule = Rule()
        for number in 0..<19 { #expect(!note(rule, Int64(number) * 60)) }
        #expect(!note(rule, 3599))
        #expect(note(rule, 3600))
    }

    @Test func aThousandWithinAnHourDoNotPin() {
        let rule = Rule()
        for number in 0..<1000 { #expect(!note(rule, Int64(number) * 3599 / 999)) }
    }

    @Test func nineteenOverADayDoNotPinAndTheTwentiethDoes() {
        let rule = Rule()
        for number in 0..<19 { #expect(!note(rule, Int64(number) * 4000)) }
        #expect(note(rule, 90_000))
    }

    @Test func moreThanOneInTwentyWithoutStartsTheHourAnew() {
        let rule = Rule()
        for number in 0..<19 { #expect(!note(rule, Int64(number) * 300)) }
        for _ in 0..<2 { #expect(!note(rule, 5_600, false)) }
        #expect(!note(rule, 5_700))
        for number in 0..<19 { #expect(!note(rule, 6001 + Int64(number) * 300)) }
        #expect(note(rule, 6001 + 19 * 300))
    }

    /// Whoever forges a packet now and then must not keep a source unpinned for ever.
    @Test func aForgedOneAmongManyHindersNothingAndPinsNothing() {
        let rule = Rule()
        #expect(!note(rule, 0, false))
        for number in 0..<19 { #expect(!note(rule, Int64(number) * 300)) }
        #expect(!note(rule, 5_600, false))
        #expect(note(rule, 5_700))
    }

    @Test func sourcesAreCountedApart() {
        let rule = Rule()
        let other = ClientPin(client: 1, address: address("192.0.2.8"))
        for number in 0..<19 {
            #expect(!note(rule, Int64(number) * 300))
            #expect(!rule.note(other, hasMessageAuthenticator: number % 2 == 0, at: uptime(Int64(number) * 300)))
        }
        #expect(!rule.note(other, hasMessageAuthenticator: true, at: uptime(19 * 300)))
        #expect(note(rule, 19 * 300))
    }

    @Test func aPinThatWasNotStoredIsReportedAgain() {
        let rule = Rule()
        let reports = (0..<60).filter { note(rule, Int64($0) * 300) }
        // 20 requests, 5 minutes apart, span 95 minutes; after a report 20 more are needed.
        #expect(reports == [19, 39, 59])
    }

    @Test func hundredThousandSourcesAreBoundedAndOldOnesMakeRoom() {
        let rule = Rule(capacity: 100)
        for number in 0..<100_000 {
            _ = rule.note(
                ClientPin(client: 1, address: NetworkAddress(v4: UInt32(number))), hasMessageAuthenticator: true, at: uptime(0))
        }
        #expect(rule.count == 100)
        #expect(!note(rule, 3600))
        #expect(rule.count == 100)
        #expect(!note(rule, 90_000))
        #expect(rule.count == 1)
    }

    // MARK: What counts

    @Test func signedAndUnsignedAccessRequestsCount() throws {
        let entry = try entry(client())
        #expect(PacketCheck(try packet(request()), of: entry, from: source.address).countsForPin == true)
        #expect(PacketCheck(try packet(request(signed: false)), of: entry, from: source.address).countsForPin == false)
    }

    @Test func statusServerEAPTestClientAndWrongSecretDoNotCount() throws {
        let entry = try entry(client())
        let none = [
            request(.statusServer) { _ in },
            request {
                $0.addText(.userName, "alice")
                $0.add(.eapMessage, [2, 1, 0, 5, 1])
            },
            request {
                $0.login()
                $0.addText(.nasIdentifier, "sallyport-login")
            },
            request(secret: RADIUS.SharedSecret("another")!),
        ]
        for bytes in none { #expect(PacketCheck(try packet(bytes), of: entry, from: source.address).countsForPin == nil) }
    }

    @Test(arguments: [MessageAuthenticatorRule.require, .allow])
    func onlyAutoCounts(rule: MessageAuthenticatorRule) throws {
        #expect(PacketCheck(try packet(request()), of: try entry(client(rule: rule)), from: source.address).countsForPin == nil)
    }

    @Test func pinnedSourceDoesNotCountAnyMore() throws {
        let entry = try entry(client(), pins: [source])
        #expect(PacketCheck(try packet(request()), of: entry, from: source.address).countsForPin == nil)
    }
}

/// `#expect` cannot call what mutates a value.
private final class Rule {
    private var rule: PinRule

    init(capacity: Int = 4096) {
        rule = PinRule(capacity: capacity)
    }

    var count: Int { rule.count }

    func note(_ source: ClientPin, hasMessageAuthenticator: Bool, at now: Timestamp) -> Bool {
        rule.note(source, hasMessageAuthenticator: hasMessageAuthenticator, at: now)
    }
}
