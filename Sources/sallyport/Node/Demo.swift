// SPDX-License-Identifier: Apache-2.0
// `serve --demo`: a user, her token and a gateway on an empty data directory, so that a first login takes two commands.

import Administration
import Directories
import Foundation
import LoginEngine
import OTP
import RADIUSDoor
import Store
import WebDoor

/// What the demo made, kept beside its database so that a second start prints the same line.
struct Demo: Codable, Sendable {
    static let user = "alice"
    static let client = "demo-gateway"

    var password: SecretText
    var secret: SecretText
    var uri: SecretText

    /// Refuses what is not a demo's own: nobody's data are opened by a demo, and no demo by a plain `serve`.
    static func open(_ path: String) throws(StoreError) -> DataDirectory {
        let directory = try DataDirectory.open(path)
        if directory.isDemo { return directory }
        guard directory.isEmpty else {
            directory.close()
            throw StoreError(
                .directoryUnusable, "holds the data of a real node; a demo works on an empty directory", at: path,
                remedy: "Name another one with --data-dir, or leave --demo away.")
        }
        try directory.markAsDemo()
        return directory
    }

    static func refuse(_ directory: DataDirectory) throws(StoreError) {
        guard directory.isDemo else { return }
        let path = directory.path
        directory.close()
        throw StoreError(
            .directoryUnusable, "was made by `serve --demo`, with a user that nobody asked for", at: path,
            remedy: "Name another directory with --data-dir, or add --demo.")
    }

    /// Loopback alone and a file, whatever the settings say; a port that is taken gives way to a free one.
    static func prepare(_ settings: inout Settings) throws(StoreError) {
        guard settings.database == .sqlite else {
            throw StoreError(
                .databaseUnusable, "a demo works on a file of its own, not on a database server", remedy: "Leave --demo or --database away."
            )
        }
        func loopback(_ key: SettingKey, _ addresses: [ListenAddress], isUDP: Bool) -> [ListenAddress] {
            let wanted = settings.origins[key.name] == "defaults" ? nil : addresses.first
            let port = wanted?.port ?? addresses.first?.port ?? 0
            let address = ListenAddress(host: NetworkAddress(v4: 0x7F00_0001), port: port)
            return [wanted == nil && !Ports.isFree(address, isUDP: isUDP) ? ListenAddress(host: address.host, port: 0) : address]
        }
        settings.radiusListen = loopback(.radiusListen, settings.radiusListen, isUDP: true)
        settings.radiusAccounting = loopback(.radiusAccounting, settings.radiusAccounting, isUDP: true)
        settings.webHealth = loopback(.webHealth, settings.webHealth, isUDP: false)
        settings.webMetrics = loopback(.webMetrics, settings.webMetrics, isUDP: false)
        settings.pages.listen = []
    }

    /// What of it is still as it was made: whoever tries the product changes passwords and tokens too.
    struct Standing: Sendable, Equatable {
        /// Alice is there and not disabled.
        var hasUser = true
        var password = true
        var token = true
        var gateway = true

        var isAll: Bool { hasUser && password && token && gateway }
    }

    /// Blocks for one hash.
    func standing(_ records: Records, at now: Timestamp) throws -> Standing {
        var standing = Standing()
        let facts = try records.load([LoginLookup(nameKey: Self.user, handle: nil)], at: now).first ?? LoginFacts()
        standing.hasUser = facts.user?.status == .active
        standing.password =
            try facts.user?.passwordHash.map { try Argon2id.verify(password.secret, against: $0) } == true
            && facts.user?.mustChangePassword == false
        let key = Secret(Array(try OTPAuthURI(parsing: uri.text).key.bytes))
        standing.token = facts.factors.contains { $0.secret == key }
        standing.gateway = try records.clients().contains { client in
            client.settings.isEnabled && client.settings.secret == secret.secret
                && client.settings.addresses.contains { $0.contains(NetworkAddress(v4: 0x7F00_0001)) }
        }
        return standing
    }

    /// What was made at the first start, or makes it now.
    static func prepare(_ node: Node) async throws -> Demo {
        let file = node.store.directory.path + "/demo.json"
        if let contents = FileManager.default.contents(atPath: file) {
            return try JSONDecoder().decode(Demo.self, from: contents)
        }
        let actor = Actor("demo@\(NodeLocation.nodeName)")
        let password = SecretText(random(groups: 3))
        _ = try await node.operations.perform(AddUser(name: user, password: password), by: actor)
        let factor = try await node.operations.perform(AddFactor(user: user, kind: "totp"), by: actor)
        var choices = ClientChoices()
        choices.addresses = ["127.0.0.1"]
        let client = try await node.operations.perform(AddClient(name: client, choices: choices, generateSecret: true), by: actor)
        guard let secret = client.generatedSecret else {
            throw Refusal(.failed, "The demo's client was made without its secret.", remedy: "Remove the directory and start again.")
        }
        let demo = Demo(password: password, secret: secret, uri: factor.uri)
        try demo.write(to: file)
        return demo
    }

    private func write(to file: String) throws {
        try PrivateFile.write(Array(try JSONEncoder().encode(self)), to: file)
    }

    static func read(_ dataDirectory: String) throws -> Demo {
        let file = dataDirectory + "/demo.json"
        guard let contents = FileManager.default.contents(atPath: file) else {
            throw Refusal(
                .configuration, "\(file) is not there: no demo was started on this data directory.",
                remedy: "Start one with `sallyport serve --demo --data-dir \(dataDirectory)`.")
        }
        return try JSONDecoder().decode(Demo.self, from: contents)
    }

    /// The code that alice's app would show now.
    func code(at now: Timestamp) throws -> String {
        let uri = try OTPAuthURI(parsing: uri.text)
        let totp = try TOTP(key: uri.key, algorithm: uri.algorithm, digits: uri.digits)
        return totp.code(at: now.seconds) ?? ""
    }

    private static func random(groups: Int) -> String {
        // Without the characters that are mistaken for one another.
        let letters = Array("abcdefghijkmnpqrstuvwxyz23456789")
        var random = BufferedRandom()
        return (0..<groups).map { _ in String((0..<4).map { _ in letters[Int(random.next() % UInt64(letters.count))] }) }
            .joined(separator: "-")
    }
}
