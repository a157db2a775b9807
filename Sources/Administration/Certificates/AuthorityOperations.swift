// SPDX-License-Identifier: Apache-2.0
// Making an authority, looking at it, taking an older one away.

internal import LoginEngine
internal import Store
internal import TLS

extension AuthorityView {
    init(_ record: AuthorityRecord, isInForce: Bool, certificates: Int) throws {
        let text = try CertificateText(pem: Array(record.certificate.utf8))
        self.init(
            id: record.id, name: record.name, domains: record.domains, key: text.isRSA ? "rsa3072" : "p256",
            fingerprint: PeerCertificate.text(ofFingerprint: text.peer.fingerprint), begins: Instant(record.begins),
            ends: Instant(record.ends), isInForce: isInForce, certificates: certificates)
    }
}

extension Operations {
    func authorityViews() throws -> [AuthorityView] {
        let all = try records.authorities()
        let now = now()
        var counts: [Int64: Int] = [:]
        for certificate in try records.certificates() where certificate.revocation == nil && certificate.ends > now {
            counts[certificate.authority, default: 0] += 1
        }
        return try all.enumerated().map { try AuthorityView($1, isInForce: $0 == 0, certificates: counts[$1.id] ?? 0) }
    }

    private func authorityName(_ name: String?) throws(Refusal) -> String {
        let name = Valid.trimmed(name ?? "\(issuer) CA")
        guard (1...CertificateDraft.longestCommonName).contains(name.unicodeScalars.count), Valid.isPrintable(name) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(name))` cannot be the name of an authority.",
                remedy: "Use 1 to \(CertificateDraft.longestCommonName) characters without control characters.", place: "name")
        }
        return name
    }

    func makeAuthority(_ wish: InitAuthority, by actor: Actor) async throws -> AuthorityView {
        let before = try records.authorities().first
        if let before, !wish.isReplacement {
            throw Refusal(
                .conflict, "There is an authority already: \(before.name).",
                remedy: "See `sallyport ca show`. Where a new one has to take its place, add --replace.")
        }
        let key = try Issuing.key(wish.key)
        let days = try Valid.number(wish.days ?? Issuing.standardAuthorityDays, in: Issuing.authorityDays, "days", unit: " days")
        var domains: [String] = []
        for domain in wish.domains {
            let name = try Issuing.hostName(domain, "domain")
            guard !name.hasPrefix("*.") else {
                throw Refusal(.invalid, "A domain has no asterisk.", remedy: "What lies below it is meant in any case.", place: "domain")
            }
            if !domains.contains(name) { domains.append(name) }
        }
        let name = try authorityName(wish.name)
        let now = now()
        let (begins, ends) = (now - Issuing.leeway, now + .minutes(Int64(days) * 24 * 60))
        var random = ports.random()
        let serial = (0..<Issuing.serialBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let draft = CertificateDraft(
            .authority(domains: domains), commonName: name, begins: begins.seconds, ends: ends.seconds, serial: serial)
        let made: IssuedCertificate
        do throws(TLSError) { made = try IssuedCertificate(draft, key: key, by: nil) } catch { throw Refusal(making: error) }
        let new = NewAuthority(
            name: name, domains: domains, certificate: String(decoding: made.certificate, as: UTF8.self), key: Secret(made.key),
            begins: begins, ends: ends)
        let id = try await records.addAuthority(
            new, after: before?.id ?? 0,
            event: event(.authorityAdded, by: actor, ["authority": name, "domains": domains.joined(separator: ", "), "key": key.rawValue]))
        guard let view = try authorityViews().first(where: { $0.id == id }) else {
            throw Refusal(.failed, "The authority was written and is gone again.", remedy: "See `sallyport audit list`.")
        }
        return view
    }
}

extension InitAuthority {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let before = try operations.records.authorities().first
        let view = try await operations.makeAuthority(self, by: actor)
        try await operations.ports.changed(.certificates)
        var warnings: [String] = []
        if view.domains.isEmpty {
            warnings.append(
                "It can vouch for every host's name: whoever had its key could be any server to devices that believe it. "
                    + "--domain holds it to yours.")
        }
        if let before {
            warnings.append(
                "\(before.name) (number \(before.id)) is still believed, and its revocation list is still signed. Give devices new "
                    + "certificates, then `sallyport ca remove \(before.id)`.")
        }
        warnings.append("Its key is in the database, sealed, and so in backups: make one now.")
        return Answer(
            message: "Made authority \(view.name), \(view.fingerprint), which holds until \(view.ends).", authority: view,
            warnings: warnings)
    }
}

extension ShowAuthority {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let views = try operations.authorityViews()
        guard !views.isEmpty else { throw Refusal(.missing, "There is no authority yet.", remedy: "Make one: `sallyport ca init`.") }
        let pem = try operations.records.authorities().map(\.certificate).joined()
        return Answer(
            authorities: views, pem: pem,
            warnings: CertificateCheck.authorities(try operations.records.authorities(), now: operations.now())
                .filter { $0.severity > .note }.map { $0.text + ($0.remedy.map { " \($0)" } ?? "") })
    }
}

extension RemoveAuthority {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let views = try operations.authorityViews()
        guard let view = views.first(where: { $0.id == authority }) else {
            throw Refusal(
                .missing, "There is no authority \(authority).",
                remedy: views.isEmpty ? "There is none at all." : "There is \(Words.list(views.map { "\($0.id) (\($0.name))" })).")
        }
        try await operations.records.removeAuthority(
            view.id,
            event: operations.event(.authorityRemoved, by: actor, ["authority": view.name, "certificates": "\(view.certificates)"]))
        try await operations.ports.changed(.certificates)
        return Done(
            "Removed authority \(view.name).",
            warnings: view.certificates > 0
                ? ["\(Words.count(view.certificates, "certificate")) of it held and opens nothing here now."] : [])
    }
}
