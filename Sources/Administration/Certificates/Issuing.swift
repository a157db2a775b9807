// SPDX-License-Identifier: Apache-2.0
// What every certificate goes through: the authority in force, how long, and that it stands in the database before anybody has it.

internal import Foundation
internal import LoginEngine
package import Store
internal import TLS

/// The rules by which certificates are made here.
enum Issuing {
    static let authorityDays = 1...7_300
    static let standardAuthorityDays = 3_650
    /// Apple's devices take no certificate of a server that lasts longer.
    static let certificateDays = 1...825
    static let standardDays = 397
    static let listDays = 1...90
    static let standardListDays = 7
    static let serialBytes = 16
    /// Clocks of devices differ.
    static let leeway = Timestamp.Span.minutes(60)
    /// What ended longer ago than this leaves the revocation list.
    static let afterEnd = Timestamp.Span.minutes(7 * 24 * 60)

    static func key(_ text: String?) throws(Refusal) -> CertificateKey {
        guard let text else { return .p256 }
        guard let key = CertificateKey(rawValue: text.lowercased().filter { $0 != "-" }) else {
            throw Refusal(.invalid, "No kind of key `\(Valid.shown(text))`.", remedy: "Use p256 or rsa3072.", place: "key")
        }
        return key
    }

    static func hostName(_ text: String, _ field: String) throws(Refusal) -> String {
        let name = text.lowercased()
        let bare = name.hasPrefix("*.") ? String(name.dropFirst(2)) : name
        let labels = bare.split(separator: ".", omittingEmptySubsequences: false)
        let isName =
            bare.utf8.count <= CertificateDraft.longestName
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.utf8.allSatisfy { PeerCertificate.isOfName($0) }
            }
        guard isName, !labels.allSatisfy({ $0.allSatisfy(\.isNumber) }) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is not the name of a host.", remedy: "Write it as vpn.example.org; an address is none.",
                place: field)
        }
        return name
    }

    /// Whether an authority of these domains can vouch for a host (RFC 5280 §4.2.1.10).
    static func covers(_ domains: [String], _ host: String) -> Bool {
        let host = host.hasPrefix("*.") ? String(host.dropFirst(2)) : host
        return domains.isEmpty || domains.contains { host == $0 || host.hasSuffix("." + $0) }
    }

    /// The common name of a user's certificate. An authority that is held to domains would refuse one that looks like a host's.
    static func commonName(ofUser name: String, by domains: [String]) -> String {
        let longest = CertificateDraft.longestCommonName
        let isLikeHost = !domains.isEmpty && name.contains(".") && name.utf8.allSatisfy(PeerCertificate.isOfName)
        let suffix = isLikeHost ? " (user)" : ""
        return String(String.UnicodeScalarView(name.unicodeScalars.prefix(longest - suffix.unicodeScalars.count))) + suffix
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension IssuedCertificate {
    /// - Returns: nil where its key does not open.
    init?(_ record: AuthorityRecord) {
        guard let key = record.key else { return nil }
        self.init(certificate: Array(record.certificate.utf8), key: key.reveal { Array($0) })
    }
}

extension Refusal {
    init(making error: TLSError) {
        self.init(.failed, "\(error.description.prefix(1).uppercased())\(error.description.dropFirst()).", remedy: "Nothing was changed.")
    }
}

extension Operations {
    /// The name of a server as the authority in force can vouch for it: a bare one is put into its domain.
    package func nameOfServer(_ name: String) throws(StoreError) -> String {
        guard let domains = try records.authorities().first?.domains, let domain = domains.first, !name.contains(".") else { return name }
        return "\(name).\(domain)"
    }

    package func hasAuthority() throws(StoreError) -> Bool { try !records.authorities().isEmpty }

    /// Whether a server's certificate was issued here.
    package func isOwnServer(fingerprint: [UInt8]) throws(StoreError) -> Bool {
        try records.certificate(fingerprint: fingerprint)?.usage == .server
    }

    func revocationList(of authority: AuthorityRecord, lasting span: Timestamp.Span) throws -> (list: RevocationList, count: Int) {
        let now = now()
        let revoked = try records.revokedSerials(ofAuthority: authority.id, endedAfter: now - Issuing.afterEnd, at: now)
        let entries = revoked.map { RevocationList.Entry(serial: $0.serial, at: $0.at.seconds, reason: .init($0.reason)) }
        let issuer = try issuer(authority)
        do throws(TLSError) {
            return (
                try RevocationList(
                    entries, by: issuer, at: now.seconds, next: (now + span).seconds, number: now.microseconds), entries.count
            )
        } catch {
            throw Refusal(making: error)
        }
    }

    /// The one that issues.
    func authorityInForce() throws -> AuthorityRecord {
        guard let authority = try records.authorities().first else {
            throw Refusal(.missing, "There is no authority yet.", remedy: "Make one: `sallyport ca init`.")
        }
        return authority
    }

    func issuer(_ authority: AuthorityRecord) throws(Refusal) -> IssuedCertificate {
        guard let issuer = IssuedCertificate(authority) else {
            throw Refusal(
                .failed, "The key of authority \(authority.name) does not open.",
                remedy: "Restore a backup, or make another authority: `sallyport ca init --replace`.")
        }
        return issuer
    }

    /// What is to be in a certificate besides what every one has.
    struct Wish {
        var usage: CertificateUsage
        var commonName: String
        var dnsNames: [String] = []
        var mails: [String] = []
        var principals: [String] = []
        var key = CertificateKey.p256
        var days: Int
        /// Who stands in the list of certificates; nil for a device.
        var subject: String?
        var device: NewCertificate.Device?
    }

    struct Issued {
        var certificate: IssuedCertificate
        var text: CertificateText
        var record: CertificateRecord
        var authority: AuthorityRecord
        var warnings: [String]
    }

    /// Makes it, writes it down, and only then gives it away: none is out there that could not be revoked.
    func issue(_ wish: Wish, by actor: Actor, event: (CertificateText) -> Event) async throws -> Issued {
        let authority = try authorityInForce()
        let now = now()
        guard authority.ends > now else {
            throw Refusal(
                .conflict, "Authority \(authority.name) ended at \(Instant(authority.ends)).",
                remedy: "Make another one: `sallyport ca init --replace`.")
        }
        if let stranger = wish.dnsNames.first(where: { !Issuing.covers(authority.domains, $0) }) {
            throw Refusal(
                .invalid, "Authority \(authority.name) cannot vouch for \(Valid.shown(stranger)).",
                remedy: "It is held to \(Words.list(authority.domains)), and what lies below.", place: "name")
        }
        let wanted = now + .minutes(Int64(wish.days) * 24 * 60)
        // Nobody believes what lasts longer than who signed it.
        let ends = min(wanted, authority.ends)
        var random = ports.random()
        let serial = (0..<Issuing.serialBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let begins = max(now - Issuing.leeway, authority.begins)
        var draft = CertificateDraft(
            wish.usage == .server ? .server : .client, commonName: wish.commonName, begins: begins.seconds, ends: ends.seconds,
            serial: serial)
        (draft.dnsNames, draft.mails, draft.principals) = (wish.dnsNames, wish.mails, wish.principals)
        let issuer = try issuer(authority)
        let (made, text): (IssuedCertificate, CertificateText)
        do throws(TLSError) {
            made = try IssuedCertificate(draft, key: wish.key, by: issuer)
            text = try CertificateText(pem: made.certificate)
        } catch {
            throw Refusal(making: error)
        }
        var new = NewCertificate(
            authority: authority.id, serial: text.serial, fingerprint: text.peer.fingerprint, usage: wish.usage, begins: begins,
            ends: ends, issuedBy: actor.description)
        (new.subject, new.device) = (wish.subject, wish.device)
        _ = try await records.addCertificate(new, event: event(text))
        guard let record = try records.certificate(fingerprint: text.peer.fingerprint) else {
            throw Refusal(.failed, "The certificate was written and is gone again.", remedy: "See `sallyport audit list`.")
        }
        var warnings: [String] = []
        if wanted > authority.ends {
            warnings.append("The certificate ends with its authority, at \(Instant(ends)): make another authority in time.")
        }
        return Issued(certificate: made, text: text, record: record, authority: authority, warnings: warnings)
    }
}

extension RevocationList.Reason {
    init(_ reason: RevocationReason) {
        self =
            switch reason {
            case .unspecified: .unspecified
            case .keyCompromise: .keyCompromise
            case .affiliationChanged: .affiliationChanged
            case .superseded: .superseded
            case .cessation: .cessation
            case .hold: .hold
            }
    }
}
