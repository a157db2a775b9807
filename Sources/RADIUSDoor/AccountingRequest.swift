// SPDX-License-Identifier: Apache-2.0
// Accounting-Request → AccountingRecord (RFC 2866 §5, RFC 2869 §5, RFC 3162 §2): what is carried, for whom, since when.

import LoginEngine
import RADIUS

/// What an Accounting-Request, already proven genuine by its authenticator, reports.
enum AccountingRequest {
    case record(AccountingRecord)
    /// A kind that says nothing of a session: acknowledged, since the gateway would go on sending it.
    case ofNoSession(status: UInt32)
    /// Without Acct-Status-Type, or without the Acct-Session-Id that it needs (RFC 2866 §5.13).
    case unusable

    /// A delay beyond it is a mistake: nothing keeps a record for so long.
    static let longestDelay: Int64 = 7 * 24 * 3600
    /// More than any session carries, and sums of many still fit.
    static let mostOctets = Int64(1) << 50

    init(_ packet: Packet, of entry: ClientEntry, from source: NetworkAddress, at now: Timestamp) {
        guard let status = packet.integer(.acctStatusType) else {
            self = .unusable
            return
        }
        let kind: AccountingRecord.Kind
        switch status {
        case 1: kind = .start
        case 2: kind = .stop
        case 3: kind = .update
        case 7: kind = .gatewayOn
        case 8: kind = .gatewayOff
        default:
            self = .ofNoSession(status: status)
            return
        }
        let sessionID = packet.shown(.acctSessionID)
        guard kind.isOfGateway || sessionID != nil else {
            self = .unusable
            return
        }
        let delay = Int64(packet.integer(.acctDelayTime) ?? 0)
        var record = AccountingRecord(
            kind, client: entry.client.id, gateway: Self.gateway(packet, source), sessionID: kind.isOfGateway ? "" : sessionID ?? "",
            source: source, at: delay <= Self.longestDelay ? now - .seconds(delay) : now, read: now)
        guard !kind.isOfGateway else {
            self = .record(record)
            return
        }
        let settings = entry.client.settings
        record.name = packet.shown(.userName, in: settings.charset) ?? ""
        record.nameKey = packet.first(.userName).flatMap { settings.charset.text(packet.value(of: $0)) }
            .flatMap { UserName.key(of: $0, stripping: settings.nameStripping) }
        record.station = packet.first(.callingStationID).flatMap { AccessRequest.station(packet.value(of: $0)) }
        record.addresses = Self.addresses(packet).joined(separator: " ")
        record.port = packet.integer(.nasPort)
        record.groupClass = Self.groupClass(packet)
        record.cause = packet.integer(.acctTerminateCause)
        record.hasTime = packet.contains(.acctSessionTime)
        record.isShort = !packet.contains(.acctInputGigawords) && !packet.contains(.acctOutputGigawords)
        record.figures = SessionFigures(
            seconds: packet.count(.acctSessionTime), input: packet.octets(.acctInputOctets, .acctInputGigawords),
            output: packet.octets(.acctOutputOctets, .acctOutputGigawords), inputPackets: packet.count(.acctInputPackets),
            outputPackets: packet.count(.acctOutputPackets))
        self = .record(record)
    }

    /// RFC 2866 §4.1: a gateway says who it is by one of these; a proxy's address would be the same for many.
    private static func gateway(_ packet: Packet, _ source: NetworkAddress) -> String {
        if let name = packet.shown(.nasIdentifier) { return name }
        if let address = packet.first(.nasIPAddress) ?? packet.first(.nasIPv6Address) {
            return NetworkAddress(bytes: packet.value(of: address))?.description ?? source.description
        }
        return source.description
    }

    private static func addresses(_ packet: Packet) -> [String] {
        var found: [String] = []
        if let address = packet.first(.framedIPAddress), address.range.count == 4 {
            found += NetworkAddress(bytes: packet.value(of: address)).map { ["\($0)"] } ?? []
        }
        for type in [AttributeType.framedIPv6Address, .framedIPv6Prefix, .delegatedIPv6Prefix] {
            guard let attribute = packet.first(type) else { continue }
            let value = packet.value(of: attribute)
            if type == .framedIPv6Address {
                if value.count == 16, let address = NetworkAddress(bytes: value) { found.append("\(address)") }
            } else if let prefix = Self.prefix(value, interface: type == .framedIPv6Prefix ? packet.octets(.framedInterfaceID) : nil) {
                found.append(prefix)
            }
        }
        return found
    }

    /// RFC 3162 §2.3: a reserved octet, the length, then as many octets as it needs. A /64 with an Interface-Id (§2.2) is an address.
    private static func prefix(_ value: ArraySlice<UInt8>, interface: [UInt8]?) -> String? {
        guard value.count >= 2, value.count <= 18 else { return nil }
        let length = Int(value[value.startIndex + 1])
        let octets = value.dropFirst(2)
        guard length <= 128, octets.count * 8 >= length else { return nil }
        let padded = Array(octets) + [UInt8](repeating: 0, count: 16 - octets.count)
        if length == 64, let interface, interface.count == 8 {
            return NetworkAddress(bytes: padded.prefix(8) + interface)?.description
        }
        return NetworkAddress(bytes: padded).map { "\($0)/\(length)" }
    }

    /// Every Class (RFC 2865 §5.25), a comma between two.
    private static func groupClass(_ packet: Packet) -> String? {
        guard packet.contains(.class) else { return nil }
        let all = packet.attributes.filter { $0.type == .class }.map { Packet.shown(packet.value(of: $0)) }
        return all.joined(separator: ", ")
    }
}

extension Packet {
    /// The value as text; what is no text, or could be taken for what follows, is `#` and its octets in hexadecimal. Nil where it is empty
    /// or not there.
    fileprivate func shown(_ type: AttributeType, in charset: Charset = .utf8) -> String? {
        guard let attribute = first(type), !attribute.range.isEmpty else { return nil }
        return Self.shown(value(of: attribute), in: charset)
    }

    fileprivate static func shown(_ value: ArraySlice<UInt8>, in charset: Charset = .utf8) -> String {
        if value.first != UInt8(ascii: "#"), let text = charset.text(value),
            !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        {
            return text
        }
        return "#" + value.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    fileprivate func count(_ type: AttributeType) -> Int64 { Int64(integer(type) ?? 0) }

    fileprivate func octets(_ low: AttributeType, _ high: AttributeType) -> Int64 {
        min(min(count(high), AccountingRequest.mostOctets >> 32) << 32 | count(low), AccountingRequest.mostOctets)
    }
}

/// The acknowledgement (RFC 2866 §4.2), and the answer to Status-Server on an accounting port (RFC 5997 §3).
func accountingResponse(to request: Packet, secret: SharedSecret) -> [UInt8]? {
    // Who signs has it signed.
    var writer = PacketWriter(
        reply: .accountingResponse, to: request, messageAuthenticator: request.contains(.messageAuthenticator))
    writer.copyProxyState(from: request)
    return try? writer.sign(with: secret)
}
