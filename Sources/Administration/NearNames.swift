// SPDX-License-Identifier: Apache-2.0
// What somebody probably meant: names a few keystrokes away from what was typed.

package enum NearNames {
    /// At most three names within a third of the typed length, nearest first.
    package static func nearest(to typed: String, among names: some Sequence<String>) -> [String] {
        let wanted = Array(typed.lowercased().prefix(64))
        guard !wanted.isEmpty else { return [] }
        let limit = max(1, min(3, wanted.count / 3))
        var found: [(distance: Int, name: String)] = []
        for name in names {
            let candidate = Array(name.lowercased().prefix(64))
            guard abs(candidate.count - wanted.count) <= limit else { continue }
            let distance = distance(wanted, candidate)
            if distance <= limit { found.append((distance, name)) }
        }
        return found.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
    }

    /// `Did you mean `alice` or `alina`?`
    package static func question(_ names: [String]) -> String {
        let quoted = names.map { "`\($0)`" }
        let list = quoted.count < 2 ? quoted.joined() : quoted.dropLast().joined(separator: ", ") + " or " + quoted[quoted.count - 1]
        return "Did you mean \(list)?"
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    static func distance(_ left: [Character], _ right: [Character]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var before: [Int] = []
        var last = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let same = left[row - 1] == right[column - 1]
                var best = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (same ? 0 : 1))
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    best = min(best, before[column - 2] + 1)
                }
                current.append(best)
            }
            before = last
            last = current
        }
        return last[right.count]
    }
}
