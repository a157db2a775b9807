// SPDX-License-Identifier: Apache-2.0
// What has to be set at a product, in its own words. What stands in `…` stands on the product's page too, where a test looks for it.

internal import LoginEngine

struct GatewayWords: Sendable {
    /// How long it waits and how often it asks; nil where the product does not let that be set.
    var retries: String?
    var pap = "set it to PAP"
    var authenticator = "update it to a version that sends Message-Authenticator (CVE-2024-3596)"
    /// How it is made to show a challenge; nil where it cannot, or where nothing has to be set.
    var challenge: String?
    var station = "see whether it can send Calling-Station-Id, the address of the user's device (RFC 2865 §5.31)"
    /// Nil where it reports no sessions.
    var accounting: String?

    static func of(_ settings: ClientSettings) -> GatewayWords { all[settings.profile] ?? generic }

    private static let generic = GatewayWords(
        retries: "set `Timeout` to <timeout> seconds and `Tries in all` to <tries>",
        challenge: "let it show challenges if there is a switch for it",
        accounting: "set its `Accounting` to UDP <accounting-port> of this server, with the same secret")

    static let all: [String: GatewayWords] = [
        "generic": generic,
        "aws-directory": GatewayWords(
            retries: "`Multi-factor authentication` > `Actions`: `Server timeout (in seconds)` <timeout>, `Max RADIUS request retries` "
                + "<retries>"),
        "checkpoint": GatewayWords(
            retries: "`Global Properties` > `Advanced` > `Configure`: `radius_retrant_timeout` <timeout>, `radius_retrant_num` <retries>",
            pap: "the RADIUS server object: `Protocol` PAP",
            challenge: "`VPN Clients` > `Authentication`: a login option with RADIUS and `Ask user for password` on"),
        "cisco-anyconnect": GatewayWords(
            retries: "`Object Management` > `AAA Server` > the server: `Timeout` <timeout>", pap: "`Enable Password Management` off",
            accounting: "the connection profile > AAA: `Accounting Server`, the group, on port <accounting-port>"),
        "cisco-asa": GatewayWords(
            retries: "`retry-interval <timeout>` and `timeout <total>` under `aaa-server SALLYPORT (inside) host`",
            pap: "`no password-management` under the tunnel group",
            challenge: "take `secondary-authentication-server-group` out of the tunnel group",
            accounting: "`accounting-server-group SALLYPORT` under the tunnel group, `accounting-port <accounting-port>` under the host"),
        "citrix": GatewayWords(
            retries: "`set authentication radiusAction sallyport -authTimeout <timeout> -authservRetry <tries>`",
            pap: "`set authentication radiusAction sallyport` with `-passEncoding pap`",
            station: "`set authentication radiusAction sallyport -callingstationid ENABLED`",
            accounting: "`set authentication radiusAction sallyport -accounting ON`"),
        "fortigate": GatewayWords(
            retries: "`set timeout <timeout>` under `config user radius`, and `set remoteauthtimeout <total>` under `config system global`",
            pap: "`set auth-type pap` under `config user radius`",
            authenticator: "update FortiOS: `7.2.10, 7.4.5 and later` send it",
            challenge: "XAuth of IPsec shows no challenge, SSL VPN and agentless VPN do",
            accounting: "`config accounting-server` under `config user radius`, with `set port <accounting-port>`"),
        "ivanti": GatewayWords(
            retries: "`Auth. Servers` > the server: `Timeout` <timeout>, `Retries` <retries>",
            challenge: "`Custom Radius Rules` > New: `Access Challenge`, `show Generic Login page`",
            accounting: "`Auth. Servers` > the server: `Accounting Port` <accounting-port>"),
        "juniper": GatewayWords(
            retries: "`set access profile sallyport radius-server` … `timeout <timeout>`, and `retry <tries>`",
            accounting: "`set access profile sallyport accounting order radius`"),
        "libreswan": GatewayWords(
            retries: "the third column of `/etc/pam_radius_auth.conf`: <timeout>, and `retry=<retries>` in `/etc/pam.d/pluto`"),
        "mikrotik": GatewayWords(
            retries: "`/radius`, the entry of this server: `timeout=<timeout>s`; it sends <tries> times", pap: "`authentication=pap`",
            authenticator: "`require-message-auth=yes-for-request-resp` in the entry of this server under `/radius`",
            accounting: "`/ppp aaa set use-radius=yes accounting=yes`"),
        "ocserv": GatewayWords(
            retries: "`radius_timeout` <timeout> and `radius_retries` <tries> in `/etc/radcli/radiusclient.conf`",
            accounting: "`acct =` in `/etc/ocserv/ocserv.conf`, and `acctserver` in `/etc/radcli/radiusclient.conf`"),
        "opnsense": GatewayWords(
            retries: "`System > Access > Servers`: `Authentication Timeout` <timeout>; `The number of tries is fixed: 3`",
            accounting: "`System > Access > Servers`: `Authentication and Accounting`, `Accounting port` <accounting-port>"),
        "palo-alto": GatewayWords(
            retries: "`set shared server-profile radius sallyport timeout <timeout>` and `retries <retries>`",
            pap: "`set shared server-profile radius sallyport protocol PAP`"),
        "pam_radius": GatewayWords(
            retries: "the third column of `/etc/pam_radius_auth.conf`: <timeout>, and `retry=<retries>` in the PAM service",
            challenge: "for SSH `KbdInteractiveAuthentication yes` in `sshd_config`, and `prompt_attribute` in the PAM service"),
        "pfsense": GatewayWords(
            retries: "`System > User Manager > Authentication Servers`: `Authentication Timeout` <timeout>", pap: "`Protocol` PAP",
            accounting: "`Services offered`: `Authentication and Accounting`, `Accounting port` <accounting-port>"),
        "sonicwall": GatewayWords(
            retries: "`Configure RADIUS` > `Settings`: `RADIUS Server Timeout (seconds)` <timeout>, `Retries` <retries>",
            pap: "`SSL VPN > Server Settings > Use RADIUS in` off",
            accounting: "`RADIUS Accounting`: this server, port <accounting-port>"),
        "sophos": GatewayWords(
            retries: "`Authentication > Servers`: `Time-out (seconds)` <timeout>",
            accounting: "`Authentication > Servers`: `Enable accounting` on, port <accounting-port>"),
        "strongswan": GatewayWords(
            retries: "`retransmit_timeout = <timeout>`, `retransmit_tries = <tries>` and `retransmit_base = 1.0` under `eap-radius`",
            pap: "`auth = xauth-radius`, which sends PAP", accounting: "`accounting = yes` under `eap-radius`"),
        "ubiquiti": GatewayWords(
            pap: "leave `Require Strong Authentication` off, and set PAP on the device",
            accounting: "`Settings > Profiles > RADIUS`: `Accounting` on, port <accounting-port>"),
        "windows-rras": GatewayWords(
            retries: "`RADIUS Authentication` > Configure > the server: `Time-out (seconds)` <total>",
            pap: "`Authentication Methods`: `Unencrypted password (PAP), and nothing else`",
            authenticator: "`RADIUS Authentication` > Configure > the server: `Always use message authenticator` on",
            accounting: "`Accounting provider`: `RADIUS Accounting`, port <accounting-port>"),
    ]

    /// With the figures that the client's settings stand for.
    static func filled(_ text: String, _ settings: ClientSettings, accountingPort: String) -> String {
        let places = [
            "timeout": "\(settings.retryTimeout)", "tries": "\(settings.retryTries)", "retries": "\(settings.retryTries - 1)",
            "total": "\(settings.retryTimeout * settings.retryTries)", "accounting-port": accountingPort,
        ]
        return places.reduce(text) { $0.replacing("<\($1.key)>", with: $1.value) }.filter { $0 != "`" }
    }
}
