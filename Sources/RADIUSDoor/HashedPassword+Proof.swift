// SPDX-License-Identifier: Apache-2.0
// CHAP and MS-CHAP between the wire and the engine: what a request proves, and what its reply carries of that.

import LoginEngine
import RADIUS

extension HashedPassword {
    /// As the engine sees it: something that candidates can be tried against.
    func proof(in charset: Charset = .utf8) -> HashedProof {
        guard case .change(let change) = self else {
            return HashedProof(scheme, identity: identity, wire: wire) { fits($0) || (charset != .utf8 && fitsInLatin1($0)) }
        }
        @Sendable func new(_ old: PasswordCandidate) -> Secret? {
            old.ntHash.flatMap { change.newPassword(old: $0) }.map { Secret($0.password) }
        }
        return HashedProof(scheme, identity: identity, change: { new($0) }) { new($0) != nil }
    }

    /// As another server may judge it. A change of password is not passed on: it would be made before the second factor is known.
    private var wire: [UInt8]? {
        switch self {
        case .chap(let chap):
            Self.attribute(.chapPassword, chap.bytes) + Self.attribute(.chapChallenge, chap.challenge)
        case .msCHAP(let response):
            Self.attribute(MicrosoftAttribute.chapChallenge, response.challenge)
                + Self.attribute(MicrosoftAttribute.chapResponse, response.bytes)
        case .msCHAPv2(let response):
            Self.attribute(MicrosoftAttribute.chapChallenge, response.challenge.bytes)
                + Self.attribute(MicrosoftAttribute.chap2Response, response.bytes)
        case .change: nil
        }
    }

    private static func attribute(_ type: AttributeType, _ value: [UInt8]) -> [UInt8] {
        [type.rawValue, UInt8(truncatingIfNeeded: value.count + 2)] + value
    }

    /// RFC 2865 §5.26.
    private static func attribute(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        let vendor = MicrosoftAttribute.vendor
        let inner = [type, UInt8(truncatingIfNeeded: value.count + 2)] + value
        return attribute(.vendorSpecific, (0..<4).map { UInt8(truncatingIfNeeded: vendor >> (24 - 8 * $0)) } + inner)
    }

    private var scheme: ProofScheme {
        switch self {
        case .chap: .chap
        case .msCHAP: .msCHAP
        case .msCHAPv2, .change: .msCHAPv2
        }
    }

    /// Without the identifier of MS-CHAP, which is no part of its response: a gateway that repeats itself may count it on.
    private var identity: [UInt8] {
        switch self {
        case .chap(let chap): chap.bytes + chap.challenge
        case .msCHAP(let response): response.challenge + response.response.bytes
        case .msCHAPv2(let response): response.challenge.bytes + response.peerChallenge.bytes + response.response.bytes
        case .change(let change): change.response.challenge.bytes + change.bytes
        }
    }

    /// The MS-CHAPv2 response in it.
    var secondVersion: MSCHAPv2Response? {
        switch self {
        case .chap, .msCHAP: nil
        case .msCHAPv2(let response): response
        case .change(let change): change.response
        }
    }

    /// CHAP is made over the bytes that the device typed; MS-CHAP over UTF-16, whoever types.
    private func fitsInLatin1(_ candidate: PasswordCandidate) -> Bool {
        guard case .chap(let chap) = self, case .text(let text) = candidate else { return false }
        return text.reveal { bytes in Charset.latin1(Array(bytes)).map { chap.matches(password: $0) } ?? false }
    }

    /// Whether it is the one that was judged. A change is not: it proves the new password, which nobody tried it with.
    func isThat(of proof: HashedProof?) -> Bool {
        guard let proof, !proof.asksForChange, scheme == proof.scheme else { return false }
        if case .change = self { return false }
        return identity == proof.identity
    }

    func fits(_ candidate: PasswordCandidate) -> Bool {
        switch (self, candidate) {
        case (_, .vouched(let voucher)): voucher.proof == identity
        case (.chap(let chap), .text(let text)): text.reveal { chap.matches(password: $0) }
        case (.chap, .ntHash): false
        // What it proves is the new password, once that is set.
        case (.change(let change), _): candidate.ntHash.map { change.response.matches($0) } ?? false
        case (.msCHAP(let response), _): candidate.ntHash.map { response.matches($0) } ?? false
        case (.msCHAPv2(let response), _): candidate.ntHash.map { response.matches($0) } ?? false
        }
    }
}

extension PasswordCandidate {
    var ntHash: NTHash? {
        switch self {
        case .text(let text): text.reveal { NTHash(password: $0) }
        case .ntHash(let hash): hash.reveal { NTHash($0) }
        case .vouched: nil
        }
    }
}

extension PacketWriter {
    /// What proves the server and keys the tunnel (RFC 2548 §2.3.3, §2.4). Only where this very request proves what was proven: others
    /// may hear the same decision.
    mutating func addProof(_ proven: ProvenPassword, of request: Packet, secret: SharedSecret) {
        // Of CHAP nothing goes back.
        guard !request.contains(.chapPassword), let hashed = try? request.hashedPassword(),
            hashed.isThat(of: proven.proof) || hashed.fits(proven.candidate)
        else { return }
        if case .vouched(let voucher) = proven.candidate { return addVoucher(voucher, of: request, hashed, secret: secret) }
        guard let hash = proven.candidate.ntHash else { return }
        switch hashed {
        case .chap:
            break
        case .msCHAP:
            guard !proven.isCode else { return }
            addEncryption()
            let plain = MPPEKeys.firstVersion(hash)
            let keys =
                request.version == .historic
                ? try? HiddenPassword.hide(plain, authenticator: request.authenticator, secret: secret) : plain
            if let keys { addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapMPPEKeys, keys) }
        case .msCHAPv2, .change:
            guard let response = hashed.secondVersion else { return }
            addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chap2Success, response.successValue(hash))
            // A key made of six digits protects nothing for longer than it takes to try a million of them.
            guard !proven.isCode else { return }
            addEncryption()
            let keys = MPPEKeys(response, hash)
            addKeys(send: keys.send, receive: keys.receive, of: request, salt: response.bytes, secret: secret)
        }
    }

    /// - Parameter salt: other bytes for each login.
    mutating func addKeys(send: [UInt8], receive: [UInt8], of request: Packet, salt: [UInt8], secret: SharedSecret) {
        // No two salts of a reply are the same (RFC 2548 §2.4.2), and the same request gets the same ones.
        let salt = UInt16(truncatingIfNeeded: secret.hmacKey.code(for: request.authenticator.bytes + salt).low) & ~1
        for (type, key, salt) in [
            (MicrosoftAttribute.mppeSendKey, send, salt), (MicrosoftAttribute.mppeReceiveKey, receive, salt | 1),
        ] {
            // RFC 9765 §5.1.4: inside RADIUS/1.1 the key alone, without salt and length.
            let value =
                request.version == .historic
                ? SaltedKey.hide(key, salt: salt, authenticator: request.authenticator, secret: secret) : key
            addVendor(MicrosoftAttribute.vendor, type: type, value)
        }
    }

    /// What another server gave, hidden anew for this gateway.
    private mutating func addVoucher(_ voucher: Voucher, of request: Packet, _ hashed: HashedPassword, secret: SharedSecret) {
        switch hashed {
        case .chap, .change:
            break
        case .msCHAP:
            guard let firstKeys = voucher.firstKeys else { return }
            let hidden = firstKeys.reveal { keys in
                request.version == .historic
                    ? try? HiddenPassword.hide(keys, authenticator: request.authenticator, secret: secret) : keys
            }
            guard let hidden else { return }
            addEncryption()
            addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapMPPEKeys, hidden)
        case .msCHAPv2(let response):
            if let success = voucher.success { addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chap2Success, success) }
            guard let send = voucher.send, let receive = voucher.receive else { return }
            addEncryption()
            addKeys(send: send.reveal { $0 }, receive: receive.reveal { $0 }, of: request, salt: response.bytes, secret: secret)
        }
    }

    /// RFC 2548 §2.4.4, §2.4.5: encryption is allowed, with keys of 40 or 128 bits.
    private mutating func addEncryption() {
        addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.mppeEncryptionPolicy, [0, 0, 0, 1])
        addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.mppeEncryptionTypes, [0, 0, 0, 6])
    }

    /// MS-CHAP-Error, for a request by MS-CHAP: without it the user's device shows a broken line and no wrong password.
    mutating func addRefusal(_ refusal: ProofRefusal, message: String, of request: Packet, secret: SharedSecret) {
        guard request.contains(.vendorSpecific), let hashed = try? request.hashedPassword() else { return }
        let (identifier, length): (UInt8, Int)
        switch hashed {
        case .chap: return
        case .msCHAP(let response): (identifier, length) = (response.identifier, MSCHAPResponse.challengeLength)
        case .msCHAPv2(let response): (identifier, length) = (response.identifier, MSCHAPv2Response.challengeLength)
        case .change(let change): (identifier, length) = (change.response.identifier, MSCHAPv2Response.challengeLength)
        }
        // New for each request, foreseen by nobody who has not the secret, and the same when the same request comes again.
        let challenge = secret.hmacKey.code(for: Array("retry challenge".utf8) + request.bytes).bytes.prefix(length)
        let code: MSCHAPError.Code =
            switch refusal {
            case .uniform: .authenticationFailure
            case .accountDisabled: .accountDisabled
            case .passwordExpired: .passwordExpired
            case .changeFailed: .changeFailed
            }
        // A device may try again; after an expired password its next try brings a new one, made with this challenge.
        let error = MSCHAPError(
            code, allowsRetry: code == .authenticationFailure || code == .passwordExpired, challenge: Array(challenge), message: message)
        addVendor(MicrosoftAttribute.vendor, type: MicrosoftAttribute.chapError, error.value(identifier: identifier))
    }
}
