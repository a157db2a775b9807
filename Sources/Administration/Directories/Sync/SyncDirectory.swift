// SPDX-License-Identifier: Apache-2.0
// Taking over a directory's users and groups, as an administrator asks for it.

internal import Directories
internal import LoginEngine
internal import Store
internal import Synchronization

package struct SyncDirectory: AdminOperation {
    package static let verb = "directory.sync"
    package var name: String
    package var isDryRun: Bool
    /// Whatever it takes away is meant.
    package var isConfirmed: Bool
    /// Login names of users of this server who become the directory's.
    package var adopting: [String]
    /// Steps of each kind that are told.
    package var limit: Int

    package static let standardLimit = 10
    package static let highestLimit = 10_000

    package init(
        name: String, isDryRun: Bool = false, isConfirmed: Bool = false, adopting: [String] = [], limit: Int = SyncDirectory.standardLimit
    ) {
        self.name = name
        self.isDryRun = isDryRun
        self.isConfirmed = isConfirmed
        self.adopting = adopting
        self.limit = limit
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var directory: String
        package var isDryRun: Bool
        package var counts: SyncPlan.Counts
        /// The first of each kind.
        package var steps: [Step]
        /// The first ones.
        package var faults: [SyncFault]
        /// What would have to be confirmed; only of a dry run.
        package var objection: String?
        package var warnings: [String]
        package var milliseconds: Int

        package struct Step: Codable, Sendable, Equatable {
            /// `add`, `change`, `disable`, `enable`; `add-group`, `change-group`, `members`, `empty-group`.
            package var action: String
            package var name: String
            package var differences: [String]
        }
    }
}

/// How far a sync is that is under way.
package struct ShowSyncProgress: AdminOperation {
    package static let verb = "directory.sync.progress"
    package var name: String

    package init(name: String) {
        self.name = name
    }

    package struct Answer: Codable, Sendable, Equatable {
        /// Nil: none is under way.
        package var phase: String?
        package var done = 0
        /// 0: not known.
        package var of = 0
    }

    package func perform(in operations: Operations, by actor: Actor) async throws -> Answer {
        let directory = try operations.directory(name)
        guard let progress = operations.syncs.progress(ofDirectory: directory.id) else { return Answer() }
        return Answer(phase: progress.phase, done: progress.done, of: progress.of)
    }
}

/// Syncs of this process, one for each directory at a time.
final class SyncRuns: Sendable {
    struct Progress: Sendable {
        var phase: String
        var done = 0
        var of = 0
    }

    private let runs = Mutex<[Int64: Progress]>([:])

    func begin(_ directory: Int64) -> Bool {
        runs.withLock { runs in
            guard runs[directory] == nil else { return false }
            runs[directory] = Progress(phase: "reading")
            return true
        }
    }

    func end(_ directory: Int64) { runs.withLock { $0[directory] = nil } }

    func set(_ phase: String, of count: Int = 0, _ directory: Int64) { runs.withLock { $0[directory] = Progress(phase: phase, of: count) } }

    func add(_ count: Int, _ directory: Int64) { runs.withLock { $0[directory]?.done += count } }

    func progress(ofDirectory directory: Int64) -> Progress? { runs.withLock { $0[directory] } }
}

/// What came in, gathered by whoever reads.
final class SyncReading: Sendable {
    static let mostUsers = 1_000_000
    static let mostGroups = 100_000

    private let contents = Mutex(SyncContents())
    private let taken: @Sendable (Int) -> Void

    init(taken: @escaping @Sendable (Int) -> Void) {
        self.taken = taken
    }

    func take(_ page: DirectoryPage) {
        contents.withLock { contents in
            switch page {
            // One more than may be, so that it is noticed.
            case .users(let users): if contents.users.count <= Self.mostUsers { contents.users += users }
            case .groups(let groups): if contents.groups.count <= Self.mostGroups { contents.groups += groups }
            }
        }
        switch page {
        case .users(let users): taken(users.count)
        case .groups(let groups): taken(groups.count)
        }
    }

    func whole() throws(Refusal) -> SyncContents {
        let contents = contents.withLock { contents in
            defer { contents = SyncContents() }
            return contents
        }
        guard contents.users.count <= Self.mostUsers, contents.groups.count <= Self.mostGroups else {
            throw Refusal(
                .conflict, "The directory names more than \(Self.mostUsers) users or \(Self.mostGroups) groups.",
                remedy: "Name a smaller part of it with --base, --users or --group-base of `sallyport directory set`.")
        }
        return contents
    }
}
