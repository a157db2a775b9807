// SPDX-License-Identifier: Apache-2.0
// What a product needs of its RADIUS server, as values: a client that is of a profile begins with these.

package struct ClientProfile: Sendable, Equatable {
    package var name: String
    package var title: String
    package var requirement: Requirement?
    package var schemes: ProofSchemes = .pap
    package var retryTimeout = 5
    package var retryTries = 3
    /// What it asks about when it is set up.
    package var probeUser: String?
    /// The attribute that it reads a user's group or group policy from (`RADIUS/Dictionaries`), and what stands before the name in it.
    package var groupAttribute = "Filter-Id"
    package var groupPrefix = ""

    package static let generic = ClientProfile(name: "generic", title: "Any RADIUS gateway")

    /// AWS Directory Service checks the password itself, afterwards, and sends the code as the password, by any of its protocols. When
    /// multi-factor authentication is switched on it asks about a name that nobody has, and waits for an answer.
    package static let awsDirectory = ClientProfile(
        name: "aws-directory", title: "AWS Directory Service (Managed Microsoft AD, AD Connector)", requirement: .factor, schemes: .all,
        retryTimeout: 10, retryTries: 3, probeUser: "fakeusername")

    package static let all = [
        generic, awsDirectory,
        ClientProfile(name: "checkpoint", title: "Check Point", groupAttribute: "Class"),
        ClientProfile(name: "cisco-anyconnect", title: "Cisco Secure Client (AnyConnect)", groupAttribute: "ASA-Group-Policy"),
        ClientProfile(name: "cisco-asa", title: "Cisco ASA and Secure Firewall", groupAttribute: "ASA-Group-Policy"),
        ClientProfile(name: "citrix", title: "Citrix (NetScaler) ADC and Gateway", groupAttribute: "Citrix-User-Groups"),
        ClientProfile(name: "fortigate", title: "Fortinet FortiGate", groupAttribute: "Fortinet-Group-Name"),
        ClientProfile(name: "ivanti", title: "Ivanti Connect Secure", groupAttribute: "Class"),
        ClientProfile(name: "juniper", title: "Juniper SRX", groupAttribute: "Juniper-Local-Group-Name"),
        ClientProfile(name: "libreswan", title: "Libreswan", groupAttribute: "Class"),
        ClientProfile(name: "mikrotik", title: "MikroTik RouterOS", groupAttribute: "Mikrotik-Group"),
        // Its group lists are written as distinguished names are.
        ClientProfile(name: "ocserv", title: "OpenConnect server", groupAttribute: "Class", groupPrefix: "OU="),
        ClientProfile(name: "opnsense", title: "OPNsense", groupAttribute: "Class"),
        ClientProfile(name: "palo-alto", title: "Palo Alto GlobalProtect", groupAttribute: "PaloAlto-User-Group"),
        ClientProfile(name: "pam_radius", title: "pam_radius", groupAttribute: "Class"),
        ClientProfile(name: "pfsense", title: "pfSense", groupAttribute: "Class"),
        ClientProfile(name: "sonicwall", title: "SonicWall", groupAttribute: "SonicWall-User-Group"),
        ClientProfile(name: "sophos", title: "Sophos Firewall"),
        ClientProfile(name: "strongswan", title: "strongSwan", groupAttribute: "Class"),
        ClientProfile(name: "ubiquiti", title: "Ubiquiti UniFi"),
        ClientProfile(name: "windows-rras", title: "Windows RRAS", groupAttribute: "Class"),
    ]

    package static func named(_ name: String) -> ClientProfile? { all.first { $0.name == name } }
}
