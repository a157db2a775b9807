// SPDX-License-Identifier: Apache-2.0
// What the page behind an invitation's link asks for. Whoever has the link is the one who may; nothing else is told to anybody.

package import LoginEngine
internal import Store

extension Operations {
    /// Whose link it is that opens something.
    package struct Invitee: Sendable, Equatable {
        package var user: String
        package var expires: Timestamp
    }

    package enum Activation: Sendable, Equatable {
        case done(user: String)
        /// Unknown, used, expired or taken back: nobody is told which.
        case void
        /// The password cannot be one; a sentence for whoever chose it.
        case refused(String)
    }

    /// - Parameter source: where whoever opened it is, for the trail.
    /// - Returns: nil for every link that opens nothing.
    package func invitee(token text: String, from source: String) async throws(Refusal) -> Invitee? {
        guard let token = InvitationToken(text) else { return nil }
        do throws(StoreError) {
            guard let invitation = try records.invitation(token: token.hash), invitation.isOpen(at: now()) else { return nil }
            try await records.noteOpened(
                invitation, token: token.hash, at: now(), event: linkEvent(.invitationOpened, invitation, from: source))
            return Invitee(user: invitation.userName, expires: invitation.expires)
        } catch {
            throw Refusal(error)
        }
    }

    /// Sets the first password by a link, once.
    package func activate(token text: String, password: Secret, from source: String) async throws(Refusal) -> Activation {
        guard let token = InvitationToken(text) else { return .void }
        do {
            guard let invitation = try records.invitation(token: token.hash), invitation.isOpen(at: now()) else { return .void }
            // Where it lives at a directory by now, none that is set here would open anything.
            guard let user = try records.user(id: invitation.user), try home(of: user, at: nil).directory == nil else { return .void }
            let hash: Secret
            let kept: KeptPassword?
            do throws(Refusal) {
                (hash, kept) = try await newPassword(password)
            } catch {
                guard error.kind == .invalid || error.kind == .conflict else { throw error }
                return .refused(Self.words(error))
            }
            do throws(StoreError) {
                try await records.activate(
                    invitation.user, token: token.hash, password: hash, keeping: kept, at: now(),
                    event: linkEvent(.userActivated, invitation, from: source))
            } catch {
                guard error.code == .notAllowed else { throw error }
                return .void
            }
            return .done(user: invitation.userName)
        } catch let refusal as Refusal {
            throw refusal
        } catch let error as StoreError {
            throw Refusal(error)
        } catch {
            throw Refusal(.failed, "The password could not be set: \(error)")
        }
    }

    private func linkEvent(_ kind: EventKind, _ invitation: InvitationRecord, from source: String) -> Event {
        event(
            kind, by: Actor("link from \(source)"), user: invitation.user, subject: [PersonalFields.Field("name", invitation.userName)])
    }

    /// What is wrong with it, without what only an administrator understands.
    private static func words(_ refusal: Refusal) -> String {
        if refusal.kind == .conflict {
            return "The end of this password could be taken for a code. Choose one that does not end in digits."
        }
        let message = refusal.message == "The password is empty." ? "Type a password." : refusal.message
        let remedy = refusal.remedy.flatMap { $0.hasPrefix("Choose") ? " \($0)" : nil } ?? ""
        return message + (refusal.message == "The password is empty." ? "" : remedy)
    }
}
