// SPDX-License-Identifier: Apache-2.0
// Hostile CHAP and MS-CHAP: the attributes of a request, changes of password, errors, hidden keys. `scripts/fuzz FuzzPasswordProof`.

import RADIUS

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzPasswordProof_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The input is what stands behind the header of an Access-Request.
func probe(_ attributes: [UInt8]) {
    guard let hash = NTHash(password: Array("clientPass".utf8)), let secret = SharedSecret("fuzz") else { return }
    if let error = MSCHAPError(attributes[...]) {
        precondition(error.value(identifier: 1).count <= 247, "an error fits its attribute")
    }
    if let key = SaltedKey.reveal(attributes[...], authenticator: .zero, secret: secret) {
        precondition(key.count < attributes.count, "a key is shorter than what hid it")
    }
    let length = 20 + attributes.count
    guard length <= 4096 else { return }
    let header: [UInt8] = [1, 1, UInt8(length >> 8), UInt8(length & 255)] + Authenticator.zero.bytes
    guard let packet = try? Packet(decoding: header + attributes) else { return }
    let proof: HashedPassword?
    do throws(PasswordProofError) {
        proof = try packet.hashedPassword()
    } catch {
        precondition(!error.description.isEmpty)
        return
    }
    switch proof {
    case nil:
        break
    case .chap(let chap):
        precondition(chap.bytes == packet.octets(.chapPassword), "CHAP-Password is written as it was read")
        _ = chap.matches(password: Array("clientPass".utf8))
    case .msCHAP(let response):
        precondition(response.bytes.suffix(24) == response.response.bytes[...])
        _ = response.matches(hash)
    case .msCHAPv2(let response):
        let again = try? MSCHAPv2Response(challenge: response.challenge.bytes[...], value: response.bytes[...], userName: [])
        precondition(again?.response == response.response && again?.peerChallenge == response.peerChallenge, "what is written can be read")
        precondition(response.isSuccess(response.successValue(hash)[...], hash), "a success is recognised")
    case .change(let change):
        precondition(change.pieces.reduce(0) { $0 + $1.count - 4 } == MSCHAPPasswordChange.blockLength)
        if let found = change.newPassword(old: hash) {
            precondition(NTHash(password: found.password) == found.hash, "a new password has its hash")
        }
    }
}
