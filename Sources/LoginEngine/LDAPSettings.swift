// SPDX-License-Identifier: Apache-2.0
// How a directory is asked that speaks LDAP: OpenLDAP, FreeIPA, 389 DS, Active Directory, Samba.

/// One server that speaks LDAP.
package struct LDAPServer: Sendable, Hashable {
    package enum Security: String, Sendable, CaseIterable {
        /// TLS from the first byte.
        case tls = "ldaps"
        /// TLS by StartTLS (RFC 4511 §4.14), or no login.
        case startTLS = "starttls"
        /// Passwords can be read on the way.
        case plain = "ldap"

        package var standardPort: UInt16 { self == .tls ? 636 : 389 }
    }

    package var security: Security
    /// A host name in lower case, or an address; certificates are held against it.
    package var host: String
    package var port: UInt16

    /// What libldap goes by.
    package var url: String { "\(security == .tls ? "ldaps" : "ldap")://\(shownHost):\(port)" }

    private var shownHost: String { host.contains(":") ? "[\(host)]" : host }
}

extension LDAPServer: CustomStringConvertible {
    /// `ldaps://dc1.corp.example`, `starttls://192.0.2.7`, `ldap://[2001:db8::1]:1389`; nil for anything else.
    package init?(_ text: String) {
        guard let separator = text.firstRange(of: "://"), let security = Security(rawValue: text[..<separator.lowerBound].lowercased())
        else { return nil }
        var rest = text[separator.upperBound...]
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        var port = security.standardPort
        var host = rest
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end]
            guard let address = NetworkAddress(host), !address.isIPv4 else { return nil }
            rest = rest[rest.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
        } else if let colon = rest.firstIndex(of: ":") {
            host = rest[..<colon]
            rest = rest[colon...]
        } else {
            rest = ""
        }
        if rest.hasPrefix(":") {
            let digits = rest.dropFirst()
            guard let number = UInt16(digits), number > 0, digits.first != "+" else { return nil }
            port = number
        }
        // The same rules as for any other server's name.
        guard host.contains(":") || DirectoryServer("\(host)") != nil else { return nil }
        self.init(security: security, host: host.lowercased(), port: port)
    }

    package var description: String {
        "\(security.rawValue)://\(shownHost)" + (port == security.standardPort ? "" : ":\(port)")
    }
}

/// Who asks the directory for a user's entry.
package enum LDAPBind: String, Sendable, CaseIterable {
    /// The user's own name and password: no account is needed.
    case direct
    /// An account searches, then the user's entry is bound as.
    case service
}

/// The names of attributes that users are read from.
package struct LDAPAttributes: Sendable, Equatable {
    package var name: String
    package var id: String
    /// Other names that the user may type.
    package var aliases: [String]
    package var email: String
    package var phone: String
    /// Lists the groups that an entry is in.
    package var groups: String

    package init(name: String, id: String, aliases: [String], email: String = "mail", phone: String, groups: String = "memberOf") {
        self.name = name
        self.id = id
        self.aliases = aliases
        self.email = email
        self.phone = phone
        self.groups = groups
    }

    package static func standard(of kind: DirectoryKind) -> LDAPAttributes {
        kind == .activeDirectory
            ? LDAPAttributes(name: "sAMAccountName", id: "objectGUID", aliases: ["userPrincipalName"], phone: "mobile")
            : LDAPAttributes(name: "uid", id: "entryUUID", aliases: [], phone: "mobile")
    }

    package static let mostAliases = 8
}

/// Filters for directories as they come. `{name}` is what the user typed, `{account}` the same without domain, `{upn}` with it.
package enum LDAPFilterPreset: String, Sendable, CaseIterable {
    case activeDirectory = "active-directory"
    case samba
    case openLDAP = "openldap"
    case freeIPA = "freeipa"

    package var filter: String {
        switch self {
        case .activeDirectory, .samba:
            "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={account})(userPrincipalName={upn})))"
        case .openLDAP: "(&(|(objectClass=inetOrgPerson)(objectClass=posixAccount))(uid={account}))"
        case .freeIPA: "(&(objectClass=posixAccount)(uid={account}))"
        }
    }
}

package struct LDAPSettings: Sendable, Equatable {
    /// Asked in this order: the next one when the one before does not answer.
    package var servers: [LDAPServer] = []
    /// PEM; nil: the authorities that this machine trusts.
    package var caFile: String?
    /// Where users are searched.
    package var base = ""
    package var bind = LDAPBind.service
    /// What the user is bound as with `direct`: `{upn}`, or a DN with `{account}` in it.
    package var bindName: String?
    /// Who searches with `service`; the password is the directory's secret.
    package var account: String?
    /// A preset's word, or a filter of the administrator's own.
    package var filter: String
    /// Holds for everybody who is let in.
    package var users: String?
    /// What may stand behind `@` or before `\`; the first makes `{upn}`. Empty: names are taken as they are.
    package var domains: [String] = []
    package var attributes: LDAPAttributes
    /// Where groups are; nil: below `base`.
    package var groupBase: String?
    /// Groups that contain the user's groups count too.
    package var nested = true
    /// Whether somebody who is right there and unknown here becomes a user at the first login.
    package var creates = true

    package init(_ kind: DirectoryKind) {
        attributes = .standard(of: kind)
        filter = (kind == .activeDirectory ? LDAPFilterPreset.activeDirectory : .openLDAP).rawValue
        bind = kind == .activeDirectory ? .direct : .service
        if kind == .activeDirectory { bindName = "{upn}" }
    }

    package static let mostServers = 8
    package static let mostDomains = 16
    package static let longestText = 2_048

    package var filterText: String { LDAPFilterPreset(rawValue: filter)?.filter ?? filter }
}

/// A typed name as a directory of certain domains reads it. Pure.
package struct DirectoryAccountName: Sendable, Equatable {
    package var name: String
    package var account: String
    package var upn: String

    /// - Returns: nil where the domain is none of the directory's, so that it is asked nothing.
    package init?(_ name: String, domains: [String]) {
        self.name = name
        account = name
        upn = name
        guard let home = domains.first else { return }
        func isOurs(_ domain: Substring) -> Bool { domains.contains { $0.lowercased() == domain.lowercased() } }
        if let slash = name.firstIndex(of: "\\") {
            guard isOurs(name[..<slash]) else { return nil }
            account = String(name[name.index(after: slash)...])
            // One domain, not two: what is behind it is an account.
            guard !account.contains("\\"), !account.contains("@") else { return nil }
            upn = "\(account)@\(home)"
        } else if let at = name.lastIndex(of: "@") {
            guard isOurs(name[name.index(after: at)...]) else { return nil }
            // Only in the first domain an account is known by its name and the domain's too.
            if name[name.index(after: at)...].lowercased() == home.lowercased() { account = String(name[..<at]) }
        } else {
            upn = "\(name)@\(home)"
        }
        guard !account.isEmpty else { return nil }
    }
}
