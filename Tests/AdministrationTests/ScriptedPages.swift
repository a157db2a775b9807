// SPDX-License-Identifier: Apache-2.0
// A directory that says what a test wrote, a page at a time.

import Administration
import Directories
import LoginEngine
import Store
import Synchronization

final class ScriptedPages: DirectoryPages {
    struct Script: Sendable {
        var users: [DirectoryEntry] = []
        var groups: [DirectoryGroupEntry] = []
        /// What breaks it after its first page.
        var failure: String?
    }

    let script = Box(Script())

    func read(_ take: @escaping @Sendable (DirectoryPage) -> Void) async throws(DirectoryReadFailure) {
        let script = script.current
        let half = script.users.count / 2
        take(.users(Array(script.users[..<half])))
        if let failure = script.failure { throw DirectoryReadFailure(failure) }
        take(.groups(script.groups))
        take(.users(Array(script.users[half...])))
    }

    func change(_ change: (inout Script) -> Void) { script.value.withLock { change(&$0) } }

    static func user(_ name: String, id: String? = nil, _ change: (inout DirectoryEntry) -> Void = { _ in }) -> DirectoryEntry {
        var entry = DirectoryEntry(id: id ?? "id-\(name)", place: "uid=\(name),dc=corp", name: name)
        change(&entry)
        return entry
    }

    static func group(_ name: String, id: String? = nil, _ members: [String] = [], groups: [String] = []) -> DirectoryGroupEntry {
        var entry = DirectoryGroupEntry(id: id ?? "gid-\(name)", place: "cn=\(name),dc=corp", name: name)
        entry.members = members.map { "uid=\($0),dc=corp" } + groups.map { "cn=\($0),dc=corp" }
        return entry
    }
}

/// An office with a directory `corp` that is asked by a script.
struct SyncOffice {
    let office: Office
    let pages = ScriptedPages()
    let directory: Int64

    init() async throws {
        let pages = pages
        office = try Office(ports: { $0.directoryPages = { $0.settings.ldap == nil ? nil : pages } })
        var settings = DirectorySettings(name: "corp", servers: [], secret: Secret(utf8: "pw"))
        settings.kind = .ldap
        settings.ldap = LDAPSettings(.ldap)
        directory = try await office.records.addDirectory(settings, event: Event(.directoryAdded, at: Office.start))
    }

    @discardableResult
    func sync(yes: Bool = false, dry: Bool = false, adopt: [String] = []) async throws -> SyncDirectory.Answer {
        try await office.perform(SyncDirectory(name: "corp", isDryRun: dry, isConfirmed: yes, adopting: adopt, limit: 100))
    }

    func user(_ name: String) throws -> UserRecord? { try office.records.user(key: name) }

    func members(_ group: String) async throws -> GroupView { try await office.perform(ShowGroup(name: "corp/" + group)) }
}
