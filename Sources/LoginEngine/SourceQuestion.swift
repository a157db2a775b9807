// SPDX-License-Identifier: Apache-2.0
// What a password source asks or says besides its verdict.

/// What a source asks the user, a code of its own as a rule.
package struct SourceQuestion: Sendable, Equatable {
    /// Written by somebody else: shown, never read.
    package var prompt: String
    /// Whether what the user types may be shown.
    package var echo: Bool
    package var thread: SourceThread

    package init(prompt: String, echo: Bool, thread: SourceThread) {
        self.prompt = prompt
        self.echo = echo
        self.thread = thread
    }
}

/// Where an answer to a source's question goes, and by what the source knows it again.
package struct SourceThread: Sendable, Equatable {
    package var server: String
    package var state: [UInt8]

    package init(server: String, state: [UInt8]) {
        self.server = server
        self.state = state
    }
}

/// What a source said between two packets of one login.
package enum SourceWord: Sendable, Equatable {
    case asked(SourceThread)
    /// Attributes for the accept, as they stand in a packet.
    case gave([UInt8])
}
