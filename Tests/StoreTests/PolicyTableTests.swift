// SPDX-License-Identifier: Apache-2.0
// Policies, their revisions and order; what logins look up for them; and many changes at once.

import LoginEngine
import Testing

@testable import Store

@Suite struct PolicyTableTests {
    private func open(_ database: TestDatabases, _ folder: TemporaryFolder) throws -> Records {
        try Records(try database.open(in: folder), key: .file(folder.path + "/master.key"), at: start)
    }

    private func write(_ records: Records, at: Timestamp = start, _ drafts: (PolicySet) -> [PolicyDraft]) async throws -> [Policy] {
        let set = try records.policySet()
        let policies = set.applying(drafts(set))
        try await records.replacePolicies(
            policies, over: set, names: PolicyNames(), at: at, events: [Event(.policyChanged, at: at)])
        return policies
    }

    private func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    private func user(_ records: Records, _ name: String, groups: [Int64] = []) async throws -> Int64 {
        var user = NewUser(name: name, key: name, created: start)
        user.groups = groups
        return try await records.addUser(user, event: Event(.userAdded, at: start))
    }

    private func group(_ records: Records, _ name: String) async throws -> Int64 {
        try await records.addGroup(name: name, event: Event(.groupAdded, at: start))
    }

    @Test(arguments: TestDatabases.all) func everyRevisionAndOrderIsKept(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        #expect(try records.policySet().number == 0 && records.policySet().table.isEmpty)
        var full = PolicyRule(name: "staff", requirement: .passwordAndFactor)
        full.when.tags = ["vpn"]
        full.when.methods = ["eap-gtc"]
        full.when.realms = ["otp"]
        full.factors = [.hotp, .totp]
        full.unenrolled = .graceUntil(start + .minutes(5))
        full.isReportOnly = true
        _ = try await write(records) { _ in [PolicyDraft(id: nil, rule: full)] }
        let later = start + .minutes(1)
        var days = full
        days.unenrolled = .graceDays(14)
        let two = try await write(records, at: later) { set in
            [
                PolicyDraft(id: nil, rule: PolicyRule(name: "first", requirement: .deny)),
                PolicyDraft(id: set.records[0].policy.id, rule: days),
            ]
        }
        #expect(two.map(\.label) == ["first@1", "staff@2"])
        #expect(try records.policySet().records.map(\.policy) == two)
        #expect(try records.policySet().records[1].policy.rule == days)
        // Only the order changes: no new revision.
        let turned = try await write(records, at: later + .minutes(1)) { set in
            set.records.reversed().map { PolicyDraft(id: $0.policy.id, rule: $0.policy.rule) }
        }
        #expect(turned.map(\.label) == ["staff@2", "first@1"])
        _ = try await write(records, at: later + .minutes(2)) { _ in [] }
        #expect(try records.policySet().records.isEmpty)
        // A name that is given again goes on counting.
        let again = try await write(records, at: later + .minutes(3)) { _ in [PolicyDraft(id: nil, rule: full)] }
        #expect(again.map(\.label) == ["staff@3"] && again[0].id != two[1].id)

        func labels(_ time: Timestamp) throws -> [String] { try records.policies(at: time).map(\.policy.label) }
        #expect(try labels(start - .seconds(1)) == [])
        #expect(try labels(start) == ["staff@1"])
        #expect(try labels(later) == ["first@1", "staff@2"])
        #expect(try labels(later + .minutes(1)) == ["staff@2", "first@1"])
        #expect(try labels(later + .minutes(2)) == [])
        #expect(try records.policies(at: start)[0].policy.rule == full)
        #expect(try records.policyRevisions(name: "staff").map(\.policy.revision) == [1, 2, 3])
        #expect(try records.verifyChain().findings == [])
    }

    @Test(arguments: TestDatabases.all) func whoReadAnOlderListMayNotWrite(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        let old = try records.policySet()
        _ = try await write(records) { _ in [PolicyDraft(id: nil, rule: PolicyRule(name: "a", requirement: .deny))] }
        let mine = old.applying([PolicyDraft(id: nil, rule: PolicyRule(name: "b", requirement: .password))])
        let head = records.chain.head.seq
        #expect(
            await code {
                try await records.replacePolicies(
                    mine, over: old, names: PolicyNames(), at: start, events: [Event(.policyAdded, at: start)])
            } == .notAllowed)
        #expect(try records.policySet().records.map(\.policy.name) == ["a"] && records.chain.head.seq == head)
    }

    @Test(arguments: TestDatabases.all) func whatAPolicyNamesStays(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        let staff = try await group(records, "staff")
        let settings = ClientSettings(name: "vpn", addresses: [], secret: Secret(utf8: "0123456789abcdef"))
        let client = try await records.addClient(settings, event: Event(.clientAdded, at: start))
        var rule = PolicyRule(name: "p", requirement: .deny)
        rule.when.groups = [staff]
        rule.when.clients = [client.id]
        _ = try await write(records) { [rule] _ in [PolicyDraft(id: nil, rule: rule)] }
        #expect(await code { try await records.removeGroup(staff, event: Event(.groupRemoved, at: start)) } == .notAllowed)
        #expect(await code { try await records.removeClient(client.id, event: Event(.clientRemoved, at: start)) } == .notAllowed)
        rule.when.groups = [staff + 100]
        #expect(await code { _ = try await write(records) { [rule] _ in [PolicyDraft(id: nil, rule: rule)] } } == .notAllowed)
        _ = try await write(records) { _ in [] }
        try await records.removeGroup(staff, event: Event(.groupRemoved, at: start))
        try await records.removeClient(client.id, event: Event(.clientRemoved, at: start))
    }

    @Test(arguments: TestDatabases.all) func tagsOfClientsAreKept(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        var settings = ClientSettings(name: "vpn", addresses: [], secret: Secret(utf8: "0123456789abcdef"))
        settings.tags = ["ikev2", "vpn"]
        let client = try await records.addClient(settings, event: Event(.clientAdded, at: start))
        #expect(try records.clients()[0].settings.tags == ["ikev2", "vpn"])
        settings.tags = []
        try await records.updateClient(client.id, settings, event: Event(.clientChanged, at: start))
        #expect(try records.clients()[0].settings.tags == [])
    }

    @Test(arguments: TestDatabases.all) func loginsLookUpGroupsAndGraceWhenAskedTo(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        let (inner, middle, outer) = (
            try await group(records, "inner"), try await group(records, "middle"), try await group(records, "outer")
        )
        let other = try await group(records, "other")
        try await records.addMember(.group(inner), toGroup: middle, event: Event(.groupChanged, at: start))
        try await records.addMember(.group(middle), toGroup: outer, event: Event(.groupChanged, at: start))
        let alice = try await user(records, "alice", groups: [inner])
        _ = try await user(records, "bob", groups: [other])
        var lookup = LoginLookup(nameKey: "alice", handle: nil)
        #expect(try records.load([lookup], at: start)[0].groups == [])
        lookup.wantsGroups = true
        lookup.wantsGrace = true
        var stranger = lookup
        stranger.nameKey = "mallory"
        let facts = try records.load([lookup, stranger, LoginLookup(nameKey: "bob", handle: nil), lookup], at: start)
        #expect(facts.map { Set($0.groups) } == [[inner, middle, outer], [], [], [inner, middle, outer]])
        #expect(facts.map { $0.user?.name } == ["alice", nil, "bob", "alice"])
        #expect(facts[0].grace == GraceFacts())

        // Grace begins with an accept, once, and ends with a factor that was taken away.
        for minutes in [Int64(3), 9] {
            let at = start + .minutes(minutes)
            let id = LoginID(Bits128(high: 1, low: UInt64(minutes)))
            var settlement = Settlement(
                decision: RecordedDecision(login: id, isAccept: true, at: at, request: Fingerprint(id.bits), retry: nil), user: alice,
                marks: [], handle: nil, event: Event(.loginAccepted, at: at, login: id, user: alice))
            settlement.grace = GraceStart(policy: 5, user: alice, at: at)
            let outcome = await withCheckedContinuation { done in records.settle(settlement) { done.resume(returning: $0) } }
            #expect(outcome == .done)
        }
        #expect(try records.load([lookup], at: start)[0].grace == GraceFacts(began: [5: start + .minutes(3)]))
        let factor = try await records.addFactor(
            NewFactor(user: alice, kind: .totp, label: "app", secret: Secret(utf8: "12345678901234567890"), created: start),
            event: Event(.factorAdded, at: start))
        #expect(try records.graceFacts(ofUser: alice).isOver == false)
        try await records.removeFactor(factor, event: Event(.factorRemoved, at: start))
        #expect(try records.load([lookup], at: start)[0].grace == GraceFacts(began: [5: start + .minutes(3)], isOver: true))
    }

    @Test(arguments: TestDatabases.all) func usersAreCountedByGroupAndFactor(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        let (staff, all) = (try await group(records, "staff"), try await group(records, "all"))
        try await records.addMember(.group(staff), toGroup: all, event: Event(.groupChanged, at: start))
        let alice = try await user(records, "alice", groups: [staff])
        _ = try await user(records, "bob", groups: [staff])
        let carol = try await user(records, "carol", groups: [all])
        _ = try await user(records, "dave")
        try await records.setStatus(.disabled, ofUser: carol, event: Event(.userChanged, at: start))
        _ = try await records.addFactor(
            NewFactor(user: alice, kind: .totp, label: "app", secret: Secret(utf8: "12345678901234567890"), created: start),
            event: Event(.factorAdded, at: start))
        func count(_ groups: [Int64]?, _ earlier: [[Int64]], _ kinds: [FactorKind]?) throws -> [Int] {
            let counts = try records.countUsers(in: Records.PolicyReach(groups: groups, earlier: earlier), without: kinds)
            return [counts.all, counts.without]
        }
        #expect(try count(nil, [[]], nil) == [3, 2])
        #expect(try count([all], [[]], nil) == [2, 1])
        #expect(try count(nil, [[]], [.hotp]) == [3, 3])
        #expect(try count(nil, [[all]], nil) == [1, 1], "an earlier policy decides about the group")
        #expect(try count(nil, [[all], []], nil) == [3, 2], "but not at another client")
        #expect(try count(nil, [], nil) == [0, 0])
    }

    // MARK: All at once

    @Test(arguments: TestDatabases.all) func aRolloutIsWrittenAsAWhole(database: TestDatabases) async throws {
        let folder = TemporaryFolder()
        let records = try open(database, folder)
        defer { records.close() }
        func settings(_ name: String, _ address: UInt32) -> ClientSettings {
            ClientSettings(name: name, addresses: [AddressRange(NetworkAddress(v4: address))], secret: Secret(utf8: "secret of \(name)"))
        }
        let old = try await records.addClient(settings("old", 1), event: Event(.clientAdded, at: start))
        let gone = try await records.addClient(settings("gone", 2), event: Event(.clientAdded, at: start))
        let (kept, dropped) = (try await group(records, "kept"), try await group(records, "dropped"))
        let alice = try await user(records, "alice", groups: [kept])
        let head = records.chain.head.seq

        var rollout = Rollout(revision: try records.revision())
        // Addresses go round: what one client gives up another gets.
        rollout.changedClients = [(old.id, settings("old", 2), Event(.clientChanged, at: start, client: old.id))]
        rollout.newClients = [(settings("new", 1), Event(.clientAdded, at: start))]
        rollout.removedClients = [(gone.id, Event(.clientRemoved, at: start, client: gone.id))]
        rollout.newGroups = [("fresh", Event(.groupAdded, at: start))]
        rollout.removedGroups = [(dropped, Event(.groupRemoved, at: start))]
        rollout.members = [
            Rollout.Membership(group: -1, member: .user(alice), joins: true),
            Rollout.Membership(group: kept, member: .user(alice), joins: false),
            Rollout.Membership(group: kept, member: .group(-1), joins: true),
        ]
        var rule = PolicyRule(name: "p", requirement: .deny)
        rule.when.clients = [-1]
        rule.when.groups = [-1]
        let set = try records.policySet()
        rollout.policies = Rollout.Policies(
            set: set, policies: set.applying([PolicyDraft(id: nil, rule: rule)]),
            names: PolicyNames(clients: [-1: "new"], groups: [-1: "fresh"]))
        rollout.events = [Event(.policyAdded, at: start)]
        var late = rollout
        late.revision -= 1
        let refused = await code { [late] in try await records.roll(out: late, at: start) }
        #expect(refused == .notAllowed && records.chain.head.seq == head)
        #expect(try records.clients().map(\.name) == ["gone", "old"])

        try await records.roll(out: rollout, at: start)
        let clients = try records.clients()
        #expect(clients.map(\.name) == ["new", "old"])
        #expect(clients.map(\.settings) == [settings("new", 1), settings("old", 2)])
        let fresh = try #require(try records.group(name: "fresh"))
        #expect(try records.groups().map(\.name) == ["fresh", "kept"])
        #expect(try records.members(ofGroup: fresh.id) == [.user(alice)])
        #expect(try records.members(ofGroup: kept) == [.group(fresh.id)])
        let policy = try records.policySet().records[0]
        #expect(policy.policy.rule.when.clients == [clients[0].id] && policy.policy.rule.when.groups == [fresh.id])
        #expect(policy.names == PolicyNames(clients: [clients[0].id: "new"], groups: [fresh.id: "fresh"]))
        #expect(records.chain.head.seq == head + 6)
        #expect(try records.events(EventFilter(limit: 9)).contains { $0.event.kind == .clientAdded && $0.event.client == clients[0].id })
        #expect(try records.verifyChain().findings == [])

        // One thing that cannot be, and nothing is.
        var clash = Rollout(revision: try records.revision())
        clash.newGroups = [("other", Event(.groupAdded, at: start))]
        clash.newClients = [(settings("third", 1), Event(.clientAdded, at: start))]
        let clashed = await code { [clash] in try await records.roll(out: clash, at: start) }
        #expect(clashed != nil)
        #expect(try records.group(name: "other") == nil && records.clients().count == 2)
    }
}
