// SPDX-License-Identifier: Apache-2.0
// Where passwords live that are not kept here: another RADIUS server, or an LDAP directory.

/// What a directory is asked by.
package enum DirectoryKind: String, Sendable, CaseIterable {
    case radius
    case ldap
    case activeDirectory = "active-directory"

    package var isLDAP: Bool { self != .radius }
}

/// What is asked of a directory's replies (CVE-2024-3596).
package enum ReplyAuthenticatorRule: String, Sendable, CaseIterable {
    /// A reply without Message-Authenticator is none.
    case require
    /// For old servers: anyone on the way could turn a reject into an accept.
    case allow
}

/// By which name a user is asked for at the directory.
package enum NameSent: String, Sendable, CaseIterable {
    /// The user's own login name, in the letters in which it was typed.
    case own
    /// What the gateway sent, with realm and domain.
    case typed
}

/// One server of a directory.
package struct DirectoryServer: Sendable, Hashable {
    package enum Place: Sendable, Hashable {
        case address(NetworkAddress)
        /// In lower case. Which addresses that are is looked up beside the logins.
        case name(String)
    }

    package var place: Place
    package var port: UInt16

    /// RFC 2865 §3.
    package static let standardPort: UInt16 = 1812
    /// RFC 1035 §2.3.4, RFC 1123 §2.1
    static let longestName = 253
    static let longestLabel = 63

    package init(address: NetworkAddress, port: UInt16 = standardPort) {
        self.init(.address(address), port: port)
    }

    init(_ place: Place, port: UInt16) {
        self.place = place
        self.port = port
    }

    /// Nil where it is an address.
    package var hostName: String? {
        if case .name(let name) = place { name } else { nil }
    }
}

extension DirectoryServer: CustomStringConvertible {
    /// `192.0.2.7`, `192.0.2.7:1645`, `2001:db8::1`, `[2001:db8::1]:1812`, `nps.example`, `nps.example:1645`; nil for anything else.
    package init?(_ text: String) {
        if let address = NetworkAddress(text) {
            self.init(address: address)
            return
        }
        var host = Substring(text)
        var port = Self.standardPort
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            let digits = text[text.index(after: colon)...]
            guard let number = UInt16(digits), number > 0, digits.first != "+" else { return nil }
            host = text[..<colon]
            port = number
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        if let address = NetworkAddress(host) {
            guard address.isIPv4 != isBracketed else { return nil }
            self.init(address: address, port: port)
            return
        }
        guard !isBracketed, let name = Self.hostName(host) else { return nil }
        self.init(.name(name), port: port)
    }

    /// RFC 1123 §2.1. A last label of digits alone would be an address that was mistyped.
    private static func hostName(_ text: Substring) -> String? {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= longestName, let last = labels.last, !last.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            labels.allSatisfy({ label in
                (1...longestLabel).contains(label.utf8.count) && label.utf8.first != 0x2D && label.utf8.last != 0x2D
                    && label.utf8.allSatisfy {
                        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
                    }
            })
        else { return nil }
        return text.lowercased()
    }

    package var description: String {
        switch place {
        case .address(let address): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        case .name(let name): "\(name):\(port)"
        }
    }
}

/// A directory as logins go by it. A value that is replaced as a whole when it changes.
package struct DirectorySettings: Sendable, Equatable {
    /// Unique; lower case letters, digits, `-`, `_`, `.`; 1…64 characters.
    package var name: String
    package var kind: DirectoryKind = .radius
    /// Asked in this order: the next one when the one before is silent.
    package var servers: [DirectoryServer]
    /// Shared with all of its servers that have none of their own.
    package var secret: Secret
    /// Empty where a sealed value does not open.
    package var ownSecrets: [DirectoryServer: Secret] = [:]
    /// How long each sending waits, 100…30000 milliseconds.
    package var timeout: Timestamp.Span = .seconds(3)
    /// How often one server is asked in all, 1…5.
    package var tries = 2
    package var messageAuthenticator: ReplyAuthenticatorRule = .require
    package var nameSent: NameSent = .own
    /// Names of attributes that are taken over from its accepts; none: nothing is.
    package var takes: [String] = []
    /// A disabled one is not asked; its users are not let in.
    package var isEnabled = true
    /// What is asked by LDAP; nil for a RADIUS server, which has `servers`.
    package var ldap: LDAPSettings?
    /// How often its users and groups are synced; nil: by hand alone.
    package var syncEvery: Timestamp.Span?

    package static let mostServers = 8
    package static let mostTaken = 32

    package init(name: String, servers: [DirectoryServer], secret: Secret) {
        self.name = name
        self.servers = servers
        self.secret = secret
    }

    /// Shared with this one; empty: it can be asked nothing.
    package func secret(of server: DirectoryServer) -> Secret { ownSecrets[server] ?? secret }

    /// Servers that can be asked nothing, since the secret does not open.
    package var mute: [DirectoryServer] { servers.filter { secret(of: $0).isEmpty } }

    /// Its servers as they are written, whatever they speak.
    package var serverNames: [String] { ldap?.servers.map(\.description) ?? servers.map(\.description) }

    /// The account that searches cannot: its password does not open, or was never given.
    package var lacksPassword: Bool { ldap?.bind == .service && secret.isEmpty }
}

/// A directory that has a row.
package struct Directory: Sendable, Equatable {
    package var id: Int64
    package var settings: DirectorySettings

    package init(id: Int64, settings: DirectorySettings) {
        self.id = id
        self.settings = settings
    }

    package var name: String { settings.name }
}
