// SPDX-License-Identifier: Apache-2.0
// The files of EAP-TLS: who signs users' devices, and what is revoked; what they hold when they are read, and whether they have changed since.

import Foundation
import LoginEngine
import RADIUSDoor

struct DeviceTrustFiles: Sendable, Equatable {
    /// Absolute; nil: none.
    var authorities: String?
    var revocations: [String] = []
    /// Where lists are fetched.
    var addresses: [WebAddress] = []
    var grace = Timestamp.Span.seconds(0)
    var status = StatusRule()
    var names = CertificateRules().names

    /// Whether lists are looked up at all.
    var wantsLists: Bool { !revocations.isEmpty || !addresses.isEmpty }

    /// What belongs together.
    func check() throws(SettingsError) {
        guard authorities == nil else { return }
        guard revocations.isEmpty else {
            throw SettingsError(description: "eap.client-crl: needs eap.client-ca, the authorities whose lists they are")
        }
        guard addresses.isEmpty else {
            throw SettingsError(description: "eap.client-crl-url: needs eap.client-ca, the authorities whose lists are fetched")
        }
        guard status.responder == .none else {
            throw SettingsError(description: "eap.client-ocsp: needs eap.client-ca, the authorities whose certificates are asked about")
        }
    }

    /// - Throws: `SettingsError`, which names the key and the file, and never what is in it.
    func read() throws(SettingsError) -> DeviceTrust {
        var trust = DeviceTrust()
        trust.revocationGrace = grace.microseconds / 1_000_000
        trust.rules.names = names
        trust.looksUpRevocations = wantsLists
        if let authorities { trust.authorities = try RadSecFiles.contents(authorities, .eapClientCA) }
        for file in revocations {
            let list = try RadSecFiles.contents(file, .eapClientCRL)
            trust.revocations +=
                (String(decoding: list.prefix(Self.longestPreamble), as: UTF8.self).contains("-----BEGIN") ? list : Self.pem(list)) + [0x0a]
        }
        return trust
    }

    /// Tools write text in front of PEM.
    private static let longestPreamble = 1 << 20

    /// RFC 7468 §6
    private static func pem(_ der: [UInt8]) -> [UInt8] {
        let text = Data(der).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return Array("-----BEGIN X509 CRL-----\n\(text)\n-----END X509 CRL-----\n".utf8)
    }

    /// Changes whenever one of the files does.
    var mark: [String] { RadSecFiles.mark(of: [authorities] + revocations) }
}
