// SPDX-License-Identifier: Apache-2.0
// LoginAnswer → Access-Accept, -Challenge or -Reject: Message-Authenticator first, Proxy-State last (RFC 2865 §4).

import LoginEngine
import RADIUS

/// Prompt, RFC 2869 §5.10.
private enum EchoOfPrompt {
    static let no: UInt32 = 0
    static let yes: UInt32 = 1
}

extension LoginAnswer {
    /// The code it is sent with; nil when nothing is sent.
    var code: Code? {
        switch self {
        case .accept: .accessAccept
        case .challenge: .accessChallenge
        case .reject: .accessReject
        case .none: nil
        }
    }

    /// The signed reply; a text that has no room beside the request's Proxy-State is cut.
    ///
    /// - Returns: nil for `.none`, and when the reply has more than 4096 bytes even without its text.
    func reply(to request: Packet, secret: SharedSecret) -> [UInt8]? {
        guard let code else { return nil }
        var writer = PacketWriter(reply: code, to: request)
        switch self {
        case .accept(_, .some(let proven), _): writer.addProof(proven, of: request, secret: secret)
        case .reject(_, let message, let refusal): writer.addRefusal(refusal, message: message, of: request, secret: secret)
        case .accept(_, nil, _), .challenge, .none: break
        }
        let room = Packet.maximumLength - writer.length - request.lengthOfProxyState
        switch self {
        case .accept(_, _, let reply):
            if !reply.isEmpty { writer.addEncoded(reply) }
        case .none:
            break
        case .challenge(_, let challenge):
            let state = Array(challenge.handle.utf8)
            writer.add(.state, state)
            writer.addReplyMessage(challenge.prompt, room: room - state.count - Packet.attributeHeaderLength - 2 * integerLength)
            writer.addInteger(.prompt, challenge.echo ? EchoOfPrompt.yes : EchoOfPrompt.no)
            writer.addInteger(.sessionTimeout, UInt32(clamping: challenge.lifetime))
        case .reject(_, let message, _):
            if let failure = request.eapFailure {
                // RFC 3579 §2.6.5: no Reply-Message beside EAP-Message.
                writer.add(.eapMessage, failure)
            } else {
                writer.addReplyMessage(message, room: room)
            }
        }
        writer.copyProxyState(from: request)
        return try? writer.sign(with: secret)
    }
}

/// An attribute with a 32-bit number.
private let integerLength = Packet.attributeHeaderLength + 4

extension PacketWriter {
    /// Adds Reply-Message in pieces of at most 253 bytes (RFC 2865 §5.18), cut to `room` bytes on the wire; no scalar is cut.
    fileprivate mutating func addReplyMessage(_ text: String, room: Int) {
        let count = text.utf8.count
        // Pieces may end up to 3 bytes early so as not to cut a scalar, hence 250 and not 253 for each.
        let pieces = (count + 249) / 250
        if count + pieces * Packet.attributeHeaderLength <= room {
            addText(.replyMessage, text)
            return
        }
        let fitting = room / 252 * 250 + max(0, room % 252 - Packet.attributeHeaderLength)
        guard fitting > 0 else { return }
        var end = text.utf8.index(text.startIndex, offsetBy: min(fitting, count))
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        addText(.replyMessage, String(text[..<end]))
    }
}

extension Packet {
    fileprivate var lengthOfProxyState: Int {
        guard contains(.proxyState) else { return 0 }
        return attributes.reduce(0) { $1.type == .proxyState ? $0 + $1.range.count + Packet.attributeHeaderLength : $0 }
    }

    /// EAP-Failure for the EAP packet in this request (RFC 3748 §4.2: with the identifier of the Response).
    fileprivate var eapFailure: [UInt8]? {
        guard let message = joined(.eapMessage) else { return nil }
        let identifier = message.count > 1 ? message[1] : 0
        return [4, identifier, 0, 4]
    }
}

/// The answer to Status-Server on an authentication port (RFC 5997 §3).
func statusReply(to request: Packet, secret: SharedSecret) -> [UInt8]? {
    var writer = PacketWriter(reply: .accessAccept, to: request)
    writer.copyProxyState(from: request)
    return try? writer.sign(with: secret)
}
