// SPDX-License-Identifier: Apache-2.0
// What an accept carries: which of several settings counts, what fills the places of a text, and that it is the same on every way.

import LoginEngine
import TestSupport
import Testing

/// Every attribute is its name and its value in letters, so that tests read what went out.
struct LetterEncoder: ReplyEncoder {
    func identity(of name: String) -> String? { name.hasPrefix("No-") ? nil : name.split(separator: ":").first.map(String.init) }

    func encode(_ name: String, _ value: String) -> [UInt8]? {
        identity(of: name) == nil || value.utf8.count > 40 ? nil : Array("\(name)=\(value);".utf8)
    }
}

@Suite struct ReplyTextTests {
    @Test(arguments: [
        ("staff", "staff"), ("{user.name}@{client}", "alice@vpn"), ("{group}/{groups}", "staff/staff;vpn users"), ("{policy}", "days"),
        ("{session-timeout}", "60"), ("{{user.name}}", "{user.name}"), ("a{{b}}c{client}}}", "a{b}cvpn}"), ("", ""),
    ])
    func placesAreFilled(_ text: String, _ expected: String) throws {
        let facts = ReplyFacts(client: "vpn", policy: "days", group: "staff", groups: ["staff", "vpn users"])
        #expect(try ReplyText(text).filled(user: "alice", facts, sessionTimeout: "60") == expected)
    }

    @Test(arguments: [
        ("{user}", ReplyText.Problem.unknownPlace("user")), ("{", .looseBrace), ("}", .looseBrace), ("a}b", .looseBrace),
        ("{user.name", .looseBrace), ("{{}", .looseBrace), ("{}", .unknownPlace("")), ("{ group }", .unknownPlace(" group ")),
    ])
    func whatIsNoPlaceIsRefused(_ text: String, _ problem: ReplyText.Problem) {
        #expect(throws: problem) { try ReplyText(text) }
    }

    @Test(arguments: ["{group}", "{groups}", "{policy}", "{session-timeout}"])
    func aPlaceThatNothingIsKnownForIsNamed(_ text: String) {
        #expect(throws: ReplyText.Missing.self) {
            try ReplyText(text).filled(user: "alice", ReplyFacts(client: "vpn"), sessionTimeout: nil)
        }
    }
}

@Suite struct ReplyTableTests {
    func client(_ profile: String = "generic", _ reply: [ReplySetting] = []) -> Client {
        LoginBench.client {
            $0.profile = profile
            $0.reply = reply
        }
    }

    func policy(_ reply: [ReplySetting], groups: [Int64] = []) -> Policy {
        var rule = PolicyRule(name: "days", requirement: .password)
        rule.reply = reply
        rule.when.groups = groups
        return Policy(id: 5, revision: 1, rule: rule)
    }

    func lines(_ table: ReplyTable, _ client: Client, _ policy: Policy? = nil, groups: [Int64] = []) -> [String] {
        table.plan(for: client, policy: policy, groups: groups)?.lines(user: "alice").map { "\($0.name)=\((try? $0.value.get()) ?? "!")" }
            ?? []
    }

    @Test func withoutAnySettingThereIsNothingToAsk() {
        let table = ReplyTable(clients: [client()], policies: [policy([])], groups: [(1, "staff", [])], encoder: LetterEncoder())
        #expect(table.isEmpty && table.plan(for: client(), policy: nil, groups: []) == nil && !table.looksUpGroups(for: client()))
    }

    @Test func aPolicyStandsInForGroupsAndGroupsForTheClient() {
        let gateway = client("generic", [ReplySetting("A", "c"), ReplySetting("B", "c"), ReplySetting("C", "c"), ReplySetting("C", "c2")])
        let days = policy([ReplySetting("A", "p")])
        let table = ReplyTable(
            clients: [gateway], policies: [days],
            groups: [
                (2, "b-team", [ReplySetting("B", "second"), ReplySetting("D", "second")]),
                (1, "a-team", [ReplySetting("A", "first"), ReplySetting("B:1", "first"), ReplySetting("B:2", "first")]),
            ], encoder: LetterEncoder())
        #expect(table.looksUpGroups(for: gateway))
        #expect(lines(table, gateway, days, groups: [1, 2]) == ["A=p", "B:1=first", "B:2=first", "D=second", "C=c", "C=c2"])
        #expect(lines(table, gateway, nil, groups: [2]) == ["B=second", "D=second", "A=c", "C=c", "C=c2"])
        #expect(lines(table, client("citrix"), nil, groups: []) == ["A=c", "B=c", "C=c", "C=c2"])
    }

    @Test(arguments: [
        ("cisco-asa", "ASA-Group-Policy=staff"), ("fortigate", "Fortinet-Group-Name=staff"), ("palo-alto", "PaloAlto-User-Group=staff"),
        ("sonicwall", "SonicWall-User-Group=staff"), ("citrix", "Citrix-User-Groups=staff"), ("generic", "Filter-Id=staff"),
        ("strongswan", "Class=staff"), ("ocserv", "Class=OU=staff"), ("mikrotik", "Mikrotik-Group=staff"),
    ])
    func theGroupGoesOutInTheAttributeOfTheProduct(_ profile: String, _ expected: String) {
        let days = policy([ReplySetting("group", "{group}")], groups: [2])
        let table = ReplyTable(
            clients: [client(profile)], policies: [days], groups: [(1, "all", []), (2, "staff", [])], encoder: LetterEncoder())
        // The group that the policy names, not the first by name.
        #expect(lines(table, client(profile), days, groups: [1, 2]) == [expected])
    }

    @Test func groupsAreLookedUpWhereATextAsksForThem() {
        let asks = client("generic", [ReplySetting("A", "{groups}")])
        let other = Client(id: 99, settings: client("generic", [ReplySetting("A", "x")]).settings)
        let table = ReplyTable(clients: [asks, other], policies: [], groups: [(1, "staff", [])], encoder: LetterEncoder())
        #expect(table.looksUpGroups(for: asks) && !table.looksUpGroups(for: other))
    }
}

@Suite struct ReplyLoginTests {
    func bench(_ reply: [ReplySetting], _ change: (inout ClientSettings) -> Void = { _ in }) -> (LoginBench, Client) {
        let bench = LoginBench()
        let client = LoginBench.client {
            $0.reply = reply
            change(&$0)
        }
        bench.logins.rulebook.replies = ReplyTable(clients: [client], policies: [], groups: [], encoder: LetterEncoder())
        return (bench, client)
    }

    func carried(_ answer: LoginAnswer?) -> String? {
        guard case .accept(_, _, let reply) = answer else { return nil }
        return String(decoding: reply, as: UTF8.self)
    }

    @Test func itReachesTheAcceptAtOnceAndBehindAChallenge() {
        let (bench, client) = bench([ReplySetting("A", "fixed"), ReplySetting("B", "{user.name}")])
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        let answer = bench.ask(bench.request("111111", client: client, handle: challenge?.handle))
        #expect(carried(answer) == "A=fixed;B=alice;")
        #expect(bench.records.events.last?["reply"] == "A, B")
        let (single, append) = self.bench([ReplySetting("A", "fixed")]) { $0.asking = .append }
        #expect(carried(single.ask(single.request("\(LoginBench.password),111111", client: append))) == "A=fixed;")
    }

    @Test func aRetryOfADecisionCarriesWhatTheDecisionDid() {
        let (bench, client) = bench([ReplySetting("A", "before")])
        let challenge = bench.ask(bench.request(LoginBench.password, client: client))?.challenge
        let request = bench.request("111111", client: client, handle: challenge?.handle)
        #expect(carried(bench.ask(request)) == "A=before;")
        // What is set meanwhile is for logins to come.
        bench.logins.rulebook.replies = .empty
        #expect(carried(bench.ask(request)) == "A=before;")
    }

    @Test(arguments: [
        (ReplySetting("A", "{group}"), "reply A: no-group"), (ReplySetting("No-Such", "x"), "reply No-Such: unknown-attribute"),
        (ReplySetting("A", String(repeating: "x", count: 41)), "reply A: value-unfit"),
        (ReplySetting("A", "}"), "reply A: text-unreadable"),
    ])
    func nobodyIsLetInWithoutAnAttributeThatWasToGoOut(_ setting: ReplySetting, _ step: String) {
        let (bench, client) = bench([ReplySetting("B", "right"), setting]) { $0.requirement = .password }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.rejections == ["reply-attribute-unfit"])
        #expect(bench.records.events.last?["steps"]?.contains(step) == true)
    }

    @Test func attributesThatDoNotFitTogetherLetNobodyIn() {
        let many = (0..<80).map { ReplySetting("A:\($0)", String(repeating: "x", count: 40)) }
        let (bench, client) = bench(many) { $0.requirement = .password }
        #expect(bench.ask(bench.request(LoginBench.password, client: client))?.isReject == true)
        #expect(bench.rejections == ["reply-attribute-unfit"])
    }
}
