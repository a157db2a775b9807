// SPDX-License-Identifier: Apache-2.0
// Rejects wait for their moment: an entry in a list and a deadline for each group, never a thread.

internal import Synchronization

extension Logins {
    /// Who is held for a phone proved a password before, and hears at once. Everybody else leaves with his group.
    func keepBack(_ reject: LoginAnswer, from waiters: [OpenLogin.Waiter], at client: Client, by rule: RejectRelease) {
        if waiters.contains(where: \.isHeld) { deliver(reject, to: waiters.filter(\.isHeld)) }
        let decided = now().uptime
        let step = rule.step(at: client, under: rulebook.policies)
        for waiter in waiters where !waiter.isHeld {
            let cell = rule.cell(arrived: waiter.arrived, decided: decided, step: step)
            let kept = KeptRejects.Reject(arrived: waiter.arrived, waiter: waiter.id, answer: reject, completion: waiter.completion)
            switch keptRejects.withLock({ $0.add(kept, to: cell) }) {
            case .first:
                var random = SharedRandom(source: self)
                deadlines.schedule(at: rule.departure(of: cell, random: &random)) { [self] _ in release(cell) }
            case .another:
                break
            case .full:
                waiter.completion(.none(.overloaded))
            }
        }
    }

    private func release(_ cell: Int64) {
        for reject in keptRejects.withLock({ $0.take(cell) }) { reject.completion(reject.answer) }
    }

    /// Rejects that wait for their moment, for metrics.
    package var keptRejectCount: Int { keptRejects.withLock { $0.count } }
}
