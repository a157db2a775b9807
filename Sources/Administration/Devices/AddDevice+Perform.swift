// SPDX-License-Identifier: Apache-2.0
// A certificate for a user's device, and the profile that sets the device up; or the profile alone, where the user proves it all.

internal import Foundation
internal import LoginEngine
internal import Store
internal import TLS

extension AddDevice {
    /// 100 random bits: however the pack is encrypted, nobody guesses them.
    private static let passwordSymbols = 20
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
    private static let longestAnchors = 256 << 10

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let user = try operations.user(user)
        let method = self.method ?? format.methods[0]
        guard format.methods.contains(method) else {
            throw Refusal(
                .invalid, "A \(format.rawValue) profile cannot do `\(method.rawValue)`.",
                remedy: "It does \(Words.list(format.methods.map(\.rawValue), "or")). See docs/clients.", place: "eap")
        }
        guard user.status != .disabled else {
            throw Refusal(
                .conflict, "\(user.name) is disabled: no device of theirs logs in.",
                remedy: "`sallyport user enable \(Words.argument(user.name))` first.")
        }
        let pack =
            try self.pack.map { text throws(Refusal) in
                guard let known = CertificatePack.Strength(rawValue: text) else {
                    throw Refusal(.invalid, "No kind of pack `\(Valid.shown(text))`.", remedy: "Use compatible or modern.", place: "pack")
                }
                return known
            } ?? .compatible
        let days = try Valid.number(self.days ?? Issuing.standardDays, in: Issuing.certificateDays, "days", unit: " days")
        let key = try Issuing.key(self.key)
        let now = operations.now()
        let devices = try operations.records.certificates(ofUser: user.id).filter { $0.revocation == nil && $0.ends > now }
        let label = try operations.freeDeviceLabel(self.label, among: devices, isNew: method.needsCertificate)
        var profile = try profile(user, label, method, operations)
        var issued: Operations.Issued?
        if method.needsCertificate {
            let authority = try operations.authorityInForce()
            var wish = Operations.Wish(
                usage: .client, commonName: Issuing.commonName(ofUser: user.name, by: authority.domains), days: days)
            wish.key = key
            wish.mails = [user.email].compactMap(\.self).filter { $0.utf8.allSatisfy { $0 < 0x80 } }
            let principal = ([user.name] + user.aliases.map(\.name)).first { $0.contains("@") } ?? user.email
            wish.principals = [principal].compactMap(\.self).filter { $0.utf8.count <= CertificateDraft.longestName }
            wish.device = NewCertificate.Device(user: user.id, label: label)
            let made = try await operations.issue(wish, by: actor) { text in
                operations.event(
                    .deviceAdded, by: actor, user: user.id,
                    subject: [PersonalFields.Field("name", user.name), PersonalFields.Field("device", label)],
                    ["serial": Issuing.hexadecimal(text.serial), "until": "\(Instant(Timestamp(seconds: text.peer.expires)))"])
            }
            issued = made
            let password = Self.password(operations.ports.random())
            profile.credential = try profile.credential(made, password: password, pack)
        }
        let files: [DeviceProfile.ProfileFile]
        do {
            files = try profile.files(for: format)
        } catch {
            // Nobody has its key.
            if let issued { try await operations.revoke(issued.record, .superseded, by: actor) }
            throw Refusal(
                .failed, "The \(format.rawValue) profile cannot be made: \(error)",
                remedy: issued == nil ? nil : "The certificate that was issued for it is revoked again; the other formats may do.")
        }
        return Answer(
            message: issued.map { "Issued a certificate for \"\(label)\" of \(user.name) until \(Instant($0.record.ends))." }
                ?? "Made a profile for \"\(label)\" of \(user.name), without a certificate.",
            certificate: issued.map { CertificateView($0.record, now: now) }, folder: profile.slug,
            files: files.map { File(path: $0.path, contents: SecretText(Data($0.bytes).base64EncodedString())) },
            password: format.hasPack ? profile.credential.map { SecretText($0.password) } : nil, next: profile.next(for: format),
            warnings: (issued?.warnings ?? []) + profile.warnings(for: format))
    }

    /// Everything but the certificate, so that none is issued for a profile that cannot be written.
    private func profile(
        _ user: UserRecord, _ label: String, _ method: DeviceMethod, _ operations: Operations
    ) throws -> DeviceProfile {
        let anchors: [CertificateText]
        if let pem = self.anchors {
            anchors = try Self.certificates(in: pem)
        } else {
            anchors = try operations.records.authorities().map { try CertificateText(pem: Array($0.certificate.utf8)) }
        }
        if method.needsCertificate { _ = try operations.authorityInForce() }
        var gateway = ""
        if !format.isBare {
            guard let text = self.gateway, !text.isEmpty else {
                throw Refusal(
                    .invalid, "A \(format.rawValue) profile needs the gateway.", remedy: "Add --gateway vpn.example.org.", place: "gateway")
            }
            gateway = try Self.address(text, "gateway")
        }
        let remoteID = try remoteID.map { try Self.identity($0, "remote-id") } ?? gateway
        let shown = operations.ports.eapShown()
        let server =
            try serverName.map { try Issuing.hostName($0, "server-name") } ?? shown?.name
            ?? operations.ports.eapServerName().map { try operations.nameOfServer($0) } ?? ""
        let connection = Valid.trimmed(self.connection ?? "VPN \(gateway)")
        guard (1...64).contains(connection.count), Valid.isPrintable(connection) else {
            throw Refusal(
                .invalid, "`\(Valid.shown(connection))` cannot be the name of a connection.",
                remedy: "Use 1 to 64 characters without control characters.", place: "connection")
        }
        var profile = DeviceProfile(
            user: user.name, label: label, method: method, gateway: gateway, remoteID: remoteID, serverName: server,
            connection: connection, anchors: anchors)
        if self.anchors == nil, !anchors.isEmpty, let shown {
            profile.isEAPForeign = try !operations.isOwnServer(fingerprint: shown.fingerprint)
        }
        return profile
    }

    /// A host's name or an address.
    private static func address(_ text: String, _ field: String) throws(Refusal) -> String {
        if NetworkAddress(text) != nil { return text }
        return try Issuing.hostName(text, field)
    }

    /// What stands in profiles and in settings of strongSwan: no blanks, quotes or anything else that ends a value.
    private static func identity(_ text: String, _ field: String) throws(Refusal) -> String {
        let isFine = (1...253).contains(text.utf8.count) && text.utf8.allSatisfy { PeerCertificate.isOfName($0) || "@:*".utf8.contains($0) }
        guard isFine else {
            throw Refusal(
                .invalid, "`\(Valid.shown(text))` cannot be a gateway's identity.", remedy: "Write it as vpn.example.org.", place: field)
        }
        return text
    }

    private static func certificates(in pem: String) throws -> [CertificateText] {
        guard pem.utf8.count <= longestAnchors else { throw Refusal(.invalid, "The file of authorities is too large.", place: "ca") }
        let mark = "-----BEGIN CERTIFICATE-----"
        var parts = pem.components(separatedBy: mark)
        parts.removeFirst()
        guard !parts.isEmpty else {
            throw Refusal(.invalid, "There is no certificate in PEM.", remedy: "Give the file of the authority.", place: "ca")
        }
        return try parts.map { part in
            do throws(TLSError) {
                return try CertificateText(pem: Array((mark + part).utf8))
            } catch {
                throw Refusal(.invalid, "\(error.description).", remedy: "Give the file of the authority.", place: "ca")
            }
        }
    }

    private static func password(_ random: any RandomNumberGenerator) -> Secret {
        var random = random
        var text: [UInt8] = []
        for index in 0..<passwordSymbols {
            if index > 0, index % 5 == 0 { text.append(UInt8(ascii: "-")) }
            text += Array(String(alphabet[Int.random(in: 0..<alphabet.count, using: &random)]).utf8)
        }
        return Secret(text)
    }
}

extension Operations {
    /// As given, or `device` with the first free number; two that hold are never called the same.
    func freeDeviceLabel(_ label: String?, among devices: [CertificateRecord], isNew: Bool) throws -> String {
        let taken = Set(devices.compactMap { $0.device?.label.lowercased() })
        if let label {
            let label = Valid.trimmed(label)
            guard (1...64).contains(label.count), Valid.isPrintable(label) else {
                throw Refusal(
                    .invalid, label.isEmpty ? "The device's name is empty." : "`\(Valid.shown(label))` cannot be a device's name.",
                    remedy: "Use 1 to 64 characters without control characters.", place: "name")
            }
            guard !isNew || !taken.contains(label.lowercased()) else {
                throw Refusal(
                    .conflict, "There is a device \"\(label)\" already.", remedy: "Revoke it first, or choose another name.", place: "name")
            }
            return label
        }
        for number in 1... {
            let label = number == 1 ? "device" : "device \(number)"
            if !isNew || !taken.contains(label) { return label }
        }
        return "device"
    }
}

extension ListDevices {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let user = try operations.user(user)
        let now = operations.now()
        return Answer(
            user: user.name, devices: try operations.records.certificates(ofUser: user.id).map { CertificateView($0, now: now) })
    }
}

extension RevokeDevice {
    package func perform(in operations: Operations, by actor: Actor) async throws -> Done {
        let user = try operations.user(user)
        let reason = try RevocationReason(reason)
        let all = try operations.records.certificates(ofUser: user.id)
        let open = all.filter { $0.revocation == nil }
        let wanted = Valid.trimmed(device).lowercased()
        let byLabel = open.filter { $0.device?.label.lowercased() == wanted }
        let found = byLabel.isEmpty && wanted.utf8.count >= 4 ? open.filter { Issuing.hexadecimal($0.serial).hasPrefix(wanted) } : byLabel
        guard let record = found.first else {
            let near = NearNames.nearest(to: wanted, among: open.compactMap { $0.device?.label })
            let remedy =
                near.isEmpty ? "See `sallyport user device list \(Words.argument(user.name))`." : NearNames.question(near)
            throw Refusal(.missing, "\(user.name) has no device `\(Valid.shown(device))`.", remedy: remedy, place: "device")
        }
        // Those of one name ended long ago, but for the newest.
        guard found.count == 1 || !byLabel.isEmpty else {
            throw Refusal(.conflict, "\(found.count) devices begin with \(wanted).", remedy: "Give more digits of it.", place: "device")
        }
        try await operations.revoke(record, reason, by: actor)
        return Done(
            "Revoked device \"\(record.device?.label ?? "")\" of \(user.name).",
            warnings: [
                "Gateways that check it themselves learn of it from the next list: `sallyport ca crl`.",
                "A session that is open goes on: `sallyport session disconnect --user \(Words.argument(user.name))` ends it.",
            ])
    }
}
