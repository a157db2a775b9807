// SPDX-License-Identifier: Apache-2.0
// Requests of this server to a gateway, by the connection over TLS that the gateway keeps open (RFC 5176, RFC 6614 §2.5).

package import LoginEngine
package import RADIUS

package struct GatewayQuestion: Sendable {
    package var code: Code
    package var client: Int64
    /// A client may be several gateways; one that is asked of another's session would say that there is none.
    package var source: NetworkAddress
    package var attributes: @Sendable (inout PacketWriter) -> Void
    /// TCP brings it there or breaks, so it is sent once.
    package var patience = Timestamp.Span.seconds(9)

    package init(
        _ code: Code, client: Int64, source: NetworkAddress, attributes: @escaping @Sendable (inout PacketWriter) -> Void
    ) {
        self.code = code
        self.client = client
        self.source = source
        self.attributes = attributes
    }
}

package enum GatewayAnswer: Sendable {
    case reply(Packet)
    /// None of its connections comes from there.
    case notConnected
    case noAnswer
    /// The connection ended before an answer came.
    case disconnected
    case notWritable(PacketError)
}

/// A question on its way to the thread of the connections, and who waits for the answer: called once, on any thread.
struct PendingQuestion: Sendable {
    let question: GatewayQuestion
    let completion: @Sendable (GatewayAnswer) -> Void
}

/// What one connection was asked. Its identifiers are this server's own, whatever the gateway counts.
struct AskedQuestions {
    private struct Asked {
        let packet: Packet
        let until: Timestamp
        let completion: @Sendable (GatewayAnswer) -> Void
    }

    private var asked: [UInt32: Asked] = [:]
    private var last: UInt32 = 0

    var isEmpty: Bool { asked.isEmpty }

    /// - Returns: the packet; nil where there is none, and the question is answered.
    mutating func write(_ pending: PendingQuestion, _ version: RADIUSVersion, secret: SharedSecret, at now: Timestamp) -> [UInt8]? {
        let most = version == .historic ? 256 : 4096
        guard asked.count < most else {
            pending.completion(.noAnswer)
            return nil
        }
        repeat { last = version == .historic ? (last + 1) & 0xFF : last &+ 1 } while asked[last] != nil
        var writer =
            version == .historic
            ? PacketWriter(
                request: pending.question.code, identifier: UInt8(last), authenticator: .zero, messageAuthenticator: true)
            : PacketWriter(request: pending.question.code, token: last)
        pending.question.attributes(&writer)
        do throws(PacketError) {
            let bytes = try writer.sign(with: secret)
            asked[last] = Asked(
                packet: try Packet(decoding: bytes, version: version), until: now + pending.question.patience,
                completion: pending.completion)
            return bytes
        } catch {
            pending.completion(.notWritable(error))
            return nil
        }
    }

    /// - Returns: false for what answers nothing that was asked.
    mutating func take(_ reply: Packet, secret: SharedSecret) -> Bool {
        let name = reply.version == .historic ? UInt32(reply.identifier) : reply.token
        guard let question = asked[name],
            reply.verifyReply(to: question.packet, secret: secret, requiringMessageAuthenticator: false) == .genuine
        else { return false }
        asked[name] = nil
        question.completion(.reply(reply))
        return true
    }

    mutating func expire(at now: Timestamp) {
        for (name, question) in asked where question.until <= now {
            asked[name] = nil
            question.completion(.noAnswer)
        }
    }

    mutating func giveUp() {
        for question in asked.values { question.completion(.disconnected) }
        asked = [:]
    }
}
