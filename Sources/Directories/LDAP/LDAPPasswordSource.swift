// SPDX-License-Identifier: Apache-2.0
// A directory that speaks LDAP as the judge of passwords: search, one bind, groups.

internal import Foundation
package import LoginEngine
internal import Synchronization

package final class LDAPPasswordSource: Sendable {
    package let directory: Directory
    package let servers: LDAPServers
    private let lookup: LDAPLookup
    private let counts: UpstreamCounts
    private let deadlines: Deadlines
    private let found = Mutex<[String: Found]>([:])

    private struct Found {
        var entry: LDAPEntry
        var until: Timestamp
    }

    /// However long a gateway waits.
    static let longestCheck: Timestamp.Span = .seconds(10)
    /// Beyond its time a thread may still wait for the name of a server to be looked up; the login does not.
    static let grace: Timestamp.Span = .milliseconds(500)
    /// How long a found entry answers for its name.
    static let foundLife: Timestamp.Span = .seconds(3)
    static let mostFound = 10_000

    package init(_ directory: Directory, _ settings: LDAPSettings, servers: LDAPServers, counts: UpstreamCounts, deadlines: Deadlines) {
        self.directory = directory
        self.servers = servers
        self.counts = counts
        self.deadlines = deadlines
        lookup = LDAPLookup(directory, settings)
    }

    package func check(
        _ password: Secret, of user: User, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void
    ) {
        guard thread == nil else { return completion(.unreachable("\(directory.name): it asks nothing itself")) }
        // RFC 4513 §5.1.2: a server would let it in, as nobody.
        guard !password.isEmpty else {
            counts.note(.rejected)
            return completion(.wrong)
        }
        let name = UpstreamPasswordSource.name(of: user, typed: request.name, sent: user.id < 0 ? .own : directory.settings.nameSent)
        let patience = min(request.client.settings.checkTime, Self.longestCheck)
        let until = servers.now().uptime + patience
        let once = Once { [counts] (verdict: PasswordVerdict) in
            counts.note(verdict)
            completion(verdict)
        }
        let isTaken = servers.pool.run(for: request.client.id, within: patience) { [self] in
            judge(name, password, until: until)
        } completion: {
            once.run($0 ?? .overloaded)
        }
        guard isTaken else { return once.run(.overloaded) }
        let own = directory.name
        deadlines.schedule(at: until + Self.grace) { _ in once.run(.unreachable("\(own): no answer in time")) }
    }

    // MARK: On a thread of the pool

    private func judge(_ typed: String, _ password: Secret, until: Timestamp) -> PasswordVerdict {
        guard let name = lookup.reading(of: typed) else { return .refused(.notInDirectory) }
        do throws(LDAPFailure) {
            return lookup.settings.bind == .direct
                ? try judgeDirectly(name, password, until: until) : try judgeBySearch(name, password, until: until)
        } catch {
            return error.kind == .tooMany ? .refused(.directoryEntryUnfit) : .unreachable("\(directory.name): \(error.text)")
        }
    }

    private var uptime: () -> Timestamp { { [servers] in servers.now().uptime } }

    private var asksPolicy: Bool { !lookup.isActiveDirectory }

    private func judgeDirectly(_ name: DirectoryAccountName, _ password: Secret, until: Timestamp) throws(LDAPFailure) -> PasswordVerdict {
        try servers.ask(.users, until: until) { connection, until throws(LDAPFailure) in
            let answer = try connection.bind(lookup.bindName(of: name), password, asksPolicy: asksPolicy, until: until, now: uptime)
            if let verdict = verdict(answer) { return verdict }
            guard let entry = try lookup.find(name, on: connection, until: until, now: uptime) else { return .refused(.notInDirectory) }
            // A name may be somebody's at the bind and another's in the search, below another base: it is the entry that is to have the
            // password. Only behind a bind that was right, so that nobody is locked out by it.
            if !lookup.bindsByEntryName {
                let own = try connection.bind(entry.dn, password, asksPolicy: asksPolicy, until: until, now: uptime)
                if let verdict = verdict(own) { return verdict == .wrong ? .refused(.notInDirectory) : verdict }
            }
            let groups = try lookup.groups(of: entry, name, on: connection, until: until, now: uptime)
            return .rightOf(lookup.person(entry, groups: groups))
        }
    }

    private func judgeBySearch(_ name: DirectoryAccountName, _ password: Secret, until: Timestamp) throws(LDAPFailure) -> PasswordVerdict {
        guard let entry = try find(name, until: until) else { return .refused(.notInDirectory) }
        let judged = try servers.ask(.users, until: until) { connection, until throws(LDAPFailure) in
            verdict(try connection.bind(entry.dn, password, asksPolicy: asksPolicy, until: until, now: uptime))
        }
        if let judged { return judged }
        let groups = try servers.ask(.account, until: until) { connection, until throws(LDAPFailure) in
            try lookup.groups(of: entry, name, on: connection, until: until, now: uptime)
        }
        return .rightOf(lookup.person(entry, groups: groups))
    }

    /// Nil: right.
    private func verdict(_ answer: LDAPBindAnswer) -> PasswordVerdict? {
        switch LDAPVerdict(answer) {
        case .right: nil
        case .wrong: .wrong
        case .expired: .expired
        case .refused(let reason): .refused(reason)
        case .unjudged(let why): .unreachable("\(directory.name): \(why)")
        }
    }

    private func find(_ name: DirectoryAccountName, until: Timestamp) throws(LDAPFailure) -> LDAPEntry? {
        let now = servers.now().uptime
        if let known = found.withLock({ $0[name.name] }), now < known.until { return known.entry }
        let entry = try servers.ask(.account, until: until) { connection, until throws(LDAPFailure) in
            try lookup.find(name, on: connection, until: until, now: uptime)
        }
        found.withLock { found in
            if found.count >= Self.mostFound { found = found.filter { now < $0.value.until } }
            if found.count >= Self.mostFound { found = [:] }
            found[name.name] = entry.map { Found(entry: $0, until: now + Self.foundLife) }
        }
        return entry
    }
}

/// Whoever is first, the answer or the end of patience.
private final class Once<Value: Sendable>: Sendable {
    private let body: Mutex<(@Sendable (Value) -> Void)?>

    init(_ body: @escaping @Sendable (Value) -> Void) {
        self.body = Mutex(body)
    }

    func run(_ value: Value) {
        let body = body.withLock { body in
            defer { body = nil }
            return body
        }
        body?(value)
    }
}

extension UpstreamCounts {
    fileprivate func note(_ verdict: PasswordVerdict) {
        switch verdict {
        case .right, .rightOf, .rightGiving: note(.accepted)
        case .wrong, .refused, .expired, .notKept: note(.rejected)
        case .asks: note(.challenged)
        case .unreachable: note(.unanswered)
        case .overloaded: note(.shed)
        }
    }
}
