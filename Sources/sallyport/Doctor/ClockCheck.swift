// SPDX-License-Identifier: Apache-2.0
// The clock against a time server, if one is known and answers.

import Administration
import Dispatch
import Foundation
import LoginEngine
import Synchronization

enum ClockCheck {
    /// From here on a service that keeps the clock is not doing it well.
    static let off = Timestamp.Span.seconds(1)
    /// A third of a step of a time-based code: with the token's own error, right codes are refused.
    static let wrong = Timestamp.Span.seconds(10)
    /// Name lookup and answer together.
    static let patience = DispatchTimeInterval.seconds(3)

    /// - Parameter server: as given; nil for the one that this machine is set to.
    static func findings(server: String?) async -> [Finding] {
        guard let server = server ?? TimeServers.configured() else {
            if FileManager.default.fileExists(atPath: "/run/systemd/timesync/synchronized") {
                return [Finding(.clockRight, nil, "systemd-timesyncd keeps the clock.")]
            }
            return [
                Finding(
                    .clockUnchecked, nil, "The clock was compared with none: this machine names no time server.",
                    remedy: "See that `timedatectl` says `System clock synchronized: yes`, or name a server: sallyport doctor --ntp HOST")
            ]
        }
        return findings(server: server, difference: await difference(from: server))
    }

    static func findings(server: String, difference: Timestamp.Span?) -> [Finding] {
        guard let difference else {
            return [
                Finding(
                    .clockUnchecked, server, "The clock was compared with none: the time server \(server) does not answer.",
                    remedy: "See that `timedatectl` says `System clock synchronized: yes`.")
            ]
        }
        let size = abs(difference.microseconds)
        let words = "The clock is \(size / 1_000) ms \(difference.microseconds > 0 ? "behind" : "ahead of") \(server)."
        let remedy = "Let a time service keep it: `timedatectl set-ntp true`. Codes of time-based tokens go by the clock."
        if size > wrong.microseconds { return [Finding(.clockWrong, server, words, remedy: remedy)] }
        if size > off.microseconds { return [Finding(.clockOff, server, words, remedy: remedy)] }
        return [Finding(.clockRight, server, words)]
    }

    /// What has to be added to this clock; nil without an answer.
    private static func difference(from server: String) async -> Timestamp.Span? {
        await withCheckedContinuation { continuation in
            let answer = FirstAnswer(continuation)
            // A look-up of a name cannot be called off: who asked goes on without it.
            Thread.detachNewThread { answer.give(SNTP.ask(server)) }
            Thread.detachNewThread {
                _ = DispatchSemaphore(value: 0).wait(timeout: .now() + patience)
                answer.give(nil)
            }
        }
    }

    private final class FirstAnswer: Sendable {
        private let waiting: Mutex<CheckedContinuation<Timestamp.Span?, Never>?>

        init(_ continuation: CheckedContinuation<Timestamp.Span?, Never>) {
            waiting = Mutex(continuation)
        }

        func give(_ value: Timestamp.Span?) {
            let first = waiting.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            first?.resume(returning: value)
        }
    }
}

/// Which server this machine goes by, from the files of the usual time services.
enum TimeServers {
    static let files = [
        "/etc/systemd/timesyncd.conf", "/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/ntpsec/ntp.conf", "/etc/ntp.conf",
    ]

    static func configured(_ files: [String] = files) -> String? {
        files.lazy.compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }.compactMap(first).first
    }

    /// `NTP=a b`, `FallbackNTP=a`, `server a iburst`, `pool a`.
    static func first(in text: String) -> String? {
        for line in text.split(separator: "\n") {
            let words = line.replacing("=", with: " ").split(separator: " ")
            guard words.count > 1, ["NTP", "FallbackNTP", "server", "pool"].contains(words[0]) else { continue }
            return String(words[1])
        }
        return nil
    }
}
