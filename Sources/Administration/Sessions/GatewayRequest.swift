// SPDX-License-Identifier: Apache-2.0
// Requests to a gateway about one of its sessions (RFC 5176): what they say, and what the gateway's answer means.

internal import Directories
package import LoginEngine
package import RADIUS

/// A request that goes by a connection over TLS: the door writes it in the form that is spoken there.
package struct TLSQuestion: Sendable {
    package enum Answer: Sendable, Equatable {
        case acknowledged
        case refused(UInt32?)
        case notConnected
        case noAnswer
        case disconnected
        case notWritable(String)
    }

    /// Disconnect-Request or CoA-Request.
    package var code: Code
    package var client: Int64
    /// Where the session's records came from.
    package var source: NetworkAddress
    package var attributes: @Sendable (inout PacketWriter) -> Void
}

struct GatewayRequest {
    enum Deed: Sendable, Equatable {
        /// Disconnect-Request (§2.1).
        case end
        /// CoA-Request (§2.2), with attributes as they stand in a packet.
        case update([UInt8])

        var code: Code {
            switch self {
            case .end: .disconnectRequest
            case .update: .coaRequest
            }
        }

        var acknowledgement: Code {
            switch self {
            case .end: .disconnectACK
            case .update: .coaACK
            }
        }
    }

    static let timeout = Timestamp.Span.seconds(3)
    static let tries = 3

    var deed: Deed
    var session: GatewaySession
    /// Whether NAS-Identifier or NAS-IP-Address is in it (RFC 5176 §3).
    var namesGateway: Bool
    /// Seconds since 1970, for Event-Timestamp: an old packet is of no use to who recorded it (RFC 5176 §3.3, §6.3).
    var seconds: Int64

    init(_ deed: Deed = .end, session: GatewaySession, namesGateway: Bool = true, at seconds: Int64) {
        self.deed = deed
        self.session = session
        self.namesGateway = namesGateway
        self.seconds = seconds
    }

    /// With Message-Authenticator first (RFC 5176 §3.4).
    func packet(identifier: UInt8, secret: SharedSecret) throws(PacketError) -> Packet {
        var writer = PacketWriter(request: deed.code, identifier: identifier, authenticator: .zero, messageAuthenticator: true)
        write(to: &writer)
        return try Packet(decoding: try writer.sign(with: secret))
    }

    func write(to writer: inout PacketWriter) {
        if namesGateway {
            if let address = NetworkAddress(session.gateway) {
                if address.isIPv4 {
                    writer.addIPv4(.nasIPAddress, IPv4Address(UInt32(truncatingIfNeeded: address.bits)))
                } else {
                    writer.add(.nasIPv6Address, address.bytes)
                }
            } else {
                writer.add(.nasIdentifier, Self.octets(session.gateway))
            }
        }
        if !session.name.isEmpty { writer.add(.userName, Self.octets(session.name)) }
        writer.add(.acctSessionID, Self.octets(session.sessionID))
        writer.addInteger(.eventTimestamp, UInt32(truncatingIfNeeded: seconds))
        if case .update(let attributes) = deed { writer.addEncoded(attributes) }
    }

    /// As the gateway wrote it: what is no text is kept as `#` and its octets in hexadecimal.
    static func octets(_ text: String) -> [UInt8] {
        guard text.hasPrefix("#"), text.utf8.count % 2 == 1 else { return Array(text.utf8) }
        var octets: [UInt8] = []
        var rest = text.utf8.dropFirst()[...]
        while !rest.isEmpty {
            guard let octet = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return Array(text.utf8) }
            octets.append(octet)
            rest = rest.dropFirst(2)
        }
        return octets
    }

    /// Unsupported-Attribute, NAS-Identification-Mismatch, Invalid-Request, Invalid-Attribute-Value (RFC 5176 §3.5).
    static func mayBeAboutNames(_ cause: UInt32?) -> Bool { [401, 403, 404, 407].contains(cause) }

    /// Blocks until the answer, or the end of patience.
    func perform(_ exchange: RADIUSExchange, identifier: UInt8, secret: SharedSecret) -> GatewayOutcome {
        let packet: Packet
        do throws(PacketError) {
            packet = try self.packet(identifier: identifier, secret: secret)
        } catch {
            return .notSent("The request cannot be written: \(error)")
        }
        do throws(RADIUSExchangeError) {
            let reply = try exchange.exchange(packet).reply
            return reply.code == deed.acknowledgement ? .acknowledged : .refused(reply.integer(.errorCause))
        } catch {
            switch error {
            case .noAnswer, .refused: return .noAnswer(error.what)
            default: return .notSent(error.description)
            }
        }
    }
}

enum GatewayOutcome: Sendable, Equatable {
    case acknowledged
    /// Disconnect-NAK or CoA-NAK, with its Error-Cause.
    case refused(UInt32?)
    case noAnswer(String)
    /// Over TLS: words for what became of the connection.
    case noAnswerByTLS(String)
    case notSent(String)

    /// RFC 5176 §3.5: Residual-Context-Removed, Session-Context-Not-Found.
    var isGone: Bool { self == .acknowledged || isForgotten || self == .refused(201) }
    /// No Stop will come.
    var isForgotten: Bool { self == .refused(503) }

    /// Stands in the trail.
    var word: String {
        switch self {
        case .acknowledged: "acknowledged"
        case .refused(let cause):
            cause.map { AttributeDictionary.builtIn.name(of: UInt64($0), for: AttributeOID(.errorCause)) ?? "Error-Cause \($0)" }
                ?? "refused without Error-Cause"
        case .noAnswer, .noAnswerByTLS: "no-answer"
        case .notSent: "not-sent"
        }
    }

    func sentence(_ deed: GatewayRequest.Deed = .end) -> String {
        let isEnd = deed == .end
        switch self {
        case .acknowledged: return isEnd ? "ended; the gateway reports the end by itself." : "updated."
        case .refused(let cause):
            let words: String
            switch cause {
            case 201 where isEnd: return "the gateway had removed all but a rest of it, which is gone now."
            case 503: return "the gateway knows no such session; it counts as lost."
            case 401:
                words =
                    isEnd
                    ? "it does not know an attribute of the request. Update its software"
                    : "it does not know an attribute, or cannot change it while the session lasts"
            case 402: words = "it misses an attribute by which it finds sessions"
            case 403: words = "it has another name or address than its accounting said"
            case 404, 407: words = isEnd ? "it cannot read the request. Update its software" : "it does not take an attribute's value"
            case 405: words = isEnd ? "it does not end sessions of this service" : "it does not change sessions of this service"
            case 406: words = "it does not take \(deed.code.name)s. Switch dynamic authorization (RFC 5176) on there"
            case 501: words = "it may not do that. Allow this server as its dynamic authorization client"
            case 502, 505: words = "a proxy on the way does not pass it on"
            case 201, 504: words = isEnd ? "it cannot end this session" : "it cannot change this session"
            case 506: words = "it is too busy. Try again"
            case 507: words = "it wants to ask by itself what the session may do, which this server does not offer"
            case 508: words = isEnd ? "several of its sessions fit. End them one by one" : "several of its sessions fit"
            default: words = "it gave no reason that this server knows"
            }
            return "the gateway refused (\(word)): \(words)."
        case .noAnswer(let what):
            return "\(what) Switch dynamic authorization (RFC 5176) on at the gateway, name this server there with the same shared secret,"
                + " and see whether a firewall drops its UDP port; `client set --disconnect-port` changes the port."
        case .noAnswerByTLS(let what):
            return "\(what) Switch dynamic authorization (RFC 5176) by the RadSec connection on at the gateway."
        case .notSent(let what): return what
        }
    }
}
