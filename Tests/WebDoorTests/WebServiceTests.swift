// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

@testable import WebDoor

@Suite struct RoutesTests {
    private let ready = WebSources(readiness: { [] }, renderMetrics: { "up 1\n" })
    private let broken = WebSources(
        readiness: { [ReadinessProblem(part: "disk", reason: "full: \"/var\"")] }, renderMetrics: { "up 0\n" })

    private func get(
        _ path: String, _ router: Router<Routes.Context>, method: HTTPRequest.Method = .get
    ) async throws -> (status: Int, type: String?, body: String) {
        let application = Application(router: router, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return try await application.test(.router) { client in
            try await client.execute(uri: path, method: method) { response in
                (response.status.code, response.headers[.contentType], String(buffer: response.body))
            }
        }
    }

    @Test func healthSaysNoMoreThanOneWord() async throws {
        let healthy = try await get("/readyz", Routes.health(ready))
        #expect(healthy.status == 200)
        #expect(healthy.body == "ready\n")
        let ill = try await get("/readyz", Routes.health(broken))
        #expect(ill.status == 503)
        #expect(ill.body == "not ready\n")
    }

    @Test func aNodeThatIsNotReadyIsStillAlive() async throws {
        #expect(try await get("/livez", Routes.health(broken)).status == 200)
        #expect(try await get("/livez", Routes.metrics(broken)).status == 200)
    }

    @Test func healthShowsNoMetrics() async throws {
        #expect(try await get("/metrics", Routes.health(ready)).status == 404)
    }

    @Test func metricsListenerNamesTheReasons() async throws {
        let ill = try await get("/readyz", Routes.metrics(broken))
        #expect(ill.status == 503)
        #expect(ill.type == "application/json")
        #expect(ill.body == #"{"ready":false,"reasons":[{"part":"disk","reason":"full: \"/var\""}]}"# + "\n")
        #expect(try await get("/readyz", Routes.metrics(ready)).body == #"{"ready":true,"reasons":[]}"# + "\n")
    }

    @Test func metricsPageCarriesItsFormat() async throws {
        let page = try await get("/metrics", Routes.metrics(ready))
        #expect(page.status == 200)
        #expect(page.type == "text/plain; version=0.0.4; charset=utf-8")
        #expect(page.body == "up 1\n")
    }

    @Test(arguments: ["/", "/livez/x", "/../livez", "/metrics/"])
    func otherPathsAreNotFound(path: String) async throws {
        #expect(try await get(path, Routes.health(ready)).status == 404)
    }

    @Test func onlyReadingIsAllowed() async throws {
        #expect(try await get("/livez", Routes.health(ready), method: .post).status != 200)
        #expect(try await get("/livez", Routes.health(ready), method: .head).status == 200)
    }
}

@Suite struct WebServiceTests {
    private let sources = WebSources(readiness: { [] }, renderMetrics: { "up 1\n" })
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs the service, hands it over, and stops it.
    private func running(_ service: WebService, _ body: @Sendable (WebService) async throws -> Void) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [.init(service: service)], gracefulShutdownSignals: [], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            do {
                try await body(service)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func portsAreReadBackForBothFamilies() async throws {
        let service = WebService(
            health: [try ListenAddress("127.0.0.1:0"), try ListenAddress("[::1]:0")], metrics: [try ListenAddress("127.0.0.1:0")],
            sources: sources, logger: logger, headWithin: .seconds(60))
        try await running(service) { service in
            let health = try await service.bound(.health)
            let metrics = try await service.bound(.metrics)
            #expect(health.count == 2)
            #expect(metrics.count == 1)
            #expect(Set((health + metrics).map(\.port)).count == 3)
            #expect((health + metrics).allSatisfy { $0.port != 0 })
            #expect(try await LoopbackHTTP.get(health[0], "/readyz").hasPrefix("HTTP/1.1 200"))
            #expect(try await LoopbackHTTP.get(health[1], "/livez").hasSuffix("alive\n"))
            #expect(try await LoopbackHTTP.get(metrics[0], "/metrics").hasSuffix("up 1\n"))
        }
    }

    @Test func aBusyPortIsOneClearLine() async throws {
        let first = WebService(health: [try ListenAddress("127.0.0.1:0")], metrics: [], sources: sources, logger: logger)
        try await running(first) { [sources, logger] first in
            let taken = try await first.bound(.health)[0]
            let second = WebService(health: [], metrics: [taken], sources: sources, logger: logger)
            let expected = WebDoorError(
                code: .busy, description: "web.metrics: \(taken) is in use by another program; stop it, or choose another port")
            await #expect(throws: expected) { try await second.run() }
            await #expect(throws: expected) { _ = try await second.bound(.metrics) }
        }
    }

    @Test func anAddressOfAnotherMachineIsOneClearLine() async throws {
        let service = WebService(health: [try ListenAddress("192.0.2.1:0")], metrics: [], sources: sources, logger: logger)
        do {
            try await service.run()
            Issue.record("192.0.2.1 was bound")
        } catch let error as WebDoorError {
            #expect(error.code == .noSuchAddress)
        }
    }

    @Test(arguments: [1, 6]) func unfinishedRequestsSilenceNobody(sources count: Int) async throws {
        // Longer than a busy machine takes for a request of ours.
        let service = WebService(
            health: [try ListenAddress("127.0.0.1:0")], metrics: [], sources: sources, logger: logger, headWithin: .seconds(15))
        try await running(service) { service in
            let address = try await service.bound(.health)[0]
            var stalled: [any Channel] = []
            for number in 0..<96 { stalled.append(try await LoopbackHTTP.stall(address, from: "127.0.0.\(2 + number % count)")) }
            #expect(try await LoopbackHTTP.get(address, "/livez").hasSuffix("alive\n"))
            #expect(try await LoopbackHTTP.get(address, "/readyz").hasPrefix("HTTP/1.1 200"))
            // What never ends its head is closed, and not by us.
            for channel in stalled { try? await channel.closeFuture.get() }
        }
    }

    @Test func withoutListenersItWaitsForTheEnd() async throws {
        let service = WebService(health: [], metrics: [], sources: sources, logger: logger)
        try await running(service) { service in
            let bound = try await service.bound(.health)
            #expect(bound.isEmpty)
        }
    }

    @Test func oneSocketServesBothFamilies() throws {
        let separate = ListenAddress.separate(
            try ["0.0.0.0:80", "[::]:80", "0.0.0.0:81", "[::]:80", "127.0.0.1:0", "127.0.0.1:0"].map { try ListenAddress($0) })
        #expect(separate.map(\.description) == ["[::]:80", "0.0.0.0:81", "127.0.0.1:0", "127.0.0.1:0"])
    }
}
