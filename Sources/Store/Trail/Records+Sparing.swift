// SPDX-License-Identifier: Apache-2.0
// Where space is low, what nobody waits for is not written: refusals and accounting must not take the room of accepts.

internal import LoginEngine
internal import Synchronization

extension Records {
    /// Whether the events of refusals that are answered already are only counted, and accounting waits for better days.
    package var sparesSpace: Bool {
        get { isSparing.load(ordering: .relaxed) }
        set { isSparing.store(newValue, ordering: .relaxed) }
    }

    /// Refusals that were counted and not written, since it was last asked.
    package func takeSparedRejects() -> Int { spared.exchange(0, ordering: .relaxed) }

    package var sparedRejects: Int { spared.load(ordering: .relaxed) }

    func isSpared(_ event: Event) -> Bool {
        guard isSparing.load(ordering: .relaxed) else { return false }
        switch event.kind {
        case .loginRejected: spared.add(1, ordering: .relaxed)
        case .loginsRejected: spared.add(event["count"].flatMap { Int($0) } ?? 1, ordering: .relaxed)
        default: return false
        }
        return true
    }
}
