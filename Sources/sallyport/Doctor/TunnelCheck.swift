// SPDX-License-Identifier: Apache-2.0
// The certificate that devices see by EAP, and what theirs are judged by: whether it still holds.

import Administration
import LoginEngine
import TLS

enum TunnelCheck {
    /// - Parameter offersTLS: whether a client offers EAP-TLS.
    static func findings(_ keeper: TunnelKeeper, offersTLS: Bool, now: Timestamp) -> [Finding] {
        guard let inForce = keeper.inForce else { return [] }
        var findings = [finding(inForce, file: keeper.own.file, now: now)]
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

    static func finding(_ inForce: TunnelKeeper.InForce, file: String, now: Timestamp) -> Finding {
        let end = Instant(inForce.expires)
        let remedy = "Put a new one into \(file), with its key, or take both away to have them made here; then restart the node."
        if inForce.expires <= now {
            return Finding(
                .certificateEnded, file, "The certificate \(inForce.subject) of EAP expired at \(end): devices refuse it.", remedy: remedy)
        }
        if inForce.expires - now <= RadSecKeeper.notice {
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
        guard expires - now <= RadSecKeeper.notice else { return nil }
        return Finding(
            .clientAuthorityEnding, files.authorities, "The authority \(authority.subject) of devices expires at \(Instant(expires)).",
            remedy: remedy)
    }

    private static func of(_ list: TrustedList, _ grace: Timestamp.Span, _ files: DeviceTrustFiles, now: Timestamp) -> Finding? {
        guard list.ends != .max, Timestamp(seconds: list.ends) < now else { return nil }
        let (end, last) = (Timestamp(seconds: list.ends), Timestamp(seconds: list.ends) + grace)
        let remedy = "Fetch the new list of this authority into \(files.revocations.joined(separator: ", ")); it is read within a minute."
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
        if files.revocations.isEmpty {
            return [
                Finding(
                    .revocationsNone, nil,
                    "No revocation list is looked up: a lost device is shut out only when its user is disabled.",
                    remedy: "Set eap.client-crl to the lists of the authorities, and have them fetched regularly.")
            ]
        }
        return devices.authorities.filter { authority in !devices.lists.contains { $0.issuer == authority.subject } }.map { authority in
            Finding(
                .revocationsNone, authority.subject,
                "There is no revocation list of \(authority.subject): certificates that it signed for devices itself are refused.",
                remedy: "Add its list to eap.client-crl, if it signs devices.")
        }
    }
}
