// SPDX-License-Identifier: Apache-2.0
// The users file of FreeRADIUS (mods-config/files/authorize): a name with check items, reply items on indented lines behind it.

internal import LoginEngine

enum FreeRADIUSUsers {
    struct Item {
        var name: String
        var sign: String
        var value: String
    }

    private struct Entry {
        var name: String
        var place: Place
        var checks: [Item]
        var replies: [String] = []
    }

    static func read(_ text: ForeignText, into draft: inout MigrationDraft) throws(MigrationError) {
        var entry: Entry?
        try text.eachLine { number, line throws(MigrationError) in
            let place = text.place(number)
            let trimmed = Characters.trimmed(line)
            guard let first = trimmed.first, first != UInt8(ascii: "#") else { return }
            if let byte = line.first, Characters.isBlank(byte) {
                guard entry != nil else {
                    throw MigrationError(
                        place, "An indented line stands before the first user.", remedy: "Is this a users file, and whole?")
                }
                let items = try items(text.bytes, trimmed, place)
                entry?.replies += items.map(\.name)
                return
            }
            if let done = entry { try take(done, into: &draft) }
            entry = nil
            if first == UInt8(ascii: "$") {
                draft.left(place, Characters.shown(Characters.text(trimmed)), "included files are not opened; name them beside this one")
                return
            }
            var end = trimmed.startIndex
            var name: String
            if first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") {
                (name, end) = try FreeRADIUSQuote.read(text.bytes, from: trimmed.startIndex, until: trimmed.endIndex, at: place)
            } else {
                while end < trimmed.endIndex, !Characters.isBlank(trimmed[end]) { end += 1 }
                name = Characters.text(trimmed[..<end])
            }
            entry = Entry(name: name, place: place, checks: try items(text.bytes, trimmed[end...], place))
        }
        if let entry { try take(entry, into: &draft) }
    }

    /// `Attribute sign value`, with commas between; a comma at the end is fine.
    private static func items(_ bytes: [UInt8], _ line: ArraySlice<UInt8>, _ place: Place) throws(MigrationError) -> [Item] {
        var items: [Item] = []
        var index = line.startIndex
        let end = line.endIndex
        func skipBlanks() { while index < end, Characters.isBlank(line[index]) { index += 1 } }
        while true {
            skipBlanks()
            guard index < end, line[index] != UInt8(ascii: "#") else { return items }
            let start = index
            while index < end, !Characters.isBlank(line[index]), !isSign(line[index]), line[index] != UInt8(ascii: ",") { index += 1 }
            let name = Characters.text(line[start..<index])
            skipBlanks()
            let sign = index
            while index < end, isSign(line[index]) { index += 1 }
            let signText = Characters.text(line[sign..<index])
            skipBlanks()
            guard !name.isEmpty, !signText.isEmpty else {
                throw MigrationError(
                    place, "Here should be an attribute, a sign and a value.", remedy: "Name files of FreeRADIUS: clients.conf, users.")
            }
            var value = ""
            if index < end, line[index] == UInt8(ascii: "\"") || line[index] == UInt8(ascii: "'") {
                (value, index) = try FreeRADIUSQuote.read(bytes, from: index, until: end, at: place)
            } else {
                let start = index
                while index < end, !Characters.isBlank(line[index]), line[index] != UInt8(ascii: ",") { index += 1 }
                value = Characters.text(line[start..<index])
            }
            items.append(Item(name: name, sign: signText, value: value))
            skipBlanks()
            if index < end, line[index] == UInt8(ascii: ",") { index += 1 }
        }
    }

    private static func isSign(_ byte: UInt8) -> Bool { "=:+-!<>~*^".utf8.contains(byte) && byte != UInt8(ascii: "-") }

    private static let hashes: Set<String> = [
        "crypt-password", "md5-password", "smd5-password", "sha-password", "sha1-password", "ssha-password", "ssha1-password",
        "sha2-password",
        "ssha2-224-password", "ssha2-256-password", "ssha2-384-password", "ssha2-512-password", "sha2-224-password", "sha2-256-password",
        "sha2-384-password", "sha2-512-password", "nt-password", "lm-password", "password-with-header", "pbkdf2-password",
        "ns-mta-md5-password",
    ]
    /// Set for an entry, they make it hold at some times or places only: without them it would let in more than before.
    private static let limits: Set<String> = [
        "expiration", "login-time", "current-time", "max-daily-session", "max-all-session", "max-monthly-session",
    ]

    private static func take(_ entry: Entry, into draft: inout MigrationDraft) throws(MigrationError) {
        let what = "user \(Characters.shown(entry.name))"
        if entry.name == "DEFAULT" {
            return draft.left(entry.place, "DEFAULT", "it is a rule and no user: write it as a policy, its reply items as `reply:` of it")
        }
        var password: Secret?
        var remarks: [String] = []
        for check in entry.checks {
            let name = check.name.lowercased()
            switch name {
            case "cleartext-password", "user-password":
                password = Secret(utf8: check.value)
            case "auth-type":
                switch check.value.lowercased() {
                case "reject":
                    return draft.left(entry.place, what, "every login is refused there (Auth-Type := Reject), as it is of nobody here")
                case "accept":
                    return draft.left(entry.place, what, "every password is right there (Auth-Type := Accept), which nobody's is here")
                case "local", "pap", "chap", "mschap", "mschapv2", "eap": break
                default: remarks.append("its password is checked by \(Characters.shown(check.value)) there")
                }
            case _ where hashes.contains(name):
                remarks.append("\(Characters.shown(check.name)) is a hash that is not taken over: set a new password")
            case _ where limits.contains(name) || !(check.sign == ":=" || check.sign == "=" || check.sign == "+="):
                return draft.left(
                    entry.place, what,
                    "it holds under a condition, \(Characters.shown(check.name)): add the user, and say the condition by a policy")
            case "simultaneous-use":
                remarks.append(
                    "Simultaneous-Use: `sallyport user set NAME --sessions \(Characters.number(check.value).map(String.init) ?? "COUNT")`")
            default: remarks.append("\(Characters.shown(check.name)) has no counterpart")
            }
        }
        if !entry.replies.isEmpty {
            let names = entry.replies.prefix(8).map { Characters.shown($0) }.joined(separator: ", ")
            remarks.append("reply items are said of groups, policies and clients here, not of a user: \(names)")
        }
        try draft.take(
            MigratedUser(name: entry.name, password: password), at: entry.place, remarks.isEmpty ? nil : remarks.joined(separator: "; "))
    }
}
