// SPDX-License-Identifier: Apache-2.0
// Reply attributes as client, group and policy keep them, on every database.

import LoginEngine
import Testing

@testable import Store

@Suite struct ReplyTests {
    let reply = [ReplySetting("Class", "{user.name} \"ä\" \\ /"), ReplySetting("Tunnel-Type:1", "VLAN"), ReplySetting("Class", "second")]

    @Test(arguments: TestDatabases.all) func clientsGroupsAndPoliciesKeepThem(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.close()
        let records = try Records(try kind.open(in: fixture.folder), key: fixture.key, at: start, options: Records.Options())
        defer { records.close() }
        var settings = ClientSettings(name: "vpn", addresses: [], secret: Secret(utf8: "a secret of the vpn"))
        settings.profile = "fortigate"
        settings.reply = reply
        let client = try await records.addClient(settings, event: Event(.clientAdded, at: start))
        #expect(try records.client(id: client.id)?.settings == settings)
        settings.reply = []
        settings.profile = "generic"
        try await records.updateClient(client.id, settings, event: Event(.clientChanged, at: start))
        #expect(try records.client(id: client.id)?.settings == settings)

        let group = try await records.addGroup(name: "staff", event: Event(.groupAdded, at: start))
        #expect(try records.group(name: "staff")?.reply == [])
        let before = try records.revision()
        try await records.setReply(ofGroup: group, reply, event: Event(.groupChanged, at: start))
        #expect(try records.group(name: "staff")?.reply == reply)
        #expect(try records.revision() > before)
        await #expect(throws: StoreError.self) {
            try await records.setReply(ofGroup: group + 1, reply, event: Event(.groupChanged, at: start))
        }

        var rule = PolicyRule(name: "days", requirement: .password)
        rule.reply = reply
        let set = try records.policySet()
        let policies = set.applying([PolicyDraft(id: nil, rule: rule)])
        try await records.replacePolicies(policies, over: set, names: PolicyNames(), at: start, events: [])
        #expect(try records.policySet().records.first?.policy.rule == rule)
    }

    @Test func whatIsNoListIsNone() {
        for text in ["x", "{}", "[[\"a\"]]", "[[\"a\",\"b\",\"c\"]]"] { #expect(ReplyBody.settings(text) == nil) }
        #expect(ReplyBody.settings("") == [] && ReplyBody.json([]) == "")
        #expect(ReplyBody.settings(ReplyBody.json(reply)) == reply)
    }
}
