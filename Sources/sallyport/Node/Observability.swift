// SPDX-License-Identifier: Apache-2.0
// Logs to standard error and metrics to a registry, set up once per process.

import CoreMetrics
import Foundation
import Glibc
import Logging
import LoginEngine

enum Observability {
    /// Call once, before the first logger or metric is made. The registry is what `/metrics` renders.
    static func start(level: Logger.Level, format: Settings.LogFormat, metrics: PrometheusRegistry) {
        // A log that nobody reads any more is an error of `write`, not the end of the node.
        signal(SIGPIPE, SIG_IGN)
        let output = LogOutput.standardError
        let style = LogStyle(format: format, environment: ProcessInfo.processInfo.environment, terminal: isatty(STDERR_FILENO) == 1)
        output.describe { LineLogHandler.lossLine($0, style) }
        // Whichever way the process ends in order.
        atexit { Observability.flush() }
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, level: level, style: style, output: output)
        }
        MetricsSystem.bootstrap(metrics)
    }

    /// Waits until what was logged is written; not for long, because nobody may be reading.
    static func flush() {
        LogOutput.standardError.flush()
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
        let line = Self.line(event.level, label, event.message.description, all, at: now())
        output.write(line: line.bytes(style))
    }

    /// Says how much of the log is missing at this place.
    static func lossLine(_ count: Int, _ style: LogStyle) -> [UInt8] {
        let words = count == 1 ? "1 log line was dropped" : "\(count) log lines were dropped"
        let message = "\(words): nobody read the log fast enough"
        return line(.warning, "sallyport.log", message, ["dropped": "\(count)"], at: wallClock()).bytes(style)
    }

    private static func line(
        _ level: Logger.Level, _ label: String, _ message: String, _ metadata: Logger.Metadata, at time: Timestamp
    ) -> LogLine {
        LogLine(
            seconds: time.seconds, milliseconds: Int((time.microseconds - time.seconds * 1_000_000) / 1_000), level: level, label: label,
            message: message, metadata: metadata)
    }

    private static let wallClock: @Sendable () -> Timestamp = { NodeClock.now().wall }
}

extension LogLine {
    fileprivate func bytes(_ style: LogStyle) -> [UInt8] {
        switch style {
        case .text(let coloured): text(coloured: coloured)
        case .json: json
        }
    }
}
