// SPDX-License-Identifier: Apache-2.0
// sallyport bench hold: logins that nobody decides, so that they wait at the server while something else is measured.

import Administration
import ArgumentParser
import CSockets
import Directories
import Foundation
import LoginEngine
import RADIUS
import Synchronization

struct BenchHold: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Begin logins that wait, and see that none is answered.",
        discussion: """
            For users whose directory is silent (`bench prepare --waiting`). Sends one request of each, says so, and listens until the
            seconds are over or SIGTERM comes. Nothing is sent again.

            Example:
              sallyport bench hold --server 127.0.0.1:1812 --secret-file bench.secret --users 10000 --user-prefix wu --sockets 50
            """, shouldDisplay: false)

    @Option(help: ArgumentHelp("Where the server is.", valueName: "host:port")) var server = "127.0.0.1:1812"
    @Option(help: ArgumentHelp("A file with the shared secret.", valueName: "file"), completion: .file()) var secretFile: String
    @OptionGroup var flags: BenchUserFlags
    @Option(help: ArgumentHelp("The address to send from.", valueName: "address")) var source: String?
    @Option(help: ArgumentHelp("Source ports, each with 256 identifiers.", valueName: "count")) var sockets = 50
    @Option(help: ArgumentHelp("Logins begun a second.", valueName: "count")) var rate = 2_000.0
    @Option(help: ArgumentHelp("How long they are held.", valueName: "seconds")) var seconds = 60.0
    @Flag(name: .customLong("json"), help: "Print JSON.") var isJSON = false

    private static let isStopped = Atomic<Bool>(false)

    func validate() throws {
        guard (1...256).contains(sockets), flags.users <= 256 * sockets else {
            throw ValidationError("--sockets is 1 to 256, and holds 256 users each.")
        }
        guard (1...1_000_000).contains(rate), seconds > 0, seconds <= 86_400 else {
            throw ValidationError("--rate is 1 to 1000000, --seconds up to 86400.")
        }
        guard source.map({ NetworkAddress($0) != nil }) ?? true else { throw ValidationError("--source is an IP address.") }
    }

    func run() throws {
        let address: ServerAddress
        do throws(ServerAddressError) {
            address = try ServerAddress.resolve(server)
        } catch {
            throw Refusal(.invalid, error.description, place: "--server")
        }
        let held = try HeldLogins(
            flags.made, at: address, try ClientSecretSource.read(secretFile), from: source.flatMap { NetworkAddress($0) }, ports: sockets)
        signal(SIGTERM) { _ in Self.isStopped.store(true, ordering: .relaxed) }
        let isStopped = { Self.isStopped.load(ordering: .relaxed) }
        try held.begin(perSecond: rate, isStopped: isStopped)
        Output.write("holding\n", STDERR_FILENO)
        let end = monotonicNanoseconds() + UInt64(seconds * 1e9)
        while monotonicNanoseconds() < end, !isStopped() { try held.listen(50_000_000) }
        let output = Output(terminal: .current(), isJSON: isJSON)
        let report = HeldReport(sent: held.sent, ports: sockets, answered: held.answered)
        if isJSON {
            try output.json(report)
        } else {
            output.line("\(report.sent) logins were held from \(report.ports) source ports; \(report.answered) were answered.")
        }
    }
}

struct HeldReport: Encodable {
    var sent: Int
    var ports: Int
    var answered: Int
}

/// One request of each user, spread over the ports; what is answered is counted.
final class HeldLogins {
    private let users: BenchUsers
    private let forge: RequestForge
    private let ports: [LoadSocket]
    private(set) var sent = 0
    private(set) var answered = 0

    init(_ users: BenchUsers, at server: ServerAddress, _ secret: SharedSecret, from source: NetworkAddress?, ports: Int) throws {
        self.users = users
        forge = RequestForge(secret)
        self.ports = try (0..<ports).map { _ in try LoadSocket(to: server, from: source) }
    }

    func begin(perSecond rate: Double, isStopped: () -> Bool) throws {
        var random = FastRandom(state: monotonicNanoseconds())
        let password = BenchUsers.password.reveal { $0 }
        var pace = Pace(from: monotonicNanoseconds(), perSecond: rate)
        while sent < users.count, !isStopped() {
            while sent < users.count, pace.take(at: monotonicNanoseconds()) != nil {
                ports[sent % ports.count].queue { bytes in
                    forge.write(
                        identifier: UInt8(sent / ports.count), authenticator: Authenticator(using: &random),
                        name: Array(users.name(sent).utf8), proof: .password(password), state: nil, to: &bytes)
                }
                sent += 1
            }
            for port in ports { try port.flush() }
            let now = monotonicNanoseconds()
            try listen(pace.nextDue > now ? pace.nextDue - now : 0)
        }
    }

    func listen(_ nanoseconds: UInt64) throws {
        let descriptors = ports.map(\.descriptor)
        guard datagrams_wait_readable(descriptors, descriptors.count, nanoseconds) else { return }
        var wanted = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&wanted, nfds_t(wanted.count), 0) > 0 else { return }
        for (index, entry) in wanted.enumerated() where entry.revents != 0 { try ports[index].receive { _ in answered += 1 } }
    }
}
