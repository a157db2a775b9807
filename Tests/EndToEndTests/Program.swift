// SPDX-License-Identifier: Apache-2.0
// Programs as a user runs them: the built `sallyport` from beside the test bundle, and foreign clients.

import Foundation
import Glibc
import LoginEngine
import RADIUSDoor
import Synchronization
import TestSupport
import Testing

/// How a program ended, and all that it said.
struct Finished: Sendable {
    var status: Int32
    var output: String
    var errors: String

    var everything: String { output + errors }
    /// Without log lines, which begin with the time.
    var complaint: [Substring] { errors.split(separator: "\n").filter { $0.first?.isNumber != true } }
}

struct Program: Sendable {
    var path: String

    /// SwiftPM builds it into the folder of the test bundle.
    static let sallyport: Program = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let folders = [bundle] + CommandLine.arguments + ProcessInfo.processInfo.arguments
        let found = folders.lazy.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path + "/sallyport" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        return Program(path: found ?? "/nonexistent/sallyport")
    }()

    /// Nil when it is not installed.
    init?(installed name: String) {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        // Servers are not on every user's path.
        let places = (path + ":/usr/sbin").split(separator: ":").map { "\($0)/\(name)" }
        guard let path = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else { return nil }
        self.path = path
    }

    private init(path: String) {
        self.path = path
    }

    func start(_ arguments: [String], input: String = "", environment: [String: String] = [:]) async throws -> RunningProgram {
        try await onThread { [path] in try RunningProgram(path, arguments, input: input, environment: environment) }
    }

    /// Runs it to its end, which must come within twenty seconds.
    @discardableResult
    func run(_ arguments: [String], input: String = "", environment: [String: String] = [:]) async throws -> Finished {
        try await start(arguments, input: input, environment: environment).end()
    }
}

final class RunningProgram: Sendable {
    private let folder: TemporaryFolder
    private let process: ChildProcess

    fileprivate init(_ path: String, _ arguments: [String], input: String, environment: [String: String]) throws {
        folder = try TemporaryFolder()
        let inherited = ProcessInfo.processInfo.environment
        let variables = ["PATH": inherited["PATH"] ?? "/usr/bin:/bin", "HOME": folder.path, "SWIFT_BACKTRACE": "enable=no"]
            .merging(environment) { $1 }
        let input = try FileHandle(forReadingFrom: URL(fileURLWithPath: try folder.file("in", input)))
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: try folder.file("out", "")))
        let errors = try FileHandle(forWritingTo: URL(fileURLWithPath: try folder.file("err", "")))
        process = try ChildProcess(
            path, arguments, environment: variables, input: input.fileDescriptor, output: output.fileDescriptor,
            errors: errors.fileDescriptor)
        for handle in [input, output, errors] { try handle.close() }
    }

    deinit {
        process.signal(SIGKILL)
    }

    var output: String { folder.text(of: "out") }
    var errors: String { folder.text(of: "err") }

    func signal(_ signal: Int32) {
        process.signal(signal)
    }

    /// Waits for the end; after a minute it is made to end, and the status tells.
    func end() async throws -> Finished {
        let isOver = try await eventually(seconds: 60) { self.hasEnded }
        if !isOver { signal(SIGKILL) }
        _ = try await eventually(seconds: 60) { self.hasEnded }
        return Finished(status: try #require(process.ending, "the program does not end"), output: output, errors: errors)
    }

    var processID: Int32 { process.id }

    /// 0 when it has ended.
    var residentBytes: Int {
        let text = (try? String(contentsOfFile: "/proc/\(process.id)/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(getpagesize())
    }

    /// What it has taken so far, in the kernel too (proc(5): fields 14 and 15, behind the name in parentheses).
    var processorSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(process.id)/stat", encoding: .utf8)) ?? ""
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        let ticks = fields.count > 13 ? (Double(fields[12]) ?? 0) + (Double(fields[13]) ?? 0) : 0
        return ticks / Double(sysconf(CInt(_SC_CLK_TCK)))
    }

    var hasEnded: Bool { process.hasEnded }

    /// The port in the log line that says that RADIUS answers, once the last listener is up too and signals are minded.
    func radiusEndpoint() async throws -> UDPEndpoint {
        _ = try await eventually(seconds: 20) { self.port != nil || self.hasEnded }
        try #require(port != nil, "\(errors)")
        return UDPEndpoint(address: NetworkAddress(v4: 0x7F00_0001), port: try #require(port))
    }

    private var port: UInt16? { port(behind: "RADIUS answers on udp 127.0.0.1:") }

    /// The port in the log line with this mark.
    func port(behind mark: String) -> UInt16? {
        // The last line may be half written.
        let lines = errors.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        guard let line = lines.first(where: { $0.contains(mark) }), let range = line.range(of: mark) else { return nil }
        return UInt16(line[range.upperBound...].prefix { $0.isNumber })
    }
}

final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
}

/// A node as a process of its own.
struct NodeProcess: Sendable {
    let running: RunningProgram
    let folder: TemporaryFolder

    static let loopback = [
        "--radius-listen", "127.0.0.1:0", "--radius-accounting", "127.0.0.1:0", "--web-health", "127.0.0.1:0", "--web-metrics",
        "127.0.0.1:0",
    ]

    static func start(in folder: TemporaryFolder, _ more: [String] = []) async throws -> NodeProcess {
        let running = try await Program.sallyport.start(["serve", "--data-dir", folder.path] + loopback + more)
        return NodeProcess(running: running, folder: folder)
    }

    func endpoint() async throws -> UDPEndpoint { try await running.radiusEndpoint() }

    /// A command of its administrator.
    func command(_ arguments: String..., input: String = "") async throws -> Finished {
        try await Program.sallyport.run(arguments + ["--data-dir", folder.path], input: input)
    }
}

/// Whether a foreign program is here; `SALLYPORT_REQUIRE` turns its absence into a failure.
enum Foreign {
    static func isHere(_ names: String...) -> Bool {
        let required = (ProcessInfo.processInfo.environment["SALLYPORT_REQUIRE"] ?? "").split(separator: ",")
        return names.allSatisfy { Program(installed: $0) != nil || required.contains(Substring($0)) }
    }
}
