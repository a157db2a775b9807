// SPDX-License-Identifier: Apache-2.0
// One login in plain words: from its events to sentences with times, and what to do next. Pure.

package import Foundation
package import LoginEngine

package struct LoginStory: Codable, Sendable, Equatable {
    package var login: String
    package var user: String?
    package var client: String?
    /// `accepted`, `refused` or `open`.
    package var outcome: String
    /// The reason of a refusal, as the trail holds it.
    package var reason: String?
    package var lines: [Line]
    package var next: String

    package struct Line: Codable, Sendable, Equatable {
        package var at: Instant
        /// The time of day in the zone that was asked for, to the millisecond.
        package var clock: String
        package var text: String
    }
}

/// What the story cannot find in the login's own events.
package struct StoryFacts: Sendable {
    /// The login that used the code before, and when.
    package var earlierUse: (login: String, at: Timestamp)?
    /// When a restore used up the codes of its time, just before.
    package var restored: Timestamp?
    /// What the user is called here, whatever was typed.
    package var userName: String?
    /// What the client takes off names.
    package var stripping: NameStripping?

    package init(
        earlierUse: (login: String, at: Timestamp)? = nil, restored: Timestamp? = nil, userName: String? = nil,
        stripping: NameStripping? = nil
    ) {
        self.earlierUse = earlierUse
        self.restored = restored
        self.userName = userName
        self.stripping = stripping
    }
}

extension LoginStory {
    /// - Parameter events: of one login, oldest first; not empty.
    package static func tell(_ events: [Event], facts: StoryFacts = StoryFacts(), zone: TimeZone = .gmt) -> LoginStory? {
        guard let first = events.first, let last = events.last, let login = first.login else { return nil }
        let clock = StoryClock(zone: zone)
        let user = events.lazy.compactMap { $0.subject["name"] }.first
        let client = events.lazy.compactMap { $0["client"] }.first
        var story = LoginStory(
            login: login.description, user: user, client: client, outcome: "open", reason: nil, lines: [], next: "")

        for (position, event) in events.enumerated() {
            let steps = StorySteps(event["steps"] ?? "", end: event.at)
            let start = steps.entries.first.map { min($0.began, event.at) } ?? event.at
            story.add(position == 0 ? arrival(event, user: user) : Self.answer(event, user: user), at: start, clock)
            if position == 0, let directory = event["directory"] { story.add(Self.judge(directory), at: start, clock) }
            for step in steps.entries where !(step.word == "asked" && event.kind == .loginChallenged) {
                // Nobody has that name, so there was no password to be wrong; it was hashed against nobody's to take as long.
                if event.user == nil, event["pass-through"] == nil, step.word == "password-wrong" { continue }
                story.add(StepSentences.sentence(step.word), at: step.at, clock)
            }
            if let unknown = event["not-known"], position == 0 || event.kind != .loginChallenged {
                story.add(
                    "It is not known whether policy \(event["policy"] ?? "?") matches (\(unknown)); what it asks for is asked in addition to what "
                        + "would decide without it.", at: event.at, clock)
            }
            if let reported = event["report-only"] {
                let parts = reported.split(separator: " ", maxSplits: 1).map(String.init)
                story.add("Policy \(parts[0]) only reports; it would have said: \(parts.last ?? "").", at: event.at, clock)
            }
            if let shown = event.subject["certificate"] { story.add("The certificate of the device: \(shown).", at: event.at, clock) }
            if let by = event["bound-by"] {
                story.add("It is the user's by \(StepSentences.binding(by)); \(event["issuer"] ?? "?") issued it.", at: event.at, clock)
            }
            for line in GrantSentences.lines(event) { story.add(line, at: event.at, clock) }
            story.add(ending(event, facts: facts, clock: clock), at: event.at, clock)
        }
        story.conclude(last, user: user, client: client, facts: facts, clock: clock)
        return story
    }

    private mutating func add(_ text: String, at time: Timestamp, _ clock: StoryClock) {
        lines.append(Line(at: Instant(time), clock: clock.exact(time), text: text))
    }

    /// What others than the login's own events tell.
    mutating func add(_ text: String, at time: Timestamp, zone: TimeZone) {
        add(text, at: time, StoryClock(zone: zone))
    }

    private static func arrival(_ event: Event, user: String?) -> String {
        let who = user.map { "\($0) asks" } ?? "Somebody whose name was erased asks"
        let source = event.source.map { " (\($0))" } ?? ""
        let country = event.subject["country"].map { " (\($0))" } ?? ""
        let station = event.subject["station"].map { ", from \($0)\(country)" } ?? ""
        let requirement = event["policy"].map { ", where policy \($0) \(Self.demand(event["requirement"]))" } ?? ""
        let scheme = event["protocol"].map { " by \($0)" } ?? ""
        return "\(who) to log in at \(event["client"] ?? "an unknown client")\(source)\(scheme)\(requirement)\(station)."
    }

    /// `nps (group staff)`, as the engine writes it.
    private static func judge(_ words: String) -> String {
        let parts = words.split(separator: " ", maxSplits: 1).map(String.init)
        let by = parts.count == 2 ? ", as is said of the \(parts[1].dropFirst().dropLast())" : ""
        return "Directory \(parts.first ?? "?") judges the password\(by)."
    }

    private static func demand(_ requirement: String?) -> String {
        switch requirement {
        case "deny": "lets nobody in"
        case "password": "asks for the password alone"
        case "factor": "asks for the code alone"
        case "certificate": "asks for a certificate of the device"
        case "certificate+factor": "asks for a certificate of the device and a factor"
        default: "asks for password and factor"
        }
    }

    private static func answer(_ event: Event, user: String?) -> String {
        "The answer of \(user ?? "the user") arrives."
    }

    private static func ending(_ event: Event, facts: StoryFacts, clock: StoryClock) -> String {
        switch event.kind {
        case .loginAccepted:
            if let factor = event["factor"] { return "Accepted with \(StepSentences.factor(factor)). The code is used up." }
            if event["grant"] != nil { return "Accepted by the grant." }
            if let end = event["grace-until"] {
                return
                    "Accepted for the password alone: the user has no factor yet, and policy \(event["policy"] ?? "?") gives grace until \(end)."
            }
            return "Accepted."
        case .loginChallenged:
            return event["pass-through"] == nil
                ? "The second factor is still owed: the user is asked for it." : "The directory's question goes to the user."
        case .loginRejected, .loginsRejected:
            let count =
                event.kind == .loginsRejected ? " \(event["count"] ?? "More") equal ones within the minute are kept as one line." : ""
            guard let reason = event.reason.flatMap(RejectReason.init(rawValue:)) else {
                return "Refused: \(event.reason ?? "no reason was recorded").\(count)"
            }
            var meaning = ReasonSentences().explain(reason).meaning
            if reason == .codeAlreadyUsed { meaning = usedCode(facts, clock) }
            return "Refused: \(meaning)\(count)"
        default:
            return event.summary.prefix(1).uppercased() + event.summary.dropFirst() + "."
        }
    }

    private static func usedCode(_ facts: StoryFacts, _ clock: StoryClock) -> String {
        if let earlier = facts.earlierUse {
            return "The code was used already at \(clock.short(earlier.at)) by login \(earlier.login.prefix(8))…."
        }
        if let restored = facts.restored {
            return "The data were restored from a backup, and codes of that time (\(clock.short(restored))) count as used, since nobody "
                + "knows which were."
        }
        return "The code, or one behind it, was used already."
    }

    private mutating func conclude(_ last: Event, user: String?, client: String?, facts: StoryFacts, clock: StoryClock) {
        let name = facts.userName ?? user ?? "the user"
        switch last.kind {
        case .loginAccepted:
            outcome = "accepted"
            next = "Nothing to do. If the user still has no connection, look at the gateway: it was told to let \(name) in."
        case .loginRejected, .loginsRejected:
            outcome = "refused"
            reason = last.reason
            guard let reason = last.reason.flatMap(RejectReason.init(rawValue:)) else { return }
            // `nps (group staff)`, as the engine writes it.
            let directory = last["directory"]?.split(separator: " ").first.map(String.init)
            next =
                ReasonSentences(
                    user: facts.userName ?? user ?? "NAME", client: client ?? "CLIENT", directory: directory == "local" ? nil : directory,
                    stripping: facts.stripping
                ).explain(reason).remedy
            if reason == .codeAlreadyUsed, facts.earlierUse == nil, facts.restored != nil {
                next = "Let \(name) wait for the next code but one; a minute behind the start codes are taken again."
            }
            if last.user == nil, let user, reason != .unknownUser, reason != .nameMalformed {
                next = "Nobody is called \(user) here. " + next
            }
        default:
            next =
                "No answer to the question came yet. If \(name) saw no question, the gateway does not show RADIUS challenges: let users append the code instead (`sallyport client set \(Words.argument(client ?? "CLIENT")) --ask append`)."
        }
    }
}

/// Times of day in one zone.
struct StoryClock {
    var zone: TimeZone

    private func local(_ time: Timestamp) -> Timestamp {
        let date = Date(timeIntervalSince1970: Double(time.seconds))
        return time + .seconds(Int64(zone.secondsFromGMT(for: date)))
    }

    /// `12:03:11`
    func short(_ time: Timestamp) -> String {
        let seconds = local(time).seconds
        return Instant.clock(((seconds % 86_400) + 86_400) % 86_400)
    }

    /// `12:03:11.482`
    func exact(_ time: Timestamp) -> String {
        let milliseconds = ((time.microseconds % 1_000_000 + 1_000_000) % 1_000_000) / 1000
        let digits = String(milliseconds)
        return short(time) + "." + String(repeating: "0", count: 3 - digits.count) + digits
    }
}

/// `+0 asked; +24 password-right`, with the moments they stand for.
struct StorySteps {
    struct Entry: Equatable {
        var word: String
        var at: Timestamp
        /// When the packet came that these steps belong to.
        var began: Timestamp
    }

    var entries: [Entry] = []

    /// - Parameter end: when the event was made. A packet's last step happened then at the latest; the offsets count from its arrival.
    init(_ text: String, end: Timestamp) {
        let steps: [(offset: Int64, word: String)] = text.split(separator: "; ").compactMap { piece in
            guard piece.hasPrefix("+"), let blank = piece.firstIndex(of: " "),
                let offset = Int64(piece[piece.index(after: piece.startIndex)..<blank])
            else { return (0, String(piece)) }
            return (offset, String(piece[piece.index(after: blank)...]))
        }
        let began = end - .milliseconds(steps.map(\.offset).max() ?? 0)
        entries = steps.map { Entry(word: $0.word, at: began + .milliseconds($0.offset), began: began) }
    }
}

/// The words that the engine writes down on the way.
enum StepSentences {
    static func sentence(_ word: String) -> String {
        if let known = known[word] { return known }
        if word.hasPrefix("failed: ") { return "The factor could not be asked: \(word.dropFirst(8))." }
        if word.hasPrefix("grant ") { return "Meanwhile the grant was \(word.dropFirst(6))." }
        if word.hasPrefix("new-password-refused: ") { return "The new password was refused: \(word.dropFirst(22))" }
        if word.hasPrefix("source "), word.hasSuffix(" unreachable") {
            let parts = word.dropFirst(7).dropLast(12).split(separator: ": ", maxSplits: 1)
            guard parts.count == 2 else { return "The password source \(parts.first ?? "") did not answer." }
            return "The password source \(parts[0]) did not say whether the password is right: \(parts[1])."
        }
        if word.hasPrefix("sessions "), let by = word.firstRange(of: " by ") {
            let parts = word[..<by.lowerBound].split(separator: " ")
            if parts.count == 4 {
                return "Of the user's sessions \(parts[1]) are open or about to be, and the \(word[by.upperBound...]) may have \(parts[3])."
            }
        }
        if word.first?.isUppercase == true || word.hasPrefix("no ") { return "The request carried \(word)." }
        return word.prefix(1).uppercased() + word.dropFirst().replacing("-", with: " ") + "."
    }

    static func binding(_ kind: String) -> String {
        switch kind {
        case "upn": "its user principal name"
        case "email": "its mail address"
        case "dns": "its DNS name"
        case "common-name": "its common name"
        default: "its fingerprint, which is registered"
        }
    }

    static func factor(_ kind: String) -> String {
        switch kind {
        case "totp": "a code of the authenticator (totp)"
        case "hotp": "a code of the token (hotp)"
        case "recovery": "a recovery code"
        case "push": "an approval on the phone"
        default: kind
        }
    }

    static let known: [String: String] = [
        "asked": "The code was asked for.",
        "prompted": "The code was asked for.",
        "password-right": "The password was right.",
        "password-wrong": "The password was wrong.",
        "password-not-kept": "Nothing is kept of the password that the proof could be compared with.",
        "new-password": "The user's device brought a new password behind the right old one; it is set with the accept.",
        "password-changed": "The new password was set.",
        "password-was-wrong": "The password before it had been wrong; this client conceals which of the two is.",
        "grace-over": "The user has no factor, and the time of grace that the policy gives is over.",
        "password-expired": "The password was right, and the directory wants it changed first.",
        "passed-through": "Nobody is called that here, and the client passes such names on: the directory decides alone.",
        "source-asks": "The directory asked the user something itself.",
        "password-locked": "Too many wrong passwords came before: this one is refused whatever it is.",
        "ocsp-good": "The OCSP responder of who issued the certificate calls it good.",
        "ocsp-unanswered": "No OCSP responder gave a good answer about the certificate, and the node is set to let it in all the same.",
        "session-resumed": "The device took up the session of an earlier handshake, whose certificate is judged anew.",
        "certificate-right": "The device proved its certificate.",
        "certificate-expired": "The certificate has expired since.",
        "certificate-of-another": "The certificate is another user's.",
        "certificate-of-several": "The certificate names several users.",
        "certificate-of-nobody": "No name in the certificate that counts is a user's.",
        "code-right": "The code was right.",
        "code-wrong": "The code was wrong.",
        "password that another shared secret hid":
            "The password came out as bytes that nobody types: the gateway's shared secret most likely differs from the client's.",
        "waiting": "The user was asked on the phone, and the gateway waits.",
        "approved": "The user approved on the phone.",
        "approved-late": "The user approved on the phone after the gateway had given up; the next try takes it.",
        "denied": "The user denied on the phone.",
        "denied-not-me": "The user denied on the phone and said: it was not me.",
        "gateway-gave-up": "The gateway stopped waiting for the answer.",
        "rejoined": "The gateway asked again and joined the login that waits.",
    ]
}
