// SPDX-License-Identifier: Apache-2.0
// The engine on a table: scripted ports around real `Logins`.

package import LoginEngine
internal import Synchronization

/// A running engine with one user, `alice` (row 1, password `correct horse`), and what a test needs to talk to it.
package final class LoginBench: Sendable {
    package let clock = TestClock()
    package let records = MemoryRecords()
    package let passwords: ScriptedPasswords
    package let phone: ScriptedPhone
    package let deadlines: Deadlines
    package let logins: Logins
    private let answers = Mutex<[UInt64: LoginAnswer]>([:])
    private let counter = Mutex<UInt64>(0)

    package static let password = "correct horse"
    package static let aliceID: Int64 = 1

    /// - Parameter codes: code → TOTP step of alice's token, factor 10.
    package init(
        codes: [String: Int64] = ["111111": 1, "222222": 2, "333333": 3], hasPhone: Bool = false, countsElsewhere: Bool = false,
        extraFactors: [any SecondFactor] = [], rules: LoginRules = LoginRules(), seed: UInt64 = 1,
        failures: PortFailures? = nil
    ) {
        var rules = rules
        // Digits, then the grant's number: no hash, and bound to the grant all the same.
        rules.grants.codeHash = { $0 + [UInt8(truncatingIfNeeded: $1)] }
        passwords = ScriptedPasswords([Self.aliceID: Self.password], countsElsewhere: countsElsewhere)
        phone = ScriptedPhone()
        let clock = clock
        deadlines = Deadlines { clock.now }
        let scripted: [any SecondFactor] = [ScriptedCodes(codes), phone] + extraFactors
        let (records, passwords) = (records, passwords)
        let failing = failures.map { FailingPorts(records: records, passwords: passwords, seal: PlainSeal(), failures: $0) }
        logins = Logins(
            records: failing ?? records, seal: failing ?? PlainSeal(), passwords: failing ?? passwords,
            factors: failures.map { failures in scripted.map { FailingFactor($0, failures) } } ?? scripted, rules: rules,
            deadlines: deadlines, random: SeededRandom(seed: seed), shards: 4, subjectsRemembered: 1_024, now: { clock.now })
        records.change { tables in
            tables.users["alice"] = User(id: Self.aliceID, name: "alice", status: .active, passwordHash: Secret(utf8: "x"))
            tables.factors[Self.aliceID] = [Factor(id: 10, kind: .totp, label: "app", state: .active, secret: Secret([1]))]
            if hasPhone {
                tables.factors[Self.aliceID]?.append(Factor(id: 11, kind: .push, label: "phone", state: .active, secret: Secret([])))
            }
        }
    }

    /// Of grants that `grant` gives.
    package static let temporaryCode = "40718293"

    /// Gives alice one, good for an hour.
    /// - Returns: its number, counted from 1.
    @discardableResult
    package func grant(_ kind: Grant.Kind, uses: Int? = 1, _ change: @Sendable (inout Grant) -> Void = { _ in }) -> Int64 {
        let now = clock.now.wall
        return records.change { tables in
            let id = Int64(tables.grants[Self.aliceID, default: []].count + 1)
            var grant = Grant(id: id, kind: kind, issued: now, until: now + .minutes(60), uses: uses, reason: "lost phone")
            if kind == .code {
                grant.digits = 8
                grant.codeHash = Array(Self.temporaryCode.utf8) + [UInt8(truncatingIfNeeded: id)]
            }
            change(&grant)
            tables.grants[Self.aliceID, default: []].append(grant)
            return id
        }
    }

    package static func client(id: Int64 = 1, _ change: (inout ClientSettings) -> Void = { _ in }) -> Client {
        var settings = ClientSettings(
            name: "gw\(id)", addresses: [AddressRange(NetworkAddress(v4: 0x0A00_0001))], secret: Secret(utf8: "s"))
        change(&settings)
        return Client(id: id, settings: settings)
    }

    /// A request as a gateway sends it; every call is another packet unless `packet` says the same.
    package func request(
        _ field: String, name: String = "alice", client: Client, handle: String? = nil, station: String? = nil, session: String? = nil,
        source: UInt32 = 0x0A00_0001, packet: UInt64? = nil
    ) -> LoginRequest {
        var request = LoginRequest(
            door: .radius, client: client, name: name, proof: .plaintext(Secret(utf8: field)), handle: handle, callingStation: station,
            gatewaySession: session, source: NetworkAddress(v4: source),
            fingerprint: Fingerprint(Bits128(high: 7, low: packet ?? nextNumber())))
        request.namesSession = session != nil
        return request
    }

    private func nextNumber() -> UInt64 {
        counter.withLock { counter in
            counter += 1
            return counter
        }
    }

    /// Hands a request in.
    /// - Returns: the waiter's number, for `answer(to:)`.
    package func send(_ request: LoginRequest) -> UInt64 {
        let waiter = nextNumber() + 1_000_000
        logins.attempt([
            Attempt(request: request, waiter: waiter) { [self] answer in
                answers.withLock { answers in
                    precondition(answers[waiter] == nil, "answered twice")
                    answers[waiter] = answer
                }
            }
        ])
        return waiter
    }

    package func answer(to waiter: UInt64) -> LoginAnswer? {
        answers.withLock { $0[waiter] }
    }

    /// Sends and returns what was answered at once; nil while it waits.
    package func ask(_ request: LoginRequest) -> LoginAnswer? {
        answer(to: send(request))
    }

    package func advance(by span: Timestamp.Span) {
        clock.advance(by: span)
        deadlines.fire()
    }

    /// Reasons of the rejects in the trail, in order.
    package var rejections: [String] {
        records.events.filter { $0.kind == .loginRejected }.compactMap(\.reason)
    }

    package var accepts: Int { records.events.count { $0.kind == .loginAccepted } }
}

extension LoginAnswer {
    package var isAccept: Bool { if case .accept = self { true } else { false } }
    package var isReject: Bool { if case .reject = self { true } else { false } }
    package var challenge: Challenge? { if case .challenge(_, let challenge) = self { challenge } else { nil } }
    package var message: String? { if case .reject(_, let message, _) = self { message } else { nil } }
    package var login: LoginID? {
        switch self {
        case .accept(let id, _, _), .challenge(let id, _), .reject(let id, _, _): id
        case .none: nil
        }
    }
}
