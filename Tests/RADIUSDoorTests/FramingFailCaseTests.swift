// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer of the framing found, and its seeds.

import Foundation
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct FramingFailCaseTests {
    private static func files(_ folder: String) -> [URL] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Fuzz/\(folder)/FuzzFraming")
        let files = try? FileManager.default.contentsOfDirectory(at: url, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }

    private func cut(_ stream: [UInt8], pieces: Int) throws -> (packets: [[UInt8]], left: Int) {
        var framing = PacketFraming()
        var packets: [[UInt8]] = []
        var rest = stream[...]
        while !rest.isEmpty {
            rest.prefix(pieces).withUnsafeBytes { framing.append($0) }
            rest = rest.dropFirst(pieces)
            while let packet = try framing.next() { packets.append(packet) }
        }
        return (packets, framing.count)
    }

    @Test func theFuzzerHasSeeds() {
        #expect(Self.files("Seeds").count >= 100)
    }

    @Test(arguments: files("FailCases") + files("Seeds")) func streamsFromTheFuzzerAreCut(_ file: URL) throws {
        // The first byte tells the fuzzer in which pieces the others arrive.
        let stream = try Array(Data(contentsOf: file).dropFirst())
        let whole = Result { try cut(stream, pieces: max(1, stream.count)) }
        let bytes = Result { try cut(stream, pieces: 1) }
        switch (whole, bytes) {
        case (.success(let whole), .success(let bytes)):
            #expect(whole.packets == bytes.packets && whole.left == bytes.left)
            #expect(whole.packets.reduce(whole.left) { $0 + $1.count } == stream.count)
        case (.failure(let whole), .failure(let bytes)): #expect(whole as? PacketError == bytes as? PacketError)
        default: Issue.record("pieces make a difference")
        }
    }
}
