// SPDX-License-Identifier: Apache-2.0
// What is kept of passwords beside their hash, so that CHAP and MS-CHAP can be checked (docs/design/0010-kept-passwords.md).

internal import LoginEngine
internal import Store

package struct ShowPasswordKeeping: AdminOperation {
    package static let verb = "password.show"

    package init() {}

    package struct Answer: Codable, Sendable, Equatable {
        package var parts: [Part]
        package var warnings: [String]
    }

    package struct Part: Codable, Sendable, Equatable {
        /// `nt-hash`, `clear-password`
        package var name: String
        package var isKept: Bool
        package var users: Int
        /// Protocols that passwords can be checked by because of it.
        package var protocols: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let keeping = try operations.records.passwordKeeping()
        let parts = try PasswordKeeping.Part.allCases.map { part in
            Part(
                name: part.rawValue, isKept: keeping.parts.contains(part), users: try operations.records.keptCount(part),
                protocols: part.schemes.schemes.map(\.title))
        }
        return Answer(parts: parts, warnings: keeping.parts.sorted { $0.rawValue < $1.rawValue }.map(\.warning))
    }
}

package struct KeepPasswords: AdminOperation {
    package static let verb = "password.keep"
    package var part: String

    package init(part: String) {
        self.part = part
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let part = try PasswordKeeping.Part(named: part)
        guard try !operations.records.passwordKeeping().parts.contains(part) else {
            return Done("Nothing to change: \(part.title) is kept already.")
        }
        try await operations.records.keep(
            part, event: operations.event(.passwordKeepingChanged, by: actor, ["change": "\(part.rawValue) kept from now on"]))
        return Done(
            "\(part.title.capitalisedFirst) is kept from now on, sealed: each user's from the next time on that the password is set.",
            warnings: [part.warning])
    }
}

package struct DropPasswords: AdminOperation {
    package static let verb = "password.drop"
    package var part: String

    package init(part: String) {
        self.part = part
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let part = try PasswordKeeping.Part(named: part)
        let records = operations.records
        let keeping = try records.passwordKeeping()
        let users = try records.keptCount(part)
        guard keeping.parts.contains(part) || users > 0 else { return Done("Nothing to change: \(part.title) is not kept.") }
        let rest = PasswordKeeping(keeping.parts.subtracting([part]))
        let provable = operations.provableSchemes(kept: rest.schemes, try records.directories())
        let stranded = try records.clients().filter { $0.settings.schemesWithoutPassword(kept: provable) != nil }
        guard stranded.isEmpty else {
            throw Refusal(
                .conflict, "Client \(Words.list(stranded.map { "`\($0.name)`" })) checks passwords by it.",
                remedy: "First: `sallyport client set \(stranded[0].name) --protocol pap`.")
        }
        try await records.drop(
            part,
            event: operations.event(
                .passwordKeepingChanged, by: actor, ["change": "\(part.rawValue) no longer kept", "users": "\(users)"]))
        return Done(
            "\(part.title.capitalisedFirst) is no longer kept; \(users == 0 ? "there was none." : "that of \(Words.count(users, "user")) is erased.")"
        )
    }
}

extension PasswordKeeping.Part {
    init(named name: String) throws(Refusal) {
        guard let part = Self(rawValue: name) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(name))` is none of \(Words.list(Self.allCases.map(\.rawValue), "and")).", place: "part")
        }
        self = part
    }

    var schemes: ProofSchemes {
        switch self {
        case .ntHash: .needNTHash
        case .clearPassword: .needText
        }
    }

    var title: String {
        switch self {
        case .ntHash: "the NT hash"
        case .clearPassword: "the password itself"
        }
    }

    var warning: String {
        switch self {
        case .ntHash:
            "NT hashes are kept: whoever has the master key and the data can search passwords fast, and log in by MS-CHAP with the hash alone."
        case .clearPassword:
            "Passwords themselves are kept: whoever has the master key and the data can read every one that was set since."
        }
    }
}

extension String {
    fileprivate var capitalisedFirst: String { prefix(1).uppercased() + dropFirst() }
}
