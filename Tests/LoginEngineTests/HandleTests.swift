// SPDX-License-Identifier: Apache-2.0
// Handles: bound to client, user and calling station, expiring, usable once.

import LoginEngine
import TestSupport
import Testing

@Suite struct HandleTests {
    let client = LoginBench.client()

    private func challenged(_ bench: LoginBench, station: String? = nil) -> String? {
        bench.ask(bench.request(LoginBench.password, client: client, station: station))?.challenge?.handle
    }

    @Test func aHandleOpensOnce() {
        let bench = LoginBench()
        let handle = challenged(bench)
        #expect(bench.ask(bench.request("999999", client: client, handle: handle))?.isReject == true)
        #expect(bench.ask(bench.request("111111", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["wrong-code", "handle-already-used"])
    }

    @Test func aHandleIsOfOneClientOneUserAndOneStation() {
        let bench = LoginBench()
        bench.records.change { $0.users["bob"] = User(id: 2, name: "bob", status: .active, passwordHash: nil) }
        let handle = challenged(bench, station: "198.51.100.7")
        let other = LoginBench.client(id: 2)
        _ = bench.ask(bench.request("111111", client: other, handle: handle, station: "198.51.100.7"))
        _ = bench.ask(bench.request("111111", name: "bob", client: client, handle: handle, station: "198.51.100.7"))
        _ = bench.ask(bench.request("111111", client: client, handle: handle, station: "198.51.100.8"))
        _ = bench.ask(bench.request("111111", client: client, handle: handle))
        #expect(bench.rejections == Array(repeating: "handle-of-another-login", count: 4))
        let answer = bench.ask(bench.request("111111", client: client, handle: handle, station: "198.51.100.7"))
        #expect(answer?.isAccept == true, "strangers did not use it up")
    }

    @Test func aHandleOfALaxerClientIsWorthNothingOnceItIsStricter() {
        let bench = LoginBench()
        let lax = LoginBench.client { $0.requirement = .factor }
        let handle = bench.ask(bench.request("", client: lax))?.challenge?.handle
        #expect(handle != nil)
        #expect(bench.ask(bench.request("111111", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["changed-meanwhile"])
    }

    @Test func aHandleExpires() {
        let bench = LoginBench()
        let handle = challenged(bench)
        bench.advance(by: Login.handleLife + .milliseconds(1))
        #expect(bench.ask(bench.request("111111", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["handle-expired"])
    }

    @Test(arguments: ["", "x", "00000000000000000000000000000001", String(repeating: "f", count: 33)])
    func aMadeUpHandleIsNobodys(text: String) {
        let bench = LoginBench()
        #expect(bench.ask(bench.request("111111", client: client, handle: text))?.isReject == true)
        #expect(bench.rejections == ["handle-unknown"])
        #expect(bench.passwords.checks.isEmpty)
    }

    @Test func anEmptyAnswerUsesTheHandleUp() {
        let bench = LoginBench()
        let handle = challenged(bench)
        #expect(bench.ask(bench.request("", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["code-missing"])
        #expect(bench.ask(bench.request("111111", client: client, handle: handle))?.isReject == true)
    }

    @Test func aUserWhoWasDisabledMeanwhileIsTurnedAway() {
        let bench = LoginBench()
        let handle = challenged(bench)
        bench.records.change { $0.users["alice"]?.status = .disabled }
        #expect(bench.ask(bench.request("111111", client: client, handle: handle))?.isReject == true)
        #expect(bench.rejections == ["user-disabled"])
    }
}

extension Timestamp.Span {
    static func + (left: Timestamp.Span, right: Timestamp.Span) -> Timestamp.Span {
        Timestamp.Span(microseconds: left.microseconds + right.microseconds)
    }
}
