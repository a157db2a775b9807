// SPDX-License-Identifier: Apache-2.0
// From the name somebody typed to the key it is found by.

internal import Foundation

package enum UserName {
    /// The most characters and bytes a login name may have; RFC 2865 §5.1 allows 253 bytes.
    package static let longest = 253

    /// The key that names and aliases are stored and found by: NFKC, case folded, outer blanks gone.
    ///
    /// - Returns: nil when nothing is left, when it is longer than `longest` bytes, or when it holds a control character.
    package static func key(of name: some StringProtocol, stripping: NameStripping = .none) -> String? {
        guard name.utf8.count <= longest else { return nil }
        let bare = withoutRealm(withoutDomain(Substring(name), stripping), stripping)
        if bare.utf8.allSatisfy({ isPlain($0) }) {
            // The common case costs no Unicode tables.
            let key = bare.lowercased()
            return key.isEmpty ? nil : key
        }
        let key = String(bare).precomposedStringWithCompatibilityMapping.lowercased()
            .precomposedStringWithCompatibilityMapping.trimmingCharacters(in: .whitespaces)
        guard !key.isEmpty, key.utf8.count <= longest,
            !key.unicodeScalars.contains(where: { $0.properties.generalCategory == .control || $0.properties.generalCategory == .format })
        else { return nil }
        return key
    }

    /// ASCII letters, digits and the marks that names have; no blank, so nothing has to be trimmed.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "@"), UInt8(ascii: "\\"), UInt8(ascii: "+"):
            true
        default:
            false
        }
    }
}
