// SPDX-License-Identifier: Apache-2.0
// What a product needs of its RADIUS server, as values: a client that is of a profile begins with these.

package struct ClientProfile: Sendable, Equatable {
    /// Also the name of its page, `docs/gateways/NAME.md`.
    package var name: String
    package var title: String
    package var requirement: Requirement?
    /// How a code can be asked for; nil where that depends on what stands behind the gateway.
    package var asking: Asking?
    /// Whether it puts password and code together by itself, with nothing between them.
    package var fixedLengthTail = false
    package var schemes: ProofSchemes = .pap
    /// The methods of EAP whose devices can carry what it requires.
    package var eap: [EAPMethodName] = []
    /// Whether it hands EAP on from its users' devices, for IKEv2.
    package var speaksEAP = false
    /// What its page tells to set at the product, so that a login may take as long as somebody needs who looks for a telephone.
    package var retryTimeout = 10
    package var retryTries = 3
    /// What it asks about when it is set up.
    package var probeUser: String?
    /// PPP hands the bytes on that the user's device typed, whatever they mean.
    package var charset: Charset = .utf8
    /// 0: it takes no Disconnect-Requests.
    package var disconnectPort: UInt16 = 3799
    /// The attribute that it reads a user's group or group policy from (`RADIUS/Dictionaries`), and what stands before the name in it.
    package var groupAttribute = "Filter-Id"
    package var groupPrefix = ""

    package static let generic = ClientProfile(name: "generic", title: "Any RADIUS gateway", retryTimeout: 5)

    /// AWS Directory Service checks the password itself, afterwards, and sends the code as the password, by any of its protocols. When
    /// multi-factor authentication is switched on it asks about a name that nobody has, and waits for an answer.
    package static let awsDirectory = ClientProfile(
        name: "aws-directory", title: "AWS Directory Service (Managed Microsoft AD, AD Connector)", requirement: .factor, schemes: .all,
        probeUser: "fakeusername", disconnectPort: 0)

    package static let all = [
        generic, awsDirectory,
        ClientProfile(name: "checkpoint", title: "Check Point", asking: .challenge, retryTimeout: 5, groupAttribute: "Class"),
        ClientProfile(
            name: "cisco-anyconnect", title: "Cisco Secure Client (AnyConnect)", asking: .challenge, disconnectPort: 1700,
            groupAttribute: "ASA-Group-Policy"),
        ClientProfile(
            name: "cisco-asa", title: "Cisco ASA and Secure Firewall", asking: .challenge, disconnectPort: 1700,
            groupAttribute: "ASA-Group-Policy"),
        ClientProfile(
            name: "citrix", title: "Citrix (NetScaler) ADC and Gateway", asking: .challenge, groupAttribute: "Citrix-User-Groups"),
        ClientProfile(
            name: "fortigate", title: "Fortinet FortiGate", asking: .challenge, speaksEAP: true, groupAttribute: "Fortinet-Group-Name"),
        ClientProfile(name: "ivanti", title: "Ivanti Connect Secure", asking: .challenge, groupAttribute: "Class"),
        ClientProfile(name: "juniper", title: "Juniper SRX", asking: .append, groupAttribute: "Juniper-Local-Group-Name"),
        ClientProfile(name: "libreswan", title: "Libreswan", asking: .append, disconnectPort: 0, groupAttribute: "Class"),
        ClientProfile(
            name: "mikrotik", title: "MikroTik RouterOS", asking: .append, retryTimeout: 3, charset: .auto, groupAttribute: "Mikrotik-Group"
        ),
        // Its group lists are written as distinguished names are.
        ClientProfile(
            name: "ocserv", title: "OpenConnect server", asking: .challenge, disconnectPort: 0, groupAttribute: "Class", groupPrefix: "OU="),
        ClientProfile(name: "opnsense", title: "OPNsense", asking: .append, disconnectPort: 0, groupAttribute: "Class"),
        ClientProfile(name: "palo-alto", title: "Palo Alto GlobalProtect", asking: .challenge, groupAttribute: "PaloAlto-User-Group"),
        ClientProfile(name: "pam_radius", title: "pam_radius", asking: .challenge, disconnectPort: 0, groupAttribute: "Class"),
        ClientProfile(name: "pfsense", title: "pfSense", asking: .append, disconnectPort: 0, groupAttribute: "Class"),
        ClientProfile(name: "sonicwall", title: "SonicWall", asking: .challenge, groupAttribute: "SonicWall-User-Group"),
        ClientProfile(name: "sophos", title: "Sophos Firewall", asking: .append, fixedLengthTail: true),
        ClientProfile(
            name: "strongswan", title: "strongSwan", asking: .append, fixedLengthTail: true, eap: [.gtc], speaksEAP: true, retryTimeout: 5,
            groupAttribute: "Class"),
        ClientProfile(name: "ubiquiti", title: "Ubiquiti UniFi", asking: .append, retryTimeout: 5, charset: .auto),
        ClientProfile(
            name: "windows-rras", title: "Windows RRAS", asking: .append, speaksEAP: true, charset: .auto, groupAttribute: "Class"),
    ]

    package static func named(_ name: String) -> ClientProfile? { all.first { $0.name == name } }

    /// What is chosen beside the profile wins over it, later.
    package func shape(_ settings: inout ClientSettings) {
        settings.profile = name
        settings.requirement = requirement ?? settings.requirement
        if let asking {
            settings.asking = asking
            settings.fixedLengthTail = fixedLengthTail
        }
        settings.schemes = schemes
        settings.eap = eap
        settings.retryTimeout = retryTimeout
        settings.retryTries = retryTries
        settings.probeUser = probeUser
        settings.charset = charset
        settings.disconnectPort = disconnectPort
    }
}
