// SPDX-License-Identifier: Apache-2.0
// sallyport user device: certificates for devices of a user, and the profiles that set devices up.

import Administration
import ArgumentParser
import Foundation

struct DeviceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device", abstract: "Devices of a user: certificates and profiles.",
        discussion: """
            Examples:
              sallyport user device add alice --format mobileconfig --gateway vpn.example.org
              sallyport user device list alice
              sallyport user device revoke alice "Alice's phone" --reason key-compromise
            """,
        subcommands: [Add.self, List.self, Revoke.self])
}

extension DeviceCommand {
    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Issue a certificate for a device, and write the profile that sets it up.",
            discussion: """
                Formats: mobileconfig (iOS, macOS), sswan (strongSwan's app for Android), powershell
                (Windows), nm (NetworkManager), swanctl, and p12 or pem for a certificate alone. --eap tls, which
                is the default, has the certificate checked here; none leaves it to the gateway; ttls, peap,
                mschapv2 and gtc write a profile without a certificate, where the user proves it all.
                docs/clients says what each device can do.

                Writes into a new folder that nobody else can read. The password of a p12 is made here and
                shown once.

                Examples:
                  sallyport user device add alice --format mobileconfig --gateway vpn.example.org
                  sallyport user device add bob --name laptop --format p12 --out bob-laptop
                  sallyport user device add bob --format powershell --eap peap --gateway vpn.example.org
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Option(name: .customLong("name"), help: ArgumentHelp("How the device is called.", valueName: "name")) var label: String?
        @Option(help: ArgumentHelp("pem, p12, mobileconfig, sswan, powershell, nm or swanctl.", valueName: "format"))
        var format: DeviceFormat
        @Option(help: ArgumentHelp("tls, none, ttls, peap, mschapv2 or gtc.", valueName: "method")) var eap: DeviceMethod?
        @Option(help: ArgumentHelp("Name or address of the VPN gateway.", valueName: "host")) var gateway: String?
        @Option(help: ArgumentHelp("What the gateway calls itself; as it is addressed by default.", valueName: "identity"))
        var remoteID: String?
        @Option(help: ArgumentHelp("The name in the certificate that EAP shows; this node's by default.", valueName: "host"))
        var serverName: String?
        @Option(help: ArgumentHelp("How the device calls the connection.", valueName: "name")) var connection: String?
        @Option(
            help: ArgumentHelp("PEM file of authorities for the device to believe, in place of the one here.", valueName: "file"),
            completion: .file())
        var ca: String?
        @Option(help: ArgumentHelp("p256 or rsa3072.", valueName: "kind")) var key: String?
        @Option(help: ArgumentHelp("How long the certificate holds; 397 by default.", valueName: "days")) var days: Int?
        @Option(help: ArgumentHelp("How a p12 is encrypted: compatible or modern.", valueName: "kind")) var pack: String?
        @Option(help: ArgumentHelp("A folder to make for it.", valueName: "folder"), completion: .directory) var out: String?
        @OptionGroup var options: GlobalOptions

        private static let largestFile = 256 << 10

        func run(_ node: NodeConnection, _ output: Output) async throws {
            var request = AddDevice(user: user, label: label, format: format, method: eap, gateway: gateway)
            (request.remoteID, request.serverName, request.connection) = (remoteID, serverName, connection)
            (request.key, request.days, request.pack) = (key, days, pack)
            if let ca { request.anchors = String(decoding: try TextFile.read(ca, limit: Self.largestFile), as: UTF8.self) }
            let folder = try PrivateFolder(out ?? PrivateFolder.name(for: "\(user)-\(label ?? format.rawValue)"))
            let answer: AddDevice.Answer
            do {
                answer = try await node.perform(request)
            } catch {
                folder.discard()
                throw error
            }
            let serial = answer.certificate?.serial
            try await folder.write(
                answer.files.map { ($0.path, Array(Data(base64Encoded: $0.contents.text) ?? Data())) },
                orElse: serial.map { serial in { _ = try await node.perform(RevokeCertificate(serial: serial, reason: "cessation")) } })
            try output.show(
                Written(
                    message: answer.message, certificate: answer.certificate, folder: folder.path, files: folder.written,
                    password: answer.password), warnings: answer.warnings
            ) { written in
                output.done(written.message)
                output.line("Wrote \(Words.list(written.files)) into \(written.folder).")
                if let password = written.password {
                    output.line()
                    output.line("Password of the certificate, which is not shown again: ", Span(password.text, .strong))
                }
                output.line()
                output.line(answer.next)
            }
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the devices of a user, the newest first.",
            discussion: """
                Example:
                  sallyport user device list alice
                """)

        @Argument(help: "Login name or alias.") var user: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ListDevices(user: user))
            try output.show(answer) { answer in
                guard !answer.devices.isEmpty else { return output.line("\(answer.user) has no device.") }
                AuthorityCommand.table(answer.devices, output)
            }
        }
    }

    struct Revoke: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a device's certificate back, for good.",
            discussion: """
                Example:
                  sallyport user device revoke alice "Alice's phone" --reason key-compromise
                """)

        @Argument(help: "Login name or alias.") var user: String
        @Argument(help: "How the device is called, or the beginning of its serial number.") var device: String
        @Option(
            help: ArgumentHelp(
                "unspecified, key-compromise, affiliation-changed, superseded or cessation.", valueName: "reason"))
        var reason: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(RevokeDevice(user: user, device: device, reason: reason)))
        }
    }
}

extension DeviceFormat: ExpressibleByArgument {}
extension DeviceMethod: ExpressibleByArgument {}
