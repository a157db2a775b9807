// SPDX-License-Identifier: Apache-2.0
// Reading the trail, and proving that nobody edited it.

internal import Dispatch
internal import LoginEngine
internal import Store

package struct ListEvents: AdminOperation {
    package static let verb = "audit.list"
    /// Of a user, or one that nobody has: then as it was typed, or was somebody's who was removed.
    package var user: String?
    package var client: String?
    package var since: Instant?
    package var until: Instant?
    /// Words such as `login-rejected`, or a beginning that several share, such as `login`.
    package var kinds: [String]
    /// Older than this place in the chain.
    package var before: Int64?
    package var limit: Int

    package static let mostEvents = 5000

    package init(
        user: String? = nil, client: String? = nil, since: Instant? = nil, until: Instant? = nil, kinds: [String] = [],
        before: Int64? = nil,
        limit: Int = 50
    ) {
        self.user = user
        self.client = client
        self.since = since
        self.until = until
        self.kinds = kinds
        self.before = before
        self.limit = limit
    }

    package struct Answer: Codable, Sendable {
        /// Newest first.
        package var events: [EventView]
        /// Give it as `before` to go on; nil at the end.
        package var next: Int64?
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let limit = try Valid.number(limit, in: 1...Self.mostEvents, "limit")
        var filter = EventFilter(limit: limit + 1)
        if let user {
            let key = UserName.key(of: Valid.trimmed(user))
            filter.user = try key.flatMap { try operations.records.user(key: $0) }?.id
            // Whoever typed such a name was refused, and that is in the trail.
            if filter.user == nil { filter.name = try key ?? operations.user(user).name }
        }
        if let client { filter.client = try operations.client(client).id }
        if let since, let until, until < since {
            throw Refusal(.invalid, "The end of the time lies before its start.", remedy: "Swap --since and --until.", place: "until")
        }
        filter.since = since?.timestamp
        filter.until = until?.timestamp
        filter.before = before
        if !kinds.isEmpty { filter.kinds = Set(try kinds.flatMap { try Self.kinds($0) }) }
        var records = try operations.records.events(filter)
        let isMore = records.count > limit
        if isMore { records.removeLast() }
        // A slip of the pen is no answer.
        if let user, filter.name != nil, records.isEmpty, before == nil { _ = try operations.user(user) }
        let names = EventNames(operations.records)
        return Answer(events: records.map { EventView($0, names: names) }, next: isMore ? records.last?.seq : nil)
    }

    private static func kinds(_ text: String) throws -> [EventKind] {
        let wanted = text.lowercased()
        if let exact = EventKind.allCases.first(where: { $0.word == wanted }) { return [exact] }
        let family = EventKind.allCases.filter { $0.word.hasPrefix(wanted + "-") || (wanted == "login" && $0.word.hasPrefix("logins-")) }
        guard family.isEmpty else { return family }
        let words = EventKind.allCases.map(\.word)
        let near = NearNames.nearest(to: wanted, among: words)
        throw Refusal(
            .invalid, "No kind of event `\(Valid.shown(text))`.",
            remedy: near.isEmpty ? "There are \(Words.list(words))." : NearNames.question(near), place: "kind")
    }
}
