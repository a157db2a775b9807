// SPDX-License-Identifier: Apache-2.0
// Which attributes an accept carries: what client, groups and policy say together, made ready when they are loaded.

/// Turns attributes into what goes over the wire. Implemented by `Administration`, which knows the dictionaries.
package protocol ReplyEncoder: Sendable {
    /// What two settings have in common that say the same attribute; nil for a name that nobody knows.
    func identity(of name: String) -> String?
    /// Nil when the value is none of this attribute.
    func encode(_ name: String, _ value: String) -> [UInt8]?
}

/// Where a setting stands.
package enum ReplyOrigin: Sendable, Equatable {
    case client
    case group(String)
    case policy(String)
}

/// All reply attributes that are set anywhere. An immutable value, replaced as a whole with the policies.
package struct ReplyTable: Sendable {
    /// One attribute, ready to be sent where its value is the same for everybody.
    struct Part: Sendable, Equatable {
        var setting: ReplySetting
        var origin: ReplyOrigin
        /// Nil: no dictionary knows the name any more.
        var identity: String?
        /// Nil: it can no longer be read.
        var text: ReplyText?
        var fixed: [UInt8]?
    }

    private struct Owner: Hashable {
        var id: Int64
        /// The group attribute differs from product to product.
        var profile: String
    }

    private final class Storage: Sendable {
        let clients: [Int64: [Part]]
        let groups: [Owner: [Part]]
        let policies: [Owner: [Part]]
        let groupNames: [Int64: String]
        let encoder: any ReplyEncoder
        /// Clients at which a login has to know the user's groups.
        let wantsGroups: Set<Int64>

        init(
            clients: [Int64: [Part]], groups: [Owner: [Part]], policies: [Owner: [Part]], groupNames: [Int64: String],
            wantsGroups: Set<Int64>, encoder: any ReplyEncoder
        ) {
            self.clients = clients
            self.groups = groups
            self.policies = policies
            self.groupNames = groupNames
            self.wantsGroups = wantsGroups
            self.encoder = encoder
        }
    }

    private let storage: Storage?

    /// No attribute is set anywhere: logins need not ask.
    package static let empty = ReplyTable()

    private init() {
        storage = nil
    }

    package init(
        clients: [Client], policies: [Policy], groups: [(id: Int64, name: String, reply: [ReplySetting])], encoder: any ReplyEncoder
    ) {
        let profiles = Set(clients.map(\.settings.profile))
        func parts(_ settings: [ReplySetting], _ origin: ReplyOrigin, _ profile: String) -> [Part] {
            settings.map { Part($0, origin, profile: profile, encoder) }
        }
        func owned(_ id: Int64, _ settings: [ReplySetting], _ origin: ReplyOrigin) -> [(Owner, [Part])] {
            settings.isEmpty ? [] : profiles.map { (Owner(id: id, profile: $0), parts(settings, origin, $0)) }
        }
        let own = clients.filter { !$0.settings.reply.isEmpty }.map {
            ($0.id, parts($0.settings.reply, .client, $0.settings.profile))
        }
        let ofGroups = groups.flatMap { owned($0.id, $0.reply, .group($0.name)) }
        let ofPolicies = policies.flatMap { owned($0.id, $0.rule.reply, .policy($0.name)) }
        guard !own.isEmpty || !ofGroups.isEmpty || !ofPolicies.isEmpty else {
            storage = nil
            return
        }
        let asking = policies.filter { Self.asks($0.rule.reply) }
        let wanting = clients.filter { client in
            !ofGroups.isEmpty || Self.asks(client.settings.reply) || asking.contains { $0.rule.when.fits(client) }
        }
        storage = Storage(
            clients: Dictionary(own) { first, _ in first }, groups: Dictionary(ofGroups) { first, _ in first },
            policies: Dictionary(ofPolicies) { first, _ in first },
            groupNames: Dictionary(groups.map { ($0.id, $0.name) }) { first, _ in first },
            wantsGroups: Set(wanting.map(\.id)), encoder: encoder)
    }

    private static func asks(_ settings: [ReplySetting]) -> Bool {
        settings.contains { (try? ReplyText($0.value))?.wantsGroups == true }
    }

    package var isEmpty: Bool { storage == nil }

    package func looksUpGroups(for client: Client) -> Bool {
        storage?.wantsGroups.contains(client.id) ?? false
    }

    /// What this login's accept will carry; nil: nothing.
    ///
    /// A policy's attribute stands in for the same one of a group, and a group's for the same one of the client. Of several groups that
    /// set it the first by name counts.
    /// - Parameter groups: the user's, nested ones too.
    package func plan(for client: Client, policy: Policy?, groups: [Int64]) -> ReplyPlan? {
        guard let storage else { return nil }
        let profile = client.settings.profile
        let own = storage.clients[client.id]
        let ofPolicy = policy.flatMap { storage.policies.isEmpty ? nil : storage.policies[Owner(id: $0.id, profile: profile)] }
        // Most logins carry nothing, and pay no more than this.
        guard own != nil || ofPolicy != nil || !storage.groups.isEmpty else { return nil }
        var levels: [[Part]] = []
        if let ofPolicy { levels.append(ofPolicy) }
        let named = groups.compactMap { id in storage.groupNames[id].map { (id: id, name: $0) } }.sorted { $0.name < $1.name }
        for group in named {
            if let parts = storage.groups[Owner(id: group.id, profile: profile)] { levels.append(parts) }
        }
        if let own { levels.append(own) }
        guard !levels.isEmpty else { return nil }
        var chosen: [Part] = []
        var taken: Set<String> = []
        for level in levels {
            chosen += level.filter { part in part.identity.map { !taken.contains($0) } ?? true }
            taken.formUnion(level.compactMap(\.identity))
        }
        let matched = policy.flatMap { policy in named.first { policy.rule.when.groups.contains($0.id) } }
        let facts = ReplyFacts(
            client: client.name, policy: policy?.name, group: (matched ?? named.first)?.name, groups: named.map(\.name))
        return ReplyPlan(parts: chosen, facts: facts, encoder: storage.encoder)
    }
}

extension ReplyTable.Part {
    fileprivate var isTimeout: Bool { setting.name.lowercased() == "session-timeout" }

    fileprivate init(_ setting: ReplySetting, _ origin: ReplyOrigin, profile: String, _ encoder: any ReplyEncoder) {
        self.origin = origin
        var setting = setting
        if setting.name == ReplySetting.group {
            let profile = ClientProfile.named(profile) ?? .generic
            setting = ReplySetting(profile.groupAttribute, profile.groupPrefix + setting.value)
        }
        self.setting = setting
        identity = encoder.identity(of: setting.name)
        text = try? ReplyText(setting.value)
        fixed = text?.fixed.flatMap { encoder.encode(setting.name, $0) }
    }
}

/// What one login's accept will carry. A reference, so that a login carries it for the price of a pointer.
package final class ReplyPlan: Sendable {
    private let parts: [ReplyTable.Part]
    package let facts: ReplyFacts
    private let encoder: any ReplyEncoder

    /// What all attributes together may have on the wire: beside them an answer needs room for its signature, keys and Proxy-State.
    package static let mostBytes = 3_000

    init(parts: [ReplyTable.Part], facts: ReplyFacts, encoder: any ReplyEncoder) {
        self.parts = parts
        self.facts = facts
        self.encoder = encoder
    }

    /// One attribute with its value, or why it has none.
    package struct Line: Sendable, Equatable {
        package var name: String
        package var origin: ReplyOrigin
        package var value: Result<String, Problem>
        package var bytes: [UInt8] = []
    }

    package enum Problem: Error, Sendable, Equatable {
        case unknownAttribute
        case textUnreadable
        /// Nothing is known for a place of the text.
        case missing(ReplyText.Place)
        /// The text is no value of this attribute, or too long for it.
        case unfit
        case tooLong
        /// The session has lasted longer than its Session-Timeout.
        case elapsed
    }

    /// Every attribute, for people to look at.
    /// - Parameter elapsed: seconds that the session has lasted: Session-Timeout is what remains of it.
    package func lines(user: String, elapsed: Int64 = 0) -> [Line] {
        var timeout = parts.first(where: \.isTimeout)?.text?.fixed
        if elapsed > 0, let full = parts.lazy.compactMap({ $0.fixed.flatMap(SessionTimeout.init) }).first {
            timeout = "\(max(0, full.seconds - elapsed))"
        }
        return parts.map { part in
            var line = Line(name: part.setting.name, origin: part.origin, value: .failure(.unknownAttribute))
            guard part.identity != nil else { return line }
            guard let text = part.text else {
                line.value = .failure(.textUnreadable)
                return line
            }
            do throws(ReplyText.Missing) {
                let value = try text.filled(user: user, facts, sessionTimeout: timeout)
                guard let bytes = part.fixed ?? encoder.encode(part.setting.name, value) else {
                    line.value = .failure(.unfit)
                    return line
                }
                line.value = .success(value)
                line.bytes = bytes
                if elapsed > 0, let full = SessionTimeout(bytes) { full.shorten(&line, by: elapsed) }
            } catch {
                line.value = .failure(.missing(error.place))
            }
            return line
        }
    }

    /// The attributes as they go over the wire, all of them or the first that cannot be made: an accept without one that was to
    /// bound it would let in too far.
    func bytes(user: String) throws(Unmade) -> [UInt8] {
        if parts.allSatisfy({ $0.fixed != nil && $0.identity != nil }) {
            let bytes = parts.flatMap { $0.fixed ?? [] }
            if bytes.count <= Self.mostBytes { return bytes }
        }
        var bytes: [UInt8] = []
        for line in lines(user: user) {
            if case .failure(let problem) = line.value { throw Unmade(name: line.name, problem: problem) }
            bytes += line.bytes
            if bytes.count > Self.mostBytes { throw Unmade(name: line.name, problem: .tooLong) }
        }
        return bytes
    }

    /// What somebody else gave, but for attributes that are said here already, and no more than there is room for.
    static func besides(_ own: [UInt8], _ given: [UInt8]) -> [UInt8] {
        if given.isEmpty { return [] }
        let taken = Set(attributes(of: own).map(identity))
        var result: [UInt8] = []
        for attribute in attributes(of: given) where !taken.contains(identity(attribute)) {
            if own.count + result.count + attribute.count > mostBytes { break }
            result += attribute
        }
        return result
    }

    private static func attributes(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var attributes: [ArraySlice<UInt8>] = []
        var rest = bytes[...]
        while rest.count >= 2 {
            let length = Int(rest[rest.startIndex + 1])
            guard length >= 2, length <= rest.count else { break }
            attributes.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return attributes
    }

    /// The type; of one in a vendor's name (RFC 2865 §5.26) vendor and type.
    private static func identity(_ attribute: ArraySlice<UInt8>) -> [UInt8] {
        let type = attribute[attribute.startIndex]
        return type == 26 ? [type] + attribute.dropFirst(2).prefix(5) : [type]
    }

    /// Session-Timeout (RFC 2865 §5.27) as it stands in a packet, however its value was written.
    private struct SessionTimeout {
        var seconds: Int64

        init?(_ bytes: [UInt8]) {
            guard bytes.count == 6, bytes[0] == 27, bytes[1] == 6 else { return nil }
            seconds = bytes[2...].reduce(0) { $0 << 8 | Int64($1) }
        }

        func shorten(_ line: inout Line, by elapsed: Int64) {
            let remains = seconds - elapsed
            line.bytes = []
            line.value = .failure(.elapsed)
            guard remains > 0 else { return }
            line.value = .success("\(remains)")
            line.bytes = [27, 6] + stride(from: Int64(24), through: 0, by: -8).map { UInt8(truncatingIfNeeded: remains >> $0) }
        }
    }

    struct Unmade: Error {
        var name: String
        var problem: Problem
    }

    /// For the trail.
    var names: String { parts.map(\.setting.name).joined(separator: ", ") }
}

extension ReplyPlan: Equatable {
    package static func == (left: ReplyPlan, right: ReplyPlan) -> Bool {
        left === right || left.parts == right.parts && left.facts == right.facts
    }
}

extension ReplyPlan.Problem {
    /// A stable word for the steps of the trail.
    var word: String {
        switch self {
        case .unknownAttribute: "unknown-attribute"
        case .textUnreadable: "text-unreadable"
        case .missing(let place): "no-\(place.rawValue)"
        case .unfit: "value-unfit"
        case .tooLong: "too-long"
        case .elapsed: "elapsed"
        }
    }
}
