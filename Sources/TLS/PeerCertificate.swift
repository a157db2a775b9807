// SPDX-License-Identifier: Apache-2.0
// What a certificate says of its holder.

internal import COpenSSL

package struct PeerCertificate: Sendable, Equatable {
    /// As RFC 2253 writes it.
    package let subject: String
    package let issuer: String
    /// DNS names, lower case; the common names where there is no DNS name (RFC 6125 §6.4.4).
    package let names: [String]
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
        let found = FoundNames()
        let context = Unmanaged.passUnretained(found).toOpaque()
        openssl_dns_names(certificate, FoundNames.take, context)
        if found.names.isEmpty { openssl_common_names(certificate, FoundNames.take, context) }
        names = found.names
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

    private static func text(_ name: OpaquePointer?) -> String {
        guard let name else { return "" }
        var text = [CChar](repeating: 0, count: 512)
        openssl_write_name(name, &text, text.count)
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Collects what the shim calls back with.
private final class FoundNames {
    var names: [String] = []

    static let take: @convention(c) (UnsafeMutableRawPointer, UnsafePointer<UInt8>, Int) -> Void = { context, bytes, count in
        let found = Unmanaged<FoundNames>.fromOpaque(context).takeUnretainedValue()
        let name = UnsafeBufferPointer(start: bytes, count: count)
        // A name with a zero byte is how certificates were forged, and what is no host's name could not be registered.
        guard count > 0, count <= 253, name.allSatisfy(PeerCertificate.isOfName) else { return }
        found.names.append(String(decoding: name, as: UTF8.self).lowercased())
    }
}
