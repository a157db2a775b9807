// SPDX-License-Identifier: Apache-2.0
// Hostile attributes: decode, print, encode, decode again. `scripts/fuzz FuzzAttributes` builds and runs it.

import RADIUS

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzAttributes_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        let bytes = Array(UnsafeBufferPointer(start: bytes, count: count))
        // No packet holds more.
        guard bytes.count <= Packet.maximumLength else { return 0 }
        probe(bytes, key: nil)
        probe(bytes, key: SharedSecret("fuzz").map { AttributeKey(secret: $0, authenticator: Authenticator(high: 1, low: 2)) })
        return 0
    }
}

/// Crashes when what was read is written as something that reads differently.
func probe(_ bytes: [UInt8], key: AttributeKey?) {
    let dictionary = AttributeDictionary.builtIn
    guard let decoded = try? dictionary.decode(attributes: bytes, key: key) else { return }
    for attribute in decoded {
        readText(attribute, dictionary)
        precondition(attribute.tag.map { (1...31).contains($0) } ?? true)
        if attribute.form != .plain, case .octets = attribute.value { continue }
        precondition(attribute.form == .plain, "what is not plain is octets")
    }
    let again: [UInt8]
    do throws(AttributeError) {
        again = try dictionary.encode(decoded, key: key)
    } catch {
        // Only what came in fragments can be revealed to more than can be hidden again.
        guard case .valueTooLong = error else { preconditionFailure("what was read can be written: \(error)") }
        return
    }
    guard let second = try? dictionary.decode(attributes: again, key: key) else { preconditionFailure("what is written can be read") }
    precondition(second == decoded, "decode(encode(decode(bytes))) == decode(bytes)")
}

/// The text of a value is read as the same value.
func readText(_ attribute: DecodedAttribute, _ dictionary: AttributeDictionary) {
    let text = dictionary.text(of: attribute)
    if case .nested(let members) = attribute.value {
        for member in members { readText(member, dictionary) }
        return
    }
    guard attribute.form == .plain, let definition = dictionary[attribute.oid] else { return }
    guard let value = try? dictionary.value(text, for: definition) else { preconditionFailure("\(definition.name) can be read: \(text)") }
    precondition(value == attribute.value, "value(text(value)) == value")
}
