// SPDX-License-Identifier: Apache-2.0
// sallyport bench policies: how long it takes to find the policy that decides, without a packet and without a database.

import ArgumentParser
import LoginEngine

struct BenchPolicies: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policies", abstract: "Measure the decision by policies alone.",
        discussion: """
            The last policy is the one that matches, so that each of them could be asked.

            Example:
              sallyport bench policies --policies 1000
            """)

    @Option(help: ArgumentHelp("How many there are.", valueName: "count")) var policies = 1_000
    @Option(help: ArgumentHelp("How long each part measures.", valueName: "seconds")) var seconds = 1.0
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard (1...100_000).contains(policies), seconds > 0, seconds <= 3_600 else {
            throw ValidationError("--policies is up to 100000, --seconds up to 3600.")
        }
    }

    struct Row: Codable, Sendable {
        var what: String
        var policies: Int
        var microseconds: Double
        /// The longest of a thousand decisions together, for each of them.
        var worst: Double
    }

    func run() async throws {
        let made = Made(count: policies)
        let rows = Made.Kind.allCases.map { measure($0, made) }
        try options.output.show(rows) { rows in
            for row in rows {
                options.output.line("\(row.what): \(Self.text(row.microseconds)) us a decision, at worst \(Self.text(row.worst)) us")
            }
        }
    }

    private static func text(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }

    private func measure(_ kind: Made.Kind, _ made: Made) -> Row {
        let table = made.table(kind)
        let logins = made.logins(kind)
        let began = monotonicNanoseconds()
        var (count, worst, found) = (0, UInt64(0), 0)
        while monotonicNanoseconds() - began < UInt64(seconds * 1e9) {
            let start = monotonicNanoseconds()
            for login in logins {
                let ruling = table.ruling(for: login.client, groups: login.groups, manner: login.manner, place: login.place)
                if ruling.policy?.id == Int64(policies) { found += 1 }
            }
            worst = max(worst, monotonicNanoseconds() - start)
            count += logins.count
        }
        let elapsed = monotonicNanoseconds() - began
        precondition(found == count, "the last policy decides")
        return Row(
            what: kind.rawValue, policies: policies, microseconds: Double(elapsed) / Double(count) / 1e3,
            worst: Double(worst) / Double(logins.count) / 1e3)
    }

    /// Policies none of which matches but the last, and logins that go by all of them.
    struct Made {
        enum Kind: String, CaseIterable {
            /// As companies have them: for a group at clients with a tag, some of them at certain hours or from certain networks.
            case groups = "by group, tag, hours and network"
            case users = "by user"
            case clients = "by client"
            /// Nothing tells beforehand which could match: all are gone through.
            case networks = "by network alone"
            case hours = "by hours alone"
            case countries = "by country alone"
        }

        struct Login {
            var client: Client
            var groups: [Int64]
            var manner: LoginManner
            var place: LoginPlace
        }

        var count: Int
        private let now = Timestamp(seconds: 1_796_100_000)

        init(count: Int) {
            self.count = count
        }

        func table(_ kind: Kind) -> PolicyTable {
            let berlin = ZoneClock.named("Europe/Berlin") ?? .utc
            return PolicyTable(
                (1...count).map { number in
                    var rule = PolicyRule(name: "p\(number)", requirement: .passwordAndFactor)
                    if number < count { fill(&rule.when, kind, number, berlin) }
                    return Policy(id: Int64(number), revision: 1, rule: rule)
                })
        }

        private func fill(_ when: inout PolicyRule.Conditions, _ kind: Kind, _ number: Int, _ clock: ZoneClock) {
            let elsewhere = [
                AddressRange(NetworkAddress(v4: 0x0A00_0000 | UInt32(truncatingIfNeeded: number))),
                AddressRange(NetworkAddress(v4: 0x0B00_0000 | UInt32(truncatingIfNeeded: number))),
            ]
            // Shut at the hour of the logins.
            let shut = PolicyHours(days: PolicyHours.everyDay, from: number % 300, to: number % 300 + 1, clock: clock)
            switch kind {
            case .groups:
                when.groups = [Int64(number)]
                when.tags = ["vpn"]
                if number % 2 == 0 { when.hours = [shut] } else { when.networks = elsewhere }
            case .users: when.users = [Int64(number)]
            case .clients: when.clients = [Int64(number)]
            case .networks: when.networks = elsewhere
            case .hours: when.hours = [shut]
            case .countries: when.countries = ["AT", "CH", "FR", "PL"].compactMap { CountryCode($0) }
            }
        }

        /// Somebody in twenty of the groups that policies name.
        func logins(_ kind: Kind) -> [Login] {
            (0..<1_000).map { number in
                var settings = ClientSettings(name: "gw", addresses: [], secret: Secret([]))
                settings.tags = ["vpn"]
                let groups = (0..<20).map { Int64(1 + (number * 37 + $0 * 41) % max(1, count - 1)) }
                return Login(
                    client: Client(id: Int64(count + 1), settings: settings), groups: kind == .groups ? groups : [],
                    manner: LoginManner(method: "pap"),
                    place: LoginPlace(
                        user: Int64(count + 1 + number), address: NetworkAddress(v4: 0xC000_0201), country: CountryCode("DE"), time: now,
                        clock: .utc))
            }
        }
    }
}
