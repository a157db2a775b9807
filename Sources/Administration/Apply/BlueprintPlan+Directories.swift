// SPDX-License-Identifier: Apache-2.0
// Directories: what a file wants of them, and what has to be written for it.

internal import LoginEngine
internal import Store

extension BlueprintPlan {
    mutating func planDirectories() throws {
        let old = try operations.records.directories()
        directories = old
        guard let wanted = request.blueprint.directories else { return }
        try unique(wanted.map { ($0.name, $0.place) }, "Directory")
        var final: [LoginEngine.Directory] = []
        for entry in wanted {
            let name = try located(entry.place) { try Valid.directoryName(entry.name) }
            let known = old.first { $0.name == name }
            let isLDAP = entry.choices.type.flatMap { DirectoryKind(rawValue: $0) }?.isLDAP == true
            guard known != nil || entry.choices.secret != nil || isLDAP else {
                throw Refusal(
                    .invalid, "Directory `\(name)` is new, so there is no secret to keep.",
                    remedy: "Write `secret: { file: PATH }` or `secret: { env: NAME }`.", place: entry.place)
            }
            let bare = DirectorySettings(name: name, servers: [], secret: known?.settings.secret ?? Secret([]))
            var base = bare
            base.ownSecrets = known?.settings.ownSecrets ?? [:]
            let settings = try located(entry.place, entry.places) { try entry.choices.apply(to: base, operations.ports.replies) }
            if let known, known.settings.kind != settings.kind {
                throw DirectoryChoices.otherType(known.settings, settings.kind).at(entry.place)
            }
            guard let known else {
                rollout.newDirectories.append(
                    (
                        settings,
                        operations.event(
                            .directoryAdded, by: actor,
                            [
                                "directory": name, "servers": settings.serverNames.joined(separator: ", "),
                                "type": settings.kind.rawValue,
                            ])
                    ))
                final.append(LoginEngine.Directory(id: -Int64(rollout.newDirectories.count), settings: settings))
                note("directory", name, .add, Self.fields(settings.changes(since: bare), isNew: true))
                warnings += settings.warnings
                continue
            }
            final.append(LoginEngine.Directory(id: known.id, settings: settings))
            let changes = settings.changes(since: known.settings)
            guard !changes.isEmpty else { continue }
            note("directory", name, .change, Self.fields(changes, isNew: false))
            warnings += settings.warnings
            rollout.changedDirectories.append(
                (
                    known.id, settings,
                    operations.event(.directoryChanged, by: actor, ["directory": name, "change": changes.joined(separator: "; ")])
                ))
        }
        let users = try operations.records.directoryUserCounts()
        for directory in old where !wanted.contains(where: { $0.name == directory.name }) {
            note("directory", directory.name, request.prunes ? .remove : .missing)
            guard request.prunes else {
                final.append(directory)
                continue
            }
            if let count = users[directory.id] { throw Operations.stillUsed(directory.name, DirectoryUses(users: count)) }
            rollout.removedDirectories.append(
                (directory.id, operations.event(.directoryRemoved, by: actor, ["directory": directory.name])))
        }
        directories = final
    }
}
