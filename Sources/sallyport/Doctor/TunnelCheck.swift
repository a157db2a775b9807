// SPDX-License-Identifier: Apache-2.0
// The certificate that devices see by EAP, and what theirs are judged by: whether it still holds.

import Administration
import LoginEngine
import TLS

enum TunnelCheck {
    /// - Parameter offersTLS: whether a client offers EAP-TLS.
    static func findings(_ keeper: TunnelKeeper, offersTLS: Bool, now: Timestamp) -> [Finding] {
        let fetched = keeper.lists.sources.compactMap { of($0) }
        guard let inForce = keeper.inForce else { return fetched }
        var findings = [finding(inForce, file: keeper.own.file, now: now)] + fetched
        if let health = keeper.status?.health, let problem = health.problem { findings.append(ofStatus(problem, health, keeper.files)) }
        if let health = keeper.staple?.health(at: now), let problem = health.problem { findings.append(ofStaple(problem, health)) }
        if let devices = inForce.devices {
            findings += self.findings(devices, keeper.files, now: now)
        } else if offersTLS {
            findings.append(
                Finding(
                    .clientAuthorityMissing, nil,
                    "A client offers EAP-TLS, and there is no authority that signs devices' certificates: nobody is let in.",
                    remedy: "Make one, `sallyport ca init`; or set eap.client-ca to a PEM file of yours, and restart the node."))
        }
        if let problem = inForce.problem {
            findings.append(
                Finding(
                    .certificateNotInForce, keeper.files.authorities,
                    "The authorities and revocation lists of devices as they are on disk are not in force: \(problem).",
                    remedy: "Put them right; they are read again within a minute."))
        }
        return findings
    }

    private static func of(_ source: ListKeeper.Source) -> Finding? {
        guard let problem = source.problem else { return nil }
        let since = source.failingSince.map { ", since \(Instant($0))" } ?? ""
        let kept =
            source.list.map { "the one of \($0.issuer) that is kept is due to be replaced by \(Instant(Timestamp(seconds: $0.ends)))" }
            ?? "there is none of an earlier time, so nobody is let in by certificates of its authority that has no other"
        return Finding(
            .revocationsNotFetched, source.address.text,
            "The revocation list at \(source.address) cannot be fetched\(since): \(problem); \(kept).",
            remedy:
                "See that this host reaches it, and that eap.client-crl-url and eap.client-ca belong together; it is tried again by itself."
        )
    }

    private static func ofStatus(_ problem: String, _ health: DeviceStatusKeeper.Health, _ files: DeviceTrustFiles) -> Finding {
        let since = health.failingSince.map { ", since \(Instant($0))" } ?? ""
        let what = files.status.acceptsSilence ? "devices are let in all the same" : "devices without an earlier answer are refused"
        return Finding(
            .statusUnanswered, nil, "No OCSP responder gives a good answer about devices' certificates\(since): \(problem); \(what).",
            remedy: "See that this host reaches the responder, and that eap.client-ocsp is right.")
    }

    private static func ofStaple(_ problem: String, _ health: StapleKeeper.Health) -> Finding {
        let kept = health.ends.map { "an earlier answer is shown until \(Instant($0))" } ?? "devices that ask for it are shown nothing"
        return Finding(
            .stapleMissing, nil, "There is no new OCSP answer to show beside the certificate of EAP: \(problem); \(kept).",
            remedy: "See that this host reaches the responder, that eap.server-ocsp is right, and that eap/server.pem holds who signed it.")
    }

    static func finding(_ inForce: TunnelKeeper.InForce, file: String, now: Timestamp) -> Finding {
        let end = Instant(inForce.expires)
        let remedy = "Put a new one into \(file), with its key, or take both away to have them made here; then restart the node."
        if inForce.expires <= now {
            return Finding(
                .certificateEnded, file, "The certificate \(inForce.subject) of EAP expired at \(end): devices refuse it.", remedy: remedy)
        }
        if inForce.expires - now <= CertificateWatch.notice {
            return Finding(.certificateEnding, file, "The certificate \(inForce.subject) of EAP expires at \(end).", remedy: remedy)
        }
        return Finding(.certificateRight, file, "EAP-TTLS, PEAP and EAP-TLS show \(inForce.subject), which holds until \(end).")
    }

    static func findings(_ devices: TunnelKeeper.Devices, _ files: DeviceTrustFiles, now: Timestamp) -> [Finding] {
        // The authority of the database has a check of its own, and needs no list.
        guard !devices.authorities.isEmpty else { return [] }
        let findings =
            devices.authorities.compactMap { of($0, files, now: now) }
            + devices.lists.compactMap { of($0, devices.grace, files, now: now) } + ofMissing(devices, files)
        return findings.orElse(
            Finding(
                .clientAuthorityRight, files.authorities,
                "Devices show certificates of \(Words.count(devices.authorities.count, "authority", "authorities")), with "
                    + "\(Words.count(devices.lists.count, "revocation list")) in force."))
    }

    private static func of(_ authority: TrustedAuthority, _ files: DeviceTrustFiles, now: Timestamp) -> Finding? {
        let expires = Timestamp(seconds: authority.expires)
        let remedy =
            "Put its successor beside it into \(files.authorities ?? ""), and issue devices new certificates; the file is read within a minute."
        if expires <= now {
            return Finding(
                .clientAuthorityEnded, files.authorities,
                "The authority \(authority.subject) of devices expired at \(Instant(expires)): nobody is let in by "
                    + "its certificates.", remedy: remedy)
        }
        guard expires - now <= CertificateWatch.notice else { return nil }
        return Finding(
            .clientAuthorityEnding, files.authorities, "The authority \(authority.subject) of devices expires at \(Instant(expires)).",
            remedy: remedy)
    }

    private static func of(_ list: TrustedList, _ grace: Timestamp.Span, _ files: DeviceTrustFiles, now: Timestamp) -> Finding? {
        guard list.ends != .max, Timestamp(seconds: list.ends) < now else { return nil }
        let (end, last) = (Timestamp(seconds: list.ends), Timestamp(seconds: list.ends) + grace)
        let remedy =
            files.addresses.isEmpty
            ? "Fetch the new list of this authority into \(files.revocations.joined(separator: ", ")); it is read within a minute."
            : "See that its authority publishes a new list at \(files.addresses.map(\.text).joined(separator: ", "))."
        if last < now {
            return Finding(
                .revocationsEnded, list.issuer,
                "The revocation list of \(list.issuer) was to be replaced by \(Instant(end)), and is believed no "
                    + "more: nobody is let in by its certificates.", remedy: remedy)
        }
        return Finding(
            .revocationsOld, list.issuer,
            "The revocation list of \(list.issuer) was to be replaced by \(Instant(end)); it is believed until \(Instant(last)), then nobody is let "
                + "in by its certificates.", remedy: remedy)
    }

    private static func ofMissing(_ devices: TunnelKeeper.Devices, _ files: DeviceTrustFiles) -> [Finding] {
        if !files.wantsLists {
            // Whoever asks responders needs none.
            if files.status.responder != .none { return [] }
            return [
                Finding(
                    .revocationsNone, nil,
                    "No revocation list is looked up: a lost device is shut out only when its user is disabled.",
                    remedy: "Set eap.client-crl-url to where the authorities publish their lists.")
            ]
        }
        return devices.authorities.filter { authority in !devices.lists.contains { $0.issuer == authority.subject } }.map { authority in
            Finding(
                .revocationsNone, authority.subject,
                "There is no revocation list of \(authority.subject): certificates that it signed for devices itself are refused.",
                remedy: "Add its list to eap.client-crl-url or eap.client-crl, if it signs devices.")
        }
    }
}
