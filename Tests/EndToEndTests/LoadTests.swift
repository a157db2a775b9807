// SPDX-License-Identifier: Apache-2.0
// Many at once, queues that are full, a database that cannot be written.

import Administration
import Directories
import GRDB
import LoginEngine
import RADIUS
import RADIUSDoor
import Store
import Testing

@testable import sallyport

@Suite struct LoadTests {
    @Test func manyUsersLogInAtOnce() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.0/24"]) { $0.asking = "append" }
            var tokens: [TestToken] = []
            for number in 0..<20 { tokens.append(try await node.addUser("user\(number)")) }
            let codes = try await withThrowingTaskGroup(of: Code?.self) { group in
                for (number, token) in tokens.enumerated() {
                    let gateway = try GatewayClient(node, from: "127.0.0.\(number + 2)")
                    let request = try gateway.request("user\(number)", append(try token.code()))
                    // What cannot be hashed in time is shed, and a gateway asks again.
                    group.addTask {
                        for _ in 0..<6 {
                            if let reply = try await gateway.exchange(request, within: 5_000) { return reply.code }
                        }
                        return nil
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes == Array(repeating: .accessAccept, count: 20))
            #expect(Set(try await node.logins("login-accepted").compactMap(\.user)).count == 20)
            #expect(try await node.verifyTrail().isIntact)
        }
    }

    @Test func aFullQueueShedsAndRecovers() async throws {
        try await withNode { node in
            try await node.addClient("vpn", ["127.0.0.1"]) { $0.requirement = "password" }
            try await node.addClient("codes", ["127.0.0.2"]) { $0.requirement = "factor" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            let held = try await node.holdHashing(fillingQueue: true)
            let request = try gateway.request("alice", TestNode.password)
            #expect(try await gateway.exchange(request, within: 200) == nil)
            #expect(node.node.radius.statistics.dropped[.overloaded] == 1)
            // Who needs no hash is served all the while.
            #expect(try await GatewayClient(node, from: "127.0.0.2").login("alice", try token.code())?.code == .accessAccept)
            held.release()
            let pool = node.node.store.hashing
            #expect(try await eventually { pool.load.waiting == 0 })
            // What was shed left nothing behind: the same packet is decided anew.
            #expect(try await gateway.exchange(request)?.code == .accessAccept)
            #expect(try await node.logins("login-rejected").isEmpty)
        }
    }

    @Test func withoutADatabaseNobodyIsAccepted() async throws {
        try await withNode { node in
            try await node.addClient { $0.requirement = "factor" }
            let token = try await node.addUser()
            let gateway = try GatewayClient(node)
            #expect(try await node.metricsPage("/readyz").status == 200)

            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let thief = try DatabaseQueue(path: node.node.store.directory.databasePath, configuration: configuration)
            try await onThread { try thief.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") } }
            let request = try gateway.request("alice", try token.code())
            #expect(try await gateway.exchange(request, within: 6500) == nil)
            let radius = node.node.radius
            #expect(try await eventually { radius.statistics.dropped[.databaseUnavailable] == 1 })
            let page = try await node.metricsPage("/readyz")
            #expect(page.status == 503)
            #expect(page.body.contains("\"part\":\"database\"") && page.body.contains("lock"), "\(page.body)")
            let health = try await node.healthPage("/readyz")
            #expect(health.status == 503 && health.body == "not ready\n")
            #expect(try await node.healthPage("/livez").status == 200)

            try await onThread { try thief.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") } }
            // No restart: the gateway's own retry is served.
            #expect(try await gateway.exchange(request)?.code == .accessAccept)
            #expect(try await node.metricsPage("/readyz").status == 200)
            #expect(try await node.logins("login-accepted").count == 1)
            #expect(try await node.verifyTrail().isIntact)
        }
    }
}
