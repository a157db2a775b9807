// SPDX-License-Identifier: Apache-2.0
// From names, as people write them in settings, to numbers.

extension AttributeType {
    /// The type with this registered name; case does not matter.
    public init?(name: String) {
        guard let type = Self.named.first(where: { $0.name?.lowercased() == name.lowercased() }) else { return nil }
        self = type
    }
}

/// An attribute a vendor has defined inside Vendor-Specific (RFC 2865 §5.26).
public struct VendorAttributeName: Sendable, Hashable {
    /// The vendor's private enterprise number.
    public let vendor: UInt32
    public let type: UInt8
    public let name: String
    public let kind: AttributeKind

    /// The vendor attribute with this name; case does not matter.
    public static func named(_ name: String) -> VendorAttributeName? {
        all.first { $0.name.lowercased() == name.lowercased() }
    }

    /// The name for a number of a vendor.
    public static func find(vendor: UInt32, type: UInt8) -> VendorAttributeName? {
        all.first { $0.vendor == vendor && $0.type == type }
    }

    /// The vendor's name; nil when the dictionaries have none.
    public var vendorName: String? {
        Self.vendorNames.first { $0.0 == vendor }?.1
    }
}
