// SPDX-License-Identifier: Apache-2.0
// mark_log: what one commit used up, packed into one row that is only ever appended and, once folded, dropped.

internal import LoginEngine

/// One use, with the decision that it was made for.
struct LoggedMark: Sendable, Equatable {
    var factor: Int64
    /// TOTP step or HOTP counter.
    var step: Int64
    var decision: RecordedDecision
}

enum MarkRow {
    private static let version: UInt8 = 1

    private struct Flags: OptionSet {
        var rawValue: UInt8
        static let accept = Flags(rawValue: 1)
        static let retry = Flags(rawValue: 2)
        static let reply = Flags(rawValue: 4)
        static let known: Flags = [.accept, .retry, .reply]
    }

    static func encode(_ marks: [LoggedMark]) -> [UInt8] {
        var out = ByteWriter()
        out.reserve(1 + marks.count * 72)
        out.byte(version)
        for mark in marks {
            var flags: Flags = mark.decision.isAccept ? .accept : []
            if mark.decision.retry != nil { flags.insert(.retry) }
            if !mark.decision.reply.isEmpty { flags.insert(.reply) }
            out.byte(flags.rawValue)
            out.signed(mark.factor)
            out.signed(mark.step)
            out.signed(mark.decision.at.microseconds)
            out.bits(mark.decision.login.bits)
            out.bits(mark.decision.request.bits)
            if let retry = mark.decision.retry { out.bits(retry.bits) }
            if !mark.decision.reply.isEmpty { out.blob(mark.decision.reply) }
        }
        return out.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(DecodingError) -> [LoggedMark] {
        var reader = ByteReader(bytes[...])
        let version = try reader.byte()
        guard version == self.version else { throw .unknownVersion(version) }
        var marks: [LoggedMark] = []
        while reader.remaining > 0 {
            let flags = Flags(rawValue: try reader.byte())
            guard Flags.known.isSuperset(of: flags) else { throw .notCanonical }
            let (factor, step, at) = (try reader.signed(), try reader.signed(), try reader.signed())
            let (login, request) = (try reader.bits(), try reader.bits())
            let retry = flags.contains(.retry) ? Fingerprint(try reader.bits()) : nil
            let reply = flags.contains(.reply) ? Array(try reader.blob()) : []
            guard !flags.contains(.reply) || !reply.isEmpty else { throw .notCanonical }
            marks.append(
                LoggedMark(
                    factor: factor, step: step,
                    decision: RecordedDecision(
                        login: LoginID(login), isAccept: flags.contains(.accept), at: Timestamp(microseconds: at),
                        request: Fingerprint(request), retry: retry, reply: reply)))
        }
        return marks
    }
}

extension ByteWriter {
    fileprivate mutating func bits(_ bits: Bits128) {
        word(bits.high)
        word(bits.low)
    }
}

extension ByteReader {
    fileprivate mutating func bits() throws(DecodingError) -> Bits128 { Bits128(high: try word(), low: try word()) }
}

extension SQL {
    /// ?1 row, ?2 body
    static let appendMarks = SQL("INSERT INTO mark_log (id, body) VALUES (?1, ?2)")
    static let loggedMarks = SQL("SELECT body FROM mark_log WHERE id = ?1")
    /// ?1 after this row, ?2 rows
    static let nextLoggedMarks = SQL("SELECT id, body FROM mark_log WHERE id > ?1 ORDER BY id LIMIT ?2")
    /// ?1 up to this row
    static let dropLoggedMarks = SQL("DELETE FROM mark_log WHERE id <= ?1")
    /// ?1 factor, ?2 step, ?3 at or nothing. A token's clock is learnt from its highest step, at most ten steps either way.
    static let foldStep = SQL(
        """
        UPDATE factor SET
            drift = CASE
                WHEN kind <> 'totp' OR ?2 <= folded OR ?3 IS NULL THEN drift
                WHEN ?2 - ?3 / 1000000 / period > 10 THEN 10
                WHEN ?2 - ?3 / 1000000 / period < -10 THEN -10
                ELSE ?2 - ?3 / 1000000 / period END,
            folded = CASE WHEN ?2 > folded THEN ?2 ELSE folded END,
            last_used = CASE WHEN ?3 IS NOT NULL AND (last_used IS NULL OR ?3 > last_used) THEN ?3 ELSE last_used END
        WHERE id = ?1
        """)
    /// ?1 factor, ?2 user, ?3 step
    static let factorUnfolded = SQL(
        """
        SELECT 1 FROM factor f JOIN "user" u ON u.id = f."user"
        WHERE f.id = ?1 AND f."user" = ?2 AND f.state = 'active' AND u.status = 'active' AND f.folded < ?3
        """)
}
