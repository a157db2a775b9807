// SPDX-License-Identifier: Apache-2.0
// What is written down of backups and restores; the files themselves are made by the command, beside the node.

internal import Directories
package import LoginEngine
package import Store

/// A backup was made: the trail says by whom, and what opens it.
package struct NoteBackup: AdminOperation {
    package static let verb = "backup.note"
    /// `a passphrase`, `recipient spb-…`
    package var lock: String
    package var holdsKey: Bool

    package init(lock: String, holdsKey: Bool) {
        self.lock = lock
        self.holdsKey = holdsKey
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let event = operations.event(
            .backupMade, by: actor, ["lock": Valid.shown(lock), "key": holdsKey ? "included" : "not included"])
        try await operations.records.noteBackup(at: operations.now(), event: event)
        return Done("Noted.")
    }
}

/// A backup is about to take the master key along.
package struct BeginBackup: AdminOperation {
    package static let verb = "backup.begin"
    package var lock: String

    package init(lock: String) {
        self.lock = lock
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        // The trail first: what ends the command behind this takes no key away unnoticed.
        try await operations.records.append(
            operations.event(.backupBegun, by: actor, ["lock": Valid.shown(lock), "key": "included"]))
        return Done("Noted.")
    }
}

extension BackupPassphrase {
    /// Stretched by argon2id.
    package init(_ passphrase: SecretText) {
        self.init(passphrase.secret) { secret, salt, cost throws(StoreError) in
            let argon2 = Argon2id(memoryKiB: cost.memoryKiB, passes: cost.passes, lanes: cost.lanes)
            do throws(Argon2Error) { return try argon2.key(from: secret, salt: salt) } catch {
                throw StoreError(.unavailable, "the passphrase cannot be stretched: \(error)", remedy: "Is there enough memory?")
            }
        }
    }

    /// For a new backup, whose passphrase is all that stands before the data.
    package static func new(_ passphrase: SecretText) throws(Refusal) -> BackupPassphrase {
        guard passphrase.text.count >= shortest else {
            throw Refusal(
                .invalid, "The passphrase has less than \(shortest) characters.", remedy: "Use four words or more, or --recipient.")
        }
        return BackupPassphrase(passphrase)
    }
}

extension Restore {
    /// With the event of who did it.
    package init(by actor: Actor, now: @escaping @Sendable () -> Timestamp) {
        self.init { details in
            Event(.restored, at: now(), details: details, actor: PersonalFields([PersonalFields.Field("actor", actor.description)]))
        }
    }
}

extension Operations {
    private static let mostNames = 40

    /// The first start behind a restore.
    /// - Returns: what the old copy brings back, as lines for the log; nil at every other start.
    package func beginEpoch() async throws -> [String]? {
        guard let made = try await records.beginEpoch(at: now()) else { return nil }
        return ["this node works on a backup of \(made.iso8601): whatever was changed since then is undone"]
            + (try broughtBack(since: made))
    }

    /// Who can log in again as they could when a copy was made. Who was disabled or removed since then is among them.
    package func broughtBack(since made: Timestamp) throws -> [String] {
        var filter = UserFilter()
        filter.status = .active
        let users = try records.users(filter, after: nil, limit: Self.mostNames + 1)
        let names = users.prefix(Self.mostNames).map(\.name)
        let count = try records.userCount(status: .active)
        guard count > 0 else { return ["nobody is active in it"] }
        let more = count > names.count ? " and \(count - names.count) more (`sallyport user list --status active`)" : ""
        return [
            "\(Words.count(count, "user is", "users are")) active as they were then, also who was disabled or removed since: "
                + names.joined(separator: ", ") + more
        ]
    }
}
