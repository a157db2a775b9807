// SPDX-License-Identifier: Apache-2.0
// Hostile backups: the file, what is sealed in it, and each item of that. `scripts/fuzz FuzzBackup` builds and runs it.

import Glibc
import LoginEngine
import Store

@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// SwiftPM renames an executable's `main` to this, so libFuzzer's own `main` is not there to call us.
@_cdecl("FuzzBackup_main")
public func start(argc: CInt, argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var argc = argc
    var argv = argv
    return runFuzzer(&argc, &argv) { bytes, count in
        probe(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    }
}

/// The same on every run, so that a find can be replayed.
let keys = MasterKey(Secret([UInt8](repeating: 7, count: 32))).map { [$0] } ?? []
/// A passphrase costs nothing here: what argon2id does with it is not what is asked.
let passphrase = BackupPassphrase(Secret(utf8: "four words or more")) { secret, _, _ in secret }
let magic = Array("SALLYPORT BACKUP\n".utf8)
/// Without a name: it is gone with the process.
let file: CInt = {
    var template = Array("/tmp/sallyport-fuzz-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    unlink(template)
    return file
}()

/// Crashes when something that the store promises of hostile backups does not hold.
func probe(_ bytes: [UInt8]) {
    if let item = try? BackupItem(bytes[...]) { precondition(item.bytes == bytes, "an item has one encoding") }
    _ = try? Backup.verify(BackupReader(unsealed: bytes))
    guard bytes.starts(with: magic) else { return }
    precondition(ftruncate(file, 0) == 0 && pwrite(file, bytes, bytes.count, 0) == bytes.count, "no memory for the file")
    for unlock in [BackupUnlock.masterKeys(keys), .passphrase(passphrase)] {
        guard let reader = try? BackupReader("/proc/self/fd/\(file)"), (try? reader.unlock(unlock)) != nil else { continue }
        _ = try? Backup.verify(reader)
    }
}
