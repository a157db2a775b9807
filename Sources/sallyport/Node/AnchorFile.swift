// SPDX-License-Identifier: Apache-2.0
// The file that anchors go to: a line each, whole or not at all, on disk before it counts; it may be rotated at any time.

import Administration
import Foundation
import Glibc

struct AnchorFile: Sendable {
    /// `-` is standard output, for commands.
    var path: String

    /// Most lines that are sent to be compared: the newest all, of the older ones a sample, since each vouches for all before it.
    static let mostLines = 8192

    func append(_ line: String) throws(Refusal) {
        if path == "-" { return Output.write(line + "\n", STDOUT_FILENO) }
        // Opened anew each time: whoever rotates the file renames it, and the next line makes a new one.
        let descriptor = Glibc.open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o640)
        guard descriptor >= 0 else { throw unusable("cannot be opened") }
        defer { Glibc.close(descriptor) }
        let length = lseek(descriptor, 0, SEEK_END)
        var last: UInt8 = 0x0A
        // A line that was cut by a full disk must not swallow the next one.
        if length > 0, pread(descriptor, &last, 1, length - 1) != 1 { throw unusable("cannot be read") }
        let bytes = Array(((last == 0x0A ? "" : "\n") + line + "\n").utf8)
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count, fsync(descriptor) == 0 || errno == EINVAL else { throw unusable("cannot be written") }
    }

    private func unusable(_ what: String) -> Refusal {
        let reason = String(cString: strerror(errno))
        return Refusal(
            .unavailable, "The file of anchors \(what): \(reason).", remedy: "Make it writable for this user, and free space.", place: path)
    }

    /// Refuses a place that is put back together with the database.
    func check(outside dataDirectory: String) throws(Refusal) {
        guard path != "-" else { return }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().resolvingSymlinksInPath().path
        let directory = URL(fileURLWithPath: dataDirectory).resolvingSymlinksInPath().path
        guard folder != directory, !folder.hasPrefix(directory + "/") else {
            throw Refusal(
                .invalid, "Anchors in the data directory prove nothing: whoever puts back an old database puts them back with it.",
                remedy: "Name a file elsewhere, best on another machine.", place: path)
        }
    }

    /// The lines of a file that hold an anchor, newest last; a log will do.
    func lines() throws -> [VerifyTrail.Line] {
        var lines: [VerifyTrail.Line] = []
        var number = 0
        try TextLines.read(path) { bytes in
            number += 1
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.contains("sallyport-anchor ") else { return }
            lines.append(VerifyTrail.Line(number: number, text: text))
            // The newer half stays whole.
            guard lines.count >= 2 * Self.mostLines else { return }
            lines =
                lines.prefix(Self.mostLines).enumerated().filter { $0.offset.isMultiple(of: 4) }.map(\.element)
                + lines.suffix(Self.mostLines)
        }
        return lines
    }
}

/// A file or standard input, line by line, however large.
enum TextLines {
    private static let piece = 1 << 16
    /// Nothing of ours writes a longer one.
    private static let longest = 1 << 20

    static func read(_ path: String, _ body: (ArraySlice<UInt8>) throws -> Void) throws {
        let descriptor = path == "-" ? STDIN_FILENO : Glibc.open(path, O_RDONLY | O_CLOEXEC)
        func unreadable() -> Refusal {
            Refusal(
                .invalid, "The file cannot be read: \(String(cString: strerror(errno))).", remedy: "Check its name and who may read it.",
                place: path)
        }
        guard descriptor >= 0 else { throw unreadable() }
        defer { if path != "-" { Glibc.close(descriptor) } }
        var rest: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: piece)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable() }
            if count == 0 { break }
            rest += buffer[..<count]
            var start = rest.startIndex
            while let end = rest[start...].firstIndex(of: 0x0A) {
                try body(rest[start..<end])
                start = end + 1
            }
            rest.removeFirst(start)
            guard rest.count <= longest else {
                throw Refusal(.invalid, "A line is longer than \(longest >> 20) MiB.", remedy: "Name the right file.", place: path)
            }
        }
        if !rest.isEmpty { try body(rest[...]) }
    }
}
