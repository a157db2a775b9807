// SPDX-License-Identifier: Apache-2.0
// Which servers of directories answer the running node, and whose replies it drops.

import Administration
import Directories
import LoginEngine
import RADIUS
import TLS

enum DirectoryCheck {
    static func status(_ passwords: PasswordSources, now: Moment) -> [DirectoryStatus] {
        passwords.figures.flatMap { figures in
            if figures.directory.settings.ldap != nil { return ldapStatus(figures, now: now) }
            return figures.directory.settings.servers.compactMap { server in
                let name = server.hostName.map { figures.names[$0] ?? ServerNames.Resolution() }
                let addresses = name?.addresses.map { ServerAddress($0, port: server.port).description } ?? [server.description]
                let known = figures.servers.filter { addresses.contains($0.server.description) }
                // One whose secret does not open is none that could answer.
                guard !known.isEmpty || name != nil else { return nil }
                func wall(_ uptime: Timestamp) -> Timestamp { now.wall - (now.uptime - uptime) }
                let isUp = known.contains(where: \.isUp)
                var status = DirectoryStatus(
                    directory: figures.directory.id, server: server.description, isUp: isUp,
                    downSince: isUp ? nil : known.compactMap(\.downSince).min().map(wall),
                    dropped: known.lazy.compactMap(\.dropped).first.map { $0 == .missingMessageAuthenticator ? .unsigned : .otherSecret })
                status.lastHeard = known.compactMap(\.lastHeard).max().map(wall)
                status.askedSince =
                    known.contains { $0.isUp && $0.askedSince == nil } ? nil : known.compactMap(\.askedSince).min().map(wall)
                status.name = name.map { DirectoryStatus.Name(addresses: addresses, found: $0.found, problem: $0.problem) }
                return status
            }
        }
    }

    private static func ldapStatus(_ figures: PasswordSources.Figures, now: Moment) -> [DirectoryStatus] {
        figures.ldap.map { server in
            func wall(_ uptime: Timestamp) -> Timestamp { now.wall - (now.uptime - uptime) }
            var status = DirectoryStatus(
                directory: figures.directory.id, server: server.server, isUp: server.isUp, downSince: server.downSince.map(wall))
            status.lastHeard = server.lastHeard.map(wall)
            status.askedSince = server.askedSince.map(wall)
            status.problem = server.problem
            if let certificate = server.certificate, let pem = try? CertificateText.pem(of: certificate),
                let text = try? CertificateText(pem: pem)
            {
                status.certificateEnds = Timestamp(seconds: text.peer.expires)
            }
            return status
        }
    }

    /// Long enough for whoever runs the directory to make a new one.
    private static let notice = Timestamp.Span.minutes(14 * 24 * 60)

    private static func ending(_ status: DirectoryStatus, _ name: String, now: Moment) -> [Finding] {
        guard let end = status.certificateEnds, end - now.wall <= notice else { return [] }
        return [
            Finding(
                .directoryCertificateEnding, name,
                "The certificate of \(status.server) (directory \(name)) ends at \(Instant(end)): nobody of its users is let in by it then.",
                remedy: "Let whoever runs it put a new one in; a new authority goes to: sallyport directory set \(name) --ca PATH")
        ]
    }

    static func findings(_ passwords: PasswordSources, now: Moment) -> [Finding] {
        let names = Dictionary(passwords.figures.map { ($0.directory.id, $0.directory.name) }) { first, _ in first }
        return status(passwords, now: now).flatMap { status in
            let name = names[status.directory] ?? "?"
            var findings = ending(status, name, now: now)
            if status.isUp, let problem = status.problem {
                findings.append(
                    Finding(
                        .directoryAccountRefused, name, "Directory \(name) cannot be searched: \(problem).",
                        remedy: "Set the account's name and password: sallyport directory set \(name) --account … --password-stdin"))
            }
            switch status.dropped {
            case .unsigned:
                findings.append(
                    Finding(
                        .directoryUnsigned, name,
                        "Replies of \(status.server) (directory \(name)) are dropped: they have no Message-Authenticator.",
                        remedy: "Update that server (CVE-2024-3596); until then, knowing the risk: sallyport directory set \(name) "
                            + "--message-authenticator allow"))
            case .otherSecret:
                findings.append(
                    Finding(
                        .directoryUnsigned, name,
                        "Replies of \(status.server) (directory \(name)) are dropped: another shared secret signed them.",
                        remedy: "Give both sides the same one: sallyport directory set \(name) --secret-stdin"))
            case nil: break
            }
            if let found = status.name, let problem = found.problem {
                let known =
                    found.addresses.isEmpty
                    ? "none of its addresses is known"
                    : "\(Words.list(found.addresses)), found before, \(found.addresses.count == 1 ? "is" : "are") asked"
                findings.append(
                    Finding(
                        .directoryNameLost, name, "\(status.server) of directory \(name) is not found: \(problem); \(known).",
                        remedy:
                            "See what this machine's name server says of it, or give the server's address: sallyport directory set \(name) "
                            + "--server …"))
            }
            if !status.isUp, status.name?.addresses.isEmpty != true {
                let since = status.downSince.map { " since \(Instant($0))" } ?? ""
                findings.append(
                    Finding(
                        .directoryDown, name,
                        "\(status.server) of directory \(name) does not answer\(since)\(status.problem.map { ": \($0)" } ?? "").",
                        remedy:
                            "See whether it runs, knows this server as a client with the same secret, and is reached: sallyport directory "
                            + "test \(name)"))
            }
            return findings
        }
    }
}
