// SPDX-License-Identifier: Apache-2.0
// sallyport bench persist: load that outlives the server, and what it found.

import Administration
import ArgumentParser
import Directories
import Foundation
import LoginEngine
import RADIUS
import Synchronization

struct BenchPersist: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "persist", abstract: "Log users in across kills, full disks and overload, and notice wrong answers.",
        discussion: """
            Each user tries one code until it is known what became of it: accepted, or refused after a try that nobody answered.
            Exits 1 when a code was accepted twice, refused at its only try, or when its fate stayed unknown. SIGTERM ends the load;
            open tries are settled first.

            Example:
              sallyport bench persist --server 127.0.0.1:1812 --secret-file bench.secret --users 20000 --rate 3000 --seconds 60
            """)

    @Option(help: ArgumentHelp("Where the server is.", valueName: "host:port")) var server = "127.0.0.1:1812"
    @Option(help: ArgumentHelp("A file with the shared secret.", valueName: "file"), completion: .file()) var secretFile: String
    @OptionGroup var flags: BenchUserFlags
    @Option(help: ArgumentHelp("Tries a second, whatever the server does.", valueName: "count")) var rate = 1_000.0
    @Option(help: ArgumentHelp("Tries that wait for an answer, at most.", valueName: "count")) var window = 1_000_000
    @Option(help: ArgumentHelp("Source ports, each with 256 identifiers.", valueName: "count")) var sockets = 16
    @Option(help: ArgumentHelp("How long.", valueName: "seconds")) var seconds = 10.0
    @Option(help: ArgumentHelp("When an unanswered user tries again.", valueName: "seconds")) var patience = 5.0
    @Flag(help: "Send each user's last code again at the end.") var replay = false
    @Option(help: ArgumentHelp("Codes computed before the load begins.", valueName: "count")) var ahead = 1_000_000
    @Option(help: ArgumentHelp("Append every code and every answer to this.", valueName: "file"), completion: .file()) var journal: String?
    @Flag(name: .customLong("json"), help: "Print JSON.") var isJSON = false

    func validate() throws {
        guard flags.mode == .code || flags.mode == .password else { throw ValidationError("--mode is code or password here.") }
        guard (1...256).contains(sockets) else { throw ValidationError("--sockets is 1 to 256.") }
        guard (1...1_000_000).contains(rate), window > 0 else { throw ValidationError("--rate is 1 to 1000000, --window more than 0.") }
        guard seconds > 0, seconds <= 86_400, patience >= 0.05, patience <= 60 else {
            throw ValidationError("--seconds is up to 86400, --patience 0.05 to 60.")
        }
        guard (0...100_000_000).contains(ahead) else { throw ValidationError("--ahead is 0 to 100000000.") }
    }

    func run() throws {
        let address: ServerAddress
        do throws(ServerAddressError) {
            address = try ServerAddress.resolve(server)
        } catch {
            throw Refusal(.invalid, error.description, place: "--server")
        }
        var plan = PersistentPlan(
            server: address, secret: try ClientSecretSource.read(secretFile), users: flags.made, mode: flags.mode)
        plan.rate = rate
        plan.window = window
        plan.sockets = sockets
        plan.seconds = seconds
        plan.patience = patience
        plan.replays = replay && flags.mode.usesCounters
        plan.ahead = ahead
        plan.journal = journal
        PersistentLoad.isStopped.store(false, ordering: .relaxed)
        signal(SIGTERM) { _ in PersistentLoad.isStopped.store(true, ordering: .relaxed) }
        let tally = try PersistentLoad(plan).run()
        let output = Output(terminal: .current(), isJSON: isJSON)
        let report = PersistentReport(tally, plan)
        if isJSON { try output.json(report) } else { output.line(report.sentence) }
        guard tally.isClean else {
            throw Refusal(.failed, "The server gave answers that no server may give, or too few: \(report.sentence)")
        }
    }
}

struct PersistentTally {
    var seconds = 0.0
    var sent = 0
    var offered = 0
    var accepted = 0
    var acceptedInTime = 0
    var acceptedTwice = 0
    var usedUpUnheard = 0
    var wronglyRefused = 0
    var refusedAgain = 0
    var replayed = 0
    /// Answers after more than five seconds; to tries that are remembered, and to others.
    var late = 0
    var stale = 0
    var unanswered = 0
    var unresolved = 0
    var bad = 0
    /// Of accepts, from the try to its answer.
    var latency = LatencyHistogram()

    mutating func count(_ finding: CodeLedger.Finding) {
        switch finding {
        case .accepted: accepted += 1
        case .acceptedTwice: acceptedTwice += 1
        case .usedUpUnheard: usedUpUnheard += 1
        case .wronglyRefused: wronglyRefused += 1
        case .refusedAgain: refusedAgain += 1
        case .stale: stale += 1
        }
    }

    var isClean: Bool { acceptedTwice == 0 && wronglyRefused == 0 && unresolved == 0 && bad == 0 }
}

/// As `--json` prints it.
struct PersistentReport: Encodable {
    var mode: String
    var users: Int
    var rate: Double
    var seconds: Double
    /// Tries and accepts a second; accepts only within the five seconds that a gateway waits.
    var offered: Double
    var goodput: Double
    var accepted: Int
    var acceptedTwice: Int
    var usedUpUnheard: Int
    var wronglyRefused: Int
    var refusedAgain: Int
    var replayed: Int
    var late: Int
    var stale: Int
    var unanswered: Int
    var unresolved: Int
    var badReplies: Int
    var p50: Double?
    var p99: Double?

    init(_ tally: PersistentTally, _ plan: PersistentPlan) {
        mode = plan.mode.rawValue
        users = plan.users.count
        rate = plan.rate
        seconds = tally.seconds
        offered = Double(tally.offered) / max(0.001, tally.seconds)
        goodput = Double(tally.acceptedInTime) / max(0.001, tally.seconds)
        accepted = tally.accepted
        acceptedTwice = tally.acceptedTwice
        usedUpUnheard = tally.usedUpUnheard
        wronglyRefused = tally.wronglyRefused
        refusedAgain = tally.refusedAgain
        replayed = tally.replayed
        late = tally.late
        stale = tally.stale
        unanswered = tally.unanswered
        unresolved = tally.unresolved
        badReplies = tally.bad
        p50 = tally.latency.microseconds(at: 0.5)
        p99 = tally.latency.microseconds(at: 0.99)
    }

    var sentence: String {
        "\(Int(offered)) tries and \(Int(goodput)) accepts a second; \(accepted) accepted, \(usedUpUnheard) accepted unheard, "
            + "\(acceptedTwice) accepted twice, \(wronglyRefused) wrongly refused, \(unresolved) unresolved, \(late) late, \(badReplies) bad."
    }
}
