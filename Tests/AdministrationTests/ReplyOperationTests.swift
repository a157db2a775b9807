// SPDX-License-Identifier: Apache-2.0
// Reply attributes as administrators set them: names, values, what is refused and why, and what the trail says.

import LoginEngine
import Store
import Testing

@testable import Administration

@Suite struct ReplyOperationTests {
    @Test func namesComeOutAsTheDictionaryWritesThem() throws {
        let checked = try ReplyDictionary().checked([
            ReplySetting("session-timeout", "60"), ReplySetting("TUNNEL-TYPE:1", "vlan"), ReplySetting("Group", "{group}"),
            ReplySetting("26.9.1", "shell:priv-lvl=15"), ReplySetting("26.64000.1", "0x0102"),
            ReplySetting("Framed-Route", "10.0.0.0/8 0.0.0.0 1"),
        ])
        #expect(checked.map(\.name) == ["Session-Timeout", "Tunnel-Type:1", "group", "Cisco-AVPair", "26.64000.1", "Framed-Route"])
    }

    @Test(
        arguments: [
            ("Sesion-Timeout", "60", "No attribute `Sesion-Timeout`. Did you mean `Session-Timeout`?"),
            ("Session-Timeout", "soon", "Session-Timeout: the value must be a number from 0 to 4294967295."),
            ("Service-Type", "Framed", "Service-Type: the value must be a number"),
            ("Framed-IP-Address", "10.0.0", "Framed-IP-Address: the value must be an IPv4 address such as 192.0.2.1."),
            ("Class", "", "Class: the value is empty."), ("Class", "a\u{7}", "Class: the value holds a control character."),
            ("Class", "{user}", "Class: nothing is known for {user}."), ("Class", "{", "Class: a brace has no partner."),
            ("Filter-Id:1", "x", "Filter-Id:1: the tag behind the colon does not fit."),
            ("Tunnel-Type:32", "VLAN", "Tunnel-Type:32: the tag behind the colon does not fit."),
            ("State", "x", "State: the server sets it by itself"),
            ("MS-MPPE-Send-Key", "x", "MS-MPPE-Send-Key: the server sets it by itself"),
            ("Tunnel-Password", "x", "Tunnel-Password: it goes out hidden"), ("IP-Port-Range", "x", "IP-Port-Range: it only holds others."),
            ("Class", String(repeating: "x", count: 254), "Class: the value has 254 bytes; 253 fit."),
            ("group", String(repeating: "x", count: 248), "group: the value has 248 bytes; 247 fit."),
        ]) func whatCannotGoOutIsRefusedWithTheReason(_ name: String, _ value: String, _ expected: String) throws
    {
        do throws(Refusal) {
            _ = try ReplyDictionary().checked([ReplySetting(name, value)])
            Issue.record("\(name) was taken")
        } catch {
            let text = [error.message, error.remedy ?? ""].joined(separator: " ")
            #expect(text.contains(expected), "\(text)")
            #expect(error.place == "reply" && error.kind == .invalid)
        }
    }

    @Test func allTogetherMustFitIntoAnAnswer() throws {
        let long = ReplySetting("Class", String(repeating: "x", count: 250))
        #expect(throws: Never.self) { try ReplyDictionary().checked([ReplySetting](repeating: long, count: 11)) }
        #expect(throws: Refusal.self) { try ReplyDictionary().checked([ReplySetting](repeating: long, count: 12)) }
        let short = ReplySetting("Class", "x")
        #expect(throws: Never.self) { try ReplyDictionary().checked([ReplySetting](repeating: short, count: 64)) }
        #expect(throws: Refusal.self) { try ReplyDictionary().checked([ReplySetting](repeating: short, count: 65)) }
    }

    @Test func everyProfileHasAnAttributeThatCanBeSet() throws {
        for profile in ClientProfile.all {
            #expect(throws: Never.self) {
                try ReplyDictionary().checked([ReplySetting(profile.groupAttribute, profile.groupPrefix + "staff")])
            }
        }
        #expect(Set(ClientProfile.all.map(\.name)).count == ClientProfile.all.count)
    }

    @Test func aFileSetsThemAndExportWritesTheSame() async throws {
        let office = try Office()
        var blueprint = Blueprint()
        var choices = ClientChoices()
        choices.addresses = ["192.0.2.7"]
        choices.secret = SecretText("secret of the hq client")
        choices.profile = "palo-alto"
        choices.reply = [ReplySetting("session-timeout", "60")]
        blueprint.clients = [Blueprint.Client(name: "hq", place: "f:1", choices: choices)]
        var staff = Blueprint.Group(name: "staff", place: "f:2")
        staff.reply = [ReplySetting("group", "staff")]
        blueprint.groups = [staff]
        var rule = PolicyChoices()
        rule.require = "password"
        rule.reply = [ReplySetting("Class", "a"), ReplySetting("Class", "b")]
        blueprint.policies = [Blueprint.Policy(name: "days", place: "f:3", choices: rule)]
        let first = try await office.perform(ApplyBlueprint(blueprint: blueprint))
        #expect(first.differences.map(\.name) == ["hq", "staff", "days"])
        #expect(office.changes.current.contains(.replies))
        #expect(try await office.perform(ApplyBlueprint(blueprint: blueprint)).changes == false)
        let exported = try await office.perform(ExportBlueprint()).blueprint
        #expect(exported.clients?.first?.choices.reply == [ReplySetting("Session-Timeout", "60")])
        #expect(exported.clients?.first?.choices.profile == "palo-alto")
        #expect(exported.groups?.first?.reply == staff.reply && exported.policies?.first?.choices.reply == rule.reply)
        #expect(try await office.perform(ApplyBlueprint(blueprint: exported)).changes == false)
        staff.reply = []
        blueprint.groups = [staff]
        #expect(try await office.perform(ApplyBlueprint(blueprint: blueprint)).differences.first?.fields.first?.after == "none")
        #expect(try await office.perform(ShowGroup(name: "staff")).reply.isEmpty)
        staff.reply = [ReplySetting("Sesion-Timeout", "60")]
        blueprint.groups = [staff]
        do {
            _ = try await office.perform(ApplyBlueprint(blueprint: blueprint))
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains("Did you mean `Session-Timeout`?") && "\(error)".contains("f:2"))
        }
    }

    @Test func changesAreInTheTrail() async throws {
        let office = try Office()
        try await office.perform(office.client("office"))
        var choices = ClientChoices()
        choices.profile = "fortigate"
        choices.reply = [ReplySetting("group", "staff")]
        try await office.perform(SetClient(client: "office", choices: choices))
        #expect(try office.newest()["change"] == "retry-timeout: 5 → 10; profile: generic → fortigate; reply: none → group = staff")
        #expect(try await office.perform(ShowClient(name: "office")).reply == choices.reply)
        choices.profile = "fortigat"
        await #expect(throws: Refusal.self) { try await office.perform(SetClient(client: "office", choices: choices)) }
        try await office.perform(AddGroup(name: "staff"))
        var set = SetGroup(group: "staff")
        set.reply = [ReplySetting("Idle-Timeout", "600")]
        try await office.perform(set)
        #expect(try office.newest()["change"] == "reply: none → Idle-Timeout = 600")
        #expect(office.changes.current.contains(.replies))
        set.reply = []
        try await office.perform(set)
        #expect(try await office.perform(ShowGroup(name: "staff")).reply.isEmpty)
    }
}
