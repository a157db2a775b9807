// SPDX-License-Identifier: Apache-2.0
// A session as gateways report it, and what each record makes of it: no clock, no database, and the same whatever the order.

package struct GatewaySession: Sendable, Equatable {
    /// Why it is over. Raw values are stored.
    package enum Ending: String, Sendable, CaseIterable {
        /// The gateway said so.
        case stopped
        case gatewayRestarted = "gateway-restarted"
        /// Nothing was heard of it for too long.
        case lost
        /// The gateway gave its Acct-Session-Id to another session.
        case replaced
    }

    /// 0 until it is written.
    package var id: Int64 = 0
    package var client: Int64
    package var gateway: String
    package var sessionID: String
    package var name: String
    package var nameKey: String?
    /// The row of the user; nil for names that nobody has.
    package var user: Int64?
    package var login: LoginID?
    package var station: String?
    package var addresses: String
    package var port: UInt32?
    package var groupClass: String?
    package var source: NetworkAddress
    package var started: Timestamp
    /// Its Start came; else `started` was worked out.
    package var hasStart: Bool
    /// When the last record was read.
    package var heard: Timestamp
    package var ended: Timestamp?
    package var ending: Ending?
    package var cause: UInt32?
    package var figures: SessionFigures

    package init(_ record: AccountingRecord) {
        client = record.client
        gateway = record.gateway
        sessionID = record.sessionID
        name = record.name
        nameKey = record.nameKey
        login = record.login
        station = record.station
        addresses = record.addresses
        port = record.port
        groupClass = record.groupClass
        source = record.source
        started = record.began ?? record.at
        hasStart = record.kind == .start
        heard = record.read
        figures = record.figures
        if record.kind == .stop {
            ended = record.at
            ending = .stopped
            cause = record.cause
        }
    }

    package var isOpen: Bool { ended == nil }
}

extension GatewaySession {
    /// What is to be written.
    package enum Step: Sendable, Equatable {
        /// The record says nothing new.
        case unchanged
        case changed(GatewaySession)
        case new(GatewaySession)
        /// The id was used again while the session before was still thought to be open.
        case replaced(GatewaySession, by: GatewaySession)
    }

    /// Within this time a record that does not say how old it is (Acct-Delay-Time) may still be a retry.
    package static let retrying = Timestamp.Span.minutes(10)
    /// By how much times that were worked out may be off.
    static let tolerance = Timestamp.Span.seconds(60)

    /// - Parameter latest: the newest session of the same client, gateway and Acct-Session-Id.
    package static func taking(_ record: AccountingRecord, over latest: GatewaySession?) -> Step {
        guard var session = latest else { return .new(GatewaySession(record)) }
        if session.isFollowed(by: record) {
            let next = GatewaySession(record)
            guard session.isOpen else { return .new(next) }
            session.ended = max(session.started, min(session.heard, next.started))
            session.ending = .replaced
            return .replaced(session, by: next)
        }
        let before = session
        session.take(record)
        return session == before ? .unchanged : .changed(session)
    }

    /// Whether the record is of another, later session that was given the same id (after a restart of the gateway, most of all).
    private func isFollowed(by record: AccountingRecord) -> Bool {
        switch record.kind {
        case .start: isFollowed(byStart: record)
        case .update, .stop:
            if let ended {
                isFollowed(record, after: ended)
            } else if let began = record.began {
                // Our own clock may have jumped, so figures that fell have to say it too.
                began > heard + Self.tolerance && record.figures.seconds < figures.seconds
            } else {
                false
            }
        case .gatewayOn, .gatewayOff: false
        }
    }

    private func isFollowed(byStart record: AccountingRecord) -> Bool {
        guard let ended else {
            if hasStart, !name.isEmpty, !record.name.isEmpty, name != record.name { return record.at >= started }
            return record.at > heard + Self.retrying
        }
        switch ending {
        case .gatewayRestarted, .replaced: return record.at >= ended
        case .stopped, .lost, nil:
            if name != record.name, !name.isEmpty { return record.at >= ended }
            // A Start may be overtaken by its Stop, and be sent again by a gateway that heard no answer.
            return record.at > (hasStart ? started : ended) + Self.retrying
        }
    }

    private func isFollowed(_ record: AccountingRecord, after ended: Timestamp) -> Bool {
        // The same Stop once more says when it was sent again, and nothing else.
        if ending == .stopped, record.kind == .stop, record.figures == figures, record.cause == cause { return false }
        if let began = record.began, began > ended + Self.tolerance { return true }
        return ending == .stopped && record.kind == .update && record.at > ended + Self.retrying
    }

    private mutating func take(_ record: AccountingRecord) {
        heard = max(heard, record.read)
        let age = record.hasTime ? record.figures.seconds - figures.seconds : 0
        figures.seconds = max(figures.seconds, record.figures.seconds)
        figures.input = Self.counted(record.figures.input, isShort: record.isShort, age: age, over: figures.input)
        figures.output = Self.counted(record.figures.output, isShort: record.isShort, age: age, over: figures.output)
        figures.inputPackets = max(figures.inputPackets, record.figures.inputPackets)
        figures.outputPackets = max(figures.outputPackets, record.figures.outputPackets)
        if name.isEmpty { (name, nameKey) = (record.name, record.nameKey) }
        login = login ?? record.login
        station = station ?? record.station
        port = port ?? record.port
        groupClass = groupClass ?? record.groupClass
        // The address may be given, or change, while the session lasts.
        if !record.addresses.isEmpty, record.read >= heard { addresses = record.addresses }
        if !hasStart, let began = record.began, record.kind == .start || began < started { started = began }
        switch record.kind {
        case .start:
            hasStart = true
            if ending == .lost, let ended, record.at > ended { reopen() }
        case .update:
            // What was given up, or was thought to have ended with its gateway, lives.
            if ending == .lost || ending == .gatewayRestarted, let ended, record.at > ended { reopen() }
        case .stop:
            ended = ending == .stopped ? min(ended ?? record.at, record.at) : record.at
            ending = .stopped
            cause = record.cause ?? cause
        case .gatewayOn, .gatewayOff: break
        }
        if let end = ended { ended = max(end, started) }
    }

    private mutating func reopen() {
        (ended, ending, cause) = (nil, nil, nil)
    }

    /// Counters only grow: what is lower came late, or is one of 32 bits that began anew.
    /// - Parameter age: by how many seconds of the session the new figure is younger than the old one.
    private static func counted(_ new: Int64, isShort: Bool, age: Int64, over old: Int64) -> Int64 {
        let turn = Int64(1) << 32
        guard isShort, age >= 0 else { return max(old, new) }
        let same = old / turn * turn + new
        if same >= old { return same }
        return age > 0 ? same + turn : old
    }
}
