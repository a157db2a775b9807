// SPDX-License-Identifier: Apache-2.0
// A node whose data are on a PostgreSQL server: the same answers, and none that the server's end could make wrong.

import Administration
import Foundation
import Glibc
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import TestSupport
import Testing

@testable import sallyport

@Suite(.enabled(if: PostgresCluster.isHere, "PostgreSQL is not installed: scripts/install-packages test"))
struct PostgresNodeTests {
    @Test func nodeOutlivesItsServerAndAcceptsNoCodeTwice() async throws {
        let cluster = try await onThread { try PostgresCluster() }
        defer { cluster.end() }
        let url = cluster.url()
        var node = try await TestNode.start(database: url)
        do {
            try await node.addClient { $0.asking = "append" }
            let token = try await node.addUser("alice", AddFactor(user: "alice", kind: "hotp"))
            let fields = try (0..<4 as Range<UInt64>).map { append(try token.code(counter: $0)) }
            var gateway = try GatewayClient(node)
            #expect(try await gateway.login("alice", fields[0])?.code == .accessAccept)
            #expect(try await gateway.login("alice", fields[0])?.code == .accessReject)
            #expect(try await node.metricsPage("/readyz").status == 200)

            for (round, isCrash) in [true, false].enumerated() {
                try await onThread { if isCrash { try cluster.crash() } else { try cluster.stop() } }
                // No answer is the right one: a gateway with a second server asks that.
                #expect(try await GatewayClient(node, patience: 700).login("alice", fields[round + 1]) == nil)
                let unready = try await node.metricsPage("/readyz")
                #expect(unready.status == 503 && unready.body.contains("database"), "\(unready.body)")
                try await onThread { try cluster.start() }
                let reply = try await acceptedAgain(node, fields[round + 1])
                #expect(reply == .accessAccept)
                #expect(try await gateway.login("alice", fields[round + 1])?.code == .accessReject)
                #expect(try await node.metricsPage("/readyz").status == 200)
            }
            #expect(try await node.verifyTrail().findings.isEmpty)
            #expect(node.node.store.records.writer.statistics.sessions == 2)

            node = try await node.restarted(database: url)
            gateway = try GatewayClient(node)
            for field in fields[..<3] { #expect(try await gateway.login("alice", field)?.code == .accessReject) }
            #expect(try await gateway.login("alice", fields[3])?.code == .accessAccept)
            #expect(try await node.verifyTrail().findings.isEmpty)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    /// As a gateway does it: the same packet again and again, until the node has noticed that its server is back. A new packet each time
    /// would be refused where the one before was accepted and its answer came late.
    private func acceptedAgain(_ node: TestNode, _ field: String) async throws -> Code? {
        let gateway = try GatewayClient(node)
        let request = try gateway.request("alice", field)
        let end = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < end {
            if let reply = try await gateway.exchange(request, within: 700) { return reply.code }
        }
        return nil
    }

    @Test func programServesAndManagesWhatIsOnAServer() async throws {
        let url = try await onThread { try PostgresCluster.shared().newSchema() }
        let folder = try TemporaryFolder()
        let file = try folder.file("sallyport.yaml", "database: \(url)\ndata-directory: \(folder.path)/data\n")
        let serve = ["serve", "--config", file] + NodeProcess.loopback
        let running = try await Program.sallyport.start(serve)
        _ = try await running.radiusEndpoint()
        let added = try await Program.sallyport.run(
            ["user", "add", "alice", "--password-stdin", "--config", file], input: TestNode.password + "\n")
        #expect(added.status == 0, "\(added.everything)")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/data/sallyport.sqlite"))

        // Of another data directory, but on the same database.
        let other = try folder.file("other.yaml", "database: \(url)\ndata-directory: \(folder.path)/other\n")
        let second = try await Program.sallyport.run(["serve", "--config", other] + NodeProcess.loopback)
        #expect(second.status == 69 && (1...2).contains(second.complaint.count), "\(second.errors)")
        #expect(second.errors.contains("nother node (of this machine"), "\(second.errors)")

        running.signal(SIGTERM)
        #expect(try await running.end().status == 0)
        // Without a node, on the data themselves.
        let listed = try await Program.sallyport.run(["user", "list", "--json", "--config", file])
        #expect(listed.status == 0 && listed.output.contains("alice"), "\(listed.everything)")
        #expect(try await Program.sallyport.run(["audit", "verify", "--config", file]).status == 0)
        // A key of another database is told, as with a file.
        let stranger = try await Program.sallyport.run(["user", "list", "--config", other])
        #expect(stranger.status == 78 && stranger.errors.contains("master key"), "\(stranger.errors)")
    }

    @Test func databaseThatCannotBeWorkedWithIsNamedWithoutItsPassword() async throws {
        let url = try await onThread { try PostgresCluster.shared().url() }
        let folder = try TemporaryFolder()
        func serve(_ database: String, flags: [String] = []) async throws -> Finished {
            let file = try folder.file("sallyport.yaml", "database: \"\(database)\"\ndata-directory: \(folder.path)/data\n")
            return try await Program.sallyport.run(["serve", "--config", file] + NodeProcess.loopback + flags)
        }
        let unknown = try await serve(url.replacing("postgres?", with: "nothing?") + "&password=hush")
        #expect(unknown.status == 78 && (1...2).contains(unknown.complaint.count), "\(unknown.errors)")
        #expect(unknown.errors.contains("PostgreSQL nothing on /") && !unknown.errors.contains("hush"), "\(unknown.errors)")
        let away = try await serve("postgresql://anna:hush@/x?host=/nonexistent")
        #expect(away.status == 69 && (1...2).contains(away.complaint.count) && !away.errors.contains("hush"), "\(away.errors)")
        let wrong = try await serve("postgresql://anna:hush@[db/x")
        #expect(wrong.status == 78 && (1...2).contains(wrong.complaint.count) && !wrong.errors.contains("hush"), "\(wrong.errors)")
        let typed = try await serve("sqlite", flags: ["--database", "postgresql://anna:hush@db/x"])
        #expect(typed.status == 78 && typed.errors.contains("PGPASSFILE") && !typed.errors.contains("hush"), "\(typed.errors)")
        let demo = try await Program.sallyport.run(["serve", "--demo", "--data-dir", folder.path + "/demo", "--database", url])
        #expect(demo.status == 78 && demo.errors.contains("demo"), "\(demo.errors)")
    }
}
