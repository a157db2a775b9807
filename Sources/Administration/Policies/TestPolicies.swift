// SPDX-License-Identifier: Apache-2.0
// Cases that the policies in force have to decide as somebody wrote down.

internal import LoginEngine
internal import Store

/// One login that may never happen, and what is expected of it.
package struct PolicyCase: Codable, Sendable, Equatable {
    package var name: String
    /// `cases.yaml:12:5`
    package var place: String
    /// A user who is here; nil: somebody who is nobody here.
    package var user: String?
    /// In place of the user's own; of a nobody the only ones.
    package var groups: [String]?
    package var client: String?
    /// Of a client that is none, where no client is named.
    package var clientTags: [String]?
    /// As in Calling-Station-Id.
    package var from: String?
    package var country: String?
    package var at: Instant?
    /// The user's, in place of the one that is kept.
    package var zone: String?
    package var method: String?
    package var realm: String?
    /// The name of the policy that is to decide, or `none`.
    package var policy: String?
    /// What it is to require.
    package var require: String?

    package init(name: String, place: String) {
        (self.name, self.place) = (name, place)
    }
}

package struct TestPolicies: AdminOperation {
    package static let verb = "policy.test"
    package static let mostCases = 5_000
    package var cases: [PolicyCase]

    package init(cases: [PolicyCase]) {
        self.cases = cases
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var results: [Result]
        /// Policies that no case was decided by, in their order.
        package var untested: [String]
    }

    package struct Result: Codable, Sendable, Equatable {
        package var name: String
        package var place: String
        package var isRight: Bool
        /// The name of the policy that decides, or `none`.
        package var policy: String
        package var require: String
        /// What differs, and why; empty where nothing does.
        package var differences: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        guard cases.count <= Self.mostCases else {
            throw Refusal(.invalid, "There are more than \(Self.mostCases) cases.", remedy: "Put them into several files.")
        }
        let policies = try operations.records.policySet().records
        let table = PolicyTable(policies.map(\.policy))
        let rows = try operations.policyRows()
        let bench = Bench(
            operations: operations, policies: policies, table: table, rows: rows,
            names: try operations.names(rows, for: policies.map(\.policy)))
        var answer = Answer(results: [], untested: [])
        for wanted in cases {
            do throws(Refusal) {
                answer.results.append(try bench.result(of: wanted))
            } catch {
                throw Refusal(
                    error.kind, "Case `\(Valid.shown(wanted.name))`: \(error.message)", remedy: error.remedy,
                    place: wanted.place + (error.place.map { ": \($0)" } ?? ""))
            }
        }
        let used = Set(answer.results.map(\.policy))
        answer.untested = policies.map(\.policy).filter { !$0.rule.isReportOnly && !used.contains($0.name) }.map(\.name)
        return answer
    }

    private struct Bench {
        var operations: Operations
        var policies: [PolicyRecord]
        var table: PolicyTable
        var rows: PolicyRows
        var names: PolicyNames

        func result(of wanted: PolicyCase) throws(Refusal) -> Result {
            guard wanted.policy != nil || wanted.require != nil else {
                throw Refusal(.invalid, "It expects nothing.", remedy: "Write `expect: { policy: NAME }`, `{ require: WHAT }` or both.")
            }
            if let name = wanted.policy, name != "none", !policies.contains(where: { $0.policy.name == name }) {
                throw Refusal.missing(
                    "policy", Valid.shown(name), among: policies.map(\.policy.name), otherwise: "`none` is the client's own rule.")
            }
            if let require = wanted.require { _ = try PolicyChoices.requirement(require) }
            let login = try login(of: wanted)
            let ruling = table.ruling(for: login.client, groups: login.groups, manner: login.words.manner, place: login.words.place)
            var result = Result(
                name: wanted.name, place: wanted.place, isRight: true, policy: ruling.policy?.name ?? "none",
                require: ruling.requirement.rawValue, differences: [])
            if let name = wanted.policy, name != result.policy {
                let decides = ruling.policy.map { "policy \($0.name) decides" } ?? "no policy decides"
                result.differences.append("expected \(name == "none" ? "no policy" : "policy \(name)"), but \(decides)")
                if let why = why(name, login) { result.differences.append(why) }
            }
            if let require = wanted.require, require != result.require {
                result.differences.append("expected \(require), but \(result.require) is required")
            }
            if !ruling.doubts.isEmpty, !result.differences.isEmpty {
                result.differences.append(
                    "it decides since \(Words.list(ruling.doubts.map { login.words.doubt($0) })): what it asks for is asked in addition to what would decide without it"
                )
            }
            result.isRight = result.differences.isEmpty
            return result
        }

        /// Why the policy that was expected does not decide.
        private func why(_ name: String, _ login: Login) -> String? {
            guard let position = policies.firstIndex(where: { $0.policy.name == name }) else { return nil }
            let record = policies[position]
            if record.policy.rule.isReportOnly { return "\(name) only reports" }
            let when = record.policy.rule.when
            let view = PolicyView(record, current: names)
            let verdicts = when.verdicts(login.client, groups: login.groups, login.words.manner, login.words.place)
            let misfits = verdicts.filter { $0.fit == .no }.map { login.words.reason($0.condition, view, when) }
            if !misfits.isEmpty { return "\(name) does not match: \(Words.list(misfits))" }
            let doubts = verdicts.filter { $0.fit == .unknown }.map { login.words.doubt($0.condition) }
            if !doubts.isEmpty { return "it is not known whether \(name) matches: \(Words.list(doubts))" }
            return "\(name) matches, but the other comes first"
        }

        private struct Login {
            var client: Client
            var groups: [Int64]
            var words: ConditionWords
        }

        private func login(of wanted: PolicyCase) throws(Refusal) -> Login {
            do {
                return try made(of: wanted)
            } catch let refusal as Refusal {
                throw refusal
            } catch {
                throw Refusal(.failed, "It cannot be looked at: \(error)")
            }
        }

        private func made(of wanted: PolicyCase) throws -> Login {
            let client: Client
            if let name = wanted.client {
                client = try operations.client(name)
            } else if let tags = wanted.clientTags {
                var settings = ClientSettings(name: "a client", addresses: [], secret: Secret([]))
                settings.tags = tags
                settings.requirement = .deny
                client = Client(id: -1, settings: settings)
            } else {
                throw Refusal(.invalid, "It names no client.", remedy: "Write `client: NAME`, or `client-tag: TAG`.", place: "client")
            }
            let user = try wanted.user.map { try operations.user($0) }
            var groups = try user.map { try operations.records.groups(ofUser: $0.id).map { ($0.id, $0.name) } } ?? []
            if let names = wanted.groups {
                var chosen: [Int64] = []
                for name in names {
                    guard let row = rows.groups.first(where: { $0.name == name }) else {
                        throw Refusal.missing(
                            "group", Valid.shown(name), among: rows.groups.map(\.name), otherwise: "`sallyport group list` shows all."
                        )
                        .at("group")
                    }
                    chosen.append(row.id)
                }
                // A member of a group is one of those around it too.
                groups = []
                for row in rows.groups {
                    let inner = try operations.records.nested([row.id])
                    if chosen.contains(where: { inner.contains($0) }) { groups.append((row.id, row.name)) }
                }
            }
            if let zone = wanted.zone { _ = try Valid.timeZone(zone) }
            var place = LoginPlace(user: user?.id, time: wanted.at?.timestamp ?? operations.now())
            place.clock = (wanted.zone ?? user?.timeZone).flatMap { ZoneClock.named($0) }
            if let from = wanted.from { place.address = NetworkAddress(station: from) }
            if let country = wanted.country {
                guard let code = CountryCode(country) else {
                    throw Refusal(
                        .invalid, "`\(Valid.shown(country))` is no country.", remedy: "Write its two letters: DE.", place: "country")
                }
                place.country = code
            } else if let address = place.address, table.asksCountry {
                place.country = operations.ports.countries().lookup.country(address)
            }
            let manner = LoginManner(
                method: try wanted.method.map { try PolicyChoices.method($0) },
                realm: wanted.realm.flatMap { LoginManner.realm(of: $0.contains("@") ? $0 : "@\($0)") })
            return Login(
                client: client, groups: groups.map { $0.0 },
                words: ConditionWords(
                    client: client, user: user?.name ?? "the user", groups: groups.map { $0.1 }, manner: manner, place: place,
                    station: wanted.from))
        }
    }
}
