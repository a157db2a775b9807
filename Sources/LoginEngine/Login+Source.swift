// SPDX-License-Identifier: Apache-2.0
// Password sources that are elsewhere: they may be down, and they may ask something themselves.

extension Login {
    /// Longer ones are cut: a prompt is a line or two.
    static let longestForeignPrompt = 240

    /// A directory that is down must not look like a wrong password. Where the gateway shows reasons the user reads this one; elsewhere
    /// nothing is answered, so that it asks another server, or says itself that nobody answers. The handle stays good for another try.
    mutating func unreachable(now: Moment) -> [Action] {
        if client.settings.helpfulMessages, !client.settings.concealFactor { return reject(.sourceUnreachable, now: now) }
        let event = event(.loginRejected, reason: .sourceUnreachable, now: now)
        return decide(.none(.sourceUnreachable)) + [.record(event)]
    }

    /// The source's own question goes to the user, and its State stays here.
    mutating func passOn(
        _ question: SourceQuestion, owed: Owed, now: Moment, random: inout some RandomNumberGenerator, seal: some HandleSeal
    ) -> [Action] {
        let isSilentClient = readsAs == .passwordAndFactor && client.settings.asking == .append
        guard facts.user != nil || stranger != nil, !isSilentClient, owed != .concealed, case .plaintext = request.proof else {
            steps.add("source-asks", at: now, since: began)
            return reject(.sourceAsksMore, now: now)
        }
        steps.add("source-asks", at: now, since: began)
        return challenge(
            firstFactor: .asked, now: now, random: &random, seal: seal, prompt: Self.shown(question.prompt), echo: question.echo,
            source: .asked(question.thread))
    }

    /// The handle of such a question came back: what was typed is for the source.
    mutating func answerSource(_ row: SuspendedLogin, now: Moment) -> [Action] {
        guard case .asked(let thread) = row.source, directory != nil, stranger != nil || readsAs != .factor else {
            return reject(.changedMeanwhile, now: now)
        }
        guard case .plaintext(let text) = request.proof else { return reject(.protocolNotSupported, now: now) }
        if let reason = statusReason, stranger == nil { return reject(reason, now: now) }
        if wasWrongJustNow { return reject(.sameWrongProof, now: now) }
        if stranger != nil { return passThrough(by: .answerSource(text, thread), isEmpty: text.isEmpty, now: now) }
        // A code that stood behind the password was not used up, and is asked for anew.
        return check(by: .answerSource(text, thread), owed: readsAs == .password ? .nothing : .challenge, now: now)
    }

    /// What somebody else wrote, fit to be shown.
    static func shown(_ prompt: String) -> String {
        var text = ""
        for scalar in prompt.unicodeScalars where text.utf8.count < longestForeignPrompt {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: text += text.hasSuffix(" ") ? "" : " "
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text.allSatisfy { $0 == " " } ? Prompt.foreign : text
    }
}
