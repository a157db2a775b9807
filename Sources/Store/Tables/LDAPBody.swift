// SPDX-License-Identifier: Apache-2.0
// How a directory is asked by LDAP, as JSON, the way directory.ldap keeps it.

internal import Foundation
internal import LoginEngine

struct LDAPBody: Codable {
    var servers: [String]
    var caFile: String?
    var base: String
    var bind: String
    var bindName: String?
    var account: String?
    var filter: String
    var users: String?
    var domains: [String]
    var name: String
    var id: String
    var aliases: [String]
    var email: String
    var phone: String
    var groups: String
    var groupBase: String?
    var nested: Bool
    var creates: Bool

    init(_ settings: LDAPSettings) {
        servers = settings.servers.map(\.description)
        caFile = settings.caFile
        base = settings.base
        bind = settings.bind.rawValue
        bindName = settings.bindName
        account = settings.account
        filter = settings.filter
        users = settings.users
        domains = settings.domains
        name = settings.attributes.name
        id = settings.attributes.id
        aliases = settings.attributes.aliases
        email = settings.attributes.email
        phone = settings.attributes.phone
        groups = settings.attributes.groups
        groupBase = settings.groupBase
        nested = settings.nested
        creates = settings.creates
    }

    init?(json: String) {
        guard let body = try? JSONDecoder().decode(LDAPBody.self, from: Foundation.Data(json.utf8)) else { return nil }
        self = body
    }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// Nil for a word that this version does not know.
    func settings(of kind: DirectoryKind) -> LDAPSettings? {
        guard let bind = LDAPBind(rawValue: bind) else { return nil }
        var settings = LDAPSettings(kind)
        settings.servers = servers.compactMap { LDAPServer($0) }
        guard settings.servers.count == servers.count else { return nil }
        settings.caFile = caFile
        settings.base = base
        settings.bind = bind
        settings.bindName = bindName
        settings.account = account
        settings.filter = filter
        settings.users = users
        settings.domains = domains
        settings.attributes = LDAPAttributes(name: name, id: id, aliases: aliases, email: email, phone: phone, groups: groups)
        settings.groupBase = groupBase
        settings.nested = nested
        settings.creates = creates
        return settings
    }
}
