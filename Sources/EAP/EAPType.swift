// SPDX-License-Identifier: Apache-2.0
// The types of Requests and Responses (RFC 3748 §5; the registry of IANA).

public struct EAPType: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// RFC 3748 §5.1
    public static let identity = EAPType(rawValue: 1)
    /// RFC 3748 §5.2
    public static let notification = EAPType(rawValue: 2)
    /// RFC 3748 §5.3.1
    public static let nak = EAPType(rawValue: 3)
    /// RFC 3748 §5.4
    public static let md5Challenge = EAPType(rawValue: 4)
    /// RFC 3748 §5.6
    public static let genericTokenCard = EAPType(rawValue: 6)
    /// RFC 5216, RFC 9190
    public static let tls = EAPType(rawValue: 13)
    /// RFC 5281
    public static let ttls = EAPType(rawValue: 21)
    /// draft-josefsson-pppext-eap-tls-eap
    public static let peap = EAPType(rawValue: 25)
    /// draft-kamath-pppext-eap-mschapv2
    public static let msCHAPv2 = EAPType(rawValue: 26)
    /// Inside PEAP (draft-josefsson-pppext-eap-tls-eap §4.2)
    public static let extensions = EAPType(rawValue: 33)
    /// RFC 3748 §5.7
    public static let expanded = EAPType(rawValue: 254)
}

extension EAPType: CustomStringConvertible {
    public var description: String {
        switch self {
        case .identity: "EAP-Identity"
        case .notification: "EAP-Notification"
        case .nak: "EAP-Nak"
        case .md5Challenge: "EAP-MD5"
        case .genericTokenCard: "EAP-GTC"
        case .tls: "EAP-TLS"
        case .ttls: "EAP-TTLS"
        case .peap: "PEAP"
        case .msCHAPv2: "EAP-MSCHAPv2"
        default: "EAP type \(rawValue)"
        }
    }
}
