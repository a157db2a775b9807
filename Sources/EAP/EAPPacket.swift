// SPDX-License-Identifier: Apache-2.0
// The packet (RFC 3748 §4): code, identifier, length, and the type and its data where it asks or answers.

public struct EAPPacket: Sendable, Hashable {
    public enum Code: UInt8, Sendable {
        case request = 1
        case response = 2
        case success = 3
        case failure = 4
    }

    /// RFC 3748 §4: code, identifier, length.
    public static let headerLength = 4
    /// Of a Request or Response up to its data: the type stands behind the header.
    public static let typedLength = 5
    /// What the length can say.
    public static let maximumLength = 65_535

    public var code: Code
    public var identifier: UInt8
    /// Nil in Success and Failure.
    public var type: EAPType?
    /// Behind the type.
    public var data: [UInt8]

    public init(_ code: Code, identifier: UInt8, type: EAPType? = nil, data: [UInt8] = []) {
        self.code = code
        self.identifier = identifier
        self.type = type
        self.data = data
    }

    /// Bytes behind the length that the header names are padding of the link below (RFC 3748 §4.1) and no part of the packet.
    public init(_ bytes: ArraySlice<UInt8>) throws(EAPError) {
        guard bytes.count >= Self.headerLength else { throw .truncated(bytes.count) }
        let start = bytes.startIndex
        guard let code = Code(rawValue: bytes[start]) else { throw .code(bytes[start]) }
        let length = Int(bytes[start + 2]) << 8 | Int(bytes[start + 3])
        guard length <= bytes.count else { throw .truncated(bytes.count) }
        identifier = bytes[start + 1]
        self.code = code
        switch code {
        case .success, .failure:
            guard length >= Self.headerLength else { throw .length(length) }
            guard length == Self.headerLength else { throw .trailing(length - Self.headerLength) }
            type = nil
            data = []
        case .request, .response:
            guard length >= Self.typedLength else { throw .length(length) }
            type = EAPType(rawValue: bytes[start + Self.headerLength])
            data = Array(bytes[start + Self.typedLength..<start + length])
        }
    }

    /// As it goes over the wire; data beyond what a length can say is cut.
    public var bytes: [UInt8] {
        let body = (type.map { [$0.rawValue] } ?? []) + data.prefix(Self.maximumLength - Self.typedLength)
        let length = Self.headerLength + body.count
        return [code.rawValue, identifier, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)] + body
    }
}
