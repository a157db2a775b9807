// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer knows: its seeds are good inputs, its finds must not crash any more.

import Foundation
import LoginEngine
import Testing

@testable import Store

@Suite struct FuzzHandleTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz")

    private static func files(_ kind: String) -> [URL] {
        let folder = folder.appendingPathComponent("\(kind)/FuzzHandle")
        let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }

    private static let keys: [UInt32: MasterKey] = MasterKey(Secret([UInt8](repeating: 7, count: 32))).map { [1: $0] } ?? [:]

    /// Genuine inputs, each under the name of its file.
    private static func seeds() -> [String: [UInt8]] {
        let event = Event(
            .loginAccepted, at: start, login: LoginID(Bits128(high: 1, low: 2)), user: 3, client: 4,
            source: NetworkAddress(v4: 0x0A00_0001),
            reason: "wrong-code", details: [.init("requirement", "factor")])
        let fields = EventCodec.encode(PersonalFields([.init("name", "Alice"), .init("station", "198.51.100.7")]))
        let entry = PersonalEntry(seq: 1, role: .actor, salt: [UInt8](repeating: 1, count: 16), fields: fields)
        let handle = KeyedHandles(keys: keys, current: 1).text(of: HandleID(Bits128(high: 5, low: 6)))
        return [
            "handle": Array(handle.utf8),
            "event": EventCodec.encode(event, seq: 300, subject: [UInt8](repeating: 9, count: 32), actor: nil),
            "event-small": EventCodec.encode(Event(.nodeStarted, at: start), seq: 1, subject: nil, actor: nil),
            "fields": fields,
            "personal": PersonalCodec.encode([entry], first: 1),
        ]
    }

    @Test func seedsAreWhatTheEncodersWrite() throws {
        let folder = Self.folder.appendingPathComponent("Seeds/FuzzHandle")
        if ProcessInfo.processInfo.environment["SALLYPORT_GOLDEN"] == "write" {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for (name, bytes) in Self.seeds() { try Foundation.Data(bytes).write(to: folder.appendingPathComponent(name)) }
        }
        for (name, bytes) in Self.seeds() {
            let written = try Foundation.Data(contentsOf: folder.appendingPathComponent(name))
            #expect(Array(written) == bytes, "\(name): SALLYPORT_GOLDEN=write rewrites it")
        }
    }

    @Test func noFindCrashesAnyMore() throws {
        let sealing = Sealing(keys: Self.keys, current: 1)
        let handles = KeyedHandles(keys: Self.keys, current: 1)
        for file in Self.files("Seeds") + Self.files("FailCases") {
            let bytes = Array(try Foundation.Data(contentsOf: file))
            _ = handles.open(String(decoding: bytes, as: UTF8.self))
            _ = try? sealing.open(bytes, at: SealedPlace(table: "factor", row: 1, column: "secret"))
            if let line = try? EventCodec.decode(bytes[...]) {
                #expect(
                    EventCodec.encode(line.event, seq: line.seq, subject: line.subjectCommitment, actor: line.actorCommitment) == bytes)
            }
            _ = try? EventCodec.decodeFields(bytes[...])
            _ = try? PersonalCodec.decode(bytes[...], first: 1)
        }
    }
}
