// SPDX-License-Identifier: Apache-2.0
// A real mail server (aiosmtpd) that keeps what it takes, as a process of its own.

import Foundation
import Glibc
import TestSupport
import Testing

struct SMTPServer: Sendable {
    /// What it refuses; Servers/smtp-server.py has the words.
    enum Mode: String, Sendable {
        case accept, grey, refuse, wrongSender = "wrong-sender", full, drop, auth, silent
    }

    struct Mail: Sendable {
        var head: [String]
        var body: String

        func field(_ name: String) -> String? {
            head.first { $0.lowercased().hasPrefix(name.lowercased() + ":") }.map { String($0.dropFirst(name.count + 2)) }
        }

        /// The first link in it.
        var link: String? {
            body.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("https://") }.map(String.init)
        }
    }

    let folder: TemporaryFolder
    let port: Int
    private let process: RunningProgram

    /// Debian's own interpreter: others do not see its packages.
    static let interpreter = "/usr/bin/python3"

    static var isHere: Bool {
        let required = (ProcessInfo.processInfo.environment["SALLYPORT_REQUIRE"] ?? "").split(separator: ",")
        return required.contains("aiosmtpd") || access("/usr/lib/python3/dist-packages/aiosmtpd", F_OK) == 0
    }

    static func start(_ mode: Mode = .accept, isTLS: Bool = false, certificate: TestAuthority.Issued? = nil) async throws -> SMTPServer {
        let folder = try TemporaryFolder()
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Servers/smtp-server.py"
        let shell = try #require(Program(installed: "sh"))
        let files = certificate.map { [$0.certificate, $0.key] } ?? []
        let process = try await shell.start(
            ["-c", "exec \"$@\"", "sh", interpreter, script, folder.path, (isTLS ? "tls-" : "") + mode.rawValue] + files)
        _ = try await eventually { access(folder.path + "/port", F_OK) == 0 || process.hasEnded }
        let text = folder.text(of: "port").trimmingCharacters(in: .whitespacesAndNewlines)
        return SMTPServer(folder: folder, port: try #require(Int(text), "\(process.errors)"), process: process)
    }

    var address: String { "127.0.0.1:\(port)" }

    func stop() async throws {
        process.signal(SIGKILL)
        _ = try await eventually { process.hasEnded }
    }

    /// In the order in which they came.
    var mails: [Mail] {
        (1...99).map { folder.text(of: "mail-\($0).eml") }.prefix { !$0.isEmpty }.map { text in
            let parts = text.components(separatedBy: "\r\n\r\n")
            return Mail(
                head: parts[0].replacing("\r\n ", with: " ").components(separatedBy: "\r\n"),
                body: Self.decoded(parts.dropFirst().joined(separator: "\r\n\r\n")))
        }
    }

    func waitForMails(_ count: Int) async throws -> [Mail] {
        _ = try await eventually { self.mails.count >= count }
        return mails
    }

    /// Quoted-printable.
    private static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.replacing("=\r\n", with: "").utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 0x3D, rest.count >= 2, let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A browser of few words: the program `curl`, which believes in one certificate alone.
struct PageClient: Sendable {
    let port: UInt16
    let authority: String

    struct Answer: Sendable {
        var status: Int
        var head: String
        var body: String
    }

    func get(_ link: String, _ more: [String] = []) async throws -> Answer {
        let curl = try #require(Program(installed: "curl"))
        let host = try #require(URL(string: link)?.host)
        let finished = try await curl.run(
            [
                "--silent", "--show-error", "--include", "--http1.1", "--cacert", authority, "--max-time", "20", "--connect-to",
                "\(host):443:127.0.0.1:\(port)", link,
            ] + more)
        #expect(finished.status == 0, "\(finished.errors)")
        let parts = finished.output.components(separatedBy: "\r\n\r\n")
        return Answer(
            status: finished.output.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) } ?? 0,
            head: parts[0].lowercased(),
            body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    func post(_ link: String, password: String, again: String? = nil, _ more: [String] = []) async throws -> Answer {
        try await get(
            link,
            [
                "--data-urlencode", "username=x", "--data-urlencode", "password=\(password)", "--data-urlencode",
                "again=\(again ?? password)",
            ] + more)
    }
}
