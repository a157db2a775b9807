// SPDX-License-Identifier: Apache-2.0
// Backups that were cut, changed, put together anew, or written by somebody who means harm: each refused, none crashes.

import Crypto
import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct DamagedBackupTests {
    /// Verifies a file of these bytes.
    private func verify(_ bytes: [UInt8], passphrase: String = "four words or more") throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/damaged"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        _ = try Backup.verify(try BackupTests.open(path, .passphrase(BackupTests.passphrase(passphrase))))
    }

    private func whatIsWrong(_ bytes: [UInt8], passphrase: String = "four words or more") -> String {
        do {
            try verify(bytes, passphrase: passphrase)
            return "nothing"
        } catch let error as StoreError {
            #expect(error.code == .cannotOpen, "\(error)")
            #expect(!error.place.isEmpty && !error.remedy.isEmpty)
            return error.what
        } catch {
            return "\(error)"
        }
    }

    private func backup() async throws -> (bytes: [UInt8], header: Int) {
        let (folder, _) = try await BackupTests.filled()
        let path = folder.path + "/a.backup"
        try BackupTests.write(folder, to: path)
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        return (bytes, BackupHeader.fixedSize + 12 + BackupHeader.saltSize + BackupHeader.checkSize)
    }

    @Test func everyCutIsNoticed() async throws {
        let (bytes, header) = try await backup()
        try verify(bytes)
        let size = BackupChunks.sealedSize
        var lengths = Array(0...header + 20)
        for chunk in 1..<(bytes.count - header) / size + 1 { lengths += [-1, 0, 1, 16, 17].map { header + chunk * size + $0 } }
        lengths += [bytes.count - 1, bytes.count - 16, bytes.count - 17]
        for length in lengths where length < bytes.count { #expect(whatIsWrong(Array(bytes[..<length])) != "nothing", "\(length)") }
        #expect(whatIsWrong(Array(bytes[..<(header + size)])).contains("cut off"))
        #expect(whatIsWrong(Array(bytes[..<(header + 2 * size)])).contains("cut off"))
    }

    @Test func everyChangedByteIsNoticed() async throws {
        let (bytes, header) = try await backup()
        let last = (bytes.count - header) / BackupChunks.sealedSize * BackupChunks.sealedSize + header
        let positions = Array(0..<header) + stride(from: header, to: bytes.count, by: 7919) + [last, bytes.count - 1, bytes.count - 17]
        for position in positions {
            var changed = bytes
            changed[position] ^= 0x01
            #expect(whatIsWrong(changed) != "nothing", "\(position)")
        }
    }

    @Test func chunksInAnotherOrderAreNoticed() async throws {
        let (bytes, header) = try await backup()
        let size = BackupChunks.sealedSize
        let first = Array(bytes[header..<header + size])
        let second = Array(bytes[header + size..<header + 2 * size])
        let rest = Array(bytes[(header + 2 * size)...])
        let head = Array(bytes[..<header])
        for order in [
            [second, first, rest], [first, first, second, rest], [first, rest], [second, rest], [rest], [first, second, rest, rest],
        ] {
            #expect(whatIsWrong(head + order.joined()) != "nothing")
        }
        #expect(whatIsWrong(bytes + [0]) != "nothing")
        // The chunks of one file under the head of another.
        let (other, _) = try await backup()
        #expect(whatIsWrong(Array(other[..<header]) + bytes[header...]).contains("changed or damaged"))
    }

    @Test func wrongPassphraseIsToldFromDamage() async throws {
        let (bytes, _) = try await backup()
        #expect(whatIsWrong(bytes, passphrase: "another passphrase").contains("the passphrase is wrong"))
        #expect(whatIsWrong(Array("nothing of ours, and long enough to be looked at".utf8)).contains("no backup of Sallyport"))
        #expect(whatIsWrong([]).contains("no backup of Sallyport"))
    }

    @Test func costThatNobodyBearsIsRefusedBeforeItIsPaid() throws {
        for (memory, passes, lanes) in [(UInt32.max, 1, 1), (64, UInt32.max, 1), (64, 1, UInt32.max), (0, 0, 0)]
            as [(UInt32, UInt32, UInt32)]
        {
            let parameters = [memory, passes, lanes].flatMap { Sealing.bytes($0) } + [UInt8](repeating: 1, count: 16)
            let header = BackupHeader(kind: .passphrase, parameters: parameters)
            let dear = BackupPassphrase(Secret(utf8: "x")) { _, _, _ throws(StoreError) in
                Issue.record("it was paid")
                return Secret([])
            }
            #expect(throws: BackupHeader.damaged) { try header.open(.passphrase(dear), check: [UInt8](repeating: 0, count: 16)) }
        }
    }

    // MARK: Sealed rightly by somebody who means harm

    private static let origin = BackupOrigin(
        release: "x", node: "x", made: start,
        schema: Migrator.of(.sqlite).migrations.map { .init(number: $0.number, name: $0.name, checksum: $0.checksum) },
        keyCheck: "", holdsKey: false, head: 0)

    static let hostile: [(String, [BackupItem])] = [
        ("nothing", []), ("no end", [.origin(origin)]), ("no origin", [.end(rows: 0)]),
        ("two origins", [.origin(origin), .origin(origin), .end(rows: 0)]),
        ("miscounted", [.origin(origin), .table(name: "user", columns: ["id"]), .end(rows: 1)]),
        ("rows without a table", [.origin(origin), .rows([[.integer(1)]]), .end(rows: 1)]),
        ("rows of another width", [.origin(origin), .table(name: "user", columns: ["id"]), .rows([[.null, .null]]), .end(rows: 1)]),
        ("behind the end", [.origin(origin), .end(rows: 0), .counter(table: "user", value: 1)]),
    ]

    static let wrongRows: [(String, [BackupItem])] = [
        ("table that is not ours", [.table(name: "sqlite_master", columns: ["name"])]),
        ("table that is left out", [.table(name: "schema_version", columns: ["number"])]),
        ("words in a name", [.table(name: "user\" (id) VALUES (1); DROP TABLE client; --", columns: ["id"])]),
        ("column that is not there", [.table(name: "user", columns: ["id", "admin"])]),
        ("words in a column", [.table(name: "user", columns: ["id\") VALUES (1); --"])]),
        ("column twice", [.table(name: "user", columns: ["id", "id"])]),
        ("row that the schema refuses", [.table(name: "user", columns: ["id"]), .rows([[.integer(1)]])]),
        (
            "row that refers to none",
            [.table(name: "client_pin", columns: ["client", "address", "at"]), .rows([[.integer(9), .blob([1]), .integer(1)]])]
        ),
    ]

    private func write(_ items: [BackupItem], to path: String) throws {
        var writer = try BackupWriter(try NewFile(path, replacing: true), .passphrase(BackupTests.passphrase()))
        for item in items { try writer.add(item) }
        try writer.finish()
    }

    @Test(arguments: hostile.indices) func contentThatIsNotOursIsRefused(index: Int) throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/hostile"
        try write(Self.hostile[index].1, to: path)
        #expect(throws: BackupReader.malformed.at(path), "\(Self.hostile[index].0)") { try Backup.verify(try BackupTests.open(path)) }
    }

    @Test(arguments: wrongRows.indices) func rowsThatAreNotOursLeaveNothingBehind(index: Int) async throws {
        let folder = TemporaryFolder()
        let (name, items) = Self.wrongRows[index]
        let key = MasterKey.random()
        var origin = Self.origin
        origin.keyCheck = key.check
        let count = items.reduce(0) { if case .rows(let rows) = $1 { $0 + rows.count } else { $0 } }
        try write([.origin(origin)] + items + [.end(rows: Int64(count))], to: folder.path + "/hostile")
        let directory = try DataDirectory.open(folder.path + "/data")
        defer { directory.close() }
        var restore = Restore { Event(.restored, at: start, details: $0) }
        restore.keys = [key]
        await #expect("\(name)") {
            try await restore.run(try BackupTests.open(folder.path + "/hostile"), into: directory, key: .file(directory.keyPath), at: start)
        } throws: { ($0 as? StoreError)?.code == .cannotOpen }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["lock"], "\(name)")
    }

    @Test func itemsAreReadAsTheyWereWrittenAndNothingElseIs() throws {
        var random = SystemRandomNumberGenerator()
        let items: [BackupItem] = [
            .origin(Self.origin), .key(Secret([1, 2])), .table(name: "a", columns: ["b", "c"]), .counter(table: "a", value: -1),
            .end(rows: 3),
            .rows([[.null, .integer(.min), .real(0.5), .text("ü"), .blob([0])], [.null, .null, .null, .text(""), .blob([])]]), .rows([]),
        ]
        for item in items {
            let bytes = item.bytes
            #expect(try BackupItem(bytes[...]) == item)
            for count in bytes.indices { #expect(throws: DecodingError.self) { try BackupItem(bytes[..<count]) } }
            for _ in 0..<500 {
                var changed = bytes
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    changed[Int.random(in: changed.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                // What is read has one way to be written.
                if let read = try? BackupItem(changed[...]) { #expect(read.bytes == changed || "\(read)".contains("nan")) }
            }
        }
        for _ in 0..<2000 {
            let noise = (0..<Int.random(in: 0...64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? BackupItem(noise[...])
        }
    }
}
