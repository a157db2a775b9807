// SPDX-License-Identifier: Apache-2.0
// Hostile devices: whole conversations of packets and verdicts. `scripts/fuzz FuzzEAP` builds and runs it.

import EAP

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzEAP_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The first byte chooses what is offered. Then pieces of a kind, a length and so many bytes: a packet as it stands, or what stands
/// behind the type in a packet that is right otherwise, so that the methods are reached.
func probe(_ input: [UInt8]) {
    probePeer(input)
    if let packet = try? EAPPacket(input[...]) {
        guard let again = try? EAPPacket(packet.bytes[...]) else { fatalError("what is written can be read") }
        precondition(again == packet, "decode(encode(packet)) == packet")
    }
    guard let choice = input.first else { return }
    let challenge = [UInt8](repeating: 0x5A, count: 16)
    let all: [any EAPMethod] = [
        GTCMethod(), MSCHAPv2Method(challenge: challenge, renewal: challenge, server: "fuzz"), MD5Method(challenge: challenge),
    ]
    let start = Int(choice % 3)
    var machine = EAPAuthenticator(methods: Array(all[start...] + all[..<start]).dropLast(Int(choice >> 6)))
    var isAccepted = false
    var rest = input.dropFirst()
    while let kind = rest.popFirst(), let length = rest.popFirst() {
        let piece = Array(rest.prefix(Int(length)))
        rest = rest.dropFirst(piece.count)
        let step: EAPAuthenticator.Step
        switch kind % 8 {
        case 0:
            step = machine.take(piece[...])
        case 1:
            step = machine.start(identifier: length)
        case 2, 3, 4:
            let type = machine.methodType ?? .identity
            let identifier = machine.lastRequest.count > 1 ? machine.lastRequest[1] : 0
            step = machine.take(EAPPacket(.response, identifier: identifier, type: type, data: piece).bytes[...])
        case 5:
            let grant = MSCHAPv2Grant(success: piece, receive: EAPSecret(challenge), send: EAPSecret(challenge))
            isAccepted = isAccepted || machine.state == .methodResponse
            step = machine.take(verdict: .accept(length.isMultiple(of: 2) ? grant : nil))
        case 6:
            let text = String(decoding: piece, as: UTF8.self)
            step = machine.take(verdict: length.isMultiple(of: 3) ? .expired(message: text) : .challenge(prompt: text))
        default:
            step = machine.take(verdict: .reject(message: length == 0 ? nil : String(decoding: piece, as: UTF8.self)))
        }
        check(step, machine, isAccepted)
    }
}

func check(_ step: EAPAuthenticator.Step, _ machine: EAPAuthenticator, _ isAccepted: Bool) {
    precondition(machine.keptBytes < 80_000)
    switch step {
    case .send(let bytes):
        guard let packet = try? EAPPacket(bytes[...]) else { fatalError("what is sent can be read") }
        precondition(packet.code == .request && bytes == machine.lastRequest && machine.state == .idle)
    case .ask:
        precondition(machine.state == .methodResponse)
    case .success(let bytes, _):
        precondition(bytes.count == 4 && bytes[0] == 3 && machine.state == .success)
        precondition(isAccepted, "nobody is let in whom the application did not accept")
    case .failure(let bytes, let reason):
        precondition(bytes.count == 4 && bytes[0] == 4 && machine.state == .failure && !reason.description.isEmpty)
    case .discard:
        break
    }
}

/// A hostile server in front of the device's side: whole packets, and what stands behind the type of its method.
func probePeer(_ input: [UInt8]) {
    guard let choice = input.first else { return }
    let name = Array("alice".utf8)
    let methods: [any EAPPeerMethod] = [GTCPeer(), MSCHAPv2Peer(name: name), MD5Peer(name: name)]
    let method = methods[Int(choice % 3)]
    var peer = EAPPeer(identity: name, method: method)
    var hasAnswered = false
    var rest = input.dropFirst()
    while let kind = rest.popFirst(), let length = rest.popFirst() {
        let piece = Array(rest.prefix(Int(length)))
        rest = rest.dropFirst(piece.count)
        let packet = kind & 1 == 0 ? piece : EAPPacket(.request, identifier: kind, type: method.type, data: piece).bytes
        var step = peer.take(packet[...])
        if case .ask(let question) = step {
            hasAnswered = true
            step = peer.take(answer: answer(question))
        }
        switch step {
        case .send(let bytes):
            guard let packet = try? EAPPacket(bytes[...]) else { fatalError("what is sent can be read") }
            precondition(packet.code == .response)
        case .ask: preconditionFailure("an answer is no question")
        case .success: precondition(hasAnswered, "a success before the method was done is nobody's")
        case .failure(let fault): precondition(!fault.description.isEmpty)
        case .ignore: break
        }
    }
}

func answer(_ question: PeerQuestion) -> PeerAnswer {
    let bytes = [UInt8](repeating: 0x5A, count: 16)
    switch question {
    case .password, .text: return .text(EAPSecret(bytes))
    case .chap: return .chap(bytes)
    case .msCHAPv2:
        let grant = MSCHAPv2Grant(success: Array("S=5A".utf8), receive: EAPSecret(bytes), send: EAPSecret(bytes))
        return .msCHAPv2(MSCHAPv2Proof(challenge: bytes, response: bytes + bytes.prefix(8), expected: grant))
    }
}
