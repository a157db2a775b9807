// SPDX-License-Identifier: Apache-2.0
// One line of text with an Ed25519 signature at its end: what anchors and exports are, so that anybody can check them without the master key.

internal import Crypto
internal import Foundation

/// `KIND 1 name=value … key=… signature=…`; the signature covers all that stands before it.
package struct SignedText: Sendable, Equatable {
    package let line: String
    /// Of the signer, as it stands in the line.
    package let key: String
    private let values: [String: String]

    private static let version = "1"
    /// More words than any kind has.
    private static let mostWords = 32

    package subscript(_ name: String) -> String? { values[name] }

    package func number(_ name: String) -> Int64? { values[name].flatMap { Int64($0) } }

    /// 32 bytes in hexadecimal digits.
    package func hash(_ name: String) -> [UInt8]? {
        guard let digits = values[name]?.compactMap(\.hexDigitValue), digits.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    init(_ kind: String, _ fields: KeyValuePairs<String, String>, signer: TrailSigner) {
        let words = [kind, Self.version] + fields.map { "\($0.key)=\(Self.escaped($0.value))" } + ["key=\(signer.publicKey)"]
        let text = words.joined(separator: " ")
        line = "\(text) signature=\(Self.base64(signer.sign(Array(text.utf8))))"
        key = signer.publicKey
        values = Dictionary(fields.map { ($0.key, $0.value) }) { first, _ in first }
    }

    /// Finds such a text anywhere in a line, as a log or a CSV file has it around; nil when there is none, or its signature is not of the
    /// key that it names.
    package init?(in text: some StringProtocol, kind: String) {
        guard let start = text.range(of: "\(kind) \(Self.version) ") else { return nil }
        var values: [String: String] = [:]
        var words: [Substring] = []
        for word in text[start.upperBound...].split(separator: " ", maxSplits: Self.mostWords, omittingEmptySubsequences: false) {
            if word.hasPrefix("signature=") {
                let letters = word.dropFirst("signature=".count).prefix { Self.isBase64($0) }
                let signed = "\(kind) \(Self.version) \(words.joined(separator: " "))"
                guard let key = values["key"], let signature = Self.bytes(String(letters)), let bytes = Self.bytes(key),
                    let signer = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes),
                    signer.isValidSignature(signature, for: Foundation.Data(signed.utf8))
                else { return nil }
                self.key = key
                self.values = values
                line = "\(signed) signature=\(letters)"
                return
            }
            let pair = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, let value = String(pair[1]).removingPercentEncoding else { return nil }
            values[String(pair[0])] = value
            words.append(Substring(word))
        }
        return nil
    }

    package static func == (left: SignedText, right: SignedText) -> Bool { left.line == right.line }

    /// Blanks, quotes, commas and controls would end a word, or a field of the file that it stands in.
    private static func escaped(_ value: String) -> String {
        var text = ""
        for byte in value.utf8 {
            let character = Character(UnicodeScalar(byte))
            if isBase64(character) || ".:".contains(character) {
                text.append(character)
            } else {
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }

    private static func isBase64(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "-" || character == "_")
    }

    /// RFC 4648 §5, without padding.
    static func base64(_ bytes: [UInt8]) -> String {
        Foundation.Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func bytes(_ text: String) -> Foundation.Data? {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Foundation.Data(base64Encoded: text.replacing("-", with: "+").replacing("_", with: "/") + padding)
    }

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Signs what leaves the machine. Its key derives from the master key; the public half tells nothing of it.
struct TrailSigner: Sendable {
    /// Of the chain's name: tells two trails apart.
    let chain: String
    let publicKey: String
    private let secret: SymmetricKey

    init(key: MasterKey, chain name: [UInt8]) {
        secret = key.subkey("anchor")
        publicKey = SignedText.base64(Array(Self.privateKey(secret).publicKey.rawRepresentation))
        chain = SignedText.hexadecimal(SHA256.hash(data: name).prefix(16))
    }

    func sign(_ bytes: [UInt8]) -> [UInt8] {
        guard let signature = try? Self.privateKey(secret).signature(for: bytes) else {
            preconditionFailure("Ed25519 with a key of its size does not fail")
        }
        return Array(signature)
    }

    private static func privateKey(_ secret: SymmetricKey) -> Curve25519.Signing.PrivateKey {
        let key = secret.withUnsafeBytes { try? Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
        guard let key else { preconditionFailure("every 32 bytes are a key of Ed25519") }
        return key
    }
}
