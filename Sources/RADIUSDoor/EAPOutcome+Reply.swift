// SPDX-License-Identifier: Apache-2.0
// EAPOutcome → Access-Challenge, -Accept or -Reject (RFC 3579 §2, §3).

import EAP
import LoginEngine
import RADIUS

extension EAPOutcome {
    /// The signed reply; nil for `.none`, and when there is no room for it.
    func reply(to request: Packet, of conversation: EAPConversation, secret: SharedSecret) -> [UInt8]? {
        let code: Code
        switch self {
        case .challenge: code = .accessChallenge
        case .accept: code = .accessAccept
        case .reject: code = .accessReject
        case .none: return nil
        }
        var writer = PacketWriter(reply: code, to: request)
        switch self {
        case .challenge(let packet, let isRepeat):
            writer.addSplit(.eapMessage, packet)
            writer.add(.state, conversation.state.bytes)
            // RFC 3579 §2.2: says to a gateway that knows it that what it passed on was no good, and that the conversation goes on.
            if isRepeat { writer.addInteger(.errorCause, ErrorCause.invalidEAPPacket) }
        case .accept(let packet, let keys, let accepted):
            writer.addSplit(.eapMessage, packet)
            // A key that is made of six digits: inside of IKEv2, whose own exchange keeps it from whoever listens, and nowhere else.
            if let keys, !accepted.isCode || request.isOfIKEv2 {
                writer.addKeys(
                    send: keys.send.bytes, receive: keys.receive.bytes, of: request, salt: conversation.state.bytes, secret: secret)
                if request.asksForKeyName, !keys.sessionID.isEmpty { writer.add(.eapKeyName, keys.sessionID) }
            }
            if let name = accepted.name { writer.add(.userName, name) }
            writer.addBesideEAP(accepted.reply, hasName: accepted.name != nil)
        case .reject(let packet):
            writer.addSplit(.eapMessage, packet)
        case .none:
            break
        }
        writer.copyProxyState(from: request)
        return try? writer.sign(with: secret)
    }
}

extension PacketWriter {
    /// RFC 3579 §2.6.5: no Reply-Message beside EAP-Message, whoever configured one.
    fileprivate mutating func addBesideEAP(_ reply: [UInt8], hasName: Bool) {
        var rest = reply[...]
        while rest.count >= Packet.attributeHeaderLength {
            let attribute = rest.prefix(max(Packet.attributeHeaderLength, Int(rest[rest.startIndex + 1])))
            let type = AttributeType(rawValue: attribute[attribute.startIndex])
            if type != .replyMessage, type != .userName || !hasName { addEncoded(Array(attribute)) }
            rest = rest.dropFirst(attribute.count)
        }
    }
}

private enum ErrorCause {
    /// RFC 3579 §2.2: *Invalid EAP Packet (Ignored)*.
    static let invalidEAPPacket: UInt32 = 202
}

extension Packet {
    /// RFC 7268 §2.2: one zero byte asks for the name of the session (RFC 5247 §1.4); RFC 4072 has it empty. Whatever else stands there asks
    /// for nothing.
    fileprivate var asksForKeyName: Bool {
        guard let attribute = first(.eapKeyName) else { return false }
        return value(of: attribute).allSatisfy { $0 == 0 } && value(of: attribute).count <= 1
    }

    /// Whether a tunnel is asked about and no dial-in or radio: strongSwan and its like say *Virtual* (RFC 2865 §5.41) and frame nothing,
    /// while whoever encrypts with MPPE frames PPP.
    fileprivate var isOfIKEv2: Bool { integer(.nasPortType) == 5 && integer(.framedProtocol) != 1 }
}
