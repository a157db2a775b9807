// SPDX-License-Identifier: Apache-2.0
// Replays what the fuzzer found, and its seeds.

import EAP
import Foundation
import Testing

struct FailCaseTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func files(_ folder: String) -> [URL] {
        let url = root.appending(path: "Fuzz/\(folder)/FuzzEAP", directoryHint: .isDirectory)
        let files = try? FileManager.default.contentsOfDirectory(at: url, includingPropertiesForKeys: nil)
        return (files ?? []).filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.path < $1.path }
    }

    /// As the fuzzer reads them: what is offered, then pieces of a kind, a length and so many bytes.
    @Test(arguments: files("FailCases") + files("Seeds")) func conversationsOfTheFuzzerLetNobodyIn(_ file: URL) throws {
        let input = try Array(Data(contentsOf: file))
        let choice = try #require(input.first)
        let all: [any EAPMethod] = [
            GTCMethod(), MSCHAPv2Method(challenge: challenge, renewal: challenge, server: "fuzz"), MD5Method(challenge: challenge),
        ]
        let start = Int(choice % 3)
        var machine = EAPAuthenticator(methods: Array(all[start...] + all[..<start]).dropLast(Int(choice >> 6)))
        var rest = input.dropFirst()
        while let kind = rest.popFirst(), let length = rest.popFirst() {
            let piece = Array(rest.prefix(Int(length)))
            rest = rest.dropFirst(piece.count)
            let step: EAPAuthenticator.Step
            switch kind % 8 {
            case 0: step = machine.take(piece[...])
            case 1: step = machine.start(identifier: length)
            case 2, 3, 4:
                let identifier = machine.lastRequest.count > 1 ? machine.lastRequest[1] : 0
                step = machine.take(response(identifier, machine.methodType ?? .identity, piece))
            // Refused here, whatever the fuzzer said.
            default: step = machine.take(verdict: .reject())
            }
            if case .success = step { Issue.record("let in") }
        }
    }
}
