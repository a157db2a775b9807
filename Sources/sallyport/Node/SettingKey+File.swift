// SPDX-License-Identifier: Apache-2.0
// The settings file that the package installs: every key with its meaning, commented out but for what the package decides.

extension SettingKey {
    /// What is not left to the default: the key is made by the package, and systemd hands it to the node.
    private static let decidedByPackage = [masterKeySource.name: "credential"]

    /// packaging/sallyport.yaml
    static var packagedFile: String {
        var lines = [
            "# Settings of the Sallyport node, explained in sallyport.yaml(5).",
            "# What stands behind a # is the default. After a change: systemctl restart sallyport",
            "# A mistake ends the start with one line that names it: journalctl -u sallyport -n 5",
            "# Users, gateways and factors are not here, but in the database: sallyport --help",
        ]
        var section = ""
        for key in all {
            let parts = key.name.split(separator: ".").map(String.init)
            let indent = parts.count == 2 ? "  " : ""
            if parts.count == 1 || section != parts[0] { lines.append("") }
            if parts.count == 2, section != parts[0] { lines.append("\(parts[0]):") }
            section = parts[0]
            lines += wrapped(key.meaning.replacing("`", with: ""), width: 96).map { "\(indent)# \($0)" }
            if case .choice(let choices) = key.kind { lines.append("\(indent)# One of \(choices.joined(separator: ", ")).") }
            let decided = decidedByPackage[key.name]
            lines.append("\(indent)\(decided == nil ? "#" : "")\(parts[parts.count - 1]): \(decided ?? key.sample)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func wrapped(_ text: String, width: Int) -> [String] {
        text.split(separator: " ").reduce(into: [String]()) { lines, word in
            if let last = lines.last, last.count + 1 + word.count <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
    }
}
