// SPDX-License-Identifier: Apache-2.0
// What an administrator can ask for, as values: the CLI, and later console and API, send the same ones.

package import Foundation

/// One thing to do, or to look up. It crosses the control socket as JSON under its verb.
package protocol AdminOperation: Codable, Sendable {
    associatedtype Answer: Codable & Sendable

    /// Stable: `user.add`.
    static var verb: String { get }
    /// Whether it is of no use where there is nothing yet: it only reads, or says what it would do.
    var needsData: Bool { get }

    /// Validates, writes and appends the event in one transaction.
    func perform(in operations: Operations, by actor: Actor) async throws -> Answer
}

extension AdminOperation {
    package var needsData: Bool { false }
}

/// Who asks: `cli:anna@vpn1`. Stands in every event that an operation leaves behind.
package struct Actor: Sendable, Hashable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }

    package static func commandLine(user: String, node: String) -> Actor {
        Actor("cli:\(user)@\(node)")
    }
}

/// An answer that is nothing but done.
package struct Done: Codable, Sendable, Equatable {
    /// What was done, as a sentence.
    package var message: String
    package var warnings: [String] = []

    package init(_ message: String, warnings: [String] = []) {
        self.message = message
        self.warnings = warnings
    }
}

/// Every operation by its verb. A door looks here and nowhere else.
package enum Verbs {
    package static let all: [any AdminOperation.Type] = [
        AddUser.self, ListUsers.self, ShowUser.self, ExplainName.self, SetUser.self, RemoveUser.self, EraseUser.self, UnlockUser.self,
        ImportUsers.self, ShowPasswordKeeping.self, KeepPasswords.self, DropPasswords.self,
        AddGroup.self, ListGroups.self, ShowGroup.self, SetGroup.self, RemoveGroup.self,
        AddClient.self, ListClients.self, ShowClient.self, SetClient.self, RemoveClient.self, UnpinClient.self,
        PreviewReply.self,
        RevealClientSecret.self, NodeStatus.self,
        AddDirectory.self, ListDirectories.self, ShowDirectory.self, SetDirectory.self, RemoveDirectory.self, TestDirectory.self,
        AddDirectoryServer.self, RemoveDirectoryServer.self,
        AddFactor.self, ImportFactors.self, AddRecoveryCodes.self, ListFactors.self, ShowFactor.self, SetFactor.self, RemoveFactor.self,
        AddPolicy.self, ListPolicies.self, ShowPolicy.self, SetPolicy.self, RemovePolicy.self, MovePolicy.self, DiffPolicy.self,
        ExplainPolicy.self, ApplyBlueprint.self, ExportBlueprint.self,
        ListEvents.self, ExportTrail.self, VerifyTrail.self, AnchorTrail.self, ShowTrailKey.self, TraceLogin.self,
        ListSessions.self, ShowSession.self, SumTraffic.self, DisconnectSessions.self, UpdateSessions.self, EndSession.self,
        ShowKey.self, RotateKey.self, ConfirmKeyCopy.self, BeginBackup.self, NoteBackup.self,
        InitAuthority.self, ShowAuthority.self, RemoveAuthority.self, IssueCertificate.self, RevokeCertificate.self,
        ListCertificates.self, SignRevocationList.self, AddDevice.self, ListDevices.self, RevokeDevice.self,
        ExamineNode.self,
    ]

    private static let byVerb = Dictionary(uniqueKeysWithValues: all.map { ($0.verb, $0) })

    /// Decodes, performs and encodes. Everything that goes wrong is a `Refusal`.
    package static func perform(_ verb: String, body: Data, in operations: Operations, by actor: Actor) async throws(Refusal) -> Data {
        guard let type = byVerb[verb] else {
            throw Refusal(
                .invalid, "This node does not know the operation `\(verb.prefix(64))`.",
                remedy: "Use the `sallyport` of the node's own version.")
        }
        return try await perform(type, body: body, in: operations, by: actor)
    }

    private static func perform<Kind: AdminOperation>(
        _ type: Kind.Type, body: Data, in operations: Operations, by actor: Actor
    ) async throws(Refusal) -> Data {
        let operation: Kind
        do {
            operation = try JSONDecoder().decode(type, from: body)
        } catch {
            // The error could quote a secret; the verb is enough.
            throw Refusal(
                .invalid, "The request for `\(type.verb)` cannot be read.", remedy: "Use the `sallyport` of the node's own version.")
        }
        let answer = try await operations.perform(operation, by: actor)
        do {
            return try JSONEncoder().encode(answer)
        } catch {
            throw Refusal(.failed, "The answer to `\(type.verb)` cannot be written as JSON.")
        }
    }
}
