// SPDX-License-Identifier: Apache-2.0
// The backup that is made before a schema is changed, locked with the master key, and its finding when the way leads back.

internal import Foundation
package import LoginEngine

package enum UpgradeBackup {
    private static let prefix = "before-schema-"

    /// - Returns: where it is.
    package static func write(
        from: Int, to: Int, in directory: DataDirectory, key: MasterKey, release: String, node: String, at now: Timestamp
    ) throws(StoreError) -> String {
        if mkdir(directory.backupsPath, 0o700) != 0, errno != EEXIST {
            throw StoreError(
                .directoryUnusable, "cannot be made: \(String(cString: strerror(errno)))", at: directory.backupsPath,
                remedy: "Nothing was changed. A backup is made there before the database is brought up to date: see that there is room.")
        }
        let time = now.iso8601.replacing(":", with: "").replacing("-", with: "")
        let path = "\(directory.backupsPath)/\(prefix)\(to)-\(time).backup"
        _ = try Backup.write(
            databaseAt: directory.databasePath, to: path, lock: .masterKey(key), release: release, node: node, at: now, replacing: true)
        return path
    }

    /// The newest one made before a step that this program does not know.
    static func newest(in directory: DataDirectory, above schema: Int) -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.backupsPath)) ?? []
        let fitting = names.filter { name in
            guard name.hasPrefix(prefix), name.hasSuffix(".backup") else { return false }
            return Int(name.dropFirst(prefix.count).prefix { $0.isNumber }).map { $0 > schema } ?? false
        }
        // The time stands behind the number of the schema, and the first one above ours is the one to go back to.
        return fitting.min { $0.compare($1, options: .numeric) == .orderedAscending }.map { "\(directory.backupsPath)/\($0)" }
    }

    /// A newer schema is told with the backup that leads back from it.
    static func naming(_ error: StoreError, in directory: DataDirectory) -> StoreError {
        guard error.code == .newerSchema else { return error.code == .damaged ? error.at(directory.databasePath) : error }
        var named = error
        if named.place.isEmpty { named.place = directory.databasePath }
        if let path = newest(in: directory, above: Migrator.of(.sqlite).newest) {
            named.remedy =
                "Start the newer version, or go back with this one: `sallyport restore \(path) --key-file \(directory.keyPath) "
                + "--data-dir` and an empty directory."
        }
        return named
    }
}
