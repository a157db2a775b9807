// SPDX-License-Identifier: Apache-2.0
// A server of a directory that stops answering, or answers again: in the log and in the trail.

import Directories
import Logging
import LoginEngine
import Store

struct DirectoryLog: Sendable {
    let records: Records
    let logger: Logger

    func note(_ change: UpstreamServers.Change, of directory: Directory) {
        let (name, server) = (directory.name, change.server.description)
        if change.isUp {
            logger.notice("directory \(name): \(server) answers again")
        } else {
            logger.warning(
                "directory \(name): \(server) does not answer (\(change.why)); sallyport directory test \(name) asks it, Status-Server is sent to it every few seconds"
            )
        }
        records.remember(
            .event(
                Event(
                    change.isUp ? .directoryUp : .directoryDown, at: NodeClock.now().wall,
                    details: [Event.Detail("directory", name), Event.Detail("server", server), Event.Detail("why", change.why)])))
    }
}
