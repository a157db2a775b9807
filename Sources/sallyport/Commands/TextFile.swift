// SPDX-License-Identifier: Apache-2.0
// Reading a file that somebody named, with words for what is wrong with it.

import Administration
import Foundation
import Glibc

enum TextFile {
    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            let reason = String(cString: strerror(errno))
            throw Refusal(.invalid, "The file cannot be read: \(reason).", remedy: "Check its name and who may read it.", place: path)
        }
        defer { try? handle.close() }
        let data: Foundation.Data?
        do { data = try handle.read(upToCount: limit + 1) } catch {
            throw Refusal(.invalid, "This cannot be read as a file.", remedy: "Name a CSV file, or - for standard input.", place: path)
        }
        guard let data, data.count <= limit else {
            guard data != nil else { return [] }
            throw Refusal(.invalid, "The file is larger than \(limit >> 20) MiB.", remedy: "Split it.", place: path)
        }
        return Array(data)
    }
}
