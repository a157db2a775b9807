// SPDX-License-Identifier: Apache-2.0
// Proving that nobody edited the trail or put back an old one; and what that takes outside of the machine: anchors and the key.

internal import Dispatch
internal import LoginEngine
package import Store

/// Walks the whole chain.
package struct VerifyTrail: AdminOperation {
    package static let verb = "audit.verify"
    /// Lines that were kept elsewhere, each with an anchor in it.
    package var anchors: [Line]?
    /// A key whose signature counts besides the trail's own.
    package var key: String?

    package struct Line: Codable, Sendable {
        /// In its file, from 1.
        package var number: Int
        package var text: String

        package init(number: Int, text: String) {
            self.number = number
            self.text = text
        }
    }

    package init(anchors: [Line]? = nil, key: String? = nil) {
        self.anchors = anchors
        self.key = key
    }

    package struct Answer: Codable, Sendable {
        package var isIntact: Bool
        package var events: Int
        /// Whose personal fields were erased; the chain holds them to that.
        package var erased: Int
        package var findings: [Finding]
        /// Events that retention removed before the first one.
        package var removed: Int
        /// That were compared and agree.
        package var anchors: Int
        /// Of those, the ones that were given; the others are the node's own.
        package var givenAnchors: Int
        /// The newest of those that were given, else of those that the node keeps itself.
        package var lastAnchor: AnchorView?
        /// Events behind it.
        package var unanchored: Int
        /// Lines that hold no anchor, or one that its key did not sign.
        package var unreadableLines: [Int]

        package struct Finding: Codable, Sendable {
            package var sequence: Int64
            package var kind: String
            package var text: String
        }
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let records = operations.records
        var placed: [PlacedAnchor] = []
        var unreadable: [Int] = []
        for line in anchors ?? [] {
            if let anchor = Anchor(in: line.text) {
                placed.append(PlacedAnchor(anchor, line: line.number))
            } else {
                unreadable.append(line.number)
            }
        }
        let keys = try key.map { [try Valid.trailKey($0)] }
        let (given, found) = (placed, unreadable)
        // Reading every event takes minutes and blocks: not on a thread that logins need.
        let report: Result<ChainReport, StoreError> = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async {
                continuation.resume(returning: Result { () throws(StoreError) in try records.verifyChain(anchors: given, keys: keys) })
            }
        }
        let chain = try report.get()
        return Answer(
            isIntact: chain.isIntact, events: Int(chain.events), erased: Int(chain.erased),
            findings: chain.findings.map { Answer.Finding(sequence: $0.seq, kind: $0.kind.rawValue, text: Self.text($0)) },
            removed: Int(chain.base), anchors: chain.anchors, givenAnchors: chain.anchorsElsewhere,
            lastAnchor: chain.lastAnchor.map { AnchorView($0) },
            unanchored: Int(chain.unanchored), unreadableLines: found)
    }

    private static func text(_ finding: ChainFinding) -> String {
        finding.lines.count == 1 ? finding.text : "to \(finding.lines.upperBound): \(finding.text)"
    }
}

package struct AnchorView: Codable, Sendable, Equatable {
    package var sequence: Int64
    package var at: Instant
    /// The signed line, to be kept elsewhere.
    package var line: String

    package init(_ anchor: Anchor) {
        sequence = anchor.seq
        at = Instant(anchor.at)
        line = anchor.text.line
    }
}

/// Signs the trail's end as it is.
package struct AnchorTrail: AdminOperation {
    package static let verb = "audit.anchor"

    package init() {}

    package typealias Answer = AnchorView

    package func perform(in operations: Operations, by actor: Actor) async throws -> AnchorView {
        let records = operations.records
        if let anchor = try await records.anchor(at: operations.now()) { return AnchorView(anchor) }
        if let anchor = try records.newestAnchor() { return AnchorView(anchor) }
        throw Refusal(.missing, "There is nothing to anchor: the trail is empty.", remedy: "Start the node, or make a change, first.")
    }
}

/// What anchors and exports are checked with elsewhere.
package struct ShowTrailKey: AdminOperation {
    package static let verb = "audit.key"

    package init() {}

    package struct Answer: Codable, Sendable {
        package var key: String
        package var chain: String
        /// That signed before.
        package var earlier: [String]
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let key = try operations.records.trailKey()
        return Answer(key: key.current, chain: key.chain, earlier: Array(key.known.dropFirst()))
    }
}

extension Valid {
    /// 32 bytes in base64url without padding, as `audit key` prints them.
    static func trailKey(_ text: String) throws(Refusal) -> String {
        let key = trimmed(text)
        guard key.utf8.count == 43,
            key.utf8.allSatisfy({ Character(UnicodeScalar($0)).isLetter || (48...57).contains($0) || $0 == 45 || $0 == 95 })
        else {
            throw Refusal(
                .invalid, "This is not a key of a trail.", remedy: "`sallyport audit key` prints it: 43 letters and digits.", place: "key")
        }
        return key
    }
}
