// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

/// How packets came, in milliseconds, and what is read from it.
@Suite struct RetryHabitTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(microseconds: milliseconds * 1_000) }

    private func history(_ arrivals: [Int64], answered: Int64) -> RequestHistory {
        var history = RequestHistory(at: at(arrivals[0]))
        for arrival in arrivals.dropFirst() { history.came(again: at(arrival)) }
        history.answered = at(answered)
        return history
    }

    private func reading(_ habit: Habit, at milliseconds: Int64 = 100_000) -> GatewayHabits.Retries { habit.reading(at: at(milliseconds)) }

    @Test func theIntervalIsTheMiddleOne() {
        let habit = Habit()
        for second in [5_010, 4_990, 9_000] as [Int64] { habit.note(history([0, second], answered: second + 100)) }
        #expect(reading(habit).interval == .milliseconds(5_010))
        #expect(reading(habit).repeated == 3)
        #expect(reading(habit).most == 2)
    }

    @Test func triesAreKnownWhenItStoppedBeforeTheAnswer() {
        let habit = Habit()
        // Answered while it was still asking: it might have asked more often.
        habit.note(history([0, 5_000, 10_000], answered: 14_000))
        #expect(reading(habit).tries == nil && reading(habit).most == 3)
        // Half an interval more than one without a packet: it had given up.
        habit.note(history([0, 5_000, 10_000], answered: 17_499))
        #expect(reading(habit).tries == nil)
        habit.note(history([0, 5_000, 10_000], answered: 17_501))
        #expect(reading(habit).tries == 3)
    }

    /// strongSwan waits 2, 2.8, 3.9 and 5.5 seconds by default.
    @Test func aGatewayThatWaitsLongerEachTimeIsNotTakenToHaveStopped() {
        let habit = Habit()
        habit.note(history([0, 2_000, 4_800, 8_700], answered: 12_800))
        #expect(reading(habit).tries == nil)
        habit.note(history([0, 2_000, 4_800, 8_700], answered: 14_200))
        #expect(reading(habit).tries == 4)
        #expect(reading(habit).interval == .seconds(2))
    }

    @Test func whatTheNetworkDoubledIsNoRetry() {
        let habit = Habit()
        habit.note(history([0, 199], answered: 300))
        #expect(reading(habit) == GatewayHabits.Retries())
        habit.note(history([0, 200], answered: 300))
        #expect(reading(habit).repeated == 1)
    }

    @Test func threeThatWaitedSayHowPatientItIs() {
        let habit = Habit()
        habit.note(history([0], answered: 20_000))
        habit.note(history([0], answered: 12_000))
        #expect(reading(habit).patience == nil)
        habit.note(history([0], answered: 15_000))
        #expect(reading(habit).patience == .seconds(12))
        // A fast answer says nothing.
        for _ in 0..<20 { habit.note(history([0], answered: 499)) }
        #expect(reading(habit).patience == .seconds(12))
    }

    @Test func aNewPacketForTheSameSubjectWhileTheFirstWaitsIsARetry() {
        let habit = Habit()
        #expect(!habit.note(history([0], answered: 8_000), subject: 1, packet: 1))
        #expect(habit.note(history([5_000], answered: 8_000), subject: 1, packet: 2, from: "192.0.2.8"))
        #expect(reading(habit).renewed == 1 && reading(habit).moved == 1)
        // Of another subject, of the same packet, after the answer, and at once: none of them is.
        #expect(!habit.note(history([5_000], answered: 8_000), subject: 2, packet: 3))
        #expect(!habit.note(history([5_000], answered: 8_000), subject: 2, packet: 3))
        #expect(!habit.note(history([9_000], answered: 12_000), subject: 1, packet: 4))
        #expect(!habit.note(history([9_100], answered: 12_000), subject: 1, packet: 5))
        #expect(!habit.note(history([5_000], answered: 8_000), subject: nil, packet: 6))
        #expect(reading(habit).renewed == 1)
    }

    @Test func whatIsADayOldIsForgottenAndNothingGrows() {
        let habit = Habit()
        for _ in 0..<1_000 { habit.note(history([0, 5_000], answered: 6_000), subject: 1, packet: 1) }
        #expect(reading(habit).repeated == RetryHabit.kept)
        let day: Int64 = 24 * 3_600_000
        #expect(reading(habit, at: day + 6_000).repeated == RetryHabit.kept)
        #expect(reading(habit, at: day + 6_001) == GatewayHabits.Retries())
        // A gateway that was set anew is known by what it does now.
        for _ in 0..<RetryHabit.kept { habit.note(history([0, 1_000], answered: 1_100)) }
        #expect(reading(habit).interval == .seconds(1))
    }

    @Test func aFloodOfCopiesIsCountedUpToALimit() {
        var history = RequestHistory(at: at(0))
        for copy in 1...5_000 as ClosedRange<Int64> { history.came(again: at(copy)) }
        #expect(history.copies == 1_000 && history.second == at(1) && history.latest == at(5_000))
    }
}

/// `#expect` cannot call what mutates a value.
private final class Habit {
    private var habit = RetryHabit()

    @discardableResult
    func note(_ history: RequestHistory, subject: Int? = nil, packet: UInt64 = 0, from source: String = "192.0.2.7") -> Bool {
        habit.note(history, subject: subject, authenticator: Authenticator(high: packet, low: 1), source: address(source))
    }

    func reading(at now: Timestamp) -> GatewayHabits.Retries { habit.reading(at: now) }
}
