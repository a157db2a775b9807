// SPDX-License-Identifier: Apache-2.0
// What can be seen of this machine without the node: settings, ports, files, disk.

import Administration
import Foundation
import Glibc
import WebDoor

enum SettingsCheck {
    /// - Parameter settings: what the file and the variables come to, or why they come to nothing.
    static func findings(_ settings: Result<Settings, SettingsError>, file: String?) -> [Finding] {
        switch settings {
        case .failure(let error):
            return [
                Finding(
                    .settingsWrong, file, "The settings are wrong: \(error.description).",
                    remedy: "Put them right (docs/run/settings.md); a node would not start with them.")
            ]
        case .success(let settings):
            var findings = settings.warnings.map { Finding(.settingsDoubtful, nil, "\($0)", remedy: "Correct it, or take it away.") }
            if let file, let state = FileState(file), state.mode & 0o022 != 0 || (state.owner != 0 && state.owner != geteuid()) {
                findings.append(
                    Finding(
                        .settingsOpen, file, "Others than root and the node's user can change the settings file \(file).",
                        remedy: "chown root \(file) && chmod 644 \(file)"))
            }
            return findings.orElse(
                Finding(.settingsRight, file, file.map { "\($0) holds no mistake." } ?? "No settings file: everything is at its default."))
        }
    }

    /// - Parameter bound: where the running node's RADIUS answers.
    static func inForce(_ settings: Settings, bound: [String]) -> [Finding] {
        let wanted = settings.radiusListen.filter { $0.port != 0 }.map { "\($0)" }
        guard !wanted.allSatisfy(bound.contains) else { return [] }
        return [
            Finding(
                .settingsNotInForce, nil,
                "The node's RADIUS answers on \(Words.list(bound)), and the settings that are seen here say \(Words.list(wanted)).",
                remedy: "Restart the node to put the settings in force, unless it was started with flags of its own.")
        ]
    }
}

/// Whether a node that is to start could have its ports.
enum PortCheck {
    static func findings(_ settings: Settings, owner: uid_t) -> [Finding] {
        let listeners: [(address: ListenAddress, isUDP: Bool)] =
            (settings.radiusListen + settings.radiusAccounting).map { ($0, true) }
            + (settings.webHealth + settings.webMetrics + settings.radsec.listen + settings.pages.listen).map { ($0, false) }
        let first = ProcessFigures.text("/proc/sys/net/ipv4/ip_unprivileged_port_start").flatMap {
            UInt16($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        return listeners.flatMap { listener in
            ofTaken(listener.address, isUDP: listener.isUDP) + ofPrivileged(listener.address, first: first ?? 1_024, owner: owner)
        }
    }

    private static func ofTaken(_ address: ListenAddress, isUDP: Bool) -> [Finding] {
        guard Ports.isTaken(address, isUDP: isUDP) else { return [] }
        let holder = SocketTable.holder(ofPort: address.port, isUDP: isUDP) ?? "another process; root is told which"
        let settings = isUDP ? "radius.listen, radius.accounting" : "web.health, web.metrics, web.public"
        return [
            Finding(
                .portTaken, "\(address)", "\(isUDP ? "UDP" : "TCP") \(address) is taken by \(holder).",
                remedy: "Stop it, or choose another port: \(settings) (docs/run/settings.md)")
        ]
    }

    static func ofPrivileged(_ address: ListenAddress, first: UInt16, owner: uid_t) -> [Finding] {
        guard address.port != 0, address.port < first, owner != 0 else { return [] }
        return [
            Finding(
                .portPrivileged, "\(address)", "Port \(address.port) is below \(first): the node's user may not bind it by itself.",
                remedy: "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit (README.Debian), or a port from \(first) on.")
        ]
    }
}

/// Of the file itself, where it is a link.
struct FileState: Equatable {
    /// Permissions alone.
    var mode: Int
    var owner: uid_t
    var isLink: Bool
    var isFolder = false

    init?(_ path: String) {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? NSNumber, let owner = attributes[.ownerAccountID] as? NSNumber
        else { return nil }
        (self.mode, self.owner) = (mode.intValue, owner.uint32Value)
        isLink = attributes[.type] as? FileAttributeType == .typeSymbolicLink
        isFolder = attributes[.type] as? FileAttributeType == .typeDirectory
    }
}

/// Who can read or replace what the node keeps.
enum FileCheck {
    /// Beside the files of the data directory: where the Debian package keeps the key.
    static let packageKey = "/etc/sallyport/master.key"

    static func findings(_ directory: String, key: String?) -> [Finding] {
        guard let own = FileState(directory) else { return [] }
        var findings = ofMode(directory, own, remedy: "chmod 700 \(directory)")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in names.sorted() {
            let path = directory + "/" + name
            guard let state = FileState(path) else { continue }
            // A folder that may not be entered is as good as gone.
            findings += ofMode(path, state, remedy: "chmod \(state.isFolder ? 700 : 600) \(path)")
            if state.owner != own.owner {
                findings.append(
                    Finding(
                        .fileForeign, path, "\(path) belongs to another user than the data directory.",
                        remedy: "Find out who put it there; then: chown --reference=\(directory) \(path)"))
            }
        }
        for path in Set([key, packageKey].compactMap { $0 }) where !path.hasPrefix(directory + "/") {
            if let state = FileState(path) { findings += ofMode(path, state, remedy: "chmod 600 \(path)") }
        }
        return findings.orElse(Finding(.filesRight, directory, "Only their owner can read and change the files in \(directory)."))
    }

    private static func ofMode(_ path: String, _ state: FileState, remedy: String) -> [Finding] {
        guard state.mode & 0o077 != 0, !state.isLink else { return [] }
        let mode = String(state.mode & 0o777, radix: 8)
        return [
            Finding(
                .fileOpen, path, "Others than its owner have rights to \(path) (mode \(mode)).",
                remedy: "\(remedy), and treat what is in it as known if others were on this machine.")
        ]
    }
}

enum DiskCheck {
    /// Here a full disk is minutes away.
    static let leastBytes = 64 << 20
    static let leastFiles = 100
    static let fewBytes = 1 << 30
    static let fewFiles = 10_000

    static func findings(_ directory: String) -> [Finding] {
        guard let attributes = try? FileManager.default.attributesOfFileSystem(forPath: directory) else { return [] }
        func number(_ key: FileAttributeKey) -> Int { (attributes[key] as? NSNumber)?.intValue ?? .max }
        // Some file systems make inodes as they go, and count none.
        let files = number(.systemNodes) == 0 ? Int.max : number(.systemFreeNodes)
        return findings(directory, bytes: number(.systemFreeSize), files: files)
    }

    static func findings(_ directory: String, bytes: Int, files: Int) -> [Finding] {
        let left = files < fewFiles ? "\(bytes >> 20) MiB and \(Words.count(files, "inode"))" : "\(bytes >> 20) MiB"
        let remedy = "Free space on the file system of \(directory), or enlarge it. Without space no login is accepted."
        if bytes < leastBytes || files < leastFiles {
            return [Finding(.diskFull, directory, "Only \(left) are left for \(directory).", remedy: remedy)]
        }
        if bytes < fewBytes || files < fewFiles {
            return [Finding(.diskLow, directory, "Only \(left) are left for \(directory).", remedy: remedy)]
        }
        return [Finding(.diskRight, directory, "\(left) are left for \(directory).")]
    }
}
