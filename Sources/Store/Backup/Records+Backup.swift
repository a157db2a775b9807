// SPDX-License-Identifier: Apache-2.0
// When the last backup was made.

package import LoginEngine

extension Records {
    package func noteBackup(at now: Timestamp, event: Event) async throws(StoreError) {
        try await setSetting(SettingName.lastBackup, to: "\(now.microseconds)", event: event)
    }

    package func lastBackup() throws(StoreError) -> Timestamp? {
        try setting(SettingName.lastBackup).flatMap { Int64($0) }.map { Timestamp(microseconds: $0) }
    }

    package func userCount(status: UserStatus) throws(StoreError) -> Int {
        try read([Statement(.countUsersByStatus, [.text(status.rawValue)])]) { results throws(DatabaseError) in
            Int(try results[0][0].integer(0))
        }
    }
}

extension SettingName {
    fileprivate static let lastBackup = "backup.last"
}

extension SQL {
    fileprivate static let countUsersByStatus = SQL("SELECT count(*) FROM \"user\" WHERE status = ?1")
}
