// SPDX-License-Identifier: Apache-2.0
// Access-Request → LoginRequest: who asks, who logs in, with what proof (RFC 2865 §4.1).

import LoginEngine
import RADIUS

/// What an Access-Request, already checked to be genuine as far as that can be told, asks.
struct AccessRequest {
    let login: LoginRequest
    /// The password came out as bytes that nobody types, and no Message-Authenticator proves that the secret is the same.
    let secretLooksWrong: Bool

    /// - Returns: nil for a request with nothing to judge: no password, no State, no EAP (RFC 2865 §4.1, RFC 3579 §3.3).
    ///
    /// - Parameter connection: where the packet is of RADIUS/1.1.
    init?(_ packet: Packet, of entry: ClientEntry, from source: NetworkAddress, connection: UInt64 = 0) {
        let charset = entry.client.settings.charset
        guard let (proof, secretLooksWrong) = Self.proof(packet, secret: entry.secret, in: charset) else { return nil }
        let (name, nameProblem) = Self.name(packet, in: charset)
        self.secretLooksWrong = secretLooksWrong
        login = LoginRequest(
            door: .radius, client: entry.client, name: name, proof: nameProblem.map { .unsupported($0) } ?? proof,
            handle: packet.octets(.state).map { String(decoding: $0, as: UTF8.self) }, packet, from: source, connection: connection)
    }

    /// A round of EAP in which something is to be judged.
    ///
    /// - Parameters:
    ///   - name: the identity of the conversation; nil where there is none yet, and User-Name stands for it.
    ///   - handle: that of the engine, never what stands in the packet: its State is the conversation's.
    init(
        _ packet: Packet, of entry: ClientEntry, from source: NetworkAddress, connection: UInt64, name: ArraySlice<UInt8>?,
        proof: PasswordProof, handle: String? = nil
    ) {
        let charset = entry.client.settings.charset
        let (text, problem) = name.map { Self.name($0, in: charset) } ?? Self.name(packet, in: charset)
        login = LoginRequest(
            door: .radius, client: entry.client, name: text, proof: problem.map { .unsupported($0) } ?? proof, handle: handle,
            packet, from: source, connection: connection)
        secretLooksWrong = false
    }

    /// RFC 2865 §5.1 asks for User-Name only where it is available, so a request without one is no malformed packet: it is
    /// answered with a reject that the trail explains, because silence would make the gateway try every server it has.
    /// The same goes for a name that is no text in the client's character set.
    private static func name(_ packet: Packet, in charset: Charset) -> (name: String, problem: String?) {
        guard let attribute = packet.first(.userName) else { return ("", "no User-Name") }
        return name(packet.value(of: attribute), in: charset)
    }

    private static func name(_ bytes: ArraySlice<UInt8>, in charset: Charset) -> (name: String, problem: String?) {
        if let name = charset.text(bytes) { return (name, nil) }
        return (String(decoding: bytes, as: UTF8.self), charset == .utf8 ? nameNotUTF8 : "User-Name that is no text")
    }

    private static func proof(_ packet: Packet, secret: SharedSecret, in charset: Charset) -> (PasswordProof, secretLooksWrong: Bool)? {
        if packet.contains(.eapMessage) { return (.unsupported("EAP"), false) }
        if packet.contains(.chapPassword) || packet.contains(.vendorSpecific) {
            do throws(PasswordProofError) {
                if let hashed = try packet.hashedPassword() { return (.hashed(hashed.proof(in: charset)), false) }
            } catch {
                return (.unsupported(error.description), false)
            }
        }
        if packet.contains(.userPassword) {
            guard let password = try? packet.password(secret: secret) else { return nil }
            // No user typed this: judging it would cost a hash and count as a wrong password, up to the lock.
            if packet.version == .historic, !packet.contains(.messageAuthenticator), !looksTyped(password, in: charset) {
                return (.unsupported(hiddenByAnother), true)
            }
            return (.plaintext(Secret(charset.utf8(password))), false)
        }
        // RFC 2865 §4.1 lets State stand alone: an answer to a challenge in which nothing was typed.
        return packet.contains(.state) ? (.plaintext(Secret([])), false) : nil
    }

    /// As it stands in the steps of the trail.
    static let hiddenByAnother = "password that another shared secret hid"
    static let nameNotUTF8 = "User-Name that is not UTF-8"

    /// Bytes unhidden with another secret are random: hardly ever UTF-8 without control characters. In Latin-1 one in twelve passes for text.
    static func looksTyped(_ password: [UInt8], in charset: Charset = .utf8) -> Bool {
        guard !password.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return false }
        return charset.text(password[...]) != nil
    }

    /// Nil when it cannot be compared safely: a station only ever adds strictness, so none is the safe reading.
    fileprivate static func callingStation(_ packet: Packet) -> String? {
        guard let attribute = packet.first(.callingStationID) else { return nil }
        return station(packet.value(of: attribute))
    }

    static func station(_ bytes: ArraySlice<UInt8>) -> String? {
        guard let text = String(utf8: withoutPort(bytes)) else { return nil }
        let trimmed = text.utf8.first == 0x20 || text.utf8.last == 0x20 ? text.trimmingBlanks() : text
        guard !trimmed.isEmpty, !trimmed.hasControls else { return nil }
        return trimmed
    }

    /// strongSwan writes `192.0.2.7[4500]`; the port changes with every retry behind NAT and says nothing about the user.
    private static func withoutPort(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard bytes.last == UInt8(ascii: "]"), let open = bytes.lastIndex(of: UInt8(ascii: "[")) else { return bytes }
        let port = bytes[(open + 1)...].dropLast()
        let isPort = (1...5).contains(port.count) && port.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return isPort ? bytes[..<open] : bytes
    }

    /// NAS-Port and Acct-Session-Id as one text that no other pair has: what follows the digits says how the rest is written.
    fileprivate static func gatewaySession(_ packet: Packet) -> String? {
        let port = packet.integer(.nasPort)
        let session = packet.first(.acctSessionID)
        guard port != nil || session != nil else { return nil }
        let portText = port.map { String($0) } ?? ""
        guard let session else { return portText }
        let bytes = packet.value(of: session)
        if let text = String(utf8: bytes) { return "\(portText)/\(text)" }
        return "\(portText)#" + bytes.map { String($0, radix: 16) }.joined(separator: ".")
    }
}

extension LoginRequest {
    /// With what the packet says of where it comes from.
    fileprivate init(
        door: LoginEngine.Door, client: Client, name: String, proof: PasswordProof, handle: String?, _ packet: Packet,
        from source: NetworkAddress, connection: UInt64
    ) {
        self.init(
            door: door, client: client, name: name, proof: proof, handle: handle, callingStation: AccessRequest.callingStation(packet),
            gatewaySession: AccessRequest.gatewaySession(packet), source: source,
            fingerprint: packet.version == .historic
                ? Fingerprint(ofDatagram: packet.bytes) : Fingerprint(ofPacket: packet.bytes, connection: connection))
        namesSession = packet.contains(.acctSessionID)
    }
}

extension String {
    /// Nil when the bytes are not UTF-8. Plain ASCII, which nearly everything is, takes the short way.
    fileprivate init?(utf8 bytes: ArraySlice<UInt8>) {
        if bytes.allSatisfy({ $0 < 0x80 }) {
            self.init(decoding: bytes, as: UTF8.self)
        } else {
            self.init(validating: bytes, as: UTF8.self)
        }
    }

    /// Whether there is a control character of C0 or C1.
    fileprivate var hasControls: Bool {
        if utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return true }
        return utf8.contains(0xC2) && unicodeScalars.contains { (0x80...0x9F).contains($0.value) }
    }

    fileprivate func trimmingBlanks() -> String {
        var rest = self[...]
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}
