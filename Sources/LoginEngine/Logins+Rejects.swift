// SPDX-License-Identifier: Apache-2.0
// Rejects, and questions that names nobody has get too, wait for their moment: an entry in a list and a deadline for each group, never a thread.

internal import Synchronization

extension Logins {
    /// Who is held for a phone proved a password before, and hears at once. Everybody else leaves with his group.
    func keepBack(_ answer: LoginAnswer, from waiters: [OpenLogin.Waiter], at client: Client, by rule: RejectRelease) {
        if waiters.contains(where: \.isHeld) { deliver(answer, to: waiters.filter(\.isHeld)) }
        let decided = now().uptime
        let step = rule.step(at: client, under: rulebook.policies)
        for waiter in waiters where !waiter.isHeld {
            let cell = rule.cell(arrived: waiter.arrived, decided: decided, step: step)
            let kept = KeptAnswers.Answer(arrived: waiter.arrived, waiter: waiter.id, answer: answer, completion: waiter.completion)
            switch keptAnswers.withLock({ $0.add(kept, to: cell) }) {
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
        for kept in keptAnswers.withLock({ $0.take(cell) }) { kept.completion(kept.answer) }
    }

    /// Answers that wait for their moment, for metrics.
    package var keptAnswerCount: Int { keptAnswers.withLock { $0.count } }
}
