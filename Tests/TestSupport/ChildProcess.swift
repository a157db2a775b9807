// SPDX-License-Identifier: Apache-2.0
// A program that a test starts, by posix_spawn: Foundation's Process reads beyond a buffer when it looks for the highest open
// descriptor (`findMaximumOpenFromProcSelfFD`, Swift 6.3), which now and then ended the whole test run with a segmentation fault.

internal import Foundation
package import Glibc
internal import Synchronization

package final class ChildProcess: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// glibc hides the declaration from Swift.
    private static let closeFrom: @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, CInt) -> CInt = {
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return { _, _ in ENOSYS } }
        return unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, CInt) -> CInt).self)
    }()

    package let id: pid_t
    private let status = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - environment: nil: that of the tests.
    ///   - input: its descriptor 0; the others are 1 and 2. It has no further ones, and the caller keeps its own.
    package init(
        _ path: String, _ arguments: [String], environment: [String: String]? = nil, input: Int32 = 0, output: Int32 = 1, errors: Int32 = 2
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (place, descriptor) in [input, output, errors].enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(place))
        }
        let problemClosing = Self.closeFrom(&actions, 3)
        guard problemClosing == 0 else { throw Failure(description: "descriptors of a child cannot be closed: error \(problemClosing)") }
        let variables = environment ?? ProcessInfo.processInfo.environment
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + settings { free(word) } }
        // Threads of the runtime block every signal and the services under test ignore some: a child starts without either.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var child: pid_t = 0
        let problem = posix_spawn(&child, path, &actions, &attributes, &words, &settings)
        guard problem == 0 else { throw Failure(description: "\(path) does not start: \(String(cString: strerror(problem)))") }
        id = child
        let thread = Thread { [self] in reap() }
        thread.name = "child"
        thread.start()
    }

    private func reap() {
        var word: Int32 = 0
        while waitpid(id, &word, 0) < 0, errno == EINTR {}
        // As <sys/wait.h> takes it apart: the low seven bits are the signal, the next eight the code.
        let signal = word & 0x7F
        status.withLock { $0 = signal == 0 ? word >> 8 & 0xFF : -signal }
    }

    package var hasEnded: Bool { status.withLock { $0 != nil } }

    /// The exit code, or the signal that ended it as a negative number; nil while it runs.
    package var ending: Int32? { status.withLock { $0 } }

    /// Blocks until it has ended.
    package func wait() -> Int32 {
        while true {
            if let ending { return ending }
            _ = poll(nil, 0, 1)
        }
    }

    /// Nothing is sent to the number of a process that has ended.
    package func signal(_ signal: Int32) {
        status.withLock { status in
            if status == nil { _ = kill(id, signal) }
        }
    }
}
