// SPDX-License-Identifier: Apache-2.0
// Certificates one by one: issue, list, revoke; and the list of what is revoked.

internal import Foundation
internal import LoginEngine
internal import Store
internal import TLS

extension CertificateView {
    init(_ record: CertificateRecord, now: Timestamp) {
        let state =
            if record.revocation != nil {
                "revoked"
            } else if record.ends <= now {
                "ended"
            } else {
                record.device?.isHeld == true ? "held" : "valid"
            }
        self.init(
            serial: Issuing.hexadecimal(record.serial), authority: record.authority,
            usage: record.device == nil ? record.usage.rawValue : "device",
            // A device whose user is gone: nobody's.
            name: record.device?.userName ?? record.subject ?? "(removed)", device: record.device?.label, state: state,
            begins: Instant(record.begins), ends: Instant(record.ends),
            fingerprint: PeerCertificate.text(ofFingerprint: record.fingerprint), issuedBy: record.issuedBy,
            revoked: record.revocation.map { Instant($0.at) }, reason: record.revocation?.reason.rawValue)
    }
}

extension RevocationReason {
    static var offered: [RevocationReason] { allCases.filter { $0 != .hold } }

    init(_ text: String?) throws(Refusal) {
        guard let text else {
            self = .unspecified
            return
        }
        guard let reason = RevocationReason(rawValue: text), reason != .hold else {
            throw Refusal(
                .invalid, "No reason `\(Valid.shown(text))`.", remedy: "Use \(Words.list(Self.offered.map(\.rawValue), "or")).",
                place: "reason")
        }
        self = reason
    }
}

extension IssueCertificate {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        guard let usage = CertificateUsage(rawValue: usage) else {
            throw Refusal(.invalid, "No usage `\(Valid.shown(usage))`.", remedy: "Use server or client.", place: "usage")
        }
        let days = try Valid.number(days ?? Issuing.standardDays, in: Issuing.certificateDays, "days", unit: " days")
        var hosts: [String] = []
        var name = Valid.trimmed(name)
        if usage == .server { name = try Issuing.hostName(name, "name") }
        for host in (usage == .server ? [name] : []) + dnsNames {
            let host = try Issuing.hostName(host, "dns")
            if !hosts.contains(host) { hosts.append(host) }
        }
        guard (1...CertificateDraft.longestCommonName).contains(name.unicodeScalars.count), Valid.isPrintable(name) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(name))` cannot be the name of a certificate.",
                remedy: "Use 1 to \(CertificateDraft.longestCommonName) characters without control characters.", place: "name")
        }
        var wish = Operations.Wish(usage: usage, commonName: name, dnsNames: hosts, days: days)
        wish.key = try Issuing.key(key)
        wish.subject = name
        let issued = try await operations.issue(wish, by: actor) { text in
            operations.event(
                .certificateIssued, by: actor,
                ["certificate": name, "usage": usage.rawValue, "serial": Issuing.hexadecimal(text.serial)])
        }
        return Answer(
            message: "Issued \(name) until \(Instant(issued.record.ends)).",
            certificate: CertificateView(issued.record, now: operations.now()),
            pem: String(decoding: issued.certificate.certificate, as: UTF8.self), key: SecretText(Secret(issued.certificate.key)),
            authority: issued.authority.certificate, warnings: issued.warnings)
    }
}

extension Operations {
    /// By its serial number, or a beginning of it.
    func certificate(_ text: String) throws -> CertificateRecord {
        let wanted = text.lowercased().filter { $0 != ":" && !$0.isWhitespace }
        guard wanted.utf8.count >= 4, wanted.allSatisfy({ $0.isHexDigit }) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` is not a serial number.",
                remedy: "Give four hexadecimal digits or more, as `sallyport ca list` shows them.", place: "serial")
        }
        let found = try records.certificates().filter { Issuing.hexadecimal($0.serial).hasPrefix(wanted) }
        guard let first = found.first else {
            throw Refusal(
                .missing, "No certificate has the serial number \(wanted).", remedy: "See `sallyport ca list`.", place: "serial")
        }
        guard found.count == 1 else {
            throw Refusal(
                .conflict, "\(found.count) certificates begin with \(wanted).", remedy: "Give more digits of it.", place: "serial")
        }
        return first
    }

    func revoke(_ record: CertificateRecord, _ reason: RevocationReason, by actor: Actor) async throws {
        let details: KeyValuePairs = ["serial": Issuing.hexadecimal(record.serial), "reason": reason.rawValue]
        var event = event(.certificateRevoked, by: actor, details)
        if let device = record.device {
            event = self.event(
                .deviceRevoked, by: actor, user: device.user,
                subject: [PersonalFields.Field("name", device.userName), PersonalFields.Field("device", device.label)], details)
        } else if let subject = record.subject {
            event.details.insert(Event.Detail("certificate", subject), at: 0)
        }
        try await records.revokeCertificate(record.id, reason, at: now(), event: event)
        try await ports.changed(.certificates)
    }
}

extension RevokeCertificate {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let record = try operations.certificate(serial)
        let view = CertificateView(record, now: operations.now())
        let whose = view.device.map { "\"\($0)\" of \(view.name)" } ?? view.name
        if let revocation = record.revocation {
            return Done("Nothing to change: the certificate of \(whose) was revoked at \(Instant(revocation.at)).")
        }
        try await operations.revoke(record, try RevocationReason(reason), by: actor)
        return Done(
            "Revoked the certificate of \(whose).",
            warnings: ["Gateways that check it themselves learn of it from the next list: `sallyport ca crl`."])
    }
}

extension ListCertificates {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let now = operations.now()
        if let usage, !["server", "client", "device"].contains(usage) {
            throw Refusal(.invalid, "No usage `\(Valid.shown(usage))`.", remedy: "Use server, client or device.", place: "usage")
        }
        let end = try endingDays.map { now + .minutes(Int64(try Valid.number($0, in: 1...3_650, "expiring", unit: " days")) * 24 * 60) }
        let views = try operations.records.certificates().map { CertificateView($0, now: now) }.filter { view in
            (usage == nil || view.usage == usage) && (!isRevoked || view.state == "revoked")
                && (end == nil || (["valid", "held"].contains(view.state) && view.ends.timestamp <= end ?? now))
        }
        return Answer(certificates: views)
    }
}

extension SignRevocationList {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let days = try Valid.number(days ?? Issuing.standardListDays, in: Issuing.listDays, "days", unit: " days")
        let all = try operations.records.authorities()
        let record =
            try authority.map { id in
                guard let found = all.first(where: { $0.id == id }) else {
                    throw Refusal(.missing, "There is no authority \(id).", remedy: "See `sallyport ca show`.", place: "authority")
                }
                return found
            } ?? operations.authorityInForce()
        let now = operations.now()
        let (list, count) = try operations.revocationList(of: record, lasting: .minutes(Int64(days) * 24 * 60))
        guard let view = try operations.authorityViews().first(where: { $0.id == record.id }) else {
            throw Refusal(.missing, "There is no authority \(record.id).", remedy: "See `sallyport ca show`.", place: "authority")
        }
        return Answer(
            authority: view, pem: String(decoding: list.pem, as: UTF8.self), der: Data(list.bytes).base64EncodedString(),
            signed: Instant(now), next: Instant(now + .minutes(Int64(days) * 24 * 60)), certificates: count)
    }
}
