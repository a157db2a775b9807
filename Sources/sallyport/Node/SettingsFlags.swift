// SPDX-License-Identifier: Apache-2.0
// The settings as options of `serve`: one option per key, in the order of SettingKey.all.

import ArgumentParser

struct SettingsFlags: ParsableArguments {
    @Option(name: .customLong("config"), help: ArgumentHelp("The settings file.", valueName: "file"))
    var config: String?

    @Option(
        name: [.customLong("data-directory"), .customLong("data-dir")],
        help: ArgumentHelp("Database, master key and control socket.", valueName: "dir"))
    var dataDirectory: String?

    @Option(name: .customLong("database"), help: ArgumentHelp("Where the data is: sqlite or postgresql://…", valueName: "database"))
    var database: String?

    @Option(
        name: .customLong("master-key-source"),
        help: ArgumentHelp("file[:path], environment[:name] or credential[:name].", valueName: "source"))
    var masterKeySource: String?

    @Option(
        name: .customLong("radius-listen"), help: ArgumentHelp("RADIUS over UDP; addresses, separated by commas.", valueName: "addresses"))
    var radiusListen: String?

    @Option(
        name: .customLong("radius-accounting"),
        help: ArgumentHelp("RADIUS accounting over UDP; empty for none.", valueName: "addresses"))
    var radiusAccounting: String?

    @Option(
        name: .customLong("radsec-listen"), help: ArgumentHelp("RADIUS over TLS; addresses, separated by commas.", valueName: "addresses"))
    var radsecListen: String?

    @Option(name: .customLong("radsec-certificate"), help: ArgumentHelp("This host's certificate and its chain, PEM.", valueName: "file"))
    var radsecCertificate: String?

    @Option(name: .customLong("radsec-key"), help: ArgumentHelp("The certificate's key, PEM.", valueName: "file"))
    var radsecKey: String?

    @Option(
        name: .customLong("radsec-client-ca"), help: ArgumentHelp("Who signs gateways' certificates, PEM; or none.", valueName: "file"))
    var radsecClientCA: String?

    @Option(name: .customLong("radsec-revoked"), help: ArgumentHelp("Revocation lists, PEM; or none.", valueName: "file"))
    var radsecRevoked: String?

    @Option(name: .customLong("radsec-version"), help: ArgumentHelp("any, radius/1.0 or radius/1.1 inside TLS.", valueName: "version"))
    var radsecVersion: String?

    @Option(
        name: .customLong("eap-client-ca"), help: ArgumentHelp("Who signs devices' certificates, PEM; or none.", valueName: "file"))
    var eapClientCA: String?

    @Option(
        name: .customLong("eap-client-crl"),
        help: ArgumentHelp("Their revocation lists, PEM or DER, separated by commas; or none.", valueName: "files"))
    var eapClientCRL: String?

    @Option(
        name: .customLong("eap-client-crl-url"),
        help: ArgumentHelp("Where their revocation lists are fetched, separated by commas; or none.", valueName: "urls"))
    var eapClientCRLURL: String?
    @Option(
        name: .customLong("eap-client-ocsp"),
        help: ArgumentHelp("Who is asked whether a device's certificate is revoked: certificate, an address, or none.", valueName: "url"))
    var eapClientOCSP: String?
    @Option(
        name: .customLong("eap-client-ocsp-failure"),
        help: ArgumentHelp("Devices whose responder does not answer: refuse or accept.", valueName: "rule"))
    var eapClientOCSPFailure: String?
    @Option(
        name: .customLong("eap-client-ocsp-nonce"),
        help: ArgumentHelp("Whether an answer is for the very question: required or none.", valueName: "rule"))
    var eapClientOCSPNonce: String?
    @Option(
        name: .customLong("eap-server-ocsp"),
        help: ArgumentHelp(
            "What is shown beside the certificate of EAP: certificate, an address, a file, or none.", valueName: "url"))
    var eapServerOCSP: String?
    @Option(
        name: .customLong("eap-client-crl-grace"),
        help: ArgumentHelp("How long an old revocation list is believed: 1 day, none.", valueName: "time"))
    var eapClientCRLGrace: String?

    @Option(
        name: .customLong("eap-client-names"),
        help: ArgumentHelp("Which names in a certificate count: upn,email,dns,common-name.", valueName: "names"))
    var eapClientNames: String?

    @Option(
        name: .customLong("eap-server-name"),
        help: ArgumentHelp("The name in the certificate that EAP shows; or auto.", valueName: "host"))
    var eapServerName: String?

    @Option(
        name: .customLong("policy-country-database"),
        help: ArgumentHelp("Countries of addresses, MaxMind's format; or none.", valueName: "file"))
    var countryDatabase: String?

    @Option(name: .customLong("web-health"), help: ArgumentHelp("/livez and /readyz; empty for none.", valueName: "addresses"))
    var webHealth: String?

    @Option(name: .customLong("web-metrics"), help: ArgumentHelp("/metrics; empty for none.", valueName: "addresses"))
    var webMetrics: String?

    @Option(name: .customLong("web-public"), help: ArgumentHelp("Pages for users, over TLS; empty for none.", valueName: "addresses"))
    var webPublic: String?

    @Option(
        name: .customLong("web-public-url"),
        help: ArgumentHelp("What links to them begin with: https://vpn.example.org; none.", valueName: "url"))
    var webPublicURL: String?

    @Option(
        name: .customLong("web-certificate"), help: ArgumentHelp("Their certificate and its chain, PEM; or self-made.", valueName: "file"))
    var webCertificate: String?

    @Option(name: .customLong("web-key"), help: ArgumentHelp("The certificate's key, PEM; or self-made.", valueName: "file"))
    var webKey: String?

    @Option(
        name: .customLong("sessions-keep"), help: ArgumentHelp("How long ended sessions are kept: 13 months, for-ever.", valueName: "time"))
    var sessionsKeep: String?

    @Option(
        name: .customLong("sessions-lost-after"),
        help: ArgumentHelp("When a silent session counts as lost: 1 day, never.", valueName: "time"))
    var sessionsLostAfter: String?

    @Option(
        name: .customLong("grants-longest"),
        help: ArgumentHelp("How long a grant of the help desk may last: 8 hours, 90 minutes.", valueName: "time"))
    var grantsLongest: String?

    @Option(
        name: .customLong("audit-anchor-file"),
        help: ArgumentHelp("Where the trail's signed end is appended every minute; none for nowhere.", valueName: "file"))
    var auditAnchorFile: String?

    @Option(
        name: .customLong("audit-keep"), help: ArgumentHelp("How long events are kept: 90 days, 13 months, for-ever.", valueName: "time"))
    var auditKeep: String?

    @Option(
        name: .customLong("audit-largest-size"), help: ArgumentHelp("What the trail may take on disk: 20 GiB, none.", valueName: "size"))
    var auditLargestSize: String?

    @Option(
        name: .customLong("log-level"), help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?

    @Option(name: .customLong("log-format"), help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?

    /// What was typed, by key name.
    var values: [String: String] {
        let typed: [(SettingKey, String?)] = [
            (.dataDirectory, dataDirectory), (.database, database), (.masterKeySource, masterKeySource), (.radiusListen, radiusListen),
            (.radiusAccounting, radiusAccounting), (.radsecListen, radsecListen), (.radsecCertificate, radsecCertificate),
            (.radsecKey, radsecKey), (.radsecClientCA, radsecClientCA), (.radsecRevoked, radsecRevoked),
            (.radsecVersion, radsecVersion), (.eapClientCA, eapClientCA), (.eapClientCRL, eapClientCRL),
            (.eapClientCRLGrace, eapClientCRLGrace), (.eapClientNames, eapClientNames), (.eapServerName, eapServerName),
            (.countryDatabase, countryDatabase), (.eapClientCRLURL, eapClientCRLURL), (.eapClientOCSP, eapClientOCSP),
            (.eapClientOCSPFailure, eapClientOCSPFailure),
            (.eapClientOCSPNonce, eapClientOCSPNonce), (.eapServerOCSP, eapServerOCSP),
            (.webHealth, webHealth), (.webMetrics, webMetrics), (.webPublic, webPublic), (.webPublicURL, webPublicURL),
            (.webCertificate, webCertificate), (.webKey, webKey),
            (.sessionsKeep, sessionsKeep),
            (.sessionsLostAfter, sessionsLostAfter), (.grantsLongest, grantsLongest), (.auditAnchorFile, auditAnchorFile),
            (.auditKeep, auditKeep),
            (.auditLargestSize, auditLargestSize), (.logLevel, logLevel), (.logFormat, logFormat),
        ]
        return typed.reduce(into: [:]) { $0[$1.0.name] = $1.1 }
    }

    func settings() throws(SettingsError) -> Settings {
        try Settings.read(flags: values, file: config)
    }
}
