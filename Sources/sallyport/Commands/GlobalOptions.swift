// SPDX-License-Identifier: Apache-2.0
// What every command that manages data takes: which node, and how to print.

import ArgumentParser
import Foundation
import Glibc

struct GlobalOptions: ParsableArguments {
    @Option(name: .customLong("config"), help: ArgumentHelp("The node's settings file.", valueName: "file"))
    var config: String?

    @Option(
        name: [.customLong("data-dir"), .customLong("data-directory")],
        help: ArgumentHelp("The node's data directory.", valueName: "dir"), completion: .directory)
    var dataDirectory: String?

    @Flag(name: .customLong("json"), help: "Print JSON.")
    var isJSON = false

    @Option(name: .customLong("color"), help: ArgumentHelp("auto, always or never; NO_COLOR is minded.", valueName: "when"))
    var color: ColorChoice = .auto

    var output: Output { Output(terminal: .current(color), isJSON: isJSON) }
    var prompts: Prompts { Prompts(terminal: .current(color)) }

    func location() throws(SettingsError) -> NodeLocation {
        var flags: [String: String] = [:]
        flags[SettingKey.dataDirectory.name] = dataDirectory
        return NodeLocation(settings: try Settings.read(flags: flags, file: config))
    }
}

/// Where a node keeps its data, from flags, environment, file and defaults like the node's own.
struct NodeLocation: Sendable {
    var settings: Settings

    var dataDirectory: String { settings.dataDirectory }

    /// The name that stands in actors.
    static let nodeName: String = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.split(separator: ".").first.map(String.init) ?? "localhost"
    }()
}

/// For commands that destroy something.
struct Confirmation: ParsableArguments {
    @Flag(name: [.customLong("yes"), .customShort("y")], help: "Do not ask.")
    var isYes = false
}

enum Switch: String, ExpressibleByArgument, CaseIterable {
    case on, off

    var isOn: Bool { self == .on }
}
