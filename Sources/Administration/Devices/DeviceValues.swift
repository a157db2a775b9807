// SPDX-License-Identifier: Apache-2.0
// Devices of users: their certificates, and the profiles by which they are set up.

/// What a profile is written for.
package enum DeviceFormat: String, Codable, Sendable, CaseIterable {
    case pem
    case p12
    /// iOS, iPadOS and macOS.
    case mobileconfig
    /// strongSwan's app for Android.
    case sswan
    /// Windows.
    case powershell
    /// NetworkManager with strongSwan's plugin.
    case nm
    case swanctl

    /// Without a gateway: a certificate alone.
    package var isBare: Bool { self == .pem || self == .p12 }

    /// What the client can do, the first is taken where none is named.
    package var methods: [DeviceMethod] {
        switch self {
        case .pem, .p12: [.tls, .none]
        case .mobileconfig: [.tls, .none, .mschapv2]
        case .sswan: [.tls, .none, .mschapv2, .gtc]
        case .powershell: [.tls, .none, .ttls, .peap, .mschapv2]
        case .nm: [.tls, .none, .mschapv2, .gtc, .ttls]
        case .swanctl: [.tls, .none, .mschapv2, .gtc, .ttls]
        }
    }
}

/// How the device proves who its user is.
package enum DeviceMethod: String, Codable, Sendable, CaseIterable {
    case tls
    /// No EAP: the certificate, which the gateway checks itself.
    case none
    case ttls
    case peap
    case mschapv2
    case gtc

    package var needsCertificate: Bool { self == .tls || self == .none }
    /// Whether the node shows a certificate to the device.
    var hasTunnel: Bool { self == .tls || self == .ttls || self == .peap }
}

package struct AddDevice: AdminOperation {
    package static let verb = "device.add"
    package var user: String
    package var label: String?
    package var format: DeviceFormat
    package var method: DeviceMethod?
    /// Where the gateway answers.
    package var gateway: String?
    /// What the gateway calls itself; nil: as it is addressed.
    package var remoteID: String?
    /// The name in the certificate that EAP shows; nil: the node's.
    package var serverName: String?
    /// How the device calls the connection.
    package var connection: String?
    /// PEM: whom the device believes in place of the authorities here.
    package var anchors: String?
    package var key: String?
    package var days: Int?
    /// `compatible` or `modern`.
    package var pack: String?

    package init(user: String, label: String? = nil, format: DeviceFormat, method: DeviceMethod? = nil, gateway: String? = nil) {
        (self.user, self.label, self.format, self.method, self.gateway) = (user, label, format, method, gateway)
    }

    package struct File: Codable, Sendable {
        /// With folders in it.
        package var path: String
        /// Base 64. Most hold a private key.
        package var contents: SecretText
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        /// Nil where the profile has none.
        package var certificate: CertificateView?
        /// What the folder is to be called.
        package var folder: String
        package var files: [File]
        /// Of the PKCS #12 in them: shown once.
        package var password: SecretText?
        /// What to do with them.
        package var next: String
        package var warnings: [String]
    }
}

package struct ListDevices: AdminOperation {
    package static let verb = "device.list"
    package var user: String

    package init(user: String) {
        self.user = user
    }

    package struct Answer: Codable, Sendable {
        package var user: String
        package var devices: [CertificateView]
    }
}

package struct RevokeDevice: AdminOperation {
    package static let verb = "device.revoke"
    package var user: String
    /// Its label, or the beginning of its certificate's serial number.
    package var device: String
    package var reason: String?

    package init(user: String, device: String, reason: String? = nil) {
        (self.user, self.device, self.reason) = (user, device, reason)
    }
}
