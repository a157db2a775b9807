// SPDX-License-Identifier: Apache-2.0
// Access-Requests written and replies checked in buffers that are used again: a generator that allocates measures itself.

import Foundation
import RADIUS

/// The digest states of one secret, taken once.
struct RequestForge {
    private let secret: [UInt8]
    private let inner: MD5
    private let outer: MD5
    private let prefix: MD5
    private var scratch: [UInt8] = []

    static let nasIdentifier = Array("sallyport-bench".utf8)

    init(_ secret: SharedSecret) {
        self.secret = secret.bytes
        let key = secret.bytes.count > 64 ? MD5.digest(secret.bytes).bytes : secret.bytes
        let padded = key + [UInt8](repeating: 0, count: 64 - key.count)
        var inner = MD5()
        inner.update(padded.map { $0 ^ 0x36 })
        var outer = MD5()
        outer.update(padded.map { $0 ^ 0x5C })
        var prefix = MD5()
        prefix.update(secret.bytes)
        (self.inner, self.outer, self.prefix) = (inner, outer, prefix)
        scratch.reserveCapacity(Packet.maximumLength + secret.bytes.count)
    }

    /// How a request proves the password or code.
    enum Proof {
        case password([UInt8])
        /// By CHAP; the challenge is the Request Authenticator (RFC 2865 §2.2).
        case chap([UInt8])
        case msCHAPv2(MSCHAPv2Response)
        /// One packet of a conversation.
        case eap([UInt8])
    }

    /// Appends a signed Access-Request to `bytes`; Message-Authenticator comes first.
    func write(
        identifier: UInt8, authenticator: Authenticator, name: [UInt8], proof: Proof, state: ArraySlice<UInt8>?,
        proxyState: ArraySlice<UInt8>? = nil, isForged: Bool = false, to bytes: inout [UInt8]
    ) {
        let start = bytes.count
        bytes.append(Code.accessRequest.rawValue)
        bytes.append(identifier)
        bytes.append(0)
        bytes.append(0)
        Self.append(authenticator, to: &bytes)
        bytes.append(AttributeType.messageAuthenticator.rawValue)
        bytes.append(18)
        for _ in 0..<16 { bytes.append(0) }
        Self.append(.userName, name[...], to: &bytes)
        switch proof {
        case .password(let password): appendHidden(password, authenticator, to: &bytes)
        case .chap(let password):
            let response = CHAPResponse(identifier: identifier, challenge: authenticator.bytes, password: password)
            Self.append(.chapPassword, response.bytes[...], to: &bytes)
        case .msCHAPv2(let response):
            Self.appendMicrosoft(MicrosoftAttribute.chapChallenge, response.challenge.bytes, to: &bytes)
            Self.appendMicrosoft(MicrosoftAttribute.chap2Response, response.bytes, to: &bytes)
        case .eap(let packet):
            // RFC 2865 §5.12, §5.41: *Virtual*, as strongSwan says.
            Self.append(.framedMTU, Self.number(UInt32(LoadDevices.framedMTU)), to: &bytes)
            Self.append(.nasPortType, Self.number(5), to: &bytes)
            for start in stride(from: 0, to: packet.count, by: Packet.maximumValueLength) {
                Self.append(.eapMessage, packet[start..<min(start + Packet.maximumValueLength, packet.count)], to: &bytes)
            }
        }
        Self.append(.nasIdentifier, Self.nasIdentifier[...], to: &bytes)
        if let state { Self.append(.state, state, to: &bytes) }
        if let proxyState { Self.append(.proxyState, proxyState, to: &bytes) }
        Self.setLength(ofPacketAt: start, in: &bytes)
        let code = hmac(bytes.span.extracting(start..<bytes.count))
        for index in 0..<16 { bytes[start + 22 + index] = code[index] }
        if isForged { bytes[start + 37] ^= 1 }
    }

    /// Appends an Accounting-Request.
    ///
    /// - Returns: its Request Authenticator, which is made of all the rest (RFC 2866 §3).
    func write(_ record: BenchRecord, identifier: UInt8, name: [UInt8], to bytes: inout [UInt8]) -> Authenticator {
        let start = bytes.count
        bytes.append(Code.accountingRequest.rawValue)
        bytes.append(identifier)
        for _ in 0..<18 { bytes.append(0) }
        Self.append(.userName, name[...], to: &bytes)
        Self.append(.nasIdentifier, Self.nasIdentifier[...], to: &bytes)
        record.appendAttributes(to: &bytes)
        Self.setLength(ofPacketAt: start, in: &bytes)
        var digest = MD5()
        digest.update(bytes.span.extracting(start..<bytes.count))
        digest.update(secret)
        let code = digest.finish()
        for index in 0..<16 { bytes[start + 4 + index] = code[index] }
        return Self.authenticator(bytes, at: start + 4)
    }

    private func hmac(_ message: borrowing Swift.Span<UInt8>) -> MD5.Digest {
        var digest = inner
        digest.update(message)
        var end = outer
        end.update(digest.finish())
        return end.finish()
    }

    /// RFC 2865 §5.2.
    private func appendHidden(_ password: [UInt8], _ authenticator: Authenticator, to bytes: inout [UInt8]) {
        let blocks = max(1, (password.count + 15) / 16)
        bytes.append(AttributeType.userPassword.rawValue)
        bytes.append(UInt8(2 + 16 * blocks))
        var previous = authenticator
        for block in 0..<blocks {
            var digest = prefix
            digest.update(previous)
            let stream = digest.finish()
            let start = bytes.count
            for index in 0..<16 {
                let position = 16 * block + index
                bytes.append((position < password.count ? password[position] : 0) ^ stream[index])
            }
            if block + 1 < blocks { previous = Self.authenticator(bytes, at: start) }
        }
    }

    static func append(_ type: AttributeType, _ value: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(type.rawValue)
        bytes.append(UInt8(value.count + 2))
        bytes.append(contentsOf: value)
    }

    private static func number(_ value: UInt32) -> ArraySlice<UInt8> {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }[...]
    }

    /// RFC 2548 §2.
    private static func appendMicrosoft(_ type: UInt8, _ value: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(AttributeType.vendorSpecific.rawValue)
        bytes.append(UInt8(value.count + 8))
        bytes.append(contentsOf: microsoft)
        bytes.append(type)
        bytes.append(UInt8(value.count + 2))
        bytes.append(contentsOf: value)
    }

    private static let microsoft = (0..<4).map { UInt8(truncatingIfNeeded: MicrosoftAttribute.vendor >> UInt32(24 - 8 * $0)) }

    private static func setLength(ofPacketAt start: Int, in bytes: inout [UInt8]) {
        let length = bytes.count - start
        bytes[start + 2] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[start + 3] = UInt8(truncatingIfNeeded: length)
    }

    private static func append(_ authenticator: Authenticator, to bytes: inout [UInt8]) {
        for index in 0..<16 { bytes.append(authenticator[index]) }
    }

    static func authenticator(_ bytes: [UInt8], at offset: Int) -> Authenticator {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<8 {
            high = high << 8 | UInt64(bytes[offset + index])
            low = low << 8 | UInt64(bytes[offset + 8 + index])
        }
        return Authenticator(high: high, low: low)
    }

    // MARK: Replies

    /// The Response Authenticator, which covers every byte of a reply.
    static func authenticator(of reply: UnsafeBufferPointer<UInt8>) -> Authenticator {
        authenticator(Array(reply[0..<Packet.minimumLength]), at: 4)
    }

    enum Verdict: Equatable {
        case genuine(code: UInt8, state: [UInt8]?)
        case malformed
        case wrongResponseAuthenticator
        case missingMessageAuthenticator
        case wrongMessageAuthenticator
    }

    /// Whether a reply that was found genuine carries the server's own proof that it knows the password (RFC 2759 §5).
    static func isProof(_ reply: UnsafeBufferPointer<UInt8>, of response: MSCHAPv2Response, _ hash: NTHash) -> Bool {
        guard let packet = try? Packet(decoding: Array(reply)),
            let success = packet.first(vendor: MicrosoftAttribute.vendor, type: MicrosoftAttribute.chap2Success)
        else { return false }
        return response.isSuccess(packet.value(of: success), hash)
    }

    /// The first Proxy-State of a reply; RFC 2865 §5.33 has the server send it back as it was.
    static func proxyState(in reply: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        var offset = Packet.minimumLength
        while offset + 2 <= reply.count, reply[offset + 1] >= 2, offset + Int(reply[offset + 1]) <= reply.count {
            let size = Int(reply[offset + 1])
            if reply[offset] == AttributeType.proxyState.rawValue {
                return UnsafeBufferPointer(rebasing: reply[offset + 2..<offset + size])
            }
            offset += size
        }
        return nil
    }

    /// Checks Response Authenticator (RFC 2865 §3) and Message-Authenticator (RFC 3579 §3.2) of the reply to a request.
    mutating func check(
        _ reply: UnsafeBufferPointer<UInt8>, to request: Authenticator, requiringMessageAuthenticator: Bool
    ) -> Verdict {
        guard reply.count >= Packet.minimumLength else { return .malformed }
        let length = Int(reply[2]) << 8 | Int(reply[3])
        guard length >= Packet.minimumLength, length <= reply.count else { return .malformed }
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: reply[0..<length])
        let responder = Self.authenticator(scratch, at: 4)
        for index in 0..<16 { scratch[4 + index] = request[index] }
        var digest = MD5()
        digest.update(scratch)
        digest.update(secret)
        guard digest.finish() == responder else { return .wrongResponseAuthenticator }
        var signature: Int?
        var state: [UInt8]?
        var offset = Packet.minimumLength
        while offset < length {
            guard offset + 2 <= length, scratch[offset + 1] >= 2, offset + Int(scratch[offset + 1]) <= length else { return .malformed }
            let size = Int(scratch[offset + 1])
            if scratch[offset] == AttributeType.messageAuthenticator.rawValue, size == 18 { signature = offset + 2 }
            if scratch[offset] == AttributeType.state.rawValue { state = Array(scratch[offset + 2..<offset + size]) }
            offset += size
        }
        guard let signature else {
            return requiringMessageAuthenticator ? .missingMessageAuthenticator : .genuine(code: scratch[0], state: state)
        }
        let told = Self.authenticator(scratch, at: signature)
        for index in 0..<16 { scratch[signature + index] = 0 }
        return hmac(scratch.span) == told ? .genuine(code: scratch[0], state: state) : .wrongMessageAuthenticator
    }
}
