// SPDX-License-Identifier: Apache-2.0
// A directory that is another RADIUS server: what it is asked for a login, and what its answer says of the password.

internal import Foundation
package import LoginEngine
internal import RADIUS

/// Users whose passwords live at another RADIUS server. That server knows the password, this one the second factor.
package final class UpstreamPasswordSource: Sendable {
    package let directory: Directory
    package let servers: UpstreamServers
    private let takes: Set<TakenAttribute>

    /// - Parameter takes: what is taken over from its accepts.
    package init(_ directory: Directory, servers: UpstreamServers, takes: Set<TakenAttribute>) {
        self.directory = directory
        self.servers = servers
        self.takes = takes
    }

    package func check(
        _ password: Secret, of user: User, for request: LoginRequest, answering thread: SourceThread?,
        completion: @escaping @Sendable (PasswordVerdict) -> Void
    ) {
        var asked = self.request(.password(password), of: user, for: request)
        asked.state = thread?.state
        let server = thread.flatMap { thread in servers.settings.servers.first { $0.description == thread.server } }
        if let thread, server == nil {
            return completion(.unreachable("\(directory.name): \(thread.server) is none of its servers any more"))
        }
        let (name, takes) = (directory.name, takes)
        servers.ask(asked, within: request.client.settings.checkTime, only: server) { outcome in
            completion(UpstreamVerdict(outcome, of: name, takes: takes).verdict)
        }
    }

    package func match(
        _ proof: HashedProof, of user: User, for request: LoginRequest,
        completion: @escaping @Sendable (PasswordVerdict, PasswordCandidate?) -> Void
    ) {
        guard let wire = proof.wire else { return completion(.notKept, nil) }
        let (name, takes, settings) = (directory.name, takes, servers.settings)
        servers.ask(self.request(.proof(wire), of: user, for: request), within: request.client.settings.checkTime) { outcome in
            let verdict = UpstreamVerdict(outcome, of: name, takes: takes).verdict
            guard case .answered(let reply, let asked, let server) = outcome, reply.code == .accessAccept else {
                return completion(verdict, nil)
            }
            completion(verdict, .vouched(Voucher(reply, to: asked, proof: proof.identity, secret: settings.secret(of: server))))
        }
    }

    private func request(_ content: UpstreamRequest.Content, of user: User, for login: LoginRequest) -> UpstreamRequest {
        var request = UpstreamRequest(content, nasIdentifier: login.client.name)
        request.userName = Self.name(of: user, typed: login.name, sent: directory.settings.nameSent)
        request.callingStation = login.callingStation
        request.hops = login.hops
        request.isOfStranger = user.id < 0
        return request
    }

    /// A password is asked for the user who logs in here, never for another one whose name is left of `typed` when it is stripped.
    /// Letters stay as they were typed, since MS-CHAPv2 is made of them (RFC 2759 §8.2).
    package static func name(of user: User, typed: String, sent: NameSent) -> String {
        switch sent {
        case .typed: typed
        case .own:
            // Windows puts its domain in front, which is no part of what the response is made of.
            [typed, typed.split(separator: "\\").last.map(String.init) ?? typed]
                .first { UserName.key(of: $0) == UserName.key(of: user.name) }?.trimmingCharacters(in: .whitespaces) ?? user.name
        }
    }
}

/// What an answer says of a password. Pure.
package struct UpstreamVerdict: Sendable, Equatable {
    package let verdict: PasswordVerdict

    /// - Parameter name: of the directory, for the trail.
    package init(_ outcome: UpstreamOutcome, of name: String, takes: Set<TakenAttribute> = []) {
        switch outcome {
        case .shed: verdict = .overloaded
        case .silent(let why): verdict = .unreachable("\(name): \(why)")
        case .answered(let reply, _, let server):
            switch reply.code {
            case .accessAccept:
                let given = takes.isEmpty ? [] : reply.attributes(takes)
                verdict = given.isEmpty ? .right : .rightGiving(given)
            case .accessChallenge: verdict = .asks(Self.question(reply, of: server))
            default: verdict = reply.saysPasswordExpired ? .expired : .wrong
            }
        }
    }

    private static func question(_ reply: Packet, of server: ServerAddress) -> SourceQuestion {
        // Several Reply-Message are one text (RFC 2865 §5.18).
        let text = reply.joined(.replyMessage).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return SourceQuestion(
            prompt: text, echo: reply.integer(.prompt) != 0,
            thread: SourceThread(server: server.description, state: reply.octets(.state) ?? []))
    }
}

extension Packet {
    /// MS-CHAP-Error E=648 (RFC 2759 §6).
    fileprivate var saysPasswordExpired: Bool {
        guard let attribute = first(vendor: MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapError) else { return false }
        let text = String(decoding: value(of: attribute).dropFirst(), as: UTF8.self)
        return text.split(separator: " ").contains("E=648")
    }

    /// Those of a list, as they stand in a packet.
    fileprivate func attributes(_ wanted: Set<TakenAttribute>) -> [UInt8] {
        var result: [UInt8] = []
        for attribute in attributes where attribute.type != .vendorSpecific && wanted.contains(.standard(attribute.type.rawValue)) {
            result += [attribute.type.rawValue, UInt8(attribute.range.count + 2)] + value(of: attribute)
        }
        guard contains(.vendorSpecific) else { return result }
        for attribute in vendorAttributes where wanted.contains(.vendor(attribute.vendor, attribute.type)) {
            let inner = [attribute.type, UInt8(attribute.range.count + 2)] + value(of: attribute)
            let vendor = (0..<4).map { UInt8(truncatingIfNeeded: attribute.vendor >> (24 - 8 * $0)) }
            result += [AttributeType.vendorSpecific.rawValue, UInt8(inner.count + 6)] + vendor + inner
        }
        return result
    }
}

/// An attribute by its numbers.
package enum TakenAttribute: Sendable, Hashable {
    case standard(UInt8)
    case vendor(UInt32, UInt8)
}

extension Voucher {
    /// What proves the server and keys the tunnel, out of its accept (RFC 2548 §2.3.3, §2.4).
    convenience init(_ reply: Packet, to request: Packet, proof: [UInt8], secret: SharedSecret) {
        func value(_ type: UInt8) -> ArraySlice<UInt8>? {
            reply.first(vendor: MicrosoftAttribute.vendor, type: type).map { reply.value(of: $0) }
        }
        func key(_ type: UInt8) -> Secret? {
            value(type).flatMap { SaltedKey.reveal($0, authenticator: request.authenticator, secret: secret) }.map { Secret($0) }
        }
        let first = value(MicrosoftAttribute.chapMPPEKeys).flatMap { hidden -> Secret? in
            guard var keys = try? HiddenPassword.unhide(Array(hidden), authenticator: request.authenticator, secret: secret) else {
                return nil
            }
            // Zeros at the end are taken for padding.
            while keys.count < 24 { keys.append(0) }
            return Secret(keys)
        }
        self.init(
            proof: proof, success: value(MicrosoftAttribute.chap2Success).map { Array($0) }, send: key(MicrosoftAttribute.mppeSendKey),
            receive: key(MicrosoftAttribute.mppeReceiveKey), firstKeys: first)
    }
}
