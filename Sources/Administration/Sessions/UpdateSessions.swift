// SPDX-License-Identifier: Apache-2.0
// Bringing what accepts carry now to sessions that are open (CoA, RFC 5176 §2.2).

internal import LoginEngine
internal import Store

package struct UpdateSessions: AdminOperation {
    package static let verb = "session.update"
    /// One session; else all open ones that the rest fits.
    package var id: Int64?
    package var user: String?
    /// Of its members, nested ones too.
    package var group: String?
    package var client: String?
    /// Those that would be let in no more end.
    package var endsDenied: Bool
    package var isDryRun: Bool

    package init(
        id: Int64? = nil, user: String? = nil, group: String? = nil, client: String? = nil, endsDenied: Bool = false, isDryRun: Bool = false
    ) {
        self.id = id
        self.user = user
        self.group = group
        self.client = client
        self.endsDenied = endsDenied
        self.isDryRun = isDryRun
    }

    package struct Answer: Codable, Sendable {
        package var isDryRun: Bool
        package var results: [Result]
        package var warnings: [String] = []
    }

    package struct Result: Codable, Sendable, Equatable {
        package var session: Int64
        package var isDone: Bool
        /// `acknowledged`, `no-answer`, `not-sent`, the gateway's Error-Cause; `nothing` where there was nothing to send, `unfit`, `unknown-user`, `over`;
        /// in a dry run `would-update`, `would-end`.
        package var answer: String
        package var message: String
        /// What was sent, or would be: `Filter-Id = staff`.
        package var attributes: [String] = []
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let (sessions, isCut) = try chosen(operations)
        let replies = try SessionReplies(operations)
        let now = operations.now()
        var planned: [(GatewaySession, SessionReply)] = []
        for session in sessions { planned.append((session, try replies.reply(for: session, at: now))) }
        var answer = Answer(isDryRun: isDryRun, results: [])
        if isCut { answer.warnings.append("Only the newest \(ListSessions.mostSessions) sessions were looked at.") }
        answer.results = await withTaskGroup(of: (Int, Result).self) { group in
            for (index, (session, reply)) in planned.enumerated() {
                group.addTask { (index, await result(session, reply, operations, actor)) }
            }
            var results: [(Int, Result)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
        return answer
    }

    private func chosen(_ operations: Operations) throws -> (sessions: [GatewaySession], isCut: Bool) {
        if let id {
            let session = try operations.session(id)
            guard session.isOpen else { throw Refusal(.conflict, "Session \(id) is over already.") }
            return ([session], false)
        }
        var filter = try operations.sessionFilter(user: user, client: client, since: nil)
        filter.isOpen = true
        var sessions = try operations.records.sessions(filter, limit: ListSessions.mostSessions)
        let isCut = sessions.count == ListSessions.mostSessions
        if let group {
            let wanted = try operations.group(group).id
            var isMember: [Int64: Bool] = [:]
            sessions = try sessions.filter { session in
                guard let user = session.user else { return false }
                if let known = isMember[user] { return known }
                let fits = try operations.records.groups(ofUser: user).contains { $0.id == wanted }
                isMember[user] = fits
                return fits
            }
        }
        return (sessions, isCut)
    }

    private func result(_ session: GatewaySession, _ reply: SessionReply, _ operations: Operations, _ actor: Actor) async -> Result {
        func result(_ isDone: Bool, _ answer: String, _ words: String, _ attributes: [String] = []) -> Result {
            Result(
                session: session.id, isDone: isDone, answer: answer, message: "\(operations.words(of: session)): \(words)",
                attributes: attributes)
        }
        switch reply {
        case .nothing: return result(true, "nothing", "its accept would carry nothing that can be sent.")
        case .unfit(let why): return result(false, "unfit", "\(why).")
        case .stranger: return result(false, "unknown-user", "nobody has this name here, so what it may do is not known.")
        case .over(let why):
            guard endsDenied else {
                return result(false, "over", "\(why). `sallyport session disconnect \(session.id)` ends it, or --end-denied here.")
            }
            if isDryRun { return result(true, "would-end", "\(why); it would be ended.") }
            let (outcome, message) = await operations.ask(.end, session, by: actor)
            return Result(session: session.id, isDone: outcome.isGone, answer: outcome.word, message: "\(message) (\(why))")
        case .attributes(let attributes):
            let leftOut = attributes.leftOut.isEmpty ? "" : " \(Words.list(attributes.leftOut)) cannot be changed and was left out."
            if isDryRun { return result(true, "would-update", "would be updated.\(leftOut)", attributes.lines) }
            let details = [Event.Detail("attributes", attributes.names.joined(separator: ", "))]
            let (outcome, message) = await operations.ask(.update(attributes.bytes), session, by: actor, details)
            return Result(
                session: session.id, isDone: outcome == .acknowledged, answer: outcome.word, message: message + leftOut,
                attributes: attributes.lines)
        }
    }
}

extension Operations {
    /// After a change of what accepts carry: open sessions keep what theirs carried until somebody says otherwise.
    /// - Parameter choice: `--group staff`; nil: all.
    func updateHint(_ choice: String? = nil, ofUser user: Int64? = nil) throws -> [String] {
        guard try user.map({ try openSessions(ofUser: $0).count }) ?? records.openSessions() > 0 else { return [] }
        return [
            "Sessions that are open keep what their accept carried: `sallyport session update \(choice ?? "--all")` sends what it would carry "
                + "now to their gateways, and --dry-run shows it."
        ]
    }
}
