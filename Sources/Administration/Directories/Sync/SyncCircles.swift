// SPDX-License-Identifier: Apache-2.0
// Groups that hold each other in a circle, which a directory may have and this server never has. Pure.

enum SyncCircles {
    /// Sorts the members, each once. Groups of a circle hold the same people, so each gets all members of all of them, and the links between
    /// them go.
    ///
    /// - Parameters:
    ///   - members: of each group, as numbers.
    ///   - inner: which groups each group holds.
    static func open(_ members: inout [[Int]], _ inner: inout [Set<Int>], tell: ([Int]) -> Void) {
        for circle in circles(inner) {
            tell(circle)
            let own = Set(circle)
            var people: Set<Int> = []
            var outside: Set<Int> = []
            for group in circle {
                people.formUnion(members[group])
                outside.formUnion(inner[group].subtracting(own))
            }
            for group in circle {
                members[group] = Array(people)
                inner[group] = outside
            }
        }
        for group in members.indices {
            var sorted = members[group].sorted()
            var kept = 0
            for value in sorted where kept == 0 || sorted[kept - 1] != value {
                sorted[kept] = value
                kept += 1
            }
            sorted.removeLast(sorted.count - kept)
            members[group] = sorted
        }
    }

    /// Strongly connected components of more than one group (Tarjan 1972), without recursion: a chain may be as long as there are groups.
    private static func circles(_ inner: [Set<Int>]) -> [[Int]] {
        var order: [Int] = Array(repeating: -1, count: inner.count)
        var low = order
        var isOpen = Array(repeating: false, count: inner.count)
        var stack: [Int] = []
        var found: [[Int]] = []
        var next = 0
        for root in inner.indices where order[root] < 0 {
            var path: [(group: Int, rest: [Int])] = []
            func enter(_ group: Int) {
                order[group] = next
                low[group] = next
                next += 1
                stack.append(group)
                isOpen[group] = true
                path.append((group, Array(inner[group])))
            }
            enter(root)
            while let (group, _) = path.last {
                if let member = path[path.count - 1].rest.popLast() {
                    if order[member] < 0 {
                        enter(member)
                    } else if isOpen[member] {
                        low[group] = min(low[group], order[member])
                    }
                    continue
                }
                path.removeLast()
                if let (outer, _) = path.last { low[outer] = min(low[outer], low[group]) }
                guard low[group] == order[group] else { continue }
                var circle: [Int] = []
                while let member = stack.popLast() {
                    isOpen[member] = false
                    circle.append(member)
                    if member == group { break }
                }
                if circle.count > 1 { found.append(circle.sorted()) }
            }
        }
        return found
    }
}
