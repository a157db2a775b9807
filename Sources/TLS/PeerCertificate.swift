// SPDX-License-Identifier: Apache-2.0
// What a certificate says of its holder.

internal import COpenSSL

package struct PeerCertificate: Sendable, Equatable {
    /// As RFC 2253 writes it.
    package let subject: String
    package let issuer: String
    /// DNS names, lower case; the common names where there is no DNS name (RFC 6125 §6.4.4).
    package let names: [String]
    package let commonNames: [String]
    /// DNS names alone, lower case.
    package let hosts: [String]
    /// Mail addresses among the alternative names.
    package let mails: [String]
    /// User principal names, by which Windows names a user: `alice@corp.example`.
    package let principals: [String]
    /// SHA-256 over the certificate.
    package let fingerprint: [UInt8]
    /// Seconds since 1970.
    package let expires: Int64

    init?(_ certificate: OpaquePointer) {
        var digest = [UInt8](repeating: 0, count: 32)
        guard openssl_fingerprint(certificate, &digest) else { return nil }
        fingerprint = digest
        subject = Self.text(X509_get_subject_name(certificate))
        issuer = Self.text(X509_get_issuer_name(certificate))
        expires = openssl_end(certificate)
        hosts = FoundNames.all(FoundNames.isHost) { openssl_dns_names(certificate, $0, $1) }.map { $0.lowercased() }
        let common = FoundNames.all(FoundNames.isText) { openssl_common_names(certificate, $0, $1) }
        names = (hosts.isEmpty ? common.filter { FoundNames.isHost(Array($0.utf8)) } : hosts).map { $0.lowercased() }
        commonNames = common
        mails = FoundNames.all(FoundNames.isText) { openssl_mail_names(certificate, $0, $1) }
        principals = FoundNames.all(FoundNames.isText) { openssl_principal_names(certificate, $0, $1) }
    }

    /// `ab:cd:…`, as gateways and `openssl x509 -fingerprint` show it, in lower case.
    package static func text(ofFingerprint bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    /// What may stand in the name of a host.
    package static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    static func text(_ name: OpaquePointer?) -> String {
        guard let name else { return "" }
        var text = [CChar](repeating: 0, count: 512)
        openssl_write_name(name, &text, text.count)
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Collects what the shim calls back with.
final class FoundNames {
    /// As long as a host's name may be (RFC 1035 §2.3.4), and a mail address (RFC 5321 §4.5.3.1.3).
    static let longest = 254
    private var names: [String] = []
    private let isGood: ([UInt8]) -> Bool

    private init(_ isGood: @escaping ([UInt8]) -> Bool) { self.isGood = isGood }

    static func all(
        _ isGood: @escaping ([UInt8]) -> Bool,
        _ list: (@convention(c) (UnsafeMutableRawPointer, UnsafePointer<UInt8>, Int) -> Void, UnsafeMutableRawPointer) -> Void
    ) -> [String] {
        let found = FoundNames(isGood)
        list(take, Unmanaged.passUnretained(found).toOpaque())
        return found.names
    }

    /// A name with a zero byte is how certificates were forged, and what is no host's name could not be registered.
    static func isHost(_ name: [UInt8]) -> Bool { name.count <= 253 && name.allSatisfy(PeerCertificate.isOfName) }

    /// No control characters: the text is shown, and compared with users' names.
    static func isText(_ name: [UInt8]) -> Bool { !name.contains { $0 < 0x20 || $0 == 0x7f } }

    private static let take: @convention(c) (UnsafeMutableRawPointer, UnsafePointer<UInt8>, Int) -> Void = { context, bytes, count in
        let found = Unmanaged<FoundNames>.fromOpaque(context).takeUnretainedValue()
        guard count > 0, count <= longest else { return }
        let name = Array(UnsafeBufferPointer(start: bytes, count: count))
        guard found.isGood(name), let text = String(validating: name, as: UTF8.self) else { return }
        found.names.append(text)
    }
}
