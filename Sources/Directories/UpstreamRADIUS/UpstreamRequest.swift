// SPDX-License-Identifier: Apache-2.0
// What an upstream server is asked: written anew for each server, since each has its own authenticator to hide a password with.

package import LoginEngine
package import RADIUS

package struct UpstreamRequest: Sendable {
    package enum Content: Sendable {
        case password(Secret)
        /// Whole attributes of CHAP or MS-CHAP.
        case proof([UInt8])
        /// Whether anybody is there (RFC 5997).
        case status
    }

    package var content: Content
    package var userName = ""
    /// Of the server's own challenge that this answers.
    package var state: [UInt8]?
    /// Who asks: the name of our client, so that the upstream's rules can tell gateways apart.
    package var nasIdentifier: String
    package var callingStation: String?
    /// How many proxies the gateway's request has been through.
    package var hops = 0
    /// Of a name that no user has here.
    package var isOfStranger = false

    package init(_ content: Content, nasIdentifier: String) {
        self.content = content
        self.nasIdentifier = nasIdentifier
    }

    var isStatus: Bool {
        if case .status = content { true } else { false }
    }

    /// NAS-Port-Type, RFC 2865 §5.41.
    private static let virtual: UInt32 = 5

    /// One for each server on the way, this one among them, so that requests that go round are told (`LoginRequest.mostHops`). What others
    /// wrote is not passed on: the gateway hears it back from us (RFC 2865 §5.33).
    private static let hop = Array("hop".utf8)

    /// Signed, Message-Authenticator first (CVE-2024-3596).
    package func packet(
        identifier: UInt8, authenticator: Authenticator, secret: SharedSecret
    ) throws(PacketError) -> Packet {
        let code: Code = isStatus ? .statusServer : .accessRequest
        var writer = PacketWriter(request: code, identifier: identifier, authenticator: authenticator, messageAuthenticator: true)
        if !isStatus { writer.addText(.userName, userName) }
        switch content {
        case .password(let password): password.reveal { writer.addPassword($0, secret: secret) }
        case .proof(let attributes): writer.addEncoded(attributes)
        case .status: break
        }
        writer.addText(.nasIdentifier, nasIdentifier)
        if !isStatus {
            writer.addInteger(.nasPortType, Self.virtual)
            if let callingStation { writer.addText(.callingStationID, String(callingStation.prefix(64))) }
            if let state, !state.isEmpty { writer.add(.state, state) }
            for _ in 0...min(hops, LoginRequest.mostHops) { writer.add(.proxyState, Self.hop) }
        }
        return try Packet(decoding: try writer.sign(with: secret))
    }
}

/// What became of a request.
package enum UpstreamOutcome: Sendable {
    /// Genuine: it belongs to the request, and was made by who knows the secret.
    case answered(reply: Packet, request: Packet, server: ServerAddress)
    /// Nobody answered in time; the text is for the trail.
    case silent(String)
    /// Too many are under way.
    case shed
}
