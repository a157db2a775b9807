// SPDX-License-Identifier: Apache-2.0
// What a stranger could make of how a directory is set up, and who could not log in.

internal import LoginEngine

enum DirectorySettingsCheck {
    static func findings(_ directories: [Directory], uses: [Int64: DirectoryUses]) -> [Finding] {
        guard !directories.isEmpty else { return [] }
        let findings = directories.flatMap { ofProtection($0) + ofService($0, uses[$0.id] ?? DirectoryUses()) }
        return findings.orElse(
            Finding(
                .directoriesRight, nil,
                "\(Words.count(directories.count, "directory", "directories")): signed replies, secrets that are not weak."))
    }

    private static func ofProtection(_ directory: Directory) -> [Finding] {
        let (name, settings) = (directory.name, directory.settings)
        var findings: [Finding] = []
        if settings.messageAuthenticator == .allow {
            findings.append(
                Finding(
                    .directoryForgeable, name,
                    "Replies of directory \(name) without Message-Authenticator are taken: a wrong password can be made a right one on the way "
                        + "(CVE-2024-3596).",
                    remedy: "Update its servers, then: sallyport directory set \(name) --message-authenticator require"))
        }
        if !settings.secret.isEmpty, settings.secret.count < ClientSettings.shortestGoodSecret {
            findings.append(
                Finding(
                    .directorySecretWeak, name,
                    "The shared secret of directory \(name) has only \(settings.secret.count) bytes; whoever records one packet can guess it "
                        + "offline, and read passwords.",
                    remedy: "Set a longer one there and here: sallyport directory set \(name) --secret-stdin"))
        }
        return findings
    }

    private static func ofService(_ directory: Directory, _ uses: DirectoryUses) -> [Finding] {
        let (name, settings) = (directory.name, directory.settings)
        if !uses.isEmpty, !settings.isEnabled || settings.secret.isEmpty {
            let why = settings.isEnabled ? "its secret does not open" : "it is disabled"
            return [
                Finding(
                    .directoryClosed, name, "Whoever's password lives at directory \(name) (\(uses.words)) cannot log in: \(why).",
                    remedy: settings.isEnabled
                        ? "sallyport directory set \(name) --secret-stdin" : "sallyport directory set \(name) --enable")
            ]
        }
        guard !uses.isEmpty, settings.servers.count == 1 else { return [] }
        return [
            Finding(
                .directoryAlone, name, "Directory \(name) has one server: while it is down, \(uses.words) cannot log in.",
                remedy: "Name a second one, if there is one: sallyport directory set \(name) --server …")
        ]
    }
}
