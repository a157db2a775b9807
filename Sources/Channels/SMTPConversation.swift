// SPDX-License-Identifier: Apache-2.0
// What was said between this side and a mail server, step by step, as libcurl tells it; and what it means for the mail.

/// In the order in which they come; with TLS from the start, that comes before the greeting.
package enum SMTPStep: String, Sendable, CaseIterable {
    case connect, greeting, hello, startTLS = "starttls", tls, login, sender, recipient, content
}

package enum SMTPVerdict: Sendable, Equatable {
    /// The server has it now.
    case accepted(reply: String)
    /// It will not have it, however often it is tried.
    case refused(why: String)
    /// It may have it another time, or what is wrong is not about this mail.
    case deferred(why: String)
}

/// A server's words are hostile: they are cut, and shown without what changes how a line looks.
package struct SMTPConversation: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var step: SMTPStep
        /// What the server said to it, or what is known of it.
        package var words = ""
        /// The server's number (RFC 5321 §4.2); 0: it said nothing.
        package var code = 0
        /// Milliseconds since the start, at its end.
        package var at: Int
    }

    static let longestWords = 300

    package private(set) var entries: [Entry] = []
    private var isGreeted = false
    private var isOver = false

    package init() {}

    /// The one that is under way, or was when it ended.
    package var step: SMTPStep { entries.last?.step ?? .connect }
    package var isAtContent: Bool { step == .content }

    /// A line of libcurl's own.
    mutating func note(information line: String, at milliseconds: Int) {
        let line = Self.shown(line)
        if line.hasPrefix("Connected to ") {
            begin(.connect, milliseconds)
            amend(milliseconds) { $0.words = line }
        } else if line.hasPrefix("SSL connection using ") {
            begin(.tls, milliseconds)
            amend(milliseconds) { $0.words = String(line.dropFirst("SSL connection using ".count)) }
        }
    }

    /// A command of this side. What answers a question of the server's login is never kept, nor what follows a verb.
    mutating func note(sent line: String, at milliseconds: Int) {
        let verb = line.prefix { $0.isLetter }.uppercased()
        switch verb {
        case "EHLO", "HELO": begin(.hello, milliseconds)
        case "STARTTLS": begin(.startTLS, milliseconds)
        case "AUTH": begin(.login, milliseconds)
        case "MAIL": begin(.sender, milliseconds)
        case "RCPT": begin(.recipient, milliseconds)
        case "DATA": begin(.content, milliseconds)
        // What the server says to that is no answer to what failed before.
        case "QUIT": isOver = true
        default: break
        }
    }

    /// A line of the server's; a reply may have several (RFC 5321 §4.2.1).
    mutating func note(received line: String, at milliseconds: Int) {
        guard !isOver else { return }
        let line = Self.shown(line)
        if !isGreeted {
            isGreeted = true
            begin(.greeting, milliseconds)
        }
        guard line.utf8.count >= 3, let code = Int(line.prefix(3)), (200..<600).contains(code) else {
            return amend(milliseconds) { $0.words = line }
        }
        // Of what it can, the first line is enough; of an error every line may matter.
        amend(milliseconds) { entry in
            if entry.code == code, code >= 400, !entry.words.isEmpty {
                entry.words = String("\(entry.words) \(line.dropFirst(4))".prefix(Self.longestWords))
            } else if entry.code != code || entry.step != .hello {
                entry.words = line
            }
            entry.code = code
        }
    }

    private mutating func begin(_ step: SMTPStep, _ milliseconds: Int) {
        entries.append(Entry(step: step, at: milliseconds))
    }

    private mutating func amend(_ milliseconds: Int, _ change: (inout Entry) -> Void) {
        guard !entries.isEmpty else { return }
        change(&entries[entries.count - 1])
        entries[entries.count - 1].at = milliseconds
    }

    /// The server minds who logs in, not this mail (RFC 4954 §6, RFC 3207 §4).
    private static let ofLogin: Set<Int> = [530, 534, 535, 538]

    /// - Parameter problem: what libcurl says of a transfer that failed; nil where it did not.
    package func verdict(problem: String?) -> SMTPVerdict {
        let last = entries.last
        guard let problem else { return .accepted(reply: last?.words ?? "") }
        guard let last, last.code >= 400 else {
            return .deferred(why: "\(entries.isEmpty ? SMTPStep.connect.words : step.words): \(Self.shown(problem))")
        }
        let why = "\(last.step.words): \(last.words)"
        let isOfMail = [.sender, .recipient, .content].contains(last.step)
        return last.code >= 500 && isOfMail && !Self.ofLogin.contains(last.code) ? .refused(why: why) : .deferred(why: why)
    }

    static func shown(_ text: String) -> String {
        let clean = text.unicodeScalars.prefix(longestWords).map { scalar -> Character in
            (0x20...0x7E).contains(scalar.value) ? Character(scalar) : scalar == "\r" || scalar == "\n" ? " " : "?"
        }
        return String(clean).split(separator: " ").joined(separator: " ")
    }
}

extension SMTPStep {
    /// As it stands in a list and before what went wrong.
    package var words: String {
        switch self {
        case .connect: "connect"
        case .greeting: "greeting"
        case .hello: "hello"
        case .startTLS: "STARTTLS"
        case .tls: "TLS"
        case .login: "login"
        case .sender: "sender"
        case .recipient: "recipient"
        case .content: "content"
        }
    }
}
