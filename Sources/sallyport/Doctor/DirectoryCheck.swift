// SPDX-License-Identifier: Apache-2.0
// Which servers of directories answer the running node, and whose replies it drops.

import Administration
import Directories
import LoginEngine
import RADIUS

enum DirectoryCheck {
    static func status(_ passwords: PasswordSources, now: Moment) -> [DirectoryStatus] {
        passwords.figures.flatMap { figures in
            figures.servers.map { server in
                DirectoryStatus(
                    directory: figures.directory.id, server: "\(server.server)", isUp: server.isUp,
                    downSince: server.downSince.map { now.wall - (now.uptime - $0) },
                    dropped: server.dropped.map { $0 == .missingMessageAuthenticator ? .unsigned : .otherSecret })
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
            if !status.isUp {
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
