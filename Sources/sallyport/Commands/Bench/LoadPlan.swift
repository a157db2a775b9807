// SPDX-License-Identifier: Apache-2.0
// What a load is to be, and when its requests are due.

import Directories
import LoginEngine
import RADIUS
import TLS

struct LoadPlan {
    var server: ServerAddress
    /// Nil: the address that leads there.
    var source: NetworkAddress?
    var secret: SharedSecret
    var users: BenchUsers
    var mode: BenchMode
    var window = 64
    var sockets = 4
    /// Instead of datagrams from so many source ports.
    var tls: LoadTLS?
    var seconds = 10.0
    var warmup = 1.0
    /// Logins a second that are begun, whatever the server does; nil begins one where another ended.
    var rate: Double?
    var requiresMessageAuthenticator = true
    /// This share of the proofs is wrong on purpose.
    var wrongPercent = 0
    var firstCounter: UInt64 = 0
    /// Codes computed before the load begins.
    var ahead = 0
    /// How often a request is sent again after its answer (`BenchMode.duplicate`).
    var repetitions = 200
    /// So often it tells how things stand; nil: at the end alone.
    var interval: Double?
    /// Begins no more than so many logins; nil: until the time is over.
    var most: Int?
    /// Of EAP's devices.
    var newestTLS = TLSSettings.Version.tls13
    /// Who signs the devices' certificates of EAP-TLS.
    var deviceAuthority: IssuedCertificate?
    /// The server's process, when it runs here.
    var process: Int32?
    /// Where the server counts what it allocates (`ProcessCost.allocations`).
    var allocations: String?

    /// An unanswered request counts as lost after this.
    static let patience: UInt64 = 3_000_000_000
    /// Its identifier rests so long again, so that a late reply is known as one.
    static let rest: UInt64 = 10_000_000_000
    /// Packets that nobody answers tell nothing of when the next may follow.
    static let unansweredRate = 20_000.0
    /// They come as many at a time as logins are open in a closed loop: one by one, waking the server would be nearly all that is measured.
    static let unansweredBurst = 64
    /// Of so many accepts one is looked at for the server's own proof, which costs as much as half the login.
    static let proofSample = 16
}

/// When the requests of an open load are due: evenly, or so many at a time, whether or not the server keeps up. A latency counts from
/// then, so that a server that stands still for a while is charged for everything that would have come meanwhile.
struct Pace {
    private let start: UInt64
    private let perSecond: Double
    private let burst: Int
    private(set) var taken = 0

    init(from start: UInt64, perSecond: Double, burst: Int = 1) {
        self.start = start
        self.perSecond = perSecond
        self.burst = burst
    }

    var nextDue: UInt64 { start + UInt64(Double(taken / burst * burst) * 1e9 / perSecond) }

    /// When the next one was due; nil while none is.
    mutating func take(at now: UInt64) -> UInt64? {
        let due = nextDue
        guard due <= now else { return nil }
        taken += 1
        return due
    }
}
