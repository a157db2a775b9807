// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdTesting
import Logging
import LoginEngine
import NIOCore
import Synchronization
import Testing

@testable import WebDoor

@Suite struct PageTests {
    private final class Seen: Sendable {
        let passwords = Mutex<[Secret]>([])
    }

    private static let token = "right-token"

    private func sources(_ seen: Seen = Seen(), user: String = "alice", activation: PageSources.Activation = .done) -> PageSources {
        PageSources(
            name: "Sallyport", origin: "https://vpn.example.org",
            invitee: { token, _ in token == Self.token ? .user(user) : token == "broken" ? .unavailable : .void },
            activate: { token, password, _ in
                guard token == Self.token else { return .void }
                seen.passwords.withLock { $0.append(password) }
                return activation
            }, now: { Timestamp(seconds: 1_000) })
    }

    private func answer(
        _ sources: PageSources, _ path: String, _ method: HTTPRequest.Method = .get, body: String? = nil,
        headers: [(String, String)] = [("Content-Type", "application/x-www-form-urlencoded")]
    ) async throws -> (status: Int, headers: HTTPFields, body: String) {
        let application = Application(router: PageRoutes(sources).router(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var fields = HTTPFields()
        for (name, value) in headers { fields[try #require(HTTPFields.Element.Name(name))] = value }
        let sent = fields
        return try await application.test(.router) { client in
            try await client.execute(uri: path, method: method, headers: sent, body: body.map { ByteBuffer(string: $0) }) { response in
                (response.status.code, response.headers, String(buffer: response.body))
            }
        }
    }

    private static let form = "username=alice&password=correct+horse%21&again=correct+horse%21"

    @Test func formSetsThePasswordAndLeadsAway() async throws {
        let seen = Seen()
        let done = try await answer(sources(seen), "/activate/\(Self.token)", .post, body: Self.form)
        #expect(done.status == 303 && done.headers[.location] == "/activate/done" && done.headers[.cacheControl] == "no-store")
        #expect(seen.passwords.withLock { $0 } == [Secret(utf8: "correct horse!")])
        #expect(try await answer(sources(), "/activate/done").body.contains("Your password is set"))
    }

    @Test(arguments: [
        [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://evil.example")],
        [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "cross-site")],
        [("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-site")],
        [("Content-Type", "text/plain")],
    ]) func formsOfOthersAreRefused(_ headers: [(String, String)]) async throws {
        let seen = Seen()
        #expect(try await answer(sources(seen), "/activate/\(Self.token)", .post, body: Self.form, headers: headers).status == 404)
        #expect(seen.passwords.withLock { $0.isEmpty })
    }

    @Test func ownFormsAreTakenAsBrowsersSendThem() async throws {
        for headers in [[("Origin", "https://vpn.example.org"), ("Sec-Fetch-Site", "same-origin")], [("Origin", "null")]] {
            let all = headers + [("Content-Type", "application/x-www-form-urlencoded")]
            #expect(try await answer(sources(), "/activate/\(Self.token)", .post, body: Self.form, headers: all).status == 303)
        }
    }

    @Test(arguments: ["password=a", "", "password=a%2&again=a%2", "password=a&password=b&again=a", "%FF=1&password=a&again=a"])
    func brokenFormsSetNothing(_ body: String) async throws {
        let seen = Seen()
        #expect(try await answer(sources(seen), "/activate/\(Self.token)", .post, body: body).status == 400)
        #expect(seen.passwords.withLock { $0.isEmpty })
    }

    @Test func largeFormsAreRefused() async throws {
        let large = Self.form + "&x=" + String(repeating: "x", count: PageRoutes.largestForm)
        #expect(try await answer(sources(), "/activate/\(Self.token)", .post, body: large).status == 400)
    }

    @Test func linksThatOpenNothingLookAlikeWhateverIsSent() async throws {
        let get = try await answer(sources(), "/activate/unknown")
        let differing = try await answer(sources(), "/activate/unknown", .post, body: "password=a&again=b")
        let posted = try await answer(sources(), "/activate/unknown", .post, body: Self.form)
        let spent = try await answer(sources(activation: .void), "/activate/\(Self.token)", .post, body: Self.form)
        #expect([get, differing, posted, spent].allSatisfy { $0.status == 404 && $0.body == ActivationPage.void("Sallyport") })
        #expect(try await answer(sources(), "/activate/broken").status == 503)
    }

    @Test func whatIsTypedAndWhoeverItIsStaysText() async throws {
        let odd = "<script>alert(1)</script>\"'&"
        let page = try await answer(sources(user: odd), "/activate/\(Self.token)")
        #expect(!page.body.contains("<script") && page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"))
        let refused = try await answer(sources(activation: .refused("No <b> here.")), "/activate/\(Self.token)", .post, body: Self.form)
        #expect(refused.status == 422 && refused.body.contains("No &lt;b&gt; here.") && !refused.body.contains("correct horse"))
    }

    @Test(arguments: ["/", "/activate/x", "/style.css", "/nothing", "/activate/done", "/a/b/c"])
    func everyAnswerCarriesTheRules(_ path: String) async throws {
        let page = try await answer(sources(), path)
        #expect(page.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none';") == true)
        #expect(page.headers[.xContentTypeOptions] == "nosniff")
        #expect(page.headers[try #require(HTTPFields.Element.Name("Referrer-Policy"))] == "no-referrer")
        // No request to any other host, no script of anybody's.
        for word in ["http://", "https://", "<script", "onclick", " style="] { #expect(!page.body.contains(word), "\(word)") }
    }

    @Test func manyTriesAreHeldBack() async throws {
        let routes = PageRoutes(sources())
        let application = Application(router: routes.router(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let statuses = try await application.test(.router) { client in
            var statuses: [Int] = []
            for _ in 0..<31 { statuses.append(try await client.execute(uri: "/activate/x", method: .get) { $0.status.code }) }
            return statuses
        }
        #expect(statuses.prefix(30).allSatisfy { $0 == 404 } && statuses.last == 429)
    }
}

@Suite struct RequestBudgetTests {
    private let source = NetworkAddress(v4: 0xC000_0201)

    @Test func bucketsFillAgainByTheSecond() {
        var budget = RequestBudget(burst: 3, perMinute: 60)
        let start = Timestamp(seconds: 100)
        var admitted: [Bool] = []
        for _ in 0..<4 { admitted.append(budget.admits(source, at: start)) }
        #expect(admitted == [true, true, true, false])
        let isTooEarly = budget.admits(source, at: start + .milliseconds(900))
        #expect(!isTooEarly)
        let isFilledAgain = budget.admits(source, at: start + .seconds(2))
        #expect(isFilledAgain)
        // A clock that stands still or goes back gives nothing away.
        _ = budget.admits(source, at: start + .seconds(2))
        let isGivenAway = budget.admits(source, at: start - .seconds(60))
        #expect(!isGivenAway)
        let isAnotherSource = budget.admits(NetworkAddress(v4: 1), at: start)
        #expect(isAnotherSource)
    }

    @Test func oneHouseOfIPv6CountsOnce() {
        var budget = RequestBudget(burst: 1, perMinute: 1)
        let network = UInt128(0x2001_0db8_0000_0001) << 64
        let isFirst = budget.admits(NetworkAddress(bits: network | 1), at: Timestamp(seconds: 1))
        #expect(isFirst)
        let isSameHouse = budget.admits(NetworkAddress(bits: network | 2), at: Timestamp(seconds: 1))
        #expect(!isSameHouse)
        let isAnotherHouse = budget.admits(NetworkAddress(bits: network + (UInt128(1) << 64)), at: Timestamp(seconds: 1))
        #expect(isAnotherHouse)
    }

    @Test func memoryIsBounded() {
        var budget = RequestBudget(burst: 1, perMinute: 1)
        for number in 0..<UInt32(RequestBudget.mostSources + 10) {
            _ = budget.admits(NetworkAddress(v4: number), at: Timestamp(seconds: Int64(number)))
        }
        #expect(budget.count == RequestBudget.mostSources)
    }
}

@Suite struct FormFieldsTests {
    @Test func fieldsAreDecodedOnce() throws {
        let fields = try #require(FormFields("a=1+2&b=%C3%A4%2B%26&c&d=%2525".utf8))
        #expect(fields["a"] == Secret(utf8: "1 2") && fields["b"] == Secret(utf8: "ä+&"))
        #expect(fields["c"] == Secret([]) && fields["d"] == Secret(utf8: "%25") && fields["e"] == nil)
    }

    @Test(arguments: ["a=%", "a=%4", "a=%zz", "a=1&a=2", "%FF=1", (0...FormFields.most).map { "f\($0)=1" }.joined(separator: "&")])
    func brokenOnesAreNone(_ text: String) {
        #expect(FormFields(text.utf8) == nil)
    }
}
