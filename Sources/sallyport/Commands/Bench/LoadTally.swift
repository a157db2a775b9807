// SPDX-License-Identifier: Apache-2.0
// What a run counted, and how it is told.

import Administration
import LoginEngine
import RADIUS

struct LoadTally {
    var began: UInt64 = 0
    var ended: UInt64 = 0
    var sent = 0
    var replies = 0
    var accepted = 0
    var rejected = 0
    var challenged = 0
    /// Accounting records.
    var acknowledged = 0
    var lost = 0
    var late = 0
    var unexpected = 0
    var malformed = 0
    var wrongResponseAuthenticator = 0
    var missingMessageAuthenticator = 0
    var wrongMessageAuthenticator = 0
    /// MS-CHAPv2: accepts whose own proof of the server was looked at, and those without a right one.
    var proofs = 0
    /// Of them, those whose handshake took up a session.
    var resumed = 0
    var wrongProof = 0
    /// Answers to what was sent again, and those of them that were not the answer of before.
    var duplicates = 0
    var changed = 0
    var unfinished = 0
    var lateCodes = 0
    var nextCounter: UInt64 = 0
    /// Of whole logins, from the first request to the decision.
    var latency = LatencyHistogram()
    var own = ProcessCost()
    var server: ProcessCost?
    var serverKilobytes: Int?
    /// What the server allocated.
    var allocations: Int?

    mutating func count(_ code: Code?) {
        switch code {
        case .accessAccept: accepted += 1
        case .accessReject: rejected += 1
        case .accessChallenge: challenged += 1
        case .accountingResponse: acknowledged += 1
        default: malformed += 1
        }
    }

    mutating func count(_ verdict: RequestForge.Verdict) {
        switch verdict {
        case .genuine: break
        case .malformed: malformed += 1
        case .wrongResponseAuthenticator: wrongResponseAuthenticator += 1
        case .missingMessageAuthenticator: missingMessageAuthenticator += 1
        case .wrongMessageAuthenticator: wrongMessageAuthenticator += 1
        }
    }

    var bad: Int { malformed + wrongResponseAuthenticator + missingMessageAuthenticator + wrongMessageAuthenticator + changed + wrongProof }
}

/// What happened since it was told the last time.
struct LoadInterval: Encodable {
    var seconds = 0.0
    var accepted = 0
    var rejected = 0
    var lost = 0
    var late = 0
    var p99: Double?
    var serverKilobytes: Int?

    private(set) var began: UInt64 = 0
    private var before = LoadTally()
    var latency = LatencyHistogram()

    private enum CodingKeys: CodingKey {
        case seconds, accepted, rejected, lost, late, p99, serverKilobytes
    }

    init() {}

    init(began: UInt64, _ tally: LoadTally) {
        self.began = began
        before = tally
    }

    mutating func end(_ now: UInt64, _ tally: LoadTally, kilobytes: Int?) {
        seconds = Double(now - began) / 1e9
        accepted = tally.accepted - before.accepted
        rejected = tally.rejected - before.rejected
        lost = tally.lost - before.lost
        late = tally.late - before.late
        p99 = latency.microseconds(at: 0.99)
        serverKilobytes = kilobytes
    }
}

/// As `--json` prints it; rates are per second, times in microseconds.
struct LoadReport: Encodable {
    var mode: String
    var users: Int
    var window: Int
    var sockets: Int
    var rate: Double?
    var seconds: Double
    var sent: Double
    var logins: Int
    var accepted: Double
    var rejected: Double
    var challenged: Double
    /// Accounting records.
    var acknowledged: Double
    var lost: Double
    var lostRequests: Int
    var late: Int
    var duplicates: Int
    var badReplies: Int
    var badByCause: [String: Int]
    /// MS-CHAPv2: accepts in which the server's own proof was looked at, and right.
    var proofs: Int
    var resumed: Int
    var p50: Double?
    var p99: Double?
    var p999: Double?
    var generatorMicrosecondsPerRequest: Double
    var serverMicrosecondsPerLogin: Double?
    var serverUserMicrosecondsPerLogin: Double?
    var serverSystemMicrosecondsPerLogin: Double?
    /// For each reply, or for each request where none is answered.
    var serverMicrosecondsPerPacket: Double?
    var allocationsPerLogin: Double?
    var allocationsPerPacket: Double?
    var serverKilobytes: Int?
    var codesNotReady: Int
    var nextCounter: UInt64

    init(_ tally: LoadTally, _ plan: LoadPlan) {
        seconds = max(0.001, Double(tally.ended - tally.began) / 1e9)
        mode = plan.mode.rawValue
        users = plan.users.count
        window = plan.window
        sockets = plan.tls?.connections ?? plan.sockets
        rate = plan.rate ?? (plan.mode.isAnswered ? nil : LoadPlan.unansweredRate)
        sent = Double(tally.sent) / seconds
        logins = tally.accepted + tally.rejected
        let decided = Double(max(1, logins))
        accepted = Double(tally.accepted) / seconds
        rejected = Double(tally.rejected) / seconds
        challenged = Double(tally.challenged) / seconds
        acknowledged = Double(tally.acknowledged) / seconds
        lost = Double(tally.lost) / seconds
        lostRequests = tally.lost
        late = tally.late
        duplicates = tally.duplicates
        badReplies = tally.bad
        badByCause = [
            "malformed": tally.malformed, "wrong-response-authenticator": tally.wrongResponseAuthenticator,
            "missing-message-authenticator": tally.missingMessageAuthenticator,
            "wrong-message-authenticator": tally.wrongMessageAuthenticator, "changed": tally.changed, "unexpected": tally.unexpected,
            "wrong-server-proof": tally.wrongProof,
        ].filter { $0.value > 0 }
        proofs = tally.proofs
        resumed = tally.resumed
        p50 = tally.latency.microseconds(at: 0.5)
        p99 = tally.latency.microseconds(at: 0.99)
        p999 = tally.latency.microseconds(at: 0.999)
        generatorMicrosecondsPerRequest = Double(tally.own.total) / Double(max(1, tally.replies))
        serverMicrosecondsPerLogin = tally.server.map { Double($0.total) / decided }
        serverUserMicrosecondsPerLogin = tally.server.map { Double($0.userMicroseconds) / decided }
        serverSystemMicrosecondsPerLogin = tally.server.map { Double($0.systemMicroseconds) / decided }
        let packets = Double(max(1, plan.mode.isAnswered ? tally.replies : tally.sent))
        serverMicrosecondsPerPacket = tally.server.map { Double($0.total) / packets }
        allocationsPerLogin = tally.allocations.map { Double($0) / decided }
        allocationsPerPacket = tally.allocations.map { Double($0) / packets }
        serverKilobytes = tally.serverKilobytes
        codesNotReady = tally.lateCodes
        nextCounter = tally.nextCounter
    }

    func show(_ output: Output) {
        var table = Table([
            .init("MODE"), .init(acknowledged > 0 ? "RECORDS/S" : "ACCEPTED/S", isRight: true), .init("REJECTED/S", isRight: true),
            .init("CHALLENGED/S", isRight: true),
            .init("LOST/S", isRight: true), .init("P50 US", isRight: true), .init("P99 US", isRight: true),
            .init("P99.9 US", isRight: true),
            .init("GENERATOR US", isRight: true), .init("SERVER US", isRight: true), .init("SERVER MB", isRight: true),
        ])
        table.rows.append([
            Span(mode, .strong), Span(Self.whole(accepted + acknowledged)), Span(Self.whole(rejected)), Span(Self.whole(challenged)),
            Span(Self.whole(lost), lostRequests > 0 ? .warn : .plain), Self.time(p50), Self.time(p99), Self.time(p999),
            Span(Self.tenth(generatorMicrosecondsPerRequest)),
            (logins > 0 && duplicates == 0 ? serverMicrosecondsPerLogin : serverMicrosecondsPerPacket).map { Span(Self.tenth($0)) }
                ?? .none,
            serverKilobytes.map { Span("\($0 / 1024)") } ?? .none,
        ])
        output.lines(table.lines(output.terminal))
        let causes = badByCause.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        if !causes.isEmpty { output.warn("Replies that were not genuine: \(causes).") }
        if late > 0 {
            output.warn(
                "\(Words.count(late, "reply", "replies")) came after \(LoadPlan.patience / 1_000_000_000) s, when the request counted as lost."
            )
        }
        if codesNotReady > 0 { output.warn("\(Words.count(codesNotReady, "code")) had to be computed under load: use a larger --ahead.") }
    }

    private static func whole(_ value: Double) -> String { "\(Int(value.rounded()))" }
    private static func tenth(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
    private static func time(_ value: Double?) -> Span { value.map { Span(whole($0)) } ?? .none }
}
