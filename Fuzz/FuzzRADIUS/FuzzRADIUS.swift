// SPDX-License-Identifier: Apache-2.0
// Hostile datagrams: decode, read every way there is, encode again. `scripts/fuzz FuzzRADIUS` builds and runs it.

import RADIUS

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzRADIUS_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// Crashes when something a packet promises does not hold.
func probe(_ datagram: [UInt8]) {
    guard let secret = SharedSecret("fuzz") else { fatalError("a secret of four bytes is a secret") }
    let packet: Packet
    do throws(PacketError) {
        packet = try Packet(decoding: datagram)
    } catch {
        precondition(!error.cause.isEmpty && error.description.hasSuffix("."))
        precondition((try? Packet(decoding: datagram.span)) == nil, "both ways to decode agree")
        return
    }
    precondition((try? Packet(decoding: datagram.span)) == packet, "both ways to decode agree")
    let again = packet.reencoded()
    precondition(again == packet.bytes, "encode(decode(bytes)) == bytes")
    precondition((try? Packet(decoding: again)) == packet, "decode(encode(packet)) == packet")

    for attribute in packet.attributes {
        precondition(packet.contains(attribute.type) && packet.first(attribute.type) != nil)
        _ = try? packet.text(of: attribute)
        _ = packet.integer(attribute.type)
        _ = packet.ipv6(attribute.type)
        _ = packet.joined(attribute.type)
    }
    for attribute in packet.vendorAttributes {
        precondition(packet.value(of: attribute).count <= 247)
        _ = try? packet.text(of: attribute)
        _ = packet.integer(of: attribute)
    }
    if let password = try? packet.password(secret: secret) {
        precondition(password.count <= HiddenPassword.maximumLength && password.last != 0)
    } else {
        precondition(!packet.contains(.userPassword), "a decoded User-Password can be revealed")
    }
    _ = BlastRADIUSVerdict.judge(RequestFacts(packet, secret: secret), mode: .auto(pinned: false))
    _ = packet.hasValidRequestAuthenticator(secret: secret)
    _ = packet.verifyReply(to: packet, secret: secret)
    answer(packet, secret)
}

/// A reply with the request's attributes is genuine, or refused for its length, its count or what may occur once.
func answer(_ packet: Packet, _ secret: SharedSecret) {
    var writer = PacketWriter(reply: .accessChallenge, to: packet)
    for attribute in packet.attributes where attribute.type != .messageAuthenticator {
        writer.add(attribute.type, packet.value(of: attribute))
    }
    writer.copyProxyState(from: packet)
    guard let bytes = try? writer.sign(with: secret) else { return }
    guard let reply = try? Packet(decoding: bytes) else { fatalError("what is written can be read") }
    precondition(reply.verifyReply(to: packet, secret: secret) == .genuine)
}
