// SPDX-License-Identifier: Apache-2.0
// Servers that nodes fetch from: files by HTTP with misbehaviour on demand, and the responder of the program `openssl`.

import Foundation
import Glibc
import TestSupport
import Testing

/// Serves the files of a folder; `/redirect`, `/long` and `/silent` are no files.
struct TestWeb: Sendable {
    let folder: TemporaryFolder
    let port: Int
    private let running: RunningProgram

    private static let script = """
        import http.server, os, sys, time
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", "http://127.0.0.1/elsewhere")
                    self.end_headers()
                elif self.path == "/long":
                    self.send_response(200)
                    self.end_headers()
                    try:
                        for _ in range(200): self.wfile.write(b"x" * 1000)
                    except OSError: pass
                elif self.path == "/silent":
                    time.sleep(5)
                else:
                    path = os.path.join(sys.argv[1], self.path.strip("/"))
                    if os.path.isfile(path):
                        self.send_response(200)
                        self.end_headers()
                        self.wfile.write(open(path, "rb").read())
                    else:
                        self.send_response(404)
                        self.end_headers()
            def log_message(self, *_): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print("PORT", server.server_port, flush=True)
        server.serve_forever()
        """

    static func start() async throws -> TestWeb {
        let folder = try TemporaryFolder()
        let python = try #require(Program(installed: "python3"))
        let running = try await python.start(["-c", script, folder.path])
        _ = try await eventually(seconds: 20) { running.output.contains("\n") || running.hasEnded }
        let port = try #require(running.output.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) }, "\(running.errors)")
        return TestWeb(folder: folder, port: port, running: running)
    }

    func address(_ path: String) -> String { "http://127.0.0.1:\(port)/\(path)" }

    func stop() async throws {
        running.signal(SIGTERM)
        _ = try await running.end()
    }
}

/// `openssl ocsp` as a server.
struct TestResponder: Sendable {
    let port: Int
    private let running: RunningProgram

    /// It reads once, when it starts, which certificates are revoked.
    ///
    /// - Parameter port: 0: any that is free.
    static func start(for authority: TestAuthority, port wanted: Int = 0) async throws -> TestResponder {
        let openssl = try #require(Program(installed: "openssl"))
        let running = try await openssl.start(authority.responder + ["-port", "\(wanted)"])
        // ACCEPT [::]:41951 PID=21309
        @Sendable func port() -> Int? {
            let line = running.output.split(separator: "\n").first { $0.hasPrefix("ACCEPT") && $0.contains("PID") }
            return line?.split(separator: " ").dropFirst().first?.split(separator: ":").last.flatMap { Int($0) }
        }
        _ = try await eventually(seconds: 20) { port() != nil || running.hasEnded }
        return TestResponder(port: try #require(port(), "\(running.output)\(running.errors)"), running: running)
    }

    var address: String { "http://127.0.0.1:\(port)/" }

    func stop() async throws {
        running.signal(SIGTERM)
        _ = try await running.end()
    }
}
