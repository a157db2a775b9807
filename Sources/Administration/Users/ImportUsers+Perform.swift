// SPDX-License-Identifier: Apache-2.0
// From rows to a plan, and from the plan to users. Nothing is written before every line was checked.

internal import LoginEngine
internal import Store

extension ImportUsers {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let rows = try ImportTable.rows(of: csv.text)
        var steps: [(row: ImportRow, plan: Plan)] = []
        var seen: [String: Int] = [:]
        for row in rows {
            let plan: Plan
            do {
                plan = try Self.plan(row, in: operations)
                for key in plan.keys {
                    if let line = seen[key.key] {
                        throw Refusal(.conflict, "`\(key.name)` stands on line \(line) already.", remedy: "Keep one of the two.")
                    }
                }
            } catch let refusal as Refusal {
                let inner = refusal.place.map { "line \(row.line), \($0)" } ?? "line \(row.line)"
                throw refusal.at(inner)
            }
            for key in plan.keys { seen[key.key] = row.line }
            steps.append((row, plan))
        }
        var warnings: [String] = []
        if rows.contains(where: { $0["password"] != nil }) {
            warnings.append("The file holds passwords in plain text: delete it when the import is done.")
        }
        let without = steps.count { $0.plan.isNew && $0.row["password"] == nil && $0.row["directory"] == nil }
        if without > 0 {
            warnings.append(
                "\(Words.count(without, "new user")) without a password: set one with `sallyport user set NAME --password-stdin`.")
        }
        if !isDryRun {
            for (row, plan) in steps {
                do {
                    try await Self.write(plan, in: operations, by: actor)
                } catch let refusal as Refusal {
                    throw refusal.at("line \(row.line)")
                } catch let error as StoreError {
                    var refusal = Refusal(error).at("line \(row.line)")
                    refusal.remedy =
                        (refusal.remedy.map { $0 + " " } ?? "") + "The lines before it are done; import the file again to go on."
                    throw refusal
                }
            }
        }
        return Answer(isDryRun: isDryRun, steps: steps.map { $0.plan.step(line: $0.row.line) }, warnings: warnings)
    }

    private enum Plan {
        case add(AddUser)
        case change(SetUser, UserRecord, differences: [String])
        case keep(UserRecord)

        var isNew: Bool { if case .add = self { true } else { false } }

        /// Every name that the line claims.
        var keys: [(name: String, key: String)] {
            let names =
                switch self {
                case .add(let request): [request.name] + request.aliases
                case .change(let request, let user, _): [user.name] + request.addAliases
                case .keep(let user): [user.name]
                }
            return names.compactMap { name in UserName.key(of: name).map { (name, $0) } }
        }

        func step(line: Int) -> Answer.Step {
            switch self {
            case .add(let request):
                var differences: [String] = []
                if let email = request.email { differences.append("email: \(email)") }
                if let phone = request.phone { differences.append("phone: \(phone)") }
                if !request.groups.isEmpty { differences.append("groups: \(request.groups.joined(separator: ", "))") }
                if !request.aliases.isEmpty { differences.append("aliases: \(request.aliases.joined(separator: ", "))") }
                if request.password != nil { differences.append("password") }
                if let directory = request.directory { differences.append("directory: \(directory)") }
                return Answer.Step(line: line, action: "add", user: request.name, differences: differences)
            case .change(_, let user, let differences):
                return Answer.Step(line: line, action: "change", user: user.name, differences: differences)
            case .keep(let user):
                return Answer.Step(line: line, action: "keep", user: user.name, differences: [])
            }
        }
    }

    /// Fields that are empty or missing in the file leave the user's own alone; groups and aliases are only added.
    private static func plan(_ row: ImportRow, in operations: Operations) throws -> Plan {
        let (name, key) = try Valid.userName(row.fields["name"] ?? "")
        let password = row["password"].map { SecretText($0) }
        guard let user = try operations.records.user(key: key) else {
            let request = AddUser(
                name: name, email: row["email"], phone: row["phone"], groups: row.list("groups"), aliases: row.list("aliases"),
                password: password, directory: row["directory"])
            _ = try operations.plan(request)
            return .add(request)
        }
        guard user.key == key else {
            throw Refusal(
                .conflict, "`\(name)` is an alias of user `\(user.name)`.", remedy: "Write `\(user.name)` in the column `name`.",
                place: "name")
        }
        var request = SetUser(user: user.name)
        var differences: [String] = []
        if let email = try row["email"].map({ try Valid.email($0) }), email != user.email {
            request.email = email
            differences.append("email: \(user.email ?? "none") → \(email)")
        }
        if let phone = try row["phone"].map({ try Valid.phone($0) }), phone != user.phone {
            request.phone = phone
            differences.append("phone: \(user.phone ?? "none") → \(phone)")
        }
        let own = try operations.records.groups(ofUser: user.id, nested: false)
        for name in row.list("groups") {
            let wanted = try operations.group(name)
            guard !own.contains(where: { $0.id == wanted.id }) else { continue }
            let group = try operations.ownGroup(name)
            request.addGroups.append(group.name)
            differences.append("joins \(group.name)")
        }
        for alias in row.list("aliases") {
            let (alias, aliasKey) = try Valid.userName(alias, field: "aliases")
            guard aliasKey != user.key, !user.aliases.contains(where: { $0.key == aliasKey }) else { continue }
            try operations.free(name: alias, key: aliasKey, field: "aliases", but: user.id)
            request.addAliases.append(alias)
            differences.append("alias \(alias)")
        }
        if let name = row["directory"] {
            let home = try operations.home(name)
            if home != user.home {
                request.directory = name
                differences.append("directory: \(try operations.records.directories().word(for: home))")
            }
        }
        if let password {
            try operations.checkPassword(password.secret)
            request.password = password
            differences.append("password")
        }
        return differences.isEmpty ? .keep(user) : .change(request, user, differences: differences)
    }

    private static func write(_ plan: Plan, in operations: Operations, by actor: Actor) async throws {
        switch plan {
        case .add(let request): _ = try await request.perform(in: operations, by: actor)
        case .change(let request, _, _): _ = try await request.perform(in: operations, by: actor)
        case .keep: break
        }
    }
}
