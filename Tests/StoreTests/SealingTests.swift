// SPDX-License-Identifier: Apache-2.0
// The master key, what is sealed under it, and the handles that carry its MAC.

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct SealingTests {
    private let key = MasterKey(Secret([UInt8](repeating: 7, count: 32)))
    private let other = MasterKey(Secret([UInt8](repeating: 8, count: 32)))
    private let place = SealedPlace(table: "factor", row: 5, column: "secret")

    @Test func sealedValueOpensOnlyWhereItWasSealed() throws {
        let key = try #require(key)
        let sealing = Sealing(keys: [1: key], current: 1)
        let secret = Secret(utf8: "hush")
        let sealed = sealing.seal(secret, at: place)
        #expect(try sealing.open(sealed, at: place) == secret)
        #expect(sealing.seal(secret, at: place) != sealed)
        for moved in [
            SealedPlace(table: "factor", row: 6, column: "secret"), SealedPlace(table: "client", row: 5, column: "secret"),
            SealedPlace(table: "factor", row: 5, column: "label"),
        ] {
            #expect(throws: SealingError.notAuthentic) { try sealing.open(sealed, at: moved) }
        }
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 0x80
            #expect(throws: SealingError.self) { try sealing.open(changed, at: place) }
        }
        for count in sealed.indices { #expect(throws: SealingError.self) { try sealing.open(Array(sealed[..<count]), at: place) } }
    }

    @Test func olderKeyStillOpensAndTheNewerSeals() throws {
        let (key, other) = (try #require(key), try #require(other))
        let before = Sealing(keys: [1: key], current: 1)
        let after = Sealing(keys: [1: key, 2: other], current: 2)
        let secret = Secret(utf8: "hush")
        #expect(try after.open(before.seal(secret, at: place), at: place) == secret)
        #expect(throws: SealingError.unknownKey(2)) { try before.open(after.seal(secret, at: place), at: place) }
        let handle = HandleID(Bits128(high: 1, low: 2))
        let old = KeyedHandles(keys: [1: key], current: 1)
        let new = KeyedHandles(keys: [1: key, 2: other], current: 2)
        #expect(new.open(old.text(of: handle)) == handle)
        #expect(new.open(new.text(of: handle)) == handle)
        #expect(old.open(new.text(of: handle)) == nil)
    }

    @Test(arguments: TestDatabases.all) func secretMovedToAnotherRowCostsOnlyItsOwnerTheLogin(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        try fixture.tamper("UPDATE factor SET secret = (SELECT secret FROM factor WHERE id = \(fixture.hotp)) WHERE id = \(fixture.totp)")
        let facts = try fixture.facts()
        #expect(facts.factors.map(\.kind) == [.hotp, .recovery])
        #expect(fixture.records.damagedSecrets == 1)
    }

    @Test func openedSecretIsKeptForItsOwnRowAlone() throws {
        let sealing = Sealing(keys: [1: try #require(key)], current: 1)
        let opened = OpenedSecrets(sealing, capacity: 4)
        for round in 0..<3 {
            for row in 0..<20 as Range<Int64> {
                let secret = Secret([UInt8(row), UInt8(round)])
                let sealed = sealing.seal(secret, at: .factorSecret(row, ofUser: 7))
                for _ in 0..<3 { #expect(try opened.factorSecret(sealed, of: row, ofUser: 7) == secret) }
                #expect(throws: SealingError.notAuthentic) { try opened.factorSecret(sealed, of: row + 1, ofUser: 7) }
                #expect(throws: SealingError.notAuthentic) { try opened.factorSecret(sealed, of: row, ofUser: 8) }
                #expect(throws: SealingError.notAuthentic) { try opened.passwordHash(sealed, ofUser: row) }
            }
        }
    }

    @Test func handleIs32CharactersAndForgedOnesAreNone() throws {
        let handles = KeyedHandles(keys: [1: try #require(key)], current: 1)
        for number in 0..<100 as Range<UInt64> {
            let handle = HandleID(Bits128(high: number &* 0x9E37_79B9_7F4A_7C15, low: ~number))
            let text = handles.text(of: handle)
            #expect(text.utf8.count == 32)
            #expect(handles.open(text) == handle)
            for index in text.indices {
                var changed = text
                changed.replaceSubrange(index...index, with: text[index] == "A" ? "B" : "A")
                #expect(handles.open(changed) == nil)
            }
            for wrong in [text + "=", text + "A", String(text.dropLast()), "", text.replacingOccurrences(of: text.suffix(1), with: "+")] {
                #expect(handles.open(wrong) == nil)
            }
        }
    }

    @Test func digestsOfShiftedPartsDiffer() throws {
        let handles = KeyedHandles(keys: [1: try #require(key)], current: 1)
        #expect(handles.digest([[1, 2], [3]]) == handles.digest([[1, 2], [3]]))
        let lists: [[[UInt8]]] = [[[1, 2], [3]], [[1], [2, 3]], [[1, 2, 3]], [[1, 2, 3], []], [[], [1, 2, 3]], []]
        #expect(Set(lists.map { handles.digest($0) }).count == lists.count)
    }

    @Test func keyFileIsPrivateAndMadeOnce() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/master.key"
        #expect(try MasterKey.load(.file(path)) == nil)
        _ = try MasterKey.make(at: path)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(try MasterKey.load(.file(path)) != nil)
        #expect(throws: StoreError.self) { try MasterKey.make(at: path) }
        for mode in [0o640, 0o604, 0o660] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            #expect { try MasterKey.load(.file(path)) } throws: { ($0 as? StoreError)?.code == .keyUnsafe }
        }
        let credential = folder.path + "/none"
        #expect { try MasterKey.load(.credential(credential)) } throws: { ($0 as? StoreError)?.code == .keyMissing }
    }

    @Test(arguments: [
        ("", false), ("00", false), (String(repeating: "0f", count: 32), true), (String(repeating: "0f", count: 32) + "\n", true),
        (String(repeating: "0g", count: 32), false), (String(repeating: "0f", count: 33), false),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true), ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false),
    ]) func keyOfTheEnvironmentHas32Bytes(text: String, isKey: Bool) {
        if isKey {
            #expect(throws: Never.self) { try MasterKey.load(.text(Secret(utf8: text))) }
        } else {
            #expect { try MasterKey.load(.text(Secret(utf8: text))) } throws: { ($0 as? StoreError)?.code == .keyUnsafe }
        }
    }

    @Test(arguments: TestDatabases.all) func wrongKeyIsToldBeforeAnythingIsOpened(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.close()
        let wrong = MasterKeySource.text(Secret(utf8: String(repeating: "ab", count: 32)))
        #expect {
            try Records(try kind.open(in: fixture.folder), key: wrong, at: start)
        } throws: {
            let error = $0 as? StoreError
            return error?.code == .wrongKey && error?.isConfiguration == true
                && "\(error?.description ?? "")".contains("The master key does not open this database")
        }
    }

    @Test(arguments: TestDatabases.all) func missingKeyIsNeverMadeAnew(_ kind: TestDatabases) async throws {
        let fixture = try await Fixture(kind)
        fixture.records.close()
        let path = fixture.folder.path + "/master.key"
        try FileManager.default.removeItem(atPath: path)
        #expect {
            try Records(try kind.open(in: fixture.folder), key: .file(path), at: start)
        } throws: { ($0 as? StoreError)?.code == .keyMissing }
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
