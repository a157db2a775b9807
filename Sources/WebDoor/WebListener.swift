// SPDX-License-Identifier: Apache-2.0
// One HTTP listener: its routes, its bounds, and TLS where it is open to people.

import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import TLS

/// A type of its own: an async method of `WebService` called from the tasks of its own group was compiled to a call of nothing.
struct WebListener: Sendable {
    let plan: WebService.Plan
    /// Its place among those that were asked for.
    let index: Int
    let sources: WebSources
    let pages: WebService.Pages?
    let board: BoundAddresses
    let logger: Logger
    let headWithin: TimeAmount

    func run() async throws {
        let made: any Service
        switch plan.kind {
        case .health: made = application(Routes.health(sources), by: http(OpenConnections(), headWithin))
        case .metrics: made = application(Routes.metrics(sources), by: http(OpenConnections(), headWithin))
        case .pages:
            guard let pages else { return }
            // A phone on a slow network takes a while for a handshake.
            let builder = https(OpenConnections(limit: 1_024, ofASource: 64), TimeAmount.seconds(15), pages.certificates)
            made = application(PageRoutes(pages.sources).router(), by: builder)
        }
        do {
            try await made.run()
        } catch let error as IOError {
            throw WebDoorError(error, kind: plan.kind, address: plan.address)
        }
    }

    private func configuration(_ connections: OpenConnections, _ headWithin: TimeAmount) -> HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            additionalChannelHandlers: ConnectionGuard.handlers(connections, headWithin: headWithin), idleTimeout: WebService.idleTimeout)
    }

    private func http(_ connections: OpenConnections, _ headWithin: TimeAmount) -> HTTPServerBuilder {
        .http1(configuration: configuration(connections, headWithin))
    }

    private func https(
        _ connections: OpenConnections, _ headWithin: TimeAmount, _ certificates: @escaping @Sendable () -> TLSContext?
    ) -> HTTPServerBuilder {
        var configuration = configuration(connections, headWithin)
        // Whoever is open to everybody believes in no head of 80 KiB.
        configuration.httpDecoder = .init(maxHeaderFieldSize: 8_192, maxHeaderListSize: 16_384, maxHeaderFieldCount: 100)
        let made = configuration
        return HTTPServerBuilder { responder in
            TLSChannel(base: HTTP1Channel(responder: responder, configuration: made), certificates: certificates)
        }
    }

    private func application<Context: InitializableFromSource & RequestContext>(
        _ router: Router<Context>, by builder: HTTPServerBuilder
    ) -> any Service where Context.Source == ApplicationRequestContextSource {
        var quiet = logger
        // What a port scanner sends is no news for whoever runs the node.
        quiet.logLevel = max(logger.logLevel, .warning)
        return Application(
            router: router, server: builder,
            configuration: ApplicationConfiguration(address: .hostname(plan.address.hostText, port: Int(plan.address.port))),
            onServerRunning: { channel in
                let address = ListenAddress(host: plan.address.host, port: UInt16(channel.localAddress?.port ?? Int(plan.address.port)))
                logger.info("listening", metadata: ["door": "\(plan.kind.rawValue)", "address": "\(address)"])
                board.set(address, at: index)
            },
            logger: quiet)
    }
}
