// SPDX-License-Identifier: Apache-2.0
// Looking users up.

internal import LoginEngine
internal import Store

extension ShowUser {
    package func perform(in operations: Operations, by actor: Actor) async throws -> UserView {
        let records = operations.records
        let user = try operations.user(name)
        let factors = try records.factors(ofUser: user.id)
        let names = EventNames(records)
        var logins = EventFilter(limit: 5)
        logins.user = user.id
        logins.kinds = EventView.loginKinds
        var accepted = EventFilter(limit: 1)
        accepted.user = user.id
        accepted.kinds = [.loginAccepted]
        var view = UserView(
            name: user.name, status: user.status.rawValue, email: user.email, phone: user.phone, timeZone: user.timeZone,
            aliases: user.aliases.map(\.name), groups: try records.groups(ofUser: user.id, nested: false).map(\.name),
            hasPassword: user.hasPassword,
            factors: try operations.views(of: factors), recoveryCodesLeft: try records.recoveryCodesLeft(ofUser: user.id),
            locks: try operations.locks(of: user.id), created: Instant(user.created),
            lastAccept: try records.events(accepted).first.map { Instant($0.event.at) },
            logins: try records.events(logins).map { EventView($0, names: names) })
        view.mustChangePassword = user.mustChangePassword
        let home = try operations.home(of: user, at: nil)
        view.directory = home.directory
        view.directoryBy = home.origin == .nobody ? nil : home.origin.words
        view.sessions = try operations.sessions(of: user)
        view.onboarding = try records.invitation(ofUser: user.id).map { Onboarding($0, at: operations.now()) }
        let grants = try operations.openGrants(ofUser: user.id)
        if !grants.isEmpty { view.grants = grants }
        view.warnings = warnings(view)
        return view
    }

    private func warnings(_ view: UserView) -> [String] {
        let name = Words.argument(view.name)
        var warnings: [String] = []
        if view.status == UserStatus.disabled.rawValue {
            warnings.append("Disabled: every login is refused. `sallyport user enable \(name)` lets \(view.name) in again.")
        }
        if !view.locks.isEmpty { warnings.append("Locked; the lock ends by itself. `sallyport user unlock \(name)` ends it now.") }
        for grant in view.grants ?? [] where grant.kind == Grant.Kind.bypass.rawValue {
            warnings.append(
                "No second factor is asked of \(view.name) at \(grant.placesInWords) until \(grant.until), \(grant.usesInWords): \(grant.reason). "
                    + "`sallyport grant revoke \(grant.id)` ends that.")
        }
        if view.mustChangePassword == true { warnings.append("The password opens nothing until it is changed.") }
        if !view.hasPassword, view.directory == nil {
            warnings.append(
                "No password: `sallyport user invite \(name)` lets \(view.name) choose one, `sallyport user set \(name) --password-stdin` sets it."
            )
        }
        if !view.factors.contains(where: { $0.state == FactorState.active.rawValue && $0.kind != FactorKind.recovery.rawValue }) {
            warnings.append("No second factor: `sallyport factor add \(name) totp` enrols one.")
        }
        if view.factors.contains(where: { $0.kind == FactorKind.recovery.rawValue }), view.recoveryCodesLeft <= 3 {
            warnings.append(
                "\(Words.count(view.recoveryCodesLeft, "recovery code")) left: `sallyport factor add \(name) recovery` makes ten new ones.")
        }
        return warnings
    }
}

extension Operations {
    func locks(of user: Int64) throws -> [LockView] {
        let now = now()
        return try records.failures(ofUser: user).compactMap { record in
            guard let until = record.lockEnd(at: now, rules: LockoutRules()) else { return nil }
            let what =
                switch record.kind {
                case .password, .passwordFromSource: "password"
                case .code: "code"
                case .recovery: "recovery code"
                }
            return LockView(of: what, source: record.source.isEmpty ? nil : record.source, until: Instant(until))
        }
    }
}

extension ListUsers {
    package func perform(in operations: Operations, by actor: Actor) async throws -> UserList {
        let records = operations.records
        let limit = try Valid.number(limit, in: 1...Self.mostUsers, "limit")
        var filter = UserFilter()
        filter.text = text.map(Valid.trimmed)
        filter.withoutFactor = withoutFactor
        if let status {
            guard let known = UserStatus(rawValue: status) else {
                throw Refusal(
                    .invalid, "No status `\(Valid.shown(status))`.",
                    remedy: "Use \(Words.list(UserStatus.allCases.map(\.rawValue), "or")).",
                    place: "status")
            }
            filter.status = known
        }
        if let group { filter.group = try operations.group(group).id }
        if let directory { filter.directory = try operations.directory(directory).id }
        let homes = try records.homeTable()
        var after: String?
        if let given = self.after { after = try Valid.userName(given, field: "after").key }
        var users = try records.users(filter, after: after, limit: limit + 1)
        let isMore = users.count > limit
        if isMore { users.removeLast() }
        let summaries = try users.map { user in
            let factors = try records.factors(ofUser: user.id)
            var kinds: [String] = []
            for factor in factors where factor.state == .active && !kinds.contains(factor.kind.rawValue) {
                kinds.append(factor.kind.rawValue)
            }
            let groups = homes.isEmpty ? [] : try records.groups(ofUser: user.id).map(\.id)
            return UserSummary(
                name: user.name, status: user.status.rawValue, email: user.email,
                groups: try records.groups(ofUser: user.id, nested: false).map(\.name), factors: kinds, hasPassword: user.hasPassword,
                directory: homes.ruling(own: user.home, groups: groups, client: nil).directory,
                isLocked: try !operations.locks(of: user.id).isEmpty)
        }
        return UserList(users: summaries, next: isMore ? summaries.last?.name : nil)
    }
}
