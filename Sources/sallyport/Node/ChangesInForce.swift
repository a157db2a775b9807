// SPDX-License-Identifier: Apache-2.0
// Brings what was written into force, and remembers what could not be: nobody is told that a change works while the node goes by what was before.

import Administration
import Synchronization

final class ChangesInForce: Sendable {
    enum Part: String, Sendable, CaseIterable {
        /// Policies and what accepts carry.
        case rules
        /// Directories and their secrets.
        case directories
        /// Clients, their secrets and pins.
        case clients
    }

    private let reload: @Sendable (Part) throws -> Void
    /// Why a part is not as the database says.
    private let behind = Mutex<[Part: String]>([:])

    init(reload: @escaping @Sendable (Part) throws -> Void) {
        self.reload = reload
    }

    /// One after the other, so that an older reading never replaces a newer one. Clients come after the rules: no packet of a new client
    /// is judged by rules that do not know it.
    /// - Throws: what it says to whoever made the change.
    func take(_ part: Part) throws(Refusal) {
        let why = behind.withLock { behind -> String? in
            var parts: [Part] = part == .clients || behind[.clients] != nil ? [.rules, .clients] : [part]
            if !parts.contains(part) { parts.append(part) }
            take(parts, &behind)
            return Self.words(behind)
        }
        guard let why else { return }
        throw Refusal(
            .failed, "The change is written, but not in force: \(why). The node goes on by what it knew before.",
            remedy: "It tries again every minute, and /readyz names this until it succeeds. `sallyport doctor` says what is damaged.")
    }

    /// - Returns: why something is not in force still.
    @discardableResult
    func tryAgain() -> String? {
        behind.withLock { behind in
            take(Part.allCases.filter { behind[$0] != nil || $0 == .rules && behind[.clients] != nil }, &behind)
            return Self.words(behind)
        }
    }

    /// Nil when everything that was written is in force.
    var problem: String? { behind.withLock { Self.words($0) } }

    private func take(_ parts: [Part], _ behind: inout [Part: String]) {
        for part in parts {
            if part == .clients, behind[.rules] != nil {
                behind[.clients] = "the clients wait for the policies"
                continue
            }
            do {
                try reload(part)
                behind[part] = nil
            } catch {
                behind[part] = "\(error)"
            }
        }
    }

    private static func words(_ behind: [Part: String]) -> String? {
        let texts = Part.allCases.compactMap { behind[$0] }
        return texts.isEmpty ? nil : texts.joined(separator: "; ")
    }
}
