// SPDX-License-Identifier: Apache-2.0
// sallyport bench radius: the load generator's options.

import Administration
import ArgumentParser
import Directories
import Foundation
import LoginEngine
import RADIUS
import TLS

struct BenchRADIUS: ParsableCommand {
    enum ReplySignature: String, ExpressibleByArgument, CaseIterable {
        case require, any
    }

    static let configuration = CommandConfiguration(
        commandName: "radius", abstract: "Log users in as fast as a RADIUS server answers.",
        discussion: """
            Every reply's Response Authenticator and Message-Authenticator is verified, and with mschapv2 the server's own proof in one
            accept of 16. A request without an answer after 3 s is lost. Latencies are those of whole logins, or of accounting records;
            the generator's own cost is for each request. duplicate, unknown, wrong-code, bad-signature, accounting and half-open are
            played on data prepared for code. By EAP every login is a full handshake, and the keys of each accept are verified. By TLS the shared secret is `radsec`.

            Example:
              sallyport bench radius --server 127.0.0.1:1812 --secret-file bench.secret --users 1000 --mode code --window 64 --seconds 10
            """)

    @Option(help: ArgumentHelp("Where the server is.", valueName: "host:port")) var server = "127.0.0.1:1812"
    @Option(help: ArgumentHelp("A file with the shared secret.", valueName: "file"), completion: .file()) var secretFile: String?
    @OptionGroup var flags: BenchUserFlags
    @OptionGroup var tls: BenchTLSFlags
    @Option(help: ArgumentHelp("Logins that are open at a time; with --rate, at most.", valueName: "count")) var window: Int?
    @Option(
        help: ArgumentHelp(
            "Begin so many logins a second, whatever the server does; latencies count from when one was due.", valueName: "count"))
    var rate: Double?
    @Option(help: ArgumentHelp("The address to send from.", valueName: "address")) var source: String?
    @Option(help: ArgumentHelp("Source ports, each with 256 identifiers.", valueName: "count")) var sockets = 4
    @Option(help: ArgumentHelp("How long it measures.", valueName: "seconds")) var seconds = 10.0
    @Option(help: ArgumentHelp("How long it runs before.", valueName: "seconds")) var warmup = 1.0
    @Option(help: ArgumentHelp("require or any: whether a reply must carry Message-Authenticator.", valueName: "rule"))
    var replyMa: ReplySignature = .require
    @Option(help: ArgumentHelp("This share of the proofs is wrong on purpose.", valueName: "percent")) var wrong = 0
    @Option(help: ArgumentHelp("HOTP: the counter every user begins with.", valueName: "number")) var firstCounter: UInt64 = 0
    @Option(help: ArgumentHelp("HOTP: codes computed before the load begins.", valueName: "count")) var ahead: Int?
    @Option(help: ArgumentHelp("duplicate: how often each request is sent again.", valueName: "count")) var repetitions = 200
    @Option(help: ArgumentHelp("No more than so many logins.", valueName: "count")) var most: Int?
    @Option(help: ArgumentHelp("The number of the first user.", valueName: "number")) var firstUser = 0
    @Option(name: .customLong("newest-tls"), help: ArgumentHelp("EAP: the newest TLS, 1.2 or 1.3.", valueName: "version")) var newestTLS =
        "1.3"
    @Option(
        help: ArgumentHelp("eap-tls: a file with certificate and key of who signs the devices' certificates.", valueName: "file"),
        completion: .file())
    var deviceAuthority: String?
    @Option(help: ArgumentHelp("Where the server's allocations are counted (scripts/bench).", valueName: "file")) var allocations: String?
    @Option(help: ArgumentHelp("Tell how things stand so often, on standard error.", valueName: "seconds")) var every: Double?
    @Option(help: ArgumentHelp("The server's process, to tell what it costs.", valueName: "pid")) var serverPid: Int32?
    @Flag(name: .customLong("json"), help: "Print JSON.") var isJSON = false

    func validate() throws {
        guard (1...64).contains(sockets) else { throw ValidationError("--sockets is 1 to 64.") }
        guard (1...(128 * ways)).contains(openAtMost) else {
            throw ValidationError("--window is 1 to \(128 * ways) with \(ways) \(tls.isWanted ? "connections" : "sockets").")
        }
        guard secretFile != nil || tls.isWanted else { throw ValidationError("Give the shared secret by --secret-file.") }
        guard every.map({ (0.1...3_600).contains($0) }) ?? true else { throw ValidationError("--every is 0.1 to 3600 seconds.") }
        guard rate.map({ (1...1_000_000).contains($0) }) ?? true else { throw ValidationError("--rate is 1 to 1000000.") }
        guard most.map({ $0 > 0 }) ?? true, (0...10_000_000).contains(firstUser) else {
            throw ValidationError("--most is at least 1, --first-user 0 to 10000000.")
        }
        guard ["1.2", "1.3"].contains(newestTLS) else { throw ValidationError("--newest-tls is 1.2 or 1.3.") }
        guard (deviceAuthority != nil) == flags.mode.showsCertificates,
            deviceAuthority == nil || flags.users <= LoadDevices.mostWithCertificates
        else { throw ValidationError("eap-tls takes --device-authority, and 20000 users at most.") }
        guard (1...1_000_000).contains(repetitions) else { throw ValidationError("--repetitions is 1 to 1000000.") }
        guard source.map({ NetworkAddress($0) != nil }) ?? true else { throw ValidationError("--source is an IP address.") }
        guard openAtMost <= flags.users else {
            throw ValidationError("--window is larger than --users: a user would log in twice at a time.")
        }
        guard seconds > 0, seconds <= 86_400, warmup >= 0, warmup <= 3_600 else {
            throw ValidationError("--seconds and --warmup are seconds.")
        }
        guard (0...100).contains(wrong) else { throw ValidationError("--wrong is 0 to 100 percent.") }
        guard wrong == 0 || flags.mode.canBeWrong else { throw ValidationError("--wrong is not for \(flags.mode.rawValue).") }
    }

    /// Source ports or connections.
    private var ways: Int { tls.isWanted ? tls.connections : sockets }
    private var openAtMost: Int { window ?? (rate == nil ? 64 : min(128 * ways, flags.users)) }

    func run() throws {
        let address: ServerAddress
        do throws(ServerAddressError) {
            address = try ServerAddress.resolve(server)
        } catch {
            throw Refusal(.invalid, error.description, place: "--server")
        }
        guard let secret = try secretFile.map({ try ClientSecretSource.read($0) }) ?? SharedSecret(LoadTLS.secret) else { return }
        var users = flags.made
        users.first = firstUser
        var plan = LoadPlan(server: address, secret: secret, users: users, mode: flags.mode)
        plan.most = most
        plan.newestTLS = newestTLS == "1.2" ? .tls12 : .tls13
        plan.tls = try tls.made()
        if let deviceAuthority {
            let pem = Array(try TextFile.read(deviceAuthority, limit: 64 << 10))
            plan.deviceAuthority = IssuedCertificate(certificate: pem, key: pem)
        }
        plan.interval = every
        plan.window = openAtMost
        plan.rate = rate
        plan.source = source.flatMap { NetworkAddress($0) }
        plan.repetitions = repetitions
        plan.allocations = allocations
        plan.sockets = sockets
        plan.seconds = seconds
        plan.warmup = warmup
        // RFC 2866 knows no Message-Authenticator.
        plan.requiresMessageAuthenticator = replyMa == .require && flags.mode != .accounting
        plan.wrongPercent = wrong
        plan.firstCounter = firstCounter
        plan.ahead = ahead ?? min(4_000_000, Int((seconds + warmup) * 100_000))
        plan.process = serverPid
        let output = Output(terminal: .current(), isJSON: isJSON)
        let generator = try LoadGenerator(plan)
        generator.told = { [isJSON] interval in Output.write(Self.line(interval, isJSON: isJSON) + "\n", STDERR_FILENO) }
        let tally = try generator.run()
        let report = LoadReport(tally, plan)
        if isJSON { try output.json(report) } else { report.show(output) }
        guard tally.replies > 0 || !flags.mode.isAnswered else {
            throw Refusal(
                .unavailable, tally.bad > 0 ? "No reply of \(address) was genuine." : "No answer from \(address).",
                remedy: "Check address, port and shared secret; the server's log tells what it drops.")
        }
    }

    private static func line(_ interval: LoadInterval, isJSON: Bool) -> String {
        if isJSON, let bytes = try? JSONEncoder().encode(interval) { return String(decoding: bytes, as: UTF8.self) }
        let rate = Int((Double(interval.accepted) / max(0.001, interval.seconds)).rounded())
        return "\(rate) accepted/s, \(interval.rejected) rejected, \(interval.lost) lost, \(interval.late) late, "
            + "p99 \(Int(interval.p99 ?? 0)) us, server \((interval.serverKilobytes ?? 0) / 1_024) MB"
    }
}

/// Connections instead of datagrams.
struct BenchTLSFlags: ParsableArguments {
    @Option(help: ArgumentHelp("TLS: the certificate to show.", valueName: "file"), completion: .file()) var tlsCertificate: String?
    @Option(help: ArgumentHelp("TLS: its key.", valueName: "file"), completion: .file()) var tlsKey: String?
    @Option(help: ArgumentHelp("TLS: who signed the server's certificate.", valueName: "file"), completion: .file())
    var tlsAuthority: String?
    @Option(help: ArgumentHelp("TLS: connections, each with 256 identifiers.", valueName: "count")) var connections = 1

    var isWanted: Bool { tlsCertificate != nil }

    func validate() throws {
        guard (tlsCertificate == nil) == (tlsKey == nil), (tlsCertificate == nil) == (tlsAuthority == nil) else {
            throw ValidationError("--tls-certificate, --tls-key and --tls-authority belong together.")
        }
        guard (1...10_000).contains(connections) else { throw ValidationError("--connections is 1 to 10000.") }
        guard connections == 1 || isWanted else { throw ValidationError("--connections is for TLS.") }
    }

    func made() throws -> LoadTLS? {
        guard let tlsCertificate, let tlsKey, let tlsAuthority else { return nil }
        return try LoadTLS(certificate: tlsCertificate, key: tlsKey, authority: tlsAuthority, connections: connections)
    }
}
