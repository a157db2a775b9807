// SPDX-License-Identifier: Apache-2.0
// The administrator's own dictionaries: files in FreeRADIUS's format beside the data.

import Administration
import Foundation
import RADIUS

enum DictionaryFolder {
    static let name = "dictionaries"

    /// The built-in attributes and those of the folder; a node takes its files up when it starts.
    ///
    /// A file `dictionary` says by itself which others it includes, as FreeRADIUS's does. Without one, every `dictionary.NAME` and
    /// `NAME.dictionary` is read, by name.
    /// - Throws: `.configuration` with file, line and what to do.
    static func read(in dataDirectory: String) throws(Refusal) -> ReplyDictionary {
        let folder = dataDirectory + "/" + name
        guard FileManager.default.fileExists(atPath: folder) else { return ReplyDictionary() }
        let files: [String]
        do { files = try FileManager.default.contentsOfDirectory(atPath: folder) } catch {
            throw Refusal(
                .configuration, "The folder of your dictionaries cannot be read.",
                remedy: "Let the user that runs Sallyport read it (chmod and chown), or take it away.", place: folder)
        }
        var names = files.filter { ($0.hasPrefix("dictionary.") || $0.hasSuffix(".dictionary")) && !$0.hasPrefix(".") }.sorted()
        if files.contains("dictionary") { names = ["dictionary"] }
        var dictionary = AttributeDictionary.builtIn
        for name in names {
            guard let text = text(of: folder + "/" + name) else {
                throw Refusal(
                    .configuration, "This dictionary cannot be read.",
                    remedy: "It must be a file of at most \(AttributeDictionary.maximumFileLength) bytes; or take it away.",
                    place: "\(folder)/\(name)")
            }
            do throws(DictionaryError) {
                try dictionary.read(text, named: name) { self.text(of: folder + "/" + $0) }
            } catch {
                throw Refusal(
                    .configuration, "This dictionary has a mistake: \(error.problem).",
                    remedy: "Correct the file, or take it out of the folder.", place: "\(folder)/\(error.file):\(error.line)")
            }
        }
        return ReplyDictionary(dictionary)
    }

    /// Old dictionaries have comments in Latin-1; names are ASCII, so what is no UTF-8 may be replaced.
    private static func text(of path: String) -> String? {
        guard let handle = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? handle.close() }
        do {
            // At the end of a file, as of an empty one, there is nothing instead of no bytes.
            let bytes = try handle.read(upToCount: AttributeDictionary.maximumFileLength + 1) ?? Data()
            return bytes.count <= AttributeDictionary.maximumFileLength ? String(decoding: bytes, as: UTF8.self) : nil
        } catch {
            return nil
        }
    }
}
