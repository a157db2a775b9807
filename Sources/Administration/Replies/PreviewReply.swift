// SPDX-License-Identifier: Apache-2.0
// What one user's accept would carry at one client, without anybody logging in.

package import LoginEngine
package import Store

package struct PreviewReply: AdminOperation {
    package static let verb = "client.preview"
    package var client: String
    package var user: String

    package init(client: String, user: String) {
        self.client = client
        self.user = user
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var client: String
        package var profile: String
        package var user: String
        /// `staff@3`; nil: none decides, so the client's own rule does.
        package var policy: String?
        package var require: String
        package var attributes: [Attribute]
        /// All attributes together, on the wire.
        package var bytes: Int
        package var warnings: [String]
    }

    package struct Attribute: Codable, Sendable, Equatable {
        package var name: String
        /// Nil: it cannot be made, and the login would be refused.
        package var value: String?
        /// `client`, `group NAME` or `policy NAME`.
        package var origin: String
        package var problem: String?
        /// As it stands in the packet, hexadecimal.
        package var hexadecimal: String?
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let records = operations.records
        let client = try operations.client(client)
        let user = try operations.user(user)
        let policies = try records.policySet().table
        let groups = try records.groups(ofUser: user.id).map(\.id)
        let ruling = policies.ruling(for: client, groups: groups, place: LoginPlace(user: user.id))
        let plan = try operations.replyTable().plan(for: client, policy: ruling.giving, groups: groups)
        let lines = plan?.lines(user: user.name) ?? []
        var answer = Answer(
            client: client.name, profile: client.settings.profile, user: user.name, policy: ruling.policy?.label,
            require: ruling.requirement.rawValue, attributes: lines.map(Attribute.init),
            bytes: lines.reduce(0) { $0 + $1.bytes.count }, warnings: [])
        for open in policies.undecided(for: client, groups: groups, user: user.id, before: ruling.giving) {
            let view = PolicyView(PolicyRecord(policy: open, at: operations.now(), names: PolicyNames()), current: PolicyNames())
            answer.warnings.append("Policy \(open.name) comes first for logins \(view.someLogins): these get what it says.")
        }
        if ruling.requirement == .deny { answer.warnings.append("\(user.name) is let in by nothing here, so none of this goes out.") }
        if user.status != .active { answer.warnings.append("\(user.name) is \(user.status.rawValue), and is refused.") }
        if answer.attributes.contains(where: { $0.problem != nil }) {
            answer.warnings.append("A login is refused as long as an attribute cannot be made.")
        }
        if answer.bytes > ReplyPlan.mostBytes {
            answer.warnings.append("\(answer.bytes) bytes are too many: \(ReplyPlan.mostBytes) fit, and the login would be refused.")
        }
        return answer
    }
}

extension PreviewReply.Attribute {
    init(_ line: ReplyPlan.Line) {
        name = line.name
        origin =
            switch line.origin {
            case .client: "client"
            case .group(let name): "group \(name)"
            case .policy(let name): "policy \(name)"
            }
        switch line.value {
        case .success(let value):
            self.value = value
            let digits = Array("0123456789abcdef")
            hexadecimal = String(line.bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        case .failure(let problem): self.problem = problem.sentence
        }
    }
}

extension ReplyPlan.Problem {
    package var sentence: String {
        switch self {
        case .unknownAttribute: "no dictionary knows this attribute"
        case .textUnreadable: "its text cannot be read"
        case .missing(let place): "nothing is known for {\(place.rawValue)}"
        case .unfit: "the value does not fit the attribute"
        case .tooLong: "all attributes together are too long"
        case .elapsed: "the session has lasted longer already"
        }
    }
}

extension Operations {
    /// As the engine has it, made of what the database says.
    package func replyTable() throws -> ReplyTable { try records.replyTable(ports.replies) }
}

extension Records {
    package func replyTable(_ encoder: any ReplyEncoder) throws(StoreError) -> ReplyTable {
        ReplyTable(
            clients: try clients(), policies: try policySet().records.map(\.policy),
            groups: try groups().map { ($0.id, $0.name, $0.reply) }, encoder: encoder)
    }
}
