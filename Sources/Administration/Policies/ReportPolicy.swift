// SPDX-License-Identifier: Apache-2.0
// What a report-only policy would have done, told from the trail.

internal import LoginEngine
internal import Store

package struct ReportPolicy: AdminOperation {
    package static let verb = "policy.report"
    package var name: String
    package var since: Instant?

    /// Logins that are looked at, the newest first.
    package static let mostLogins = 200_000
    private static let page = 2_000

    package init(name: String, since: Instant? = nil) {
        self.name = name
        self.since = since
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var name: String
        /// Accepted logins that the policy would have decided about.
        package var logins: Int
        /// Those of them that it would have let in too.
        package var letIn: Int
        /// Refused anyway, by what decided.
        package var refusedAnyway: Int
        /// Whom it would have refused, those with the most logins first.
        package var refused: [Person]
        /// The oldest event that was looked at, where there were more.
        package var cutAt: Instant?
        package var warnings: [String]
    }

    package struct Person: Codable, Sendable, Equatable {
        /// Nil: the name was erased.
        package var user: String?
        package var logins: Int
        package var last: Instant
        package var clients: [String]
        /// In a sentence's second half, each once.
        package var why: [String]
        /// Of the newest of them: `sallyport trace` tells it.
        package var login: String?
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let name = Valid.trimmed(name).lowercased()
        let records = operations.records
        let set = try records.policySet()
        let inForce = set.records.first { $0.policy.name == name }
        let known = try records.policyRevisions(name: name)
        guard inForce != nil || !known.isEmpty else { _ = try operations.policy(name, in: set); preconditionFailure("it was found") }
        var answer = Answer(name: name, logins: 0, letIn: 0, refusedAnyway: 0, refused: [], cutAt: nil, warnings: [])
        var people: [Key: Person] = [:]
        var filter = EventFilter(limit: Self.page)
        filter.kinds = [.loginAccepted, .loginRejected]
        filter.since = since?.timestamp
        var looked = 0
        while looked < Self.mostLogins {
            let events = try records.events(filter)
            for record in events {
                let event = record.event
                guard let words = event["report-only"], let report = Report(words), report.name == name else { continue }
                guard event.kind == .loginAccepted else {
                    answer.refusedAnyway += 1
                    continue
                }
                answer.logins += 1
                guard let why = report.refusal else {
                    answer.letIn += 1
                    continue
                }
                let key = event.user.map { Key.user($0) } ?? .name(event.subject["name"] ?? "")
                let client = event["client"] ?? "?"
                var person =
                    people[key]
                    ?? Person(
                        user: event.subject["name"], logins: 0, last: Instant(event.at), clients: [], why: [],
                        login: event.login?.description)
                person.logins += 1
                if !person.clients.contains(client) { person.clients.append(client) }
                if !person.why.contains(why) { person.why.append(why) }
                people[key] = person
            }
            looked += events.count
            guard events.count == Self.page, let last = events.last else { break }
            filter.before = last.seq
            if looked >= Self.mostLogins { answer.cutAt = Instant(last.event.at) }
        }
        let names = try records.userNames(ofRows: Set(people.keys.compactMap(\.row)))
        answer.refused = people.map { key, person in
            var person = person
            if case .user(let row) = key, let now = names[row] { person.user = now }
            return person
        }.sorted { ($1.logins, $0.user ?? "") < ($0.logins, $1.user ?? "") }
        if let cutAt = answer.cutAt { answer.warnings.append("There were more logins than are looked at: this goes back to \(cutAt).") }
        if inForce?.policy.rule.isReportOnly == false {
            answer.warnings.append("Policy \(name) decides by now; what it would have done was told as long as it only reported.")
        } else if inForce == nil {
            answer.warnings.append("There is no policy \(name) any more.")
        } else if answer.logins + answer.refusedAnyway == 0 {
            answer.warnings.append("No login was one that it would have decided about. `sallyport policy explain` says why for one user.")
        }
        return answer
    }

    private enum Key: Hashable {
        case user(Int64)
        case name(String)

        var row: Int64? {
            if case .user(let row) = self { row } else { nil }
        }
    }

    /// `staff@3 password+factor, and there is none: refused`, as the engine writes it (`Ruling.consequence`).
    struct Report: Equatable {
        var name: String
        /// Why it would have refused; nil: it would not.
        var refusal: String?

        init?(_ words: String) {
            let parts = words.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2, let mark = parts[0].lastIndex(of: "@") else { return nil }
            name = String(parts[0][..<mark])
            if parts[1] == Requirement.deny.rawValue {
                refusal = "it denies"
            } else if parts[1].hasSuffix(": refused") {
                let requirement = parts[1].split(separator: ",").first.map(String.init) ?? parts[1]
                refusal = "it requires \(requirement), and the user has no factor that counts"
            }
        }
    }
}
