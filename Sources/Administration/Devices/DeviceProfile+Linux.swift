// SPDX-License-Identifier: Apache-2.0
// Linux: a keyfile of NetworkManager for strongSwan's plugin, and files for swanctl.

internal import Foundation
internal import LoginEngine
internal import TLS

extension DeviceProfile {
    /// charon-nm reads files as root, by their whole names.
    private static let folder = "/etc/NetworkManager/sallyport"

    func networkManagerFiles() throws -> [ProfileFile] {
        let file = slug + ".nmconnection"
        var files = try anchorFiles("ca")
        var names = files.map(\.path)
        var vpn = [
            ("service-type", "org.freedesktop.NetworkManager.strongswan"), ("address", gateway), ("remote-identity", remoteID),
            ("virtual", "yes"), ("encap", "no"), ("ipcomp", "no"), ("proposal", "no"), ("password-flags", "2"),
        ]
        if !anchors.isEmpty { vpn.append(("certificate", "\(Self.folder)/\(slug)/ca.pem")) }
        if let credential {
            files += [
                ProfileFile(slug + ".pem", credential.certificate), ProfileFile(slug + ".key", credential.key.reveal { Array($0) }),
            ]
            names += [slug + ".pem", slug + ".key"]
            vpn += [
                ("method", method == .none ? "cert" : "eap-tls"), ("cert-source", "file"),
                ("usercert", "\(Self.folder)/\(slug)/\(slug).pem"), ("userkey", "\(Self.folder)/\(slug)/\(slug).key"),
            ]
            if method == .tls { vpn.append(("local-identity", user)) }
        } else {
            vpn += [("method", "eap"), ("user", user)]
        }
        var lines = ["# As root, in the folder of this file:"]
        if !names.isEmpty {
            lines += [
                "#   install -d -m 700 \(Self.folder)/\(slug)",
                "#   install -m 600 \(names.joined(separator: " ")) \(Self.folder)/\(slug)/",
            ]
        }
        lines += [
            "#   install -m 600 \(file) /etc/NetworkManager/system-connections/", "#   nmcli connection reload", "", "[connection]",
            "id=\(Self.keyfile(connection))", "uuid=\(identifier("profile").uuidString.lowercased())", "type=vpn", "autoconnect=false", "",
            "[vpn]",
        ]
        lines += vpn.map { "\($0)=\(Self.keyfile($1))" }
        lines += ["", "[ipv4]", "method=auto", "", "[ipv6]", "method=auto", ""]
        files.append(ProfileFile(file, lines.joined(separator: "\n")))
        return files
    }

    /// GLib, key files: a backslash escapes, and blanks at the start go unless they are written as `\s`.
    static func keyfile(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing("\r", with: "\\r")
        return escaped.hasPrefix(" ") ? "\\s" + escaped.dropFirst() : escaped
    }

    func swanctlFiles() throws -> [ProfileFile] {
        var files = try anchorFiles("x509ca/\(slug)")
        var local: [(String, String)] = []
        switch method {
        case .none: local = [("auth", "pubkey")]
        case .tls: local = [("auth", "eap-tls"), ("id", user), ("eap_id", user)]
        case .ttls, .mschapv2, .gtc, .peap: local = [("auth", "eap-\(method.rawValue)"), ("id", user), ("eap_id", user)]
        }
        // Whom EAP's certificate has to name; the gateway is another.
        if method.hasTunnel, !serverName.isEmpty { local.append(("aaa_id", serverName)) }
        if let credential {
            files += [
                ProfileFile("x509/\(slug).pem", credential.certificate),
                ProfileFile("private/\(slug).key", credential.key.reveal { Array($0) }),
            ]
            local.append(("certs", slug + ".pem"))
        }
        var remote = [("auth", "pubkey"), ("id", remoteID)]
        if !anchors.isEmpty {
            remote.append(("cacerts", anchors.indices.map { "\(slug)\($0 == 0 ? "" : "-\($0 + 1)").pem" }.joined(separator: ", ")))
        }
        func section(_ name: String, _ values: [(String, String)]) -> [String] {
            ["    \(name) {"] + values.map { "      \($0) = \($0 == "cacerts" ? $1 : Self.swanctl($1))" } + ["    }"]
        }
        let lines =
            [
                "# \(Self.comment("\(connection) for \(user), \(label)"))", "connections {", "  \(slug) {", "    version = 2",
                "    remote_addrs = \(gateway)", "    vips = 0.0.0.0, ::",
            ] + section("local", local) + section("remote", remote) + [
                "    children {", "      \(slug) {", "        remote_ts = 0.0.0.0/0, ::/0", "      }", "    }", "  }", "}", "",
            ]
        files.append(ProfileFile("conf.d/\(slug).conf", lines.joined(separator: "\n")))
        return files
    }

    /// strongswan.conf(5): quoted, a backslash escapes.
    static func swanctl(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy { PeerCertificate.isOfName($0) || $0 == UInt8(ascii: "@") }
        return isPlain ? text : "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
