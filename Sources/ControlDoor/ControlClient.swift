// SPDX-License-Identifier: Apache-2.0
// A command's end of the control socket. It blocks a thread of its own, never a task's.

package import Administration
internal import Dispatch
internal import Foundation
internal import Glibc
internal import Synchronization

package final class ControlClient: Sendable {
    private let socket: CInt
    /// One request at a time.
    private let turn = DispatchQueue(label: "control-client")
    /// What the node calls itself.
    package let node: String
    package let release: String

    /// A node that is alive greets at once; one that hangs must not hang its administrator.
    package static let greetingSeconds = 10

    /// - Returns: nil when no node listens there: no socket, or one that a dead node left behind.
    package static func connect(
        dataDirectory: String, release: String, greetingSeconds: Int = ControlClient.greetingSeconds
    ) async throws(Refusal) -> ControlClient? {
        let path = try ControlWire.path(in: dataDirectory)
        let result: Result<ControlClient?, Refusal> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: Result { () throws(Refusal) in try open(path, release: release, greetingSeconds) })
            }
        }
        return try result.get()
    }

    private init(socket: CInt, node: String, release: String) {
        self.socket = socket
        self.node = node
        self.release = release
    }

    deinit {
        close(socket)
    }

    package func perform<Kind: AdminOperation>(_ operation: Kind) async throws(Refusal) -> Kind.Answer {
        let body: Data
        do { body = try JSONEncoder().encode(operation) } catch { throw Refusal(.failed, "The request cannot be written as JSON.") }
        let answer = try await exchange(ControlRequest(verb: Kind.verb, body: body).frame)
        do {
            return try JSONDecoder().decode(Kind.Answer.self, from: answer)
        } catch {
            throw Refusal(
                .failed, "The node's answer cannot be read.", remedy: "Use the `sallyport` of the node's own release (\(release)).")
        }
    }

    /// One frame there, one frame back.
    func exchange(_ frame: Data) async throws(Refusal) -> Data {
        let result: Result<Data, Refusal> = await withCheckedContinuation { continuation in
            turn.async { [socket] in
                continuation.resume(
                    returning: Result { () throws(Refusal) in
                        // A node that refuses a frame closes before it has read all of it: its reason still waits to be read.
                        let isWritten = Self.write(framed(frame), to: socket)
                        guard let answer = try Self.read(from: socket) else { throw Self.lost(afterWriting: isWritten) }
                        return try ControlAnswer.open(answer)
                    })
            }
        }
        return try result.get()
    }

    private static func lost(afterWriting isWritten: Bool) -> Refusal {
        Refusal(
            .unavailable, "The node closed the connection before it answered.",
            remedy: isWritten
                ? "It may have done what was asked: look before you repeat it. See the node's log."
                : "Nothing was changed. See the node's log.")
    }
}

extension ControlClient {
    private static func open(_ path: String, release: String, _ greetingSeconds: Int) throws(Refusal) -> ControlClient? {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw Refusal(.failed, "No socket can be made: \(reason(errno)).") }
        var isKept = false
        defer { if !isKept { close(socket) } }

        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        if status != 0 {
            switch errno {
            case ENOENT, ECONNREFUSED, ENOTDIR: return nil
            case EACCES, EPERM:
                throw Refusal(
                    .unavailable, "\(path): you may not speak to the node (\(reason(EACCES))).",
                    remedy: "Run the command as the node's user or root, with sudo.")
            default:
                throw Refusal(.unavailable, "\(path): the node cannot be reached (\(reason(errno))).", remedy: "See the node's log.")
            }
        }
        limit(seconds: greetingSeconds, socket)
        let own = Greeting(sallyport: ControlWire.version, release: release, node: nil)
        let hung = Refusal(
            .unavailable, "\(path): the node does not greet.", remedy: "It may hang or be starting: try again, then see its log.")
        guard let frame = try? JSONEncoder().encode(own), write(framed(frame), to: socket), let reply = try read(from: socket) else {
            throw hung
        }
        guard let greeting = try? JSONDecoder().decode(Greeting.self, from: reply) else {
            // Not a greeting: it is a refusal that says why, or no node of ours.
            _ = try ControlAnswer.open(reply)
            throw hung
        }
        try greeting.check(against: "node")
        limit(seconds: 0, socket)
        isKept = true
        return ControlClient(socket: socket, node: greeting.node ?? "", release: greeting.release)
    }

    private static func limit(seconds: Int, _ socket: CInt) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    private static func reason(_ code: CInt) -> String { String(cString: strerror(code)) }

    private static func write(_ bytes: [UInt8], to socket: CInt) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count > 0 { rest = rest.dropFirst(count) } else if count < 0, errno == EINTR { continue } else { return false }
        }
        return true
    }

    /// - Returns: nil when the other end closed or did not answer in time.
    private static func read(from socket: CInt) throws(Refusal) -> Data? {
        guard let head = read(4, from: socket) else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        guard length <= ControlWire.longestAnswer else {
            throw Refusal(.failed, "The node's answer is longer than any of the control protocol.")
        }
        return read(length, from: socket).map { Data($0) }
    }

    private static func read(_ count: Int, from socket: CInt) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress.map { $0 + filled }, count - filled, 0) }
            if got > 0 { filled += got } else if got < 0, errno == EINTR { continue } else { return nil }
        }
        return bytes
    }
}
