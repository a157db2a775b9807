// SPDX-License-Identifier: Apache-2.0
// Reply attributes that were right when they were set and can no longer be sent: a dictionary went, or says something else.

internal import LoginEngine
internal import Store

enum ReplyCheck {
    static func findings(
        clients: [Client], groups: [GroupRecord], policies: [Policy], _ replies: ReplyDictionary
    ) -> [Finding] {
        let owners =
            clients.map { ("client", $0.name, $0.settings.reply) } + groups.map { ("group", $0.name, $0.reply) }
            + policies.map { ("policy", $0.name, $0.rule.reply) }
        return owners.compactMap { kind, name, reply in
            do throws(Refusal) {
                _ = try replies.checked(reply)
                return nil
            } catch {
                return Finding(
                    .replyUnfit, name, "A reply attribute of \(kind) \(name) cannot be sent, so logins there are refused: \(error.message)",
                    remedy: "sallyport \(kind) set \(Words.argument(name)) --reply NAME=VALUE, or put the dictionary back")
            }
        }
    }
}
