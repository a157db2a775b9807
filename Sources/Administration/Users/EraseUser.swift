// SPDX-License-Identifier: Apache-2.0
// Erasing a person: the user goes at once, what the trail says of them step by step.

package import LoginEngine
internal import Store

package struct EraseUser: AdminOperation {
    package static let verb = "user.erase"
    package var name: String

    package init(name: String) {
        self.name = name
    }

    /// What was begun with a right password or a waiting phone has ended by then, and is erased too.
    package static let settlesWithin = Timestamp.Span.minutes(2)

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let records = operations.records
        let user = try operations.user(name)
        let hasDevices = try !records.certificates(ofUser: user.id).isEmpty
        // What the gateways answer names them, and is erased with the rest.
        let open = await operations.disconnect(try operations.openSessions(ofUser: user.id), by: actor).filter { !$0.isDone }
        try await records.beginErasure(
            ofUser: user.id, keys: [user.key] + user.aliases.map(\.key), event: operations.event(.userErased, by: actor, user: user.id))
        try await operations.ports.changed(.failures(user: user.id))
        if hasDevices { try await operations.ports.changed(.certificates) }
        try await operations.ports.changed(.erasure)
        // What was counted stands in the queue now.
        try await records.waitForWriter()
        while try await records.eraseSome(ofUser: user.id) {}
        let events = try records.erasures().first { $0.user == user.id }?.events ?? 0
        let done = "Erased user \(user.name), with factors and recovery codes, and from \(Words.count(events, "event")) of the trail."
        if !operations.ports.isServing {
            _ = try await records.continueErasures(settledBefore: .init(microseconds: .max), at: operations.now())
            return Done(done, warnings: [Self.elsewhere] + open.map(\.message))
        }
        return Done("\(done) What was still under way is erased within three minutes.", warnings: [Self.elsewhere] + open.map(\.message))
    }

    private static let elsewhere = "Logs, exports and backups that were made before still hold what they hold."
}
