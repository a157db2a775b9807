// SPDX-License-Identifier: Apache-2.0
// One thing that a node must have and lacks.

package struct ReadinessProblem: Sendable, Equatable {
    /// One word for a machine: `database`, `key`, `disk`.
    package var part: String
    /// What is wrong and what to do, in words; nothing secret.
    package var reason: String

    package init(part: String, reason: String) {
        self.part = part
        self.reason = reason
    }
}
