// SPDX-License-Identifier: Apache-2.0
// Cases for `policy test` as YAML; docs/policies/testing.md has every key.

import Administration
import Foundation
import LoginEngine
import Yams

struct PolicyCasesFile {
    static let caseKeys = [
        "name", "user", "group", "client", "client-tag", "from", "country", "at", "zone", "method", "realm", "expect",
    ]
    static let expectKeys = ["policy", "require"]

    let reader: YAMLReader

    init(fileName: String) {
        reader = YAMLReader(fileName: fileName)
    }

    func read(_ bytes: [UInt8]) throws -> [PolicyCase] {
        let root = try reader.root(bytes)
        let keys = try reader.entries(root, "The file", keys: ["cases"])
        guard let entry = keys["cases"], let sequence = entry.value.sequence, !sequence.isEmpty else {
            throw reader.refusal(root, "The file holds no cases.", "Begin it with `cases:` and a list.")
        }
        return try sequence.enumerated().map { try policyCase($1, number: $0 + 1) }
    }

    private func policyCase(_ node: Yams.Node, number: Int) throws -> PolicyCase {
        let keys = try reader.entries(node, "A case", keys: Self.caseKeys)
        func text(_ key: String) throws -> String? { try keys[key].map { try reader.text($0.value, key) } }
        func list(_ key: String) throws -> [String]? { try keys[key].map { try reader.list($0.value, key).map(\.text) } }
        var made = PolicyCase(name: try text("name") ?? "case \(number)", place: reader.place(node))
        made.user = try text("user")
        made.groups = try list("group")
        made.client = try text("client")
        made.clientTags = try list("client-tag")
        made.from = try text("from")
        made.country = try text("country")
        made.at = try keys["at"].map { try time($0.value) }
        made.zone = try text("zone")
        made.method = try text("method")
        made.realm = try text("realm")
        guard let expect = keys["expect"] else {
            throw reader.refusal(node, "A case has to say what it expects.", "Write `expect: { policy: staff, require: password+factor }`.")
        }
        let expected = try reader.entries(expect.value, "expect", keys: Self.expectKeys)
        made.policy = try expected["policy"].map { try reader.text($0.value, "policy") }
        made.require = try expected["require"].map { try reader.text($0.value, "require") }
        return made
    }

    /// `2026-12-01 10:00 Europe/Berlin`; without a zone it is UTC.
    private func time(_ node: Yams.Node) throws -> Instant {
        let text = try reader.text(node, "at")
        let words = text.split(separator: " ").map(String.init)
        let zone = words.count == 3 ? TimeZone(identifier: words[2]) : .gmt
        let bare = words.count == 3 ? words[0] + " " + words[1] : text
        // A test says the same tomorrow: no time that is counted from now.
        guard let zone, bare.first?.isNumber == true, bare.contains("-"), let instant = TimeText.parse(bare, zone: zone) else {
            throw reader.refusal(
                node, "`\(SafeText.line(String(text.prefix(48))))` is no time.",
                "Write it as 2026-12-01 10:00 Europe/Berlin; without a zone it is UTC.")
        }
        return instant
    }
}
