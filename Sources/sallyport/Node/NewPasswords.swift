// SPDX-License-Identifier: Apache-2.0
// A new password that came with a login: held against the rules of any other one. The login writes it with its accept.

import Administration
import LoginEngine

struct NewPasswords: Sendable {
    let operations: Operations

    var check: NewPasswordCheck {
        { password, completion in
            Task { completion(await look(at: password)) }
        }
    }

    private func look(at password: Secret) async -> NewPasswordVerdict {
        do throws(Refusal) {
            let (hash, kept) = try await operations.newPassword(password)
            return .ready(hash: hash, kept)
        } catch {
            switch error.kind {
            case .invalid, .conflict: return .refused(error.message)
            default: return .failed
            }
        }
    }
}
