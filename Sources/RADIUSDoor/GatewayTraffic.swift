// SPDX-License-Identifier: Apache-2.0
// What each client's traffic shows about its gateway, counted beside the logins. Nothing that is not proven to be the gateway's own teaches.

package import LoginEngine
import RADIUS
internal import Synchronization

/// Whether what a request shows is the gateway's own doing.
enum Provenance {
    /// A right Message-Authenticator, or TLS.
    case proven
    /// Anybody may have sent it, until a right password in it shows that the sender knows the shared secret.
    case onlyIfAccepted
    /// The built-in test client, which is not the gateway.
    case ownTest

    init(_ packet: Packet, of entry: ClientEntry) {
        if PacketCheck.isTestClient(packet) {
            self = .ownTest
        } else {
            // A wrong Message-Authenticator has been dropped before.
            self = entry.isProtected || packet.contains(.messageAuthenticator) ? .proven : .onlyIfAccepted
        }
    }
}

/// In which bytes a name or a password is written.
enum TextKind {
    case ascii, utf8, other

    init(_ bytes: some Collection<UInt8>) {
        if bytes.allSatisfy({ $0 < 0x80 }) {
            self = .ascii
        } else {
            self = String(validating: bytes, as: UTF8.self) == nil ? .other : .utf8
        }
    }
}

/// Of one client. An ordinary login costs one counter, and one more for each thing about it that is not ordinary; a lock is taken for
/// answers that were slow or asked for twice, and for an address that is new.
package final class ClientTraffic: Sendable {
    private enum Count: Int, CaseIterable {
        case requests, accepts, unsigned, challenges, answers, chap, msCHAP, msCHAPv2, eap, withoutStation, withoutSession, textsUTF8,
            textsNotUTF8, records
    }

    private final class Counts: Sendable {
        private let values: InlineArray<14, Atomic<Int>>

        init() {
            precondition(Count.allCases.count == 14)
            values = InlineArray { _ in Atomic<Int>(0) }
        }

        func add(_ count: Count) {
            values[count.rawValue].wrappingAdd(1, ordering: .relaxed)
        }

        subscript(_ count: Count) -> Int { values[count.rawValue].load(ordering: .relaxed) }

        /// What was counted since, which begins at 0 again.
        func take(_ count: Count) -> Int { values[count.rawValue].exchange(0, ordering: .relaxed) }

        func set(_ count: Count, _ value: Int) {
            values[count.rawValue].store(value, ordering: .relaxed)
        }
    }

    /// Some of the addresses that asked; a range may hold millions.
    static let mostSources = 16

    private struct State {
        var retries = RetryHabit()
        var sources: [NetworkAddress] = []
        var earlierSources: [NetworkAddress] = []
        var eap = EAPHabit()
        var earlierEAP = EAPHabit()
    }

    /// By the threads that read, and by those that answer: apart, so that they do not fight for one line of the processor's cache.
    private let read = Counts()
    private let answered = Counts()
    /// Both, of the period before.
    private let earlier = Counts()
    /// A bit for each address that is noted already, by its hash: two that share one are counted as one.
    private let knownSources = Atomic<UInt64>(0)
    /// The last Framed-MTU, so that a lock is taken for others only.
    private let knownMTU = Atomic<Int>(0)
    private let state = Mutex(State())

    /// A new Access-Request, proven to be the gateway's.
    func note(_ packet: Packet, scheme: ProofScheme?, password: TextKind, from source: NetworkAddress) {
        read.add(.requests)
        if packet.contains(.eapMessage) {
            read.add(.eap)
        } else {
            if packet.contains(.state) { read.add(.answers) }
            switch scheme {
            case .chap: read.add(.chap)
            case .msCHAP: read.add(.msCHAP)
            case .msCHAPv2: read.add(.msCHAPv2)
            case .pap, nil: break
            }
        }
        if !packet.contains(.callingStationID) { read.add(.withoutStation) }
        if !packet.contains(.acctSessionID) { read.add(.withoutSession) }
        let name = packet.first(.userName).map { TextKind(packet.value(of: $0)) } ?? .ascii
        if name == .other || password == .other {
            read.add(.textsNotUTF8)
        } else if name == .utf8 || password == .utf8 {
            read.add(.textsUTF8)
        }
        note(source)
    }

    /// - Returns: whether it was a retry under a new identifier.
    func note(
        _ answer: LoginAnswer, to packet: Packet, _ provenance: Provenance, scheme: ProofScheme?, from source: NetworkAddress,
        _ history: RequestHistory?
    ) -> Bool {
        switch (answer, provenance) {
        case (_, .ownTest): return false
        case (.accept, .proven): answered.add(.accepts)
        case (.accept, .onlyIfAccepted):
            // CHAP and its kin are proved without the shared secret.
            guard scheme == nil, packet.contains(.userPassword) else { return false }
            note(packet, scheme: scheme, password: .ascii, from: source)
            answered.add(.accepts)
            answered.add(.unsigned)
        case (_, .onlyIfAccepted): return false
        case (.challenge, .proven):
            if !packet.contains(.eapMessage) { answered.add(.challenges) }
        case (.reject, .proven), (.none, .proven): break
        }
        return noteHistory(of: packet, from: source, history)
    }

    private func noteHistory(of packet: Packet, from source: NetworkAddress, _ history: RequestHistory?) -> Bool {
        guard let history, history.copies > 1 || history.waited >= RetryHabit.slow else { return false }
        let subject = Self.subject(of: packet)
        return state.withLock {
            $0.retries.note(history, subject: subject, authenticator: packet.authenticator, source: source)
        }
    }

    // MARK: EAP

    /// RFC 2865 §5.12
    private static let possibleMTUs = 64...65_535

    /// One round, proven to be the gateway's: without a right Message-Authenticator none comes so far (RFC 3579 §3.2).
    ///
    /// - Parameter offered: the methods of the client.
    func noteRound(_ packet: Packet, _ message: [UInt8], offered: [EAPMethodName], from source: NetworkAddress) {
        note(packet, scheme: nil, password: .ascii, from: source)
        if let round = EAPRound(message), !round.wanted.isEmpty,
            !round.wanted.contains(where: { EAPMethodName.isOffered($0, among: offered) })
        {
            state.withLock { $0.eap.note(wanted: round.wanted) }
        }
        guard let bytes = packet.integer(.framedMTU).map({ Int($0) }), Self.possibleMTUs.contains(bytes),
            knownMTU.exchange(bytes, ordering: .relaxed) != bytes
        else { return }
        state.withLock { $0.eap.note(framedMTU: bytes) }
    }

    /// - Parameters:
    ///   - isAccepted: the device believed the server, and the gateway is told to let it in.
    ///   - history: nil: not learnt from.
    /// - Returns: whether it was a retry under a new identifier.
    func noteRoundAnswered(
        _ packet: Packet, isAccepted: Bool, from source: NetworkAddress, _ history: RequestHistory?
    ) -> Bool {
        if isAccepted {
            answered.add(.accepts)
            if let method = packet.joined(.eapMessage).flatMap({ EAPRound($0) })?.method { state.withLock { $0.eap.noteAccept(method) } }
        }
        return noteHistory(of: packet, from: source, history)
    }

    /// An Accounting-Request, proven to be the gateway's.
    func noteRecord() {
        read.add(.records)
    }

    private func note(_ source: NetworkAddress) {
        let folded = UInt64(truncatingIfNeeded: source.bits) ^ UInt64(truncatingIfNeeded: source.bits >> 64)
        // The product's upper six bits; without the parentheses the shift would come first.
        let bit = UInt64(1) << ((folded &* 0x9E37_79B9_7F4A_7C15) >> 58)
        guard knownSources.load(ordering: .relaxed) & bit == 0 else { return }
        state.withLock { state in
            if state.sources.count < Self.mostSources, !state.sources.contains(source) { state.sources.append(source) }
        }
        knownSources.bitwiseOr(bit, ordering: .relaxed)
    }

    /// What a retry shares with the request before; nil without a device or a session, since then two tries of one user look alike.
    private static func subject(of packet: Packet) -> Int? {
        guard let name = packet.first(.userName), packet.contains(.callingStationID) || packet.contains(.acctSessionID) else { return nil }
        var hasher = Hasher()
        hasher.combine(packet.value(of: name))
        for type in [AttributeType.callingStationID, .acctSessionID, .nasPort, .state] {
            hasher.combine(packet.first(type).map { packet.value(of: $0) })
        }
        return hasher.finalize()
    }

    /// A new period: what was counted becomes the one before.
    func turn() {
        for count in Count.allCases { earlier.set(count, read.take(count) + answered.take(count)) }
        state.withLock { state in
            state.earlierSources = state.sources
            state.sources = []
            state.earlierEAP = state.eap
            state.eap = EAPHabit()
        }
        knownMTU.store(0, ordering: .relaxed)
        knownSources.store(0, ordering: .relaxed)
    }

    func habits(since: Timestamp, at now: Timestamp) -> GatewayHabits {
        func total(_ count: Count) -> Int {
            read[count] + answered[count] + earlier[count]
        }
        var habits = GatewayHabits(since: since)
        habits.requests = total(.requests)
        habits.accepts = total(.accepts)
        habits.unsigned = total(.unsigned)
        habits.challenges = total(.challenges)
        habits.answers = total(.answers)
        habits.chap = total(.chap)
        habits.msCHAP = total(.msCHAP)
        habits.msCHAPv2 = total(.msCHAPv2)
        habits.eap = total(.eap)
        habits.withoutStation = total(.withoutStation)
        habits.withoutSession = total(.withoutSession)
        habits.textsUTF8 = total(.textsUTF8)
        habits.textsNotUTF8 = total(.textsNotUTF8)
        habits.records = total(.records)
        state.withLock { state in
            habits.sources = Set(state.sources + state.earlierSources).sorted { $0.bits < $1.bits }
            habits.retries = state.retries.reading(at: now)
            let eap = state.eap.adding(state.earlierEAP)
            (habits.eapAccepted, habits.eapWanted, habits.framedMTU) = (eap.accepted, eap.wanted, eap.framedMTU)
        }
        return habits
    }
}

/// Of all clients, for as long as the node runs. A new client table finds again what was learnt under the one before.
package final class GatewayTraffic: Sendable {
    /// What is told is one to two of them old.
    package static let period = Timestamp.Span.minutes(12 * 60)

    private struct State {
        var clients: [Int64: ClientTraffic] = [:]
        var began: Moment
        var earlier: Moment?
    }

    private let state: Mutex<State>

    package init(at now: Moment) {
        state = Mutex(State(began: now))
    }

    /// Of clients that are no more, nothing is kept.
    func traffic(of clients: [Int64]) -> [Int64: ClientTraffic] {
        state.withLock { state in
            let known = state.clients
            state.clients = Dictionary(clients.map { ($0, known[$0] ?? ClientTraffic()) }) { first, _ in first }
            return state.clients
        }
    }

    /// Begins a new period when the present one is over; often enough is every minute.
    package func turn(at now: Moment) {
        let over = state.withLock { state -> [ClientTraffic] in
            guard now.uptime - state.began.uptime >= Self.period else { return [] }
            (state.earlier, state.began) = (state.began, now)
            return Array(state.clients.values)
        }
        for client in over { client.turn() }
    }

    /// Nil for a client that is not served.
    package func habits(ofClient id: Int64, at now: Moment) -> GatewayHabits? {
        let (client, since) = state.withLock { ($0.clients[id], ($0.earlier ?? $0.began).wall) }
        return client?.habits(since: since, at: now.uptime)
    }
}
