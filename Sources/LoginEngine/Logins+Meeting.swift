// SPDX-License-Identifier: Apache-2.0
// A directory has found a password right: what it says of the person is taken over before anything else is judged.

internal import Synchronization

extension Logins {
    /// Groups decide which policy does, so a login whose groups have changed, or whose user was made just now, begins anew.
    func meet(_ person: DirectoryPerson, proving password: Secret, _ open: OpenLogin) {
        let (user, request) = open.withLock { ($0.login.facts.user, $0.login.request) }
        let stripping = request.client.settings.nameStripping
        let typed = String(UserName.withoutRealm(UserName.withoutDomain(request.name[...], stripping), stripping))
        let meeting = DirectoryMeeting(person, user: user?.id, typed: typed, at: now().wall)
        records.meet(meeting) { [self] outcome in
            switch outcome {
            case .same: conclude(open, .right)
            case .refused(let reason): conclude(open, .refused(reason))
            case .failed(let why):
                answer(.none(why), to: open)
                close(open)
            case .changed(let key): beginAgain(open, as: key, proved: password)
            }
        }
    }

    func conclude(_ open: OpenLogin, _ verdict: PasswordVerdict) {
        advance(open, .passwordChecked(verdict), at: now())
        closeUnlessWaiting(open)
    }

    /// By the facts as they are now; the password is not asked for again.
    private func beginAgain(_ open: OpenLogin, as key: String, proved password: Secret) {
        guard open.proved == nil else { return conclude(open, .refused(.changedMeanwhile)) }
        let moment = now()
        let (request, id) = open.withLock { ($0.login.request, $0.login.id) }
        let client = request.client
        let typedKey = UserName.key(of: request.name, stripping: client.settings.nameStripping) ?? key
        let rulebook = rulebook
        var lookup = LoginLookup(nameKey: key, handle: nil)
        lookup.wantsGroups = true
        lookup.wantsGrace = rulebook.policies.looksUpGrace(for: client)
        var facts: LoginFacts
        do throws(NoAnswer) {
            facts = try records.load([lookup], at: moment.wall).first ?? LoginFacts()
        } catch {
            answer(.none(error), to: open)
            return close(open)
        }
        rulebook.homes.place(&facts, at: client, named: request.name, lookupKey: typedKey)
        // Its password was not proved if it lives elsewhere.
        guard let user = facts.user, user.directory == open.withLock({ $0.login.directory }) else {
            return conclude(open, .refused(.changedMeanwhile))
        }
        let ruling = rulebook.ruling(of: request, facts, at: moment.wall)
        let subject = FailureSubject.user(user.id)
        let failures = shard(of: subject).state.withLock { $0.known(subject, stored: facts.failures) }
        let login = Login(
            id: id, request: request, nameKey: typedKey, facts: facts, ruling: ruling, failures: failures, rules: rules,
            retry: open.withLock { $0.login.retry }, wasWrongJustNow: false, began: open.withLock { $0.login.began })
        // Nobody joins it any more once it is closed, so nobody is left behind.
        close(open)
        let again = OpenLogin(login, waiters: open.takeWaiters(), subject: subject, proved: password)
        advance(again, .started, at: moment)
    }
}
