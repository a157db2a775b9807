// SPDX-License-Identifier: Apache-2.0
// Changing a user. Everything is checked before the first write.

internal import LoginEngine
internal import Store

extension SetUser {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let records = operations.records
        let old = try operations.user(user)
        var draft = try draft(of: old, in: operations)
        var hash: Secret?
        var kept: KeptPassword?
        if let elsewhere = draft.home.directory, password != nil || expiresPassword == true {
            throw Operations.passwordElsewhere(elsewhere)
        }
        if let password {
            try operations.checkPassword(password.secret)
            hash = try await operations.hash(password.secret)
            kept = try operations.kept(of: password.secret)
            // Nobody is waited for any more.
            if draft.record.status == .pending {
                draft.record.status = .active
                draft.fields.append("activated")
            }
        }
        guard !isEmpty else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "`sallyport user set --help` lists what can be changed.")
        }
        // Otherwise the next sync could enable whom an administrator wants out.
        let staysDisabled =
            try status == UserStatus.disabled.rawValue && old.status == .disabled && records.isDisabledBySync(user: old.id)
        guard !draft.changes.isEmpty || hash != nil || expiresPassword == true || staysDisabled else {
            return Done("Nothing to change: user \(old.name) is like that already.")
        }

        let subject = draft.subject
        func event(_ change: String) -> Event {
            operations.event(.userChanged, by: actor, user: old.id, subject: subject, ["change": change])
        }
        let isLeaving = draft.record.status == .disabled && old.status != .disabled
        if staysDisabled {
            try await records.setStatus(.disabled, ofUser: old.id, event: event("stays disabled, whatever a sync says"))
        }
        if draft.record != old { try await records.updateUser(draft.record, event: event(draft.fields.joined(separator: ", "))) }
        if draft.movesDirectory {
            try await records.setHome(draft.ownHome, ofUser: old.id, event: event("directory: \(draft.ownWord)"))
        }
        if let aliases = draft.aliases { try await records.setAliases(aliases, ofUser: old.id, event: event("aliases")) }
        for group in draft.joined {
            try await records.addMember(.user(old.id), toGroup: group.id, event: event("joined group \(group.name)"))
        }
        for group in draft.left {
            try await records.removeMember(.user(old.id), fromGroup: group.id, event: event("left group \(group.name)"))
        }
        if let hash { try await records.setPasswordHash(hash, keeping: kept, ofUser: old.id, event: event("password set")) }
        var warnings: [String] = []
        if draft.movesDirectory, draft.home.directory == nil, hash == nil, !old.hasPassword {
            warnings.append(
                "\(draft.record.name) has no password here; set one with `sallyport user set \(Words.argument(draft.record.name)) --password-stdin`."
            )
        }
        if draft.movesDirectory, draft.home.directory != nil, old.hasPassword {
            warnings.append("The password that is kept here opens nothing while it lives there.")
        }
        if hash != nil || draft.record.email != old.email,
            try await records.withdrawInvitation(ofUser: old.id, at: operations.now()), hash == nil
        {
            warnings.append(
                "The link that was sent before opens nothing any more: `sallyport user invite \(Words.argument(draft.record.name))` sends another."
            )
        }
        if expiresPassword == true {
            try await records.requirePasswordChange(ofUser: old.id, event: event("password expired"))
            let parts = try records.passwordKeeping().parts
            if parts.isEmpty {
                warnings.append(
                    "Only a device that speaks MS-CHAPv2 can change a password, and no NT hash is kept: \(draft.record.name) is refused until you set another one."
                )
            }
        }
        if draft.record.mostSessions != nil, draft.record.mostSessions != old.mostSessions {
            warnings += try operations.unaccountedWarnings()
        }
        if !draft.joined.isEmpty || !draft.left.isEmpty, try !operations.replyTable().isEmpty {
            warnings += try operations.updateHint("--user \(Words.argument(draft.record.name))", ofUser: old.id)
        }
        if draft.record.status != old.status { try await operations.devicesChanged(ofUser: old.id) }
        if isLeaving, let ended = await operations.endAccess(try operations.openSessions(ofUser: old.id), by: actor) {
            warnings.append(ended)
        }
        var changes = draft.changes
        if staysDisabled { changes.append("stays disabled, whatever a sync says") }
        if hash != nil { changes.append("password") }
        if expiresPassword == true { changes.append("password expired") }
        return Done("Changed user \(draft.record.name): \(changes.joined(separator: ", ")).", warnings: warnings)
    }

    private struct Draft {
        var record: UserRecord
        var fields: [String] = []
        var aliases: [UserAlias]?
        var joined: [GroupRecord] = []
        var left: [GroupRecord] = []
        var subject: [PersonalFields.Field] = []
        /// What is said of the user when all is done, and its word.
        var ownHome: PasswordHome?
        var ownWord = ""
        /// Where the password lives then, as far as no client says it.
        var home: HomeRuling
        var movesDirectory = false

        init(of record: UserRecord, home: HomeRuling) {
            self.record = record
            self.home = home
            ownHome = record.home
        }

        var changes: [String] {
            fields + (movesDirectory ? ["directory \(ownWord)"] : [])
                + (aliases == nil ? [] : ["aliases"]) + joined.map { "joined \($0.name)" } + left.map { "left \($0.name)" }
        }
    }

    private func draft(of old: UserRecord, in operations: Operations) throws -> Draft {
        var draft = Draft(of: old, home: try operations.home(of: old, at: nil))
        if let name {
            let (name, key) = try Valid.userName(name)
            try operations.free(name: name, key: key, field: "name", but: old.id)
            draft.record.name = name
            draft.record.key = key
            if name != old.name { draft.fields.append("name") }
        }
        if let email {
            draft.record.email = email.isEmpty ? nil : try Valid.email(email)
            if draft.record.email != old.email { draft.fields.append("email") }
        }
        if let phone {
            draft.record.phone = phone.isEmpty ? nil : try Valid.phone(phone)
            if draft.record.phone != old.phone { draft.fields.append("phone") }
        }
        if let timeZone {
            draft.record.timeZone = timeZone.isEmpty ? nil : try Valid.timeZone(timeZone)
            if draft.record.timeZone != old.timeZone { draft.fields.append("time zone") }
        }
        if let sessions {
            draft.record.mostSessions = try Valid.mostSessions(sessions)
            if draft.record.mostSessions != old.mostSessions {
                draft.fields.append("sessions: \(Words.sessions(old.mostSessions)) → \(Words.sessions(draft.record.mostSessions))")
            }
        }
        if let status {
            guard let status = UserStatus(rawValue: status) else {
                throw Refusal(.invalid, "No status `\(Valid.shown(status))`.", remedy: "Use active or disabled.", place: "status")
            }
            draft.record.status = status
            if status != old.status { draft.fields.append(status == .disabled ? "disabled" : "enabled") }
        }
        if let directory {
            draft.ownHome = try operations.home(directory)
            draft.ownWord = try operations.records.directories().word(for: draft.ownHome)
            draft.movesDirectory = draft.ownHome != old.home
            var moved = old
            moved.home = draft.ownHome
            draft.home = try operations.home(of: moved, at: nil)
        }
        draft.aliases = try aliases(of: old, newKey: draft.record.key, in: operations)
        let own = try operations.records.groups(ofUser: old.id, nested: false)
        for name in addGroups {
            let group = try operations.group(name)
            if !own.contains(where: { $0.id == group.id }) { draft.joined.append(try operations.ownGroup(name)) }
        }
        for name in removeGroups {
            let group = try operations.group(name)
            guard own.contains(where: { $0.id == group.id }) else {
                throw Refusal(
                    .missing, "\(old.name) is not in group `\(group.name)`.",
                    remedy: "See `sallyport user show \(Words.argument(old.name))`.")
            }
            draft.left.append(try operations.ownGroup(name))
        }
        draft.subject = [PersonalFields.Field("name", draft.record.name)]
        if draft.fields.contains("email"), let email = draft.record.email { draft.subject.append(PersonalFields.Field("email", email)) }
        if draft.fields.contains("phone"), let phone = draft.record.phone { draft.subject.append(PersonalFields.Field("phone", phone)) }
        return draft
    }

    /// Nil when they stay as they are.
    private func aliases(of old: UserRecord, newKey: String, in operations: Operations) throws -> [UserAlias]? {
        var aliases = old.aliases.filter { $0.key != newKey }
        for alias in removeAliases {
            let (alias, key) = try Valid.userName(alias, field: "remove-alias")
            guard aliases.contains(where: { $0.key == key }) else {
                throw Refusal(
                    .missing, "`\(alias)` is no alias of \(old.name).",
                    remedy: old.aliases.isEmpty ? "There are none." : "Its aliases are \(Words.list(old.aliases.map(\.name))).",
                    place: "remove-alias")
            }
            aliases.removeAll { $0.key == key }
        }
        for alias in addAliases {
            let (alias, key) = try Valid.userName(alias, field: "alias")
            guard key != newKey, !aliases.contains(where: { $0.key == key }) else { continue }
            try operations.free(name: alias, key: key, field: "alias", but: old.id)
            aliases.append(UserAlias(name: alias, key: key))
        }
        return aliases == old.aliases ? nil : aliases
    }

    private var isEmpty: Bool {
        name == nil && email == nil && phone == nil && timeZone == nil && status == nil && password == nil && expiresPassword != true
            && directory == nil && sessions == nil
            && addAliases.isEmpty
            && removeAliases.isEmpty && addGroups.isEmpty && removeGroups.isEmpty
    }
}

extension UnlockUser {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let user = try operations.user(name)
        let locks = try operations.locks(of: user.id)
        try await operations.records.clearFailures(
            ofUser: user.id,
            event: operations.event(
                .userUnlocked, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)],
                ["locks": locks.map(\.of).joined(separator: ", ")]))
        try await operations.ports.changed(.failures(user: user.id))
        return Done(
            locks.isEmpty
                ? "\(user.name) was not locked; failures that were counted are cleared."
                : "Unlocked \(user.name): \(Words.list(locks.map { $0.of + "s" })) can be tried again at once.")
    }
}

extension Operations {
    /// A disabled user's devices stand on the revocation list, and leave it again.
    func devicesChanged(ofUser user: Int64) async throws {
        if try !records.certificates(ofUser: user).isEmpty { try await ports.changed(.certificates) }
    }
}

extension RemoveUser {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let user = try operations.user(name)
        let sessions = try operations.openSessions(ofUser: user.id)
        let hasDevices = try !operations.records.certificates(ofUser: user.id).isEmpty
        try await operations.records.removeUser(
            user.id, event: operations.event(.userRemoved, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)]))
        try await operations.ports.changed(.failures(user: user.id))
        if hasDevices { try await operations.ports.changed(.certificates) }
        let ended = await operations.endAccess(sessions, by: actor)
        return Done(
            "Removed user \(user.name), with factors and recovery codes. The trail keeps the events.", warnings: ended.map { [$0] } ?? [])
    }
}
