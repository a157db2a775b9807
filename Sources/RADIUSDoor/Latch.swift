// SPDX-License-Identifier: Apache-2.0
// Threads with a name, and what they sleep on.

internal import CSockets

/// Counts releases; each wakes one thread, now or when it comes to wait.
final class Latch: Sendable {
    /// Never changed, and what it points to is a semaphore, which any thread may use.
    nonisolated(unsafe) private let latch: OpaquePointer

    init?() {
        guard let latch = thread_latch_create() else { return nil }
        self.latch = latch
    }

    deinit {
        thread_latch_free(latch)
    }

    func release() {
        thread_latch_release(latch)
    }

    /// - Returns: false after the time.
    @discardableResult
    func wait(milliseconds: UInt32) -> Bool {
        thread_latch_wait(latch, milliseconds)
    }

    func wait() {
        while !wait(milliseconds: .max) {}
    }
}

enum NamedThread {
    /// - Returns: why it could not be started; nil: it runs.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> String? {
        let context = Unmanaged.passRetained(Body(body))
        let error = thread_start(name, { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().body() }, context.toOpaque())
        guard error != 0 else { return nil }
        context.release()
        return RADIUSServiceError.words(for: error)
    }

    private final class Body: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }
}
