// SPDX-License-Identifier: Apache-2.0
// A private folder that goes with its last user, and a way to block without holding up other tests.

import Foundation
import Glibc
import Synchronization

final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/sallyport-e2e-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(POSIXError.Code(rawValue: errno) ?? .EIO) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // A node that starts in this process sets the mask of new files for a moment.
        chmod(path, 0o700)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String, _ text: String) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }

    func text(of name: String) -> String {
        FileManager.default.contents(atPath: path + "/" + name).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

/// Runs what blocks on a thread of its own, so that the few threads of the concurrency runtime stay free.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
}

/// Looks again every few milliseconds, for at most ten seconds.
func eventually(seconds: Int = 10, _ condition: @escaping @Sendable () -> Bool) async throws -> Bool {
    try await onThread {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if condition() { return true }
            poll(nil, 0, 3)
        }
        return condition()
    }
}
