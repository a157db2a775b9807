// SPDX-License-Identifier: Apache-2.0
// A log that nobody reads: whoever logs goes on, and the gap is told of.

import Foundation
import Synchronization
import Testing

@testable import sallyport

@Suite struct LogOutputTests {
    /// A reader that stands still until it is let go.
    private final class StuckReader: Sendable {
        private let gate = DispatchSemaphore(value: 0)
        private let lines = Mutex<[String]>([])

        func take(_ line: [UInt8]) {
            gate.wait()
            gate.signal()
            lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        }

        func goOn() { gate.signal() }
        var taken: [String] { lines.withLock { $0 } }
    }

    private func line(_ number: Int) -> [UInt8] { Array("line \(number)\n".utf8) }

    @Test func aStuckReaderStopsNobodyAndTheGapIsTold() {
        let reader = StuckReader()
        let output = LogOutput(limits: LogOutput.Limits(lines: 10, bytes: 1 << 20)) { reader.take($0) }
        output.describe { Array("\($0) lost\n".utf8) }
        for number in 0..<1_000 { output.write(line: line(number)) }
        #expect(output.droppedCount == 990)
        // Nobody reads: the end of the process does not wait for that.
        let began = ContinuousClock.now
        output.flush(seconds: 0.05)
        #expect(ContinuousClock.now - began < .seconds(10))
        #expect(reader.taken.isEmpty)
        reader.goOn()
        output.flush(seconds: 60)
        let first = (0..<10).map { "line \($0)\n" }
        #expect(reader.taken.filter { $0.hasPrefix("line") } == first)
        #expect(reader.taken.filter { $0.hasSuffix("lost\n") } == ["990 lost\n"])
        output.write(line: line(1_000))
        output.flush(seconds: 60)
        #expect(reader.taken.last == "line 1000\n")
        #expect(output.droppedCount == 990)
    }

    @Test func longLinesFillItToo() {
        let reader = StuckReader()
        let output = LogOutput(limits: LogOutput.Limits(lines: 1_000, bytes: 100)) { reader.take($0) }
        for _ in 0..<5 { output.write(line: [UInt8](repeating: 0x61, count: 40)) }
        #expect(output.droppedCount == 3)
        reader.goOn()
        output.flush(seconds: 60)
        #expect(reader.taken.count == 3)
    }

    @Test func aLossIsALineOfTheLog() {
        let text = String(decoding: LineLogHandler.lossLine(3, .text(coloured: false)), as: UTF8.self)
        #expect(text.hasSuffix("warning  sallyport.log: 3 log lines were dropped: nobody read the log fast enough  dropped=3\n"))
    }
}
