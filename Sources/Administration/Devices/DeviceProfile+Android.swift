// SPDX-License-Identifier: Apache-2.0
// A profile for strongSwan's app on Android (docs.strongswan.org, Android VPN client profiles).

internal import Foundation
internal import TLS

extension DeviceProfile {
    private struct AndroidProfile: Encodable {
        struct Remote: Encodable {
            var addr: String
            var id: String
            /// DER in base 64.
            var cert: String?
        }

        struct Local: Encodable {
            enum CodingKeys: String, CodingKey {
                case identity = "eap_id"
                case p12
            }

            var identity: String?
            /// Base 64; the app asks for its password.
            var p12: String?
        }

        var uuid: String
        var name: String
        var type: String
        var remote: Remote
        var local: Local
    }

    func androidProfile() throws -> [UInt8] {
        let type =
            switch method {
            case .tls: "ikev2-eap-tls"
            case .none: "ikev2-cert"
            case .ttls, .peap, .mschapv2, .gtc: "ikev2-eap"
            }
        let profile = AndroidProfile(
            uuid: identifier("profile").uuidString.lowercased(), name: connection, type: type,
            remote: AndroidProfile.Remote(addr: gateway, id: remoteID, cert: anchors.first.map { Data($0.bytes).base64EncodedString() }),
            local: AndroidProfile.Local(
                identity: method == .none ? nil : user, p12: credential.map { Data($0.pack).base64EncodedString() }))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(profile)) + [UInt8(ascii: "\n")]
    }
}
