// SPDX-License-Identifier: Apache-2.0
// The public pages, open to everybody on the network: each request is bounded, and no answer tells which links there are.

import Hummingbird
import LoginEngine
import NIOCore
import Synchronization

/// A request with the address that it came from.
struct PageContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let source: NetworkAddress

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        self.source = source.channel.remoteAddress?.ipAddress.flatMap { NetworkAddress($0) } ?? NetworkAddress(bits: 0)
    }
}

final class PageRoutes: Sendable {
    /// A form of ours with two passwords of 128 bytes, each byte escaped.
    static let largestForm = 4_096
    /// Looking at pages, and sending forms, of one source.
    private let looks = Mutex(RequestBudget(burst: 30, perMinute: 30))
    private let forms = Mutex(RequestBudget(burst: 10, perMinute: 10))

    private let sources: PageSources

    init(_ sources: PageSources) {
        self.sources = sources
    }

    func router() -> Router<PageContext> {
        let router = Router(context: PageContext.self)
        let name = sources.name
        router.add(middleware: PageHeaders())
        router.get("\(StyleSheet.path)") { _, _ in
            var response = Self.answer(StyleSheet.text, type: "text/css; charset=utf-8")
            response.headers[.cacheControl] = "public, max-age=3600"
            return response
        }
        router.get("\(ActivationPage.path)/done") { _, _ in Self.page(ActivationPage.done(name)) }
        router.get("\(ActivationPage.path)/:token") { request, context in await self.show(request, context) }
        router.post("\(ActivationPage.path)/:token") { request, context in await self.take(request, context) }
        router.get("**") { _, _ in Self.page(ActivationPage.missing(name), .notFound) }
        router.get("/") { _, _ in Self.page(ActivationPage.missing(name), .notFound) }
        return router
    }

    /// Uses nothing up: mail programs look at links before people do.
    private func show(_ request: Request, _ context: PageContext) async -> Response {
        guard looks.withLock({ $0.admits(context.source, at: sources.now()) }) else { return busy }
        guard let token = context.parameters.get("token") else { return void }
        switch await sources.invitee(token, context.source.description) {
        case .user(let user): return Self.page(ActivationPage.form(sources.name, user: user, token: token))
        case .void: return void
        case .unavailable: return unavailable
        }
    }

    private func take(_ request: Request, _ context: PageContext) async -> Response {
        guard forms.withLock({ $0.admits(context.source, at: sources.now()) }) else { return busy }
        guard isOfOurs(request), let token = context.parameters.get("token") else { return void }
        guard let body = try? await request.body.collect(upTo: Self.largestForm), let fields = FormFields(body.readableBytesView),
            let password = fields["password"], let again = fields["again"]
        else { return Self.page(ActivationPage.missing(sources.name), .badRequest) }
        // Whether it is a link at all comes first: else whoever has none would be told about passwords.
        let user: String
        switch await sources.invitee(token, context.source.description) {
        case .user(let found): user = found
        case .void: return void
        case .unavailable: return unavailable
        }
        guard password == again else {
            return form(user, token, "The two passwords differ. Type the same one twice.")
        }
        switch await sources.activate(token, password, context.source.description) {
        case .done:
            // So that reloading the page sends nothing again.
            var response = Self.page("", .seeOther)
            response.headers[.location] = "\(ActivationPage.path)/done"
            return response
        case .void: return void
        case .refused(let sentence): return form(user, token, sentence)
        case .unavailable: return unavailable
        }
    }

    /// The token in the address is what proves that a form is ours; this keeps other sites from trying. With no-referrer browsers say
    /// `Origin: null` (Fetch §3.2).
    private func isOfOurs(_ request: Request) -> Bool {
        if let site = request.headers[.secFetchSite], site != "same-origin", site != "none" { return false }
        if let origin = request.headers[.origin], origin != "null", origin != sources.origin { return false }
        return request.headers[.contentType]?.hasPrefix("application/x-www-form-urlencoded") == true
    }

    private func form(_ user: String, _ token: String, _ problem: String) -> Response {
        Self.page(ActivationPage.form(sources.name, user: user, token: token, problem: problem), .unprocessableContent)
    }

    private var void: Response { Self.page(ActivationPage.void(sources.name), .notFound) }
    private var busy: Response {
        var response = Self.page(ActivationPage.busy(sources.name), .tooManyRequests)
        response.headers[.retryAfter] = "60"
        return response
    }
    private var unavailable: Response { Self.page(ActivationPage.unavailable(sources.name), .serviceUnavailable) }

    private static func page(_ text: String, _ status: HTTPResponse.Status = .ok) -> Response {
        answer(text, type: "text/html; charset=utf-8", status: status)
    }

    private static func answer(_ text: String, type: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

/// On every answer, those to what nobody expects among them.
private struct PageHeaders: RouterMiddleware {
    typealias Context = PageContext

    /// Nothing but our own style sheet, and forms to ourselves.
    static let policy =
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

    @concurrent func handle(
        _ request: Request, context: PageContext, next: @concurrent (Request, PageContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch let error as any HTTPResponseError {
            response = try error.response(from: request, context: context)
        }
        response.headers[.contentSecurityPolicy] = Self.policy
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.referrerPolicy] = "no-referrer"
        response.headers[.crossOriginOpenerPolicy] = "same-origin"
        response.headers[.crossOriginResourcePolicy] = "same-origin"
        return response
    }
}

private typealias FieldName = HTTPFields.Element.Name

extension FieldName {
    fileprivate static let secFetchSite = name("Sec-Fetch-Site")
    fileprivate static let referrerPolicy = name("Referrer-Policy")
    fileprivate static let crossOriginOpenerPolicy = name("Cross-Origin-Opener-Policy")
    fileprivate static let crossOriginResourcePolicy = name("Cross-Origin-Resource-Policy")

    private static func name(_ text: String) -> FieldName {
        guard let name = FieldName(text) else { preconditionFailure("\(text) is a name of a field") }
        return name
    }
}
