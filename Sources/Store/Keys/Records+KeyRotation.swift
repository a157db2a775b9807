// SPDX-License-Identifier: Apache-2.0
// A new master key takes the place of the old one while logins go on. Whatever the step at which it is killed, the next start goes on.

internal import Foundation
package import LoginEngine
internal import Synchronization

/// What was done last when it was.
package enum KeyRotationStep: Sendable, Equatable, CaseIterable {
    /// The source holds both keys.
    case keyMade
    /// The database knows the new one, and seals and signs with it.
    case switched
    /// Some values were sealed anew; more may be left.
    case resealed
    /// Nothing is sealed under the old one.
    case retired
}

package struct KeyRotationReport: Sendable, Equatable {
    package var id: UInt32
    package var fingerprint: String
    /// Of the key whose place it took; nil when nothing was left to do.
    package var before: String?
    /// Values that were sealed anew.
    package var resealed = 0
    /// Values that did not open under the old key either; each costs its owner the login.
    package var damaged = 0
    /// Where the old key has to be taken out by hand; nil where the node did it.
    package var oldKeyIsIn: String?
}

/// What `key show` and `doctor` say.
package struct KeyStatus: Sendable, Equatable {
    package var id: UInt32
    package var fingerprint: String
    package var place: String
    package var since: Timestamp?
    /// Values that are still sealed under the key before it; nil when none takes its place.
    package var left: Int?
    /// The source holds a key that the database does not know: `key rotate` will use it.
    package var isNextWaiting: Bool
    /// The source holds keys that nothing needs.
    package var hasSpentKeys: Bool
    /// When a copy of this very key was shown to be one.
    package var copyConfirmed: Timestamp?
}

extension Records {
    /// Rows in one transaction: some milliseconds.
    static let resealChunk = 128

    package var isRotatingKey: Bool { ring.withLock { $0.leaving != nil } }

    /// Makes a new key, or takes the one that waits in the source, and seals everything under it. Goes on with one that was interrupted.
    ///
    /// - Parameters:
    ///   - begun: makes the event of the change, of the new key's fingerprint; not called where it was begun before.
    ///   - done: makes the event of its end.
    package func rotateKey(
        at now: Timestamp, begun: @escaping @Sendable (String) -> Event, done: @escaping @Sendable (KeyRotationReport) -> Event
    ) async throws(StoreError) -> KeyRotationReport {
        guard !isRotating.exchange(true, ordering: .acquiringAndReleasing) else {
            throw StoreError(
                .notAllowed, "a new master key is being taken into use already", remedy: "Wait for its end: `sallyport key show`.")
        }
        defer { isRotating.store(false, ordering: .releasing) }
        if ring.withLock({ $0.leaving == nil }) {
            let next = try nextKey()
            try probe(.keyMade)
            try await adopt(next, at: now, event: begun(next.fingerprint))
            try probe(.switched)
        }
        return try await finishRotation(done)
    }

    /// What a start does when the last one was interrupted.
    /// - Returns: nil when there was nothing to do.
    package func resumeKeyRotation(done: @escaping @Sendable (KeyRotationReport) -> Event) async throws(StoreError) -> KeyRotationReport? {
        let ring = ring.withLock { $0 }
        if ring.leaving == nil, ring.hasSpentKeys, case .file(let path) = ring.source {
            // Killed between the end in the database and in the file.
            try MasterKey.replace(path, with: [ring.current] + [ring.waiting].compactMap(\.self))
            self.ring.withLock { $0.hasSpentKeys = false }
        }
        guard ring.leaving != nil, !isRotating.exchange(true, ordering: .acquiringAndReleasing) else { return nil }
        defer { isRotating.store(false, ordering: .releasing) }
        return try await finishRotation(done)
    }

    private func nextKey() throws(StoreError) -> MasterKey {
        let ring = ring.withLock { $0 }
        if let waiting = ring.waiting { return waiting }
        guard case .file(let path) = ring.source else {
            throw StoreError(
                .notAllowed, "the master key comes from a place that the node cannot write to", at: ring.source.place,
                remedy:
                    "Make a key with `sallyport key make FILE`, put it there as a line before the old one, restart, and repeat this command."
            )
        }
        let next = MasterKey.random()
        try MasterKey.replace(path, with: [next, ring.current])
        self.ring.withLock { $0.waiting = next }
        return next
    }

    /// In one transaction the new key becomes the current one, signs the end of the trail, and seals what the old one leaves behind.
    private func adopt(_ key: MasterKey, at now: Timestamp, event: Event) async throws(StoreError) {
        try await onWriter { [self] () throws(DatabaseError) in
            let (oldID, old) = ring.withLock { ($0.currentID, $0.current) }
            let id = oldID + 1
            let last = chain.head.seq
            let lasting = LastingKeys(of: old)
            let own = Sealing(keys: [id: key], current: id)
            let base = try database.read([Statement(.readBase)])[0].first.map { row throws(DatabaseError) in try CutMark(row) }
            // One that is not genuine stays what it is.
            let renewed = base.flatMap { chain.signing.mac(ofCut: $0.head) == $0.mac ? $0.head : nil }
            var leave = [
                Statement(
                    .leaveMasterKey, [.integer(Int64(oldID)), .blob(own.seal(lasting.encode(lastLine: last), at: .olderKey(Int64(oldID))))]),
                Statement(.insertMasterKey, [.integer(Int64(id)), .text(key.check), .integer(now.microseconds)]),
                // They live for minutes; their logins begin anew.
                Statement(.dropRenewals),
                Statement(.raiseRevision),
            ]
            chain.signing.adopt(key, after: last)
            var isDone = false
            defer { if !isDone { chain.signing.revert() } }
            let link = chain.link([event])
            if let renewed {
                leave.append(
                    Statement(.setBase, [.integer(renewed.seq), .blob(renewed.hash), .blob(chain.signing.mac(ofCut: renewed))]))
            }
            let outcome = try database.write([Unit(leave)]) { $0[0].isDone ? link.statements : [] }[0]
            if case .failed(let error) = outcome { throw error }
            isDone = true
            chain.adopt(link)
            sealing.adopt(key, id)
            ring.withLock { ring in
                ring.leaving = (oldID, old)
                ring.older.append(KeyRing.Older(id: oldID, lastLine: last, subkeys: lasting))
                (ring.currentID, ring.current, ring.since, ring.waiting) = (id, key, now, nil)
            }
        }
    }

    private func finishRotation(_ done: @escaping @Sendable (KeyRotationReport) -> Event) async throws(StoreError) -> KeyRotationReport {
        let ring = ring.withLock { $0 }
        var report = KeyRotationReport(id: ring.currentID, fingerprint: ring.current.fingerprint)
        guard let leaving = ring.leaving else { return report }
        report.before = leaving.key.fingerprint
        for column in SealedColumn.all {
            var row: Int64? = .min
            while let after = row {
                let chunk = try await onWriter { [database, sealing] () throws(DatabaseError) in
                    try column.reseal(after: after, limit: Self.resealChunk, database, sealing)
                }
                report.resealed += chunk.sealed
                report.damaged += chunk.damaged
                row = chunk.last
                if chunk.sealed > 0 { try probe(.resealed) }
            }
        }
        let left: Int
        do throws(DatabaseError) { left = try SealedColumn.count(under: leaving.id, in: database) } catch { throw StoreError(error) }
        guard left <= report.damaged else {
            throw StoreError(
                .damaged, "\(left - report.damaged) values are still sealed under the old master key",
                remedy: "Repeat `sallyport key rotate`.")
        }
        if case .file = ring.source {} else { report.oldKeyIsIn = ring.source.place }
        let event = done(report)
        try await change(Unit([Statement(.retireMasterKey, [.integer(Int64(leaving.id))])])) { _ in [event] }
        try probe(.retired)
        sealing.forget(leaving.id)
        if case .file(let path) = ring.source { try MasterKey.replace(path, with: [ring.current]) }
        self.ring.withLock { ring in
            ring.leaving = nil
            ring.hasSpentKeys = !ring.source.isWritable
        }
        return report
    }

    private func probe(_ step: KeyRotationStep) throws(StoreError) {
        if let probe = rotationProbe { try probe(step) }
    }

    // MARK: What is known about the key

    package func keyStatus() throws(StoreError) -> KeyStatus {
        let ring = ring.withLock { $0 }
        var left: Int?
        if let leaving = ring.leaving {
            do throws(DatabaseError) { left = try SealedColumn.count(under: leaving.id, in: database) } catch { throw StoreError(error) }
        }
        let parts = try setting(SettingName.keyCopy)?.split(separator: " ") ?? []
        let copied = parts.count == 2 && parts[0] == ring.current.fingerprint ? Int64(parts[1]) : nil
        return KeyStatus(
            id: ring.currentID, fingerprint: ring.current.fingerprint, place: ring.source.place,
            since: ring.since.microseconds == 0 ? nil : ring.since, left: left, isNextWaiting: ring.waiting != nil,
            hasSpentKeys: ring.hasSpentKeys, copyConfirmed: copied.map { Timestamp(microseconds: $0) })
    }

    /// Somebody has a copy: its bytes are compared with the key in use.
    /// - Parameter place: where the copy is, for errors.
    package func confirmKeyCopy(_ copy: Secret, in place: String = "", at now: Timestamp, event: Event) async throws(StoreError) {
        let current = ring.withLock { $0.current }
        let keys: [MasterKey]
        do throws(StoreError) { keys = try MasterKey.load(.text(copy)) ?? [] } catch {
            throw StoreError(
                .invalid, "this holds no master key: 32 bytes are needed, as 64 hexadecimal digits or base64", at: place,
                remedy: "Copy the key in use, and confirm that copy.")
        }
        guard keys.contains(where: { $0.check == current.check }) else {
            throw StoreError(
                .wrongKey, "this is a copy of key \(keys.first?.fingerprint ?? "?"), and the node uses key \(current.fingerprint)",
                at: place,
                remedy: "Copy the key in use, and confirm that copy.")
        }
        try await setSetting(SettingName.keyCopy, to: "\(current.fingerprint) \(now.microseconds)", event: event)
    }
}

extension SQL {
    fileprivate static let leaveMasterKey = SQL("UPDATE master_key SET state = 'leaving', subkeys = ?2 WHERE id = ?1")
    fileprivate static let retireMasterKey = SQL("UPDATE master_key SET state = 'retired' WHERE id = ?1")
}
