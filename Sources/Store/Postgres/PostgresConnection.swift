// SPDX-License-Identifier: Apache-2.0
// One libpq connection in pipeline mode: statements kept prepared by number, sent together, answered within a time limit.
// With the other files of this folder the only code that knows libpq.

internal import CPostgres
internal import Dispatch
internal import Glibc
internal import LoginEngine

/// Used by one caller at a time, whoever lends it sees to that; that is what makes it safe to hand around.
final class PostgresConnection: @unchecked Sendable {
    /// Called with the text of each statement before it is sent; a test's way to fail the n-th one.
    typealias Probe = @Sendable (String) throws(DatabaseError) -> Void

    enum Answer {
        case rows(Rows)
        case failed(DatabaseError)
        /// Something before it failed.
        case skipped

        func get() throws(DatabaseError) -> Rows {
            switch self {
            case .rows(let rows): return rows
            case .failed(let error): throw error
            case .skipped: throw DatabaseError(.statement, "was not run, since a statement before it failed")
            }
        }
    }

    /// A statement as it was prepared: with these types of its parameters.
    private struct Prepared {
        let name: [CChar]
        let types: [Oid]
        /// The server has said that it knows it.
        var isKnown = false

        /// A NULL is one of every type.
        func fits(_ values: [Oid]) -> Bool {
            types.count == values.count && zip(types, values).allSatisfy { $0 == $1 || $1 == PostgresType.unknown }
        }
    }

    private enum Sent {
        case preparation(number: Int, form: Int)
        case statement
    }

    private let handle: OpaquePointer
    private let address: PostgresAddress
    private let timeout: UInt64
    private let probe: Probe?
    private var prepared: [[Prepared]] = []
    private var sent: [Sent] = []
    private var parameters = PostgresParameters()
    private var isBroken = false
    /// The command tag of the last statement that ran: COMMIT says ROLLBACK when there was nothing left to commit.
    private(set) var lastTag = ""

    /// - Parameter timeout: for each answer, in milliseconds.
    init(_ address: PostgresAddress, timeout: Int, probe: Probe? = nil) throws(DatabaseError) {
        self.address = address
        self.timeout = UInt64(timeout) * 1_000_000
        self.probe = probe
        guard let handle = Self.withOptions(of: address, { PQconnectdbParams($0, $1, 1) }) else {
            throw DatabaseError(.outOfMemory, "no memory for a connection")
        }
        guard PQstatus(handle) == CONNECTION_OK else {
            let words = address.clean(String(cString: PQerrorMessage(handle)))
            PQfinish(handle)
            throw DatabaseError(Self.isRefusal(words, of: address) ? .cannotOpen : .lost, words)
        }
        self.handle = handle
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        // Nothing blocks inside libpq: a server that reads nothing while it has much to say would hold both sides up for ever.
        guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else {
            throw DatabaseError(.outOfMemory, "libpq has no pipeline mode to offer")
        }
    }

    deinit { PQfinish(handle) }

    private static func withOptions<Result>(
        of address: PostgresAddress, _ body: ([UnsafePointer<CChar>?], [UnsafePointer<CChar>?]) -> Result
    ) -> Result {
        // What comes before the URL is overridden by it, what comes after is not.
        let options: [(String, Secret)] = [
            ("connect_timeout", Secret(utf8: "3")), ("keepalives_idle", Secret(utf8: "30")), ("tcp_user_timeout", Secret(utf8: "10000")),
            ("fallback_application_name", Secret(utf8: "sallyport")), ("dbname", address.url), ("client_encoding", Secret(utf8: "UTF8")),
        ]
        let keywords = options.map { strdup($0.0) }
        let values = options.map { option in option.1.reveal { strdup(String(decoding: $0, as: UTF8.self)) } }
        defer {
            for pointer in keywords + values { free(pointer) }
        }
        return body(keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil])
    }

    /// Whether a server that takes connections does not take this one, as it will not the next time. libpq tells it only in words, in
    /// the server's language; so the server is asked whether it is up.
    private static func isRefusal(_ words: String, of address: PostgresAddress) -> Bool {
        let isPassing = ["too many", "slots", "read-only", "standby", "in recovery"].contains { words.contains($0) }
        return !isPassing && withOptions(of: address) { PQpingParams($0, $1, 1) } == PQPING_OK
    }

    // MARK: Sending

    /// Sends a statement; its answer comes with the next `collect`.
    func send(_ statement: Statement) throws(DatabaseError) {
        guard !isBroken else { throw Self.wasLost }
        if let probe { try probe(statement.sql.text) }
        parameters.replace(with: statement.values)
        let number = statement.sql.number
        guard number >= 0 else {
            let text = Self.numbered(statement.sql.text)
            let isSent = parameters.withPointers { pointers, all in
                PQsendQueryParams(handle, text, all.count, all.types, pointers, all.lengths, all.formats, 1) == 1
            }
            return try note(isSent, .statement)
        }
        while prepared.count <= number { prepared.append([]) }
        let form = try form(of: statement.sql)
        let isSent = parameters.withPointers { pointers, all in
            PQsendQueryPrepared(handle, prepared[number][form].name, all.count, pointers, all.lengths, all.formats, 1) == 1
        }
        try note(isSent, .statement)
    }

    /// Which of the prepared forms takes these parameters; prepares one where none does.
    private func form(of sql: SQL) throws(DatabaseError) -> Int {
        let number = sql.number
        if let form = prepared[number].firstIndex(where: { $0.fits(parameters.types) }) { return form }
        let form = prepared[number].count
        let new = Prepared(name: Array("s\(number)_\(form)".utf8CString), types: parameters.types)
        let isSent = PQsendPrepare(handle, new.name, Self.numbered(sql.text), parameters.count, new.types) == 1
        try note(isSent, .preparation(number: number, form: form))
        prepared[number].append(new)
        return form
    }

    private func note(_ isSent: Bool, _ what: Sent) throws(DatabaseError) {
        guard isSent else { throw lost() }
        sent.append(what)
    }

    /// `?1` of the common texts is `$1` here; what is quoted stays as it is.
    static func numbered(_ text: String) -> String {
        var result: [UInt8] = []
        var quote: UInt8?
        for byte in text.utf8 {
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
            }
            result.append(quote == nil && byte == UInt8(ascii: "?") ? UInt8(ascii: "$") : byte)
        }
        return String(decoding: result, as: UTF8.self)
    }

    // MARK: Answers

    /// Waits for the answers to everything that was sent, in order.
    func collect() throws(DatabaseError) -> [Answer] {
        guard !isBroken else { throw Self.wasLost }
        guard PQpipelineSync(handle) == 1 else { throw lost() }
        let deadline = DispatchTime.now().uptimeNanoseconds + timeout
        try flush(deadline)
        var answers: [Answer] = []
        answers.reserveCapacity(sent.count)
        var unprepared: Answer?
        for what in sent {
            var answer = Answer.skipped
            while let result = try next(deadline) {
                defer { PQclear(result) }
                if case .skipped = answer { answer = self.answer(in: result) }
            }
            switch (what, answer) {
            case (.preparation(let number, let form), .rows): prepared[number][form].isKnown = true
            case (.preparation, _): unprepared = answer
            case (.statement, .skipped):
                // Whose preparation failed is told so itself.
                answers.append(unprepared ?? answer)
                unprepared = nil
            case (.statement, _): answers.append(answer)
            }
        }
        for case .preparation(let number, _) in sent { prepared[number].removeAll { !$0.isKnown } }
        sent.removeAll(keepingCapacity: true)
        guard let last = try next(deadline) else { throw lost() }
        defer { PQclear(last) }
        guard PQresultStatus(last) == PGRES_PIPELINE_SYNC else { throw lost() }
        return answers
    }

    private func answer(in result: OpaquePointer) -> Answer {
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
            do throws(DatabaseError) { return .rows(try rows(of: result)) } catch { return .failed(error) }
        case PGRES_PIPELINE_ABORTED: return .skipped
        default: return .failed(.postgres(result))
        }
    }

    private func rows(of result: OpaquePointer) throws(DatabaseError) -> Rows {
        let (columns, count) = (PQnfields(result), PQntuples(result))
        var values: [SQLValue] = []
        values.reserveCapacity(Int(columns * count))
        for row in 0..<count {
            for column in 0..<columns {
                if PQgetisnull(result, row, column) != 0 {
                    values.append(.null)
                    continue
                }
                let length = Int(PQgetlength(result, row, column))
                let value = try PQgetvalue(result, row, column).withMemoryRebound(to: UInt8.self, capacity: length) {
                    start throws(DatabaseError) in
                    try SQLValue(PQftype(result, column), UnsafeBufferPointer(start: start, count: length))
                }
                values.append(value)
            }
        }
        lastTag = String(cString: PQcmdStatus(result))
        let changes = lastTag.hasPrefix("SELECT") ? 0 : Int(String(cString: PQcmdTuples(result))) ?? 0
        return Rows(columns: Int(columns), values: values, changes: changes)
    }

    private func flush(_ deadline: UInt64) throws(DatabaseError) {
        while true {
            let left = PQflush(handle)
            if left == 0 { return }
            guard left > 0 else { throw lost() }
            try wait(for: POLLIN | POLLOUT, until: deadline)
        }
    }

    /// The next result; nil after the last one of a statement.
    private func next(_ deadline: UInt64) throws(DatabaseError) -> OpaquePointer? {
        while PQisBusy(handle) != 0 { try wait(for: POLLIN, until: deadline) }
        let result = PQgetResult(handle)
        guard PQstatus(handle) == CONNECTION_OK else {
            if let result { PQclear(result) }
            throw lost()
        }
        return result
    }

    private func wait(for events: CInt, until deadline: UInt64) throws(DatabaseError) {
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
        let now = DispatchTime.now().uptimeNanoseconds
        guard now < deadline else { throw tooLate() }
        let milliseconds = min((deadline - now) / 1_000_000 + 1, UInt64(CInt.max))
        let ready = poll(&descriptor, 1, CInt(milliseconds))
        guard ready >= 0 || errno == EINTR else { throw lost() }
        guard Int32(descriptor.revents) & (POLLIN | POLLHUP | POLLERR) != 0 else { return }
        guard PQconsumeInput(handle) == 1 else { throw lost() }
    }

    // MARK: Health

    /// Whether the server has neither said good-bye nor is known to be gone.
    var isAlive: Bool {
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        // First its words, then the end; more than that nobody says unasked.
        for _ in 0..<8 where !isBroken && poll(&descriptor, 1, 0) > 0 {
            if PQconsumeInput(handle) != 1 || PQstatus(handle) != CONNECTION_OK { isBroken = true }
            descriptor.revents = 0
        }
        return !isBroken
    }

    /// Whether it may be lent again: nothing was sent that has no answer yet.
    var isUsable: Bool { !isBroken && sent.isEmpty }

    private func lost() -> DatabaseError {
        isBroken = true
        let words = address.clean(String(cString: PQerrorMessage(handle)))
        return DatabaseError(.lost, words.isEmpty ? "the server closed the connection" : words)
    }

    /// What the server still does is not known, so this connection is of no use any more.
    private func tooLate() -> DatabaseError {
        isBroken = true
        return DatabaseError(.busy, "the server did not answer within \(timeout / 1_000_000_000) s")
    }

    private static let wasLost = DatabaseError(.lost, "the connection was lost")

    // MARK: More than one statement at a time

    func run(_ statements: [Statement]) throws(DatabaseError) -> [Rows] {
        for statement in statements { try send(statement) }
        var results: [Rows] = []
        results.reserveCapacity(statements.count)
        // The first that failed is the reason.
        for answer in try collect() { results.append(try answer.get()) }
        return results
    }

    /// Many statements in one text, as a migration has them; it takes as long as it takes.
    func run(script: String) throws(DatabaseError) {
        if let probe { try probe(script) }
        guard !isBroken, PQexitPipelineMode(handle) == 1, PQsendQuery(handle, script) == 1 else { throw lost() }
        try flush(.max)
        var failure: DatabaseError?
        while let result = try next(.max) {
            defer { PQclear(result) }
            if PQresultStatus(result) == PGRES_FATAL_ERROR { failure = failure ?? .postgres(result) }
        }
        guard PQenterPipelineMode(handle) == 1 else { throw lost() }
        if let failure { throw failure }
    }

    /// Brings the connection back to where a transaction can begin, as far as it can be.
    func rollBack() {
        guard !isBroken else { return }
        do throws(DatabaseError) {
            if !sent.isEmpty { _ = try collect() }
            _ = try run([Statement(.rollback)])
        } catch {
            isBroken = true
        }
    }
}

extension SQL {
    fileprivate static let rollback = SQL("ROLLBACK")
}
