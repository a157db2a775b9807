// SPDX-License-Identifier: Apache-2.0
// One layer of settings, checked value by value with the place it came from, and offered to swift-configuration.

import Configuration
import Store
import Yams

struct SettingsLayer {
    var name: String
    /// By key name; only keys that exist, only values that are right.
    var values: [String: [String]] = [:]

    static let defaults = SettingsLayer(
        name: "defaults", values: Dictionary(uniqueKeysWithValues: SettingKey.all.map { ($0.name, $0.standard) }))

    private init(name: String, values: [String: [String]]) {
        self.name = name
        self.values = values
    }

    init(flags: [String: String]) throws(SettingsError) {
        name = "flags"
        for key in SettingKey.all {
            guard let text = flags[key.name] else { continue }
            values[key.name] = try Self.checked(Self.split(text, for: key), key, place: key.flag)
            if key.name == SettingKey.database.name, case .postgres(let address) = try Settings.database(text), address.hasPassword {
                throw SettingsError(
                    description: "\(key.flag): holds a password, which every user of this machine can read; use PGPASSFILE or a service")
            }
        }
    }

    init(environment: [String: String]) throws(SettingsError) {
        name = "environment"
        for key in SettingKey.all {
            let names = [key.variable] + (key.otherVariable.map { [$0] } ?? [])
            guard let variable = names.first(where: { environment[$0] != nil }), let text = environment[variable] else { continue }
            values[key.name] = try Self.checked(Self.split(text, for: key), key, place: variable)
        }
    }

    /// A variable that is nearly one of ours. Others that begin with `SALLYPORT_` belong to a wrapper or a test, and are none of our business.
    static func warnings(environment: [String: String]) -> [String] {
        let known = SettingKey.all.map(\.variable) + SettingKey.all.compactMap(\.otherVariable)
        let others = ["CONFIG", "MASTER_KEY"].map { SettingKey.variablePrefix + $0 }
        return environment.keys.sorted().compactMap { variable in
            guard variable.hasPrefix(SettingKey.variablePrefix), !known.contains(variable), !others.contains(variable) else { return nil }
            guard let near = known.first(where: { NearestName.distance($0, variable) <= 2 }) else { return nil }
            return "the environment variable \(variable) is not used; did you mean \(near)?"
        }
    }

    /// swift-configuration joins the layers; checking and reading stay here, because its providers know neither lines nor unknown keys.
    var provider: InMemoryProvider {
        let kinds = Dictionary(uniqueKeysWithValues: SettingKey.all.map { ($0.name, $0.kind) })
        return InMemoryProvider(
            name: name,
            values: Dictionary(
                uniqueKeysWithValues: values.map { name, values in
                    let content: ConfigContent = kinds[name] == .addresses ? .stringArray(values) : .string(values[0])
                    return (AbsoluteConfigKey(ConfigKey(name)), ConfigValue(content, isSecret: name == SettingKey.database.name))
                }))
    }

    private static func split(_ text: String, for key: SettingKey) -> [String] {
        guard key.kind == .addresses else { return [text] }
        return text.split(separator: ",").map { String($0.trimming(while: \.isWhitespace)) }.filter { !$0.isEmpty }
    }

    private static func checked(_ values: [String], _ key: SettingKey, place: String) throws(SettingsError) -> [String] {
        do {
            try Settings.check(values, for: key)
        } catch {
            // A flag or a variable names its key already.
            let subject = place == key.flag || place == key.variable || place == key.otherVariable ? place : "\(place): \(key.name)"
            throw SettingsError(description: "\(subject): \(error.description)")
        }
        return values
    }
}

extension Substring {
    fileprivate func trimming(while predicate: (Character) -> Bool) -> Substring {
        let start = firstIndex { !predicate($0) } ?? endIndex
        guard let end = lastIndex(where: { !predicate($0) }) else { return self[start..<start] }
        return self[start...end]
    }
}

// MARK: - The file

extension SettingsLayer {
    init(yaml: String, fileName: String) throws(SettingsError) {
        name = "file"
        let root: Yams.Node?
        do {
            root = try Parser(yaml: yaml).singleRoot()
        } catch {
            throw SettingsError(description: Self.words(error, fileName: fileName))
        }
        guard let root, root.null == nil else { return }
        guard let mapping = root.mapping else {
            throw SettingsError(description: "\(Self.place(root, fileName)): must be a list of keys, such as \"database: sqlite\"")
        }
        try collect(mapping, prefix: "", fileName: fileName)
    }

    private mutating func collect(_ mapping: Yams.Node.Mapping, prefix: String, fileName: String) throws(SettingsError) {
        for (keyNode, value) in mapping {
            let place = Self.place(keyNode, fileName)
            guard let last = keyNode.scalar?.string else { throw SettingsError(description: "\(place): a key must be a word") }
            let name = prefix + last
            if let key = SettingKey.all.first(where: { $0.name == name }) {
                guard values[name] == nil else { throw SettingsError(description: "\(place): \(name): is there twice") }
                let found = try Self.texts(value, key, fileName: fileName)
                values[name] = try Self.checked(found, key, place: Self.place(value, fileName))
            } else if SettingKey.all.contains(where: { $0.name.hasPrefix(name + ".") }) {
                if value.null != nil { continue }
                guard let inner = value.mapping else {
                    let keys = SettingKey.all.filter { $0.name.hasPrefix(name + ".") }.map { String($0.name.dropFirst(name.count + 1)) }
                    throw SettingsError(
                        description:
                            "\(Self.place(value, fileName)): \(name): must hold keys (\(keys.joined(separator: ", "))), not \(Self.kind(value))"
                    )
                }
                try collect(inner, prefix: name + ".", fileName: fileName)
            } else {
                throw SettingsError(description: "\(place): unknown key \"\(name)\"\(Self.suggestion(name))")
            }
        }
    }

    private static func suggestion(_ name: String) -> String {
        let last = name.split(separator: ".").last.map(String.init) ?? name
        let names = SettingKey.all.map(\.name)
        let sections = Set(names.compactMap { $0.contains(".") ? $0.split(separator: ".").first.map(String.init) : nil }).sorted()
        // A key put one level too high or too low.
        let moved = names.first { $0.hasSuffix("." + last) || $0 == last }
        let near = NearestName.of(name, in: names + sections) ?? moved ?? NearestName.of(last, in: names + sections)
        return near.map { "; did you mean \"\($0)\"?" } ?? "; the keys are \(names.joined(separator: ", "))"
    }

    private static func texts(_ node: Yams.Node, _ key: SettingKey, fileName: String) throws(SettingsError) -> [String] {
        func wrong(_ node: Yams.Node) -> SettingsError {
            let wanted = key.kind == .addresses ? "a list of addresses, such as [\"127.0.0.1:9090\"]" : "text"
            return SettingsError(description: "\(place(node, fileName)): \(key.name): must be \(wanted), not \(kind(node))")
        }
        guard key.kind == .addresses else {
            guard let scalar = node.scalar, isText(scalar) else { throw wrong(node) }
            return [scalar.string]
        }
        if let sequence = node.sequence {
            var texts: [String] = []
            for element in sequence {
                guard let scalar = element.scalar, isText(scalar) else { throw wrong(element) }
                // Checked here, so that the error names this element's own place.
                texts += try checked([scalar.string], key, place: place(element, fileName))
            }
            return texts
        }
        guard let scalar = node.scalar, node.null == nil else { throw wrong(node) }
        return [scalar.string]
    }

    /// YAML reads a plain `5`, `yes` or nothing at all as something else than text.
    private static func isText(_ scalar: Yams.Node.Scalar) -> Bool {
        guard scalar.style == .plain else { return true }
        let node = Yams.Node.scalar(scalar)
        return node.null == nil && node.bool == nil && node.int == nil && node.float == nil
    }

    private static func kind(_ node: Yams.Node) -> String {
        if node.mapping != nil { return "keys" }
        if node.sequence != nil { return "a list" }
        if node.null != nil { return "nothing" }
        if node.scalar?.style == .plain {
            if node.bool != nil { return "yes or no" }
            if node.int != nil || node.float != nil { return "a number" }
        }
        return "text"
    }

    private static func place(_ node: Yams.Node, _ fileName: String) -> String {
        place(node.mark, fileName)
    }

    private static func place(_ mark: Mark?, _ fileName: String) -> String {
        mark.map { "\(fileName):\($0.line):\($0.column)" } ?? fileName
    }

    static func words(_ error: any Error, fileName: String) -> String {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            "\(place(mark, fileName)): not YAML: \(problem)"
        case YamlError.duplicatedKeysInMapping(let duplicates, let context):
            "\(place(context.mark, fileName)): the key \"\(duplicates.first ?? "")\" is there twice"
        case YamlError.reader(let problem, _, _, _):
            "\(fileName): not YAML: \(problem)"
        default:
            "\(fileName): not YAML"
        }
    }
}
