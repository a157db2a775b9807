// SPDX-License-Identifier: Apache-2.0
// Names that nobody has here and that a client's administrator lets another server decide about alone. Pure.

/// Whoever is called like that and is no user here is let in on a directory's word.
package struct PassThroughRule: Sendable, Hashable {
    package var realm: Realm
    /// The row of the directory.
    package var directory: Int64

    package static let mostRules = 32

    package init(_ realm: Realm, directory: Int64) {
        self.realm = realm
        self.directory = directory
    }

    /// The form of a name.
    package enum Realm: Sendable, Hashable {
        /// `user@realm`, behind the last `@`.
        case suffix(String)
        /// `REALM\user`, before the first `\`.
        case prefix(String)
        /// Every name that no rule before it fits.
        case any
    }

    /// The name without the realm that fits; nil when it does not.
    func user(of name: String) -> String? {
        switch realm {
        case .any:
            return name
        case .suffix(let realm):
            guard let at = name.lastIndex(of: "@"), UserName.key(of: name[name.index(after: at)...]) == realm else { return nil }
            return Self.unlessEmpty(name[..<at])
        case .prefix(let realm):
            guard let slash = name.firstIndex(of: "\\"), UserName.key(of: name[..<slash]) == realm else { return nil }
            return Self.unlessEmpty(name[name.index(after: slash)...])
        }
    }

    /// A realm alone is nobody.
    private static func unlessEmpty(_ name: Substring) -> String? { UserName.key(of: name) == nil ? nil : String(name) }
}

extension PassThroughRule.Realm: CustomStringConvertible {
    static let longest = 128

    /// `corp.example`, `CORP\`, `*`; nil for what is none. Case does not count.
    package init?(_ text: String) {
        if text == "*" {
            self = .any
            return
        }
        let isPrefix = text.hasSuffix("\\")
        guard let key = UserName.key(of: isPrefix ? text.dropLast() : text[...]), key.utf8.count <= Self.longest,
            !key.contains(where: { "@\\=*, ".contains($0) })
        else { return nil }
        self = isPrefix ? .prefix(key) : .suffix(key)
    }

    package var description: String {
        switch self {
        case .suffix(let realm): realm
        case .prefix(let realm): realm + "\\"
        case .any: "*"
        }
    }
}

/// Who is passed through, and by which rule. An object, because hardly any login is.
package final class Stranger: Sendable {
    package let rule: PassThroughRule
    /// As the directory may know the name.
    package let name: String
    /// Every key by which this name, written in another way, would be that of a user here, each once; the first was looked up already. Who has a
    /// second factor here must not get past it by typing a realm that this client leaves on names.
    package let nameKeys: [String]
    /// Whoever is right at the directory becomes a user here before anything else is judged.
    package let isNewcomer: Bool

    /// The name itself, without domain, realm and both, and what the directory is asked for.
    package static let mostKeys = 5

    /// Whether the directory may be asked for a name at all. What it takes for the same name has to be the same one here, or a user gets
    /// past the second factor by it: a second realm that is left on here and dropped there, a letter that is another one in a directory's
    /// order of letters (`á` is `a` in Active Directory), a blank that does not count (RFC 4518 §2.6.1).
    package static func mayBeAskedFor(_ name: String) -> Bool {
        name.utf8.allSatisfy { (UInt8(ascii: " ")...UInt8(ascii: "~")).contains($0) }
            && name.utf8.count { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "@") } <= 1
            && !name.contains("  ")
    }

    init(_ name: String, by rule: PassThroughRule, typed: String, lookupKey: String, isNewcomer: Bool = false) {
        self.name = name
        self.isNewcomer = isNewcomer
        self.rule = rule
        var keys = [lookupKey]
        for stripping in NameStripping.allCases {
            if let key = UserName.key(of: typed, stripping: stripping), !keys.contains(key) { keys.append(key) }
        }
        if let key = UserName.key(of: name), !keys.contains(key) { keys.append(key) }
        nameKeys = keys
    }

    /// Whom a password source is asked about in place of a user.
    var asUser: User {
        var user = User(id: -1, name: name, status: .active, passwordHash: nil)
        user.directory = rule.directory
        return user
    }
}

extension ClientSettings {
    /// The first rule that fits a name that nobody has here.
    ///
    /// - Parameter creating: directories that make users of those who are right there. Who that is, their entries say, so that their
    ///   names may be any.
    package func stranger(named name: String, lookupKey: String, creating: Set<Int64> = []) -> Stranger? {
        for rule in passThrough {
            guard let user = rule.user(of: name) else { continue }
            let isNewcomer = creating.contains(rule.directory)
            guard isNewcomer || Stranger.mayBeAskedFor(name) else { return nil }
            return Stranger(user, by: rule, typed: name, lookupKey: lookupKey, isNewcomer: isNewcomer)
        }
        guard let home = home?.directory, creating.contains(home) else { return nil }
        let bare = String(UserName.withoutRealm(UserName.withoutDomain(name[...], nameStripping), nameStripping))
        return Stranger(bare, by: PassThroughRule(.any, directory: home), typed: name, lookupKey: lookupKey, isNewcomer: true)
    }
}

/// What an accept on another server's word leans on: all of it must still be so when it is written.
package struct PassedThrough: Sendable, Equatable {
    package var client: Int64
    package var rule: PassThroughRule
    /// Still nobody's here (`Stranger.nameKeys`).
    package var nameKeys: [String]

    package init(client: Int64, rule: PassThroughRule, nameKeys: [String]) {
        self.client = client
        self.rule = rule
        self.nameKeys = nameKeys
    }
}
