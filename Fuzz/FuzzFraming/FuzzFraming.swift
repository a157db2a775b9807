// SPDX-License-Identifier: Apache-2.0
// A hostile stream of a TLS connection: cut into packets however it arrives, each read in both versions. `scripts/fuzz FuzzFraming` builds and runs it.

import RADIUS
import RADIUSDoor

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzFraming_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// What a stream comes to.
struct Cut: Equatable {
    var packets: [[UInt8]] = []
    var error: PacketError?
    /// Bytes that wait for more.
    var left = 0

    /// - Parameter sizes: of the pieces, over and over.
    init(_ stream: ArraySlice<UInt8>, sizes: [Int]) {
        var framing = PacketFraming()
        var rest = stream
        var turn = 0
        while true {
            do throws(PacketError) {
                while let packet = try framing.next() { packets.append(packet) }
            } catch {
                self.error = error
                // Whoever goes on all the same is told the same.
                precondition((try? framing.next()) == nil, "a broken stream yields nothing more")
                break
            }
            guard !rest.isEmpty else { break }
            let piece = rest.prefix(sizes[turn % sizes.count])
            turn += 1
            rest = rest.dropFirst(piece.count)
            piece.withUnsafeBytes { framing.append($0) }
            precondition(framing.count <= stream.count, "nothing is kept twice")
        }
        left = framing.count
    }
}

/// The first byte says in which pieces the others arrive. Crashes when something the framing promises does not hold.
func probe(_ input: [UInt8]) {
    guard let first = input.first else { return }
    let stream = input.dropFirst()
    let whole = Cut(stream, sizes: [max(1, stream.count)])
    let pieces = Cut(stream, sizes: [Int(first & 15) + 1, Int(first >> 4) * 37 + 1])
    precondition(whole.packets == pieces.packets && whole.error == pieces.error, "pieces make no difference")
    precondition(
        Array(whole.packets.joined()) == Array(stream.prefix(whole.packets.reduce(0) { $0 + $1.count })), "nothing is lost or made up")
    if whole.error == nil {
        precondition(whole == pieces && whole.packets.reduce(whole.left) { $0 + $1.count } == stream.count, "what is left waits")
        precondition(whole.left < Packet.maximumLength, "a whole packet does not wait")
    }
    for bytes in whole.packets {
        precondition((Packet.minimumLength...Packet.maximumLength).contains(bytes.count))
        precondition(Int(bytes[2]) << 8 | Int(bytes[3]) == bytes.count, "a packet is as long as it says")
        for version in RADIUSVersion.allCases { read(bytes, version) }
    }
}

func read(_ bytes: [UInt8], _ version: RADIUSVersion) {
    guard let secret = SharedSecret("radsec") else { fatalError("a word is a secret") }
    guard let packet = try? Packet(decoding: bytes, version: version) else { return }
    precondition(packet.bytes == bytes && packet.version == version, "a cut packet has no padding")
    if version == .tokens {
        precondition(packet.token == bytes[4..<8].reduce(0) { $0 << 8 | UInt32($1) }, "the token is where RFC 9765 §4.1 has it")
    }
    var writer = PacketWriter(reply: .accessReject, to: packet)
    writer.copyProxyState(from: packet)
    guard let reply = try? writer.sign(with: secret) else { return }
    guard let answer = try? Packet(decoding: reply, version: version) else { fatalError("what is written can be read") }
    precondition(answer.verifyReply(to: packet, secret: secret, requiringMessageAuthenticator: version == .historic) == .genuine)
    if version == .tokens {
        precondition(answer.token == packet.token && reply[1] == 0 && reply[8..<20].allSatisfy { $0 == 0 }, "reserved octets are zero")
    }
}
