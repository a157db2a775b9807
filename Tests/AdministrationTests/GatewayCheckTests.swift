// SPDX-License-Identifier: Apache-2.0
// What a gateway does beside what its client is set to: the finding, and the remedy in the product's words.

import LoginEngine
import Testing

@testable import Administration

@Suite struct GatewayCheckTests {
    private func findings(
        _ profile: ClientProfile = .generic, accounting: String? = "1813", settings change: (inout ClientSettings) -> Void = { _ in },
        learn: (inout GatewayHabits) -> Void
    ) -> [Finding] {
        var settings = ClientSettings(name: "edge", addresses: [AddressRange("192.0.2.7")!], secret: Secret(utf8: "0mEq7-long-and-odd"))
        profile.shape(&settings)
        change(&settings)
        var habits = GatewayHabits(since: Timestamp(seconds: 0))
        habits.requests = 10
        learn(&habits)
        return GatewayCheck.findings([Client(id: 1, settings: settings)], accountingPort: accounting) { _ in habits }
    }

    private func profile(_ name: String) throws -> ClientProfile { try #require(ClientProfile.named(name)) }

    private func retries(_ interval: Timestamp.Span, tries: Int?, most: Int = 2, _ repeated: Int = 3) -> (inout GatewayHabits) -> Void {
        {
            $0.retries.interval = interval
            $0.retries.tries = tries
            $0.retries.most = most
            $0.retries.repeated = repeated
        }
    }

    @Test func whatWorksAsSetIsRightAndWhatNeverAskedSaysNothing() {
        #expect(findings(learn: retries(.seconds(5), tries: 3)).map(\.kind) == [.gatewaysRight])
        #expect(findings { $0.requests = 0 }.isEmpty)
        #expect(findings(settings: { $0.isEnabled = false }, learn: retries(.seconds(1), tries: 1)).isEmpty)
        #expect(GatewayCheck.findings([], accountingPort: nil) { _ in nil }.isEmpty)
    }

    @Test func devicesThatWantAnotherMethodAreNamed() {
        let findings = findings(settings: { $0.eap = [.msCHAPv2, .gtc] }, learn: { $0.eapWanted = [25: 3, 13: 4, 21: 2, 6: 9, 99: 3] })
        #expect(findings.map(\.kind) == [.gatewayProtocol, .gatewayProtocol, .gatewayProtocol])
        #expect(findings[0].text.contains("4 times for EAP-TLS"))
        #expect(
            findings[0].remedy
                == "Set the devices to EAP-MSCHAPv2 or EAP-GTC; or offer it: sallyport client set edge --eap mschapv2,gtc,tls")
        #expect(findings[1].text.contains("3 times for PEAP"))
        #expect(
            findings[1].remedy
                == "Set the devices to EAP-MSCHAPv2 or EAP-GTC; or offer it: sallyport client set edge --eap mschapv2,gtc,peap")
        #expect(findings[2].text.contains("EAP type 99"))
    }

    /// It was told to append, and is sent no challenge any more: what was counted is of before.
    @Test func whatIsSetAlreadyIsNotRecommended() {
        let learn: (inout GatewayHabits) -> Void = { $0.challenges = 9 }
        #expect(findings(settings: { $0.asking = .challenge }, learn: learn).map(\.kind) == [.gatewayShowsNoChallenge])
        #expect(findings(settings: { $0.asking = .append }, learn: learn).map(\.kind) == [.gatewaysRight])
    }

    // MARK: Retries

    @Test func aGatewayThatGivesUpEarlyIsToldInItsOwnWords() throws {
        let findings = findings(try profile("fortigate"), learn: retries(.seconds(5), tries: 2))
        #expect(findings.map(\.kind) == [.gatewayGivesUpEarly] && findings[0].severity == .warning)
        #expect(findings[0].text.contains("asks again after 5 seconds, 2 in all; 10 seconds and 3 in all are set"))
        #expect(
            findings[0].remedy
                == "At the gateway: set timeout 10 under config user radius, and set remoteauthtimeout 30 under config system global; or here: "
                + "sallyport client set edge --retry-timeout 5 --retry-tries 2")
        let asa = try self.findings(profile("cisco-asa"), learn: retries(.seconds(2), tries: 2))
        #expect(asa[0].remedy?.contains("retry-interval 10 and timeout 30 under aaa-server SALLYPORT (inside) host") == true)
        let swan = try self.findings(profile("strongswan"), learn: retries(.seconds(2), tries: nil))
        #expect(swan[0].remedy?.contains("retransmit_timeout = 5, retransmit_tries = 3 and retransmit_base = 1.0") == true)
    }

    /// 300 ms is MikroTik's default, and no time-out that can be set here.
    @Test func aTimeOutBelowASecondIsOnlyToBeChangedThere() throws {
        let findings = try findings(profile("mikrotik"), learn: retries(.milliseconds(300), tries: 3))
        #expect(findings[0].kind == .gatewayGivesUpEarly && findings[0].text.contains("after 0.3 seconds"))
        #expect(findings[0].remedy == "At the gateway: /radius, the entry of this server: timeout=3s; it sends 3 times")
    }

    @Test func aGatewayThatWaitsLongerIsANote() {
        let findings = findings(learn: retries(.seconds(10), tries: 3))
        #expect(findings.map(\.kind) == [.gatewaysRight, .gatewayWaitsLonger])
        #expect(findings[1].remedy?.contains("sallyport client set edge --retry-timeout 10 --retry-tries 3") == true)
        // More tries than are set, though it was never seen to stop.
        #expect(self.findings(learn: retries(.seconds(5), tries: nil, most: 5)).last?.kind == .gatewayWaitsLonger)
        // It never asked again, in a time in which it should have.
        #expect(self.findings { $0.retries.patience = .seconds(12) }.last?.kind == .gatewayWaitsLonger)
        #expect(self.findings { $0.retries.patience = .milliseconds(7_500) }.map(\.kind) == [.gatewaysRight])
    }

    @Test(arguments: [(2, 5_000), (3, 5_499), (3, 4_501)]) func whatIsNotSureOrNearEnoughIsNotTold(repeated: Int, interval: Int64) {
        let tries = repeated == 2 ? 1 : 3
        #expect(findings(learn: retries(.milliseconds(interval), tries: tries, repeated)).map(\.kind) == [.gatewaysRight])
    }

    @Test func otherStepsToTheSameTimeAreNoFinding() {
        #expect(findings(settings: { $0.retryTimeout = 10 }, learn: retries(.seconds(15), tries: 2)).map(\.kind) == [.gatewaysRight])
    }

    @Test func newPacketsForARetryAskForRejoin() {
        let learn: (inout GatewayHabits) -> Void = { $0.retries.renewed = 3 }
        #expect(findings(learn: learn).last?.remedy == "sallyport client set edge --rejoin on")
        #expect(findings(settings: { $0.rejoin = true }, learn: learn).map(\.kind) == [.gatewaysRight])
        #expect(findings { $0.retries.renewed = 2 }.map(\.kind) == [.gatewaysRight])
    }

    // MARK: Packets

    @Test func unsignedLoginsNameTheUpdate() throws {
        let findings = try findings(profile("windows-rras")) {
            $0.unsigned = 2
            $0.accepts = 4
            $0.records = 1
        }
        #expect(findings.map(\.kind) == [.gatewayUnsigned] && findings[0].severity == .warning)
        #expect(findings[0].text.hasPrefix("2 of 4 accepted logins of client edge came without Message-Authenticator"))
        #expect(findings[0].remedy == "At the gateway: RADIUS Authentication > Configure > the server: Always use message authenticator on")
    }

    @Test func whatAlwaysSignsNeedsNothingAllowed() {
        func kinds(_ requests: Int, _ rule: MessageAuthenticatorRule) -> [Finding.Kind] {
            findings(settings: { $0.messageAuthenticator = rule }, learn: { $0.requests = requests }).map(\.kind)
        }
        #expect(kinds(20, .allow) == [.gatewaysRight, .gatewaySigns])
        #expect(kinds(19, .allow) == [.gatewaysRight])
        #expect(kinds(20, .auto) == [.gatewaysRight])
    }

    @Test func challengesThatNobodyAnswersMeanThatNoneIsShown() throws {
        let learn: (inout GatewayHabits) -> Void = { $0.challenges = 5 }
        let findings = try findings(profile("ivanti"), learn: learn)
        #expect(findings.map(\.kind) == [.gatewayShowsNoChallenge])
        #expect(
            findings[0].remedy
                == "At the gateway: Custom Radius Rules > New: Access Challenge, show Generic Login page; or here: sallyport client set edge "
                + "--ask append+challenge, and users type password,123456")
        #expect(self.findings { $0.challenges = 4 }.map(\.kind) == [.gatewaysRight])
        #expect(
            self.findings {
                $0.challenges = 50
                $0.answers = 1
            }.map(\.kind) == [.gatewaysRight])
        let either = self.findings(
            settings: {
                $0.asking = .appendOrChallenge
                $0.separator = "+"
            }, learn: learn)
        #expect(either[0].remedy?.hasSuffix("--ask append, and users type password+123456") == true)
        // Strangers get challenges there too, and do not answer them.
        #expect(self.findings(settings: { $0.concealFactor = true }, learn: learn).map(\.kind) == [.gatewaysRight])
    }

    @Test func aProtocolThatMayNotBeUsedIsNamed() throws {
        let findings = try findings(profile("fortigate")) {
            $0.msCHAPv2 = 3
            $0.chap = 2
        }
        #expect(findings.map(\.kind) == [.gatewayProtocol])
        #expect(findings[0].text.contains("3 requests of client edge came by MS-CHAPv2, which it may not use"))
        #expect(
            findings[0].remedy
                == "At the gateway: set auth-type pap under config user radius; or here: sallyport client set edge --protocol pap "
                + "--protocol ms-chap-v2")
        #expect(self.findings(.awsDirectory) { $0.msCHAPv2 = 3 }.map(\.kind) == [.gatewaysRight])
        #expect(self.findings { $0.eap = 3 }.map(\.kind) == [.gatewayProtocol])
        #expect(
            self.findings(settings: { $0.schemes = .one(.chap) }, learn: { _ in })[0].remedy
                == "sallyport client set edge --protocol chap --protocol pap")
    }

    @Test func aCharacterSetThatDoesNotFitIsNamed() {
        func kinds(_ charset: Charset, utf8: Int, other: Int) -> [Finding.Kind] {
            findings(
                settings: { $0.charset = charset },
                learn: {
                    $0.textsUTF8 = utf8
                    $0.textsNotUTF8 = other
                }
            ).map(\.kind)
        }
        #expect(kinds(.utf8, utf8: 9, other: 3) == [.gatewayCharset])
        #expect(kinds(.utf8, utf8: 9, other: 2) == [.gatewaysRight])
        #expect(kinds(.latin1, utf8: 3, other: 9) == [.gatewayCharset])
        #expect(kinds(.auto, utf8: 9, other: 9) == [.gatewaysRight])
    }

    @Test func whatIsNeverSentIsANote() throws {
        let findings = try findings(profile("citrix")) {
            $0.requests = 20
            $0.withoutStation = 20
            $0.accepts = 5
        }
        #expect(findings.map(\.kind) == [.gatewaysRight, .gatewayNamesNoDevice, .gatewaySendsNoAccounting])
        #expect(findings[1].remedy?.contains("-callingstationid ENABLED") == true)
        #expect(findings[2].remedy?.contains("-accounting ON") == true)
        func kinds(_ name: String, accounting: String?, _ learn: (inout GatewayHabits) -> Void) throws -> [Finding.Kind] {
            try self.findings(profile(name), accounting: accounting, learn: learn).map(\.kind)
        }
        #expect(try kinds("citrix", accounting: nil) { $0.accepts = 5 } == [.gatewaysRight])
        #expect(try kinds("pam_radius", accounting: "1813") { $0.accepts = 5 } == [.gatewaysRight], "it reports no sessions")
        #expect(
            try kinds("citrix", accounting: "1813") {
                $0.accepts = 5
                $0.records = 1
            } == [.gatewaysRight])
        #expect(try kinds("citrix", accounting: nil) { ($0.requests, $0.withoutStation) = (20, 19) } == [.gatewaysRight])
    }

    @Test func theClientShowsWhatWasSeen() async throws {
        let office = try Office()
        try await office.perform(office.client())
        #expect(try await office.perform(ShowClient(name: "office")).seen == nil)
        var habits = GatewayHabits(since: Office.start)
        #expect(ClientView.Seen(habits) == nil)
        habits.requests = 3
        habits.chap = 1
        habits.retries.interval = .milliseconds(2_750)
        let seen = try #require(ClientView.Seen(habits))
        #expect(seen.protocols == ["pap", "chap"] && seen.retryTimeout == 2.75 && seen.retryTries == nil)
    }
}
