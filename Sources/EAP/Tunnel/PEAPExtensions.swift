// SPDX-License-Identifier: Apache-2.0
// The packet by which PEAPv0 ends: TLVs of the result and of cryptobinding ([MS-PEAP] §2.2.8).

package enum PEAPExtensionsError: Error, Equatable {
    case truncated
    /// Its length, or one field of it, is not what it has to be.
    case result
    case binding
    case repeated(UInt16)
    /// RFC 3748 has no words for it; draft-josefsson §4.1: what is mandatory and unknown ends the conversation.
    case mandatory(UInt16)

    package var words: String {
        switch self {
        case .truncated: "TLV of PEAP that is cut"
        case .result: "result TLV of PEAP"
        case .binding: "cryptobinding TLV of PEAP"
        case .repeated(let type): "TLV \(type) of PEAP that comes twice"
        case .mandatory(let type): "TLV \(type) of PEAP, which is unknown here"
        }
    }
}

/// What stands behind the type 33.
package struct PEAPExtensions: Equatable {
    package enum Outcome: UInt16 {
        case success = 1
        case failure = 2
    }

    package struct Binding: Equatable {
        static let nonceLength = 32
        static let macLength = 20
        /// Reserved, version, received version, subtype.
        static let valueLength = 4 + nonceLength + macLength

        package enum Subtype: UInt8 {
            case request = 0
            case response = 1
        }

        package var subtype: Subtype
        package var nonce: [UInt8]
        package var mac = [UInt8](repeating: 0, count: macLength)

        /// The whole TLV; its M bit is clear.
        var bytes: [UInt8] {
            [0, UInt8(PEAPExtensions.bindingType), 0, UInt8(Self.valueLength), 0, 0, 0, subtype.rawValue] + nonce + mac
        }

        /// What the MAC is made over.
        var bytesWithoutMAC: [UInt8] { bytes.dropLast(Self.macLength) + Array(repeating: 0, count: Self.macLength) }
    }

    static let resultType: UInt16 = 3
    static let bindingType: UInt16 = 12
    private static let mandatory: UInt8 = 0x80

    package var outcome: Outcome?
    package var binding: Binding?

    init(outcome: Outcome?, binding: Binding? = nil) {
        self.outcome = outcome
        self.binding = binding
    }

    package init(_ bytes: ArraySlice<UInt8>) throws(PEAPExtensionsError) {
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= 4 else { throw .truncated }
            let start = rest.startIndex
            let type = UInt16(rest[start] & 0x3f) << 8 | UInt16(rest[start + 1])
            let isMandatory = rest[start] & Self.mandatory != 0
            let length = Int(rest[start + 2]) << 8 | Int(rest[start + 3])
            rest = rest.dropFirst(4)
            guard length <= rest.count else { throw .truncated }
            let value = rest.prefix(length)
            rest = rest.dropFirst(length)
            switch type {
            case Self.resultType:
                guard outcome == nil else { throw .repeated(type) }
                guard length == 2, let found = Outcome(rawValue: UInt16(value[value.startIndex]) << 8 | UInt16(value[value.startIndex + 1]))
                else { throw .result }
                outcome = found
            case Self.bindingType:
                guard binding == nil else { throw .repeated(type) }
                binding = try Self.binding(value)
            default:
                guard !isMandatory else { throw .mandatory(type) }
            }
        }
    }

    private static func binding(_ value: ArraySlice<UInt8>) throws(PEAPExtensionsError) -> Binding {
        let start = value.startIndex
        // [MS-PEAP] §2.2.8.1.1: the first byte is ignored, the version has to be 0; of the received version nothing is made.
        guard value.count == Binding.valueLength, value[start + 1] == 0, let subtype = Binding.Subtype(rawValue: value[start + 3]) else {
            throw .binding
        }
        return Binding(
            subtype: subtype, nonce: Array(value.dropFirst(4).prefix(Binding.nonceLength)), mac: Array(value.suffix(Binding.macLength)))
    }

    package var bytes: [UInt8] {
        let result: [UInt8]? = outcome.map { [Self.mandatory, UInt8(Self.resultType), 0, 2, 0, UInt8($0.rawValue)] }
        return (result ?? []) + (binding?.bytes ?? [])
    }
}
