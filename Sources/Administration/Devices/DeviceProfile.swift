// SPDX-License-Identifier: Apache-2.0
// What a profile says, whatever it is written for. Writing one decides nothing and knows no clock: the same facts give the same file.

internal import Crypto
internal import Foundation
internal import LoginEngine
internal import Store
internal import TLS

struct DeviceProfile {
    struct Credential {
        var certificate: [UInt8]
        var key: Secret
        var pack: [UInt8]
        var password: Secret
        var text: CertificateText
    }

    struct ProfileFile: Equatable {
        var path: String
        var bytes: [UInt8]

        init(_ path: String, _ bytes: [UInt8]) {
            (self.path, self.bytes) = (path, bytes)
        }

        init(_ path: String, _ text: String) {
            self.init(path, Array(text.utf8))
        }
    }

    var user: String
    var label: String
    var method: DeviceMethod
    var gateway: String
    var remoteID: String
    var serverName: String
    var connection: String
    var anchors: [CertificateText]
    var credential: Credential?
    /// EAP shows what none of the anchors issued, as far as is known.
    var isEAPForeign = false

    func credential(
        _ issued: Operations.Issued, password: Secret, _ strength: CertificatePack.Strength
    ) throws(Refusal) -> Credential {
        do throws(TLSError) {
            let pack = try CertificatePack.pack(
                issued.certificate, authority: Array(issued.authority.certificate.utf8), name: "\(user), \(label)",
                password: password.reveal { Array($0) }, strength)
            return Credential(
                certificate: issued.certificate.certificate, key: Secret(issued.certificate.key), pack: pack, password: password,
                text: issued.text)
        } catch {
            throw Refusal(making: error)
        }
    }

    func files(for format: DeviceFormat) throws -> [ProfileFile] {
        switch format {
        case .pem: try bare + anchorFiles("ca")
        case .p12: credential.map { [ProfileFile(slug + ".p12", $0.pack)] } ?? []
        case .mobileconfig: [ProfileFile(slug + ".mobileconfig", try appleProfile())]
        case .sswan: [ProfileFile(slug + ".sswan", try androidProfile())]
        case .powershell: try windowsFiles()
        case .nm: try networkManagerFiles()
        case .swanctl: try swanctlFiles()
        }
    }

    private var bare: [ProfileFile] {
        guard let credential else { return [] }
        return [
            ProfileFile(slug + ".pem", credential.certificate), ProfileFile(slug + ".key", credential.key.reveal { Array($0) }),
        ]
    }

    /// One certificate a file: some programs read no more than the first.
    func anchorFiles(_ name: String) throws -> [ProfileFile] {
        try anchors.enumerated().map { index, anchor in
            ProfileFile("\(name)\(index == 0 ? "" : "-\(index + 1)").pem", try CertificateText.pem(of: anchor.bytes))
        }
    }

    /// Of lower-case letters, digits and hyphens: it stands in names of files and sections.
    var slug: String { Self.slug(of: "\(user) \(label)") }

    static func slug(of text: String) -> String {
        var slug = ""
        for byte in text.lowercased().utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                slug.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: "'"): break
            default: if !slug.isEmpty, !slug.hasSuffix("-") { slug += "-" }
            }
        }
        while slug.hasSuffix("-") { slug.removeLast() }
        return slug.isEmpty ? "device" : String(slug.prefix(60))
    }

    /// The same for the same device of the same user at the same gateway, so that a newer profile takes the older one's place
    /// (RFC 9562 §5.5, in a namespace of our own).
    func identifier(_ part: String) -> UUID {
        let namespace: [UInt8] = [0x5a, 0x11, 0x19, 0x02, 0x7e, 0x3c, 0x4d, 0x0f, 0x9b, 0x61, 0xd5, 0x2a, 0x80, 0x4e, 0x17, 0xc3]
        let name = [gateway, user, label, part].joined(separator: "\u{0}")
        var bytes = Array(Insecure.SHA1.hash(data: namespace + Array(name.utf8)).prefix(16))
        bytes[6] = bytes[6] & 0x0f | 0x50
        bytes[8] = bytes[8] & 0x3f | 0x80
        return UUID(
            uuid: (
                bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9], bytes[10], bytes[11],
                bytes[12], bytes[13], bytes[14], bytes[15]
            ))
    }

    func next(for format: DeviceFormat) -> String {
        switch format {
        case .pem: "Give the key to nobody but the device."
        case .p12: "Open the file on the device and type the password above; send the two by different ways."
        case .mobileconfig: "Open the file on the device: Settings > General > VPN & Device Management installs it."
        case .sswan: "Open the file on the device: strongSwan's app imports it."
        case .powershell: "On the device, as its user: powershell -ExecutionPolicy Bypass -File install.ps1"
        case .nm: "Its first lines say where the files go."
        case .swanctl: "Copy the folders into /etc/swanctl, then: swanctl --load-all && swanctl --initiate --child \(slug)"
        }
    }

    func warnings(for format: DeviceFormat) -> [String] {
        var warnings: [String] = []
        if anchors.isEmpty, !format.isBare {
            warnings.append(
                "The profile names no authority, so the gateway needs a certificate that the device believes by itself. "
                    + "`sallyport ca init` makes an authority, --ca names another.")
        }
        if method.hasTunnel, serverName.isEmpty, !format.isBare {
            warnings.append(
                "The profile does not say which name EAP's certificate has: any server of the authority could ask for the user's proof. "
                    + "Add --server-name.")
        }
        if method.hasTunnel, isEAPForeign, !format.isBare {
            warnings.append(
                "The certificate that EAP shows here is not of the authority in the profile: the device will refuse it. Name its authority with "
                    + "--ca, or move EAP to this one (docs/run/certificates.md).")
        }
        if format == .swanctl, method != .tls, method != .none {
            warnings.append(
                "The password is not in the file: add a section `secrets { eap-\(slug) { id = …, secret = … } }` on the device.")
        }
        return warnings
    }
}

extension DeviceFormat {
    var hasPack: Bool { [.p12, .mobileconfig, .sswan, .powershell].contains(self) }
}
