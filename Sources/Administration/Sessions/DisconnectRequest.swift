// SPDX-License-Identifier: Apache-2.0
// Disconnect-Request (RFC 5176 §2.1, §3): what it says of the session, and what the gateway's answer means.

internal import Directories
package import LoginEngine
package import RADIUS

/// A Disconnect-Request that goes by a connection over TLS: the door writes it in the form that is spoken there.
package struct TLSDisconnect: Sendable {
    package enum Answer: Sendable, Equatable {
        case acknowledged
        case refused(UInt32?)
        case notConnected
        case noAnswer
        case disconnected
        case notWritable(String)
    }

    package var client: Int64
    /// Where the session's records came from.
    package var source: NetworkAddress
    package var attributes: @Sendable (inout PacketWriter) -> Void
}

struct DisconnectRequest {
    static let timeout = Timestamp.Span.seconds(3)
    static let tries = 3

    var session: GatewaySession
    /// Whether NAS-Identifier or NAS-IP-Address is in it (RFC 5176 §3).
    var namesGateway: Bool
    /// Seconds since 1970, for Event-Timestamp: an old packet is of no use to who recorded it (RFC 5176 §3.3, §6.3).
    var seconds: Int64

    init(session: GatewaySession, namesGateway: Bool = true, at seconds: Int64) {
        self.session = session
        self.namesGateway = namesGateway
        self.seconds = seconds
    }

    /// With Message-Authenticator first (RFC 5176 §3.4).
    func packet(identifier: UInt8, secret: SharedSecret) throws(PacketError) -> Packet {
        var writer = PacketWriter(request: .disconnectRequest, identifier: identifier, authenticator: .zero, messageAuthenticator: true)
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
    func perform(_ exchange: RADIUSExchange, identifier: UInt8, secret: SharedSecret) -> DisconnectOutcome {
        let packet: Packet
        do throws(PacketError) {
            packet = try self.packet(identifier: identifier, secret: secret)
        } catch {
            return .notSent("The request cannot be written: \(error)")
        }
        do throws(RADIUSExchangeError) {
            let reply = try exchange.exchange(packet).reply
            return reply.code == .disconnectACK ? .acknowledged : .refused(reply.integer(.errorCause))
        } catch {
            switch error {
            case .noAnswer, .refused: return .noAnswer(error.what)
            default: return .notSent(error.description)
            }
        }
    }
}

enum DisconnectOutcome: Sendable, Equatable {
    case acknowledged
    /// Disconnect-NAK, with its Error-Cause.
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

    var sentence: String {
        switch self {
        case .acknowledged: return "ended; the gateway reports the end by itself."
        case .refused(let cause):
            let words: String
            switch cause {
            case 201: return "the gateway had removed all but a rest of it, which is gone now."
            case 503: return "the gateway knows no such session; it counts as lost."
            case 401: words = "it does not know an attribute of the request. Update its software"
            case 402: words = "it misses an attribute by which it finds sessions"
            case 403: words = "it has another name or address than its accounting said"
            case 404, 407: words = "it cannot read the request. Update its software"
            case 405: words = "it does not end sessions of this service"
            case 406: words = "it does not take Disconnect-Requests. Switch dynamic authorization (RFC 5176) on there"
            case 501: words = "it may not do that. Allow this server as its dynamic authorization client"
            case 502, 505: words = "a proxy on the way does not pass it on"
            case 504: words = "it cannot end this session"
            case 506: words = "it is too busy. Try again"
            case 508: words = "several of its sessions fit. End them one by one"
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
