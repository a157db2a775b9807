// SPDX-License-Identifier: Apache-2.0
// Adding a user.

internal import LoginEngine
internal import RADIUS
internal import Store

extension AddUser {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let plan = try operations.plan(self)
        var warnings: [String] = []
        var user = plan.user
        if let password {
            user.passwordHash = try await operations.hash(password.secret)
            user.kept = try operations.kept(of: password.secret)
        } else if plan.home.directory == nil, awaitsInvitation != true {
            warnings.append(
                "\(user.name) has no password yet; set one with `sallyport user set \(Words.argument(user.name)) --password-stdin`.")
        }
        var event = operations.event(
            .userAdded, by: actor, subject: plan.subject,
            [
                "groups": plan.groups.joined(separator: ", "),
                "password": plan.home.directory.map { "at \($0)" } ?? (password == nil ? "not set" : "set"),
            ])
        if let most = user.mostSessions { event.details.append(Event.Detail("sessions", "\(most)")) }
        _ = try await operations.records.addUser(user, event: event)
        if user.mostSessions != nil { warnings += try operations.unaccountedWarnings() }
        return Done("Added user \(user.name).", warnings: warnings)
    }
}

extension Operations {
    struct UserPlan {
        var user: NewUser
        var groups: [String]
        /// Where the password lives, as far as no client says it.
        var home: HomeRuling
        var subject: [PersonalFields.Field]
    }

    /// Everything that can be checked before anything is written.
    func plan(_ request: AddUser) throws -> UserPlan {
        let (name, key) = try Valid.userName(request.name)
        try free(name: name, key: key, field: "name")
        var aliases: [UserAlias] = []
        for alias in request.aliases {
            let (alias, aliasKey) = try Valid.userName(alias, field: "alias")
            guard aliasKey != key, !aliases.contains(where: { $0.key == aliasKey }) else { continue }
            try free(name: alias, key: aliasKey, field: "alias")
            aliases.append(UserAlias(name: alias, key: aliasKey))
        }
        var groups: [GroupRecord] = []
        for group in request.groups {
            let record = try ownGroup(group)
            if !groups.contains(where: { $0.id == record.id }) { groups.append(record) }
        }
        let email = try request.email.map { try Valid.email($0) }
        let phone = try request.phone.map { try Valid.phone($0) }
        let timeZone = try request.timeZone.map { try Valid.timeZone($0) }
        if let password = request.password { try checkPassword(password.secret) }
        var user = NewUser(name: name, key: key, created: now())
        user.email = email
        user.phone = phone
        user.timeZone = timeZone
        user.aliases = aliases
        user.groups = groups.map(\.id)
        user.home = try request.directory.flatMap { try self.home($0) }
        if request.awaitsInvitation == true {
            guard request.password == nil else {
                throw Refusal(
                    .invalid, "Whoever has a password needs no link to set one.", remedy: "Leave --invite or the password away.",
                    place: "invite")
            }
            _ = try pageAddress()
            if let email { _ = try ChannelChoices.mailAddress(email, place: "email") }
            user.status = .pending
        }
        user.mostSessions = try request.sessions.flatMap { try Valid.mostSessions($0) }
        let table = try records.homeTable()
        let around = table.isEmpty ? [] : try groupsAround(groups.map(\.id))
        let home = table.ruling(own: user.home, groups: around, client: nil)
        if let directory = home.directory, request.password != nil || request.awaitsInvitation == true {
            throw Self.passwordElsewhere(directory)
        }
        var subject = [PersonalFields.Field("name", name)]
        if let email { subject.append(PersonalFields.Field("email", email)) }
        if let phone { subject.append(PersonalFields.Field("phone", phone)) }
        return UserPlan(user: user, groups: groups.map(\.name), home: home, subject: subject)
    }

    static func passwordElsewhere(_ directory: String) -> Refusal {
        Refusal(
            .conflict, "The password lives at directory `\(directory)`, and cannot be set here.",
            remedy: "Change it there, or say --directory local to keep one here.", place: "password")
    }

    /// These groups, and those that contain them.
    private func groupsAround(_ inner: [Int64]) throws -> [Int64] {
        var outer: [Int64: [Int64]] = [:]
        for group in try records.groups() {
            for case .group(let member) in try records.members(ofGroup: group.id) { outer[member, default: []].append(group.id) }
        }
        var around: [Int64] = []
        var next = inner
        while let group = next.popLast() {
            guard !around.contains(group) else { continue }
            around.append(group)
            next += outer[group] ?? []
        }
        return around
    }

    /// Refuses a name that somebody is found by already.
    func free(name: String, key: String, field: String, but own: Int64? = nil) throws {
        guard let other = try records.user(key: key), other.id != own else { return }
        throw Refusal(
            .conflict,
            other.key == key ? "There is a user `\(other.name)` already." : "`\(name)` is an alias of user `\(other.name)` already.",
            remedy: "Choose another name, or see `sallyport user show \(Words.argument(other.name))`.", place: field)
    }

    /// The rules of a password, and those of the clients that read codes out of its end.
    func checkPassword(_ password: Secret) throws {
        try Valid.password(password)
        for client in try records.clients() where client.settings.asking != .challenge {
            let settings = client.settings
            guard PasswordField.tailReadsAsFactor(password, separator: settings.separator, fixedLengthTail: settings.fixedLengthTail)
            else { continue }
            throw Refusal(
                .conflict, "The end of this password would be read as a code on client `\(client.name)`.",
                remedy: settings.fixedLengthTail
                    ? "Choose one that does not end in 6 to 8 digits."
                    : "Choose one in which no code and no keyword follows `\(settings.separator.map(String.init) ?? "")`.",
                place: "password")
        }
    }

    /// What is kept of a new password beside its hash; nil where nothing is.
    func kept(of password: Secret) throws -> KeptPassword? {
        let parts = try records.passwordKeeping().parts
        guard !parts.isEmpty else { return nil }
        // A password that MS-CHAP cannot carry has no NT hash, and is checked by PAP alone.
        let hash = parts.contains(.ntHash) ? password.reveal { NTHash(password: $0)?.bytes } : nil
        return KeptPassword(ntHash: hash.map { Secret($0) }, text: parts.contains(.clearPassword) ? password : nil)
    }

    func hash(_ password: Secret) async throws -> Secret {
        try await ports.hashPassword(password)
    }

    func user(_ name: String) throws -> UserRecord {
        if let key = UserName.key(of: Valid.trimmed(name)), let user = try records.user(key: key) { return user }
        throw Refusal.missing(
            "user", Valid.shown(name), among: try nearUsers(name), otherwise: "`sallyport user list` shows all.")
    }

    /// Names to suggest from: a million users are too many to compare with, so those that begin alike come first.
    func nearUsers(_ name: String) throws -> [String] {
        var names: [String] = []
        let lower = Valid.trimmed(name).lowercased()
        for piece in [String(lower.prefix(3)), String(lower.prefix(1)), ""] {
            var filter = UserFilter()
            filter.text = piece.isEmpty ? nil : piece
            names += try records.users(filter, after: nil, limit: 2000).map(\.name)
            if !NearNames.nearest(to: name, among: names).isEmpty { break }
        }
        return Array(Set(names))
    }
}
