// SPDX-License-Identifier: Apache-2.0
// How a name that comes from a client becomes a user, and what decides then.

internal import LoginEngine
internal import Store

package struct ExplainName: AdminOperation {
    package static let verb = "user.explain"
    /// As the gateway sends it.
    package var name: String
    package var client: String

    package init(name: String, client: String) {
        self.name = name
        self.client = client
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var name: String
        package var client: String
        package var steps: [Step]
        /// What users are looked up by; nil: it is no name.
        package var key: String?
        package var user: String?
        /// `name` or `alias`.
        package var foundBy: String?
        package var status: String?
        /// The deciding policy, `staff@3`; nil: the client's own rule.
        package var policy: String?
        package var require: String?
        /// Where the password lives; nil: here.
        package var directory: String?
        /// Who says so: `user`, `group staff`, `client` or `nobody`; nil where nobody was found.
        package var directoryBy: String?
        /// What the user would be asked, or why nobody is, in sentences.
        package var outcome: [String] = []
    }

    package struct Step: Codable, Sendable, Equatable {
        /// `charset`, `domain`, `realm`, `form`, `case`, `blanks`, `probe`, `lookup`, `pass-through`, `status`, `directory` or `policy`.
        package var step: String
        package var text: String
        /// The name after it, where it changed.
        package var rest: String?
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let client = try operations.client(client)
        let settings = client.settings
        let reading = UserName.reading(of: name, stripping: settings.nameStripping)
        var answer = Answer(name: name, client: client.name, steps: charset(settings) + kept(settings), key: reading.key)
        answer.steps += reading.steps.map { Step(step: $0.kind.rawValue, text: Self.words($0, settings), rest: $0.rest) }
        guard let key = reading.key else {
            let why =
                switch reading.problem {
                case .empty?: "nothing is left of it"
                case .tooLong?: "it is longer than \(UserName.longest) bytes"
                default: "it holds a control character"
                }
            answer.outcome = ["This is no login name: \(why). The login is refused (name-malformed)."]
            return answer
        }
        if settings.probeUser == key {
            answer.steps.append(
                Step(step: "probe", text: "It is the name that this client's probe uses: refused at once, without a lookup."))
            answer.outcome = ["If somebody is called that: `sallyport client set \(client.name) --probe-user none`."]
            return answer
        }
        guard let user = try operations.records.user(key: key) else {
            answer.steps.append(Step(step: "lookup", text: "No user has the login name or alias `\(Valid.shown(key))`."))
            let creating = Set(
                try operations.records.directories().filter { $0.settings.isEnabled && $0.settings.ldap?.creates == true }.map(\.id))
            if let stranger = settings.stranger(named: name, lookupKey: key, creating: creating),
                try stranger.isNewcomer || !isUser(stranger, in: operations, &answer)
            {
                try explain(stranger, at: client, in: operations, &answer)
                return answer
            }
            if !settings.passThrough.isEmpty, !Stranger.mayBeAskedFor(name) {
                answer.steps.append(
                    Step(
                        step: "pass-through",
                        text:
                            "Not passed through: it has two of `\\` and `@`, two blanks on end or characters beyond ASCII, so another server could "
                            + "take it for a user of this one."))
            }
            answer.outcome = try ["The login is refused (unknown-user), like a wrong password."] + remedies(client, key, operations)
            return answer
        }
        answer.user = user.name
        answer.status = user.status.rawValue
        let alias = user.key == key ? nil : user.aliases.first { $0.key == key }
        answer.foundBy = alias == nil ? "name" : "alias"
        answer.steps.append(
            Step(
                step: "lookup",
                text: alias.map { "Found: user \(user.name), by the alias `\(Valid.shown($0.name))`." }
                    ?? "Found: user \(user.name), by the login name."))
        if user.status != .active {
            answer.steps.append(Step(step: "status", text: "\(user.name) is \(user.status.rawValue): refused whatever is typed."))
        }
        let policy = try await ExplainPolicy(user: user.name, client: client.name, realm: LoginManner.realm(of: name)).perform(
            in: operations, by: actor)
        answer.policy = policy.policy
        answer.require = policy.require
        answer.directory = policy.directory
        answer.directoryBy = policy.directoryBy
        let home = try operations.home(of: user, at: client)
        if home.origin != .nobody { answer.steps.append(Step(step: "directory", text: home.sentence)) }
        answer.steps.append(
            Step(
                step: "policy",
                text: policy.policy.map { "Policy \($0) decides: \(policy.require)." }
                    ?? "No policy decides; the client's own rule does: \(policy.require)."))
        answer.outcome = policy.outcome
        return answer
    }

    /// Whether the name is a user's here if it is written in another way.
    private func isUser(_ stranger: Stranger, in operations: Operations, _ answer: inout Answer) throws -> Bool {
        for key in stranger.nameKeys {
            guard let user = try operations.records.user(key: key) else { continue }
            answer.steps.append(
                Step(
                    step: "pass-through",
                    text:
                        "Realm \(stranger.rule.realm) is passed through, but as `\(Valid.shown(key))` this is user \(user.name), whose second "
                        + "factor could be gone round: not passed through."))
            return true
        }
        return false
    }

    private func explainNewcomer(_ stranger: Stranger, at client: Client, in operations: Operations, _ answer: inout Answer) throws {
        let directory = try operations.records.directories().word(for: .directory(stranger.rule.directory))
        answer.directory = directory
        guard client.settings.requirement != .factor, !client.settings.concealFactor else {
            answer.outcome = ["Directory \(directory) is not asked: at this client nobody is met by a password. Refused (unknown-user)."]
            return
        }
        answer.steps.append(Step(step: "directory", text: "Directory \(directory) is asked for `\(Valid.shown(stranger.name))`."))
        answer.outcome = [
            "Whoever is right there becomes a user here, in the groups that directory \(directory) says, and is judged by policies like everybody."
        ]
    }

    private func explain(_ stranger: Stranger, at client: Client, in operations: Operations, _ answer: inout Answer) throws {
        if stranger.isNewcomer { return try explainNewcomer(stranger, at: client, in: operations, &answer) }
        let ruling = try operations.records.policySet().table.ruling(
            for: client, groups: [], manner: LoginManner(realm: LoginManner.realm(of: name)))
        let directories = try operations.records.directories()
        let directory = directories.word(for: .directory(stranger.rule.directory))
        answer.policy = ruling.policy?.label
        answer.require = ruling.requirement.rawValue
        guard ruling.requirement != .deny else {
            answer.outcome = [
                "Realm \(stranger.rule.realm) would be passed through to directory \(directory), but "
                    + (ruling.policy.map { "policy \($0.name) lets nobody in here" } ?? "the client itself lets nobody in")
                    + ": refused (unknown-user)."
            ]
            return
        }
        let isTyped = directories.first { $0.id == stranger.rule.directory }?.settings.nameSent == .typed
        answer.directory = directory
        answer.directoryBy = HomeOrigin.passThrough(stranger.rule.realm).words
        answer.steps.append(
            Step(
                step: "pass-through",
                text: "Realm \(stranger.rule.realm) is passed through to directory \(directory), as "
                    + "`\(Valid.shown(isTyped ? name : stranger.name))`."))
        answer.outcome = ["Directory \(directory) decides alone, and asks what it likes; no second factor of this server is asked for."]
    }

    /// Only where the bytes of this name depend on it.
    private func charset(_ settings: ClientSettings) -> [Step] {
        guard !name.utf8.allSatisfy({ $0 < 0x80 }) else { return [] }
        let latin1 = Charset.latin1(Array(name.utf8))
        let text =
            switch settings.charset {
            case .utf8: "Names are read as UTF-8. From a gateway that sends Latin-1 this one is refused: see `--charset auto`."
            case .latin1 where latin1 == nil: "Names are read as Latin-1, which lacks a character of this one: it can never come like that."
            case .latin1: "Names are read as Latin-1. Sent as UTF-8, this one would be another name."
            case .auto: "Names are read as UTF-8 where they are UTF-8, else as Latin-1."
            }
        return [Step(step: "charset", text: text)]
    }

    /// What could have been dropped and was not.
    private func kept(_ settings: ClientSettings) -> [Step] {
        var steps: [Step] = []
        if name.contains("\\"), settings.nameStripping == .none || settings.nameStripping == .realm {
            steps.append(
                Step(step: "domain", text: "The domain before `\\` is part of the name (strip: \(settings.nameStripping.rawValue))."))
        }
        if name.contains("@"), settings.nameStripping == .none || settings.nameStripping == .domain {
            steps.append(Step(step: "realm", text: "The realm behind `@` is part of the name (strip: \(settings.nameStripping.rawValue))."))
        }
        return steps
    }

    private static func words(_ step: UserName.Step, _ settings: ClientSettings) -> String {
        switch step.kind {
        case .domain: "The domain `\(Valid.shown(step.dropped))` is dropped (strip: \(settings.nameStripping.rawValue))."
        case .realm: "The realm `\(Valid.shown(step.dropped))` is dropped (strip: \(settings.nameStripping.rawValue))."
        case .form: "Characters are brought into one form (NFKC)."
        case .letters: "Case does not count."
        case .blanks: "Blanks around it do not count."
        }
    }

    /// Who would have been found under another rule, and who has a name like it.
    private func remedies(_ client: Client, _ key: String, _ operations: Operations) throws -> [String] {
        for stripping in [NameStripping.none, .domain, .realm, .both] where stripping != client.settings.nameStripping {
            guard let other = UserName.key(of: name, stripping: stripping), other != key, let user = try operations.records.user(key: other)
            else { continue }
            let rule = "`sallyport client set \(client.name) --strip \(stripping.rawValue)`"
            return [
                "User \(user.name) would be found as `\(Valid.shown(other))`: \(rule), for every name that this client sends; or an alias: "
                    + "`sallyport user set \(Words.argument(user.name)) --alias \(Words.argument(key))`."
            ]
        }
        let near = NearNames.nearest(to: key, among: try operations.nearUsers(key))
        return near.isEmpty ? ["`sallyport user list --search PART` looks for parts of names."] : [NearNames.question(near)]
    }
}
