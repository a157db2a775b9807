// SPDX-License-Identifier: Apache-2.0
// Hostile devices in front of EAP-TLS, TTLS and PEAP: fragments, flights, AVPs, TLVs. `scripts/fuzz FuzzTunnel` builds and runs it.

import EAP
import TLS

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzTunnel_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The first byte chooses the reader.
func probe(_ input: [UInt8]) {
    guard let choice = input.first else { return }
    let rest = input.dropFirst()
    switch choice & 3 {
    case 0: probeFragments(packets(rest))
    case 1: probePairs(rest)
    case 2: probeExtensions(rest)
    default: choice & 4 == 0 ? probeMethod(packets(rest)) : probePeer(packets(rest))
    }
}

/// Each with a byte of its length in front.
func packets(_ bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    var found: [ArraySlice<UInt8>] = []
    var rest = bytes
    while let length = rest.popFirst() {
        found.append(rest.prefix(Int(length)))
        rest = rest.dropFirst(Int(length))
    }
    return found
}

func probeFragments(_ packets: [ArraySlice<UInt8>]) {
    var assembly = FragmentAssembly()
    for packet in packets {
        do throws(FragmentError) {
            switch try assembly.take(packet) {
            case .message(let bytes): precondition(!bytes.isEmpty && assembly.bytes.isEmpty, "a message is given once")
            case .more: precondition(assembly.bytes.count < FragmentAssembly.longestMessage, "more may come")
            case .acknowledgement: precondition(assembly.bytes.isEmpty, "nothing is between messages")
            }
        } catch {
            precondition(!error.words.isEmpty)
            return
        }
    }
}

func probePairs(_ bytes: ArraySlice<UInt8>) {
    do throws(TunnelAVPError) {
        let pairs = try TunnelAVP.decode(bytes)
        precondition(pairs.count <= TunnelAVP.maximumCount)
        precondition(pairs.reduce(0) { $0 + $1.value.count } <= bytes.count, "no byte is read twice")
        let again = try TunnelAVP.decode(TunnelAVP.encode(pairs)[...])
        precondition(again == pairs, "what is written can be read")
    } catch {
        precondition(!error.words.isEmpty)
    }
}

func probeExtensions(_ bytes: ArraySlice<UInt8>) {
    do throws(PEAPExtensionsError) {
        let found = try PEAPExtensions(bytes)
        let again = try PEAPExtensions(found.bytes[...])
        precondition(again == found, "what is written can be read")
    } catch {
        precondition(!error.words.isEmpty)
    }
}

/// A server without a certificate: it gets as far as the first flight.
func probeMethod(_ packets: [ArraySlice<UInt8>]) {
    var settings = TLSSettings()
    settings.peerCertificate = .none
    guard let context = try? TLSContext(.server, settings), var method = try? TTLSMethod(context: context, now: 0) else { return }
    _ = method.begin(identifier: 0)
    for packet in packets {
        switch method.take(response: packet) {
        case .request(let data): precondition(!data.isEmpty, "every packet has its flags")
        case .failure(let reason):
            precondition(!reason.description.isEmpty)
            return
        case .ask, .success, .ignore: preconditionFailure("nobody gets in without a handshake")
        }
    }
}

/// A server in front of a device: nothing that is asked for is told before the handshake is done.
func probePeer(_ packets: [ArraySlice<UInt8>]) {
    guard let context = try? TLSContext(.client(), TLSSettings()),
        var peer = try? TTLSPeer(context: context, name: [97], inner: .pap, packet: 300)
    else { return }
    for packet in packets {
        switch peer.take(request: packet, identifier: 0) {
        case .response(let data): precondition(!data.isEmpty && data.count < 300, "every packet has its flags, and no more than fits")
        case .failure(let fault):
            precondition(!fault.description.isEmpty)
            return
        case .ask: preconditionFailure("nothing is told without a handshake")
        }
        if case .done = peer.outcome { preconditionFailure("nothing is done without a handshake") }
    }
}
