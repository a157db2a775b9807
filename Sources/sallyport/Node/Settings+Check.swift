// SPDX-License-Identifier: Apache-2.0
// What a single value may be, and what several may be together.

import Administration
import Foundation
import LoginEngine
import Store
import WebDoor

extension Settings {
    /// The values of one key as text, or why they cannot be. The words follow `place: key`.
    static func check(_ values: [String], for key: SettingKey) throws(SettingsError) {
        switch key.kind {
        case .addresses:
            for value in values {
                do {
                    _ = try ListenAddress(value)
                } catch {
                    throw SettingsError(description: error.description)
                }
            }
            for (index, value) in values.enumerated() where values[..<index].contains(value) && !value.hasSuffix(":0") {
                throw SettingsError(description: "\"\(value)\" is there twice")
            }
        case .choice(let choices):
            guard let value = values.first, choices.contains(value) else {
                let near = values.first.flatMap { NearestName.of($0.lowercased(), in: choices) }.map { "; did you mean \"\($0)\"?" } ?? ""
                throw SettingsError(description: "must be one of \(choices.joined(separator: ", "))\(near)")
            }
        case .text:
            guard let value = values.first, !value.isEmpty else { throw SettingsError(description: "is empty") }
            guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
                throw SettingsError(description: "holds a control character")
            }
            if key.name == SettingKey.database.name { _ = try database(value) }
            if key.name == SettingKey.masterKeySource.name { _ = try masterKeySource(value) }
            if key.name == SettingKey.eapServerName.name { _ = try serverName(value) }
            if key.name == SettingKey.auditAnchorFile.name { _ = try anchorFile(value) }
            if key.name == SettingKey.auditKeep.name || key.name == SettingKey.sessionsKeep.name { _ = try keepTime(value) }
            if key.name == SettingKey.sessionsLostAfter.name { _ = try lostTime(value) }
            if key.name == SettingKey.grantsLongest.name { _ = try grantTime(value) }
            if key.name == SettingKey.eapClientCRLGrace.name { _ = try grace(value) }
            if key.name == SettingKey.eapClientCRLURL.name { _ = try webAddresses(value) }
            if key.name == SettingKey.eapClientOCSP.name { _ = try responder(value) }
            if key.name == SettingKey.eapServerOCSP.name { _ = try staple(value) }
            if key.name == SettingKey.eapClientNames.name { _ = try certificateNames(value) }
            if key.name == SettingKey.webPublicURL.name { _ = try publicURL(value) }
            if key.name == SettingKey.auditLargestSize.name { _ = try size(value) }
        }
    }

    /// The text may hold a password, so an error never repeats it.
    static func database(_ text: String) throws(SettingsError) -> Database {
        if text == "sqlite" { return .sqlite }
        guard text.hasPrefix("postgresql:") || text.hasPrefix("postgres:") else {
            throw SettingsError(description: "must be \"sqlite\", a file in the data directory, or postgresql://host/database")
        }
        do throws(DatabaseError) {
            return .postgres(try PostgresAddress(text))
        } catch {
            throw SettingsError(description: error.message)
        }
    }

    static func masterKeySource(_ text: String) throws(SettingsError) -> MasterKeySource {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let detail = parts.count == 2 ? parts[1] : nil
        if detail != "" {
            switch parts[0] {
            case "file": return .file(detail.map { URL(fileURLWithPath: $0, isDirectory: false).standardizedFileURL.path })
            case "environment": return .environment(detail ?? SettingKey.variablePrefix + "MASTER_KEY")
            // A name with a slash would leave systemd's folder.
            case "credential" where detail?.contains("/") != true: return .credential(detail ?? "sallyport.master-key")
            default: break
            }
        }
        throw SettingsError(description: "must be file, file:PATH, environment, environment:NAME, credential or credential:NAME")
    }

    static func serverName(_ text: String) throws(SettingsError) -> String? {
        if text == "auto" { return nil }
        guard TunnelFiles.isName(text) else {
            throw SettingsError(description: "must be auto, or the name of a host such as radius.example.org")
        }
        return text.lowercased()
    }

    /// Without a slash at its end; nil for `none`.
    static func publicURL(_ text: String) throws(SettingsError) -> String? {
        if text == "none" { return nil }
        let parts = text.wholeMatch(of: /https:\/\/([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?\/?/)?.output
        guard let parts, parts.1.hasPrefix("[") || TunnelFiles.isName(String(parts.1)), parts.2.map({ UInt16($0) != nil }) ?? true else {
            throw SettingsError(description: "must be none, or begin with https:// and name a host, such as https://vpn.example.org:8443")
        }
        // As browsers write it, since what they send is compared with it.
        let port = parts.2.flatMap { UInt16($0) }.map { $0 == 443 ? "" : ":\($0)" } ?? ""
        return "https://\(parts.1.lowercased())\(port)"
    }

    static func anchorFile(_ text: String) throws(SettingsError) -> String? {
        if text == "none" { return nil }
        guard text.hasPrefix("/"), !text.hasSuffix("/") else {
            throw SettingsError(description: "must be none, or a file by its whole path")
        }
        return URL(fileURLWithPath: text, isDirectory: false).standardizedFileURL.path
    }

    static func keepTime(_ text: String) throws(SettingsError) -> Timestamp.Span? {
        if text == "for-ever" { return nil }
        let days: [Substring: Int64] = ["day": 1, "week": 7, "month": 31, "year": 366]
        guard let match = text.wholeMatch(of: /(\d{1,4}) ?(day|week|month|year)s?/)?.output, let count = Int64(match.1), count > 0,
            let length = days[match.2]
        else { throw SettingsError(description: "must be for-ever, or a time such as 90 days, 13 months or 2 years") }
        return .minutes(count * length * 24 * 60)
    }

    static func lostTime(_ text: String) throws(SettingsError) -> Timestamp.Span? {
        if text == "never" { return nil }
        guard text != "for-ever", let time = try? keepTime(text) else {
            throw SettingsError(description: "must be never, or a time such as 1 day or 2 weeks")
        }
        return time
    }

    static func grantTime(_ text: String) throws(SettingsError) -> Timestamp.Span {
        guard let match = text.wholeMatch(of: /(\d{1,4}) ?(minute|hour)s?/)?.output, let count = Int64(match.1), count > 0 else {
            throw SettingsError(description: "must be a time such as 8 hours or 90 minutes")
        }
        let time = Timestamp.Span.minutes(match.2 == "hour" ? count * 60 : count)
        guard time <= Grant.longest else { throw SettingsError(description: "must be 24 hours at most") }
        return time
    }

    static func grace(_ text: String) throws(SettingsError) -> Timestamp.Span {
        if text == "none" { return .seconds(0) }
        guard text != "for-ever", let time = try? keepTime(text) else {
            throw SettingsError(description: "must be none, or a time such as 1 day or 2 weeks")
        }
        return time
    }

    static func certificateNames(_ text: String) throws(SettingsError) -> [CertificateName] {
        var names: [CertificateName] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let name = CertificateName(rawValue: part.trimmingPrefix { $0 == " " }.description), !names.contains(name) else {
                throw SettingsError(
                    description: "must be some of \(CertificateName.allCases.map(\.rawValue).joined(separator: ", ")), each once")
            }
            names.append(name)
        }
        return names
    }

    static func size(_ text: String) throws(SettingsError) -> Int64? {
        if text == "none" { return nil }
        let shifts: [Substring: Int64] = ["M": 20, "G": 30, "T": 40]
        guard let match = text.wholeMatch(of: /(\d{1,6}) ?([MGT])iB/)?.output, let count = Int64(match.1), count > 0,
            let shift = shifts[match.2]
        else { throw SettingsError(description: "must be none, or a size such as 500 MiB or 20 GiB") }
        return count << shift
    }

    func checkAnchorFile() throws(SettingsError) {
        guard let auditAnchorFile else { return }
        do throws(Refusal) {
            try AnchorFile(path: auditAnchorFile).check(outside: dataDirectory)
        } catch {
            throw SettingsError(description: "audit.anchor-file: \(error.message) \(error.remedy ?? "")")
        }
    }

    func checkListeners() throws(SettingsError) {
        for (key, others) in [("web.health", webHealth), ("web.metrics", webMetrics)] {
            if let both = pages.listen.first(where: { $0.port != 0 && others.contains($0) }) {
                throw SettingsError(
                    description: "web.public and \(key) both listen on \(both); one speaks TLS, the other does not: give them two ports")
            }
        }
        guard !radiusListen.isEmpty else {
            throw SettingsError(description: "radius.listen: is empty, so that no gateway could ask; name at least one address")
        }
        if let both = radiusListen.first(where: { $0.port != 0 && radiusAccounting.contains($0) }) {
            throw SettingsError(
                description: "radius.listen and radius.accounting both name \(both); RFC 2866 has two ports: give them two")
        }
        if let both = webHealth.first(where: { $0.port != 0 && webMetrics.contains($0) }) {
            throw SettingsError(
                description:
                    "web.health and web.metrics both listen on \(both); health is for everybody, metrics are not: give them two ports")
        }
    }
}

/// The known name that a mistyped one most likely meant.
enum NearestName {
    static func of(_ typed: String, in names: some Sequence<String>) -> String? {
        let best = names.map { (name: $0, distance: distance(typed, $0)) }.min { $0.distance < $1.distance }
        guard let best, best.distance <= max(2, typed.count / 3), best.distance < typed.count else { return nil }
        return best.name
    }

    /// Insertions, deletions, replacements and swapped neighbours.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for i in 0..<left.count {
            var row = [i + 1] + [Int](repeating: 0, count: right.count)
            for j in 0..<right.count {
                row[j + 1] = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    row[j + 1] = min(row[j + 1], beforeLast[j - 1] + 1)
                }
            }
            beforeLast = last
            last = row
        }
        return last[right.count]
    }
}
