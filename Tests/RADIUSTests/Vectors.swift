// SPDX-License-Identifier: Apache-2.0
// Reads the vectors: JSON files, bytes as hexadecimal.

internal import Foundation
internal import RADIUS
internal import Testing

enum Vectors {
    static func load<Vector: Decodable>(_ name: String) throws -> [Vector] {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode([Vector].self, from: Data(contentsOf: url))
    }
}

/// Bytes that JSON holds as hexadecimal.
struct Hex: Decodable, Sendable {
    let bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        bytes = try #require([UInt8](hexadecimal: text))
    }
}

extension [UInt8] {
    init?(hexadecimal text: String) {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
        self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

/// A request and its reply.
struct ExchangeVector: Decodable, Sendable, CustomTestStringConvertible {
    struct Attribute: Decodable, Sendable {
        let type: UInt8
        let value: Hex
    }

    let name: String
    let source: String
    let secret: String
    let request: Hex
    let reply: Hex?
    let password: String?
    let attributes: [Attribute]?
    let replyAttributes: [Attribute]?

    var testDescription: String { name }

    static let packets: [ExchangeVector] = load("rfc2865-packets")
    static let signed: [ExchangeVector] = load("message-authenticator")

    func sharedSecret() throws -> SharedSecret { try #require(SharedSecret(secret)) }
}

/// A datagram that is no packet, and why.
struct MalformedVector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let source: String
    let datagram: Hex
    let cause: String
    /// Absent: that of RFC 2865.
    let version: String?

    var testDescription: String { name }
    var spoken: RADIUSVersion? { version.map { RADIUSVersion(rawValue: $0) } ?? .historic }

    static let all: [MalformedVector] = load("malformed")
}

/// A datagram that looks wrong and is a packet.
struct UnusualVector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let datagram: Hex
    let attributes: Int
    let length: Int

    var testDescription: String { name }

    static let all: [UnusualVector] = load("unusual")
}

/// Vectors are arguments, which cannot throw: a file that cannot be read leaves no cases, and `VectorFilesTests` fails.
func load<Vector: Decodable>(_ name: String) -> [Vector] {
    (try? Vectors.load(name)) ?? []
}
