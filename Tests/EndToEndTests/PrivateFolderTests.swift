// SPDX-License-Identifier: Apache-2.0
// Keys on disk: nobody else reads them at any time, and a profile that cannot be written leaves no good certificate.

import Administration
import Foundation
import Glibc
import Synchronization
import Testing

@testable import sallyport

struct PrivateFolderTests {
    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func fileIsPrivateWholeAndReplacedAtOnce() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/key"
        try PrivateFile.write(Array("first".utf8), to: path)
        #expect(try mode(path) == 0o600)
        #expect(folder.text(of: "key") == "first")
        // What lies in the way of the part, a link even, is taken away and not followed.
        let elsewhere = try folder.file("elsewhere", "untouched")
        symlink(elsewhere, path + ".new")
        chmod(path, 0o644)
        try PrivateFile.write([UInt8](repeating: 0x61, count: 300_000), to: path)
        #expect(try mode(path) == 0o600)
        #expect(folder.text(of: "key").utf8.count == 300_000 && folder.text(of: "elsewhere") == "untouched")
        #expect(throws: SettingsError.self) { try PrivateFile.write([1], to: folder.path + "/none/key") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["elsewhere", "key"])
    }

    @Test func profileThatCannotBeWrittenIsTakenAwayWithItsCertificate() async throws {
        let place = try TemporaryFolder()
        let revoked = Mutex(0)
        let folder = try PrivateFolder(place.path + "/out")
        // The second has the first's name: what no disk could refuse is refused here.
        let error = await #expect(throws: Refusal.self) {
            try await folder.write([("key.pem", [1]), ("key.pem", [2])]) { revoked.withLock { $0 += 1 } }
        }
        #expect(error?.message.contains("is revoked again") == true)
        #expect(revoked.withLock { $0 } == 1 && !FileManager.default.fileExists(atPath: folder.path))
        struct Broken: Error {}
        let again = try PrivateFolder(place.path + "/out")
        let other = await #expect(throws: Refusal.self) { try await again.write([("a", []), ("a", [])]) { throw Broken() } }
        #expect(other?.message.contains("could not be revoked") == true)
        let fine = try PrivateFolder(place.path + "/out")
        try await fine.write([("nm/key.pem", [1]), ("ca.pem", [2])], orElse: nil)
        #expect(try mode(fine.path + "/nm/key.pem") == 0o600)
        #expect(try mode(fine.path) == 0o700)
    }
}
