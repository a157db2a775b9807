// SPDX-License-Identifier: Apache-2.0
// What the user proves: typed at prompts, from lines of a pipe, or known from the demo.

import Administration
import Foundation
import LoginEngine
import OTP
import RADIUS

/// What an Access-Challenge asks.
struct Challenge: Sendable, Equatable {
    var text: String
    /// RFC 2869 §5.10; without Prompt a code is shown as it is typed.
    var isHidden: Bool

    init(text: String, isHidden: Bool) {
        (self.text, self.isHidden) = (text, isHidden)
    }

    init(_ packet: Packet) {
        text = Self.message(of: packet) ?? "The server asks for more:"
        isHidden = packet.integer(.prompt) == 0
    }

    /// Every Reply-Message joined; a server may split one (RFC 2865 §5.18).
    static func message(of packet: Packet) -> String? {
        var bytes: [UInt8] = []
        for attribute in packet.attributes where attribute.type == .replyMessage { bytes += packet.value(of: attribute) }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }
}

struct Proofs {
    enum Source {
        case typed(TypedAnswers)
        case demo(Demo)
    }

    var source: Source

    var demo: Demo? { if case .demo(let demo) = source { demo } else { nil } }

    /// - Parameter asked: by a server that has words of its own for it.
    mutating func first(_ asked: Challenge? = nil) throws -> Secret {
        switch source {
        case .typed(let typed): try typed.ask(asked?.text ?? "Password:", isHidden: true, place: "the password")
        case .demo(let demo): demo.password.secret
        }
    }

    mutating func answer(to challenge: Challenge) throws -> Secret {
        switch source {
        case .typed(let typed):
            try typed.ask(challenge.text, isHidden: challenge.isHidden, place: "an answer to \"\(SafeText.line(challenge.text))\"")
        case .demo(let demo): Secret(utf8: try demo.code(at: NodeClock.now().wall))
        }
    }

    /// Why the demo's second login in half a minute is refused.
    func noteOnReject() -> String? {
        guard demo != nil else { return nil }
        return "A code works once; the next one begins in \(30 - NodeClock.now().wall.seconds % 30) s."
    }
}

/// Prompts on a terminal; lines where standard input is a pipe.
struct TypedAnswers: Sendable {
    var terminal: Terminal

    func ask(_ prompt: String, isHidden: Bool, place: String) throws -> Secret {
        let shown = SafeText.line(prompt).trimmingCharacters(in: .whitespaces)
        if terminal.isInput, isHidden {
            do {
                return try Prompts(terminal: terminal).secret(shown.hasSuffix(":") ? String(shown.dropLast()) : shown, isRepeated: false)
                    .secret
            } catch let refusal as Refusal where refusal.kind == .invalid {
                // Nothing but Return, as a prompt to approve on the phone asks for.
                return Secret([])
            }
        }
        if terminal.isInput { Output.write(shown + " ", STDERR_FILENO) }
        guard let line = readLine(strippingNewline: true) else {
            throw Refusal(
                .invalid, "Standard input ended before \(place).",
                remedy: "Give one line for each prompt: printf '%s\\n' \"$PASSWORD\" \"$CODE\" | sallyport login …", place: "standard input"
            )
        }
        guard line.utf8.count <= Prompts.longestLine else {
            throw Refusal(.invalid, "The line is longer than \(Prompts.longestLine) bytes.", place: "standard input")
        }
        return Secret(utf8: line)
    }
}
