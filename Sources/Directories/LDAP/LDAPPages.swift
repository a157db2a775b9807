// SPDX-License-Identifier: Apache-2.0
// Everybody below a directory's base, and every group, a page at a time over one connection.

internal import Dispatch
package import LoginEngine
internal import Synchronization

package struct LDAPPages: DirectoryPages {
    private let directory: Directory
    private let settings: LDAPSettings
    private let lookup: LDAPLookup

    /// Active Directory gives 1,000 at most.
    static let pageSize = 500
    /// Of one page; the first one may have to be sorted out on the server.
    static let patience: Timestamp.Span = .seconds(60)

    /// Nil for a directory that is not asked by LDAP.
    package init?(_ directory: Directory) {
        guard let settings = directory.settings.ldap else { return nil }
        self.directory = directory
        self.settings = settings
        lookup = LDAPLookup(directory, settings)
    }

    package func read(_ take: @escaping @Sendable (DirectoryPage) -> Void) async throws(DirectoryReadFailure) {
        // Blocking work has a thread of its own: it lasts as long as the directory takes.
        let result: Result<Void, DirectoryReadFailure> = await withCheckedContinuation { continuation in
            DispatchQueue(label: "sallyport.sync").async {
                continuation.resume(returning: Result { () throws(DirectoryReadFailure) in try readAll(take) })
            }
        }
        try result.get()
    }

    private func uptime() -> Timestamp { BlockingPool.uptime() }

    private func readAll(_ take: (DirectoryPage) -> Void) throws(DirectoryReadFailure) {
        do throws(LDAPFailure) {
            let connection = try connect()
            defer { connection.close() }
            var reading = LDAPReading(lookup: lookup, settings: settings)
            try each(connection, settings.groupBase ?? settings.base, reading.groupFilter, reading.groupAttributes) {
                take(.groups($0.map { reading.group($0) }))
            }
            try each(connection, settings.base, reading.userFilter, reading.userAttributes) { take(.users($0.map { reading.user($0) })) }
        } catch {
            throw DirectoryReadFailure(error.text)
        }
    }

    private func each(
        _ connection: LDAPConnection, _ base: String, _ filter: String, _ attributes: [String], _ take: ([LDAPEntry]) -> Void
    ) throws(LDAPFailure) {
        var cookie: [UInt8]?
        repeat {
            let page = try connection.page(
                of: base, filter, attributes, size: Self.pageSize, after: cookie, until: uptime() + Self.patience, now: uptime)
            // A server that never ends gives the same page for ever.
            guard page.cookie == nil || page.cookie != cookie || !page.entries.isEmpty else {
                throw LDAPFailure(.unreachable, "\(connection.server) sends empty pages without end")
            }
            if !page.entries.isEmpty { take(page.entries) }
            cookie = page.cookie
        } while cookie != nil
    }

    /// The first server that answers, bound as the account.
    private func connect() throws(LDAPFailure) -> LDAPConnection {
        guard let account = settings.account, !directory.settings.secret.isEmpty else {
            throw LDAPFailure(
                .malformed,
                "it needs an account that may read it: sallyport directory set \(directory.name) --account … --password-stdin")
        }
        var last = LDAPFailure(.unreachable, "no server answers")
        for server in settings.servers {
            do throws(LDAPFailure) {
                let until = uptime() + directory.settings.timeout
                let connection = try LDAPConnection.open(server, caFile: settings.caFile, until: until, now: uptime())
                let answer = try connection.bind(account, directory.settings.secret, asksPolicy: false, until: until, now: uptime)
                guard answer.isSuccess else {
                    connection.close()
                    throw LDAPFailure(
                        .refused(answer.code),
                        "the account \(account) is refused by \(server): code \(answer.code)"
                            + (answer.diagnostic.isEmpty ? "" : " (\(answer.diagnostic))"))
                }
                return connection
            } catch {
                guard error.isOfServer else { throw error }
                last = error
            }
        }
        throw last
    }
}

/// What is asked for, and how what comes is read.
struct LDAPReading {
    let lookup: LDAPLookup
    let settings: LDAPSettings
    /// One string for the many places in which a name stands.
    private var references: Set<String> = []
    private var bySecurityID: [[UInt8]: String] = [:]

    init(lookup: LDAPLookup, settings: LDAPSettings) {
        self.lookup = lookup
        self.settings = settings
    }

    // MARK: Users

    /// The filter of a login for every name.
    var userFilter: String {
        guard let anybody = DirectoryAccountName("*", domains: []) else { return "(objectClass=person)" }
        let own = LDAPText.filled(settings.filterText, anybody) { $0 }
        return settings.users.map { "(&\(own)\($0))" } ?? own
    }

    var userAttributes: [String] { lookup.attributes + ["userAccountControl", "pwdAccountLockedTime", "nsAccountLock"] }

    mutating func user(_ entry: LDAPEntry) -> DirectoryEntry {
        let map = settings.attributes
        let person = lookup.person(entry, groups: [])
        let names = entry.bytes(map.name)
        var user = DirectoryEntry(
            id: identifier(of: entry), place: entry.dn, name: person.name ?? entry.text(map.name) ?? "", reference: reference(entry.dn))
        if let name = names.first, String(validating: name, as: UTF8.self) == nil {
            user.faults.append("Its \(map.name) is no text in UTF-8.")
        }
        user.aliases = person.aliases
        user.email = person.email
        user.phone = person.phone
        user.isEnabled = Self.isEnabled(entry)
        user.groups = entry.texts(map.groups).map { reference($0) }
        if let primary = lookup.primaryGroup(of: entry), let group = bySecurityID[primary] { user.groups.append(group) }
        return user
    }

    /// [MS-ADTS] §2.2.16 ADS_UF_ACCOUNTDISABLE; draft-behera-ldap-password-policy §5.3.3: locked for good; 389 DS and FreeIPA.
    private static func isEnabled(_ entry: LDAPEntry) -> Bool {
        if let flags = entry.text("userAccountControl").flatMap({ Int64($0) }), flags & 2 != 0 { return false }
        if entry.text("pwdAccountLockedTime") == "000001010000Z" { return false }
        return entry.text("nsAccountLock")?.lowercased() != "true"
    }

    // MARK: Groups

    var groupFilter: String {
        lookup.isActiveDirectory
            ? "(objectClass=group)"
            : "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group))"
    }

    var groupAttributes: [String] {
        ["member", "uniqueMember", "memberUid", settings.attributes.id, settings.attributes.groups]
            + (lookup.isActiveDirectory ? ["objectSid"] : [])
    }

    mutating func group(_ entry: LDAPEntry) -> DirectoryGroupEntry {
        let name = DistinguishedName(entry.dn)?.firstValue
        var group = DirectoryGroupEntry(
            id: identifier(of: entry), place: entry.dn, name: name ?? "", reference: reference(entry.dn))
        if name == nil { group.faults.append("Its name cannot be read.") }
        group.members = (entry.texts("member") + entry.texts("uniqueMember")).map { reference($0) }
        group.memberNames = entry.texts("memberUid")
        group.groups = entry.texts(settings.attributes.groups).map { reference($0) }
        if let identifier = entry.bytes("objectSid").first { bySecurityID[identifier] = group.reference }
        return group
    }

    // MARK: Names

    private func identifier(of entry: LDAPEntry) -> String { lookup.key(of: entry) }

    /// One name is written in many ways (RFC 4514); most come as they are compared.
    private mutating func reference(_ name: String) -> String {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "="), UInt8(ascii: ","),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        let reference = isPlain ? name : DistinguishedName(name)?.joined ?? name.lowercased()
        let (_, kept) = references.insert(reference)
        return kept
    }
}
