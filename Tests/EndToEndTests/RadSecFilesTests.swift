// SPDX-License-Identifier: Apache-2.0
// RADIUS over TLS on a node that may open too few files.

import Foundation
import Glibc
import LoginEngine
import TLS
import TestSupport
import Testing

@Suite(.enabled(if: Foreign.isHere("sh"), "no shell")) struct RadSecFilesTests {
    /// A listening socket on which nothing can be accepted stays readable, and epoll would say so without an end.
    @Test func whoMayOpenNoMoreFilesWaitsInsteadOfSpinning() async throws {
        let folder = try TemporaryFolder()
        let authority = try TestAuthority(in: folder.path)
        let own = try authority.issue("server", names: ["localhost"], for: "serverAuth")
        let gateway = try authority.issue("gw1", names: ["gw1.example.org"])
        let shell = try #require(Program(installed: "sh"))
        let settings = [
            "serve", "--data-dir", folder.path + "/data", "--radsec-listen", "127.0.0.1:0", "--radsec-certificate", own.certificate,
            "--radsec-key", own.key, "--radsec-client-ca", authority.certificate,
        ]
        let node = try await shell.start(
            ["-c", "ulimit -n 96 && exec \"$@\"", "sh", Program.sallyport.path] + settings + NodeProcess.loopback)
        _ = try await node.radiusEndpoint()
        let added = try await Program.sallyport.run(
            ["client", "add", "branch", "--certificate", "name:gw1.example.org", "--data-dir", folder.path + "/data"])
        #expect(added.status == 0, "\(added.everything)")
        let port = try #require(node.port(behind: "RADIUS over TLS answers on tcp 127.0.0.1:"))

        let silent = try await onThread { try (1...100).map { _ in try TLSGateway.connected(port: port) } }
        #expect(try await eventually { node.errors.contains("LimitNOFILE=") }, "\(node.errors)")
        let before = node.processorSeconds
        _ = try await onThread { poll(nil, 0, 2000) }
        // One that spins takes two seconds in two; a node at rest takes hundredths.
        #expect(node.processorSeconds - before < 0.5)

        for one in silent { close(one) }
        let context: TLSContext = try .gateway(gateway, trusting: authority)
        let version = try await onThread { try TLSGateway(port: port, context, patience: 15_000).session.version }
        #expect(version == "TLSv1.3")
        #expect(try await eventually { node.errors.contains("a gateway is connected by TLS") }, "\(node.errors)")
        #expect(node.errors.components(separatedBy: "LimitNOFILE=").count == 2, "said once: \(node.errors)")
        node.signal(SIGTERM)
        #expect(try await node.end().status == 0)
    }
}
