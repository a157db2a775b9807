// SPDX-License-Identifier: Apache-2.0
// Where log lines go: a bounded queue and a thread of its own, because whoever reads the log may stop, and logins must not.

import Foundation
import Glibc

final class LogOutput: Sendable {
    struct Limits: Sendable {
        var lines = 8_192
        var bytes = 4 << 20
    }

    static let standardError = LogOutput { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if written < 0, errno == EAGAIN {
                var wanted = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
                poll(&wanted, 1, -1)
            } else if written < 0, errno != EINTR {
                // Nobody reads any more.
                return
            }
        }
    }

    private let queue: LogQueue

    /// - Parameter sink: takes one line after the other, on the queue's thread; it may block.
    init(limits: Limits = Limits(), _ sink: @escaping @Sendable ([UInt8]) -> Void) {
        queue = LogQueue(limits: limits, sink: sink)
    }

    deinit {
        queue.end()
    }

    /// Queues the line, or drops and counts it when the queue is full. Never waits for the reader of the log.
    func write(line: [UInt8]) {
        queue.add(line)
    }

    /// Lines dropped since the start.
    var droppedCount: Int { queue.droppedCount }

    /// How a gap is told of where the log goes on.
    func describe(loss: @escaping @Sendable (Int) -> [UInt8]) {
        queue.describe(loss)
    }

    /// Waits until all lines are written, but no longer than `seconds`.
    func flush(seconds: Double = 1) {
        queue.flush(seconds: seconds)
    }
}

/// What the thread shares with those who log; everything that varies is guarded by `condition`.
private final class LogQueue: @unchecked Sendable {
    private let limits: LogOutput.Limits
    private let sink: @Sendable ([UInt8]) -> Void
    private let condition = NSCondition()
    private var waiting: [[UInt8]] = []
    /// Those being written are among them until they are.
    private var lineCount = 0
    private var byteCount = 0
    private var dropped = 0
    /// Of the dropped ones, those that no line has told of.
    private var untold = 0
    private var hasThread = false
    private var isEnded = false
    private var loss: @Sendable (Int) -> [UInt8] = { Array("\($0) log lines were dropped\n".utf8) }

    init(limits: LogOutput.Limits, sink: @escaping @Sendable ([UInt8]) -> Void) {
        self.limits = limits
        self.sink = sink
    }

    var droppedCount: Int { condition.withLock { dropped } }

    func describe(_ loss: @escaping @Sendable (Int) -> [UInt8]) {
        condition.withLock { self.loss = loss }
    }

    func add(_ line: [UInt8]) {
        condition.lock()
        defer { condition.unlock() }
        guard lineCount < limits.lines, byteCount + line.count <= limits.bytes else {
            dropped += 1
            untold += 1
            return
        }
        waiting.append(line)
        lineCount += 1
        byteCount += line.count
        if hasThread {
            // The thread sleeps only where nothing waited before.
            if waiting.count == 1 { condition.broadcast() }
        } else {
            hasThread = true
            let thread = Thread { [self] in work() }
            thread.name = "log"
            thread.start()
        }
    }

    func flush(seconds: Double) {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while lineCount > 0 || untold > 0 {
            guard condition.wait(until: end) else { return }
        }
    }

    func end() {
        condition.withLock {
            isEnded = true
            condition.broadcast()
        }
    }

    private func work() {
        while let lines = next() {
            for line in lines {
                sink(line)
                condition.withLock {
                    lineCount -= 1
                    byteCount -= line.count
                }
            }
            tellOfLoss()
            condition.withLock { condition.broadcast() }
        }
    }

    /// - Returns: nil at the end, when all is written.
    private func next() -> [[UInt8]]? {
        condition.lock()
        defer { condition.unlock() }
        while waiting.isEmpty {
            if isEnded { return nil }
            condition.wait()
        }
        defer { waiting = [] }
        return waiting
    }

    /// Lines were dropped while those before were written, so this is the place of the gap.
    private func tellOfLoss() {
        let line: [UInt8]? = condition.withLock {
            guard untold > 0 else { return nil }
            defer { untold = 0 }
            return loss(untold)
        }
        if let line { sink(line) }
    }
}
