// SPDX-License-Identifier: Apache-2.0
// What is counted of connections over TLS, and why one does not come about.

internal import CoreMetrics
import RADIUS
internal import Synchronization
package import TLS

/// Why a connection over TLS was refused, as a stable word.
package enum ConnectionRefusal: Hashable, Sendable {
    case handshake(HandshakeFailure)
    case certificate(PeerRefusal.Cause)
    /// The peer proved who it is, and no client is that.
    case unknownClient
    /// The client is known, and not from this address.
    case address
    case clientDisabled
    case timeout
    case tooMany
    /// It waits: this process may open no more files.
    case noFiles

    package static let all =
        HandshakeFailure.allCases.map { ConnectionRefusal.handshake($0) }
        + PeerRefusal.Cause.allCases.map { ConnectionRefusal.certificate($0) } + [
            .unknownClient, .address, .clientDisabled, .timeout, .tooMany, .noFiles,
        ]

    package var word: String {
        switch self {
        case .handshake(let failure): failure.rawValue
        case .certificate(let cause): cause.rawValue
        case .unknownClient: "unknown_client"
        case .address: "address"
        case .clientDisabled: "client_disabled"
        case .timeout: "timeout"
        case .tooMany: "too_many"
        case .noFiles: "no_files"
        }
    }
}

final class TLSCounters: Sendable {
    private let established = Dictionary(
        uniqueKeysWithValues: RADIUSVersion.allCases.map { ($0, Tally("sallyport_radsec_connections_total", [("version", $0.rawValue)])) })
    private let refused = Dictionary(
        uniqueKeysWithValues: ConnectionRefusal.all.map { ($0, Tally("sallyport_radsec_refused_total", [("cause", $0.word)])) })
    private let open = Gauge(label: "sallyport_radsec_connections")
    private let openNow = Atomic<Int>(0)

    var openCount: Int { openNow.load(ordering: .relaxed) }

    func establish(_ version: RADIUSVersion) {
        established[version]?.add()
    }

    func refuse(_ refusal: ConnectionRefusal) {
        refused[refusal]?.add()
    }

    func refusals() -> [String: Int] {
        Dictionary(uniqueKeysWithValues: refused.compactMap { $1.count > 0 ? ($0.word, $1.count) : nil })
    }

    /// Connections that are through their handshake.
    func setOpen(_ count: Int) {
        openNow.store(count, ordering: .relaxed)
        open.record(count)
    }
}
