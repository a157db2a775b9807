// SPDX-License-Identifier: Apache-2.0
// Tokens of many users from a CSV file, as `sallyport import` writes it: a plan first, and what is there already stays as it is.

internal import LoginEngine
internal import OTP
internal import Store

package struct ImportFactors: AdminOperation {
    package static let verb = "factor.import"
    /// The file's text. Columns: user, kind, label, secret, algorithm, digits, period, counter; user, kind and secret are needed.
    package var csv: SecretText
    package var isDryRun: Bool
    /// Leaves lines out that name nobody, or somebody who is no user here; else they are an error.
    package var skipsUnknownUsers: Bool

    package static let columns = ["user", "kind", "label", "secret", "algorithm", "digits", "period", "counter"]
    package static let mostRows = 20_000
    /// Factors in one transaction: logins wait for no more than these.
    static let batch = 200

    package init(csv: SecretText, isDryRun: Bool, skipsUnknownUsers: Bool = false) {
        self.csv = csv
        self.isDryRun = isDryRun
        self.skipsUnknownUsers = skipsUnknownUsers
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var isDryRun: Bool
        package var steps: [Step]
        package var warnings: [String]

        package struct Step: Codable, Sendable, Equatable {
            package var line: Int
            /// `add`, `keep` or `skip`; in a dry run `refuse`, with what is wrong in `what`.
            package var action: String
            package var user: String
            /// Kind and label; never a key.
            package var what: String
        }
    }
}

extension ImportFactors {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let rows = try ImportTable.rows(
            of: csv.text, columns: Self.columns, needed: ["user", "kind", "secret"], example: "user,kind,secret", untrimmed: nil,
            most: Self.mostRows)
        var plan = Plan(operations, skipsUnknownUsers: skipsUnknownUsers)
        for row in rows {
            do throws(Refusal) {
                try plan.take(
                    row,
                    event: { operations.event(.factorAdded, by: actor, user: $0.id, subject: [PersonalFields.Field("name", $0.name)], $1) })
            } catch {
                let refusal = error.at(error.place.map { "line \(row.line), \($0)" } ?? "line \(row.line)")
                // Everything is checked before anything is written; a dry run names each fault.
                guard isDryRun else { throw refusal }
                plan.steps.append(
                    Answer.Step(line: row.line, action: "refuse", user: Valid.shown(row["user"] ?? ""), what: error.description))
            }
        }
        if !isDryRun {
            for start in stride(from: 0, to: plan.additions.count, by: Self.batch) {
                let part = plan.additions[start..<min(plan.additions.count, start + Self.batch)]
                do throws(StoreError) {
                    _ = try await operations.records.addFactors(part.map { ($0.factor, $0.event) })
                } catch {
                    var refusal = Refusal(error).at("line \(part[part.startIndex].line)")
                    refusal.remedy =
                        (refusal.remedy.map { $0 + " " } ?? "") + "The lines before it are done; import the file again to go on."
                    throw refusal
                }
            }
        }
        var warnings = ["The file holds keys of tokens: delete it when the import is done."]
        if plan.shortKeys > 0 {
            warnings.append(
                "\(Words.count(plan.shortKeys, "key")) shorter than 16 bytes, which RFC 4226 asks for: seed those tokens anew when you can."
            )
        }
        if plan.shared > 0 {
            warnings.append("\(Words.count(plan.shared, "line")) with a key that another user has too: one token is one person's.")
        }
        return Answer(isDryRun: isDryRun, steps: plan.steps, warnings: warnings)
    }

    /// What the lines so far come to.
    private struct Plan {
        var steps: [Answer.Step] = []
        var additions: [(line: Int, factor: NewFactor, event: Event)] = []
        var shortKeys = 0
        var shared = 0
        private let operations: Operations
        private let skipsUnknownUsers: Bool
        private var factors: [Int64: [FactorRecord]] = [:]
        private var labels: [Int64: Set<String>] = [:]
        /// The highest number behind a label, by user and label.
        private var numbers: [Int64: [String: Int]] = [:]
        /// The line of each kind and key that is added, by user.
        private var lines: [Int64: [[UInt8]: Int]] = [:]
        private var owners: [[UInt8]: Int64] = [:]

        init(_ operations: Operations, skipsUnknownUsers: Bool) {
            (self.operations, self.skipsUnknownUsers) = (operations, skipsUnknownUsers)
        }

        mutating func take(_ row: ImportRow, event: (UserRecord, KeyValuePairs<String, String>) -> Event) throws(Refusal) {
            let draft = try Draft(row)
            let name = row["user"] ?? ""
            let found: UserRecord?
            do {
                found = try UserName.key(of: name).flatMap { try operations.records.user(key: $0) }
                guard let user = found else {
                    guard skipsUnknownUsers else {
                        throw name.isEmpty
                            ? Refusal(
                                .missing, "The line names no user.", remedy: "Write one, or leave such lines out by --skip-unknown-users.",
                                place: "user")
                            : Refusal(
                                .missing, "There is no user `\(Valid.shown(name))`.",
                                remedy: "Add users first (`sallyport user import`), or leave such lines out by --skip-unknown-users.",
                                place: "user")
                    }
                    steps.append(
                        Answer.Step(
                            line: row.line, action: "skip", user: Valid.shown(name), what: name.isEmpty ? "nobody's yet" : "no user here"))
                    return
                }
                try take(draft, of: user, line: row.line, event)
            } catch let refusal as Refusal {
                throw refusal
            } catch let error as StoreError {
                throw Refusal(error)
            } catch {
                throw Refusal(.failed, "The line cannot be looked up: \(error)")
            }
        }

        private mutating func take(
            _ draft: Draft, of user: UserRecord, line: Int, _ event: (UserRecord, KeyValuePairs<String, String>) -> Event
        ) throws {
            let existing = try factors[user.id] ?? operations.records.factors(ofUser: user.id)
            factors[user.id] = existing
            for factor in existing where factor.kind == draft.kind {
                guard try operations.records.factorSecret(factor.id) == draft.key else { continue }
                // Its counter may have gone on since, and its label may have been chosen.
                steps.append(Answer.Step(line: line, action: "keep", user: user.name, what: "\(draft.kind.rawValue) \(factor.label)"))
                return
            }
            let bytes = draft.key.reveal { $0 }
            let mark = Array(draft.kind.rawValue.utf8) + bytes
            if let other = lines[user.id]?[mark] {
                throw Refusal(.conflict, "The same token stands on line \(other) already.", remedy: "Keep one of the two.", place: "secret")
            }
            lines[user.id, default: [:]][mark] = line
            if labels[user.id] == nil { labels[user.id] = Set(existing.map { $0.label.lowercased() }) }
            let base = draft.label ?? draft.kind.rawValue
            var label = base
            var number = numbers[user.id]?[base.lowercased()] ?? 1
            while labels[user.id]?.contains(label.lowercased()) == true {
                number += 1
                label = "\(base.prefix(56)) \(number)"
            }
            labels[user.id]?.insert(label.lowercased())
            numbers[user.id, default: [:]][base.lowercased()] = number
            if draft.key.count < 16 { shortKeys += 1 }
            if let owner = owners[bytes], owner != user.id { shared += 1 }
            owners[bytes] = user.id
            var factor = NewFactor(user: user.id, kind: draft.kind, label: label, secret: draft.key, created: operations.now())
            factor.algorithm = draft.algorithm
            factor.digits = draft.digits
            factor.period = draft.period
            factor.firstCounter = draft.counter
            additions.append((line, factor, event(user, ["factor": draft.kind.rawValue, "label": label])))
            steps.append(Answer.Step(line: line, action: "add", user: user.name, what: "\(draft.kind.rawValue) \(label)"))
        }
    }

    /// The fields of one line that are not about a user.
    private struct Draft {
        var kind: FactorKind
        var label: String?
        var key: Secret
        var algorithm = CodeAlgorithm.sha1
        var digits: Int
        var period: Int
        var counter: Int64

        init(_ row: ImportRow) throws(Refusal) {
            let word = row["kind"] ?? ""
            guard let kind = FactorKind(rawValue: word), kind == .totp || kind == .hotp else {
                throw Refusal(.invalid, "No kind `\(Valid.shown(word))` of tokens.", remedy: "Use totp or hotp.", place: "kind")
            }
            self.kind = kind
            label = try row["label"].map { text throws(Refusal) in try Valid.label(text) }
            do throws(OTPError) {
                key = Secret(try OTPKey(base32: row["secret"] ?? "").bytes)
            } catch {
                throw Refusal(.invalid, error.description, remedy: "Give the key as Base32, of 10 to 128 bytes.", place: "secret")
            }
            if let name = row["algorithm"] {
                guard let known = CodeAlgorithm(rawValue: name.lowercased()) else {
                    throw Refusal(
                        .invalid, "No algorithm `\(Valid.shown(name))`.", remedy: "Use sha1, sha256 or sha512.", place: "algorithm")
                }
                algorithm = known
            }
            digits = try Valid.number(try Self.number(row, "digits") ?? 6, in: HOTP.digitCounts, "digits")
            period = try Valid.number(try Self.number(row, "period") ?? 30, in: TOTP.periods, "period", unit: " seconds")
            let first = try Self.number(row, "counter") ?? 0
            guard kind == .hotp || row["counter"] == nil, kind == .totp || row["period"] == nil else {
                throw Refusal(
                    .invalid, kind == .totp ? "A totp token has no counter." : "A hotp token has no period.",
                    remedy: "Leave the field empty.",
                    place: kind == .totp ? "counter" : "period")
            }
            guard Int64(first) <= AddFactor.largestCounter else {
                throw Refusal(
                    .invalid, "A counter above \(AddFactor.largestCounter) is none that a token has reached.",
                    remedy: "Give the next counter of the token.", place: "counter")
            }
            counter = Int64(first)
        }

        private static func number(_ row: ImportRow, _ column: String) throws(Refusal) -> Int? {
            guard let text = row[column] else { return nil }
            guard text.utf8.count <= 19, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else {
                throw Refusal(.invalid, "`\(Valid.shown(text))` is no number.", remedy: "Write digits alone.", place: column)
            }
            return number
        }
    }
}
