// SPDX-License-Identifier: Apache-2.0
// What logins are judged by, where their passwords live, and what their accepts carry.

/// All of it as one value, so that no login is judged by the new policies and answered by the old reply attributes.
package struct Rulebook: Sendable {
    package var policies: PolicyTable
    package var replies: ReplyTable
    package var limits: SessionLimits
    package var homes: HomeTable

    package init(
        policies: PolicyTable = .empty, replies: ReplyTable = .empty, limits: SessionLimits = .none, homes: HomeTable = .empty
    ) {
        self.policies = policies
        self.replies = replies
        self.limits = limits
        self.homes = homes
    }
}
