// SPDX-License-Identifier: Apache-2.0
// A server of a directory that stops answering, or answers again: in the log and in the trail.

import Directories
import Logging
import LoginEngine
import Store

struct DirectoryLog: Sendable {
    let records: Records
    let logger: Logger

    /// A name of its servers stands for other addresses, is not found any more, or is found again.
    func note(_ change: ServerNames.Change, of directory: Directory) {
        let (name, addresses) = (directory.name, change.after.addresses.map { "\($0)" }.joined(separator: ", "))
        var details = [Event.Detail("directory", name), Event.Detail("server", change.name)]
        if let problem = change.after.problem {
            logger.warning(
                "directory \(name): \(change.name) is not found (\(problem)); asked is \(addresses.isEmpty ? "nobody" : addresses)")
            details.append(Event.Detail("why", problem))
        } else {
            logger.notice("directory \(name): \(change.name) is \(addresses)")
            guard change.isElsewhere else { return }
            details.append(Event.Detail("addresses", addresses))
        }
        records.remember(.event(Event(.directoryMoved, at: NodeClock.now().wall, details: details)))
    }

    func note(_ change: UpstreamServers.Change, of directory: Directory) {
        note(change.server.description, isUp: change.isUp, change.why, of: directory, "Status-Server is sent to it every few seconds")
    }

    func note(_ change: LDAPServers.Change, of directory: Directory) {
        note(change.server, isUp: change.isUp, change.why, of: directory, "it is tried every few seconds")
    }

    private func note(_ server: String, isUp: Bool, _ why: String, of directory: Directory, _ next: String) {
        let name = directory.name
        if isUp {
            logger.notice("directory \(name): \(server) answers again")
        } else {
            logger.warning(
                "directory \(name): \(server) does not answer (\(why)); sallyport directory test \(name) asks it, \(next)"
            )
        }
        records.remember(
            .event(
                Event(
                    isUp ? .directoryUp : .directoryDown, at: NodeClock.now().wall,
                    details: [Event.Detail("directory", name), Event.Detail("server", server), Event.Detail("why", why)])))
    }
}
