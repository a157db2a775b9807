// SPDX-License-Identifier: Apache-2.0
// The client's side of one RADIUS exchange: a signed Access-Request out, sent again as RFC 5080 §2.2.1 says, a genuine reply in.

internal import Glibc
package import LoginEngine
package import RADIUS

/// Blocks the calling thread while it waits; a value, so that every exchange has its own socket and identifier.
package struct RADIUSExchange: Sendable {
    package var server: ServerAddress
    package var secret: SharedSecret
    /// How long each try waits.
    package var timeout: Timestamp.Span = .seconds(5)
    package var tries = 3
    /// Whether a reply without Message-Authenticator is refused (CVE-2024-3596).
    package var requiresMessageAuthenticator = true

    package init(to server: ServerAddress, secret: SharedSecret) {
        self.server = server
        self.secret = secret
    }

    /// What is asked, before it gets an identifier and an authenticator.
    package struct Request: Sendable {
        package var userName: String
        package var password: Secret
        /// How the password is proved.
        package var scheme: PasswordScheme = .pap
        /// From the Access-Challenge that this answers.
        package var state: [UInt8]?
        package var nasIdentifier: String
        package var nasPort: UInt32?
        package var callingStation: String?
        package var sessionID: String?

        package init(userName: String, password: Secret, nasIdentifier: String) {
            self.userName = userName
            self.password = password
            self.nasIdentifier = nasIdentifier
        }
    }

    package struct Answer: Sendable {
        package var request: Packet
        package var reply: Packet
        /// From the first sending to the reply.
        package var duration: Timestamp.Span
        /// How often the request was sent.
        package var sendings: Int
    }

    /// What happens on the way, for who watches.
    package enum Step: Sendable {
        case sent(Packet, attempt: Int)
        /// A datagram that is no genuine reply; dropped, as RFC 2865 §3 says.
        case ignored(ReplyVerdict)
        case ignoredMalformed(PacketError)
    }

    /// The request as a packet, with Message-Authenticator first.
    package func packet(
        _ request: Request, random: inout some RandomNumberGenerator
    ) throws(RADIUSExchangeError) -> Packet {
        let identifier = UInt8.random(in: 0...255, using: &random)
        var writer = PacketWriter(request: .accessRequest, identifier: identifier, authenticator: Authenticator(using: &random))
        writer.addText(.userName, request.userName)
        guard request.password.reveal({ writer.add($0, by: request.scheme, userName: request.userName, secret: secret, random: &random) })
        else { throw .notHashable }
        writer.addText(.nasIdentifier, request.nasIdentifier)
        if let port = request.nasPort { writer.addInteger(.nasPort, port) }
        if let station = request.callingStation { writer.addText(.callingStationID, station) }
        if let session = request.sessionID { writer.addText(.acctSessionID, session) }
        if let state = request.state { writer.add(.state, state) }
        do throws(PacketError) {
            return try Packet(decoding: try writer.sign(with: secret))
        } catch {
            throw .notSendable(error)
        }
    }

    /// Sends and waits.
    ///
    /// - Parameter watch: told of every step, on this thread.
    package func perform(
        _ request: Request, random: inout some RandomNumberGenerator, watch: (Step) -> Void = { _ in }
    ) throws(RADIUSExchangeError) -> Answer {
        try exchange(try packet(request, random: &random), watch: watch)
    }

    /// The same of any request that is signed already.
    package func exchange(_ packet: Packet, watch: (Step) -> Void = { _ in }) throws(RADIUSExchangeError) -> Answer {
        let socket = try ConnectedSocket(server)
        let start = Self.uptime()
        var unsigned: ReplyVerdict?
        for attempt in 1...max(1, tries) {
            try socket.send(packet.bytes)
            watch(.sent(packet, attempt: attempt))
            let end = Self.uptime() + timeout
            while let datagram = try socket.receive(until: end) {
                let reply: Packet
                do throws(PacketError) {
                    reply = try Packet(decoding: datagram)
                } catch {
                    watch(.ignoredMalformed(error))
                    continue
                }
                let verdict = reply.verifyReply(
                    to: packet, secret: secret, requiringMessageAuthenticator: requiresMessageAuthenticator)
                guard verdict == .genuine else {
                    // Anybody can send one to this port, so the genuine reply is still waited for.
                    if verdict != .wrongIdentifier { unsigned = verdict }
                    watch(.ignored(verdict))
                    continue
                }
                return Answer(request: packet, reply: reply, duration: Self.uptime() - start, sendings: attempt)
            }
        }
        throw unsigned.map { .notGenuine(server, $0) } ?? .noAnswer(server, tries: max(1, tries), timeout: timeout)
    }

    static func uptime() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}

package enum RADIUSExchangeError: Error, Sendable, Equatable {
    case noAnswer(ServerAddress, tries: Int, timeout: Timestamp.Span)
    /// Nothing has the port (ICMP port unreachable).
    case refused(ServerAddress)
    case notGenuine(ServerAddress, ReplyVerdict)
    case cannotSend(ServerAddress, errno: Int32)
    /// A value does not fit into a packet.
    case notSendable(PacketError)
    /// MS-CHAP carries at most 256 characters.
    case notHashable
}

extension RADIUSExchangeError: CustomStringConvertible {
    package var description: String { "\(what) \(remedy)" }

    package var what: String {
        switch self {
        case .noAnswer(let server, let tries, let timeout):
            "No answer from \(server) to \(tries == 1 ? "one request" : "\(tries) sendings") in \(max(1, Int64(tries) * timeout.microseconds / 1_000_000)) s."
        case .refused(let server): "Nothing listens on \(server)."
        case .notGenuine(let server, .missingMessageAuthenticator): "\(server) answered without Message-Authenticator."
        case .notGenuine(let server, _): "\(server) answered, but the shared secret differs: its reply has a wrong signature."
        case .cannotSend(let server, let code): "Nothing can be sent to \(server): \(String(cString: strerror(code)))."
        case .notSendable(let error): "The request cannot be sent: \(error)"
        case .notHashable: "MS-CHAP cannot carry this password: it is longer than \(NTHash.longestPassword) characters, or no text."
        }
    }

    package var remedy: String {
        switch self {
        case .noAnswer:
            """
            A server is silent when the address or port is wrong, when it does not know this client's address, or when the shared secret \
            differs; its log says which.
            """
        case .refused: "Is the server running, and is that its address and port?"
        case .notGenuine(_, .missingMessageAuthenticator): "Update that server (CVE-2024-3596): its replies could be forged."
        case .notGenuine: "Give both sides the same shared secret."
        case .cannotSend: "Check the address and this machine's routes."
        case .notSendable, .notHashable: "Shorten what was given."
        }
    }
}

/// A connected UDP socket: only the server's datagrams arrive, and a closed port is told.
struct ConnectedSocket: ~Copyable {
    private let descriptor: Int32
    private let server: ServerAddress

    init(_ server: ServerAddress) throws(RADIUSExchangeError) {
        self.server = server
        descriptor = try Self.open(to: server)
    }

    /// A descriptor that the caller closes.
    static func open(to server: ServerAddress) throws(RADIUSExchangeError) -> Int32 {
        let isIPv4 = server.address.isIPv4
        let opened = socket(isIPv4 ? AF_INET : AF_INET6, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard opened >= 0 else { throw .cannotSend(server, errno: errno) }
        let status: Int32
        if isIPv4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = server.port.bigEndian
            name.sin_addr.s_addr = UInt32(truncatingIfNeeded: server.address.bits).bigEndian
            status = Self.connect(opened, &name)
        } else {
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = server.port.bigEndian
            withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: server.address.bytes) }
            status = Self.connect(opened, &name)
        }
        let code = errno
        guard status == 0 else {
            close(opened)
            throw .cannotSend(server, errno: code)
        }
        return opened
    }

    deinit { close(descriptor) }

    private static func connect<Name>(_ descriptor: Int32, _ name: inout Name) -> Int32 {
        withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Name>.size))
            }
        }
    }

    func send(_ bytes: [UInt8]) throws(RADIUSExchangeError) {
        while true {
            if Glibc.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL)) >= 0 { return }
            let code = errno
            switch code {
            case EINTR: continue
            // The kernel reports an ICMP error to an earlier packet here.
            case ECONNREFUSED: throw .refused(server)
            default: throw .cannotSend(server, errno: code)
            }
        }
    }

    /// The next datagram; nil when there was none until then.
    func receive(until end: Timestamp) throws(RADIUSExchangeError) -> [UInt8]? {
        // One byte more than a packet has, so that a longer datagram is noticed.
        var buffer = [UInt8](repeating: 0, count: Packet.maximumLength + 1)
        while true {
            let left = (end - RADIUSExchange.uptime()).microseconds
            guard left > 0 else { return nil }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&wanted, 1, Int32(clamping: (left + 999) / 1_000))
            if ready < 0, errno != EINTR { throw .cannotSend(server, errno: errno) }
            guard ready > 0 else { continue }
            let count = recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
            if count >= 0 { return Array(buffer[..<count]) }
            let code = errno
            switch code {
            case EINTR, EAGAIN: continue
            case ECONNREFUSED: throw .refused(server)
            default: throw .cannotSend(server, errno: code)
            }
        }
    }
}
