// SPDX-License-Identifier: Apache-2.0
// Hostile handles, sealed values and lines of the trail. `scripts/fuzz FuzzHandle` builds and runs it.

import LoginEngine
import Store

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzHandle_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The same on every run, so that a find can be replayed.
let keys: [UInt32: MasterKey] = MasterKey(Secret([UInt8](repeating: 7, count: 32))).map { [1: $0] } ?? [:]
let handles = KeyedHandles(keys: keys, current: 1)
let sealing = Sealing(keys: keys, current: 1)

/// Crashes when something that the store promises of hostile bytes does not hold.
func probe(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let handle = handles.open(text) { precondition(handles.text(of: handle) == text, "a handle has one text") }
    let place = SealedPlace(table: "factor", row: 1, column: "secret")
    if let secret = try? sealing.open(bytes, at: place) {
        precondition(secret.count + Sealing.overhead == bytes.count, "a sealed value is as long as what it holds")
        let elsewhere = SealedPlace(table: "factor", row: 2, column: "secret")
        precondition((try? sealing.open(bytes, at: elsewhere)) == nil, "a sealed value opens in one place")
    }
    if let line = try? EventCodec.decode(bytes[...]) {
        let again = EventCodec.encode(line.event, seq: line.seq, subject: line.subjectCommitment, actor: line.actorCommitment)
        precondition(again == bytes, "an event has one encoding")
    }
    if let fields = try? EventCodec.decodeFields(bytes[...]) {
        precondition(EventCodec.encode(fields) == bytes, "personal fields have one encoding")
    }
    if let entries = try? PersonalCodec.decode(bytes[...], first: 1) {
        precondition(PersonalCodec.encode(entries, first: 1) == bytes, "personal entries have one encoding")
    }
}
