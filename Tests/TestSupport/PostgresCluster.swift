// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of this machine's packages, for one run of the tests: in a temporary folder, on a socket there, gone with the run.

internal import Foundation
internal import Synchronization

package final class PostgresCluster: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Where the server's programs are; Debian does not put them into the path.
    package static let programs: String? = {
        guard let folder = try? output("/bin/sh", ["-c", "pg_config --bindir"]).trimmingCharacters(in: .whitespacesAndNewlines),
            FileManager.default.isExecutableFile(atPath: folder + "/initdb")
        else { return nil }
        return folder
    }()

    /// Whether tests run on it; `SALLYPORT_REQUIRE=postgres` turns its absence into failures.
    package static let isHere =
        programs != nil || (ProcessInfo.processInfo.environment["SALLYPORT_REQUIRE"] ?? "").split(separator: ",").contains("postgres")

    private static let started = Result { try PostgresCluster() }

    /// The one that tests share, each in a schema of its own.
    package static func shared() throws -> PostgresCluster { try started.get() }

    /// Each test makes a schema of a hundred files: in memory, where there is plenty of it.
    private static var place: String {
        var space = statvfs()
        let isPlenty = statvfs("/dev/shm", &space) == 0 && UInt64(space.f_bavail) * UInt64(space.f_frsize) > 4 << 30
        return isPlenty ? "/dev/shm/" : NSTemporaryDirectory()
    }

    package let folder: String
    private let input: FileHandle
    private let output: FileHandle
    private let commands = Mutex<Void>(())

    package init() throws {
        guard let programs = Self.programs else {
            throw Failure(description: "PostgreSQL's initdb is not here: scripts/install-packages test")
        }
        folder = Self.place + "sallyport-pg-" + UUID().uuidString.prefix(8).lowercased()
        let (toShell, fromShell) = (Pipe(), Pipe())
        // The keeper ends when this end is closed: by the end of this process, and by no other program that it starts.
        _ = fcntl(toShell.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        _ = try ChildProcess(
            "/bin/sh", ["-c", Self.keeper, "sh", folder, programs], input: toShell.fileHandleForReading.fileDescriptor,
            output: fromShell.fileHandleForWriting.fileDescriptor)
        try toShell.fileHandleForReading.close()
        try fromShell.fileHandleForWriting.close()
        input = toShell.fileHandleForWriting
        output = fromShell.fileHandleForReading
        try expectReady()
    }

    /// Stops the server and removes it when its input ends, however the tests end.
    private static let keeper = """
        dir=$1 bin=$2
        as() { if [ "$(id -u)" = 0 ]; then (cd / && exec runuser -u postgres -- "$@"); else "$@"; fi; }
        start() {
            as "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/log" \
                -o "-k $dir -c listen_addresses= -c max_connections=900 -c shared_buffers=64MB -c max_wal_senders=0 -c wal_level=minimal" \
                start </dev/null >>"$dir/out" 2>&1
        }
        stop() { as "$bin/pg_ctl" -D "$dir/data" -w -m "$1" stop </dev/null >>"$dir/out" 2>&1; }
        tell() { if [ "$1" = 0 ]; then echo ready; else tail -n 5 "$dir/out" "$dir/log" 2>/dev/null | tr '\\n' ' '; echo; fi; }
        trap '' INT TERM HUP
        mkdir -m 755 "$dir" && { [ "$(id -u)" != 0 ] || chown postgres "$dir"; } &&
            as "$bin/initdb" -D "$dir/data" -A trust -U sallyport -E UTF8 --locale=C --no-sync </dev/null >"$dir/out" 2>&1 && start
        tell $?
        while read -r word; do
            case $word in
            stop) stop fast ;;
            crash) stop immediate ;;
            start) start ;;
            esac
            tell $?
        done
        stop immediate
        rm -rf "$dir"
        """

    private func expectReady() throws {
        var line: [UInt8] = []
        while let byte = try output.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") { line.append(byte) }
        let text = String(decoding: line, as: UTF8.self)
        guard text == "ready" else { throw Failure(description: "PostgreSQL: \(text)") }
    }

    private func command(_ word: String) throws {
        try commands.withLock { _ in
            try input.write(contentsOf: Data((word + "\n").utf8))
            try expectReady()
        }
    }

    package func start() throws { try command("start") }
    /// As an administrator does it: sessions are ended.
    package func stop() throws { try command("stop") }
    /// As a power cut does it.
    package func crash() throws { try command("crash") }

    /// - Parameter schema: that the session works in; it is made by whoever wants it.
    package func url(schema: String = "public") -> String {
        "postgresql:///postgres?host=\(folder)&user=sallyport&options=-csearch_path%3D\(schema)"
    }

    /// What one statement gives, as psql prints it.
    @discardableResult
    package func ask(_ sql: String) throws -> String {
        try Self.output((Self.programs ?? "") + "/psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url()])
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A schema of its own, and the address of it.
    package func newSchema() throws -> String {
        let name = "t_" + UUID().uuidString.prefix(12).lowercased().replacing("-", with: "")
        try ask("CREATE SCHEMA \(name)")
        return url(schema: name)
    }

    /// Ends it; that of the whole run ends with the run.
    package func end() { try? input.close() }

    private static func output(_ path: String, _ arguments: [String]) throws -> String {
        let pipe = Pipe()
        let process = try ChildProcess(path, arguments, output: pipe.fileHandleForWriting.fileDescriptor)
        try pipe.fileHandleForWriting.close()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        guard process.wait() == 0 else { throw Failure(description: "\(path) failed") }
        return String(decoding: data, as: UTF8.self)
    }
}
