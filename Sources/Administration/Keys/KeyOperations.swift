// SPDX-License-Identifier: Apache-2.0
// The master key: what is known of it, a new one in its place, and the proof that somebody has a copy.

internal import LoginEngine
internal import Store

package struct ShowKey: AdminOperation {
    package static let verb = "key.show"

    package init() {}

    package struct Answer: Codable, Sendable, Equatable {
        package var id: UInt32
        /// What two people compare to know that they have the same key.
        package var fingerprint: String
        /// Where the node reads it.
        package var place: String
        package var since: Instant?
        /// While a new key takes the old one's place: values that are still sealed under the old one.
        package var left: Int?
        package var copyConfirmed: Instant?
        package var warnings: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let status = try operations.records.keyStatus()
        var warnings: [String] = []
        if status.copyConfirmed == nil {
            warnings.append(
                "No copy of this key was confirmed. Without the key the data are lost: copy it to another place, then "
                    + "`sallyport key confirm-copy FILE`.")
        }
        if let left = status.left {
            warnings.append("A new key takes the old one's place: \(Words.count(left, "value")) left. The running node goes on with it.")
        }
        if status.isNextWaiting { warnings.append("\(status.place) holds a key that is not used yet: `sallyport key rotate` takes it.") }
        if status.hasSpentKeys { warnings.append("\(status.place) still holds an older key, which nothing needs: take it out.") }
        return Answer(
            id: status.id, fingerprint: status.fingerprint, place: status.place, since: status.since.map { Instant($0) }, left: status.left,
            copyConfirmed: status.copyConfirmed.map { Instant($0) }, warnings: warnings)
    }
}

package struct RotateKey: AdminOperation {
    package static let verb = "key.rotate"
    /// That the present key goes although nobody has shown a copy of it.
    package var isConfirmed: Bool

    package init(isConfirmed: Bool = false) {
        self.isConfirmed = isConfirmed
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var message: String
        package var id: UInt32
        package var fingerprint: String
        package var resealed: Int
        package var damaged: Int
        package var warnings: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let status = try operations.records.keyStatus()
        // One that was begun goes on: the old key is in its source until the end.
        guard isConfirmed || status.copyConfirmed != nil || status.left != nil else {
            throw Refusal(
                .conflict,
                "No copy of key \(status.fingerprint) was confirmed, and a rotation takes it away: nobody could open backups made under it.",
                remedy: "Copy \(status.place), then `sallyport key confirm-copy FILE`; or add --yes if no backup is needed any more.")
        }
        let report = try await operations.records.rotateKey(
            at: operations.now(),
            begun: { operations.event(.keyRotationBegun, by: actor, ["key": $0]) },
            done: { operations.event(.keyRotated, by: actor, ["key": $0.fingerprint, "values": "\($0.resealed)"]) })
        var warnings = ["Copies of the old key open nothing new. Copy the new one, then `sallyport key confirm-copy FILE`."]
        if let before = report.before {
            warnings.append("Backups made until now need key \(before): keep its copy as long as them, and make a new backup now.")
        }
        if let place = report.oldKeyIsIn { warnings.append("Take the old key out of \(place), and leave the new one there.") }
        if report.damaged > 0 {
            warnings.append("\(Words.count(report.damaged, "sealed value")) did not open under the old key either: see `sallyport doctor`.")
        }
        return Answer(
            message: "Key \(report.fingerprint) is the master key now; \(Words.count(report.resealed, "value")) sealed anew.",
            id: report.id,
            fingerprint: report.fingerprint, resealed: report.resealed, damaged: report.damaged, warnings: warnings)
    }
}

extension Operations {
    /// What a start does with a change of the key that was interrupted.
    /// - Returns: what was done, as a sentence; nil when there was nothing.
    package func resumeKeyRotation(by actor: Actor) async throws -> String? {
        let report = try await records.resumeKeyRotation(
            done: { [self] in event(.keyRotated, by: actor, ["key": $0.fingerprint, "values": "\($0.resealed)"]) })
        return report.map { "the change of the master key to \($0.fingerprint) is done; \(Words.count($0.resealed, "value")) sealed anew" }
    }
}

package struct ConfirmKeyCopy: AdminOperation {
    package static let verb = "key.confirm-copy"
    /// The copy itself: that somebody has one is shown, not said.
    package var copy: SecretText
    /// Where it was read, for errors.
    package var place: String?

    package init(copy: SecretText, place: String? = nil) {
        self.copy = copy
        self.place = place
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let records = operations.records
        let fingerprint = try records.keyStatus().fingerprint
        try await records.confirmKeyCopy(
            copy.secret, in: place ?? "", at: operations.now(), event: operations.event(.keyCopyConfirmed, by: actor, ["key": fingerprint]))
        return Done("This is a copy of key \(fingerprint), which the node uses. Keep it apart from backups.")
    }
}
