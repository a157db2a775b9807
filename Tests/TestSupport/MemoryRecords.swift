// SPDX-License-Identifier: Apache-2.0
// The database as a few dictionaries, for tests of the engine: same promises, no file.

package import LoginEngine
internal import Synchronization

package final class MemoryRecords: LoginRecords {
    package struct Tables: Sendable {
        package var users: [String: User] = [:]
        package var factors: [Int64: [Factor]] = [:]
        package var recoveryHashes: Set<[UInt8]> = []
        package var marks: [Mark: RecordedDecision] = [:]
        package var handles: [HandleID: SuspendedLogin] = [:]
        package var failures: [Int64: [FailureRecord]] = [:]
        package var groups: [Int64: [Int64]] = [:]
        package var grace: [Int64: GraceFacts] = [:]
        package var grants: [Int64: [Grant]] = [:]
        package var grantUses: [(grant: Int64, decision: RecordedDecision)] = []
        /// How many look-ups asked for groups.
        package var lookedUpGroups = 0
        package var events: [Event] = []
        package var isDown = false
        /// What names are passed through by is as it was when their login began.
        package var passesThrough = true
        /// Settlements wait here when `holdsBack` is set.
        package var heldBack: [@Sendable () -> Void] = []
        /// What is made of a directory's word.
        package var meeting: @Sendable (inout Tables, DirectoryMeeting) -> MeetingOutcome = { _, _ in .same }
        package var holdsBack = false
        /// Fail the n-th call from now; 0 for none.
        package var failsAt = 0
        package var calls = 0
    }

    private let tables = Mutex(Tables())

    package init() {}

    package func change<Result: Sendable>(_ body: (inout Tables) -> Result) -> Result {
        tables.withLock { body(&$0) }
    }

    package var events: [Event] { change { $0.events } }

    private func fails() -> Bool {
        change { tables in
            tables.calls += 1
            return tables.isDown || tables.calls == tables.failsAt
        }
    }

    package func load(_ lookups: [LoginLookup], at now: Timestamp) throws(NoAnswer) -> [LoginFacts] {
        if fails() { throw .databaseUnavailable }
        return change { tables in
            lookups.map { lookup in
                var facts = LoginFacts()
                facts.user = lookup.nameKey.flatMap { tables.users[$0] }
                if let id = facts.user?.id {
                    facts.factors = (tables.factors[id] ?? []).filter { $0.state == .active }
                    facts.failures = tables.failures[id] ?? []
                    facts.grants = tables.grants[id] ?? []
                    facts.mayHaveGrants = !facts.grants.isEmpty
                    if lookup.wantsGroups { facts.groups = tables.groups[id] ?? [] }
                    if lookup.wantsGrace { facts.grace = tables.grace[id] ?? GraceFacts() }
                }
                if lookup.wantsGroups { tables.lookedUpGroups += 1 }
                facts.suspended = lookup.handle.flatMap { tables.handles[$0] }
                return facts
            }
        }
    }

    package func meet(_ meeting: DirectoryMeeting, completion: @escaping @Sendable (MeetingOutcome) -> Void) {
        if fails() { return completion(.failed(.databaseUnavailable)) }
        completion(change { tables in tables.meeting(&tables, meeting) })
    }

    package func settle(_ settlement: Settlement, completion: @escaping @Sendable (SettlementOutcome) -> Void) {
        if fails() { return completion(.failed(.databaseUnavailable)) }
        let outcome = change { tables in Self.settle(settlement, in: &tables) }
        let isHeldBack = change { tables in
            if tables.holdsBack { tables.heldBack.append { completion(outcome) } }
            return tables.holdsBack
        }
        if !isHeldBack { completion(outcome) }
    }

    private static func settle(_ settlement: Settlement, in tables: inout Tables) -> SettlementOutcome {
        if let user = settlement.user, tables.users.values.first(where: { $0.id == user })?.status != .active {
            return .changedMeanwhile
        }
        if settlement.decision.isAccept, settlement.user == nil {
            guard let names = settlement.passedThrough?.nameKeys, tables.passesThrough, !names.contains(where: { tables.users[$0] != nil })
            else {
                return .changedMeanwhile
            }
        }
        if let handle = settlement.handle, let row = tables.handles[handle], row.decision != nil { return .handleSpent(row.decision) }
        if let handle = settlement.handle, tables.handles[handle] == nil { return .handleSpent(nil) }
        let name = tables.users.first { $0.value.id == settlement.user }?.key
        if let renewal = settlement.renewal, name.flatMap({ tables.users[$0] })?.passwordRevision != renewal.replaces {
            return .changedMeanwhile
        }
        for mark in settlement.marks {
            if let recorded = tables.marks[mark] { return .markUsed(recorded) }
            switch mark {
            case .recovery(_, let hash):
                guard tables.recoveryHashes.contains(hash) else { return .markUsed(nil) }
            case .hotp(let factor, let counter):
                let highest =
                    tables.marks.keys.compactMap { key -> Int64? in
                        if case .hotp(factor, let used) = key { used } else { nil }
                    }.max() ?? -1
                if counter <= highest { return .markUsed(nil) }
            case .totp:
                break
            }
        }
        if settlement.decision.isAccept, let id = settlement.grant, let user = settlement.user {
            let before = tables.grantUses.last { $0.grant == id && $0.decision.isOfSameRequest(as: settlement.decision) }
            let index = tables.grants[user, default: []].firstIndex { $0.id == id }
            let standing = index.flatMap { tables.grants[user]?[$0].standing(at: settlement.decision.at) }
            guard before == nil, standing == .open, let index else { return .grantRefused(standing, before?.decision) }
            tables.grants[user]?[index].used += 1
            tables.grantUses.append((id, settlement.decision))
        }
        for mark in settlement.marks {
            tables.marks[mark] = settlement.decision
            if case .recovery(_, let hash) = mark { tables.recoveryHashes.remove(hash) }
        }
        if let handle = settlement.handle { tables.handles[handle]?.decision = settlement.decision }
        if let start = settlement.grace, tables.grace[start.user]?.began[start.policy] == nil {
            tables.grace[start.user, default: GraceFacts()].began[start.policy] = start.at
        }
        if let renewal = settlement.renewal, let name {
            tables.users[name]?.passwordHash = renewal.hash
            tables.users[name]?.kept = renewal.kept
            tables.users[name]?.mustChangePassword = false
            tables.users[name]?.passwordRevision += 1
            if let event = settlement.renewalEvent { tables.events.append(event) }
        }
        tables.events.append(settlement.event)
        return .done
    }

    package func suspend(_ login: SuspendedLogin, event: Event, completion: @escaping @Sendable (NoAnswer?) -> Void) {
        if fails() { return completion(.databaseUnavailable) }
        change { tables in
            tables.handles[login.handle] = login
            tables.events.append(event)
        }
        completion(nil)
    }

    package func remember(_ afterthought: Afterthought) {
        change { tables in
            switch afterthought {
            case .event(let event):
                tables.events.append(event)
            case .failure(let user, let record):
                tables.failures[user, default: []].removeAll { $0.kind == record.kind && $0.source == record.source }
                tables.failures[user, default: []].append(record)
            case .forgive(let user, let kinds):
                tables.failures[user]?.removeAll { kinds.contains($0.kind) }
            case .resynchronisation(let factor, let wait):
                for (user, factors) in tables.factors {
                    tables.factors[user] = factors.map { known in
                        var known = known
                        if known.id == factor { known.resynchronisation = wait }
                        return known
                    }
                }
            }
        }
    }
}

extension RecordedDecision {
    fileprivate func isOfSameRequest(as other: RecordedDecision) -> Bool {
        other.at - at <= Login.retryLife && (request == other.request || retry != nil && retry == other.retry)
    }
}

/// Handles without a key: the text is the bits in hexadecimal. Digests are sums that differ where their input differs.
package struct PlainSeal: HandleSeal {
    package init() {}

    package func text(of handle: HandleID) -> String {
        hex(handle.bits.high) + hex(handle.bits.low)
    }

    package func open(_ text: String) -> HandleID? {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16) else {
            return nil
        }
        return HandleID(Bits128(high: high, low: low))
    }

    package func digest(_ parts: [[UInt8]]) -> Fingerprint {
        var (high, low): (UInt64, UInt64) = (0xCBF2_9CE4_8422_2325, 0x1234_5678)
        for part in parts {
            for byte in part + [0xFF, 0x00, UInt8(truncatingIfNeeded: part.count)] {
                high = (high ^ UInt64(byte)) &* 0x100_0000_01B3
                low = (low &+ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15
            }
        }
        return Fingerprint(Bits128(high: high, low: low))
    }

    private func hex(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
