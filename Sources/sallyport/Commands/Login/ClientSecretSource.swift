// SPDX-License-Identifier: Apache-2.0
// Where the shared secret of the client that `login` plays comes from.

import Administration
import Foundation
import LoginEngine
import RADIUS

struct ClientSecretSource {
    var options: GlobalOptions
    var typed: TypedAnswers
    /// Asks the node for a client's secret; nil where it is another server that is asked to log in.
    var fromNode: (@Sendable (_ client: String) async throws -> SecretText)?

    func secret(file: String?, isTyped: Bool, client: String?, demo: Demo?) async throws -> SharedSecret {
        if let demo { return try Self.shared(demo.secret.secret, place: "demo.json") }
        if let file { return try Self.read(file) { options.output.warn($0) } }
        if isTyped {
            return try Self.shared(try typed.ask("Shared secret:", isHidden: true, place: "the shared secret"), place: "standard input")
        }
        // The demo keeps its gateway's secret beside its database, readable by its owner alone.
        if client == nil || client == Demo.client, let demo = try? Demo.read(try options.location().dataDirectory) {
            return try Self.shared(demo.secret.secret, place: "demo.json")
        }
        if let client, let fromNode { return try Self.shared(try await fromNode(client).secret, place: "client \(client)") }
        let ways = "Give --secret-file FILE, or --secret-stdin and type it."
        guard let client else { throw Refusal(.invalid, "The shared secret is not known.", remedy: ways) }
        throw Refusal(
            .invalid, "The secret of client `\(SafeText.line(client))` at another server is not known here.", remedy: ways,
            place: "--client")
    }

    static func read(_ path: String, warn: (String) -> Void = { _ in }) throws -> SharedSecret {
        warnIfOthersRead(path, warn)
        var bytes = try TextFile.read(path, limit: Prompts.longestLine)
        while bytes.last == 0x0A || bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.contains(0x0A) else {
            throw Refusal(.invalid, "The file has more than one line.", remedy: "Put the shared secret alone into it.", place: path)
        }
        return try shared(Secret(bytes), place: path)
    }

    static func warnIfOthersRead(_ path: String, _ warn: (String) -> Void) {
        // Not stat(2): Dispatch's own headers claim that struct.
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            attributes[.type] as? FileAttributeType == .typeRegular, let mode = attributes[.posixPermissions] as? NSNumber,
            mode.intValue & 0o077 != 0
        else { return }
        warn("\(path) can be read by others; `chmod 600 \(Words.argument(path))` ends that.")
    }

    private static func shared(_ secret: Secret, place: String) throws -> SharedSecret {
        guard let shared = secret.reveal({ SharedSecret($0) }) else {
            throw Refusal(.invalid, "The shared secret is empty.", remedy: "Use the one that the client was added with.", place: place)
        }
        return shared
    }
}
