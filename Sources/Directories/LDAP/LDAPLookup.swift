// SPDX-License-Identifier: Apache-2.0
// What is read of one user: the entry, what it is mapped to, the groups.

internal import Foundation
package import LoginEngine

package struct LDAPLookup: Sendable {
    package let directory: Directory
    package let settings: LDAPSettings

    /// A level of groups in groups is one search.
    static let deepestGroups = 16
    /// Names in one filter.
    static let groupsPerSearch = 50

    package init(_ directory: Directory, _ settings: LDAPSettings) {
        self.directory = directory
        self.settings = settings
    }

    var isActiveDirectory: Bool { directory.settings.kind == .activeDirectory }

    /// Nil where the name's domain is none of the directory's.
    package func reading(of name: String) -> DirectoryAccountName? { DirectoryAccountName(name, domains: settings.domains) }

    /// What the user is bound as without a search.
    package func bindName(of name: DirectoryAccountName) -> String {
        let template = settings.bindName ?? "{upn}"
        return LDAPText.filled(template, name) { template.contains("=") ? LDAPText.nameValue($0) : $0 }
    }

    /// The name that is bound is the entry's own.
    var bindsByEntryName: Bool { settings.bind == .direct && settings.bindName?.contains("=") == true }

    var attributes: [String] {
        let map = settings.attributes
        let names = [map.name, map.id, map.email, map.phone, map.groups] + map.aliases
        return isActiveDirectory ? names + ["primaryGroupID", "objectSid"] : names
    }

    /// The one entry of a name; nil: none.
    package func find(_ name: DirectoryAccountName, on connection: LDAPConnection, until: Timestamp, now: () -> Timestamp)
        throws(LDAPFailure) -> LDAPEntry?
    {
        let own = LDAPText.filled(settings.filterText, name, LDAPText.filterValue)
        if bindsByEntryName {
            // Its name says who it is; a filter of the administrator's says who may come all the same.
            let parts = [LDAPFilterPreset(rawValue: settings.filter) == nil ? own : nil, settings.users].compactMap { $0 }
            let filter = parts.isEmpty ? "(objectClass=*)" : parts.count == 1 ? parts[0] : "(&\(parts.joined()))"
            return try connection.search(bindName(of: name), .base, filter, attributes, limit: 1, until: until, now: now).first
        }
        let filter = settings.users.map { "(&\(own)\($0))" } ?? own
        let found = try connection.search(settings.base, .subtree, filter, attributes, limit: 2, until: until, now: now)
        guard found.count < 2 else { throw LDAPFailure(.tooMany, "several entries fit \(filter.prefix(200))") }
        return found.first
    }

    // MARK: Groups

    /// Names of the groups that an entry is in, below the groups' base; nested ones where these count.
    package func groups(
        of entry: LDAPEntry, _ name: DirectoryAccountName, on connection: LDAPConnection, until: Timestamp, now: () -> Timestamp
    ) throws(LDAPFailure) -> [String] {
        let base = settings.groupBase ?? settings.base
        func search(_ filter: String, below base: String) throws(LDAPFailure) -> [String] {
            try connection.search(base, .subtree, filter, ["cn"], limit: DirectoryPerson.mostGroups, until: until, now: now).map(\.dn)
        }
        var seen: [DistinguishedName] = []
        var known: Set<DistinguishedName> = []
        /// - Returns: those that are new, as they are written.
        func take(_ names: [String]) -> [String] {
            names.filter { text in
                guard let name = DistinguishedName(text), known.count < DirectoryPerson.mostGroups, known.insert(name).inserted else {
                    return false
                }
                seen.append(name)
                return true
            }
        }
        if isActiveDirectory {
            // LDAP_MATCHING_RULE_IN_CHAIN ([MS-ADTS] §3.1.1.3.4.4.3): the server follows groups in groups.
            let rule = settings.nested ? "member:1.2.840.113556.1.4.1941:" : "member"
            func around(_ dn: String) throws(LDAPFailure) -> [String] {
                try search("(&(objectClass=group)(\(rule)=\(LDAPText.filterValue(dn))))", below: base)
            }
            _ = take(try around(entry.dn))
            // Which is in no `member` ([MS-ADA3] §2.120).
            if let primary = primaryGroup(of: entry) {
                let found = try search("(objectSid=\(primary.map { "\\" + LDAPText.hex([$0]) }.joined()))", below: settings.base)
                _ = take(found)
                if settings.nested, let first = found.first { _ = take(try around(first)) }
            }
        } else {
            var frontier = take(entry.texts(settings.attributes.groups))
            if frontier.isEmpty {
                let (dn, account) = (
                    LDAPText.filterValue(entry.dn), LDAPText.filterValue(entry.text(settings.attributes.name) ?? name.account)
                )
                frontier = take(try search("(|(member=\(dn))(uniqueMember=\(dn))(memberUid=\(account)))", below: base))
            }
            var depth = 0
            // A circle ends where nothing new is found.
            while settings.nested, !frontier.isEmpty, depth < Self.deepestGroups {
                depth += 1
                var next: [String] = []
                for start in stride(from: 0, to: frontier.count, by: Self.groupsPerSearch) {
                    let part = frontier[start..<min(start + Self.groupsPerSearch, frontier.count)].map(LDAPText.filterValue)
                    let filter = part.map { "(member=\($0))(uniqueMember=\($0))" }.joined()
                    next += take(try search("(|\(filter))", below: base))
                }
                frontier = next
            }
        }
        let root = DistinguishedName(base)
        return seen.filter { group in root.map { group.isBelow($0) } ?? true }.map(\.firstValue)
    }

    /// The identifier of the primary group: the user's own with another last part ([MS-DTYP] §2.4.2).
    func primaryGroup(of entry: LDAPEntry) -> [UInt8]? {
        guard let sid = entry.bytes("objectSid").first, sid.count >= 12, sid.count <= 68,
            let relative = entry.text("primaryGroupID").flatMap({ UInt32($0) })
        else { return nil }
        return sid.dropLast(4) + (0..<4).map { UInt8(truncatingIfNeeded: relative >> (8 * UInt32($0))) }
    }

    // MARK: Mapping

    /// Values that are no text, or none that could be kept here, are left out.
    package func person(_ entry: LDAPEntry, groups: [String]) -> DirectoryPerson {
        let map = settings.attributes
        let name = entry.text(map.name).flatMap { UserName.key(of: $0) == nil ? nil : $0 }
        var aliases = map.aliases.flatMap { entry.texts($0) }
        if let name, let home = settings.domains.first {
            aliases.append("\(name)@\(home)")
            aliases += settings.domains.filter { !$0.contains(".") }.map { "\($0)\\\(name)" }
        }
        return DirectoryPerson(
            directory: directory.id, directoryName: directory.name, key: key(of: entry), name: name,
            aliases: Array(aliases.filter { UserName.key(of: $0) != nil }.prefix(LDAPAttributes.mostAliases)),
            email: entry.text(map.email).flatMap(Self.email), phone: entry.text(map.phone).flatMap(Self.phone), groups: groups,
            creates: settings.creates)
    }

    static let longestKey = 512

    func key(of entry: LDAPEntry) -> String {
        let value = entry.bytes(settings.attributes.id).first ?? []
        if !value.isEmpty, value.count <= Self.longestKey / 2 {
            let isText = value.allSatisfy { (0x21...0x7E).contains($0) }
            return isText ? String(decoding: value, as: UTF8.self).lowercased() : LDAPText.hex(value)
        }
        // Where entries have none, whoever is moved is another one.
        let name = DistinguishedName(entry.dn)?.joined ?? entry.dn.lowercased()
        return "dn:" + String(name.prefix(Self.longestKey - 3))
    }

    private static func email(_ text: String) -> String? {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = text.unicodeScalars.allSatisfy { !$0.properties.isWhitespace && $0.properties.generalCategory != .control }
        return parts.count == 2 && !parts[0].isEmpty && parts[1].contains(".") && text.utf8.count <= 254 && isPlain ? text : nil
    }

    /// E.164, without the marks that people write between.
    private static func phone(_ text: String) -> String? {
        let bare = text.filter { !" -./()".contains($0) }
        let digits = bare.utf8.dropFirst()
        let isNumber = bare.hasPrefix("+") && (7...15).contains(digits.count) && digits.allSatisfy { (0x30...0x39).contains($0) }
        return isNumber && !bare.hasPrefix("+0") ? bare : nil
    }
}
