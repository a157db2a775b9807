// SPDX-License-Identifier: Apache-2.0
// A configuration profile for iOS, iPadOS and macOS (Apple, Device Management: VPN.IKEv2, CertificatePKCS12, CertificateRoot).

internal import Foundation
internal import TLS

extension DeviceProfile {
    private static let configuration = "Configuration"

    func appleProfile() throws -> [UInt8] {
        let identity = identifier("identity")
        var payloads: [PropertyListValue] = []
        for (index, anchor) in anchors.enumerated() {
            payloads.append(
                payload(
                    "com.apple.security.root", "authority-\(index + 1)", anchor.peer.commonNames.first ?? "CA",
                    ["PayloadContent": .bytes(anchor.bytes), "PayloadCertificateFileName": .text("ca-\(index + 1).cer")]))
        }
        if let credential {
            // No password in it: the device asks for it.
            payloads.append(
                payload(
                    "com.apple.security.pkcs12", "identity", "\(user), \(label)",
                    ["PayloadContent": .bytes(credential.pack), "PayloadCertificateFileName": .text(slug + ".p12")]))
        }
        payloads.append(
            payload(
                "com.apple.vpn.managed", "vpn", connection,
                [
                    "UserDefinedName": .text(connection), "VPNType": "IKEv2",
                    "IKEv2": .table(appleIKE(identity: credential == nil ? nil : identity)),
                ]))
        return try payload(
            Self.configuration, "profile", connection,
            ["PayloadContent": .list(payloads), "PayloadDescription": .text("\(connection) for \(user)")]
        ).written()
    }

    private func payload(_ type: String, _ part: String, _ name: String, _ content: [String: PropertyListValue]) -> PropertyListValue {
        let identifier = identifier(part).uuidString
        let own: [String: PropertyListValue] = [
            "PayloadType": .text(type), "PayloadVersion": 1, "PayloadUUID": .text(identifier), "PayloadDisplayName": .text(name),
            "PayloadIdentifier": .text("sallyport.\(identifier.lowercased())"),
        ]
        return .table(own.merging(content) { $1 })
    }

    private func appleIKE(identity: UUID?) -> [String: PropertyListValue] {
        let proposal: PropertyListValue = [
            "EncryptionAlgorithm": "AES-256", "IntegrityAlgorithm": "SHA2-256", "DiffieHellmanGroup": 14,
        ]
        var settings: [String: PropertyListValue] = [
            "RemoteAddress": .text(gateway), "RemoteIdentifier": .text(remoteID), "LocalIdentifier": .text(localIdentity),
            "DeadPeerDetectionRate": "Medium",
            "IKESecurityAssociationParameters": proposal, "ChildSecurityAssociationParameters": proposal,
        ]
        if let authority = anchors.first?.peer.commonNames.first {
            settings["ServerCertificateIssuerCommonName"] = .text(authority)
            settings["ServerCertificateCommonName"] = .text(remoteID)
        }
        // `None` with extended authentication is EAP alone; the certificate is then EAP-TLS's.
        settings["AuthenticationMethod"] = method == .none ? "Certificate" : "None"
        settings["ExtendedAuthEnabled"] = method == .none ? 0 : 1
        if let identity {
            settings["PayloadCertificateUUID"] = .text(identity.uuidString)
            settings["CertificateType"] = credential?.text.isRSA == true ? "RSA" : "ECDSA256"
        }
        if method == .tls { settings["TLSMinimumVersion"] = "1.2" }
        // The password is asked for, each time.
        if !method.needsCertificate { settings["AuthName"] = .text(user) }
        return settings
    }

    /// What the device calls itself: by the certificate alone it has to stand in it.
    var localIdentity: String {
        guard method == .none, let peer = credential?.text.peer else { return user }
        return peer.mails.first ?? peer.principals.first ?? peer.commonNames.first ?? user
    }
}
