// SPDX-License-Identifier: Apache-2.0
// What is done with a decoded packet of accounting: a batch of records to the ledger, each acknowledged when it is kept.

import LoginEngine
import RADIUS

/// Lives on the thread of its listener.
struct AccountingIntake<Listener: RequestListener> {
    private let listener: Listener
    private let door: Door
    private let ledger: any SessionLedger
    private var entries: [AccountingEntry] = []

    init(_ listener: Listener, _ ledger: any SessionLedger) {
        self.listener = listener
        self.ledger = ledger
        door = listener.door
    }

    @discardableResult
    mutating func take(_ arrival: Arrival<Listener.Route>, at moment: Moment) -> RequestIntake<Listener>.Outcome {
        let (packet, entry) = (arrival.packet, arrival.entry)
        if let reason = PacketCheck(accounting: packet, of: entry).drop { return drop(arrival, reason) }
        if packet.code == .statusServer {
            // RFC 5997 §4.2: cheap to make, so nothing is kept of it.
            if let reply = accountingResponse(to: packet, secret: entry.secret) { listener.queue(reply, by: arrival.route) }
            return .done
        }
        // Its Request Authenticator is a signature.
        switch listener.admit(arrival.key, arrival.authenticator, isSigned: true, by: arrival.route, at: arrival.now) {
        case .inProgress:
            door.counters.duplicatesInProgress.add()
            return .done
        case .answered:
            door.counters.duplicatesAnswered.add()
            return .done
        case .overloaded: return drop(arrival, .overloaded)
        case .outranked: return drop(arrival, .unsignedReplacement)
        // A record that this one replaces is kept all the same; only its acknowledgement is wanted no more.
        case .fresh(let ticket, _): return keep(arrival, ticket, at: moment)
        }
    }

    private mutating func keep(
        _ arrival: Arrival<Listener.Route>, _ ticket: DuplicateCache.Ticket, at moment: Moment
    ) -> RequestIntake<Listener>.Outcome {
        let (packet, entry) = (arrival.packet, arrival.entry)
        let waiting = Waiting(
            packet: packet, entry: entry, route: arrival.route, ticket: ticket, read: arrival.isTimed ? arrival.now : nil,
            source: arrival.source)
        switch AccountingRequest(packet, of: entry, from: arrival.source, at: moment.wall) {
        case .record(var record):
            door.counters.record(record.kind)
            entry.traffic.noteRecord()
            if let link = door.links?.login(of: packet, of: entry.client.id, at: arrival.now) {
                record.login = link.login
                // Limits and disconnects are of users, and the name that the gateway reports is nobody's.
                if let nameKey = link.nameKey { record.nameKey = nameKey }
            }
            entries.append(AccountingEntry(record) { [listener] problem in listener.acknowledge(waiting, problem) })
        case .ofNoSession:
            door.counters.record(nil)
            listener.acknowledge(waiting, nil)
        case .unusable:
            listener.forget(ticket)
            return drop(arrival, .noSession)
        }
        return .waiting
    }

    /// All new records so far, to the ledger.
    mutating func handOver() {
        guard !entries.isEmpty else { return }
        ledger.account(entries)
        entries.removeAll(keepingCapacity: true)
    }

    private func drop(_ arrival: Arrival<Listener.Route>, _ reason: DropReason) -> RequestIntake<Listener>.Outcome {
        door.drop(reason, from: arrival.source, of: arrival.entry, at: arrival.now)
        return .dropped(reason)
    }
}
