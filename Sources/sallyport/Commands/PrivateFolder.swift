// SPDX-License-Identifier: Apache-2.0
// A new folder for keys: nobody else can look into it, and nothing that is there is written over.

import Administration
import Foundation
import Glibc

final class PrivateFolder {
    let path: String
    private(set) var written: [String] = []

    /// Made before anything is issued: a folder that cannot be made costs nothing then.
    ///
    /// - Parameters:
    ///   - flag: which one named it.
    ///   - takesEmpty: whether it may be there, where it is this user's own and nothing is in it.
    init(_ path: String, flag: String = "--out", takesEmpty: Bool = false) throws(Refusal) {
        self.path = path
        guard mkdir(path, 0o700) == 0 else {
            let isThere = errno == EEXIST
            if isThere, takesEmpty, Self.isOwnAndEmpty(path), chmod(path, 0o700) == 0 { return }
            throw Refusal(
                isThere ? .conflict : .failed,
                isThere
                    ? takesEmpty ? "This is there already, and no empty folder of your own." : "This is there already."
                    : "The folder cannot be made: \(String(cString: strerror(errno))).",
                remedy: "Name a new folder with \(flag).", place: path)
        }
    }

    private static func isOwnAndEmpty(_ path: String) -> Bool {
        // A link could lead to a folder that others look into.
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            attributes[.type] as? FileAttributeType == .typeDirectory,
            (attributes[.ownerAccountID] as? NSNumber)?.uint32Value == geteuid(),
            let contents = try? FileManager.default.contentsOfDirectory(atPath: path)
        else { return false }
        return contents.isEmpty
    }

    /// Of letters, digits, dots and hyphens.
    static func name(for text: String) -> String {
        let name = String(text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "-" })
        return name.allSatisfy { $0 == "." || $0 == "-" } ? "certificate" : name
    }

    /// - Parameter name: with folders in it, which are made.
    func write(_ name: String, _ bytes: [UInt8]) throws(Refusal) {
        let parts = name.split(separator: "/").map(String.init)
        precondition(!parts.isEmpty && !parts.contains("..") && !parts.contains("."), "names of files are ours")
        var folder = path
        for part in parts.dropLast() {
            folder += "/" + part
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw Self.failed(folder) }
        }
        let file = folder + "/" + parts[parts.count - 1]
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failed(file) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: Data(bytes))
            try handle.close()
        } catch {
            throw Self.failed(file)
        }
        written.append(name)
    }

    /// Where nothing came of it.
    func discard() { if written.isEmpty { rmdir(path) } }

    private static func failed(_ file: String) -> Refusal {
        Refusal(.failed, "The file cannot be written: \(String(cString: strerror(errno))).", remedy: "Is there space?", place: file)
    }
}
