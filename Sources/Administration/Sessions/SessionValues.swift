// SPDX-License-Identifier: Apache-2.0
// Sessions that gateways report: what can be asked, and how one is shown.

internal import LoginEngine
internal import RADIUS
internal import Store

package struct SessionView: Codable, Sendable, Equatable {
    package var id: Int64
    /// The user's name, or, where nobody has it, what the gateway said.
    package var user: String
    /// Whether somebody has that name here.
    package var isKnown: Bool
    package var client: String
    /// What the gateway calls itself.
    package var gateway: String
    /// Its name for the session.
    package var sessionID: String
    package var login: String?
    package var station: String?
    package var addresses: [String]
    package var port: UInt32?
    package var groupClass: String?
    /// Where the gateway's records come from.
    package var source: String
    package var started: Instant
    /// Its start was reported; else it was worked out.
    package var hasStart: Bool
    package var heard: Instant
    package var isOpen: Bool
    package var ended: Instant?
    /// `stopped`, `gateway-restarted`, `lost` or `replaced`.
    package var ending: String?
    /// Acct-Terminate-Cause by its name.
    package var cause: String?
    package var seconds: Int64
    package var input: Int64
    package var output: Int64
    package var inputPackets: Int64
    package var outputPackets: Int64
}

package struct ListSessions: AdminOperation {
    package static let verb = "session.list"
    package var user: String?
    package var client: String?
    /// Nil: all.
    package var isOpen: Bool?
    /// Open then, or later.
    package var since: Instant?
    package var before: Int64?
    package var limit: Int

    package static let mostSessions = 5000

    package init(
        user: String? = nil, client: String? = nil, isOpen: Bool? = nil, since: Instant? = nil, before: Int64? = nil, limit: Int = 50
    ) {
        self.user = user
        self.client = client
        self.isOpen = isOpen
        self.since = since
        self.before = before
        self.limit = limit
    }

    package struct Answer: Codable, Sendable {
        /// Newest first.
        package var sessions: [SessionView]
        /// Open ones of all users and clients.
        package var open: Int
        /// Give it as `before` to go on; nil at the end.
        package var next: Int64?
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let limit = try Valid.number(limit, in: 1...Self.mostSessions, "limit")
        var filter = try operations.sessionFilter(user: user, client: client, since: since)
        filter.isOpen = isOpen
        var found = try operations.records.sessions(filter, before: before, limit: limit + 1)
        let isMore = found.count > limit
        if isMore { found.removeLast() }
        let names = EventNames(operations.records)
        let now = operations.now()
        return Answer(
            sessions: found.map { SessionView($0, names: names, now: now) }, open: try operations.records.openSessions(),
            next: isMore ? found.last?.id : nil)
    }
}

package struct ShowSession: AdminOperation {
    package static let verb = "session.show"
    package var id: Int64

    package init(id: Int64) {
        self.id = id
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> SessionView {
        SessionView(try operations.session(id), names: EventNames(operations.records), now: operations.now())
    }
}

/// Who carried how much.
package struct SumTraffic: AdminOperation {
    package static let verb = "session.traffic"
    package var user: String?
    package var client: String?
    package var since: Instant?
    package var limit: Int

    package init(user: String? = nil, client: String? = nil, since: Instant? = nil, limit: Int = 50) {
        self.user = user
        self.client = client
        self.since = since
        self.limit = limit
    }

    package struct Row: Codable, Sendable, Equatable {
        package var user: String
        package var isKnown: Bool
        package var client: String
        package var sessions: Int
        package var open: Int
        package var seconds: Int64
        package var input: Int64
        package var output: Int64
    }

    package struct Answer: Codable, Sendable {
        /// Who carried most first.
        package var rows: [Row]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let limit = try Valid.number(limit, in: 1...ListSessions.mostSessions, "limit")
        let filter = try operations.sessionFilter(user: user, client: client, since: since)
        let names = EventNames(operations.records)
        return Answer(
            rows: try operations.records.traffic(filter, limit: limit).map { traffic in
                Row(
                    user: traffic.user.flatMap { names.user($0) } ?? traffic.name, isKnown: traffic.user != nil,
                    client: names.client(traffic.client) ?? "removed", sessions: traffic.sessions, open: traffic.open,
                    seconds: traffic.seconds, input: traffic.input, output: traffic.output)
            })
    }
}

/// What the gateway will say no more: it was replaced, or lost its memory.
package struct EndSession: AdminOperation {
    package static let verb = "session.end"
    package var id: Int64

    package init(id: Int64) {
        self.id = id
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let session = try operations.session(id)
        guard session.isOpen else { throw Refusal(.conflict, "Session \(id) is over already.") }
        try await operations.records.endLost(
            session: id, at: operations.now(), event: operations.event(of: session, .sessionEnded, by: actor))
        return Done(
            "Session \(id) counts as lost. The gateway was told nothing: `sallyport session disconnect` ends a session there.",
            warnings: ["It is open again when the gateway reports it once more."])
    }
}

extension SessionView {
    init(_ session: GatewaySession, names: EventNames, now: Timestamp) {
        id = session.id
        user = session.user.flatMap { names.user($0) } ?? session.name
        isKnown = session.user != nil
        client = names.client(session.client) ?? "removed"
        gateway = session.gateway
        sessionID = session.sessionID
        login = session.login?.description
        station = session.station
        addresses = session.addresses.split(separator: " ").map(String.init)
        port = session.port
        groupClass = session.groupClass
        source = session.source.description
        started = Instant(session.started)
        hasStart = session.hasStart
        heard = Instant(session.heard)
        isOpen = session.isOpen
        ended = session.ended.map { Instant($0) }
        ending = session.ending?.rawValue
        cause = session.cause.map { number in
            AttributeDictionary.builtIn.name(of: UInt64(number), for: AttributeOID(.acctTerminateCause)) ?? "\(number)"
        }
        // What the gateway counted, else what our clock says.
        let counted = max(0, ((session.ended ?? now) - session.started).microseconds / 1_000_000)
        seconds = session.isOpen ? max(session.figures.seconds, counted) : session.figures.seconds > 0 ? session.figures.seconds : counted
        input = session.figures.input
        output = session.figures.output
        inputPackets = session.figures.inputPackets
        outputPackets = session.figures.outputPackets
    }
}

extension Operations {
    func session(_ id: Int64) throws -> GatewaySession {
        if let session = try records.session(id: id) { return session }
        throw Refusal(
            .missing, "There is no session \(id).", remedy: "`sallyport session list` shows the newest, `--open` those that last.")
    }

    /// Sessions are kept of names that nobody has, too.
    func sessionFilter(user: String?, client: String?, since: Instant?) throws -> SessionFilter {
        var filter = SessionFilter()
        if let user {
            do { filter.user = try self.user(user).id } catch let refusal as Refusal {
                guard let key = UserName.key(of: Valid.trimmed(user)) else { throw refusal }
                filter.nameKey = key
                guard try !records.sessions(filter, limit: 1).isEmpty else { throw refusal }
            }
        }
        if let client { filter.client = try self.client(client).id }
        filter.since = since?.timestamp
        return filter
    }

    func event(of session: GatewaySession, _ kind: EventKind, by actor: Actor, _ details: KeyValuePairs<String, String> = [:]) -> Event {
        var event = event(
            kind, by: actor, user: session.user, client: session.client,
            subject: session.name.isEmpty ? [] : [PersonalFields.Field("name", session.name)], details)
        event.details.insert(Event.Detail("session", "\(session.id)"), at: 0)
        if let client = try? records.client(id: session.client) { event.details.insert(Event.Detail("client", client.name), at: 0) }
        return event
    }
}
