// SPDX-License-Identifier: Apache-2.0
// Reads YAML by what a key means, never by what a scalar looks like, and names file, line and column of whatever is wrong.

import Administration
import Foundation
import Yams

struct YAMLReader {
    var fileName: String

    struct Entry {
        var key: String
        var keyNode: Yams.Node
        var value: Yams.Node
    }

    func root(_ bytes: [UInt8]) throws -> Yams.Node {
        try YAMLBounds.check(bytes, fileName: fileName)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Refusal(.invalid, "The file is not UTF-8 text.", place: fileName)
        }
        do {
            guard let root = try Parser(yaml: text).singleRoot() else {
                throw Refusal(.invalid, "The file is empty.", remedy: "It begins with `version: 1`.", place: fileName)
            }
            return root
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw Refusal(.invalid, SettingsLayer.words(error, fileName: fileName) + ".")
        }
    }

    func place(_ node: Yams.Node) -> String {
        node.mark.map { "\(fileName):\($0.line):\($0.column)" } ?? fileName
    }

    func refusal(_ node: Yams.Node, _ message: String, _ remedy: String? = nil) -> Refusal {
        Refusal(.invalid, message, remedy: remedy, place: place(node))
    }

    /// The entries of a mapping whose keys are names that somebody chose.
    func entries(_ node: Yams.Node, _ what: String) throws -> [Entry] {
        guard let mapping = node.mapping else {
            if node.null != nil { return [] }
            throw refusal(node, "\(what) must hold keys, not \(kind(node)).")
        }
        return try mapping.map { keyNode, value in
            guard let key = keyNode.scalar?.string else { throw refusal(keyNode, "A key must be a word.") }
            return Entry(key: key, keyNode: keyNode, value: value)
        }
    }

    /// The same where the keys are ours: another one is refused with the nearest.
    func entries(_ node: Yams.Node, _ what: String, keys: [String], coming: [String] = []) throws -> [String: Entry] {
        var found: [String: Entry] = [:]
        for entry in try entries(node, what) {
            guard keys.contains(entry.key) else {
                if coming.contains(entry.key) {
                    throw refusal(entry.keyNode, "\(what): `\(entry.key)` is not in this version yet.", "Take it out.")
                }
                let near = NearNames.nearest(to: entry.key, among: keys)
                throw refusal(
                    entry.keyNode, "\(what) has no key `\(SafeText.line(String(entry.key.prefix(48))))`.",
                    near.isEmpty ? "Its keys are \(Words.list(keys))." : NearNames.question(near))
            }
            found[entry.key] = entry
        }
        return found
    }

    /// A scalar as it stands there: `off`, `07:00` and `2027-02-01` are text.
    func text(_ node: Yams.Node, _ what: String) throws -> String {
        guard let scalar = node.scalar else { throw refusal(node, "\(what) must be text, not \(kind(node)).") }
        guard !(scalar.style == .plain && ["", "~", "null"].contains(scalar.string)) else {
            throw refusal(node, "\(what) has no value.", "Write one, or take the key out.")
        }
        return scalar.string
    }

    /// One scalar, or a list of them.
    func list(_ node: Yams.Node, _ what: String) throws -> [(text: String, node: Yams.Node)] {
        guard let sequence = node.sequence else { return [(try text(node, what), node)] }
        return try sequence.map { (try text($0, what), $0) }
    }

    func isOn(_ node: Yams.Node, _ what: String) throws -> Bool {
        switch try text(node, what) {
        case "on": return true
        case "off": return false
        case let other: throw refusal(node, "\(what) must be on or off, not `\(SafeText.line(String(other.prefix(48))))`.")
        }
    }

    func number(_ node: Yams.Node, _ what: String, unit: String = "") throws -> Int {
        let text = try text(node, what)
        let digits = !unit.isEmpty && text.hasSuffix(unit) ? String(text.dropLast(unit.count)) : text
        guard let number = Int(digits), unit.isEmpty || text.hasSuffix(unit) else {
            throw refusal(
                node,
                "\(what) must be a whole number\(unit.isEmpty ? "" : " and `\(unit)`, such as 14\(unit)"), not `\(SafeText.line(String(text.prefix(48))))`."
            )
        }
        return number
    }

    private func kind(_ node: Yams.Node) -> String {
        if node.mapping != nil { return "keys" }
        if node.sequence != nil { return "a list" }
        return node.null != nil ? "nothing" : "text"
    }
}
