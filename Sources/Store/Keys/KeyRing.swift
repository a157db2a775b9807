// SPDX-License-Identifier: Apache-2.0
// The master keys of one database: which one seals, which one it takes the place of, and what older ones left behind.

internal import Crypto
internal import Foundation
internal import LoginEngine

struct KeyRing: Sendable {
    /// A key that was replaced. What only it could verify goes on by these subkeys; the key itself is not needed for it.
    struct Older: Sendable {
        var id: UInt32
        /// The last line of the trail that it signed.
        var lastLine: Int64
        var subkeys: LastingKeys
    }

    /// One row of `master_key`.
    struct Recorded: Sendable {
        enum State: String { case current, leaving, retired }

        var id: UInt32
        var check: String
        var state: State
        var since: Timestamp
        var subkeys: [UInt8]?
    }

    let source: MasterKeySource
    var currentID: UInt32
    var current: MasterKey
    var since: Timestamp
    /// The key whose place the current one takes: values may still be sealed under it.
    var leaving: (id: UInt32, key: MasterKey)?
    /// By id, the oldest first; the leaving one among them.
    var older: [Older]
    /// In the source, and unknown to the database: the next one.
    var waiting: MasterKey?
    /// The source still holds keys that nothing needs.
    var hasSpentKeys: Bool

    /// The first key's for good: hashes of recovery codes cannot be made anew under another one, and 80 random bits need no better.
    var recovery: SymmetricKey { older.first?.subkeys.recovery ?? current.subkey(LastingKeys.recoveryLabel) }

    var live: [UInt32: MasterKey] {
        var keys = [currentID: current]
        if let leaving { keys[leaving.id] = leaving.key }
        return keys
    }

    // MARK: Opening

    /// Reads the keys, or makes the first one; the checks in the database tell a wrong one before anything is opened with it.
    static func open(_ source: MasterKeySource, for database: any SQLDatabase, at now: Timestamp) throws(StoreError) -> KeyRing {
        let recorded = try recorded(in: database)
        let offered = try MasterKey.load(source)
        guard !recorded.isEmpty else { return try begin(source, offered, database, at: now) }
        let known = try match(recorded, offered, source)
        var ring = KeyRing(
            source: source, currentID: known.current.id, current: known.key, since: known.current.since, older: [],
            waiting: known.unknown.first, hasSpentKeys: false)
        let sealing = Sealing(keys: [ring.currentID: ring.current], current: ring.currentID)
        for row in recorded where row.state != .current {
            ring.older.append(try older(row, sealing))
            guard let key = known.offered.first(where: { $0.check == row.check }) else {
                if row.state == .leaving { try requireNothing(sealedUnder: row, database, source) }
                continue
            }
            if row.state == .leaving { ring.leaving = (row.id, key) } else { ring.hasSpentKeys = true }
        }
        return ring
    }

    /// The key that a database of any schema is sealed under, without changing anything: for the backup before a migration.
    static func existing(_ source: MasterKeySource, for database: any SQLDatabase) throws(StoreError) -> MasterKey? {
        let recorded = try recorded(in: database)
        return recorded.isEmpty ? nil : try match(recorded, try MasterKey.load(source), source).key
    }

    private static func match(
        _ recorded: [Recorded], _ offered: [MasterKey]?, _ source: MasterKeySource
    ) throws(StoreError) -> (current: Recorded, key: MasterKey, offered: [MasterKey], unknown: [MasterKey]) {
        guard let offered else {
            throw StoreError(
                .keyMissing, "the master key is not there, and the database holds values that only it opens", at: source.place,
                remedy: "Put the key back from its backup; a new one is not made, since it would not open them.")
        }
        guard let current = recorded.last(where: { $0.state == .current }) else {
            throw StoreError(.damaged, "the database does not say which master key it is sealed under", remedy: "Restore a backup.")
        }
        if let key = offered.first(where: { $0.check == current.check }) {
            let checks = Set(recorded.map(\.check))
            return (current, key, offered, offered.filter { !checks.contains($0.check) })
        }
        let wanted = MasterKey.fingerprint(ofCheck: current.check)
        if recorded.contains(where: { row in offered.contains { $0.check == row.check } }) {
            throw StoreError(
                .wrongKey, "The master key does not open this database: it was replaced by key \(wanted)", at: source.place,
                remedy: "Put that key there, from the copy made after `sallyport key rotate`.")
        }
        throw StoreError(
            .wrongKey, "The master key does not open this database: it is key \(offered[0].fingerprint), and key \(wanted) is needed",
            at: source.place,
            remedy: "Start with the key that the database was made with, or with the data directory that belongs to this key.")
    }

    private static func requireNothing(
        sealedUnder row: Recorded, _ database: any SQLDatabase, _ source: MasterKeySource
    ) throws(StoreError) {
        let left: Int
        do throws(DatabaseError) { left = try SealedColumn.count(under: row.id, in: database) } catch { throw StoreError(error) }
        guard left > 0 else { return }
        throw StoreError(
            .keyMissing,
            "a new master key is taking the place of key \(MasterKey.fingerprint(ofCheck: row.check)), and \(left) "
                + "\(left == 1 ? "value is" : "values are") still sealed under that one", at: source.place,
            remedy: "Put both keys there, one a line, until `sallyport key show` says that the change is done.")
    }

    private static func older(_ row: Recorded, _ sealing: Sealing) throws(StoreError) -> Older {
        do throws(SealingError) {
            let secret = try sealing.open(row.subkeys ?? [], at: .olderKey(Int64(row.id)))
            guard let (line, subkeys) = LastingKeys.decode(secret) else { throw .malformed }
            return Older(id: row.id, lastLine: line, subkeys: subkeys)
        } catch {
            throw StoreError(
                .damaged, "what is left of master key \(row.id) does not open (\(error))", remedy: "Stop the node and restore a backup.")
        }
    }

    /// Keeps the key's check and begins the chain: its name, with the time at which it was made, and the record of its end, in one
    /// transaction, so that a record that is missing later was taken away.
    private static func begin(
        _ source: MasterKeySource, _ offered: [MasterKey]?, _ database: any SQLDatabase, at now: Timestamp
    ) throws(StoreError) -> KeyRing {
        let key: MasterKey
        if let first = offered?.first {
            key = first
        } else if case .file(let path) = source {
            key = try MasterKey.make(at: path)
        } else {
            throw StoreError(.keyMissing, "the master key is not there", at: source.place)
        }
        let name = "\(Foundation.Data(RandomBytes.make(16)).base64EncodedString()) \(now.microseconds)"
        let signing = ChainSigning(key: key, chain: Array(name.utf8))
        do throws(DatabaseError) {
            let unit = Unit([
                Statement(.insertMasterKey, [.integer(1), .text(key.check), .integer(now.microseconds)]),
                Statement(.insertSetting, [.text(SettingName.chain), .text(name)]),
                EventChain.record(EventChain.Head(seq: 0, hash: EventChain.origin), signing),
            ])
            if case .failed(let error) = try database.write([unit], closing: { _ in [] })[0] { throw error }
        } catch {
            throw StoreError(error)
        }
        return KeyRing(
            source: source, currentID: 1, current: key, since: now, older: [], waiting: offered?.dropFirst().first, hasSpentKeys: false)
    }

    static func recorded(in database: any SQLDatabase) throws(StoreError) -> [Recorded] {
        do throws(DatabaseError) {
            let rows: Rows
            do throws(DatabaseError) {
                rows = try database.read([Statement(.masterKeys)])[0]
            } catch {
                guard error.kind == .statement else { throw error }
                // Schema 1 knew one key, and kept its check among the settings.
                return try database.read([Statement(.setting, [.text("key.check")])])[0].map { row throws(DatabaseError) in
                    Recorded(id: 1, check: try row.text(0), state: .current, since: Timestamp(microseconds: 0))
                }
            }
            return try rows.map { row throws(DatabaseError) in
                guard let id = UInt32(exactly: try row.integer(0)), let state = Recorded.State(rawValue: try row.text(2)) else {
                    throw .unexpectedValue(0)
                }
                return Recorded(
                    id: id, check: try row.text(1), state: state, since: Timestamp(microseconds: try row.integer(3)),
                    subkeys: try row.blobIfAny(4))
            }
        } catch {
            throw StoreError(error)
        }
    }
}

/// What verifies older lines, handles and recovery codes. Whoever has them can open nothing that is sealed.
struct LastingKeys: Sendable {
    static let recoveryLabel = "recovery code"
    /// Each ends up in the sealed row under its name, so that one more can be added.
    static let labels = ["event group", "chain head", "handle", recoveryLabel]

    private var keys: [String: SymmetricKey]

    init(of key: MasterKey) {
        keys = Dictionary(uniqueKeysWithValues: Self.labels.map { ($0, key.subkey($0)) })
    }

    subscript(_ label: String) -> SymmetricKey? { keys[label] }

    var group: SymmetricKey { self["event group"] ?? Self.none }
    var head: SymmetricKey { self["chain head"] ?? Self.none }
    var handle: SymmetricKey { self["handle"] ?? Self.none }
    var recovery: SymmetricKey { self[Self.recoveryLabel] ?? Self.none }

    /// Verifies nothing; `decode` refuses what lacks one, so nobody meets it.
    private static let none = SymmetricKey(size: .bits256)

    func encode(lastLine: Int64) -> Secret {
        var out = ByteWriter()
        out.word(UInt64(bitPattern: lastLine))
        for label in keys.keys.sorted() {
            out.text(label)
            keys[label]?.withUnsafeBytes { out.blob(Array($0)) }
        }
        return Secret(out.bytes)
    }

    static func decode(_ secret: Secret) -> (lastLine: Int64, LastingKeys)? {
        try? secret.reveal { bytes throws(DecodingError) -> (Int64, LastingKeys)? in
            var reader = ByteReader(bytes[...])
            let line = Int64(bitPattern: try reader.word())
            var found = LastingKeys(keys: [:])
            while reader.remaining > 0 {
                let label = try reader.text()
                found.keys[label] = SymmetricKey(data: Array(try reader.blob()))
            }
            return labels.prefix(4).allSatisfy { found.keys[$0]?.bitCount == 256 } ? (line, found) : nil
        }
    }

    private init(keys: [String: SymmetricKey]) {
        self.keys = keys
    }
}

extension SealedPlace {
    static func olderKey(_ id: Int64) -> SealedPlace { SealedPlace(table: "master_key", row: id, column: "subkeys") }
}

extension SQL {
    fileprivate static let masterKeys = SQL("SELECT id, check_value, state, since, subkeys FROM master_key ORDER BY id")
    static let insertMasterKey = SQL(
        "INSERT INTO master_key (id, check_value, state, since) VALUES (?1, ?2, 'current', ?3) ON CONFLICT DO NOTHING")
}
