// SPDX-License-Identifier: Apache-2.0
// What an Access-Request proves a password with, where it does not show one: CHAP and MS-CHAP.

/// How a password goes over the wire.
public enum PasswordScheme: String, Sendable, Hashable, CaseIterable {
    case pap
    case chap
    case msCHAP = "ms-chap"
    case msCHAPv2 = "ms-chap-v2"
}

/// A proof that shows no password; who knows candidates can tell whether one of them is it.
public enum HashedPassword: Sendable, Hashable {
    case chap(CHAPResponse)
    case msCHAP(MSCHAPResponse)
    case msCHAPv2(MSCHAPv2Response)
    case change(MSCHAPPasswordChange)

    /// The name of the protocol.
    public var kind: PasswordScheme {
        switch self {
        case .chap: .chap
        case .msCHAP: .msCHAP
        case .msCHAPv2, .change: .msCHAPv2
        }
    }
}

/// Why a proof cannot be read. Holds lengths, never contents.
public enum PasswordProofError: Error, Sendable, Hashable {
    /// Two of User-Password, CHAP-Password, MS-CHAP (RFC 2865 §4.1, RFC 2548 §2.1).
    case several
    /// MS-CHAP without MS-CHAP-Challenge (RFC 2548 §2.1.2).
    case challengeMissing
    /// CHAP: below 1 byte (RFC 1994 §4.1); MS-CHAP: not 8; MS-CHAPv2: not 16.
    case challengeLength(PasswordScheme, Int, expected: Int)
    case responseLength(PasswordScheme, Int, expected: Int)
    /// MS-CHAP whose flags ask to judge the LAN Manager response.
    case lanManagerOnly
    /// MS-CHAP2-CPW whose pieces do not make 516 bytes, or whose layout is wrong.
    case changeMalformed
    /// A change of password of the first version (RFC 2433 §9, §10): CPW-1 sends hashes that MS-CHAP alone does not protect.
    case changeTooOld
}

extension PasswordProofError: CustomStringConvertible {
    /// A few words for the trail.
    public var description: String {
        switch self {
        case .several: "two kinds of password"
        case .challengeMissing: "MS-CHAP without a challenge"
        case .challengeLength(let kind, let length, let expected): "\(kind.rawValue) challenge of \(length) bytes, not \(expected)"
        case .responseLength(let kind, let length, let expected): "\(kind.rawValue) response of \(length) bytes, not \(expected)"
        case .lanManagerOnly: "MS-CHAP with a LAN Manager response alone"
        case .changeMalformed: "malformed change of password"
        case .changeTooOld: "change of password of MS-CHAP version 1"
        }
    }
}

/// Microsoft's attributes (RFC 2548 §2).
public enum MicrosoftAttribute {
    /// Its private enterprise number.
    public static let vendor: UInt32 = 311

    public static let chapResponse: UInt8 = 1
    public static let chapError: UInt8 = 2
    public static let chapCPW1: UInt8 = 3
    public static let chapCPW2: UInt8 = 4
    public static let chapNTEncPW: UInt8 = 6
    public static let mppeEncryptionPolicy: UInt8 = 7
    public static let mppeEncryptionTypes: UInt8 = 8
    public static let chapChallenge: UInt8 = 11
    public static let chapMPPEKeys: UInt8 = 12
    public static let mppeSendKey: UInt8 = 16
    public static let mppeReceiveKey: UInt8 = 17
    public static let chap2Response: UInt8 = 25
    public static let chap2Success: UInt8 = 26
    public static let chap2CPW: UInt8 = 27
}

extension Packet {
    /// What this request proves without showing it; nil when it has neither CHAP-Password nor anything of MS-CHAP.
    ///
    /// - Throws: why it cannot be judged. `several` also where User-Password stands beside it.
    public func hashedPassword() throws(PasswordProofError) -> HashedPassword? {
        let chap = first(.chapPassword)
        let microsoft = contains(.vendorSpecific) ? try microsoftPassword() : nil
        guard chap != nil || microsoft != nil else { return nil }
        guard chap == nil || microsoft == nil, !contains(.userPassword) else { throw .several }
        guard let chap else { return microsoft }
        let value = value(of: chap)
        guard value.count == CHAPResponse.length, let response = Authenticator(Array(value.dropFirst())) else {
            throw .responseLength(.chap, value.count, expected: CHAPResponse.length)
        }
        // RFC 2865 §5.3: without CHAP-Challenge the Request Authenticator is the challenge, which RADIUS/1.1 has not (RFC 9765 §5.1.2).
        let challenge = octets(.chapChallenge) ?? (version == .historic ? authenticator.bytes : [])
        guard !challenge.isEmpty else { throw .challengeLength(.chap, 0, expected: 16) }
        return .chap(CHAPResponse(identifier: value[value.startIndex], challenge: challenge, response: response))
    }

    private func microsoftPassword() throws(PasswordProofError) -> HashedPassword? {
        var challenge: ArraySlice<UInt8>?
        var found: (type: UInt8, value: ArraySlice<UInt8>)?
        var pieces: [ArraySlice<UInt8>] = []
        for attribute in vendorAttributes where attribute.vendor == MicrosoftAttribute.vendor {
            let value = value(of: attribute)
            switch attribute.type {
            case MicrosoftAttribute.chapChallenge:
                if challenge == nil { challenge = value }
            case MicrosoftAttribute.chapResponse, MicrosoftAttribute.chap2Response, MicrosoftAttribute.chap2CPW:
                guard found == nil else { throw .several }
                found = (attribute.type, value)
            case MicrosoftAttribute.chapNTEncPW:
                // 516 bytes need three; more are nobody's.
                guard pieces.count < 8 else { throw .changeMalformed }
                pieces.append(value)
            case MicrosoftAttribute.chapCPW1, MicrosoftAttribute.chapCPW2:
                throw .changeTooOld
            default:
                break
            }
        }
        guard let found else { return nil }
        guard let challenge else { throw .challengeMissing }
        let name = first(.userName).map { value(of: $0) } ?? []
        switch found.type {
        case MicrosoftAttribute.chapResponse:
            return .msCHAP(try MSCHAPResponse(challenge: challenge, value: found.value))
        case MicrosoftAttribute.chap2Response:
            return .msCHAPv2(try MSCHAPv2Response(challenge: challenge, value: found.value, userName: name))
        default:
            return .change(try MSCHAPPasswordChange(challenge: challenge, value: found.value, pieces: pieces, userName: name))
        }
    }
}
