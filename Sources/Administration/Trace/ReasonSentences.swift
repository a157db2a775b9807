// SPDX-License-Identifier: Apache-2.0
// Every reason of a reject: what it means for an administrator, and what to do. The one table behind `trace`, logs and docs.

package import LoginEngine

package struct ReasonSentences: Sendable {
    /// As it is typed in commands; `NAME` where nobody is meant.
    package var user: String
    package var client: String
    /// The directory that judged the password; nil: it is kept here, or nobody knows.
    package var directory: String?
    /// What the client takes off names; nil: nobody knows.
    package var stripping: NameStripping?

    package init(user: String = "NAME", client: String = "CLIENT", directory: String? = nil, stripping: NameStripping? = nil) {
        self.user = Words.argument(user)
        self.client = Words.argument(client)
        self.directory = directory.map { Words.argument($0) }
        self.stripping = stripping
    }

    private var unknownName: String {
        let search = "Look for a typing mistake or a missing alias: `sallyport user list --search PART`."
        let hasRealm = user.contains("@") || user.contains("\\")
        switch stripping {
        case nil: return search + " If the gateway adds a realm or a domain, set `sallyport client set \(client) --strip both`."
        case .some(.none):
            guard hasRealm else { return search }
            return search + " If the gateway added that realm or domain, set `sallyport client set \(client) --strip both`."
        default: return search + " `sallyport user explain \(user) --client \(client)` shows how the name is read, and what is taken off."
        }
    }

    package struct Explanation: Sendable, Equatable {
        /// What happened, a sentence.
        package var meaning: String
        /// What to do next.
        package var remedy: String
    }

    package func explain(_ reason: RejectReason) -> Explanation {
        switch reason {
        case .unknownUser:
            Explanation(
                meaning: "Nobody has this login name.",
                remedy: unknownName)
        case .wrongPassword where directory != nil:
            Explanation(
                meaning: "The password was wrong.",
                remedy:
                    "Directory \(directory ?? "") says so, and it is changed there, not here. Let \(user) type it again, caps lock off. "
                    + "`sallyport directory test \(directory ?? "") --user NAME --password-stdin` asks it alone; if all of its users fail, it is asked "
                    + "for them by other names than it knows: see `--send-name`, and its own log.")
        case .wrongPassword:
            Explanation(
                meaning: "The password was wrong.",
                remedy:
                    "Let \(user) type it again, caps lock off. If all users of one gateway fail, the shared secret differs. A new password: `sallyport user set \(user) --password-stdin`."
            )
        case .noPassword:
            Explanation(
                meaning: "The user has no password yet.", remedy: "Set one: `sallyport user set \(user) --password-stdin`.")
        case .userDisabled:
            Explanation(
                meaning: "The user is disabled.", remedy: "If that is no longer meant: `sallyport user enable \(user)`.")
        case .userPending:
            Explanation(
                meaning: "The user was never activated.", remedy: "Activate the account: `sallyport user enable \(user)`.")
        case .passwordLocked where directory != nil:
            Explanation(
                meaning: "Too many wrong passwords: none is judged for now.",
                remedy:
                    "The lock here ends by itself, or now: `sallyport user unlock \(user)`. Directory \(directory ?? "") may have locked the account "
                    + "as well, which is undone there. If the user did not try, somebody else does: see the addresses in `sallyport audit list --user "
                    + "\(user)`.")
        case .passwordLocked:
            Explanation(
                meaning: "Too many wrong passwords: none is judged for now.",
                remedy:
                    "The lock ends by itself (`sallyport user show \(user)` says when), or now: `sallyport user unlock \(user)`. If the user did not try, somebody else does: see the addresses in `sallyport audit list --user \(user)`."
            )
        case .factorLocked:
            Explanation(
                meaning: "Too many wrong codes: none is judged for now.",
                remedy:
                    "A recovery code still works after the right password. The lock ends by itself, or now: `sallyport user unlock \(user)`. If the user did not try, somebody knows the password: change it."
            )
        case .recoveryCodeUsed:
            Explanation(
                meaning: "The recovery code is none of this user's, or was used already.",
                remedy: "Try another one of the set, or make a new set: `sallyport factor add \(user) recovery`.")
        case .wrongCode:
            Explanation(
                meaning: "The code was wrong.",
                remedy:
                    "Check that the app shows the entry of this server and that the phone sets its time by itself. If it stays wrong, enrol again: `sallyport factor add \(user) totp`."
            )
        case .codeMalformed:
            Explanation(
                meaning: "What was typed as a code has not the shape of any code of this user.",
                remedy: "See the length of the codes with `sallyport factor list \(user)`; the user may have typed the password again.")
        case .codeAlreadyUsed:
            Explanation(
                meaning: "The code was used already.",
                remedy: "Let \(user) wait for the next code. If it was not used by the same person, somebody watched it being typed.")
        case .codeBeyondWindow:
            Explanation(
                meaning: "The code is right, but the token is many presses ahead of this server.",
                remedy: "Let \(user) log in once more with the very next code of the token: two in a row bring it back into step.")
        case .noFactor:
            Explanation(
                meaning: "The user has no second factor.", remedy: "Enrol one: `sallyport factor add \(user) totp`.")
        case .noAllowedFactor:
            Explanation(
                meaning: "The user has a second factor, and the policy counts none of its kind.",
                remedy:
                    "`sallyport policy explain \(user) --client \(client)` names the policy and what it takes; enrol one of those, or change the policy."
            )
        case .deniedByPolicy:
            Explanation(
                meaning: "The policy lets nobody in like this, whatever they prove; what came first was right.",
                remedy:
                    "`sallyport policy explain \(user) --client \(client)` tells which policy decides, and why the others do not."
            )
        case .codeMissing:
            Explanation(
                meaning: "The password came without a code, and this client never asks for one.",
                remedy:
                    "Let \(user) type the code behind the password, as `sallyport client show \(client) --howto` says; or let the client ask: `sallyport client set \(client) --ask append+challenge`."
            )
        case .handleUnknown:
            Explanation(
                meaning: "The answer belongs to a question that this server did not ask, or that it cannot read any more.",
                remedy:
                    "Let \(user) start the login again. If it comes back, see whether two servers with different keys answer this gateway.")
        case .handleExpired:
            Explanation(
                meaning: "The answer came after the question had expired.",
                remedy: "Let \(user) start again and answer within two minutes.")
        case .handleSpent:
            Explanation(
                meaning: "The question was answered already.",
                remedy:
                    "Let \(user) start again. If it comes back, the gateway sends answers twice: see `sallyport client show \(client)` for timeout and tries."
            )
        case .handleOfAnother:
            Explanation(
                meaning: "The answer came with another name, device or gateway than the question.",
                remedy:
                    "Let \(user) start again. If it comes back with the right name, the gateway mixes sessions up, or somebody tries a stolen State."
            )
        case .anotherLoginWaiting:
            Explanation(
                meaning: "Another login of this user waits for an answer on the phone, and this one could not be shown to be the same.",
                remedy: "Let \(user) answer or deny the one on the phone, then try again.")
        case .factorDenied:
            Explanation(
                meaning: "The user denied the login on the phone.",
                remedy: "Ask \(user). If it was not theirs, somebody knows the password: change it now.")
        case .factorTimedOut:
            Explanation(
                meaning: "Nobody answered on the phone in time.",
                remedy: "Let \(user) unlock the phone and try again, or use a code.")
        case .factorFailed:
            Explanation(
                meaning: "The phone could not be asked.",
                remedy: "Let \(user) use a code. The reason stands in the steps of the login and in the log of the node.")
        case .tooManyChallenges:
            Explanation(
                meaning: "A code was asked for too often within a minute, and no login came of it.",
                remedy:
                    "Let \(user) wait a minute. If the user did not try, look at the source: somebody, or a program with an old password, tries in a loop."
            )
        case .tooManyStarts:
            Explanation(
                meaning: "The phone was asked too often within a minute.",
                remedy: "Let \(user) wait a minute or use a code. If the user did not try, somebody knows the password: change it.")
        case .keywordNotAllowed:
            Explanation(
                meaning: "The user typed a keyword that cannot be used here.",
                remedy: "Let \(user) type a code. `sallyport factor list \(user)` shows what the user has.")
        case .sameWrongProof:
            Explanation(
                meaning: "The same wrong answer again, within the time in which the gateway repeats itself; it was not counted twice.",
                remedy: "The gateway retries by itself; look at the login before it.")
        case .protocolNotSupported:
            Explanation(
                meaning: "The gateway sent the password in a way that this server cannot check.",
                remedy:
                    "Set the gateway's authentication protocol to PAP: `sallyport client show \(client) --howto`. If the step names the User-Name: "
                    + "`sallyport client set \(client) --charset auto`. If it is EAP, allow a method: `sallyport client set \(client) --eap gtc`."
            )
        case .protocolNotAllowed:
            Explanation(
                meaning: "The gateway proved the password by a protocol that this client is not set to use.",
                remedy: "Set the gateway to PAP, or allow it: `sallyport client set \(client) --protocol pap --protocol ms-chap-v2`.")
        case .appendNeedsPlaintext:
            Explanation(
                meaning: "With CHAP and MS-CHAP the password is never shown, so no code can be cut from its end.",
                remedy: "Set the gateway to PAP, or let it ask for the code: `sallyport client set \(client) --ask challenge`.")
        case .cannotAsk:
            Explanation(
                meaning: "What came first was right, a second factor is owed, and by this method the device cannot be asked for one.",
                remedy:
                    "Let a factor on the phone start by itself (`sallyport client set \(client) --automatic-push on`), use EAP-GTC with "
                    + "password and code in one field, or make the code the password: docs/gateways/password-protocols.md.")
        case .certificateMissing:
            Explanation(
                meaning: "A certificate of the device is asked for here, and something was typed instead; what was typed was right.",
                remedy:
                    "Let the device of \(user) use EAP-TLS, which `sallyport client show \(client)` has to offer. "
                    + "`sallyport policy explain \(user) --client \(client)` tells which policy asks for it.")
        case .certificateNotAsked:
            Explanation(
                meaning: "The device showed the user's certificate, and what is asked here is something else.",
                remedy:
                    "A certificate counts where a policy says so: `--require certificate+factor`, or `certificate`. "
                    + "`sallyport policy explain \(user) --client \(client)` tells which policy decides.")
        case .certificateNotBound:
            Explanation(
                meaning:
                    "The certificate is good, and not this user's: it was issued here for somebody else, or none of its names that count is one of this user's alone.",
                remedy:
                    "The event shows what the certificate says; `sallyport ca list` tells for whom one was issued here. Of others, names count by `eap.client-names`, whole: let the device's identity be the user's, "
                    + "or give the user the name in the certificate: `sallyport user set \(user) --alias NAME`.")
        case .certificateRefused:
            Explanation(
                meaning: "The device showed a certificate that is not good: expired, revoked, or of an authority that is not trusted.",
                remedy:
                    "The step says what OpenSSL found, and the node's log whose certificate it was. Authorities stand in `eap.client-ca`, what they "
                    + "revoked in `eap.client-crl`, which has to be newer than its end: `sallyport doctor` looks at both.")
        case .certificateRevoked:
            Explanation(
                meaning: "The certificate of the device was revoked here.",
                remedy: "If \(user) has the device still, issue a new certificate. If somebody else has it, that is who tried.")
        case .eapFailed:
            Explanation(
                meaning: "The exchange of EAP came to nothing before or after a password was judged; the step says how.",
                remedy:
                    "Compare the method that the device is set to with those of the client: `sallyport client show \(client)`. If the device "
                    + "ended the handshake over the certificate (unknown ca, certificate expired): let it trust what `sallyport ca show --pem` prints "
                    + "(without an authority, `eap/ca.pem` of the data directory), and expect the name that the node's log gives. If the step names another user's identity: let the device's "
                    + "outer (anonymous) identity be `anonymous` or the user's own. After a restart of the node, devices that were half-way "
                    + "start again by themselves.")
        case .passwordNotKept:
            Explanation(
                meaning: "CHAP and MS-CHAP can be checked only against what is kept for them, and of this password nothing is.",
                remedy:
                    "Set the gateway to PAP, or see `sallyport password show`; a password is kept from the next time on that it is set: "
                    + "`sallyport user set \(user) --password-stdin`.")
        case .passwordExpired where directory != nil:
            Explanation(
                meaning: "The password was right, and has to be changed before it opens anything.",
                remedy: "It is changed at directory \(directory ?? ""), not here: let \(user) do so, then log in again.")
        case .passwordExpired:
            Explanation(
                meaning: "The password was right, and has to be changed before it opens anything.",
                remedy:
                    "A device that speaks MS-CHAPv2 asks for a new one by itself. For others set one: `sallyport user set \(user) --password-stdin`."
            )
        case .newPasswordRefused:
            Explanation(
                meaning: "The user's device sent a new password, and it was not taken; the old one stays.",
                remedy:
                    "The step before says why. Let \(user) choose another one; where nobody asked for a new one, `sallyport user set \(user) --expire-password` does."
            )
        case .sourceUnreachable:
            Explanation(
                meaning:
                    "The directory that knows the password did not answer. Nothing was counted against the user, and the gateway got no "
                    + "answer, unless it shows reasons.",
                remedy: "`sallyport directory list` shows which server is silent, `sallyport directory test NAME` asks it; let \(user) try "
                    + "again when it is back.")
        case .sourceAsksMore:
            Explanation(
                meaning: "The directory asked the user something itself, and at this client the question cannot be passed on.",
                remedy: "Let the client ask by challenges (`sallyport client set \(client) --ask challenge --conceal-factor off`) and use "
                    + "PAP, or switch that question off at the directory.")
        case .proxyLoop:
            Explanation(
                meaning:
                    "The request had been through \(LoginRequest.mostHops) servers already, each of which asked the next: it goes round.",
                remedy:
                    "Look where the directory's servers pass names on to: not back to this one. `sallyport client show \(client)` shows "
                    + "what is passed on here.")
        case .nameMalformed:
            Explanation(
                meaning: "The login name is empty, too long, or holds control characters.",
                remedy: "Look at what the gateway sends as User-Name; with `--strip` nothing may have been left of it.")
        case .replyUnfit:
            Explanation(
                meaning: "An attribute that the answer was to carry could not be made, so nobody was let in without it. The steps name it.",
                remedy:
                    "`sallyport client show \(client) --preview \(user)` shows every attribute and what is wrong with it."
            )
        case .tooManySessions:
            Explanation(
                meaning:
                    "Everything was right, but the user has as many sessions open as are allowed. The steps say how many, and who set it.",
                remedy:
                    "`sallyport session list --open --user \(user)` shows them; `sallyport session disconnect --user \(user)` ends them at their "
                    + "gateways, and `sallyport session end` those that are only thought to be open.")
        case .accountDisabled, .accountLocked, .accountExpired, .outsideLogonHours, .logonNotAllowed, .notInDirectory, .directoryEntryUnfit,
            .directoryEntryChanged, .directoryNameTaken:
            ofAccount(reason)
        case .grantNotValid:
            Explanation(
                meaning: "The grant of the help desk was used up, revoked or over when it was to be used. The steps say which.",
                remedy:
                    "`sallyport grant list --all --user \(user)` shows where it was used. If the user still needs one: "
                    + "`sallyport grant add \(user) --reason TEXT`.")
        case .changedMeanwhile:
            Explanation(
                meaning: "User, factor or policy were changed, disabled or removed while the login was under way.",
                remedy:
                    "`sallyport audit list --user \(user)` shows by whom; let the user try again if that was not meant to keep them out.")
        }
    }
}

extension ReasonSentences {
    /// What a directory said of the account, not of the password.
    private func ofAccount(_ reason: RejectReason) -> Explanation {
        let there = directory.map { "directory \($0)" } ?? "the directory"
        let test = "`sallyport directory test \(directory ?? "DIRECTORY") --user \(user)`"
        return switch reason {
        case .accountDisabled:
            Explanation(meaning: "The account is disabled in \(there).", remedy: "Enable it there, if that is no longer meant.")
        case .accountLocked:
            Explanation(
                meaning: "The account is locked in \(there), after wrong passwords as a rule; this one was not judged.",
                remedy: "Unlock it there, or wait. If \(user) did not try, see the addresses in `sallyport audit list --user \(user)`.")
        case .accountExpired:
            Explanation(meaning: "The account has expired in \(there).", remedy: "Give it a later end there.")
        case .outsideLogonHours:
            Explanation(meaning: "The account may not log in at this hour, says \(there).", remedy: "Change its logon hours there.")
        case .logonNotAllowed:
            Explanation(
                meaning: "The account may not log in in this way or from this machine, says \(there).",
                remedy: "Look at the account's workstations and logon rights there.")
        case .notInDirectory:
            Explanation(
                meaning: "No entry of \(there) fits the name, or the entry is none of those who are let in.",
                remedy: "\(test) shows the search. A name of another domain is asked nothing: see `--domain`.")
        case .directoryEntryUnfit:
            Explanation(
                meaning: "Several entries of \(there) fit the name, or the one that does has no usable login name.",
                remedy: "\(test) shows what was found: make the filter tell them apart, or map another attribute as the name.")
        case .directoryEntryChanged:
            Explanation(
                meaning: "The name is that of another entry in \(there) than the one that \(user) was: it was made anew, or given away.",
                remedy:
                    "If it is the same person: `sallyport user set \(user) --directory none`, then `--directory` with its name again. If not, "
                    + "remove the old user first: its second factor is the other person's.")
        default:
            Explanation(
                meaning: "The password was right in \(there), and the name belongs to a user here whose password lives elsewhere.",
                remedy:
                    "If that is the same person: `sallyport user set NAME --directory \(directory ?? "DIRECTORY")`; else give one of them another name."
            )
        }
    }

    /// docs/help-desk/messages.md
    package static var page: String {
        var page = """
            # Messages: why a login was refused

            <!-- Generated from Sources/Administration/Trace/ReasonSentences.swift by `make golden`. -->

            The user reads *\(Prompt.rejected)*, whatever the reason was, so that nobody learns from it. The reason stands in the trail:
            `sallyport audit list` shows the first words, `sallyport trace LOGIN-ID` the story. Where a client is set to `--helpful-messages on`,
            the user reads the sentence given here.


            """
        for reason in RejectReason.allCases {
            let explanation = ReasonSentences().explain(reason)
            page += """
                ## \(reason.rawValue)

                \(explanation.meaning)

                - **What to do:** \(explanation.remedy)
                - **With helpful messages the user reads:** *\(reason.userSentence)*


                """
        }
        return String(page.dropLast())
    }
}
