// SPDX-License-Identifier: Apache-2.0
// A script for Windows PowerShell 5.1 and newer: Add-VpnConnection with EAP's settings as XML (Microsoft, EAPHost schemas).

internal import Foundation
internal import TLS

extension DeviceProfile {
    func windowsFiles() throws -> [ProfileFile] {
        var files = try anchorFiles("ca")
        if let credential { files.append(ProfileFile(slug + ".p12", credential.pack)) }
        // Windows PowerShell reads a script as UTF-8 by its mark alone.
        files.append(ProfileFile("install.ps1", "\u{FEFF}" + windowsScript.replacing("\n", with: "\r\n")))
        return files
    }

    private var windowsScript: String {
        let isMachine = method == .none
        var lines = ["# \(Self.comment(connection)) for \(Self.comment(user)), \(Self.comment(label))"]
        if isMachine { lines.append("#Requires -RunAsAdministrator") }
        lines += ["$ErrorActionPreference = 'Stop'", "$name = \(Self.quoted(connection))"]
        for (index, anchor) in anchors.enumerated() {
            let file = "ca\(index == 0 ? "" : "-\(index + 1)").pem"
            let thumbprint = Issuing.hexadecimal(anchor.thumbprint).uppercased()
            // IKE looks among the machine's authorities. certutil alone is run as an administrator, so that the rest is the user's.
            lines += [
                "if (-not (Test-Path 'Cert:\\LocalMachine\\Root\\\(thumbprint)')) {",
                "    $file = Join-Path $PSScriptRoot '\(file)'",
                "    Start-Process certutil.exe -Verb RunAs -Wait -ArgumentList '-addstore', '-f', 'Root', \"`\"$file`\"\"",
                "    if (-not (Test-Path 'Cert:\\LocalMachine\\Root\\\(thumbprint)')) { throw 'The authority was not taken.' }",
                "}",
            ]
        }
        if credential != nil {
            let store = isMachine ? "LocalMachine" : "CurrentUser"
            lines += [
                "$password = Read-Host -AsSecureString 'Password of the certificate'",
                "$pack = Join-Path $PSScriptRoot '\(slug).p12'",
                "Import-PfxCertificate -FilePath $pack -Password $password -CertStoreLocation 'Cert:\\\(store)\\My' | Out-Null",
            ]
        }
        lines += [
            "if (Get-VpnConnection -Name $name -ErrorAction SilentlyContinue) { Remove-VpnConnection -Name $name -Force }",
            "$settings = @{",
            "    Name = $name",
            "    ServerAddress = \(Self.quoted(gateway))",
            "    TunnelType = 'Ikev2'",
            "    EncryptionLevel = 'Required'",
            "    AuthenticationMethod = '\(isMachine ? "MachineCertificate" : "Eap")'",
        ]
        if !isMachine {
            lines += ["    EapConfigXmlStream = [xml]@'", windowsEAP, "'@"]
        }
        lines += [
            "}",
            "Add-VpnConnection @settings",
            "$proposal = @{",
            "    ConnectionName = $name",
            "    AuthenticationTransformConstants = 'SHA256128'",
            "    CipherTransformConstants = 'AES256'",
            "    EncryptionMethod = 'AES256'",
            "    IntegrityCheckMethod = 'SHA256'",
            "    DHGroup = 'Group14'",
            "    PfsGroup = 'None'",
            "}",
            "Set-VpnConnectionIPsecConfiguration @proposal -Force",
            "Write-Host \"$name is set up.\"",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// Windows takes the curly ones for quotation marks too.
    static func quoted(_ text: String) -> String {
        var quoted = "'"
        for character in text.unicodeScalars {
            if "'\u{2018}\u{2019}\u{201A}\u{201B}".unicodeScalars.contains(character) { quoted.unicodeScalars.append(character) }
            quoted.unicodeScalars.append(character)
        }
        return quoted + "'"
    }

    /// One line, whatever a reader takes for its end.
    static func comment(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { !$0.properties.isWhitespace || $0 == " " }))
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
    }

    private static let schemas = "http://www.microsoft.com/provisioning/"

    private static func element(_ name: String, _ schema: String? = nil, _ content: String...) -> String {
        "<\(name)\(schema.map { " xmlns=\"\(schemas)\($0)\"" } ?? "")>\(content.joined())</\(name)>"
    }

    /// `EapHostConfig`, on one line.
    var windowsEAP: String {
        let type =
            switch method {
            case .tls, .none: 13
            case .ttls: 21
            case .peap: 25
            case .mschapv2, .gtc: 26
            }
        let host = Self.element(
            "EapMethod", nil, Self.element("Type", "EapCommon", "\(type)"), Self.element("VendorId", "EapCommon", "0"),
            Self.element("VendorType", "EapCommon", "0"), Self.element("AuthorId", "EapCommon", type == 21 ? "311" : "0"))
        let config =
            switch method {
            case .ttls: tunnelledPassword
            case .peap: base(type, protectedEAP)
            case .mschapv2, .gtc: base(type, challenge)
            case .tls, .none: base(type, certificate)
            }
        return Self.element("EapHostConfig", "EapHostConfig", host, Self.element("Config", "EapHostConfig", config))
    }

    private func base(_ type: Int, _ content: String) -> String {
        Self.element("Eap", "BaseEapConnectionPropertiesV1", Self.element("Type", nil, "\(type)"), content)
    }

    /// Nobody is asked whether to trust a server: one that is not known is refused.
    private func validation(_ hash: String) -> String {
        let roots = anchors.map { anchor in
            Self.element(hash, nil, anchor.thumbprint.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) + " " }.joined())
        }
        return Self.element(
            "ServerValidation", nil, Self.element("DisableUserPromptForServerValidation", nil, "true"),
            Self.element("ServerNames", nil, Self.escaped(serverName)), roots.joined())
    }

    private var certificate: String {
        Self.element(
            "EapType", "EapTlsConnectionPropertiesV1",
            Self.element("CredentialsSource", nil, Self.element("CertificateStore", nil, Self.element("SimpleCertSelection", nil, "true"))),
            validation("TrustedRootCA"), Self.element("DifferentUsername", nil, "false"),
            Self.element("PerformServerValidation", "EapTlsConnectionPropertiesV2", "true"),
            Self.element("AcceptServerName", "EapTlsConnectionPropertiesV2", serverName.isEmpty ? "false" : "true"))
    }

    private var challenge: String {
        Self.element("EapType", "MsChapV2ConnectionPropertiesV1", Self.element("UseWinLogonCredentials", nil, "false"))
    }

    private var protectedEAP: String {
        Self.element(
            "EapType", "MsPeapConnectionPropertiesV1", validation("TrustedRootCA"), Self.element("FastReconnect", nil, "true"),
            Self.element("InnerEapOptional", nil, "false"), base(26, challenge), Self.element("EnableQuarantineChecks", nil, "false"),
            Self.element("RequireCryptoBinding", nil, "true"),
            Self.element(
                "PeapExtensions", nil, Self.element("PerformServerValidation", "MsPeapConnectionPropertiesV2", "true"),
                Self.element("AcceptServerName", "MsPeapConnectionPropertiesV2", serverName.isEmpty ? "false" : "true")))
    }

    private var tunnelledPassword: String {
        let roots = anchors.map { anchor in
            let hash = anchor.thumbprint.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
            return Self.element("TrustedRootCAHash", nil, hash)
        }
        return Self.element(
            "EapTtls", "EapTtlsConnectionPropertiesV1",
            Self.element(
                "ServerValidation", nil, Self.element("ServerNames", nil, Self.escaped(serverName)), roots.joined(),
                Self.element("DisablePrompt", nil, "true")),
            Self.element("Phase2Authentication", nil, "<PAPAuthentication/>"),
            Self.element("Phase1Identity", nil, Self.element("IdentityPrivacy", nil, "false")))
    }
}
