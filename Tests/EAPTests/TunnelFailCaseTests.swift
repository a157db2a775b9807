// SPDX-License-Identifier: Apache-2.0
// What the fuzzer began with and found, once more.

import Foundation
import TLS
import Testing

@testable import EAP

struct TunnelFailCaseTests {
    private static func files() -> [URL] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return ["FailCases", "Seeds"].flatMap { kind in
            (try? FileManager.default.contentsOfDirectory(
                at: root.appendingPathComponent("Fuzz/\(kind)/FuzzTunnel"), includingPropertiesForKeys: nil)) ?? []
        }
    }

    @Test func thereAreSeeds() {
        #expect(Self.files().count >= 14)
    }

    @Test(arguments: files()) func inputOfTheFuzzerIsHandled(_ file: URL) throws {
        let input = Array(try Data(contentsOf: file))
        let rest = input.dropFirst()
        switch input[0] & 3 {
        case 0:
            var assembly = FragmentAssembly()
            for packet in packets(rest) where (try? assembly.take(packet)) != nil {
                #expect(assembly.bytes.count <= FragmentAssembly.longestMessage)
            }
        case 1:
            guard let pairs = try? TunnelAVP.decode(rest) else { return }
            #expect(try TunnelAVP.decode(TunnelAVP.encode(pairs)[...]) == pairs)
        case 2:
            guard let found = try? PEAPExtensions(rest) else { return }
            #expect(try PEAPExtensions(found.bytes[...]) == found)
        default:
            var settings = TLSSettings()
            settings.peerCertificate = .none
            var method = try TTLSMethod(context: try TLSContext(.server, settings), now: 0)
            _ = method.begin(identifier: 0)
            for packet in packets(rest) {
                guard case .request(let data) = method.take(response: packet) else { return }
                #expect(!data.isEmpty)
            }
        }
    }

    private func packets(_ bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var found: [ArraySlice<UInt8>] = []
        var rest = bytes
        while let length = rest.popFirst() {
            found.append(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
        }
        return found
    }
}
