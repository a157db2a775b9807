// SPDX-License-Identifier: Apache-2.0
// Anchors: signed ends of the trail that are kept elsewhere, so that a trail that was put back or written anew is told from the true one.

internal import Foundation
package import LoginEngine
internal import Synchronization

package struct Anchor: Sendable, Equatable {
    package static let kind = "sallyport-anchor"

    /// Which trail it is of.
    package var chain: String
    package var seq: Int64
    package var hash: [UInt8]
    /// To the second.
    package var at: Timestamp
    package var text: SignedText

    init(_ head: EventChain.Head, at now: Timestamp, signer: TrailSigner) {
        at = Timestamp(seconds: now.seconds)
        text = SignedText(
            Self.kind,
            [
                "chain": signer.chain, "seq": "\(head.seq)", "hash": SignedText.hexadecimal(head.hash), "at": at.iso8601,
            ], signer: signer)
        chain = signer.chain
        seq = head.seq
        hash = head.hash
    }

    /// Nil when the line holds no anchor, or one that its key did not sign.
    package init?(in line: some StringProtocol) {
        guard let text = SignedText(in: line, kind: Self.kind), let chain = text["chain"], let seq = text.number("seq"), seq > 0,
            let hash = text.hash("hash"), let time = text["at"].flatMap({ try? Date($0, strategy: .iso8601) })
        else { return nil }
        self.chain = chain
        self.seq = seq
        self.hash = hash
        at = Timestamp(seconds: Int64(time.timeIntervalSince1970.rounded()))
        self.text = text
    }
}

/// What an administrator keeps elsewhere to check anchors and exports with.
package struct TrailKey: Sendable, Equatable {
    package var chain: String
    /// Signs now.
    package var current: String
    /// Newest first, the current one among them.
    package var known: [String]
}

extension Records {
    /// With the key in use: a new master key brings a new one, and the earlier ones stay known.
    private var signer: TrailSigner { TrailSigner(key: ring.withLock { $0.current }, chain: trailName) }

    package func trailKey() throws(StoreError) -> TrailKey {
        let signer = signer
        let known = try read([Statement(.anchorKeys)]) { results throws(DatabaseError) in
            var keys: [String] = []
            for row in results[0] { keys.append(try row.text(0)) }
            return keys
        }
        return TrailKey(
            chain: signer.chain, current: signer.publicKey, known: [signer.publicKey] + known.filter { $0 != signer.publicKey })
    }

    /// A line that the trail's key vouches for.
    package func signed(_ kind: String, _ fields: KeyValuePairs<String, String>) -> SignedText {
        SignedText(kind, fields, signer: signer)
    }

    /// Signs the trail's end and keeps it. Nothing happens where nothing was written since the last one.
    package func anchor(at now: Timestamp) async throws(StoreError) -> Anchor? {
        let head = chain.head
        guard head.seq > 0, try newestAnchor()?.seq != head.seq else { return nil }
        let signer = signer
        let anchor = Anchor(head, at: now, signer: signer)
        let old = now - .minutes(2 * 24 * 60)
        try await change(
            Unit([
                Statement(.insertAnchorKey, [.text(signer.publicKey), .integer(now.microseconds)]),
                Statement(.insertAnchor, [.integer(anchor.seq), .integer(anchor.at.microseconds), .text(anchor.text.line)]),
                Statement(.thinAnchors, [.integer(old.microseconds)]),
                Statement(.dropAnchorsBeforeBase),
            ])
        ) { _ in [] }
        return anchor
    }

    package func newestAnchor() throws(StoreError) -> Anchor? {
        try read([Statement(.newestAnchor)]) { results throws(DatabaseError) in
            try results[0].first.flatMap { row throws(DatabaseError) in Anchor(in: try row.text(0)) }
        }
    }

    /// Those that the database holds; an edited line among them is none.
    func keptAnchors() throws(DatabaseError) -> [Anchor] {
        var anchors: [Anchor] = []
        for row in try database.read([Statement(.anchors)])[0] {
            if let anchor = Anchor(in: try row.text(0)) { anchors.append(anchor) }
        }
        return anchors
    }

    static func keep(_ signer: TrailSigner, in database: any SQLDatabase, at now: Timestamp) throws(DatabaseError) {
        guard try database.read([Statement(.findAnchorKey, [.text(signer.publicKey)])])[0].isEmpty else { return }
        let statement = Statement(.insertAnchorKey, [.text(signer.publicKey), .integer(now.microseconds)])
        if case .failed(let error) = try database.write([Unit([statement])], closing: { _ in [] })[0] { throw error }
    }
}

extension SQL {
    fileprivate static let anchorKeys = SQL("SELECT public FROM anchor_key ORDER BY since DESC")
    fileprivate static let findAnchorKey = SQL("SELECT 1 FROM anchor_key WHERE public = ?1")
    fileprivate static let insertAnchorKey = SQL("INSERT INTO anchor_key (public, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
    fileprivate static let insertAnchor = SQL("INSERT INTO anchor (seq, at, line) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
    fileprivate static let anchors = SQL("SELECT line FROM anchor ORDER BY seq")
    fileprivate static let newestAnchor = SQL("SELECT line FROM anchor ORDER BY seq DESC LIMIT 1")
    /// Of what is older than ?1, the last one of each day stays.
    fileprivate static let thinAnchors = SQL(
        "DELETE FROM anchor WHERE at < ?1 AND seq NOT IN (SELECT max(seq) FROM anchor GROUP BY at / 86400000000)")
    fileprivate static let dropAnchorsBeforeBase = SQL("DELETE FROM anchor WHERE seq < (SELECT seq FROM chain_base WHERE id = 1)")
}
