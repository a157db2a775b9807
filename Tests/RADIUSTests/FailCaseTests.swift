// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer found, and its seeds; the probe is the fuzzer's own.

internal import Foundation
internal import RADIUS
internal import Testing

struct FailCaseTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func files(_ folder: String, of fuzzer: String = "FuzzRADIUS") -> [URL] {
        let url = root.appending(path: "Fuzz/\(folder)/\(fuzzer)", directoryHint: .isDirectory)
        let files = try? FileManager.default.contentsOfDirectory(at: url, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }

    /// Passes when it does not crash and the round trip holds.
    @Test(arguments: files("FailCases") + files("Seeds")) func datagramsFromTheFuzzerAreHandled(_ file: URL) throws {
        try expectRoundTrip(Array(Data(contentsOf: file)))
    }

    @Test(arguments: files("FailCases", of: "FuzzPasswordProof") + files("Seeds", of: "FuzzPasswordProof"))
    func passwordProofsFromTheFuzzerAreHandled(_ file: URL) throws {
        let attributes = try Array(Data(contentsOf: file))
        let length = Packet.minimumLength + attributes.count
        let header: [UInt8] = [1, 1, UInt8(length >> 8), UInt8(length & 255)] + Authenticator.zero.bytes
        _ = MSCHAPError(attributes[...])
        let secret = try #require(SharedSecret("fuzz"))
        _ = SaltedKey.reveal(attributes[...], authenticator: .zero, secret: secret)
        guard let packet = try? Packet(decoding: header + attributes), let proof = try? packet.hashedPassword() else { return }
        let empty = try hash(of: "")
        if case .change(let change) = proof { #expect(change.newPassword(old: empty) == nil) }
    }

    @Test(arguments: MalformedVector.all) func malformedDatagramsAreHandled(_ vector: MalformedVector) throws {
        try expectRoundTrip(vector.datagram.bytes)
    }

    func expectRoundTrip(_ datagram: [UInt8]) throws {
        guard let packet = try? Packet(decoding: datagram) else { return }
        let secret = try #require(SharedSecret("fuzz"))
        #expect(packet.reencoded() == packet.bytes)
        #expect(try Packet(decoding: packet.reencoded()) == packet)
        #expect(packet.vendorAttributes.allSatisfy { $0.range.upperBound <= packet.bytes.count })
        #expect(try packet.password(secret: secret)?.count ?? 0 <= HiddenPassword.maximumLength)
        _ = packet.hasValidMessageAuthenticator(secret: secret)
    }
}
