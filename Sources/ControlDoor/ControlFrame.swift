// SPDX-License-Identifier: Apache-2.0
// What passes over the control socket: four bytes of length, then JSON. The first frame of each side is a greeting.

package import Administration
internal import Foundation
internal import NIOCore

package enum ControlWire {
    /// Rises when the same verb would mean something else; both sides must speak the same.
    package static let version = 1
    /// A request holds one form, or one CSV file; an answer up to ten thousand users.
    package static let longestRequest = 16 << 20
    package static let longestAnswer = 64 << 20
    /// Connections at once; a shell loop of clients must not exhaust the node's descriptors.
    package static let mostConnections = 64
    package static let socketName = "control.sock"
    /// `sun_path` holds 108 bytes with its closing zero (unix(7)).
    package static let longestPath = 107

    package static func path(in dataDirectory: String) throws(Refusal) -> String {
        let path = dataDirectory + "/" + socketName
        guard path.utf8.count <= longestPath else {
            throw Refusal(
                .configuration, "\(path): a socket's path may have \(longestPath) bytes, and this one has \(path.utf8.count).",
                remedy: "Use a data directory with a shorter path.")
        }
        return path
    }
}

/// The first frame of both sides.
struct Greeting: Codable, Sendable {
    var sallyport: Int
    /// Of the program, for the message when the two differ.
    var release: String
    var node: String?

    func check(against peer: String) throws(Refusal) {
        guard sallyport == ControlWire.version else {
            throw Refusal(
                .unavailable,
                "The \(peer) speaks version \(sallyport) of the control protocol, this program version \(ControlWire.version).",
                remedy: "Use the `sallyport` of the node's own release (\(release)), or restart the node after an upgrade.")
        }
    }
}

struct ControlRequest: Sendable {
    var verb: String
    var body: Data
}

/// `body` as JSON in JSON would be escaped twice; the verb stands before it instead, closed by a line feed.
extension ControlRequest {
    static let longestVerb = 64

    var frame: Data {
        Data(verb.utf8) + [0x0A] + body
    }

    init(frame: Data) throws(Refusal) {
        guard let end = frame.prefix(Self.longestVerb + 1).firstIndex(of: 0x0A), let verb = String(bytes: frame[..<end], encoding: .utf8),
            !verb.isEmpty
        else { throw Refusal(.invalid, "The request is not one of the control protocol.") }
        self.verb = verb
        body = frame[(end + 1)...]
    }
}

/// One byte that says how it went, then the answer or the refusal as JSON.
enum ControlAnswer {
    static let done = UInt8(ascii: "+")
    static let refused = UInt8(ascii: "-")

    static func frame(_ result: Result<Data, Refusal>) -> Data {
        switch result {
        case .success(let body): Data([done]) + body
        case .failure(let refusal): Data([refused]) + ((try? JSONEncoder().encode(refusal)) ?? Data())
        }
    }

    static func open(_ frame: Data) throws(Refusal) -> Data {
        let unreadable = Refusal(.failed, "The node's answer cannot be read.", remedy: "Use the `sallyport` of the node's own release.")
        guard let first = frame.first else { throw unreadable }
        let body = frame.dropFirst()
        if first == done { return Data(body) }
        guard first == refused, let refusal = try? JSONDecoder().decode(Refusal.self, from: Data(body)) else { throw unreadable }
        throw refusal
    }
}

enum ReceivedFrame: Sendable {
    case whole(Data)
    /// Announced a length that is not read; nothing after it is either.
    case tooLong(Int)
}

/// Four bytes of length, big-endian. A frame that is too long is an element, not an error: an error would close the way for the answer.
struct ControlFrameDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = ReceivedFrame

    let limit: Int
    private var isOver = false

    init(limit: Int) {
        self.limit = limit
    }

    mutating func decode(buffer: inout ByteBuffer) throws -> ReceivedFrame? {
        if isOver {
            buffer.clear()
            return nil
        }
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length <= limit else {
            isOver = true
            buffer.clear()
            return .tooLong(Int(length))
        }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        return buffer.readBytes(length: Int(length)).map { .whole(Data($0)) } ?? .whole(Data())
    }

    mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> ReceivedFrame? {
        try decode(buffer: &buffer)
    }
}

func framed(_ payload: Data) -> [UInt8] {
    let length = UInt32(payload.count)
    return [UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)] + payload
}
