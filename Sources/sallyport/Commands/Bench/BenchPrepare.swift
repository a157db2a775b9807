// SPDX-License-Identifier: Apache-2.0
// sallyport bench prepare: a data directory with as many users as wanted, for the generator's keys.

import Administration
import ArgumentParser
import Directories
import Foundation
import LoginEngine
import Store

struct BenchPrepare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare", abstract: "Make a data directory with users to load a server with.", shouldDisplay: false)

    static let secretFile = "bench.secret"

    @OptionGroup var flags: BenchUserFlags
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard flags.mode != .totp else { throw ValidationError("totp is for servers that take a code twice; Sallyport does not.") }
        guard flags.mode.hasOwnDirectory else {
            throw ValidationError("\(flags.mode.rawValue) is played on a directory prepared for code.")
        }
        guard options.dataDirectory != nil else { throw ValidationError("Name an empty directory with --data-dir.") }
    }

    func run() async throws {
        let settings = try options.location().settings
        if FileManager.default.fileExists(atPath: settings.dataDirectory + "/master.key") {
            throw Refusal(.conflict, "\(settings.dataDirectory) holds a node's data.", remedy: "Name an empty directory with --data-dir.")
        }
        let store = try OpenedStore.open(settings, creating: true)
        defer { store.close() }
        let now = NodeClock.now()
        let users = flags.made
        let mode = flags.mode
        let hash = mode == .code ? nil : try store.cost.hash(BenchUsers.password, salt: BufferedRandom.bytes(Argon2id.saltLength))
        try await store.records.addUsers(
            count: users.count, created: now.wall,
            event: Event(.userAdded, at: now.wall, details: [.init("users", "\(users.count)"), .init("for", "benchmark")])
        ) { number in
            let name = users.name(number)
            var user = BulkUser(name: name, key: UserName.key(of: name) ?? name)
            user.passwordHash = hash
            if mode.usesCounters {
                user.factor = NewFactor(user: 0, kind: .hotp, label: "bench", secret: Secret(users.key(number)), created: now.wall)
            }
            return user
        }
        try await addClient(store, at: now.wall)
        let seconds = Double((NodeClock.now().uptime - now.uptime).microseconds) / 1e6
        options.output.done("Made \(users.count) users in \((seconds * 10).rounded() / 10) s, data in \(settings.dataDirectory).")
    }

    private func addClient(_ store: OpenedStore, at now: Timestamp) async throws {
        let secret = BufferedRandom.bytes(24).map { String($0, radix: 16) }.joined()
        let path = store.directory.path + "/" + Self.secretFile
        guard FileManager.default.createFile(atPath: path, contents: Data((secret + "\n").utf8), attributes: [.posixPermissions: 0o600])
        else {
            throw Refusal(.configuration, "The file cannot be written.", remedy: "Give this user the right to it.", place: path)
        }
        var client = ClientSettings(name: "bench", addresses: [], secret: Secret(utf8: secret))
        client.addresses = ["127.0.0.1", "::1"].compactMap { AddressRange($0) }
        client.requirement = flags.mode.requirement
        _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
        // A second gateway, for a flood of passwords beside the load.
        client.name = "bench-passwords"
        client.addresses = ["127.0.0.2"].compactMap { AddressRange($0) }
        client.requirement = .password
        _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
    }
}
