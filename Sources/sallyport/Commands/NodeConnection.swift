// SPDX-License-Identifier: Apache-2.0
// The way from a command to the operations: the running node's socket, or the data itself under its lock.

import Administration
import ControlDoor
import Foundation
import Glibc
import Synchronization

struct NodeConnection: Sendable {
    private enum Way: Sendable {
        case node(ControlClient)
        case own(OfflineOperations)
        /// There is nothing yet: key and database are made by the first operation that writes.
        case nothing(FirstWrite)
    }

    private final class FirstWrite: Sendable {
        let settings: Settings
        let opened = Mutex<OfflineOperations?>(nil)

        init(_ settings: Settings) {
            self.settings = settings
        }

        func open() throws(Refusal) -> OfflineOperations {
            try opened.withLock { opened throws(Refusal) in
                if let opened { return opened }
                let new = try OfflineOperations.open(settings)
                opened = new
                return new
            }
        }
    }

    private let way: Way

    /// Whether a node runs and did what was asked.
    var isRunning: Bool { if case .node = way { true } else { false } }

    static func open(_ options: GlobalOptions) async throws -> NodeConnection {
        let location = try options.location()
        let directory = location.dataDirectory
        let owner = try ownerID(of: directory)
        if geteuid() != 0, geteuid() != owner { throw wrongUser(directory, owner: owner, isRunning: nil) }
        if let client = try await ControlClient.connect(dataDirectory: directory, release: Sallyport.release) {
            return NodeConnection(way: .node(client))
        }
        // Root would leave files behind that the node cannot open.
        guard geteuid() == owner else { throw wrongUser(directory, owner: owner, isRunning: false) }
        if location.settings.database == .sqlite, isEmpty(directory) { return NodeConnection(way: .nothing(FirstWrite(location.settings))) }
        return NodeConnection(way: .own(try OfflineOperations.open(location.settings)))
    }

    /// As `DataDirectory` sees it, without its lock and what else it would leave there.
    private static func isEmpty(_ directory: String) -> Bool {
        ["sallyport.sqlite", "master.key", "reserve"].allSatisfy { access("\(directory)/\($0)", F_OK) != 0 && errno == ENOENT }
    }

    private static func noNode(_ directory: String) -> Refusal {
        Refusal(
            .configuration, "There is no node here: \(directory) holds no data, and nothing was made.",
            remedy:
                "Run `sallyport serve`, which makes key and database at its first start, or name the node's data directory with --data-dir."
        )
    }

    /// Whether a process works on the data, as far as this user can see.
    static func isHeld(_ directory: String) -> Bool {
        // Whoever holds the lock writes its number there; to try the lock would be in the way of a node that starts.
        guard let text = try? String(contentsOfFile: directory + "/lock", encoding: .utf8),
            let process = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { return false }
        return kill(process, 0) == 0 || errno == EPERM
    }

    /// The running node, where one runs and this user may ask it.
    static func running(_ options: GlobalOptions) async -> NodeConnection? {
        guard let directory = try? options.location().dataDirectory,
            let client = try? await ControlClient.connect(dataDirectory: directory, release: Sallyport.release)
        else { return nil }
        return NodeConnection(way: .node(client))
    }

    func perform<Kind: AdminOperation>(_ operation: Kind) async throws(Refusal) -> Kind.Answer {
        switch way {
        case .node(let client): try await client.perform(operation)
        case .own(let offline): try await offline.operations.perform(operation, by: offline.actor)
        case .nothing(let new): try await Self.perform(operation, on: new)
        }
    }

    private static func perform<Kind: AdminOperation>(_ operation: Kind, on new: FirstWrite) async throws(Refusal) -> Kind.Answer {
        let isOpen = new.opened.withLock { $0 != nil }
        if operation.needsData, !isOpen { throw noNode(new.settings.dataDirectory) }
        let offline = try new.open()
        return try await offline.operations.perform(operation, by: offline.actor)
    }

    /// Gives the lock back; what was written is durable already.
    func close() {
        switch way {
        case .node: break
        case .own(let offline): offline.close()
        case .nothing(let new): new.opened.withLock { $0 }?.close()
        }
    }

    private static func ownerID(of directory: String) throws -> uid_t {
        // Not stat(2): Dispatch's own headers claim that struct.
        var attributes: [FileAttributeKey: Any] = [:]
        do { attributes = try FileManager.default.attributesOfItem(atPath: directory) } catch {
            if access(directory, F_OK) == 0 || errno == ENOENT || errno == ENOTDIR {
                throw Refusal(
                    .configuration, "There is no data directory \(directory).",
                    remedy: "Start `sallyport serve` once, which makes it, or name another with --data-dir.")
            }
            throw Refusal(
                .unavailable, "\(directory) cannot be looked at: \(String(cString: strerror(errno))).",
                remedy: "Run the command as the node's user or root, with sudo.")
        }
        guard attributes[.type] as? FileAttributeType == .typeDirectory, let owner = attributes[.ownerAccountID] as? NSNumber else {
            throw Refusal(.configuration, "\(directory) is not a directory.", remedy: "Name the data directory with --data-dir.")
        }
        return owner.uint32Value
    }

    static func wrongUser(
        _ directory: String, owner: uid_t, isRunning: Bool?, arguments: [String] = CommandLine.arguments
    ) -> Refusal {
        let name = Peer.name(of: owner)
        // The arguments never hold a secret, so they can be shown as they were typed.
        let command = (["sudo", "-u", name, "sallyport"] + arguments.dropFirst()).map(Words.argument).joined(separator: " ")
        let start = isRunning == false ? "No node runs on \(directory), and only" : "Only"
        return Refusal(
            .unavailable, "\(start) user \(name), who owns \(isRunning == false ? "it" : directory), may work on the data there.",
            remedy: "Run: \(command)")
    }
}
