// SPDX-License-Identifier: Apache-2.0
// Every column that holds sealed values: what a change of the master key has to seal anew. A new one belongs into `all`.

internal import LoginEngine

struct SealedColumn: Sendable {
    /// ?1 the row after which to begin, ?2 how many: row, sealed value, and whose it is where that is bound into it.
    let select: SQL
    /// ?1 row, ?2 sealed value
    let update: SQL
    /// ?1 the first five bytes of a sealed value
    let countUnder: SQL
    let place: @Sendable (Int64, Int64?) -> SealedPlace

    static let all = [
        password, ntHash, clearPassword, factor, client, preSharedKey, directory, serverSecrets, authority, channel, mail, olderKey,
        erasure,
    ]

    private static let password = SealedColumn(
        select: SQL("SELECT id, password_hash, id FROM \"user\" WHERE id > ?1 AND password_hash IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE \"user\" SET password_hash = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM \"user\" WHERE substr(password_hash, 1, 5) = ?1"),
        place: { row, _ in .passwordHash(row) })

    private static let ntHash = SealedColumn(
        select: SQL("SELECT id, nt_hash, id FROM \"user\" WHERE id > ?1 AND nt_hash IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE \"user\" SET nt_hash = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM \"user\" WHERE substr(nt_hash, 1, 5) = ?1"),
        place: { row, _ in .ntHash(row) })

    private static let clearPassword = SealedColumn(
        select: SQL("SELECT id, clear_password, id FROM \"user\" WHERE id > ?1 AND clear_password IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE \"user\" SET clear_password = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM \"user\" WHERE substr(clear_password, 1, 5) = ?1"),
        place: { row, _ in .clearPassword(row) })

    private static let factor = SealedColumn(
        select: SQL("SELECT id, secret, \"user\" FROM factor WHERE id > ?1 AND secret IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE factor SET secret = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM factor WHERE substr(secret, 1, 5) = ?1"),
        place: { row, owner in .factorSecret(row, ofUser: owner ?? 0) })

    private static let client = SealedColumn(
        select: SQL("SELECT id, secret, id FROM client WHERE id > ?1 ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE client SET secret = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM client WHERE substr(secret, 1, 5) = ?1"),
        place: { row, _ in .clientSecret(row) })

    private static let preSharedKey = SealedColumn(
        select: SQL("SELECT id, psk, id FROM client WHERE id > ?1 AND psk IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE client SET psk = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM client WHERE substr(psk, 1, 5) = ?1"),
        place: { row, _ in .preSharedKey(row) })

    private static let directory = SealedColumn(
        select: SQL("SELECT id, secret, id FROM directory WHERE id > ?1 ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE directory SET secret = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM directory WHERE substr(secret, 1, 5) = ?1"),
        place: { row, _ in .directorySecret(row) })

    private static let serverSecrets = SealedColumn(
        select: SQL("SELECT id, server_secrets, id FROM directory WHERE id > ?1 AND server_secrets IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE directory SET server_secrets = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM directory WHERE substr(server_secrets, 1, 5) = ?1"),
        place: { row, _ in .serverSecrets(row) })

    private static let authority = SealedColumn(
        select: SQL("SELECT id, secret, id FROM authority WHERE id > ?1 ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE authority SET secret = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM authority WHERE substr(secret, 1, 5) = ?1"),
        place: { row, _ in .authorityKey(row) })

    private static let channel = SealedColumn(
        select: SQL("SELECT id, secret, id FROM channel WHERE id > ?1 ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE channel SET secret = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM channel WHERE substr(secret, 1, 5) = ?1"),
        place: { row, _ in .channelSecret(row) })

    private static let mail = SealedColumn(
        select: SQL("SELECT id, content, id FROM outbox WHERE id > ?1 AND content IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE outbox SET content = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM outbox WHERE substr(content, 1, 5) = ?1"),
        place: { row, _ in .mailContent(row) })

    private static let olderKey = SealedColumn(
        select: SQL("SELECT id, subkeys, id FROM master_key WHERE id > ?1 AND subkeys IS NOT NULL ORDER BY id LIMIT ?2"),
        update: SQL("UPDATE master_key SET subkeys = ?2 WHERE id = ?1"),
        countUnder: SQL("SELECT count(*) FROM master_key WHERE substr(subkeys, 1, 5) = ?1"),
        place: { row, _ in .olderKey(row) })

    private static let erasure = SealedColumn(
        select: SQL("SELECT \"user\", seal, \"user\" FROM erasure WHERE \"user\" > ?1 AND seal IS NOT NULL ORDER BY \"user\" LIMIT ?2"),
        update: SQL("UPDATE erasure SET seal = ?2 WHERE \"user\" = ?1"),
        countUnder: SQL("SELECT count(*) FROM erasure WHERE substr(seal, 1, 5) = ?1"),
        place: { row, _ in .erasure(row) })

    static func count(under key: UInt32, in database: any SQLDatabase) throws(DatabaseError) -> Int {
        let head = SQLValue.blob(Sealing.head(key))
        let results = try database.read(all.map { Statement($0.countUnder, [head]) })
        var count: Int64 = 0
        for rows in results { count += try rows[0].integer(0) }
        return Int(count)
    }

    struct Chunk: Sendable {
        /// Nil: there is nothing behind it.
        var last: Int64?
        var sealed = 0
        /// Values that do not open, as they did not before.
        var damaged = 0
    }

    /// Seals some rows anew under the current key, in one transaction; on the writer's thread, so that nobody changes them meanwhile.
    func reseal(after row: Int64, limit: Int, _ database: any SQLDatabase, _ sealing: Sealing) throws(DatabaseError) -> Chunk {
        var chunk = Chunk()
        let rows = try database.read([Statement(select, [.integer(row), .integer(Int64(limit))])])[0]
        var statements: [Statement] = []
        let current = sealing.currentKey
        for row in rows {
            let (id, sealed, place) = (try row.integer(0), try row.blob(1), place(try row.integer(0), try row.integerIfAny(2)))
            chunk.last = id
            if Sealing.key(of: sealed) == current { continue }
            do throws(SealingError) {
                statements.append(Statement(update, [.integer(id), .blob(sealing.seal(try sealing.open(sealed, at: place), at: place))]))
            } catch {
                chunk.damaged += 1
            }
        }
        chunk.sealed = statements.count
        guard !statements.isEmpty else { return chunk }
        if case .failed(let error) = try database.write([Unit(statements)], closing: { _ in [] })[0] { throw error }
        return chunk
    }
}
