// SPDX-License-Identifier: Apache-2.0
// Data directory, key and records, opened from the settings: for the node, and for a command that finds no node.

import Directories
import Factors
import Foundation
import Glibc
import Logging
import LoginEngine
import Store

struct OpenedStore: Sendable {
    let directory: DataDirectory
    let records: Records
    /// Nil where the data are on another disk than ours.
    let reserve: DiskReserve?
    /// Where passwords are hashed and checked.
    let hashing: BlockingPool
    let cost = Argon2id()

    /// - Parameter creating: whether a data directory is made where there is none.
    static func open(
        _ settings: Settings, creating: Bool, migrates: Bool = true, isServing: Bool = false
    ) throws(StoreError) -> OpenedStore {
        let directory = try DataDirectory.open(settings.dataDirectory, creating: creating)
        return try open(settings, in: directory, migrates: migrates, isServing: isServing)
    }

    /// - Parameter isServing: whether it is opened for many logins, and not for a command.
    static func open(
        _ settings: Settings, in directory: DataDirectory, migrates: Bool = true, isServing: Bool = false
    ) throws(StoreError) -> OpenedStore {
        var options = Records.Options()
        options.migrates = migrates
        switch settings.database {
        case .postgres(let address): options.postgres = address
        case .sqlite:
            options.beforeMigration = { from, to, key throws(StoreError) in
                let path = try UpgradeBackup.write(
                    from: from, to: to, in: directory, key: key, release: Sallyport.release, node: NodeLocation.nodeName,
                    at: NodeClock.now().wall)
                Logger(label: "sallyport.node").notice("wrote \(path) before the database is brought from schema \(from) to \(to)")
            }
        }
        options.database.takesJournalSpace = isServing
        let reserve = options.postgres == nil ? DiskReserve(in: directory.path) : nil
        if let reserve { options.database.makeRoom = { reserve.release() } }
        let records = try Records.open(
            in: directory, key: try keySource(settings.masterKeySource, directory.keyPath, ProcessInfo.processInfo.environment),
            at: NodeClock.now().wall, options: options)
        let cores = max(1, ProcessInfo.processInfo.activeProcessorCount)
        // One hash takes about 25 ms; the pool's patience bounds the queue where it takes longer.
        let hashing = BlockingPool(
            name: "sallyport.hash", threads: cores, queueLimit: 120 * cores, whenIdle: Argon2id.releaseMemory)
        return OpenedStore(directory: directory, records: records, reserve: reserve, hashing: hashing)
    }

    /// What a first start made; nil at every other one.
    func made() throws(StoreError) -> String? {
        guard records.schemaBefore == 0 else { return nil }
        let key = try records.keyStatus().place
        if key == directory.keyPath, access(directory.databasePath, F_OK) == 0 {
            return "made a new database and master key in \(directory.path)"
        }
        let place = access(directory.databasePath, F_OK) == 0 ? "in \(directory.path)" : "on the PostgreSQL server"
        return "made a new database \(place); its master key is read from \(key)"
    }

    func close() {
        hashing.stop()
        records.close()
        directory.close()
    }

    /// - Parameter path: of the key in the data directory.
    static func keySource(
        _ source: Settings.MasterKeySource, _ path: String, _ environment: [String: String]
    ) throws(StoreError) -> MasterKeySource {
        switch source {
        case .file(nil):
            // Who sets the variable means it. A key of another database is told by the key check.
            if let text = environment[MasterKeySource.variable] { return .text(Secret(utf8: text)) }
            return .file(path)
        case .file(.some(let path)):
            return .file(path)
        case .environment(let name):
            guard let text = environment[name] else {
                throw StoreError(
                    .keyMissing, "the environment variable is not set", at: name, remedy: "Set it, or change master-key.source.")
            }
            return .text(Secret(utf8: text))
        case .credential(let name):
            guard let folder = environment["CREDENTIALS_DIRECTORY"] else {
                throw StoreError(
                    .keyMissing, "systemd passed no credentials", at: name,
                    remedy: """
                        Start the node, so that commands go to it: systemctl start sallyport. Its unit needs LoadCredential=. To work on the \
                        data without it, as root: systemd-run --pty -q -p User=sallyport -p LoadCredential=\(name):/etc/sallyport/master.key \
                        sallyport …
                        """)
            }
            return .credential(folder + "/" + name)
        }
    }

    // MARK: What operations need

    var recoveryCodes: RecoveryCodes {
        let records = records
        return RecoveryCodes { records.recoveryHash($0, factor: $1) }
    }

    func hash(_ password: Secret) async throws -> Secret {
        let cost = cost
        return try await withCheckedThrowingContinuation { continuation in
            let overloaded = StoreError(.overloaded, "too many passwords wait to be hashed", remedy: "Try again in a minute.")
            let isTaken = hashing.run {
                Result { try cost.hash(password, salt: BufferedRandom.bytes(Argon2id.saltLength)) }
            } completion: { result in
                continuation.resume(with: result ?? .failure(overloaded))
            }
            if !isTaken { continuation.resume(throwing: overloaded) }
        }
    }
}
