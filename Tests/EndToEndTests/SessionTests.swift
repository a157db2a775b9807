// SPDX-License-Identifier: Apache-2.0
// Sessions from the gateway's report to the administrator's commands, and back to the gateway (RFC 5176).

import Administration
import Foundation
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Synchronization
import Testing

@testable import sallyport

/// The gateway's side of accounting and of dynamic authorisation.
private final class ReportingGateway: Sendable {
    let accounting: GatewayClient
    private let requests = Requests()
    private let server: Mutex<OneAnswer?> = Mutex(nil)

    init(_ node: TestNode) throws {
        accounting = try GatewayClient(try #require(node.node.radius.boundAccounting.first))
    }

    private final class Requests: Sendable {
        let all = Mutex<[Packet]>([])
    }

    var seen: [Packet] { requests.all.withLock { $0 } }

    /// Answers each request as told; nil stays silent.
    func answer(_ answer: @escaping @Sendable (Packet) -> (Code, UInt32?)?) throws -> Int {
        let secret = accounting.secret
        let server = try OneAnswer { [requests] request in
            requests.all.withLock { $0.append(request) }
            guard let (code, cause) = answer(request) else { throw Silence() }
            var reply = PacketWriter(reply: code, to: request)
            if let cause { reply.addInteger(.errorCause, cause) }
            return try reply.sign(with: secret)
        }
        self.server.withLock { $0 = server }
        return Int(server.port)
    }

    private struct Silence: Error {}

    func report(_ kind: UInt32, _ session: String, _ name: String, identifier: UInt8, add: (inout PacketWriter) -> Void = { _ in })
        async throws
    {
        var writer = PacketWriter(
            request: .accountingRequest, identifier: identifier, authenticator: Authenticator(high: 0, low: 0), messageAuthenticator: true)
        writer.addInteger(.acctStatusType, kind)
        writer.addText(.acctSessionID, session)
        writer.addText(.userName, name)
        writer.addText(.nasIdentifier, "vpn1")
        add(&writer)
        #expect(try await accounting.exchange(try writer.sign(with: accounting.secret))?.code == .accountingResponse)
    }
}

@Suite struct SessionTests {
    private func withGateway(
        _ answer: @escaping @Sendable (Packet) -> (Code, UInt32?)?, _ body: (TestNode, ReportingGateway) async throws -> Void
    ) async throws {
        try await withNode { node in
            let gateway = try ReportingGateway(node)
            let port = try gateway.answer(answer)
            try await node.addClient { $0.disconnectPort = port }
            try await node.addUser()
            try await body(node, gateway)
        }
    }

    @Test func aSessionIsEndedAtItsGateway() async throws {
        try await withGateway({ _ in (.disconnectACK, nil) }) { node, gateway in
            try await gateway.report(1, "4f2a", "alice", identifier: 1)
            let session = try #require(try await node.perform(ListSessions(isOpen: true)).sessions.first)
            #expect(session.user == "alice" && session.isKnown && session.client == "vpn" && session.gateway == "vpn1")
            let result = try #require(try await node.perform(DisconnectSessions(id: session.id)).results.first)
            #expect(result.isDone && result.answer == "acknowledged", "\(result.message)")
            let request = try #require(gateway.seen.first)
            #expect(request.code == .disconnectRequest && request.hasValidRequestAuthenticator(secret: gateway.accounting.secret))
            #expect(request.hasValidMessageAuthenticator(secret: gateway.accounting.secret))
            #expect(try request.text(.userName) == "alice" && request.text(.acctSessionID) == "4f2a")
            #expect(try request.text(.nasIdentifier) == "vpn1")
            let stamp = Int64(try #require(request.integer(.eventTimestamp)))
            #expect(abs(stamp - Int64(Date().timeIntervalSince1970)) < 30)
            // It is over when the gateway says so.
            #expect(try await node.perform(ShowSession(id: session.id)).isOpen)
            try await gateway.report(2, "4f2a", "alice", identifier: 2) { $0.addInteger(.acctTerminateCause, 6) }
            let over = try await node.perform(ShowSession(id: session.id))
            #expect(!over.isOpen && over.ending == "stopped" && over.cause == "Admin-Reset")
            let event = try #require(try await node.logins("session-disconnect").first)
            #expect(event.user == "alice" && event.text.contains("acknowledged") && event.actor == TestNode.actor.description)
            await #expect(throws: Refusal.self) { try await node.perform(DisconnectSessions(id: session.id)) }
        }
    }

    @Test func whatTheGatewayDoesNotKnowIsLost() async throws {
        try await withGateway({ _ in (.disconnectNAK, 503) }) { node, gateway in
            try await gateway.report(1, "1", "alice", identifier: 1)
            let result = try #require(try await node.perform(DisconnectSessions(user: "alice")).results.first)
            #expect(result.isDone && result.answer == "Session-Context-Not-Found")
            #expect(try await node.perform(ShowSession(id: result.session)).ending == "lost")
            #expect(try await node.logins("session").map(\.kind) == ["session-ended", "session-disconnect"])
        }
    }

    @Test func aRefusalIsPutInWords() async throws {
        try await withGateway({ _ in (.disconnectNAK, 501) }) { node, gateway in
            try await gateway.report(1, "1", "alice", identifier: 1)
            let result = try #require(try await node.perform(DisconnectSessions(user: "alice")).results.first)
            #expect(!result.isDone && result.answer == "Administratively-Prohibited")
            #expect(result.message.contains("Allow this server"))
            #expect(try await node.perform(ShowSession(id: result.session)).isOpen)
        }
    }

    /// RFC 5176 §3.5: 403 is about how the request names the gateway.
    @Test func aGatewayThatDoesNotKnowItsNameIsAskedWithoutIt() async throws {
        try await withGateway({ $0.contains(.nasIdentifier) ? (.disconnectNAK, 403) : (.disconnectACK, nil) }) { node, gateway in
            try await gateway.report(1, "1", "alice", identifier: 1)
            let result = try #require(try await node.perform(DisconnectSessions(user: "alice")).results.first)
            #expect(result.isDone && gateway.seen.count == 2)
        }
    }

    @Test func aClientThatTakesNoneIsNotAsked() async throws {
        try await withGateway({ _ in (.disconnectACK, nil) }) { node, gateway in
            try await node.setClient { $0.disconnectPort = 0 }
            try await gateway.report(1, "1", "alice", identifier: 1)
            let result = try #require(try await node.perform(DisconnectSessions(user: "alice")).results.first)
            #expect(!result.isDone && result.answer == "not-sent" && gateway.seen.isEmpty)
            #expect(try await node.logins("session-disconnect").count == 1)
        }
    }

    @Test(arguments: ["disable", "remove", "erase"])
    func whoMayNoLongerBeInIsPutOut(how: String) async throws {
        try await withGateway({ _ in (.disconnectACK, nil) }) { node, gateway in
            try await node.addUser("bob")
            try await gateway.report(1, "1", "alice", identifier: 1)
            try await gateway.report(1, "2", "ALICE", identifier: 2)
            try await gateway.report(1, "3", "bob", identifier: 3)
            switch how {
            case "disable": try await node.setUser("alice") { $0.status = "disabled" }
            case "remove": try await node.perform(RemoveUser(name: "alice"))
            default: try await node.perform(EraseUser(name: "alice"))
            }
            #expect(try await eventually { gateway.seen.count == 2 })
            #expect(try Set(gateway.seen.map { try $0.text(.acctSessionID) }) == ["1", "2"])
            #expect(try await node.logins("session-disconnect", count: 2).count == 2)
            let left = try await node.perform(ListSessions()).sessions
            #expect(left.count == (how == "erase" ? 1 : 3))
            // What was written of an erased person is erased too.
            if how == "erase" { #expect(try await node.logins("session-disconnect").allSatisfy { $0.user == nil }) }
        }
    }

    // MARK: CoA (RFC 5176 §2.2)

    private func update(_ node: TestNode, _ request: UpdateSessions) async throws -> UpdateSessions.Result {
        try #require(try await node.perform(request).results.first)
    }

    @Test func aSessionIsSentWhatItsAcceptWouldCarryNow() async throws {
        try await withGateway({ _ in (.coaACK, nil) }) { node, gateway in
            // It began ten minutes ago.
            try await gateway.report(1, "4f2a", "alice", identifier: 1) { $0.addInteger(.acctDelayTime, 600) }
            let nothing = try await update(node, UpdateSessions(user: "alice"))
            #expect(nothing.isDone && nothing.answer == "nothing" && gateway.seen.isEmpty)
            try await node.perform(AddGroup(name: "staff", users: ["alice"]))
            try await node.setClient {
                $0.reply = [ReplySetting("Session-Timeout", "3600"), ReplySetting("Framed-IP-Address", "10.0.0.7")]
            }
            var set = SetGroup(group: "staff")
            set.reply = [ReplySetting("Filter-Id", "{group}")]
            let done = try await node.perform(set)
            #expect(done.warnings.contains { $0.contains("session update --group staff") }, "\(done.warnings)")
            let dry = try await update(node, UpdateSessions(group: "staff", isDryRun: true))
            #expect(dry.answer == "would-update" && gateway.seen.isEmpty)
            let result = try await update(node, UpdateSessions(group: "staff"))
            #expect(result.isDone && result.answer == "acknowledged" && result.attributes.contains("Filter-Id = staff"), "\(result)")
            #expect(result.message.contains("Framed-IP-Address cannot be changed"))
            let request = try #require(gateway.seen.first)
            #expect(request.code == .coaRequest && request.hasValidRequestAuthenticator(secret: gateway.accounting.secret))
            #expect(request.hasValidMessageAuthenticator(secret: gateway.accounting.secret))
            #expect(try request.text(.userName) == "alice" && request.text(.acctSessionID) == "4f2a" && request.text(.filterID) == "staff")
            #expect((2_900...3_000).contains(try #require(request.integer(.sessionTimeout))) && !request.contains(.framedIPAddress))
            let event = try #require(try await node.logins("session-update").first)
            #expect(event.user == "alice" && event.text.contains("acknowledged"), "\(event)")
            #expect(event.details.contains { $0.name == "attributes" && $0.value == "Filter-Id, Session-Timeout" }, "\(event.details)")
            #expect(try await node.perform(UpdateSessions(client: "vpn")).results.count == 1)
            await #expect(throws: Refusal.self) { try await node.perform(UpdateSessions(group: "nobody")) }
        }
    }

    @Test func whoWouldBeLetInNoMoreIsToldAndEndsWhereThatIsWanted() async throws {
        try await withGateway({ $0.code == .disconnectRequest ? (.disconnectACK, nil) : (.coaNAK, 401) }) { node, gateway in
            try await node.setClient { $0.reply = [ReplySetting("Session-Timeout", "3600")] }
            try await gateway.report(1, "1", "alice", identifier: 1)
            let refused = try await update(node, UpdateSessions(user: "alice"))
            #expect(!refused.isDone && refused.answer == "Unsupported-Attribute" && refused.message.contains("cannot change it"))
            try await gateway.report(3, "1", "alice", identifier: 2) { $0.addInteger(.acctSessionTime, 3_601) }
            let over = try await update(node, UpdateSessions())
            #expect(!over.isDone && over.answer == "over" && over.message.contains("Session-Timeout is over"), "\(over)")
            var choices = PolicyChoices()
            choices.require = "deny"
            try await node.perform(AddPolicy(name: "closed", choices: choices))
            #expect(try await update(node, UpdateSessions()).message.contains("policy closed lets alice in no more"))
            let ended = try await update(node, UpdateSessions(endsDenied: true))
            #expect(ended.isDone && ended.answer == "acknowledged" && gateway.seen.last?.code == .disconnectRequest, "\(ended)")
        }
    }

    /// A gateway may show another name than the user's: such a session is not ended for it.
    @Test func whomNobodyKnowsIsLeftAlone() async throws {
        try await withGateway({ _ in (.disconnectACK, nil) }) { node, gateway in
            try await gateway.report(1, "1", "anonymous", identifier: 1)
            let result = try await update(node, UpdateSessions(endsDenied: true))
            #expect(!result.isDone && result.answer == "unknown-user" && gateway.seen.isEmpty)
        }
    }

    @Test func whatTheGatewayDoesNotKnowIsLostByAnUpdateToo() async throws {
        try await withGateway({ _ in (.coaNAK, 503) }) { node, gateway in
            try await node.setClient { $0.reply = [ReplySetting("Idle-Timeout", "60")] }
            try await gateway.report(1, "1", "alice", identifier: 1)
            let result = try await update(node, UpdateSessions())
            #expect(!result.isDone && result.answer == "Session-Context-Not-Found")
            #expect(try await node.perform(ShowSession(id: result.session)).ending == "lost")
        }
    }

    @Test func trafficIsSummedAndTheLoginTellsOfItsSession() async throws {
        try await withGateway({ _ in nil }) { node, gateway in
            try await node.setClient { $0.requirement = "password" }
            let client = try GatewayClient(node)
            let login = try client.request("alice", TestNode.password) { $0.addText(.acctSessionID, "9") }
            #expect(try await client.exchange(login)?.code == .accessAccept)
            try await gateway.report(1, "9", "alice", identifier: 1) { $0.addIPv4(.framedIPAddress, IPv4Address(0x0A00_0007)) }
            try await gateway.report(2, "9", "alice", identifier: 2) {
                $0.addInteger(.acctSessionTime, 60)
                $0.addInteger(.acctInputOctets, 1000)
                $0.addInteger(.acctOutputOctets, 3000)
            }
            try await gateway.report(1, "10", "mallory", identifier: 3)
            let rows = try await node.perform(SumTraffic()).rows
            #expect(rows.map(\.user) == ["alice", "mallory"] && rows.map(\.isKnown) == [true, false])
            #expect(rows[0].sessions == 1 && rows[0].open == 0 && rows[0].input == 1000 && rows[0].output == 3000 && rows[0].seconds == 60)
            let session = try #require(try await node.perform(ListSessions(user: "alice")).sessions.first)
            let story = try await node.story(try #require(session.login))
            #expect(story.contains("session \(session.id) as 10.0.0.7"), "\(story)")
            #expect(try await node.perform(ListSessions(user: "mallory")).sessions.count == 1)
            await #expect(throws: Refusal.self) { try await node.perform(ListSessions(user: "nobody")) }
            try await node.perform(EndSession(id: try #require(try await node.perform(ListSessions(isOpen: true)).sessions.first?.id)))
            #expect(try await node.perform(ListSessions(isOpen: true)).sessions.isEmpty)
        }
    }

    @Test func commandsWorkWithAndWithoutTheNode() async throws {
        let folder = try TemporaryFolder()
        var node = try await TestNode.start(in: folder)
        try await node.addClient { $0.disconnectPort = 0 }
        let gateway = try ReportingGateway(node)
        try await gateway.report(1, "1", "alice", identifier: 1)
        func command(_ arguments: String...) async throws -> Finished {
            try await Program.sallyport.run(["session"] + arguments + ["--data-dir", folder.path])
        }
        for isRunning in [true, false] {
            if !isRunning { await node.stop() }
            let list = try await command("list", "--open")
            #expect(list.status == 0 && list.output.contains("alice") && list.output.contains("open"), "\(list.everything)")
            let json = try await command("show", "1", "--json")
            #expect(json.output.contains("\"sessionID\" : \"1\"") || json.output.contains("\"sessionID\":\"1\""), "\(json.everything)")
            #expect(try await command("traffic").output.contains("alice"))
            let disconnect = try await command("disconnect", "1")
            #expect(disconnect.status == 1 && disconnect.output.contains("--disconnect-port"), "\(disconnect.everything)")
            #expect(try await command("show", "17").status == 1)
            #expect(try await command("update", "--all").output.contains("nobody has this name here"))
            #expect(try await command("update", "--all", "--user", "alice").status == 64)
            #expect(try await command("disconnect").status == 64)
        }
        #expect(try await command("end", "1", "--yes").status == 0)
        #expect(try await command("list", "--open").output.contains("No open sessions"))
        node = try await TestNode.start(in: folder)
        await node.stop()
    }
}
