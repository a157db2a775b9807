// SPDX-License-Identifier: Apache-2.0
// sallyport bench prepare: a data directory with as many users as wanted, for the generator's keys.

import Administration
import ArgumentParser
import Directories
import Foundation
import LoginEngine
import RADIUS
import Store

struct BenchPrepare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare", abstract: "Make a data directory with users to load a server with.", shouldDisplay: false)

    static let secretFile = "bench.secret"
    static let certificateName = "bench.example.org"
    /// Of gateways whose devices begin and do not go on: each may have a part of all conversations.
    static let halfOpenSources = (1...8).map { "127.0.1.\($0)" }

    @OptionGroup var flags: BenchUserFlags
    @Option(help: ArgumentHelp("So many users more, whose passwords live at directories that --silent serves.", valueName: "count"))
    var waiting = 0
    @Option(help: ArgumentHelp("A server that answers nothing.", valueName: "address:port")) var silent: String?
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard (0...1_000_000).contains(waiting), (waiting > 0) == (silent != nil) else {
            throw ValidationError("--waiting is up to 1000000, with --silent.")
        }
        guard silent.map({ DirectoryServer($0) != nil }) ?? true else { throw ValidationError("--silent is an IP address and a port.") }
        guard flags.mode != .totp else { throw ValidationError("totp is for servers that take a code twice; Sallyport does not.") }
        guard flags.mode.hasOwnDirectory else {
            throw ValidationError("\(flags.mode.rawValue) is played on a directory prepared for code.")
        }
        guard options.dataDirectory != nil else { throw ValidationError("Name an empty directory with --data-dir.") }
    }

    func run() async throws {
        let (directory, seconds) = try await prepare()
        options.output.done("Made \(flags.users + waiting) users in \((seconds * 10).rounded() / 10) s, data in \(directory).")
    }

    func prepare() async throws -> (directory: String, seconds: Double) {
        let settings = try options.location().settings
        if FileManager.default.fileExists(atPath: settings.dataDirectory + "/master.key") {
            throw Refusal(.conflict, "\(settings.dataDirectory) holds a node's data.", remedy: "Name an empty directory with --data-dir.")
        }
        let store = try OpenedStore.open(settings, creating: true)
        defer { store.close() }
        let now = NodeClock.now()
        let users = flags.made
        let mode = flags.mode
        let hash =
            mode == .code || mode.showsCertificates
            ? nil : try store.cost.hash(BenchUsers.password, salt: BufferedRandom.bytes(Argon2id.saltLength))
        let kept = mode.kept.map { part in
            KeptPassword(
                ntHash: part == .ntHash ? BenchUsers.ntHash.map { Secret($0.bytes) } : nil,
                text: part == .clearPassword ? BenchUsers.password : nil)
        }
        let waiting = flags.waiting(waiting)
        try await store.records.addUsers(
            count: users.count + waiting.count, created: now.wall,
            event: Event(.userAdded, at: now.wall, details: [.init("users", "\(users.count)"), .init("for", "benchmark")])
        ) { number in
            let name = number < users.count ? users.name(number) : waiting.name(number - users.count)
            var user = BulkUser(name: name, key: UserName.key(of: name) ?? name)
            guard number < users.count else {
                user.directory = Self.directory(number - users.count)
                return user
            }
            user.passwordHash = hash
            user.kept = kept
            if mode.usesCounters {
                user.factor = NewFactor(user: 0, kind: .hotp, label: "bench", secret: Secret(users.key(number)), created: now.wall)
            }
            return user
        }
        if let part = mode.kept {
            try await store.records.keep(part, event: Event(.passwordKeepingChanged, at: now.wall, details: [.init("for", "benchmark")]))
        }
        try await addClients(store, at: now.wall)
        try await addDirectories(store, at: now.wall)
        return (settings.dataDirectory, Double((NodeClock.now().uptime - now.uptime).microseconds) / 1e6)
    }

    /// Rows of directories are numbered from one, and each holds as many as may wait there.
    private static func directory(_ waiting: Int) -> Int64 { Int64(waiting / UpstreamServers.mostUnderWay) + 1 }

    private func addDirectories(_ store: OpenedStore, at now: Timestamp) async throws {
        guard waiting > 0, let server = silent.flatMap({ DirectoryServer($0) }) else { return }
        for expected in 1...Self.directory(waiting - 1) {
            var directory = DirectorySettings(
                name: "bench-silent-\(expected)", servers: [server], secret: Secret(BufferedRandom.bytes(24)))
            // As long as it can be told to: a login that has waited in vain waits no more.
            directory.timeout = .seconds(30)
            directory.tries = 5
            let event = Event(.directoryAdded, at: now, details: [.init("directory", directory.name)])
            guard try await store.records.addDirectory(directory, event: event) == expected else {
                throw Refusal(.failed, "The directories of a new database have other numbers than expected.")
            }
        }
    }

    private func addClients(_ store: OpenedStore, at now: Timestamp) async throws {
        let secret = BufferedRandom.bytes(24).map { String($0, radix: 16) }.joined()
        let path = store.directory.path + "/" + Self.secretFile
        try PrivateFile.write(Array((secret + "\n").utf8), to: path)
        var client = ClientSettings(name: "bench", addresses: [], secret: Secret(utf8: secret))
        client.addresses = ["127.0.0.1", "::1"].compactMap { AddressRange($0) }
        client.requirement = flags.mode.requirement
        if let part = flags.mode.kept { client.schemes = PasswordKeeping([part]).schemes }
        client.eap = flags.mode.eap.map { [$0] } ?? []
        _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
        // A second gateway, for a flood of passwords beside the load.
        client.name = "bench-passwords"
        client.addresses = ["127.0.0.2"].compactMap { AddressRange($0) }
        client.requirement = .password
        client.schemes = .pap
        _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
        // A third that waits long, for logins that nobody decides.
        client.name = "bench-waiting"
        client.addresses = ["127.0.0.3"].compactMap { AddressRange($0) }
        client.retryTimeout = 60
        client.retryTries = 10
        _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
        // Gateways of EAP beside the load.
        for address in ["127.0.0.4"] + Self.halfOpenSources {
            client = ClientSettings(name: "bench-eap-\(address)", addresses: [], secret: Secret(utf8: secret))
            client.addresses = [address].compactMap { AddressRange($0) }
            client.requirement = .factor
            client.eap = [.ttls]
            _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
        }
        // One that comes over TLS, with a certificate of this name.
        client = ClientSettings(name: "bench-tls", addresses: [], secret: Secret(utf8: secret))
        client.certificates = [.name(Self.certificateName)]
        client.requirement = flags.mode.requirement
        _ = try await store.records.addClient(client, event: Event(.clientAdded, at: now, details: [.init("client", client.name)]))
    }
}
