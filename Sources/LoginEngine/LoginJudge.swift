// SPDX-License-Identifier: Apache-2.0
// What a door calls, and with what.

/// One request with who wants the answer.
package struct Attempt: Sendable {
    package var request: LoginRequest
    /// Names the waiter for `Logins.abandon`; unique per door.
    package var waiter: UInt64
    /// Runs once, on any thread.
    package var completion: @Sendable (LoginAnswer) -> Void

    package init(request: LoginRequest, waiter: UInt64, completion: @escaping @Sendable (LoginAnswer) -> Void) {
        self.request = request
        self.waiter = waiter
        self.completion = completion
    }
}

/// What a door calls. Implemented by `Logins`.
package protocol LoginJudge: Sendable {
    /// Judges a batch. Completions of logins that need not wait run before it returns or on the writer's thread; those of rejects in
    /// groups on the thread of the deadlines.
    func attempt(_ attempts: [Attempt])
    /// The waiter no longer wants its answer; the login goes on.
    func abandon(waiter: UInt64)
}
