// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import OTP
internal import Testing

struct TOTPVector: Decodable, Sendable {
    let time: Int64
    let algorithm: String
    let key: String
    let code: String

    static let all: [TOTPVector] = {
        guard
            let url = Bundle.module.url(forResource: "rfc6238-totp", withExtension: "json", subdirectory: "Vectors"),
            let data = try? Data(contentsOf: url)
        else { return [] }
        return (try? JSONDecoder().decode([TOTPVector].self, from: data)) ?? []
    }()
}

struct TOTPTests {
    let totp: TOTP
    /// The middle of step 1000.
    let now: Int64 = 30_015

    init() throws {
        totp = try TOTP(key: OTPKey(Array("12345678901234567890".utf8)))
    }

    @Test func thereAreVectorsForAllHashes() {
        #expect(TOTPVector.all.count == 18)
        #expect(Set(TOTPVector.all.map(\.algorithm)) == Set(OTPAlgorithm.allCases.map(\.rawValue)))
    }

    @Test(arguments: TOTPVector.all) func codesAreThoseOfRFC6238(_ vector: TOTPVector) throws {
        let algorithm = try #require(OTPAlgorithm(rawValue: vector.algorithm))
        let key = try OTPKey(bytes(vector.key))
        #expect(key.bytes.count == algorithm.keyLength)
        let totp = try TOTP(key: key, algorithm: algorithm, digits: 8)
        #expect(totp.code(at: vector.time) == vector.code)
        #expect(totp.match(vector.code, at: vector.time, window: 0) == vector.time / 30)
    }

    @Test(arguments: [(0, 0), (29, 0), (30, 1), (59, 1), (60, 2), (-1, -1), (-30, -1), (-31, -2)] as [(Int64, Int64)])
    func aStepLastsItsPeriod(_ seconds: Int64, _ step: Int64) {
        #expect(totp.step(at: seconds) == step)
    }

    @Test(arguments: -3...3) func aStepInsideTheWindowMatches(_ distance: Int) throws {
        let code = try #require(totp.code(step: 1000 + Int64(distance)))
        #expect(totp.match(code, at: now) == (abs(distance) <= 1 ? 1000 + Int64(distance) : nil))
        #expect(totp.match(code, at: now, window: 0) == (distance == 0 ? 1000 : nil))
        #expect(totp.match(code, at: now, window: 3) == 1000 + Int64(distance))
        #expect(totp.match(code, at: now, window: 1, drift: distance) == 1000 + Int64(distance))
    }

    @Test func driftMovesTheWindow() throws {
        let code = try #require(totp.code(step: 1000))
        #expect(totp.match(code, at: now, window: 1, drift: 2) == nil)
        #expect(totp.match(code, at: now, window: 2, drift: 2) == 1000)
        #expect(totp.match(code, at: now, window: 1, drift: -1) == 1000)
    }

    /// With six digits some codes return within two hundred steps, which shows the order of the search.
    @Test func theNearestStepWins() throws {
        var steps: [String: [Int64]] = [:]
        for step in 0..<Int64(4000) { steps[try #require(totp.code(step: step)), default: []].append(step) }
        let pair = try #require(steps.values.first { $0.count == 2 && $0[1] - $0[0] > 2 && $0[1] - $0[0] < 190 })
        let code = try #require(totp.code(step: pair[0]))
        #expect(totp.match(code, at: (pair[0] + 1) * 30, window: 200) == pair[0])
        #expect(totp.match(code, at: (pair[1] - 1) * 30, window: 200) == pair[1])
    }

    @Test func theWindowIsBounded() throws {
        let code = try #require(totp.code(step: 1000 + Int64(TOTP.maximumWindow) + 1))
        #expect(totp.match(code, at: now, window: .max) == nil)
        #expect(totp.match(try #require(totp.code(step: 1200)), at: now, window: .max) == 1200)
        #expect(totp.match(try #require(totp.code(step: 1000)), at: now, window: -1) == 1000)
    }

    @Test func thereAreNoCodesBefore1970() throws {
        #expect(totp.code(at: -1) == nil)
        #expect(totp.code(step: -1) == nil)
        let first = try #require(totp.code(step: 0))
        #expect(totp.match(first, at: -1, window: 1) == 0)
        #expect(totp.match(first, at: -1, window: 0) == nil)
    }

    @Test func theEndsOfTimeDoNotTrap() throws {
        let slow = try TOTP(key: totp.key, period: 1)
        #expect(slow.match("000000", at: .max, window: 2, drift: .max) == nil)
        #expect(slow.match("000000", at: .min, window: 2, drift: .min) == nil)
        #expect(slow.match(try #require(slow.code(at: .max)), at: .max, window: 2) == .max)
    }

    @Test(arguments: [0, -1, 86_401]) func otherPeriodsAreRefused(_ period: Int) {
        #expect(throws: OTPError.period(period)) { try TOTP(key: totp.key, period: period) }
    }

    @Test(arguments: [1, 60, 86_400]) func periodsOfASecondToADayWork(_ period: Int) throws {
        #expect(try TOTP(key: totp.key, period: period).step(at: 86_400) == 86_400 / Int64(period))
    }
}
