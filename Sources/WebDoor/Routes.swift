// SPDX-License-Identifier: Apache-2.0
// Every route of the web door on one page.

import Foundation
import Hummingbird
import NIOCore

/// What answers are made of; the door knows nothing of what stands behind them.
package struct WebSources: Sendable {
    /// Empty when the node can answer logins. Called per request, so it reads a kept value and does no work.
    package var readiness: @Sendable () -> [ReadinessProblem]
    /// The page for Prometheus.
    package var renderMetrics: @Sendable () -> String

    package init(readiness: @escaping @Sendable () -> [ReadinessProblem], renderMetrics: @escaping @Sendable () -> String) {
        self.readiness = readiness
        self.renderMetrics = renderMetrics
    }
}

enum Routes {
    typealias Context = BasicRequestContext

    /// For load balancers, open to everybody: no detail.
    static func health(_ sources: WebSources) -> Router<Context> {
        let router = Router(context: Context.self, options: .autoGenerateHeadEndpoints)
        router.get("/livez") { _, _ in alive }
        router.get("/readyz") { _, _ in
            sources.readiness().isEmpty ? plain("ready\n") : plain("not ready\n", status: .serviceUnavailable)
        }
        return router
    }

    /// For those who run the node.
    static func metrics(_ sources: WebSources) -> Router<Context> {
        let router = Router(context: Context.self, options: .autoGenerateHeadEndpoints)
        router.get("/livez") { _, _ in alive }
        router.get("/readyz") { _, _ in try detail(sources.readiness()) }
        router.get("/metrics") { _, _ in
            answer(sources.renderMetrics(), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        return router
    }

    private static var alive: Response { plain("alive\n") }

    private static func detail(_ problems: [ReadinessProblem]) throws -> Response {
        struct Body: Encodable {
            struct Reason: Encodable {
                var part: String
                var reason: String
            }
            var ready: Bool
            var reasons: [Reason]
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let body = Body(ready: problems.isEmpty, reasons: problems.map { .init(part: $0.part, reason: $0.reason) })
        let text = String(decoding: try encoder.encode(body), as: UTF8.self) + "\n"
        return answer(text, type: "application/json", status: problems.isEmpty ? .ok : .serviceUnavailable)
    }

    private static func plain(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        answer(text, type: "text/plain; charset=utf-8", status: status)
    }

    private static func answer(_ text: String, type: String, status: HTTPResponse.Status = .ok) -> Response {
        var headers: HTTPFields = [.contentType: type, .cacheControl: "no-store"]
        headers[.xContentTypeOptions] = "nosniff"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
