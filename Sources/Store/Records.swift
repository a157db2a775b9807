// SPDX-License-Identifier: Apache-2.0
// An opened database with its key, its writer and its chain: everything that the layers above do with storage goes through it.

internal import Crypto
internal import Dispatch
internal import Foundation
package import LoginEngine
internal import Synchronization

package final class Records: Sendable {
    package struct Options: Sendable {
        /// Nil: a file in the data directory.
        package var postgres: PostgresAddress?
        package var database = SQLiteDatabase.Options()
        package var limits = GroupCommit.Limits()
        /// False in tests, which drive the writer by `writer.commitNow()`.
        package var runsWriter = true
        /// False: an older schema is an error instead of being migrated.
        package var migrates = true
        /// Called before an older schema is changed, with the key that its values are sealed under; what it throws ends the start.
        package var beforeMigration: (@Sendable (_ from: Int, _ to: Int, MasterKey) throws(StoreError) -> Void)?
        /// Called after each step of a rotation of the master key; a test's way to end it there.
        package var rotationProbe: (@Sendable (KeyRotationStep) throws(StoreError) -> Void)?

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
    let cache = FactsCache()
    let index: EventIndex
    let trailName: [UInt8]
    let damaged = Atomic<Int>(0)
    let isSparing = Atomic<Bool>(false)
    let spared = Atomic<Int>(0)
    let ring: Mutex<KeyRing>
    let isRotating = Atomic<Bool>(false)
    let meetings = DispatchQueue(label: "sallyport.meetings")
    /// Rows of `erasure` that nobody asked for, by user, with the time that they name.
    let unasked = Mutex<[Int64: Timestamp]>([:])
    let rotationProbe: (@Sendable (KeyRotationStep) throws(StoreError) -> Void)?
    private let recoveryKey: HMAC<SHA256>

    /// Opens, migrates, checks the key, and starts the writer.
    package static func open(
        in directory: DataDirectory, key source: MasterKeySource, at now: Timestamp, options: Options = Options()
    ) throws(StoreError) -> Records {
        if options.postgres == nil { try directory.requireContents() }
        let database: any SQLDatabase
        do throws(DatabaseError) {
            if let address = options.postgres {
                database = try PostgresDatabase(address)
            } else {
                database = try SQLiteDatabase(path: directory.databasePath, options: options.database)
            }
        } catch {
            throw options.postgres.map { StoreError(opening: $0, error) } ?? StoreError(error).at(directory.databasePath)
        }
        do throws(StoreError) {
            return try Records(database, key: source, at: now, options: options)
        } catch {
            database.close()
            throw options.postgres == nil ? UpgradeBackup.naming(error, in: directory) : error
        }
    }

    /// The same over any database.
    package init(_ database: any SQLDatabase, key source: MasterKeySource, at now: Timestamp, options: Options = Options())
        throws(StoreError)
    {
        self.database = database
        let migrator = Migrator.of(database.dialect)
        if !options.migrates { try migrator.requireNewest(database) }
        let version = try migrator.version(of: database)
        if let before = options.beforeMigration, version > 0, version < migrator.newest,
            let key = try KeyRing.existing(source, for: database)
        {
            try before(version, migrator.newest, key)
        }
        schemaBefore = try migrator.migrate(database, at: now)
        schema = migrator.newest
        let ring = try KeyRing.open(source, for: database, at: now)
        self.ring = Mutex(ring)
        rotationProbe = options.rotationProbe
        sealing = Sealing(keys: ring.live, current: ring.currentID)
        opened = OpenedSecrets(sealing)
        handles = KeyedHandles(ring)
        recoveryKey = HMAC<SHA256>(key: ring.recovery)
        do throws(DatabaseError) {
            trailName = try Self.chainName(database)
            let signing = ChainSigning(ring, chain: trailName)
            try Self.keep(TrailSigner(key: ring.current, chain: trailName), in: database, at: now)
            chain = try EventChain.resume(database, signing: signing)
            marks = try MarkKeeping(database, at: now) { [cache] in cache.noteChange() }
            index = try EventIndex(database, head: chain.head.seq)
            if schemaBefore > 0, schemaBefore < Erasure.sealedSince { try Erasure.sealAll(in: database, sealing) }
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
    /// - Parameters:
    ///   - refusals: what each guard's refusal means.
    ///   - concernsLogins: false where no login is judged by what is written.
    @discardableResult
    func change(
        _ unit: Unit, refusals: [StoreError] = [], concernsLogins: Bool = true, trail: @escaping @Sendable ([Rows]) -> [Event]
    ) async throws(StoreError) -> [Rows] {
        let outcome = await withCheckedContinuation { continuation in
            writer.submit(
                GroupCommit.Submission(unit, isChange: concernsLogins, trail: .made(trail)) { continuation.resume(returning: $0) })
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
    /// Of which key a copy was confirmed, and when.
    static let keyCopy = "key.copy"
    static let chain = "chain.name"
}

extension SQL {
    static let setting = SQL("SELECT value FROM setting WHERE name = ?1")
    static let insertSetting = SQL("INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    static let raiseRevision = SQL("UPDATE revision SET number = number + 1 WHERE id = 1")
}
