// SPDX-License-Identifier: Apache-2.0
// Which servers of directories answer the running node, and whose replies it drops.

import Administration
import Directories
import LoginEngine
import RADIUS

enum DirectoryCheck {
    static func status(_ passwords: PasswordSources, now: Moment) -> [DirectoryStatus] {
        passwords.figures.flatMap { figures in
            figures.directory.settings.servers.compactMap { server in
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

    static func findings(_ passwords: PasswordSources, now: Moment) -> [Finding] {
        let names = Dictionary(passwords.figures.map { ($0.directory.id, $0.directory.name) }) { first, _ in first }
        return status(passwords, now: now).flatMap { status in
            let name = names[status.directory] ?? "?"
            var findings: [Finding] = []
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
                        .directoryDown, name, "\(status.server) of directory \(name) does not answer\(since).",
                        remedy:
                            "See whether it runs, knows this server as a client with the same secret, and is reached: sallyport directory "
                            + "test \(name)"))
            }
            return findings
        }
    }
}
