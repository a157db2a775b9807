// SPDX-License-Identifier: Apache-2.0
// sallyport ca: the authority that issues certificates for devices, gateways and EAP.

import Administration
import ArgumentParser
import Foundation

struct AuthorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca", abstract: "The authority that issues certificates.",
        discussion: """
            One authority for devices of users, gateways, and the certificate that EAP shows, so that
            devices have one to believe. Its key lies sealed in the database. docs/run/certificates.md has
            the rest; devices: `sallyport user device --help`.

            Examples:
              sallyport ca init --name 'Example VPN CA' --domain example.org
              sallyport ca issue vpn.example.org --out vpn
              sallyport ca list --expiring 30
              sallyport ca crl --out vpn.crl
            """,
        subcommands: [Init.self, Show.self, Issue.self, List.self, Revoke.self, RevocationListCommand.self, Remove.self])

    static func table(_ certificates: [CertificateView], _ output: Output) {
        var table = Table([
            .init("SERIAL"), .init("NAME", isFlexible: true), .init("DEVICE", isFlexible: true), .init("USAGE"), .init("STATE"),
            .init("UNTIL"),
        ])
        for certificate in certificates {
            let state = certificate.state + (certificate.reason.map { $0 == "unspecified" ? "" : ", \($0)" } ?? "")
            table.rows.append([
                Span(String(certificate.serial.prefix(12)), .soft), Span(certificate.name, .strong),
                certificate.device.map { Span($0) } ?? .none, Span(certificate.usage),
                Span(state, certificate.state == "valid" ? .good : certificate.state == "ended" ? .soft : .warn),
                output.time(certificate.ends),
            ])
        }
        output.lines(table.lines(output.terminal))
    }
}

extension AuthorityCommand {
    struct Init: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the authority.",
            discussion: """
                --domain holds it to names of hosts in your domain: whoever steals its key can then be no other
                server to devices that believe it. With --replace a new authority takes the place of the one in
                force, which is believed until it is removed.

                Examples:
                  sallyport ca init --name 'Example VPN CA' --domain example.org
                  sallyport ca init --replace --key rsa3072 --days 1825
                """)

        @Option(help: ArgumentHelp("What devices show it as.", valueName: "name")) var name: String?
        @Option(
            name: .customLong("domain"),
            help: ArgumentHelp("Hosts of this domain alone, and below it; can be repeated.", valueName: "domain"))
        var domains: [String] = []
        @Option(help: ArgumentHelp("p256 or rsa3072.", valueName: "kind")) var key: String?
        @Option(help: ArgumentHelp("How long it holds; 3650 by default.", valueName: "days")) var days: Int?
        @Flag(help: "Take the place of the one in force.") var replace = false
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(
                InitAuthority(name: name, domains: domains, key: key, days: days, isReplacement: replace))
            try output.show(answer, warnings: answer.warnings) { output.done($0.message) }
        }
    }

    struct Show: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the authority, or print its certificate.",
            discussion: """
                Examples:
                  sallyport ca show
                  sallyport ca show --pem > ca.pem
                """)

        @Flag(help: "Print the certificates of all authorities that are believed, in PEM, and nothing else.") var pem = false
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ShowAuthority())
            if pem { return Output.write(answer.pem, STDOUT_FILENO) }
            try output.show(answer, warnings: answer.warnings) { answer in
                for (index, authority) in answer.authorities.enumerated() {
                    if index > 0 { output.line() }
                    var sheet = Sheet()
                    sheet.add("Authority", Span(authority.name, .strong))
                    sheet.add("Number", Span("\(authority.id)"))
                    sheet.add("State", authority.isInForce ? Span("in force", .good) : Span("believed, issues nothing more", .warn))
                    sheet.add("Hosts", authority.domains.isEmpty ? Span("of every name") : output.list(authority.domains))
                    sheet.add("Key", Span(authority.key))
                    sheet.add("SHA-256", Span(authority.fingerprint))
                    sheet.add("From", output.time(authority.begins))
                    sheet.add("Until", output.time(authority.ends))
                    sheet.add("Certificates", Span("\(authority.certificates) that hold"))
                    output.lines(sheet.lines(output.terminal))
                }
            }
        }
    }

    struct Issue: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Issue a certificate for a gateway, a server or a program.",
            discussion: """
                Writes certificate, key and authority into a new folder that nobody else can read. The key is
                kept nowhere else. For devices of users: `sallyport user device add`.

                Examples:
                  sallyport ca issue vpn.example.org --dns vpn2.example.org --out vpn
                  sallyport ca issue fortigate-hq --usage client --out fortigate-hq
                """)

        @Argument(help: "The name of the host, or of whoever is to be known by it.") var name: String
        @Option(help: ArgumentHelp("server or client.", valueName: "usage")) var usage = "server"
        @Option(name: .customLong("dns"), help: ArgumentHelp("Another name of the host; can be repeated.", valueName: "name"))
        var dnsNames: [String] = []
        @Option(help: ArgumentHelp("p256 or rsa3072.", valueName: "kind")) var key: String?
        @Option(help: ArgumentHelp("How long it holds; 397 by default.", valueName: "days")) var days: Int?
        @Option(help: ArgumentHelp("A folder to make for it; named after it by default.", valueName: "folder"), completion: .directory)
        var out: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let folder = try PrivateFolder(out ?? PrivateFolder.name(for: name))
            let answer: IssueCertificate.Answer
            do {
                answer = try await node.perform(IssueCertificate(name: name, usage: usage, dnsNames: dnsNames, key: key, days: days))
            } catch {
                folder.discard()
                throw error
            }
            let serial = answer.certificate.serial
            try await folder.write(
                [("cert.pem", answer.pem), ("key.pem", answer.key.text), ("ca.pem", answer.authority)].map { ($0.0, Array($0.1.utf8)) }
            ) {
                _ = try await node.perform(RevokeCertificate(serial: serial, reason: "cessation"))
            }
            try output.show(
                Written(message: answer.message, certificate: answer.certificate, folder: folder.path, files: folder.written),
                warnings: answer.warnings
            ) { written in
                output.done(written.message)
                output.line("Wrote \(Words.list(written.files)) into \(written.folder).")
            }
        }
    }

    struct List: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "List certificates, the newest first.",
            discussion: """
                Examples:
                  sallyport ca list --expiring 30
                  sallyport ca list --usage device --json
                  sallyport ca list --revoked
                """)

        @Option(help: ArgumentHelp("Those that hold and end within so many days.", valueName: "days")) var expiring: Int?
        @Option(help: ArgumentHelp("server, client or device.", valueName: "usage")) var usage: String?
        @Flag(help: "Those that were revoked.") var revoked = false
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let answer = try await node.perform(ListCertificates(endingDays: expiring, usage: usage, isRevoked: revoked))
            try output.show(answer) { answer in
                guard !answer.certificates.isEmpty else { return output.line("No certificates.") }
                AuthorityCommand.table(answer.certificates, output)
            }
        }
    }

    struct Revoke: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a certificate back, for good.",
            discussion: """
                It opens nothing here from now on. Gateways that check certificates themselves learn of it from
                the revocation list.

                Example:
                  sallyport ca revoke 5b3f0a --reason key-compromise
                """)

        @Argument(help: "The beginning of its serial number, as `ca list` shows it.") var serial: String
        @Option(
            help: ArgumentHelp(
                "unspecified, key-compromise, affiliation-changed, superseded or cessation.", valueName: "reason"))
        var reason: String?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(RevokeCertificate(serial: serial, reason: reason)))
        }
    }

    struct RevocationListCommand: NodeCommand {
        static let configuration = CommandConfiguration(
            commandName: "crl", abstract: "Sign the list of what was revoked.",
            discussion: """
                Signed anew at each call; devices of users who are disabled stand on it as held. Gateways take it
                from wherever you put it.

                Examples:
                  sallyport ca crl > vpn.crl.pem
                  sallyport ca crl --der --out /srv/www/vpn.crl --days 2
                """)

        @Option(help: ArgumentHelp("The file to write, in the place of an older one; standard output by default.", valueName: "file"))
        var out: String?
        @Flag(help: "DER in place of PEM.") var der = false
        @Option(help: ArgumentHelp("Until when there is a newer one at the latest; 7 by default.", valueName: "days")) var days: Int?
        @Option(help: ArgumentHelp("The number of an older authority.", valueName: "number")) var authority: Int64?
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            if der, out == nil, output.terminal.isOutput {
                throw Refusal(.invalid, "DER is nothing for a terminal.", remedy: "Name a file with --out.")
            }
            let answer = try await node.perform(SignRevocationList(authority: authority, days: days))
            let bytes = der ? Array(Data(base64Encoded: answer.der) ?? Data()) : Array(answer.pem.utf8)
            guard let out else {
                if options.isJSON { return try output.json(answer) }
                return FileHandle.standardOutput.write(Data(bytes))
            }
            do {
                // Whoever reads it meanwhile has the old one or the new one.
                try Data(bytes).write(to: URL(fileURLWithPath: out), options: .atomic)
            } catch {
                throw Refusal(.failed, "The list cannot be written.", remedy: "Check the folder and who may write there.", place: out)
            }
            try output.show(answer) { answer in
                output.done(
                    "Wrote the list of \(answer.authority.name), \(Words.count(answer.certificates, "certificate")), good until \(answer.next), to \(out)."
                )
            }
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take an older authority away, with its key.",
            discussion: """
                What it issued opens nothing here from then on, and its revocation list is signed no more.

                Example:
                  sallyport ca remove 1 --yes
                """)

        @Argument(help: "Its number, as `ca show` has it.") var authority: Int64
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try options.prompts.confirm("Remove authority \(authority), for good?", isYes: confirmation.isYes)
            try output.show(try await node.perform(RemoveAuthority(authority: authority)))
        }
    }
}

/// What a command says about files with keys in them: their names, never what is in them.
struct Written: Encodable {
    var message: String
    var certificate: CertificateView?
    var folder: String
    var files: [String]
    /// Of the PKCS #12 among them: shown once.
    var password: SecretText?
}
