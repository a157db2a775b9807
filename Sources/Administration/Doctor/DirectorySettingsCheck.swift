// SPDX-License-Identifier: Apache-2.0
// What a stranger could make of how a directory is set up, and who could not log in.

internal import LoginEngine
internal import Store

enum DirectorySettingsCheck {
    static func findings(
        _ directories: [Directory], uses: [Int64: DirectoryUses], syncs: [SyncRecord] = [], now: Timestamp = Timestamp(microseconds: 0)
    ) -> [Finding] {
        guard !directories.isEmpty else { return [] }
        let findings = directories.flatMap { ofProtection($0) + ofService($0, uses[$0.id] ?? DirectoryUses()) + ofSync($0, syncs, now) }
        return findings.orElse(
            Finding(
                .directoriesRight, nil,
                "\(Words.count(directories.count, "directory", "directories")): signed replies, secrets that are not weak."))
    }

    /// Times that may be missed: a directory that is down for a while is told by itself.
    private static let missedSyncs: Int64 = 3

    private static func ofSync(_ directory: Directory, _ syncs: [SyncRecord], _ now: Timestamp) -> [Finding] {
        let name = directory.name
        let record = syncs.first { $0.directory == directory.id }
        if let record, let problem = record.problem {
            return [
                Finding(
                    .directorySyncFailed, name,
                    "The last sync of directory \(name) failed, \(Words.count(record.failures, "time")) in a row: \(problem)",
                    remedy: "sallyport directory sync \(name) --dry-run")
            ]
        }
        guard let every = directory.settings.syncEvery, directory.settings.isEnabled, let succeeded = record?.succeeded,
            now - succeeded > Timestamp.Span(microseconds: every.microseconds * missedSyncs)
        else { return [] }
        return [
            Finding(
                .directorySyncOld, name, "Directory \(name) was synced last at \(Instant(succeeded)), and is to be every \(every.every).",
                remedy: "sallyport directory sync \(name)")
        ]
    }

    private static func ofProtection(_ directory: Directory) -> [Finding] {
        let (name, settings) = (directory.name, directory.settings)
        if let ldap = settings.ldap {
            return ldap.plainServers.map { server in
                Finding(
                    .directoryPlain, name, "\(server) of directory \(name) is asked without TLS: every password can be read on the way.",
                    remedy: "sallyport directory set \(name) --server starttls://\(server.host), or ldaps://, and all others again")
            }
        }
        var findings: [Finding] = []
        if settings.messageAuthenticator == .allow {
            findings.append(
                Finding(
                    .directoryForgeable, name,
                    "Replies of directory \(name) without Message-Authenticator are taken: a wrong password can be made a right one on the way "
                        + "(CVE-2024-3596).",
                    remedy: "Update its servers, then: sallyport directory set \(name) --message-authenticator require"))
        }
        for server in settings.servers {
            // What several share is told of the first of them.
            guard settings.ownSecrets[server] != nil || server == settings.servers.first(where: { settings.ownSecrets[$0] == nil }) else {
                continue
            }
            let secret = settings.secret(of: server)
            guard !secret.isEmpty, secret.count < ClientSettings.shortestGoodSecret else { continue }
            let whose = settings.ownSecrets[server] == nil ? "The shared secret" : "The secret of \(server)"
            findings.append(
                Finding(
                    .directorySecretWeak, name,
                    "\(whose) of directory \(name) has only \(secret.count) bytes; whoever records one packet can guess it offline, and read "
                        + "passwords.",
                    remedy: "Set a longer one there and here: \(settings.commandForSecret(of: server))"))
        }
        return findings
    }

    private static func ofService(_ directory: Directory, _ uses: DirectoryUses) -> [Finding] {
        let (name, settings) = (directory.name, directory.settings)
        if let ldap = settings.ldap {
            guard !uses.isEmpty else { return [] }
            if !settings.isEnabled || settings.lacksPassword {
                let why = settings.isEnabled ? "the password of its account does not open" : "it is disabled"
                return [
                    Finding(
                        .directoryClosed, name, "Whoever's password lives at directory \(name) (\(uses.words)) cannot log in: \(why).",
                        remedy: "sallyport directory set \(name) \(settings.isEnabled ? "--password-stdin" : "--enable")")
                ]
            }
            return ldap.servers.count == 1 ? [alone(name, uses)] : []
        }
        let mute = settings.mute
        if !uses.isEmpty, !settings.isEnabled || mute == settings.servers {
            let why = settings.isEnabled ? "no secret of its servers opens" : "it is disabled"
            return [
                Finding(
                    .directoryClosed, name, "Whoever's password lives at directory \(name) (\(uses.words)) cannot log in: \(why).",
                    remedy: settings.isEnabled
                        ? settings.commandForSecret(of: settings.servers[0]) : "sallyport directory set \(name) --enable")
            ]
        }
        let closed = mute.map { server in
            Finding(
                .directoryClosed, name, "\(server) of directory \(name) is asked nothing: its secret does not open.",
                remedy: settings.commandForSecret(of: server))
        }
        guard !uses.isEmpty, settings.servers.count == 1 else { return closed }
        return closed + [alone(name, uses)]
    }

    private static func alone(_ name: String, _ uses: DirectoryUses) -> Finding {
        Finding(
            .directoryAlone, name, "Directory \(name) has one server: while it is down, \(uses.words) cannot log in.",
            remedy: "Name a second one, if there is one: sallyport directory set \(name) --server …")
    }
}
