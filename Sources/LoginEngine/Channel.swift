// SPDX-License-Identifier: Apache-2.0
// Ways to reach people beside their logins: a mail server.

package enum ChannelKind: String, Sendable, CaseIterable {
    case smtp
}

/// How what goes to a mail server is kept from others (RFC 3207, RFC 8314).
package enum MailSecurity: String, Sendable, CaseIterable {
    /// Not at all: for a server on this host, or on a wire of one's own.
    case none
    /// Begins in the open, and nothing is sent before TLS is agreed on.
    case starttls
    case tls

    /// RFC 6409 §3.1; RFC 8314 §7.3.
    package var standardPort: UInt16 { self == .tls ? 465 : 587 }
}

/// Where mail is handed over.
package struct MailServer: Sendable, Hashable, CustomStringConvertible {
    /// A host name in lower case, or an address without brackets.
    package var host: String
    /// Nil: what its security says.
    package var port: UInt16?

    /// `smtp.corp.example`, `smtp.corp.example:587`, `192.0.2.25:25`, `[2001:db8::25]:25`; nil for anything else.
    package init?(_ text: String) {
        guard let server = DirectoryServer(text) else { return nil }
        switch server.place {
        case .address(let address): host = "\(address)"
        case .name(let name): host = name
        }
        // An address by itself holds colons too, and ends in none.
        let isPortGiven = NetworkAddress(text) == nil && !text.hasSuffix("]") && text.contains(":")
        port = isPortGiven ? server.port : nil
    }

    /// As a URL has it.
    package var bracketed: String { host.contains(":") ? "[\(host)]" : host }

    package var description: String { port.map { "\(bracketed):\($0)" } ?? (host.contains(":") ? bracketed : host) }

    /// Whether what goes there stays on this host.
    package var isLoopback: Bool {
        NetworkAddress(host)?.isLoopback ?? (host == "localhost")
    }
}

/// A channel as mail goes by it. A value that is replaced as a whole when it changes.
package struct ChannelSettings: Sendable, Equatable {
    /// Unique; lower case letters, digits, `-`, `_`, `.`; 1…64 characters.
    package var name: String
    package var kind: ChannelKind = .smtp
    package var server: MailServer
    package var security: MailSecurity = .starttls
    /// PEM of those who may have signed the server's certificate; nil: the system's.
    package var authorities: String?
    /// Nil: nobody logs in there.
    package var userName: String?
    /// The password of that user; empty where it does not open.
    package var secret = Secret([])
    /// Whose mail it is, `vpn@corp.example`.
    package var sender: String
    /// What people see beside it.
    package var senderName: String?
    /// For all of one mail, 1…120 seconds.
    package var timeout: Timestamp.Span = .seconds(30)
    /// How many mails go out in a minute at most, 1…6000.
    package var perMinute = 60
    package var isEnabled = true

    package init(name: String, server: MailServer, sender: String) {
        self.name = name
        self.server = server
        self.sender = sender
    }

    package var port: UInt16 { server.port ?? security.standardPort }
}

/// A channel that has a row.
package struct Channel: Sendable, Equatable {
    package var id: Int64
    package var settings: ChannelSettings

    package init(id: Int64, settings: ChannelSettings) {
        self.id = id
        self.settings = settings
    }

    package var name: String { settings.name }
}
