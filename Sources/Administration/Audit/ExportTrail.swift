// SPDX-License-Identifier: Apache-2.0
// Events as a file, a piece at a time, with a signed line at its end. The node renders every byte of it, and signs only what it rendered.

internal import Foundation
internal import LoginEngine
internal import Store

package struct ExportTrail: AdminOperation {
    package static let verb = "audit.export"
    /// Which events; its limit is ours to choose.
    package var events: ListEvents
    package var format: ExportFormat
    /// From the answer before; nil for the first piece.
    package var step: String?

    private static let eventsOfAPiece = 1000
    private static let stepKind = "sallyport-export-step"

    package init(events: ListEvents, format: ExportFormat, step: String? = nil) {
        self.events = events
        self.format = format
        self.step = step
    }

    package struct Answer: Codable, Sendable {
        /// Whole lines.
        package var text: String
        /// Give it back for the next piece; nil after the last one.
        package var step: String?
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let records = operations.records
        var state = try State(self, records, now: operations.now())
        var request = events
        request.limit = Self.eventsOfAPiece
        request.before = state.before ?? events.before
        let page = try await request.perform(in: operations, by: actor)
        var text = step == nil ? format.header : ""
        for event in page.events { text += try format.line(event) }
        state.take(page, text)
        guard let next = page.next else { return Answer(text: text + format.ending(state.manifest(records), at: state.at)) }
        return Answer(text: text, step: state.step(before: next, Self.stepKind, records))
    }

    /// What a reader of the file has to know, in words that stand in its last line.
    private var filter: String {
        var words: [String] = []
        if let user = events.user { words.append("user \(user)") }
        if let client = events.client { words.append("client \(client)") }
        if let since = events.since { words.append("since \(since)") }
        if let until = events.until { words.append("until \(until)") }
        if !events.kinds.isEmpty { words.append("kinds \(events.kinds.sorted().joined(separator: " "))") }
        return words.isEmpty ? "all" : words.joined(separator: ", ")
    }

    /// How far it is; it travels to the command and back under a signature, so that the node keeps nothing.
    private struct State {
        var before: Int64?
        var count = 0
        var newest: Int64 = 0
        var oldest: Int64 = 0
        var hash: ExportHash
        var head: Int64
        var at: Instant
        var format: ExportFormat
        var filter: String

        init(_ export: ExportTrail, _ records: Records, now: Timestamp) throws {
            (format, filter) = (export.format, export.filter)
            guard let step = export.step else {
                (hash, head, at) = (ExportHash(), try records.trailExtent().head, Instant(now))
                return
            }
            guard let text = SignedText(in: step, kind: ExportTrail.stepKind), text.key == (try records.trailKey().current),
                text["filter"] == filter, text["format"] == format.rawValue, let before = text.number("before"),
                let count = text.number("events"), let newest = text.number("newest"), let oldest = text.number("oldest"),
                let head = text.number("head"), let hash = text.hash("hash"), let at = text["at"].flatMap({ Instant($0) })
            else { throw Refusal(.invalid, "The export cannot be gone on with.", remedy: "Begin it again.") }
            self.before = before
            self.count = Int(count)
            (self.newest, self.oldest, self.head, self.at) = (newest, oldest, head, at)
            self.hash = ExportHash(hash)
        }

        mutating func take(_ page: ListEvents.Answer, _ text: String) {
            hash.take(Array(text.utf8))
            if let first = page.events.first?.sequence, newest == 0 { newest = first }
            if let last = page.events.last?.sequence { oldest = last }
            count += page.events.count
        }

        func step(before: Int64, _ kind: String, _ records: Records) -> String {
            records.signed(
                kind,
                [
                    "before": "\(before)", "events": "\(count)", "newest": "\(newest)", "oldest": "\(oldest)", "head": "\(head)",
                    "at": "\(at)", "format": format.rawValue, "filter": filter, "hash": hash.text,
                ]
            ).line
        }

        func manifest(_ records: Records) -> SignedText {
            records.signed(
                ExportManifest.kind,
                [
                    "chain": (try? records.trailKey().chain) ?? "", "events": "\(count)", "newest": "\(newest)", "oldest": "\(oldest)",
                    "head": "\(head)", "at": "\(at)", "format": format.rawValue, "filter": filter, "hash": hash.text,
                ])
        }
    }
}

/// The last line of an exported file: what is in it, and the signature.
package struct ExportManifest: Codable, Sendable {
    package static let kind = "sallyport-export"

    package var chain: String
    package var events: Int
    package var newest: Int64
    package var oldest: Int64
    package var at: Instant
    package var format: String
    package var filter: String
    package var hash: String
    package var key: String

    /// Nil when the line holds none, or one that its key did not sign.
    package init?(in line: String) {
        guard let text = SignedText(in: line, kind: Self.kind), let chain = text["chain"], let events = text.number("events"),
            let newest = text.number("newest"), let oldest = text.number("oldest"), let at = text["at"].flatMap({ Instant($0) }),
            let format = text["format"], let filter = text["filter"], let hash = text["hash"]
        else { return nil }
        (self.chain, self.events, self.newest, self.oldest) = (chain, Int(events), newest, oldest)
        (self.at, self.format, self.filter, self.hash, key) = (at, format, filter, hash, text.key)
    }
}

package enum ExportFormat: String, Codable, Sendable, CaseIterable {
    case json, csv

    var header: String { self == .csv ? EventCSV.header + "\n" : "" }

    func line(_ event: EventView) throws -> String {
        switch self {
        case .csv: return EventCSV.line(event) + "\n"
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(event), as: UTF8.self) + "\n"
        }
    }

    /// A signed line has no character that either format would escape.
    func ending(_ manifest: SignedText, at: Instant) -> String {
        switch self {
        case .json: "{\"at\":\"\(at)\",\"kind\":\"export-signature\",\"text\":\"\(manifest.line)\"}\n"
        case .csv: ",\(at),export-signature,,,,,,,,\(manifest.line),,\n"
        }
    }
}

/// RFC 4180, and safe to open in a spreadsheet.
package enum EventCSV {
    package static let header = "sequence,at,kind,user,client,source,station,reason,actor,login,text,details,erased"

    static func line(_ event: EventView) -> String {
        let details = event.details.map { "\($0.name)=\($0.value)" }.joined(separator: "; ")
        let fields = [
            "\(event.sequence)", event.at.description, event.kind, event.user, event.client, event.source, event.station, event.reason,
            event.actor, event.login, event.text, details, event.isErased ? "erased" : "",
        ]
        return fields.map { quoted($0 ?? "") }.joined(separator: ",")
    }

    /// A name that begins like a formula would be run by the spreadsheet of whoever opens the file.
    package static func quoted(_ text: String) -> String {
        let isFormula = text.unicodeScalars.first.map { "=+-@\t\r\n＝＋－＠".unicodeScalars.contains($0) } ?? false
        let safe = isFormula ? "'" + text : text
        guard safe.unicodeScalars.contains(where: { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }) else { return safe }
        return "\"" + safe.replacing("\"", with: "\"\"") + "\""
    }
}
