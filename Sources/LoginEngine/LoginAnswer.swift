// SPDX-License-Identifier: Apache-2.0
// What the engine answers; a door turns it into bytes.

package enum LoginAnswer: Sendable, Equatable {
    /// `proven` is what a proof that shows no password was made of; nil where the password was shown. `reply` holds the attributes that go
    /// out with it, as they stand in a packet.
    case accept(LoginID, proven: ProvenPassword? = nil, reply: [UInt8] = [])
    case challenge(LoginID, Challenge)
    /// `message` is what the user may read: the uniform sentence, or the reason where the client shows reasons.
    case reject(LoginID, message: String, refusal: ProofRefusal = .uniform)
    /// No answer may be given: it would be late, or nothing could be written. Counted by cause.
    case none(NoAnswer)
}

package struct Challenge: Sendable, Equatable {
    /// The text of the handle, at most 32 characters.
    package var handle: String
    package var prompt: String
    /// Whether what the user types may be shown while it is typed (RFC 2869 §5.10 Prompt).
    package var echo: Bool
    /// Seconds until the handle expires.
    package var lifetime: Int

    package init(handle: String, prompt: String, echo: Bool, lifetime: Int) {
        self.handle = handle
        self.prompt = prompt
        self.echo = echo
        self.lifetime = lifetime
    }
}

package enum NoAnswer: String, Sendable, Error, CaseIterable {
    /// A queue is full: the answer would come after the gateway gave up.
    case overloaded
    /// The database cannot be read or written.
    case databaseUnavailable = "database-unavailable"
    /// The directory that knows the password did not answer: a reject would look like a wrong password.
    case sourceUnreachable = "password-source-unreachable"
    /// The gateway reused the identifier for another request, or went away.
    case abandoned
}
