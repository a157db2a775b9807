// SPDX-License-Identifier: Apache-2.0
// An opened database with its key, its writer and its chain: everything that the layers above do with storage goes through it.

internal import Crypto
internal import Foundation
package import LoginEngine
internal import Synchronization

package final class Records: Sendable {
    package struct Options: Sendable {
        package var database = SQLiteDatabase.Options()
        package var limits = GroupCommit.Limits()
        /// False in tests, which drive the writer by `writer.commitNow()`.
        package var runsWriter = true
        /// False: an older schema is an error instead of being migrated.
        package var migrates = true

        package init() {}
    }

    package let writer: GroupCommit
    package let handles: any HandleSeal
    /// The schema's version before this start; 0 for a new database.
    package let schemaBefore: Int
    package let schema: Int

    let database: any SQLDatabase
    let chain: EventChain
    let marks: MarkKeeping
    let sealing: Sealing
    let opened: OpenedSecrets
    let index: EventIndex
    let damaged = Atomic<Int>(0)
    private let recoveryKey: HMAC<SHA256>

    /// Opens, migrates, checks the key, and starts the writer.
    package static func open(
        in directory: DataDirectory, key source: MasterKeySource, at now: Timestamp, options: Options = Options()
    ) throws(StoreError) -> Records {
        let database: SQLiteDatabase
        do throws(DatabaseError) {
            database = try SQLiteDatabase(path: directory.databasePath, options: options.database)
        } catch {
            throw StoreError(error)
        }
        do throws(StoreError) {
            return try Records(database, key: source, at: now, options: options)
        } catch {
            database.close()
            throw error
        }
    }

    /// The same over any database.
    package init(_ database: any SQLDatabase, key source: MasterKeySource, at now: Timestamp, options: Options = Options())
        throws(StoreError)
    {
        self.database = database
        let migrator = Migrator.sqlite
        if !options.migrates { try migrator.requireNewest(database) }
        schemaBefore = try migrator.migrate(database, at: now)
        schema = migrator.newest
        let key = try Self.key(source, for: database, at: now)
        let keys = [UInt32(1): key]
        sealing = Sealing(keys: keys, current: 1)
        opened = OpenedSecrets(sealing)
        handles = KeyedHandles(keys: keys, current: 1)
        recoveryKey = HMAC<SHA256>(key: key.subkey("recovery code"))
        do throws(DatabaseError) {
            let signing = ChainSigning(key: key, chain: try Self.chainName(database))
            chain = try EventChain.resume(database, signing: signing)
            marks = try MarkKeeping(database, at: now)
            index = try EventIndex(database, head: chain.head.seq)
        } catch {
            throw StoreError(error)
        }
        writer = GroupCommit(database: database, chain: chain, marks: marks, limits: options.limits, hasThread: options.runsWriter)
        writer.whenIdle(
            GroupCommit.Background(
                step: { [marks, index, chain] in
                    // What fails here fails again, and is told, in the next housekeeping.
                    (try? marks.foldSome()) == true
                        || (try? index.fillSome(upTo: chain.head.seq, atLeast: EventIndex.chunk, lines: EventIndex.step)) == true
                },
                isOverdue: { [marks, index, chain] in marks.isOverdue || chain.head.seq - index.watermark > EventIndex.mostUnindexed }))
        writer.start()
    }

    /// Ends the writer when it has written what waits. Nothing may be asked afterwards.
    package func close() {
        writer.close()
        database.close()
    }

    /// What `Mark.recovery` carries and `recovery_code` keeps: bound to the factor, so that it is worth nothing in another's row.
    package func recoveryHash(_ symbols: [UInt8], factor: Int64) -> [UInt8] {
        var mac = recoveryKey
        mac.update(data: Bits128(high: 0, low: UInt64(bitPattern: factor)).bytes.suffix(8) + symbols)
        return Array(mac.finalize())
    }

    /// How often a login needed a sealed value that did not open.
    package var damagedSecrets: Int { damaged.load(ordering: .relaxed) }

    // MARK: The key

    /// Reads the key, or makes the first one; the key check in the database tells a wrong one before anything is opened with it.
    private static func key(_ source: MasterKeySource, for database: any SQLDatabase, at now: Timestamp) throws(StoreError) -> MasterKey {
        let check: String?
        do throws(DatabaseError) {
            check = try database.read([Statement(.setting, [.text(SettingName.keyCheck)])])[0].first?.text(0)
        } catch {
            throw StoreError(error)
        }
        guard let key = try MasterKey.load(source) else {
            guard check == nil else {
                throw StoreError(
                    .keyMissing, "the master key is not there, and the database holds values that only it opens", at: source.place,
                    remedy: "Put the key back from its backup; a new one is not made, since it would not open them.")
            }
            guard case .file(let path) = source else {
                throw StoreError(.keyMissing, "the master key is not there", at: source.place)
            }
            let key = try MasterKey.make(at: path)
            try begin(database, key, at: now)
            return key
        }
        guard let check else {
            try begin(database, key, at: now)
            return key
        }
        guard check == checkValue(key) else {
            throw StoreError(
                .wrongKey, "The master key does not open this database", at: source.place,
                remedy: "Start with the key that the database was made with, or with the data directory that belongs to this key.")
        }
        return key
    }

    private static func checkValue(_ key: MasterKey) -> String {
        let mac = HMAC<SHA256>.authenticationCode(for: Foundation.Data("sallyport".utf8), using: key.subkey("key check"))
        return Foundation.Data(mac).base64EncodedString()
    }

    /// Keeps the key's check and begins the chain: its name, with the time at which it was made, and the record of its end, in one
    /// transaction, so that a record that is missing later was taken away.
    private static func begin(_ database: any SQLDatabase, _ key: MasterKey, at now: Timestamp) throws(StoreError) {
        let name = "\(Foundation.Data(RandomBytes.make(16)).base64EncodedString()) \(now.microseconds)"
        let signing = ChainSigning(key: key, chain: Array(name.utf8))
        do throws(DatabaseError) {
            let unit = Unit([
                Statement(.insertSetting, [.text(SettingName.keyCheck), .text(checkValue(key))]),
                Statement(.insertSetting, [.text(SettingName.chain), .text(name)]),
                EventChain.record(EventChain.Head(seq: 0, hash: EventChain.origin), signing),
            ])
            guard case .failed(let error) = try database.write([unit], closing: { _ in [] })[0] else { return }
            throw error
        } catch {
            throw StoreError(error)
        }
    }

    private static func chainName(_ database: any SQLDatabase) throws(DatabaseError) -> [UInt8] {
        // Without its name no line of the chain verifies, which is what has to be told of a name that was taken away.
        let row = try database.read([Statement(.setting, [.text(SettingName.chain)])])[0].first
        return Array(try row?.text(0).utf8 ?? "".utf8)
    }

    // MARK: Reading and writing

    func read<Result>(_ statements: [Statement], _ body: ([Rows]) throws(DatabaseError) -> Result) throws(StoreError) -> Result {
        do throws(DatabaseError) { return try body(try database.read(statements)) } catch { throw StoreError(error) }
    }

    /// Writes one unit through the writer, with its events.
    /// - Parameter refusals: what each guard's refusal means.
    @discardableResult
    func change(
        _ unit: Unit, refusals: [StoreError] = [], trail: @escaping @Sendable ([Rows]) -> [Event]
    ) async throws(StoreError) -> [Rows] {
        let outcome = await withCheckedContinuation { continuation in
            writer.submit(
                GroupCommit.Submission(unit, isChange: true, trail: .made(trail)) { continuation.resume(returning: $0) })
        }
        switch outcome {
        case .failed(.overloaded): throw StoreError(.overloaded, "too much waits to be written", remedy: "Try again.")
        case .failed:
            throw StoreError(
                .unavailable, "the database cannot be written (\(writer.statistics.lastError ?? "no reason known"))",
                remedy: "See the node's log; no restart is needed.")
        case .written(.refused(let index)):
            throw index < refusals.count ? refusals[index] : StoreError(.notAllowed, "the change was refused")
        case .written(.failed(let error)): throw StoreError(error)
        case .written(.done(let rows)): return rows
        }
    }

    /// Runs `job` on the writer's thread, where nobody else writes.
    func onWriter<Result: Sendable>(_ job: @escaping @Sendable () throws(DatabaseError) -> Result) async throws(StoreError) -> Result {
        let result: Swift.Result<Result, DatabaseError> = await withCheckedContinuation { continuation in
            let isTaken = writer.perform {
                do throws(DatabaseError) {
                    continuation.resume(returning: .success(try job()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            if !isTaken { continuation.resume(returning: .failure(DatabaseError(.closed, "the database was closed"))) }
        }
        do throws(DatabaseError) { return try result.get() } catch { throw StoreError(error) }
    }

    func secret(_ sealed: [UInt8]?, at place: SealedPlace) throws(DatabaseError) -> Secret? {
        guard let sealed else { return nil }
        do throws(SealingError) {
            return try sealing.open(sealed, at: place)
        } catch {
            throw DatabaseError(.damaged, "a sealed value of \(place.table) \(place.row) does not open (\(error))")
        }
    }
}

enum SettingName {
    static let keyCheck = "key.check"
    static let chain = "chain.name"
}

extension SQL {
    static let setting = SQL("SELECT value FROM setting WHERE name = ?1")
    static let insertSetting = SQL("INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    static let raiseRevision = SQL("UPDATE revision SET number = number + 1 WHERE id = 1")
}
