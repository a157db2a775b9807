// SPDX-License-Identifier: Apache-2.0
// What the story of a login says of grants.

internal import Foundation
internal import LoginEngine

/// What an event says of grants: `12 bypass`, `11 code: expired; 12 bypass: not for this client`.
enum GrantSentences {
    static func lines(_ event: Event) -> [String] {
        let why = event.subject["grant-reason"].map { " (\($0))" } ?? ""
        if let label = event["grant"], event.kind == .loginAccepted {
            let (id, kind) = parts(label)
            return [
                kind == "code"
                    ? "The temporary code of grant \(id) was right\(why); one of its uses is gone."
                    : "Grant \(id) stood in for the second factor\(why); one of its uses is gone."
            ]
        }
        guard let closed = event["grants-closed"] else { return [] }
        return closed.split(separator: ";").map { entry in
            let halves = entry.split(separator: ":", maxSplits: 1).map { String($0.trimmingPrefix { $0 == " " }) }
            let (id, kind) = parts(halves.first ?? "?")
            return "Grant \(id), a \(kind == "code" ? "temporary code" : "bypass"), opened nothing: \(halves.last ?? "?")."
        }
    }

    private static func parts(_ label: String) -> (id: String, kind: String) {
        let parts = label.split(separator: " ", maxSplits: 1).map(String.init)
        return (parts.first ?? "?", parts.last ?? "?")
    }
}
