// SPDX-License-Identifier: Apache-2.0
// The story of a login, word for word; and every reason has its sentence.

import Administration
import Foundation
import LoginEngine
import Store
import Testing

@Suite struct LoginStoryTests {
    private let id = LoginID(Bits128(high: 0x3C2A_9D11_55AA_0F0F, low: 42))
    private let other = LoginID(Bits128(high: 0xFFFF_0000_55AA_0F0F, low: 7))
    /// 2026-11-21T12:03:11Z
    private let noon = Timestamp(seconds: 1_795_262_591)

    private func event(
        _ kind: EventKind, after milliseconds: Int64 = 0, reason: RejectReason? = nil, name: String? = "alice",
        _ details: KeyValuePairs<String, String>
    ) -> Event {
        var event = Event(kind, at: noon + .milliseconds(milliseconds), login: id, user: 1, client: 1, reason: reason?.rawValue)
        event.source = NetworkAddress("192.0.2.7")
        event.details = [Event.Detail("client", "office")] + details.map { Event.Detail($0.key, $0.value) }
        var fields: [PersonalFields.Field] = []
        if let name { fields.append(PersonalFields.Field("name", name)) }
        fields.append(PersonalFields.Field("station", "203.0.113.9"))
        event.subject = PersonalFields(fields)
        return event
    }

    private func text(_ story: LoginStory?) -> String {
        guard let story else { return "no story" }
        return (story.lines.map { "\($0.clock) \($0.text)" } + ["= \(story.outcome)", "> \(story.next)"]).joined(separator: "\n")
    }

    @Test func challengeAndAccept() {
        let story = LoginStory.tell([
            event(.loginChallenged, after: 31, ["steps": "+28 password-right; +31 asked"]),
            event(.loginAccepted, after: 9400, ["factor": "totp"]),
        ])
        #expect(
            text(story) == """
                12:03:11.000 alice asks to log in at office (192.0.2.7), from 203.0.113.9.
                12:03:11.028 The password was right.
                12:03:11.031 The second factor is still owed: the user is asked for it.
                12:03:20.400 The answer of alice arrives.
                12:03:20.400 Accepted with a code of the authenticator (totp). The code is used up.
                = accepted
                > Nothing to do. If the user still has no connection, look at the gateway: it was told to let alice in.
                """)
    }

    /// A password that lives elsewhere is changed there, and nobody is told to strip what is stripped.
    @Test func whatToDoFitsWhereThePasswordIsAndWhatTheNameWas() {
        let wrong = LoginStory.tell(
            [event(.loginRejected, reason: .wrongPassword, name: "alice@corp.example", ["directory": "nps (client)"])],
            facts: StoryFacts(userName: "alice"))
        #expect(wrong?.next.contains("Directory nps says so, and it is changed there") == true)
        #expect(wrong?.next.contains("user set") == false && wrong?.next.contains("Let alice type") == true)
        let expired = LoginStory.tell([event(.loginRejected, reason: .passwordExpired, ["directory": "nps (client)"])])
        #expect(expired?.next == "It is changed at directory nps, not here: let alice do so, then log in again.")
        let here = LoginStory.tell(
            [event(.loginRejected, reason: .wrongPassword, name: "alice@corp.example", [:])], facts: StoryFacts(userName: "alice"))
        #expect(here?.next.contains("sallyport user set alice --password-stdin") == true)
        func unknown(_ name: String, _ stripping: NameStripping) -> String {
            let story = LoginStory.tell(
                [event(.loginRejected, reason: .unknownUser, name: name, [:])], facts: StoryFacts(stripping: stripping))
            return story?.next ?? ""
        }
        #expect(unknown("bob@corp.example", .none).contains("--strip both"))
        #expect(!unknown("bob", .none).contains("--strip"))
        #expect(unknown("bob@corp.example", .realm).contains("sallyport user explain bob@corp.example --client office"))
        #expect(!unknown("bob@corp.example", .realm).contains("--strip"))
    }

    @Test func usedCodeNamesTheLoginThatUsedIt() throws {
        let zone = try #require(TimeZone(identifier: "Europe/Berlin"))
        let story = LoginStory.tell(
            [event(.loginRejected, reason: .codeAlreadyUsed, ["steps": "+0 password-right", "factor": "totp"])],
            facts: StoryFacts(earlierUse: (other.description, noon - .seconds(14))), zone: zone)
        #expect(
            text(story) == """
                13:03:11.000 alice asks to log in at office (192.0.2.7), from 203.0.113.9.
                13:03:11.000 The password was right.
                13:03:11.000 Refused: The code was used already at 13:02:57 by login \(other.description.prefix(8))….
                = refused
                > Let alice wait for the next code. If it was not used by the same person, somebody watched it being typed.
                """)
    }

    @Test func codeThatARestoreUsedUpIsBlamedOnNobody() async throws {
        let office = try Office()
        var accepted = event(.loginAccepted, ["factor": "totp"])
        accepted.login = other
        try await office.records.append(accepted)
        try await office.records.append(Event(.restored, at: noon + .seconds(20)))
        try await office.records.append(Event(.nodeStarted, at: noon + .seconds(25)))
        try await office.records.append(
            event(.loginRejected, after: 40_000, reason: .codeAlreadyUsed, ["steps": "+0 password-right", "factor": "totp"]))
        let story = try await office.perform(TraceLogin(login: id.description))
        #expect(
            story.lines.last?.text
                == "Refused: The data were restored from a backup, and codes of that time (12:03:36) count as used, since nobody knows which were."
        )
        #expect(story.next == "Let alice wait for the next code but one; a minute behind the start codes are taken again.")
        #expect(!text(story).contains(other.description.prefix(8)) && !text(story).contains("watched"))
    }

    @Test func anAcceptThatCameBeforeIsNotSaidToHaveUsedTheCode() async throws {
        let office = try Office()
        var accepted = event(.loginAccepted, ["factor": "totp"])
        accepted.login = other
        try await office.records.append(accepted)
        try await office.records.append(event(.loginRejected, after: 9000, reason: .codeAlreadyUsed, ["factor": "totp"]))
        let unnamed = try await office.perform(TraceLogin(login: id.description))
        #expect(unnamed.lines.last?.text == "Refused: The code, or one behind it, was used already.")
    }

    @Test func openLoginNamesTheGatewayThatShowsNoChallenge() {
        let story = LoginStory.tell([event(.loginChallenged, after: 2, ["steps": "+2 asked"])])
        #expect(story?.outcome == "open")
        #expect(story?.next.contains("sallyport client set office --ask append") == true)
    }

    @Test func erasedNameIsNotInvented() {
        let story = LoginStory.tell([event(.loginRejected, reason: .wrongPassword, name: nil, ["steps": "+3 password-wrong"])])
        #expect(story?.lines.first?.text == "Somebody whose name was erased asks to log in at office (192.0.2.7), from 203.0.113.9.")
        #expect(story?.next.contains("`sallyport user set NAME --password-stdin`") == true)
    }

    @Test func stepsThatNobodyForesawAreStillTold() {
        let story = LoginStory.tell([
            event(.loginRejected, after: 5, reason: .factorFailed, ["steps": "+1 waiting; +4 failed: no network; +5 some-new-word"])
        ])
        #expect(
            story?.lines.map(\.text).dropFirst() == [
                "The user was asked on the phone, and the gateway waits.", "The factor could not be asked: no network.", "Some new word.",
                "Refused: The phone could not be asked.",
            ])
    }

    @Test func nothingTellsNoStory() {
        #expect(LoginStory.tell([]) == nil)
    }

    @Test func traceTakesABeginning() async throws {
        let office = try Office()
        try await office.records.append(event(.loginRejected, reason: .wrongCode, ["steps": "+3 password-right"]))
        var second = event(.loginAccepted, [:])
        second.login = LoginID(Bits128(high: 0x3C2A_9D11_0000_0000, low: 1))
        try await office.records.append(second)
        let story = try await office.perform(TraceLogin(login: String(id.description.prefix(9))))
        #expect(story.login == id.description)
        #expect(story.reason == "wrong-code")
        let refusal = await office.refusal(of: TraceLogin(login: "7"))
        #expect(refusal.hasPrefix("2 logins begin with `7`. Give more of it: `"))
        #expect(await office.kind(of: TraceLogin(login: "zzzz")) == .missing)
        #expect(await office.kind(of: TraceLogin(login: "u!")) == .invalid)
    }

    @Test func everyReasonStandsInTheHelpDeskPage() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/help-desk/messages.md")
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: page.deletingLastPathComponent(), withIntermediateDirectories: true)
            try ReasonSentences.page.write(to: page, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: page, encoding: .utf8) == ReasonSentences.page, "`make golden` rewrites it; read the difference")
    }

    @Test func nobodyHasNoWrongPassword() throws {
        var event = Event(.loginRejected, at: Timestamp(seconds: 1_795_262_591), login: id, reason: "unknown-user")
        event.details = [Event.Detail("steps", "+20 password-wrong")]
        event.subject = PersonalFields([PersonalFields.Field("name", "mallory")])
        #expect(LoginStory.tell([event])?.lines.contains { $0.text == "The password was wrong." } == false)
        event.user = 1
        #expect(LoginStory.tell([event])?.lines.contains { $0.text == "The password was wrong." } == true)
    }
}
