// SPDX-License-Identifier: Apache-2.0
// Logs to standard error and metrics to a registry, set up once per process.

import CoreMetrics
import Foundation
import Glibc
import Logging
import LoginEngine
import Synchronization

enum Observability {
    /// Call once, before the first logger or metric is made. The registry is what `/metrics` renders.
    static func start(level: Logger.Level, format: Settings.LogFormat, metrics: PrometheusRegistry) {
        // A log that nobody reads any more is an error of `write`, not the end of the node.
        signal(SIGPIPE, SIG_IGN)
        let output = LogOutput.standardError
        let style = LogStyle(format: format, environment: ProcessInfo.processInfo.environment, terminal: isatty(STDERR_FILENO) == 1)
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, level: level, style: style, output: output)
        }
        MetricsSystem.bootstrap(metrics)
    }

    /// What `/metrics` shows.
    static func page(_ metrics: PrometheusRegistry, version: String) -> String {
        metrics.render() + ProcessFigures.page(version: version)
    }
}

enum LogStyle: Sendable, Equatable {
    case text(coloured: Bool)
    case json

    init(format: Settings.LogFormat, environment: [String: String], terminal: Bool) {
        switch format {
        case .json: self = .json
        // no-color.org: set and not empty.
        case .text: self = .text(coloured: terminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb")
        }
    }
}

/// Where lines go. One lock and one write per line, so that lines never mix.
final class LogOutput: Sendable {
    static let standardError = LogOutput { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if written < 0, errno != EINTR {
                // Nobody reads (any more): a log must not stop a login.
                return
            }
        }
    }

    private let sink: @Sendable ([UInt8]) -> Void
    private let turn = Mutex(())

    init(_ sink: @escaping @Sendable ([UInt8]) -> Void) {
        self.sink = sink
    }

    func write(line: [UInt8]) {
        turn.withLock { _ in sink(line) }
    }
}

struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let style: LogStyle
    private let output: LogOutput
    private let now: @Sendable () -> Timestamp

    init(
        label: String, level: Logger.Level, style: LogStyle, output: LogOutput, metadataProvider: Logger.MetadataProvider? = nil,
        now: @escaping @Sendable () -> Timestamp = Self.wallClock
    ) {
        self.label = label
        logLevel = level
        self.style = style
        self.output = output
        self.metadataProvider = metadataProvider
        self.now = now
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error, all["error"] == nil { all["error"] = "\(error)" }
        let time = now()
        let line = LogLine(
            seconds: time.seconds, milliseconds: Int((time.microseconds - time.seconds * 1_000_000) / 1_000), level: event.level,
            label: label,
            message: event.message.description, metadata: all)
        switch style {
        case .text(let coloured): output.write(line: line.text(coloured: coloured))
        case .json: output.write(line: line.json)
        }
    }

    private static let wallClock: @Sendable () -> Timestamp = { NodeClock.now().wall }
}
