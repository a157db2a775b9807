// SPDX-License-Identifier: Apache-2.0
// A value that cannot be printed: passwords, shared secrets, factor keys.

/// Secret bytes. Printing, dumping or encoding one shows only that it is there.
///
/// Two secrets compare in time that depends on their lengths alone.
package struct Secret: Sendable, Equatable {
    private let storage: [UInt8]

    package init(_ bytes: [UInt8]) {
        storage = bytes
    }

    package init(utf8 text: String) {
        storage = Array(text.utf8)
    }

    package var count: Int { storage.count }
    package var isEmpty: Bool { storage.isEmpty }

    /// The one way to the bytes; the name makes each use easy to find in a review.
    package func reveal<Result, Failure: Error>(_ body: ([UInt8]) throws(Failure) -> Result) throws(Failure) -> Result {
        try body(storage)
    }

    /// The bytes as UTF-8 text, or nil when they are not.
    package func revealText() -> String? {
        String(validating: storage, as: UTF8.self)
    }

    package static func == (left: Secret, right: Secret) -> Bool {
        guard left.storage.count == right.storage.count else { return false }
        var difference: UInt8 = 0
        for index in left.storage.indices {
            difference |= left.storage[index] ^ right.storage[index]
        }
        return difference == 0
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<secret>" }
    package var debugDescription: String { "<secret>" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
