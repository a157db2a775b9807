// SPDX-License-Identifier: Apache-2.0
// The HTTP listeners of a node, one Hummingbird application each, under one service.

import Foundation
import Hummingbird
import HummingbirdCore
package import Logging
import LoginEngine
import NIOCore
import ServiceLifecycle
package import TLS

/// Why a listener could not be opened; one line, for exit code 69 (busy) or 78 (no such address, no right).
package struct WebDoorError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        case busy, notPermitted, noSuchAddress, failed
    }

    package var code: Code
    package var description: String
}

package struct WebService: Service {
    /// A connection that says nothing for so long is closed.
    static let idleTimeout = TimeAmount.seconds(30)

    private let plans: [Plan]
    private let board = BoundAddresses()
    private let logger: Logger
    private let headWithin: TimeAmount

    struct Plan {
        var kind: Kind
        var address: ListenAddress
    }

    package enum Kind: String, Sendable {
        case health, metrics
        /// Pages for people, over TLS.
        case pages = "public"
    }

    /// What is open to everybody on the network.
    package struct Pages: Sendable {
        package var listen: [ListenAddress]
        package var sources: PageSources
        /// What a connection that begins now is made from.
        package var certificates: @Sendable () -> TLSContext?

        package init(listen: [ListenAddress], sources: PageSources, certificates: @escaping @Sendable () -> TLSContext?) {
            (self.listen, self.sources, self.certificates) = (listen, sources, certificates)
        }
    }

    private let sources: WebSources
    private let pages: Pages?

    /// Two lists, because health is open to everybody and metrics are not.
    /// - Parameter headWithin: for a whole head of a request behind the opening of the connection.
    package init(
        health: [ListenAddress], metrics: [ListenAddress], pages: Pages? = nil, sources: WebSources, logger: Logger,
        headWithin: Duration = .seconds(3)
    ) {
        self.headWithin = TimeAmount(headWithin)
        self.sources = sources
        self.pages = pages
        plans =
            ListenAddress.separate(health).map { Plan(kind: .health, address: $0) }
            + ListenAddress.separate(metrics).map { Plan(kind: .metrics, address: $0) }
            + ListenAddress.separate(pages?.listen ?? []).map { Plan(kind: .pages, address: $0) }
        self.logger = logger
    }

    /// Where the listeners of a kind are, in the order given, once all are open. Throws what `run` throws when one cannot be opened.
    package func bound(_ kind: Kind) async throws -> [ListenAddress] {
        let all = try await board.wait()
        return zip(plans, all).filter { $0.0.kind == kind }.map(\.1)
    }

    /// Serves until the graceful shutdown; throws `WebDoorError` when an address cannot be had.
    package func run() async throws {
        board.expect(plans.count)
        do {
            guard !plans.isEmpty else {
                // Without listeners the service still lasts as long as the node.
                try? await gracefulShutdown()
                return
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, plan) in plans.enumerated() {
                    let listener = WebListener(
                        plan: plan, index: index, sources: sources, pages: pages, board: board, logger: logger, headWithin: headWithin)
                    group.addTask { try await listener.run() }
                }
                try await group.waitForAll()
            }
        } catch {
            board.fail(error)
            throw error
        }
        board.fail(CancellationError())
    }
}

extension WebDoorError {
    init(_ error: IOError, kind: WebService.Kind, address: ListenAddress) {
        let place = "web.\(kind.rawValue): \(address)"
        switch error.errnoCode {
        case EADDRINUSE:
            self.init(code: .busy, description: "\(place) is in use by another program; stop it, or choose another port")
        case EACCES, EPERM:
            self.init(
                code: .notPermitted, description: "\(place) may not be opened by this user; ports below 1024 need CAP_NET_BIND_SERVICE")
        case EADDRNOTAVAIL, EAFNOSUPPORT:
            self.init(code: .noSuchAddress, description: "\(place) is not an address of this machine")
        default:
            self.init(code: .failed, description: "\(place) cannot be opened: \(String(cString: strerror(error.errnoCode)))")
        }
    }
}
