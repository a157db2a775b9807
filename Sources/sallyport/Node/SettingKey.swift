// SPDX-License-Identifier: Apache-2.0
// Every key of the node's settings, with default and meaning: the one source for flags, variables, file, checks and docs/run/settings.md.

struct SettingKey: Sendable {
    enum Kind: Sendable, Equatable {
        case text
        case choice([String])
        case addresses
    }

    /// Dotted, as in the file: `radius.listen`.
    var name: String
    var kind: Kind
    /// One element, but for `.addresses`.
    var standard: [String]
    var meaning: String

    /// `--radius-listen`
    var flag: String { "--" + name.replacing(".", with: "-") }
    /// `SALLYPORT_RADIUS_LISTEN`
    var variable: String { Self.variablePrefix + name.replacing(".", with: "_").replacing("-", with: "_").uppercased() }

    static let variablePrefix = "SALLYPORT_"

    /// The flag is `--data-dir`, so the variable is also found under the short name.
    var otherVariable: String? { name == Self.dataDirectory.name ? Self.variablePrefix + "DATA_DIR" : nil }
}

extension SettingKey {
    static let dataDirectory = SettingKey(
        name: "data-directory", kind: .text, standard: ["/var/lib/sallyport"],
        meaning: "Database, master key and control socket; made at first start, mode 0700.")
    static let database = SettingKey(
        name: "database", kind: .text, standard: ["sqlite"],
        meaning: """
            Where the data is: `sqlite`, a file in the data directory, or a PostgreSQL database as libpq's URL, \
            `postgresql://host1,host2/sallyport?target_session_attrs=read-write` ([PostgreSQL](postgres.md)). A password belongs into a \
            password file or a service; in a flag it is refused.
            """)
    static let masterKeySource = SettingKey(
        name: "master-key.source", kind: .text, standard: ["file"],
        meaning: """
            Where the key that seals secrets comes from: `file` (`master.key` in the data directory, made at first start with mode 0600), \
            `file:PATH`, `environment` (`SALLYPORT_MASTER_KEY`), `environment:NAME`, `credential` (systemd's `sallyport.master-key`) \
            or `credential:NAME`.
            """)
    static let radiusListen = SettingKey(
        name: "radius.listen", kind: .addresses, standard: ["0.0.0.0:1812", "[::]:1812"],
        meaning: "RADIUS authentication over UDP.")
    static let radiusAccounting = SettingKey(
        name: "radius.accounting", kind: .addresses, standard: ["0.0.0.0:1813", "[::]:1813"],
        meaning: "RADIUS accounting over UDP ([sessions](sessions.md)). Empty: none.")
    static let radsecListen = SettingKey(
        name: "radsec.listen", kind: .addresses, standard: [],
        meaning: "RADIUS over TLS ([RadSec](../gateways/radsec.md)), as `[\"0.0.0.0:2083\", \"[::]:2083\"]`. Empty: no listener.")
    static let radsecCertificate = SettingKey(
        name: "radsec.certificate", kind: .text, standard: ["none"],
        meaning: """
            PEM file of this host's certificate, which gateways see: its own first, then those that lead to its root. It is read again within \
            a minute when it changes, and at SIGHUP, as the other files of this section.
            """)
    static let radsecKey = SettingKey(
        name: "radsec.key", kind: .text, standard: ["none"],
        meaning: "PEM file of the key that belongs to it, without a passphrase; only this user should be able to read it.")
    static let radsecClientCA = SettingKey(
        name: "radsec.client-ca", kind: .text, standard: ["none"],
        meaning: "PEM file of the authorities that sign gateways' certificates; `none`: gateways are known by fingerprints alone.")
    static let radsecRevoked = SettingKey(
        name: "radsec.revoked", kind: .text, standard: ["none"],
        meaning: """
            PEM file of the revocation lists of those authorities; a gateway whose certificate is on one is refused, and so is every one whose \
            authority has none there or an old one. `none`: nothing is looked up.
            """)
    static let radsecVersion = SettingKey(
        name: "radsec.version", kind: .choice(["any", "radius/1.0", "radius/1.1"]), standard: ["any"],
        meaning: """
            What is spoken inside TLS: RADIUS/1.1 ([RFC 9765](../gateways/radsec.md#radius11)) with gateways that offer it, and RADIUS as over \
            UDP with all others; or one of them alone.
            """)
    static let eapClientCA = SettingKey(
        name: "eap.client-ca", kind: .text, standard: ["none"],
        meaning: """
            PEM file of the authorities that sign the certificates of users' devices ([EAP-TLS](../gateways/eap-tls.md)). It is read again \
            within a minute when it changes, and at SIGHUP, as the lists of the next key. The node's [own authority](certificates.md) counts beside \
            it. `none` of both: EAP-TLS is not offered.
            """)
    static let eapClientCRL = SettingKey(
        name: "eap.client-crl", kind: .text, standard: ["none"],
        meaning: """
            Files of the revocation lists of those authorities, separated by commas; each holds lists in PEM, or one in DER. A device whose \
            certificate is on one is refused, and so is every one whose authority has none there. `none`: nothing is looked up.
            """)
    static let eapClientCRLGrace = SettingKey(
        name: "eap.client-crl-grace", kind: .text, standard: ["1 day"],
        meaning: """
            For how long a list is believed beyond the time at which its next one was due: `none`, or a number of `days`, `weeks`, `months` \
            or `years`. After it nobody is let in by a certificate of that authority until there is a new list.
            """)
    static let eapClientCRLURL = SettingKey(
        name: "eap.client-crl-url", kind: .text, standard: ["none"],
        meaning: """
            Where lists of those authorities are fetched, beside the files or in their place: addresses of `http` or `https`, separated by commas \
            ([how](../gateways/eap-tls.md#lists-that-are-fetched)). Redirects are not followed. The last list of each is kept in the data \
            directory.
            """)
    static let eapClientOCSP = SettingKey(
        name: "eap.client-ocsp", kind: .text, standard: ["none"],
        meaning: """
            Who is asked at each login whether a device's certificate of those authorities is revoked ([OCSP](../gateways/eap-tls.md#ocsp)): \
            `certificate`, the responder that it names; or the address of one, `http` or `https`, for all of them. `none`: nobody.
            """)
    static let eapClientOCSPFailure = SettingKey(
        name: "eap.client-ocsp-failure", kind: .choice(["refuse", "accept"]), standard: ["refuse"],
        meaning: "What becomes of a device whose responder gives no good answer within three seconds.")
    static let eapClientOCSPNonce = SettingKey(
        name: "eap.client-ocsp-nonce", kind: .choice(["none", "required"]), standard: ["none"],
        meaning: "Whether an answer has to be made for the very question (RFC 9654); many responders sign theirs beforehand.")
    static let eapClientNames = SettingKey(
        name: "eap.client-names", kind: .text, standard: ["upn,email"],
        meaning: """
            Which names in a certificate say whose it is, separated by commas, the first that counts first: `upn` (how Windows names users), \
            `email`, `dns` and `common-name`. They are compared whole with the user's name and aliases, in upper or lower case.
            """)
    static let eapServerName = SettingKey(
        name: "eap.server-name", kind: .text, standard: ["auto"],
        meaning: """
            The name that the node shows to devices by EAP, in the certificate that it has [made](certificates.md#eap); devices are told it in \
            their profiles. `auto`: the name of this host, without its domain.
            """)
    static let countryDatabase = SettingKey(
        name: "policy.country-database", kind: .text, standard: ["none"],
        meaning: """
            A database file in MaxMind's format (`.mmdb`) by which policies find [countries](../policies/conditions.md#country). It is read again \
            within a minute when it changes, and at SIGHUP. `none`: no country is known.
            """)
    static let eapServerOCSP = SettingKey(
        name: "eap.server-ocsp", kind: .text, standard: ["none"],
        meaning: """
            What is shown beside the node's own certificate of EAP to devices that ask whether it is revoked (OCSP stapling): `certificate`, what \
            the responder that it names says; the address of another; or the path of a file that something else keeps fresh. `none`: nothing.
            """)
    static let webHealth = SettingKey(
        name: "web.health", kind: .addresses, standard: ["0.0.0.0:8080"],
        meaning: "`/livez` and `/readyz` over plain HTTP, without detail. Empty: no listener.")
    static let webMetrics = SettingKey(
        name: "web.metrics", kind: .addresses, standard: ["127.0.0.1:9090"],
        meaning: "Prometheus `/metrics`, and `/readyz` with the reasons. Empty: no listener.")
    static let webPublic = SettingKey(
        name: "web.public", kind: .addresses, standard: [],
        meaning: """
            Pages for users over TLS: where the links of [invitations](mail.md#inviting-users) lead to, as `["0.0.0.0:8443", "[::]:8443"]`. \
            Empty: no listener.
            """)
    static let webPublicURL = SettingKey(
        name: "web.public-url", kind: .text, standard: ["none"],
        meaning: """
            What links to these pages begin with, as users' browsers reach them: `https://vpn.example.org`, with a port where it is not 443. \
            `none`: nobody can be invited.
            """)
    static let webCertificate = SettingKey(
        name: "web.certificate", kind: .text, standard: ["self-made"],
        meaning: """
            PEM file of the certificate of these pages: its own first, then those that lead to its root. It is read again within a minute when \
            it changes, and at SIGHUP. `self-made`: one is made in the data directory, which browsers warn of.
            """)
    static let webKey = SettingKey(
        name: "web.key", kind: .text, standard: ["self-made"],
        meaning: "PEM file of the key that belongs to it, without a passphrase; only this user should be able to read it.")
    static let logLevel = SettingKey(
        name: "log.level", kind: .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]), standard: ["info"],
        meaning: "Lines below this level are left out.")
    static let logFormat = SettingKey(
        name: "log.format", kind: .choice(["text", "json"]), standard: ["text"],
        meaning: "Lines for people, coloured on a terminal, or one JSON object per line; both on standard error.")
    static let sessionsKeep = SettingKey(
        name: "sessions.keep", kind: .text, standard: ["13 months"],
        meaning: """
            How long sessions are kept after their end: a number of `days`, `weeks`, `months` (of 31 days) or `years` (of 366), or `for-ever`.
            """)
    static let sessionsLostAfter = SettingKey(
        name: "sessions.lost-after", kind: .text, standard: ["1 day"],
        meaning: """
            After how long without news an open session counts as lost: a time as of `sessions.keep`, or `never`. It is open again when the \
            gateway reports it once more.
            """)
    static let auditAnchorFile = SettingKey(
        name: "audit.anchor-file", kind: .text, standard: ["none"],
        meaning: """
            A file outside of the data directory, to which the trail's signed end is appended every minute in which something was written, and \
            at the end of the node; or `none`. See `sallyport audit verify --anchors`.
            """)
    static let auditKeep = SettingKey(
        name: "audit.keep", kind: .text, standard: ["13 months"],
        meaning: """
            How long events are kept: a number of `days`, `weeks`, `months` (of 31 days) or `years` (of 366), or `for-ever`. Whole days are \
            removed, with what belongs to persons in them.
            """)
    static let auditLargestSize = SettingKey(
        name: "audit.largest-size", kind: .text, standard: ["none"],
        meaning: """
            What the trail may take on disk, with its indexes and about: a number of `MiB`, `GiB` or `TiB`, or `none`. Beyond it the oldest \
            events go before their time, but none of the last 30 days.
            """)

    static let grantsLongest = SettingKey(
        name: "grants.longest", kind: .text, standard: ["8 hours"],
        meaning: """
            How long a [grant](../help-desk/lost-phone.md) of the help desk may last: a number of `minutes` or `hours`, from 1 minute to 24 hours.
            """)

    /// In the order of the file.
    static let all = [
        dataDirectory, database, masterKeySource, radiusListen, radiusAccounting, radsecListen, radsecCertificate, radsecKey,
        radsecClientCA, radsecRevoked, radsecVersion, eapClientCA, eapClientCRL, eapClientCRLURL, eapClientCRLGrace, eapClientOCSP,
        eapClientOCSPFailure, eapClientOCSPNonce, eapClientNames, eapServerName, eapServerOCSP,
        countryDatabase, webHealth, webMetrics, webPublic, webPublicURL, webCertificate, webKey, sessionsKeep, sessionsLostAfter,
        grantsLongest, auditAnchorFile, auditKeep,
        auditLargestSize, logLevel, logFormat,
    ]
}

extension SettingKey {
    /// docs/run/settings.md
    static var page: String {
        var page = """
            # Settings of the node

            <!-- Generated from Sources/sallyport/Node/SettingKey.swift by `make golden`. -->

            Each key is a line of `sallyport.yaml`, an environment variable and a flag of `serve`. A flag wins over the variable, the variable
            over the file, the file over the default. The file is the one named by `--config` or `SALLYPORT_CONFIG`, else
            `\(Settings.standardFile)` if it exists. In a variable or a flag, the addresses of a list are separated by commas.

            An unknown key or a wrong value ends the program with exit code 78 and one line that names file, line and column. What is
            managed while the node runs (users, clients, factors) is not here, but in the database: `sallyport --help`.

            ## The file, complete with its defaults

            ```yaml
            \(sampleFile)
            ```

            ## The keys


            """
        for key in all {
            let standard = key.standard.isEmpty ? "`[]`" : key.standard.map { "`\($0)`" }.joined(separator: ", ")
            let choices =
                if case .choice(let choices) = key.kind { " One of " + choices.map { "`\($0)`" }.joined(separator: ", ") + "." } else { "" }
            page += """
                ### \(key.name)

                \(key.meaning)\(choices)

                - default: \(standard)
                - flag: `\(key.flag)`
                - variable: `\(key.variable)`


                """
        }
        return String(page.dropLast())
    }

    /// The default as the file has it.
    var sample: String {
        switch kind {
        case .addresses: "[" + standard.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
        default: standard[0]
        }
    }

    private static var sampleFile: String {
        var lines: [String] = []
        var section = ""
        for key in all {
            let parts = key.name.split(separator: ".")
            if parts.count == 2 {
                if section != parts[0] { lines.append("\(parts[0]):") }
                section = String(parts[0])
                lines.append("  \(parts[1]): \(key.sample)")
            } else {
                lines.append("\(key.name): \(key.sample)")
            }
        }
        return lines.joined(separator: "\n")
    }
}
