// SPDX-License-Identifier: Apache-2.0
// Looking factors up, changing and removing them.

internal import LoginEngine
internal import Store

extension FactorView {
    init(_ record: FactorRecord, codesLeft: Int?) {
        let hasCodes = record.kind == .totp || record.kind == .hotp
        self.init(
            id: record.id, kind: record.kind.rawValue, label: record.label, state: record.state.rawValue,
            algorithm: hasCodes ? record.algorithm.rawValue : nil, digits: hasCodes ? record.digits : nil,
            period: record.kind == .totp ? record.period : nil, created: Instant(record.created),
            lastUsed: record.lastUsed.map { Instant($0) },
            codesLeft: codesLeft)
    }
}

extension Operations {
    func views(of factors: [FactorRecord]) throws -> [FactorView] {
        try factors.map { record in
            FactorView(record, codesLeft: record.kind == .recovery ? try records.recoveryCodesLeft(ofUser: record.user) : nil)
        }
    }

    /// By label, by number, or by kind where there is one of that kind.
    func factor(_ text: String, of user: UserRecord) throws -> FactorRecord {
        let wanted = Valid.trimmed(text).lowercased()
        let all = try records.factors(ofUser: user.id)
        if let factor = all.first(where: { $0.label.lowercased() == wanted }) { return factor }
        if let id = Int64(wanted.hasPrefix("#") ? String(wanted.dropFirst()) : wanted), let factor = all.first(where: { $0.id == id }) {
            return factor
        }
        let ofKind = all.filter { $0.kind.rawValue == wanted }
        if ofKind.count == 1 { return ofKind[0] }
        if ofKind.count > 1 {
            throw Refusal(
                .conflict, "\(user.name) has \(ofKind.count) \(wanted) factors.",
                remedy: "Name one by its label: \(Words.list(ofKind.map { "\"\($0.label)\"" }, "or")).", place: "factor")
        }
        guard !all.isEmpty else {
            throw Refusal(
                .missing, "\(user.name) has no factor.", remedy: "`sallyport factor add \(Words.argument(user.name)) totp` enrols one.")
        }
        let near = NearNames.nearest(to: wanted, among: all.map(\.label))
        throw Refusal(
            .missing, "\(user.name) has no factor `\(Valid.shown(text))`.",
            remedy: near.isEmpty ? "There is \(Words.list(all.map { "\"\($0.label)\" (#\($0.id))" }))." : NearNames.question(near),
            place: "factor")
    }

    /// Said when a change leaves a user without a way to give a second factor.
    func missingFactorWarning(_ user: UserRecord) throws -> [String] {
        let active = try records.factors(ofUser: user.id).filter { $0.state == .active }
        guard !active.contains(where: { $0.kind != .recovery }) else { return [] }
        let remedy = "`sallyport factor add \(Words.argument(user.name)) totp` enrols one."
        return [
            active.isEmpty
                ? "\(user.name) has no second factor now and can log in only where the password is enough. \(remedy)"
                : "\(user.name) has nothing but recovery codes now. \(remedy)"
        ]
    }
}

extension ListFactors {
    package func perform(in operations: Operations, by actor: Actor) async throws -> FactorList {
        let user = try operations.user(user)
        let factors = try operations.views(of: try operations.records.factors(ofUser: user.id))
        return FactorList(
            user: user.name, factors: factors,
            warnings: factors.isEmpty
                ? ["\(user.name) has no factor: `sallyport factor add \(Words.argument(user.name)) totp` enrols one."] : [])
    }
}

extension ShowFactor {
    package func perform(in operations: Operations, by actor: Actor) async throws -> FactorView {
        let record = try operations.factor(factor, of: try operations.user(user))
        return try operations.views(of: [record])[0]
    }
}

extension SetFactor {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let user = try operations.user(user)
        let record = try operations.factor(factor, of: user)
        guard label != nil || state != nil else {
            throw Refusal(.invalid, "Nothing to change was given.", remedy: "Give --label, --disable or --enable.")
        }
        let newState = try state.map { text throws(Refusal) in
            guard let state = FactorState(rawValue: text), state != .pending else {
                throw Refusal(.invalid, "No state `\(Valid.shown(text))`.", remedy: "Use active or disabled.", place: "state")
            }
            return state
        }
        var newLabel: String?
        if let label, label != record.label {
            let others = try operations.records.factors(ofUser: user.id).filter { $0.id != record.id }
            newLabel = try operations.freeLabel(label, kind: record.kind.rawValue, among: others)
        }
        func event(_ change: String) -> Event {
            operations.event(
                .factorChanged, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)],
                ["factor": record.kind.rawValue, "label": newLabel ?? record.label, "change": change])
        }
        var done: [String] = []
        if let newLabel {
            try await operations.records.setFactorLabel(newLabel, ofFactor: record.id, event: event("label"))
            done.append("renamed to \"\(newLabel)\"")
        }
        if let newState, newState != record.state {
            let word = newState == .disabled ? "disabled" : "enabled"
            try await operations.records.setFactorState(newState, ofFactor: record.id, event: event(word))
            done.append(word)
        }
        guard !done.isEmpty else { return Done("Nothing to change: factor \"\(record.label)\" of \(user.name) is like that already.") }
        return Done(
            "Factor \"\(record.label)\" of \(user.name) is \(Words.list(done)).", warnings: try operations.missingFactorWarning(user))
    }
}

extension RemoveFactor {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let user = try operations.user(user)
        let record = try operations.factor(factor, of: user)
        try await operations.records.removeFactor(
            record.id,
            event: operations.event(
                .factorRemoved, by: actor, user: user.id, subject: [PersonalFields.Field("name", user.name)],
                ["factor": record.kind.rawValue, "label": record.label]))
        return Done(
            "Removed \(record.kind.rawValue) \"\(record.label)\" of \(user.name); its codes are refused from now on.",
            warnings: try operations.missingFactorWarning(user))
    }
}
