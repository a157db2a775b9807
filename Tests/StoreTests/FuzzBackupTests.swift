// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer of backups knows: its seeds are good inputs, its finds must not crash any more.

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct FuzzBackupTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz")
    private static let key = MasterKey(Secret([UInt8](repeating: 7, count: 32)))

    private static func files(_ kind: String) -> [URL] {
        let folder = folder.appendingPathComponent("\(kind)/FuzzBackup")
        let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }

    private static let origin = BackupOrigin(
        release: "0.1.0", node: "node", made: start, schema: [.init(number: 1, name: "initial", checksum: "ab")], keyCheck: "cd",
        holdsKey: false, head: 7)
    private static let items: [(name: String, item: BackupItem)] = [
        ("origin", .origin(origin)), ("table", .table(name: "user", columns: ["id", "name"])),
        ("rows", .rows([[.integer(1), .text("alice")], [.null, .blob([1, 2, 3])], [.real(0.5), .integer(-9)]])),
        ("counter", .counter(table: "user", value: 9)), ("end", .end(rows: 3)),
    ]

    /// Each behind its length, as in a file once it is opened.
    private static var stream: [UInt8] {
        items.flatMap { entry -> [UInt8] in
            let bytes = entry.item.bytes
            return stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bytes.count >> $0) } + bytes
        }
    }

    private static func sealed(to path: String) throws {
        var writer = try BackupWriter(try NewFile(path, replacing: true), .masterKey(try #require(key)))
        for entry in items { try writer.add(entry.item) }
        try writer.finish()
    }

    private static func rows(of path: String) throws -> [String: Int64] {
        let reader = try BackupReader(path)
        try reader.unlock(.masterKeys([try #require(key)]))
        return try Backup.verify(reader).rowsByTable
    }

    @Test func seedsAreWhatTheEncodersWrite() throws {
        let folder = Self.folder.appendingPathComponent("Seeds/FuzzBackup")
        var seeds = Self.items.map { ($0.name, $0.item.bytes) }
        seeds += [("key", BackupItem.key(Secret(utf8: "not a key")).bytes), ("stream", Self.stream)]
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for (name, bytes) in seeds { try Foundation.Data(bytes).write(to: folder.appendingPathComponent(name)) }
            // No two files are alike: one that can be read is left as it is.
            let file = folder.appendingPathComponent("file").path
            if (try? Self.rows(of: file)) != ["user": 3] { try Self.sealed(to: file) }
        }
        for (name, bytes) in seeds {
            let written = try Foundation.Data(contentsOf: folder.appendingPathComponent(name))
            #expect(Array(written) == bytes, "\(name): SALLYPORT_GOLDEN=write rewrites it")
        }
        #expect(try Backup.verify(BackupReader(unsealed: Self.stream)).rows == 3)
        // What counts is that the fuzzer's key opens it.
        #expect(try Self.rows(of: folder.appendingPathComponent("file").path) == ["user": 3])
    }

    @Test func noFindCrashesAnyMore() throws {
        for file in Self.files("Seeds") + Self.files("FailCases") {
            let bytes = Array(try Foundation.Data(contentsOf: file))
            if let item = try? BackupItem(bytes[...]) { #expect(item.bytes == bytes, "\(file.lastPathComponent)") }
            _ = try? Backup.verify(BackupReader(unsealed: bytes))
            guard let reader = try? BackupReader(file.path), let key = Self.key else { continue }
            for unlock in [
                BackupUnlock.masterKeys([key]), .passphrase(BackupPassphrase(Secret(utf8: "four words or more")) { it, _, _ in it }),
            ] {
                if (try? reader.unlock(unlock)) != nil { _ = try? Backup.verify(reader) }
            }
        }
    }
}
