// SPDX-License-Identifier: Apache-2.0
// The client's side of CHAP and MS-CHAP: the proof in a request, and whether the server proved itself in the reply.

package import RADIUS

extension PacketWriter {
    /// - Returns: false when MS-CHAP cannot carry this password.
    mutating func add(
        _ password: [UInt8], by scheme: PasswordScheme, userName: String, secret: SharedSecret, random: inout some RandomNumberGenerator
    ) -> Bool {
        let identifier = UInt8.random(in: 0...255, using: &random)
        let challenge = Authenticator(using: &random)
        switch scheme {
        case .pap:
            addPassword(password, secret: secret)
        case .chap:
            let chap = CHAPResponse(identifier: identifier, challenge: challenge.bytes, password: password)
            add(.chapPassword, chap.bytes)
            add(.chapChallenge, chap.challenge)
        case .msCHAP:
            guard let hash = NTHash(password: password),
                let response = MSCHAPResponse(identifier: identifier, challenge: Array(challenge.bytes.prefix(8)), hash: hash)
            else { return false }
            addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapChallenge, response.challenge)
            addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapResponse, response.bytes)
        case .msCHAPv2:
            guard let hash = NTHash(password: password) else { return false }
            let response = MSCHAPv2Response(
                identifier: identifier, challenge: challenge, peerChallenge: Authenticator(using: &random), userName: Array(userName.utf8),
                hash: hash)
            addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapChallenge, challenge.bytes)
            addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chap2Response, response.bytes)
        }
        return true
    }
}

/// What an Access-Accept says of the server and of keys, for who knows the password.
package enum ServerProof: Sendable, Equatable {
    /// PAP and CHAP have none.
    case none
    /// MS-CHAPv2: the answer is made with the password. `keys` where keys came with it, and they are right.
    case proved(keys: Bool)
    /// A user's device would hang up: the answer is missing, or made with another password.
    case missing, wrong
    /// The answer is right, and the keys are not those of the password.
    case wrongKeys

    package init(_ reply: Packet, to request: Packet, password: [UInt8], secret: SharedSecret) {
        guard let hash = NTHash(password: password), let hashed = try? request.hashedPassword() else {
            self = .none
            return
        }
        func value(_ type: UInt8) -> ArraySlice<UInt8>? {
            reply.first(vendor: MicrosoftAttribute.vendor, type: type).map { reply.value(of: $0) }
        }
        func key(_ type: UInt8) -> [UInt8]? {
            value(type).flatMap { SaltedKey.reveal($0, authenticator: request.authenticator, secret: secret) }
        }
        switch hashed {
        case .chap, .change:
            self = .none
        case .msCHAP:
            guard let hidden = value(MicrosoftAttribute.chapMPPEKeys) else {
                self = .none
                return
            }
            let keys = try? HiddenPassword.unhide(Array(hidden), authenticator: request.authenticator, secret: secret)
            // Zeros at the end are taken for padding.
            var expected = MPPEKeys.firstVersion(hash)
            while expected.last == 0 { expected.removeLast() }
            self = keys == expected ? .proved(keys: true) : .wrongKeys
        case .msCHAPv2(let response):
            guard let success = value(MicrosoftAttribute.chap2Success) else {
                self = .missing
                return
            }
            guard response.isSuccess(success, hash) else {
                self = .wrong
                return
            }
            let keys = MPPEKeys(response, hash)
            switch (key(MicrosoftAttribute.mppeSendKey), key(MicrosoftAttribute.mppeReceiveKey)) {
            case (nil, nil): self = .proved(keys: false)
            case (keys.send, keys.receive): self = .proved(keys: true)
            default: self = .wrongKeys
            }
        }
    }
}
