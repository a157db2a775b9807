// SPDX-License-Identifier: Apache-2.0
// What a form sends (application/x-www-form-urlencoded): hostile bytes, read without believing them.

import LoginEngine

/// Not a dictionary of texts: a password among them is a secret from its first byte on.
struct FormFields {
    /// More than any form of ours has.
    static let most = 16

    private var fields: [(name: String, value: Secret)] = []

    /// Nil for what no browser sends: a broken escape, a name that is there twice, too many fields.
    init?(_ bytes: some Collection<UInt8>) {
        guard !bytes.isEmpty else { return }
        for pair in bytes.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: true) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]), let value = Self.decoded(parts.count == 2 ? parts[1] : parts[0].prefix(0)),
                let text = String(validating: name, as: UTF8.self), !fields.contains(where: { $0.name == text }),
                fields.count < Self.most
            else { return nil }
            fields.append((text, Secret(value)))
        }
    }

    subscript(_ name: String) -> Secret? { fields.first { $0.name == name }?.value }

    private static func decoded(_ bytes: some Collection<UInt8>) -> [UInt8]? {
        var out: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): out.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else { return nil }
                out.append(high << 4 | low)
            default: out.append(byte)
            }
        }
        return out
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
