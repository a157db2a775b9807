// SPDX-License-Identifier: Apache-2.0
// Dictionary files that nobody wrote. `scripts/fuzz FuzzDictionary` builds and runs it.

import RADIUS

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzDictionary_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self))
        return 0
    }
}

/// Crashes when a mistake has no line, or what was read has no place.
func probe(_ text: String) {
    var dictionary = AttributeDictionary.builtIn
    let before = dictionary.all.count
    do throws(DictionaryError) {
        try dictionary.read(text, named: "fuzz") { name in name == "self" ? text : nil }
    } catch {
        // By bytes: a word may begin with a mark that joins the blank before it.
        precondition(error.line >= 1 && error.description.utf8.starts(with: "\(error.file):\(error.line): ".utf8))
        precondition(dictionary.all.count == before, "a mistake changes nothing")
        return
    }
    for definition in dictionary.all[before...] {
        precondition(dictionary[name: definition.name]?.oid == definition.oid)
        guard definition.kind == .octets, !definition.isTagged, definition.hiding == nil, definition.oid.numbers.count < 4 else { continue }
        let value = [UInt8](repeating: 7, count: definition.fixedLength ?? 5)
        guard let bytes = try? dictionary.encode(DecodedAttribute(definition.oid, .octets(value))) else { continue }
        guard let decoded = try? dictionary.decode(attributes: bytes) else { preconditionFailure("what is written can be read") }
        precondition(decoded.count == 1 && decoded[0].form == .plain)
    }
}
