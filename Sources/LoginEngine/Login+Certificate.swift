// SPDX-License-Identifier: Apache-2.0
// Logins whose first factor is a certificate of the device.

extension Requirement {
    /// Whether it is proved by a certificate, and by nothing that is typed.
    package var asksCertificate: Bool { self == .certificate || self == .certificateAndFactor }
    /// Whether a second factor is owed behind a first one.
    package var owesSecond: Bool { self == .passwordAndFactor || self == .certificateAndFactor }
}

extension Login {
    var certificate: CertificateProof? {
        if case .certificate(let certificate) = request.proof { certificate } else { nil }
    }

    /// It proves nothing but itself: that it is this user's, and that it is what is asked here, is judged at every login, also where a
    /// session is taken up again.
    mutating func start(_ certificate: CertificateProof, now: Moment) -> [Action] {
        // No question goes to a device by this way, so none can be answered.
        guard request.handle == nil else { return reject(.protocolNotSupported, now: now) }
        if certificate.shownBefore != nil { steps.add("session-resumed", at: now, since: began) }
        if let note = certificate.note { steps.add(note, at: now, since: began) }
        guard certificate.expires > now.wall else {
            steps.add("certificate-expired", at: now, since: began)
            return reject(.certificateRefused, now: now)
        }
        guard let user = facts.user else { return reject(.unknownUser, now: now) }
        switch facts.certificate?.verdict(for: user.id) ?? .nobody {
        case .of(let kind):
            boundBy = kind
            steps.add("certificate-right", at: now, since: began)
        case .revoked:
            return reject(.certificateRevoked, now: now)
        case .another:
            steps.add("certificate-of-another", at: now, since: began)
            return reject(.certificateNotBound, now: now)
        case .several:
            steps.add("certificate-of-several", at: now, since: began)
            return reject(.certificateNotBound, now: now)
        case .nobody:
            steps.add("certificate-of-nobody", at: now, since: began)
            return reject(.certificateNotBound, now: now)
        }
        if let reason = statusReason { return reject(reason, now: now) }
        switch ruling.requirement {
        case .certificate: return accept(marks: [], now: now)
        case .certificateAndFactor: return startFactor(now: now)
        case .deny: return reject(.deniedByPolicy, now: now)
        case .password, .factor, .passwordAndFactor: return reject(.certificateNotAsked, now: now)
        }
    }

    /// A factor was approved, a while after the certificate was judged, which is good no more.
    mutating func certificateLost(_ standing: CertificateStanding, now: Moment) -> [Action] {
        switch standing {
        case .good: return []
        case .refused(let why):
            steps.add(why, at: now, since: began)
            return reject(.certificateRefused, now: now)
        case .of(.revoked): return reject(.certificateRevoked, now: now)
        case .of: return reject(.certificateNotBound, now: now)
        case .unread(let cause): return decide(.none(cause))
        }
    }

    /// What is owed behind the certificate has to come by itself.
    private mutating func startFactor(now: Moment) -> [Action] {
        if let accept = bypassed(now: now) { return accept }
        if facts.factors.isEmpty { return reject(noFactorReason, now: now) }
        guard client.settings.automaticPush, let (factor, life) = selfStarting else { return reject(.cannotAsk, now: now) }
        phase = .certified
        return [.startFactor(factor, lives: life)]
    }

    /// The first of the user's factors that comes by itself.
    var selfStarting: (factor: Int64, life: Timestamp.Span)? {
        for factor in facts.factors {
            if case .waits(let life) = rules.offers[factor.kind]?.beginning { return (factor.id, life) }
        }
        return nil
    }

    /// What the trail says of the certificate that everybody may know; its names and its print belong to a person.
    var certificateDetails: [Event.Detail] {
        guard let certificate else { return [] }
        return [Event.Detail("issuer", certificate.issuer)] + (boundBy.map { [Event.Detail("bound-by", $0)] } ?? [])
    }

    var certificateField: PersonalFields.Field? {
        certificate.map { PersonalFields.Field("certificate", "\($0.subject) \($0.fingerprintText)") }
    }
}

/// What a certificate is worth that was good when its login began.
package enum CertificateStanding: Sendable, Equatable {
    case good
    /// Its chain; why, as the trail shows it.
    case refused(String)
    /// It is not this user's, or not any more.
    case of(CertificateFacts.Verdict)
    case unread(NoAnswer)
}

extension Logins {
    /// What became of the certificate that a login began with, where it is not good any more. On the thread of whoever answered.
    func lostCertificate(of open: OpenLogin, at moment: Moment) -> CertificateStanding? {
        let (certificate, user) = open.withLock { ($0.login.certificate, $0.login.facts.user) }
        guard let certificate else { return nil }
        let standing = standing(of: certificate, user, at: moment)
        return standing == .good ? nil : standing
    }

    /// By chain, registration and names.
    private func standing(of certificate: CertificateProof, _ user: User?, at moment: Moment) -> CertificateStanding {
        if let why = certificate.standing() { return .refused(why) }
        do throws(NoAnswer) {
            let keys = certificate.keys(rules.certificates.names)
            let found = keys.isEmpty ? [] : try records.load(keys.map { LoginLookup(nameKey: $0.key, handle: nil) }, at: moment.wall)
            var named: [Int64: CertificateName] = [:]
            for ((kind, _), facts) in zip(keys, found) where facts.user != nil {
                if let id = facts.user?.id, named[id] == nil { named[id] = kind }
            }
            let facts = CertificateFacts(named: named, registered: try rules.certificates.registered(certificate))
            if facts.isOf(user) { return .good }
            return .of(user.map { facts.verdict(for: $0.id) } ?? .nobody)
        } catch {
            return .unread(error)
        }
    }

    /// Who has the names of each certificate, and for whom it is registered. One look-up for all of a batch.
    ///
    /// - Parameter known: which attempts the facts are of.
    /// - Returns: why nothing could be read; then nobody's certificate is anybody's.
    func readCertificates(
        of attempts: [Attempt], _ known: [(index: Int, key: String)], into facts: inout [LoginFacts], at moment: Moment
    ) -> NoAnswer? {
        var shown: [(position: Int, certificate: CertificateProof)] = []
        for (position, (index, _)) in known.enumerated() where position < facts.count {
            if case .certificate(let certificate) = attempts[index].request.proof { shown.append((position, certificate)) }
        }
        guard !shown.isEmpty else { return nil }
        do throws(NoAnswer) {
            let names = shown.map { $0.certificate.keys(rules.certificates.names) }
            let keys = names.flatMap { $0 }
            let found =
                keys.isEmpty ? [] : try records.load(keys.map { LoginLookup(nameKey: $0.key, handle: nil) }, at: moment.wall)
            var next = 0
            for (place, (position, certificate)) in shown.enumerated() {
                var named: [Int64: CertificateName] = [:]
                for (kind, _) in names[place] {
                    if next < found.count, let user = found[next].user, named[user.id] == nil { named[user.id] = kind }
                    next += 1
                }
                facts[position].certificate = CertificateFacts(
                    named: named, registered: try rules.certificates.registered(certificate))
            }
            return nil
        } catch {
            return error
        }
    }
}
