// SPDX-License-Identifier: Apache-2.0
// Tells whoever waits when every listener is open, and where.

import Synchronization

final class BoundAddresses: Sendable {
    private typealias Waiter = CheckedContinuation<[ListenAddress], any Error>

    private struct State {
        var addresses: [ListenAddress?] = []
        var result: Result<[ListenAddress], any Error>?
        var waiting: [Waiter] = []
    }

    private let state = Mutex(State())

    func expect(_ count: Int) {
        settle { state in
            state.addresses = Array(repeating: nil, count: count)
            if count == 0 { state.result = .success([]) }
        }
    }

    func set(_ address: ListenAddress, at index: Int) {
        settle { state in
            state.addresses[index] = address
            let bound = state.addresses.compactMap { $0 }
            if bound.count == state.addresses.count, state.result == nil { state.result = .success(bound) }
        }
    }

    /// Changes nothing for those who were told already.
    func fail(_ error: any Error) {
        settle { state in
            if state.result == nil { state.result = .failure(error) }
        }
    }

    func wait() async throws -> [ListenAddress] {
        try await withCheckedThrowingContinuation { continuation in
            settle { $0.waiting.append(continuation) }
        }
    }

    private func settle(_ change: (inout State) -> Void) {
        let (result, woken) = state.withLock { state -> (Result<[ListenAddress], any Error>?, [Waiter]) in
            change(&state)
            guard let result = state.result else { return (nil, []) }
            defer { state.waiting = [] }
            return (result, state.waiting)
        }
        guard let result else { return }
        for waiter in woken { waiter.resume(with: result) }
    }
}
