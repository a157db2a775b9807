// SPDX-License-Identifier: Apache-2.0
// Compares the trail, line by line as it is read, with the anchors that were kept elsewhere.

internal import LoginEngine

/// An anchor and the place that it was read from.
package struct PlacedAnchor: Sendable {
    /// `line 7 of the anchors`; nil for those in the database.
    package var line: Int?
    package var anchor: Anchor

    package init(_ anchor: Anchor, line: Int? = nil) {
        self.anchor = anchor
        self.line = line
    }
}

struct AnchorCheck {
    private let sorted: [PlacedAnchor]
    private var next = 0
    /// The last line that an anchor vouches for.
    private var vouched: Int64 = 0
    private var mismatches: [PlacedAnchor] = []
    private var goodBeforeFirst: Int64 = 0
    private(set) var checked = 0
    /// Of those, kept elsewhere.
    private(set) var checkedElsewhere = 0
    /// Older than where the trail begins.
    private(set) var before = 0
    /// About the anchors themselves.
    private(set) var findings: [ChainFinding] = []

    /// - Parameter keys: whose signatures count.
    init(_ anchors: [PlacedAnchor], chain: String, keys: [String]) {
        var usable: [PlacedAnchor] = []
        var strangers: [String: (count: Int, first: PlacedAnchor)] = [:]
        var others: [String: (count: Int, last: PlacedAnchor)] = [:]
        for placed in anchors {
            let anchor = placed.anchor
            if !keys.contains(anchor.text.key) {
                strangers[anchor.text.key] = ((strangers[anchor.text.key]?.count ?? 0) + 1, strangers[anchor.text.key]?.first ?? placed)
            } else if anchor.chain != chain {
                others[anchor.chain] = ((others[anchor.chain]?.count ?? 0) + 1, placed)
            } else {
                usable.append(placed)
            }
        }
        for (key, found) in strangers.sorted(by: { $0.key < $1.key }) {
            findings.append(
                ChainFinding(
                    kind: .anchor, lines: found.first.anchor.seq...found.first.anchor.seq,
                    text: "\(found.count) anchors\(Self.place(found.first)) are signed by the key \(key), which is not this trail's"))
        }
        for (other, found) in others.sorted(by: { $0.key < $1.key }) {
            findings.append(
                ChainFinding(
                    kind: .chain, lines: found.last.anchor.seq...found.last.anchor.seq,
                    text:
                        "the trail \(other) is missing: it was anchored \(found.count) times, last \(found.last.anchor.at.iso8601); this is \(chain)"
                ))
        }
        sorted = usable.sorted { $0.anchor.seq < $1.anchor.seq }
    }

    private static func place(_ placed: PlacedAnchor) -> String { placed.line.map { ", the first in line \($0)," } ?? "" }

    /// Of those kept elsewhere, where there are any.
    var newest: Anchor? { (sorted.last { $0.line != nil } ?? sorted.last)?.anchor }

    /// Anchors of lines that retention removed say nothing any more; that of the last of them must name it.
    mutating func begin(after base: EventChain.Head) {
        while next < sorted.count, sorted[next].anchor.seq < base.seq {
            before += 1
            next += 1
        }
        see(base.seq, hash: base.hash)
        vouched = max(vouched, base.seq)
    }

    /// - Parameter hash: computed from the lines themselves.
    mutating func see(_ seq: Int64, hash: [UInt8]) {
        while next < sorted.count, sorted[next].anchor.seq <= seq {
            let placed = sorted[next]
            next += 1
            if placed.anchor.seq == seq, placed.anchor.hash == hash {
                checked += 1
                if placed.line != nil { checkedElsewhere += 1 }
                vouched = seq
            } else {
                if mismatches.isEmpty { goodBeforeFirst = vouched }
                mismatches.append(placed)
            }
        }
    }

    /// - Parameter last: the last line that there is.
    mutating func end(last: Int64) -> [ChainFinding] {
        if let first = mismatches.first {
            let anchor = first.anchor
            let more = mismatches.count == 1 ? "" : "; so say \(mismatches.count - 1) later anchors"
            findings.append(
                ChainFinding(
                    kind: .rewritten, lines: min(goodBeforeFirst + 1, anchor.seq)...anchor.seq,
                    text:
                        "line \(anchor.seq) is not the one that was anchored \(anchor.at.iso8601): written anew, or put back and gone on\(more)"
                ))
        }
        if next < sorted.count, let newest = sorted.last?.anchor {
            findings.append(
                ChainFinding(
                    kind: .restored, lines: min(last + 1, newest.seq)...newest.seq,
                    text:
                        "anchored until \(newest.at.iso8601), and not there: an older copy of the database was put back, or the end was cut"
                ))
        }
        return findings
    }
}
