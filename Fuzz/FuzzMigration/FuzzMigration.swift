// SPDX-License-Identifier: Apache-2.0
// Hostile files of other products. `scripts/fuzz FuzzMigration` builds and runs it.

import LoginEngine
import Migration

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzMigration_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The first byte says which kind the rest is a file of. Crashes when something that the readers promise does not hold.
func probe(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let kind = MigrationKind.allCases[Int(first) % MigrationKind.allCases.count]
    var options = MigrationOptions()
    options.key = Secret(utf8: first & 0x40 == 0 ? "12345678901234567890123456789012" : "qwerty")
    options.tokenKind = first & 0x80 == 0 ? nil : .totp
    let file = ForeignFile(name: "home/alice/.google_authenticator", bytes: Array(bytes.dropFirst()))
    guard let draft = try? MigrationDraft.read(kind, [file], options) else { return }
    for line in draft.reportLines { precondition(!line.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a line of the report is one line") }
    for file in draft.files(in: "/f") where file.name == MigrationDraft.applyFile {
        precondition(file.contents.reveal { $0.allSatisfy { $0 == 0x0A || (0x20...0x7E).contains($0) } }, "the apply file is plain ASCII")
    }
    let names = draft.files(in: "/f").map(\.name)
    precondition(Set(names).count == names.count, "each secret has a file of its own")
    precondition(names.allSatisfy { !$0.split(separator: "/").contains("..") }, "files stay below the folder")
}
