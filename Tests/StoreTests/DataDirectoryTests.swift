// SPDX-License-Identifier: Apache-2.0
// One node works on a directory, and on the schema that it knows.

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct DataDirectoryTests {
    @Test func directoryIsMadePrivateWithItsParents() throws {
        let folder = TemporaryFolder()
        let directory = try DataDirectory.open(folder.path + "/a/b/")
        #expect(directory.path == folder.path + "/a/b" && directory.isEmpty && !directory.isDemo)
        #expect(mode(of: directory.path) == 0o700)
        try directory.markAsDemo()
        #expect(directory.isDemo)
    }

    private func mode(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : nil
    }

    @Test(arguments: [0o720, 0o702, 0o777] as [mode_t]) func directoryThatOthersCanWriteToIsRefused(_ mode: mode_t) throws {
        let folder = TemporaryFolder()
        #expect(chmod(folder.path, mode) == 0)
        #expect { try DataDirectory.open(folder.path) } throws: {
            let error = $0 as? StoreError
            return error?.code == .directoryUnusable && error?.remedy.contains("chmod") == true
        }
        #expect(self.mode(of: folder.path) == mode)
    }

    @Test func emptyDirectoryIsMadePrivate() throws {
        let folder = TemporaryFolder()
        #expect(chmod(folder.path, 0o755) == 0)
        try DataDirectory.open(folder.path).close()
        #expect(mode(of: folder.path) == 0o700)
    }

    @Test func directoryThatOthersCanReadKeepsItsModeAndIsRefused() throws {
        let folder = TemporaryFolder()
        _ = FileManager.default.createFile(atPath: folder.path + "/sallyport.sqlite", contents: nil)
        #expect(chmod(folder.path, 0o755) == 0)
        #expect { try DataDirectory.open(folder.path) } throws: {
            let error = $0 as? StoreError
            return error?.isConfiguration == true && error?.remedy.contains("chmod 700") == true
        }
        #expect(mode(of: folder.path) == 0o755)
    }

    @Test func directoryOfSomebodyElseIsNotTakenOver() throws {
        let folder = TemporaryFolder()
        _ = FileManager.default.createFile(atPath: folder.path + "/thesis.txt", contents: nil)
        for creating in [true, false] {
            #expect { try DataDirectory.open(folder.path, creating: creating) } throws: {
                let error = $0 as? StoreError
                return error?.isConfiguration == true && error?.what.contains("thesis.txt") == true
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["thesis.txt"])
        // A node's own directory may hold more.
        _ = try MasterKey.make(at: folder.path + "/master.key")
        try DataDirectory.open(folder.path).close()
    }

    @Test func keyBehindALinkIsRefusedInTheDataDirectory() throws {
        let folder = TemporaryFolder()
        let (key, link) = (folder.path + "/key", folder.path + "/master.key")
        _ = try MasterKey.make(at: key)
        #expect(symlink(key, link) == 0)
        #expect { try MasterKey.load(.file(link)) } throws: { ($0 as? StoreError)?.code == .keyUnsafe }
        #expect(try MasterKey.load(.credential(link)) != nil)
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func keyOfRootIsTaken() throws {
        let folder = TemporaryFolder()
        let key = folder.path + "/master.key"
        _ = try MasterKey.make(at: key)
        #expect(try MasterKey.load(.file(key)) != nil)
        #expect(chown(key, 65_534, 65_534) == 0)
        #expect { try MasterKey.load(.file(key)) } throws: { ($0 as? StoreError)?.code == .keyUnsafe }
    }

    @Test func secondNodeIsRefusedUntilTheFirstIsGone() throws {
        let folder = TemporaryFolder()
        let first = try DataDirectory.open(folder.path)
        #expect { try DataDirectory.open(folder.path) } throws: {
            let error = $0 as? StoreError
            return error?.code == .locked && error?.what.contains("pid \(getpid())") == true
        }
        first.close()
        let second = try DataDirectory.open(folder.path)
        second.close()
    }

    @Test func whatIsNoDirectoryIsRefused() throws {
        let folder = TemporaryFolder()
        _ = FileManager.default.createFile(atPath: folder.path + "/file", contents: nil)
        for path in ["/file", "/file/below", "/none"] {
            #expect { try DataDirectory.open(folder.path + path, creating: path != "/none") } throws: {
                ($0 as? StoreError)?.isConfiguration == true
            }
        }
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func directoryOfAnotherUserIsRefused() throws {
        let folder = TemporaryFolder()
        #expect(chown(folder.path, 65_534, 65_534) == 0)
        #expect { try DataDirectory.open(folder.path) } throws: { ($0 as? StoreError)?.code == .wrongOwner }
    }

    @Test func recordsOpenInADirectoryAndSurviveAReopen() async throws {
        let folder = TemporaryFolder()
        let directory = try DataDirectory.open(folder.path)
        let source = MasterKeySource.file(directory.keyPath)
        let records = try Records.open(in: directory, key: source, at: start)
        #expect(records.schemaBefore == 0 && records.schema >= 1)
        try await records.append(Event(.nodeStarted, at: start))
        records.close()
        let again = try Records.open(in: directory, key: source, at: start)
        #expect(again.schemaBefore == again.schema)
        #expect(try again.events(EventFilter(limit: 9)).map(\.event.kind) == [.nodeStarted])
        #expect(again.health().isUsable)
        again.close()
    }

    @Test(arguments: TestDatabases.all) func newerSchemaAndChangedMigrationAreRefused(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try kind.open(in: folder)
        defer { database.close() }
        let migrator = Migrator.of(database.dialect)
        #expect(try migrator.migrate(database, at: start) == 0)
        #expect(try migrator.migrate(database, at: start) == migrator.newest)
        var changed = migrator
        changed.migrations[0].checksum = "other"
        #expect { try changed.migrate(database, at: start) } throws: { ($0 as? StoreError)?.code == .changedMigration }
        let next = Migration(number: migrator.newest + 1, name: "next", checksum: "x", script: "CREATE TABLE next (id INTEGER)")
        #expect(try Migrator(migrations: migrator.migrations + [next]).migrate(database, at: start) == migrator.newest)
        #expect { try migrator.migrate(database, at: start) } throws: {
            let error = $0 as? StoreError
            return error?.code == .newerSchema && error?.isConfiguration == true && error?.what.contains("\(migrator.newest + 1)") == true
        }
    }

    @Test(arguments: TestDatabases.all) func migrationThatFailsLeavesTheSchemaAsItWas(_ kind: TestDatabases) throws {
        let folder = TemporaryFolder()
        let database = try kind.open(in: folder)
        defer { database.close() }
        let broken = Migration(number: 1, name: "broken", checksum: "x", script: "CREATE TABLE a (id INTEGER); CREATE TABLE a (id INTEGER)")
        #expect(throws: StoreError.self) { try Migrator(migrations: [broken]).migrate(database, at: start) }
        #expect(try Migrator.of(database.dialect).migrate(database, at: start) == 0)
    }
}
