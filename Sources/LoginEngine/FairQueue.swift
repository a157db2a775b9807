// SPDX-License-Identifier: Apache-2.0
// What waits for a pool: first in, first out for each asker, and the askers take turns.

/// One asker who brings thousands waits for itself; whoever else comes waits for one piece of it.
package struct FairQueue<Element> {
    private struct Line {
        /// Nil where one was taken: what is done must not be kept by what still waits.
        var elements: [Element?] = []
        var head = 0

        var count: Int { elements.count - head }

        mutating func takeFirst() -> Element? {
            defer {
                head += 1
                if head > 1_024 {
                    elements.removeFirst(head)
                    head = 0
                }
            }
            return elements[head].take()
        }
    }

    private var lines: [Int64: Line] = [:]
    /// Askers with something in their line, whose turn is next first.
    private var turns: [Int64] = []
    package private(set) var count = 0

    package init() {}

    package mutating func append(_ element: Element, of asker: Int64) {
        if lines[asker] == nil { turns.append(asker) }
        lines[asker, default: Line()].elements.append(element)
        count += 1
    }

    package mutating func takeFirst() -> Element? {
        guard !turns.isEmpty else { return nil }
        let asker = turns.removeFirst()
        guard let first = lines[asker]?.takeFirst() else { return nil }
        count -= 1
        settle(asker)
        return first
    }

    /// How many come before the next one of this asker.
    package func ahead(of asker: Int64) -> Int {
        let own = lines[asker]?.count ?? 0
        return lines.reduce(own) { $1.key == asker ? $0 : $0 + min($1.value.count, own + 1) }
    }

    /// Makes room for this asker: the newest of the longest line goes, if that line would still not be shorter than the asker's.
    package mutating func giveWay(to asker: Int64) -> Element? {
        let own = lines[asker]?.count ?? 0
        guard let longest = lines.max(by: { $0.value.count < $1.value.count }), longest.value.count > own + 1 else { return nil }
        // Longer than one, so the line stays.
        guard let last = lines[longest.key]?.elements.removeLast() else { return nil }
        count -= 1
        return last
    }

    private mutating func settle(_ asker: Int64) {
        if lines[asker]?.count == 0 { lines[asker] = nil } else { turns.append(asker) }
    }
}
