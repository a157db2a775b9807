// SPDX-License-Identifier: Apache-2.0
// What the accept of a session's user would carry now, as far as a CoA-Request can change it (RFC 5176 §2.2, §3.6).

internal import LoginEngine
internal import RADIUS
internal import Store

enum SessionReply: Sendable, Equatable {
    struct Attributes: Sendable, Equatable {
        /// `Filter-Id = staff`
        var lines: [String]
        var names: [String]
        /// Set, and of no use while a session lasts.
        var leftOut: [String]
        var bytes: [UInt8]
    }

    case attributes(Attributes)
    /// The accept would carry nothing that can be changed.
    case nothing
    /// Whoever has it would not be let in any more, or not for so long; in words.
    case over(String)
    /// An attribute cannot be made; in words.
    case unfit(String)
    /// Of a name that nobody has here: it may be what the gateway shows in place of the user's.
    case stranger

    /// Types by which a CoA-Request names gateway and session and changes neither (RFC 5176 §3), and what means something else
    /// there: Service-Type and State ask the gateway to come and ask (§3.2).
    private static let naming: Set<AttributeType> = [
        .userName, .nasIPAddress, .nasPort, .serviceType, .framedIPAddress, .state, .calledStationID, .callingStationID, .nasIdentifier,
        .proxyState, .acctSessionID, .acctMultiSessionID, .eventTimestamp, .nasPortType, .eapMessage, .messageAuthenticator, .nasPortID,
        .chargeableUserIdentity, .originatingLineInfo, .nasIPv6Address, .framedInterfaceID, .framedIPv6Prefix, .errorCause,
        .framedIPv6Address,
    ]

    /// - Parameter elapsed: seconds that the session has lasted: its Session-Timeout is what remains.
    init(_ plan: ReplyPlan?, user: String, elapsed: Int64) {
        guard let plan else {
            self = .nothing
            return
        }
        var attributes = Attributes(lines: [], names: [], leftOut: [], bytes: [])
        for line in plan.lines(user: user, elapsed: elapsed) {
            switch line.value {
            case .failure(.elapsed):
                self = .over("its Session-Timeout is over")
                return
            case .failure(let problem):
                self = .unfit("\(line.name) cannot be sent: \(problem.sentence)")
                return
            case .success(let value):
                guard let type = line.bytes.first, !Self.naming.contains(AttributeType(rawValue: type)) else {
                    attributes.leftOut.append(line.name)
                    continue
                }
                attributes.names.append(line.name)
                attributes.lines.append("\(line.name) = \(value)")
                attributes.bytes += line.bytes
            }
        }
        guard attributes.bytes.count <= ReplyPlan.mostBytes else {
            self = .unfit("its attributes are too long together")
            return
        }
        self = attributes.bytes.isEmpty ? .nothing : .attributes(attributes)
    }
}

/// Policies, reply attributes and groups as they are, read once for many sessions.
struct SessionReplies {
    let policies: PolicyTable
    let replies: ReplyTable
    let operations: Operations

    init(_ operations: Operations) throws {
        self.operations = operations
        policies = try operations.records.policySet().table
        replies = try operations.replyTable()
    }

    func reply(for session: GatewaySession, at now: Timestamp) throws -> SessionReply {
        guard let client = try operations.records.client(id: session.client) else { return .unfit("its client was removed") }
        guard let id = session.user else { return .stranger }
        guard let user = try operations.records.user(id: id) else { return .over("its user was removed") }
        guard user.status == .active else { return .over("\(user.name) is \(user.status.rawValue)") }
        let groups = try operations.records.groups(ofUser: user.id).map(\.id)
        let ruling = policies.ruling(for: client, groups: groups, place: LoginPlace(user: user.id))
        // What another policy would send is no answer to a session that it may have let in.
        if let open = policies.undecided(for: client, groups: groups, user: user.id, before: ruling.giving).first {
            return .unfit("policy \(open.name) asks how a login came, from where or when, and a session does not tell")
        }
        guard ruling.requirement != .deny else {
            return .over("\(ruling.policy.map { "policy \($0.name)" } ?? client.name) lets \(user.name) in no more")
        }
        let elapsed = max(session.figures.seconds, (now - session.started).microseconds / 1_000_000, 0)
        return SessionReply(replies.plan(for: client, policy: ruling.giving, groups: groups), user: user.name, elapsed: elapsed)
    }
}
