// SPDX-License-Identifier: Apache-2.0
// Vendor-Specific (RFC 2865 §5.26) in the shape nearly all vendors use: one byte type, one byte length.

/// One vendor's attribute inside a Vendor-Specific attribute. Only valid with the packet it came from.
public struct VendorAttribute: Sendable, Hashable {
    /// The greatest length of its value: the vendor's number, a type and a length take six bytes (RFC 2865 §5.26).
    public static let maximumLength = Packet.maximumValueLength - 6

    /// The vendor's private enterprise number; 32 bits as sent, of which RFC 2865 §5.26 uses the lower 24.
    public let vendor: UInt32
    public let type: UInt8
    /// Where the value lies in `Packet.bytes`; 0–247 bytes.
    public let range: Range<Int>
}

/// All vendors' attributes of a packet in their order; reads them in place.
///
/// What does not follow the shape is passed over: RFC 2865 §5.26 only recommends it, so it is no error of the packet.
public struct VendorAttributes: Sequence, Sendable {
    let bytes: [UInt8]

    public struct Iterator: IteratorProtocol, Sendable {
        let bytes: [UInt8]
        var outer: Attributes.Iterator
        var vendor: UInt32 = 0
        var rest = 0..<0

        public mutating func next() -> VendorAttribute? {
            while true {
                if rest.count >= Packet.attributeHeaderLength {
                    let start = rest.lowerBound
                    let length = Int(bytes[start + 1])
                    if length >= Packet.attributeHeaderLength && length <= rest.count {
                        rest = start + length..<rest.upperBound
                        return VendorAttribute(vendor: vendor, type: bytes[start], range: start + 2..<start + length)
                    }
                }
                guard let attribute = outer.next() else { return nil }
                let range = attribute.range
                rest = 0..<0
                guard attribute.type == .vendorSpecific, range.count >= 4 else { continue }
                vendor = bytes[range.prefix(4)].reduce(0) { $0 << 8 | UInt32($1) }
                rest = range.lowerBound + 4..<range.upperBound
            }
        }
    }

    public func makeIterator() -> Iterator {
        Iterator(bytes: bytes, outer: Attributes.Iterator(bytes: bytes))
    }
}

extension Packet {
    /// The attributes inside all Vendor-Specific attributes.
    public var vendorAttributes: VendorAttributes { VendorAttributes(bytes: bytes) }

    /// The first attribute of a vendor with this type.
    public func first(vendor: UInt32, type: UInt8) -> VendorAttribute? {
        guard contains(.vendorSpecific) else { return nil }
        return vendorAttributes.first { $0.vendor == vendor && $0.type == type }
    }

    /// The value of a vendor's attribute, without copying it.
    public func value(of attribute: VendorAttribute) -> ArraySlice<UInt8> { bytes[attribute.range] }

    /// The value of a vendor's attribute as text.
    ///
    /// - Throws: `textNotUTF8(.vendorSpecific)`.
    public func text(of attribute: VendorAttribute) throws(PacketError) -> String {
        guard let text = String(validating: bytes[attribute.range], as: UTF8.self) else { throw .textNotUTF8(.vendorSpecific) }
        return text
    }

    /// The value of a vendor's attribute as a 32-bit number; nil when it is not 4 bytes long.
    public func integer(of attribute: VendorAttribute) -> UInt32? { integer(at: attribute.range) }
}
