// SPDX-License-Identifier: Apache-2.0
// What the door counts, for `/metrics` and for whoever asks the service.

internal import CoreMetrics
import LoginEngine
package import RADIUS
internal import Synchronization

/// One reading of all counters.
package struct RADIUSStatistics: Sendable, Equatable {
    /// Datagrams read.
    package var requests = 0
    /// Retransmissions of a request that was being decided: swallowed.
    package var duplicatesInProgress = 0
    /// Retransmissions of an answered request: answered with the same bytes.
    package var duplicatesAnswered = 0
    /// Replies handed to the socket, retransmissions among them, by code.
    package var replies: [Code: Int] = [:]
    package var dropped: [DropReason: Int] = [:]
    /// Requests being decided now.
    package var pending = 0
}

/// A number that only grows, here and in the metrics system.
final class Tally: Sendable {
    private let value = Atomic<Int>(0)
    private let counter: Counter

    init(_ label: String, _ dimensions: [(String, String)] = []) {
        counter = Counter(label: label, dimensions: dimensions)
    }

    var count: Int { value.load(ordering: .relaxed) }

    func add(_ amount: Int = 1) {
        value.wrappingAdd(amount, ordering: .relaxed)
        counter.increment(by: amount)
    }
}

final class DoorCounters: Sendable {
    let tls = TLSCounters()
    let eap = EAPCounters()
    let requests = Tally("sallyport_radius_requests_total")
    let duplicatesInProgress = Tally("sallyport_radius_duplicates_total", [("state", "in_progress")])
    let duplicatesAnswered = Tally("sallyport_radius_duplicates_total", [("state", "answered")])
    /// From reading a request to its reply; of a full batch every eighth is timed.
    private let answerTime = Timer(label: "sallyport_radius_answer_seconds")
    private let accepts = Tally("sallyport_radius_replies_total", [("code", "Access-Accept")])
    private let rejects = Tally("sallyport_radius_replies_total", [("code", "Access-Reject")])
    private let challenges = Tally("sallyport_radius_replies_total", [("code", "Access-Challenge")])
    private let acknowledgements = Tally("sallyport_radius_replies_total", [("code", "Accounting-Response")])
    private let protocolErrors = Tally("sallyport_radius_replies_total", [("code", "Protocol-Error")])
    private let records = AccountingRecord.Kind.allCases.map { Tally("sallyport_accounting_records_total", [("kind", $0.rawValue)]) }
    private let otherRecords = Tally("sallyport_accounting_records_total", [("kind", "other")])
    /// At the place of each reason's number.
    private let drops = DropReason.allCases.map { Tally("sallyport_radius_dropped_total", [("cause", $0.cause)]) }

    func drop(_ reason: DropReason, _ amount: Int = 1) {
        drops[Int(reason.rawValue)].add(amount)
    }

    func answered(in span: Timestamp.Span) {
        answerTime.recordMicroseconds(span.microseconds)
    }

    /// - Parameter kind: nil for one that says nothing of a session.
    func record(_ kind: AccountingRecord.Kind?) {
        let place = kind.flatMap { AccountingRecord.Kind.allCases.firstIndex(of: $0) }
        (place.map { records[$0] } ?? otherRecords).add()
    }

    /// - Parameter codes: the first byte of each reply of a group; the counters are touched once for all of them.
    func replies(_ codes: some Sequence<UInt8>) {
        var (accepted, rejected, challenged, acknowledged, failed) = (0, 0, 0, 0, 0)
        for code in codes {
            switch Code(rawValue: code) {
            case .accessAccept: accepted += 1
            case .accessReject: rejected += 1
            case .accessChallenge: challenged += 1
            case .accountingResponse: acknowledged += 1
            case .protocolError: failed += 1
            default: break
            }
        }
        if accepted > 0 { accepts.add(accepted) }
        if rejected > 0 { rejects.add(rejected) }
        if challenged > 0 { challenges.add(challenged) }
        if acknowledged > 0 { acknowledgements.add(acknowledged) }
        if failed > 0 { protocolErrors.add(failed) }
    }

    func statistics(pending: Int) -> RADIUSStatistics {
        var statistics = RADIUSStatistics()
        statistics.requests = requests.count
        statistics.duplicatesInProgress = duplicatesInProgress.count
        statistics.duplicatesAnswered = duplicatesAnswered.count
        for (code, tally) in [
            (Code.accessAccept, accepts), (.accessReject, rejects), (.accessChallenge, challenges), (.accountingResponse, acknowledgements),
            (.protocolError, protocolErrors),
        ]
        where tally.count > 0 {
            statistics.replies[code] = tally.count
        }
        for reason in DropReason.allCases {
            let count = drops[Int(reason.rawValue)].count
            if count > 0 { statistics.dropped[reason] = count }
        }
        statistics.pending = pending
        return statistics
    }
}
