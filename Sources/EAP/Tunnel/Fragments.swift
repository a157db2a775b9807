// SPDX-License-Identifier: Apache-2.0
// Messages that are longer than a packet (RFC 5216 §2.1.5, §3.1; the same in RFC 5281 §9.2 and PEAP).

/// The byte in front of each packet of a method that is built on TLS.
struct FragmentFlags: Equatable {
    /// Four bytes of length follow.
    static let length: UInt8 = 0x80
    static let more: UInt8 = 0x40
    /// Of the server's first packet alone.
    static let start: UInt8 = 0x20
    /// RFC 5281 §9.1; PEAP has its version there too; reserved in EAP-TLS.
    static let version: UInt8 = 0x07

    let byte: UInt8

    var hasLength: Bool { byte & Self.length != 0 }
    var hasMore: Bool { byte & Self.more != 0 }
    var isStart: Bool { byte & Self.start != 0 }
    var version: UInt8 { byte & Self.version }
}

/// What is wrong with a fragment; numbers alone.
package enum FragmentError: Error, Equatable {
    /// Not even the flags, or a length of less than four bytes.
    case truncated
    /// A client that sends a server's start.
    case start
    /// RFC 5216 §3.1: the first of several has to name the length.
    case lengthMissing
    case lengthChanged(from: Int, to: Int)
    case tooLong(Int)
    /// More came than was said, or less.
    case lengthMismatch(said: Int, received: Int)
    /// There is more to come, and nothing in this one.
    case empty

    package var words: String {
        switch self {
        case .truncated: "fragment without its header"
        case .start: "fragment with the flag of a start"
        case .lengthMissing: "first fragment without the length"
        case .lengthChanged(let old, let new): "fragment whose length is \(new), not \(old)"
        case .tooLong(let length): "message of \(length) bytes"
        case .lengthMismatch(let said, let received): "message of \(received) bytes that should have \(said)"
        case .empty: "fragment with nothing in it"
        }
    }
}

/// Puts together what a peer sends in pieces.
package struct FragmentAssembly {
    /// Of one message. A chain of certificates takes up to some ten thousand; RFC 5216 §2.1.5 names 64 KB as what TLS may send.
    package static let longestMessage = 65_536

    package enum Taken: Equatable {
        case message([UInt8])
        /// More follows; an acknowledgement asks for it.
        case more
        /// Nothing in it: asks for the next fragment, or says that all was heard.
        case acknowledgement
    }

    /// As the first fragment said; nil between messages.
    private var expected: Int?
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// - Parameter data: what stands behind the type.
    package mutating func take(_ data: ArraySlice<UInt8>) throws(FragmentError) -> Taken {
        guard let first = data.first else { throw .truncated }
        let flags = FragmentFlags(byte: first)
        guard !flags.isStart else { throw .start }
        var rest = data.dropFirst()
        if flags.hasLength {
            guard rest.count >= 4 else { throw .truncated }
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard length <= Self.longestMessage else { throw .tooLong(length) }
            if let expected {
                guard length == expected else { throw .lengthChanged(from: expected, to: length) }
            } else if flags.hasMore || !rest.isEmpty || length > 0 {
                expected = length
            }
        }
        guard flags.hasMore || expected != nil else {
            // The packet is no longer than RADIUS can carry, so there is nothing to bound.
            return rest.isEmpty ? .acknowledgement : .message(Array(rest))
        }
        guard let expected else { throw .lengthMissing }
        guard !flags.hasMore || !rest.isEmpty else { throw .empty }
        let received = bytes.count + rest.count
        guard flags.hasMore ? received < expected : received == expected else {
            throw .lengthMismatch(said: expected, received: received)
        }
        bytes += rest
        guard !flags.hasMore else { return .more }
        defer { self = FragmentAssembly() }
        return .message(bytes)
    }
}

/// Cuts what goes to the peer.
struct FragmentQueue {
    /// RFC 3748 §3.1: what every link below EAP carries.
    static let usualPacket = 1020
    /// With the attributes of RADIUS around it, this still fits an Ethernet frame.
    static let longestPacket = 1400
    /// RFC 2865 §5.12 has no smaller Framed-MTU.
    static let shortestPacket = 64
    /// Code, identifier, length, type (RFC 3748 §4), flags.
    private static let header = 6
    private static let lengthField = 4

    /// What a gateway's Framed-MTU leaves (RFC 3579 §2.4).
    static func packet(framedMTU: Int?) -> Int {
        min(max(framedMTU ?? usualPacket, shortestPacket), longestPacket)
    }

    private let room: Int
    private let version: UInt8
    private(set) var bytes: [UInt8] = []
    private var sent = 0

    init(packet: Int, version: UInt8) {
        room = packet - Self.header
        self.version = version
    }

    var isEmpty: Bool { sent == bytes.count }

    /// To be called once all is sent that was there.
    mutating func put(_ message: [UInt8]) {
        bytes = message
        sent = 0
    }

    /// The next packet, from the flags on; without anything in it when all is sent.
    mutating func next() -> [UInt8] {
        let left = bytes.count - sent
        guard left > room || sent > 0 else {
            defer { put([]) }
            return [version] + bytes
        }
        if sent == 0 {
            // RFC 5216 §3.1: the first one names the length of all.
            sent = room - Self.lengthField
            let length = (0..<Self.lengthField).map { UInt8(truncatingIfNeeded: bytes.count >> (24 - 8 * $0)) }
            return [FragmentFlags.length | FragmentFlags.more | version] + length + bytes[..<sent]
        }
        let start = sent
        sent = min(start + room, bytes.count)
        let flags = sent < bytes.count ? FragmentFlags.more | version : version
        let fragment = [flags] + bytes[start..<sent]
        if sent == bytes.count { put([]) }
        return fragment
    }
}
