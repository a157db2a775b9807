// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LoginEngine

@Suite struct FairQueueTests {
    @Test func askersTakeTurnsAndEachIsServedInOrder() {
        var queue = FairQueue<String>()
        for name in ["a1", "a2", "a3"] { queue.append(name, of: 1) }
        queue.append("b1", of: 2)
        #expect(queue.ahead(of: 1) == 4 && queue.ahead(of: 2) == 3 && queue.ahead(of: 3) == 2)
        #expect(queue.takeFirst() == "a1")
        queue.append("c1", of: 3)
        #expect((0..<5).map { _ in queue.takeFirst() } == ["b1", "a2", "c1", "a3", nil])
        #expect(queue.count == 0)
    }

    @Test func theLongestLineGivesWayToAShorterOne() {
        var queue = FairQueue<Int>()
        for number in 0..<3 { queue.append(number, of: 1) }
        #expect(queue.giveWay(to: 1) == nil, "nobody gives way to itself")
        #expect(queue.giveWay(to: 2) == 2)
        queue.append(10, of: 2)
        #expect(queue.giveWay(to: 2) == nil, "they are equal then")
        #expect(queue.giveWay(to: 3) == 1)
        #expect(queue.giveWay(to: 3) == nil, "a line of one is left")
        #expect(queue.count == 2)
    }

    /// Against a model: each asker's come in order, none is lost, and nobody is served twice while another waits all the time.
    @Test func nobodyWaitsForMoreThanOneOfEachOther() {
        var queue = FairQueue<Int>()
        var random = SystemRandomNumberGenerator()
        var model: [Int64: [Int]] = [:]
        var sinceServed: [Int64: [Int64: Int]] = [:]
        for number in 0..<20_000 {
            if Int.random(in: 0..<2, using: &random) == 0 {
                let asker = Int64.random(in: 0..<5, using: &random)
                // Numbers carry their asker.
                queue.append(number * 8 + Int(asker), of: asker)
                if model[asker, default: []].isEmpty { sinceServed[asker] = [:] }
                model[asker, default: []].append(number * 8 + Int(asker))
            } else if let taken = queue.takeFirst() {
                let asker = Int64(taken % 8)
                let expected = model[asker]?.removeFirst()
                #expect(expected == taken)
                sinceServed[asker] = [:]
                for other in model.keys where other != asker && !(model[other] ?? []).isEmpty {
                    sinceServed[other, default: [:]][asker, default: 0] += 1
                    #expect(sinceServed[other]?[asker] ?? 0 <= 1)
                }
            } else {
                let isEmpty = model.values.allSatisfy { $0.isEmpty }
                #expect(isEmpty)
            }
            let waiting = model.values.reduce(0) { $0 + $1.count }
            #expect(queue.count == waiting)
        }
    }
}
