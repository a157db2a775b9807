// SPDX-License-Identifier: Apache-2.0
// A new password that came with a login: set by the operation that an administrator uses, with its rules and its event.

import Administration
import LoginEngine

struct PasswordChanger: Sendable {
    let operations: Operations

    var change: PasswordChange {
        { user, password, client, completion in
            Task { completion(await set(password, of: user, at: client)) }
        }
    }

    private func set(_ password: Secret, of user: User, at client: Client) async -> PasswordChangeVerdict {
        var request = SetUser(user: user.name)
        request.password = SecretText(password)
        do throws(Refusal) {
            // The actor is the user: the old password was proved.
            _ = try await operations.perform(request, by: Actor("user:\(user.name)@\(client.name)"))
            return .done
        } catch {
            switch error.kind {
            case .invalid, .conflict: return .refused(error.message)
            default: return .failed
            }
        }
    }
}
