// SPDX-License-Identifier: Apache-2.0
// Finding the login that a few characters name, and telling its story.

internal import Foundation
internal import LoginEngine
internal import Store

package struct TraceLogin: AdminOperation {
    package static let verb = "trace"
    /// 26 characters, or any beginning that only one login has.
    package var login: String
    /// The zone in which times are told, such as `Europe/Berlin`; nil is UTC.
    package var timeZone: String?

    package typealias Answer = LoginStory

    package static let mostEvents = 1000
    /// Two steps of a token's clock, long ones and slow ones too.
    private static let barrierLasts = Timestamp.Span.minutes(3)

    package init(login: String, timeZone: String? = nil) {
        self.login = login
        self.timeZone = timeZone
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> LoginStory {
        let wanted = Valid.trimmed(login).filter { $0 != "…" }
        guard let range = LoginID.range(ofPrefix: wanted) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(login))` is not a login's id or the beginning of one.",
                remedy: "It has up to 26 letters and digits, as `sallyport audit list` and the node's log show them.", place: "login")
        }
        let records = operations.records
        let found = try records.events(logins: range, limit: Self.mostEvents)
        var ids: [LoginID] = []
        for record in found { if let id = record.event.login, !ids.contains(id) { ids.append(id) } }
        guard let id = ids.first else {
            throw Refusal(
                .missing, "No login begins with `\(wanted)`.",
                remedy: "`sallyport audit list --kind login` shows the newest; what no client sent is not a login and has no id.")
        }
        guard ids.count == 1 else {
            let shown = ids.prefix(4).map { id in
                let event = found.first { $0.event.login == id }?.event
                let who = event?.subject["name"].map { " (\(Valid.shown($0)))" } ?? ""
                return "`\(String(id.description.prefix(max(8, wanted.count + 4))))`\(who)"
            }
            throw Refusal(
                .conflict, "\(ids.count == Self.mostEvents ? "More than \(ids.count)" : "\(ids.count)") logins begin with `\(wanted)`.",
                remedy: "Give more of it: \(Words.list(shown, "or"))\(ids.count > 4 ? ", …" : "").")
        }
        let events = found.map(\.event)
        let zone = timeZone.flatMap { TimeZone(identifier: $0) } ?? .gmt
        var facts = try facts(events, records)
        facts.userName = try events.last?.user.flatMap { try records.user(id: $0)?.name }
        facts.stripping = try events.last?.client.flatMap { id in try records.clients().first { $0.id == id }?.settings.nameStripping }
        guard var story = LoginStory.tell(events, facts: facts, zone: zone) else {
            throw Refusal(.failed, "Login \(id) has no event that tells its story.")
        }
        var filter = SessionFilter()
        filter.user = events.last?.user
        filter.login = id
        for session in try records.sessions(filter, limit: 4).reversed() {
            let address = session.addresses.isEmpty ? "" : " as \(session.addresses)"
            let text = "The gateway reports session \(session.id)\(address): `sallyport session show \(session.id)`."
            story.add(text, at: session.started, zone: zone)
        }
        return story
    }

    /// Which login used the code that this one brought again, as the event says, or which restore used it up. No other login is named:
    /// that it came before does not mean that it used this very code.
    private func facts(_ events: [Event], _ records: Records) throws -> StoryFacts {
        guard let last = events.last, last.reason == RejectReason.codeAlreadyUsed.rawValue else { return StoryFacts() }
        if let used = last["used-by"], let time = last["used-at"].flatMap({ Instant($0) }) {
            return StoryFacts(earlierUse: (used, time.timestamp))
        }
        var filter = EventFilter(limit: 1)
        filter.kinds = [.restored]
        filter.until = last.at
        guard let restored = try records.events(filter).first?.event.at else { return StoryFacts() }
        // Steps are used up once more at the first start behind it.
        filter = EventFilter(limit: TraceLogin.mostEvents)
        filter.kinds = [.nodeStarted]
        (filter.since, filter.until) = (restored, last.at)
        let barrier = try records.events(filter).last?.event.at ?? restored
        return last.at - barrier < Self.barrierLasts ? StoryFacts(restored: barrier) : StoryFacts()
    }
}
