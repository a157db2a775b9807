// SPDX-License-Identifier: Apache-2.0
// What a process has cost so far, by /proc.

import Foundation

struct ProcessCost: Sendable {
    var userMicroseconds: Int64 = 0
    var systemMicroseconds: Int64 = 0

    var total: Int64 { userMicroseconds + systemMicroseconds }

    static func - (left: ProcessCost, right: ProcessCost) -> ProcessCost {
        ProcessCost(
            userMicroseconds: left.userMicroseconds - right.userMicroseconds,
            systemMicroseconds: left.systemMicroseconds - right.systemMicroseconds)
    }

    static func own() -> ProcessCost { of(process: getpid()) ?? ProcessCost() }

    /// proc(5): fields 14 and 15 of stat, in clock ticks; the name before them may hold blanks.
    static func of(process: Int32) -> ProcessCost? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8), let end = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: end)...].split(separator: " ")
        let tick = 1_000_000 / Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else { return nil }
        return ProcessCost(userMicroseconds: user * tick, systemMicroseconds: system * tick)
    }

    /// Resident kilobytes now.
    static func residentKilobytes(of process: Int32) -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line.flatMap { Int($0.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first ?? "") }
    }

    /// What `scripts/count-allocations` lets a process write there: how often it has allocated so far.
    static func allocations(in path: String) -> UInt64? {
        guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: path)), bytes.count >= 8 else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
}
