// SPDX-License-Identifier: Apache-2.0
// Channels: what a file wants of them, and what has to be written for it.

internal import LoginEngine
internal import Store

extension BlueprintPlan {
    mutating func planChannels() throws {
        guard let wanted = request.blueprint.channels else { return }
        let old = try operations.records.channels()
        try unique(wanted.map { ($0.name, $0.place) }, "Channel")
        for entry in wanted {
            let name = try located(entry.place) { try Valid.channelName(entry.name) }
            let known = old.first { $0.name == name }
            let settings = try located(entry.place, entry.places) { try self.settings(entry, name, since: known?.settings) }
            guard let known else {
                rollout.newChannels.append(
                    (
                        settings,
                        operations.event(
                            .channelAdded, by: actor,
                            ["channel": name, "server": settings.server.description, "type": settings.kind.rawValue])
                    ))
                let bare = ChannelSettings(name: name, server: settings.server, sender: settings.sender)
                let fields =
                    ["server: none → \(settings.server)", "from: none → \(settings.sender)"] + settings.changes(since: bare)
                note("channel", name, .add, Self.fields(fields, isNew: true))
                warnings += settings.warnings
                continue
            }
            let changes = settings.changes(since: known.settings)
            guard !changes.isEmpty else { continue }
            note("channel", name, .change, Self.fields(changes, isNew: false))
            warnings += settings.warnings
            rollout.changedChannels.append(
                (
                    known.id, settings,
                    operations.event(.channelChanged, by: actor, ["channel": name, "change": changes.joined(separator: "; ")])
                ))
        }
        for channel in old where !wanted.contains(where: { $0.name == channel.name }) {
            note("channel", channel.name, request.prunes ? .remove : .missing)
            guard request.prunes else { continue }
            rollout.removedChannels.append((channel.id, operations.event(.channelRemoved, by: actor, ["channel": channel.name])))
        }
    }

    /// What the file leaves out is the default, but for what it says to keep.
    private func settings(_ entry: Blueprint.Channel, _ name: String, since known: ChannelSettings?) throws -> ChannelSettings {
        guard let known else { return try entry.choices.apply(to: nil, name: name) }
        var choices = entry.choices
        choices.tls = choices.tls ?? MailSecurity.starttls.rawValue
        choices.fromName = choices.fromName ?? ""
        choices.timeout = choices.timeout ?? "30s"
        choices.perMinute = choices.perMinute ?? 60
        choices.isEnabled = choices.isEnabled ?? true
        return try choices.apply(to: known, name: name)
    }
}
