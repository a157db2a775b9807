// SPDX-License-Identifier: Apache-2.0
// Logins of wpa_supplicant's eapol_test, and what comes of them.

import RADIUSDoor
import Testing

/// A device and its gateway in one program.
struct EAPOLTest {
    let folder: TemporaryFolder
    let node: TestNode

    init(_ node: TestNode) throws {
        folder = try TemporaryFolder()
        self.node = node
    }

    /// - Parameters:
    ///   - method: as wpa_supplicant calls it.
    ///   - password: nil for a method that has none.
    ///   - portType: NAS-Port-Type; 5 is *Virtual*, as gateways of IKEv2 say.
    ///   - comparesKeys: false for methods that make none.
    ///   - lines: more of the configuration.
    ///   - options: more of the command line.
    func login(
        _ method: String, _ password: String?, name: String = "alice", portType: Int = 5, comparesKeys: Bool = true, lines: [String] = [],
        options: [String] = []
    ) async throws -> Finished {
        let configuration = try folder.file(
            "eapol.conf",
            """
            network={
              key_mgmt=IEEE8021X
              eap=\(method)
              identity="\(name)"
              \(((password.map { ["password=\"\($0)\""] } ?? []) + lines).joined(separator: "\n  "))
            }

            """)
        return try await #require(Program(installed: "eapol_test")).run(
            [
                "-c", configuration, "-a", "127.0.0.1", "-p", "\(node.endpoint.port)", "-s", TestNode.secret, "-N61:d:\(portType)", "-t",
                "30",
            ] + options + (comparesKeys ? [] : ["-n"]))
    }
}

/// - Parameter logins: how often it was let in.
func expectSuccess(_ end: Finished, hasKeys: Bool, logins: Int = 1) {
    #expect(end.status == 0 && end.output.hasSuffix("SUCCESS\n"), "\(end.everything)")
    #expect(end.output.contains("MPPE keys OK: \(hasKeys ? logins : 0)  mismatch: 0"), "\(end.everything)")
}

func expectFailure(_ end: Finished) {
    #expect(end.status != 0 && end.output.hasSuffix("FAILURE\n"), "\(end.everything)")
    #expect(end.output.contains("code=3 (Access-Reject)"), "\(end.everything)")
    #expect(end.output.contains("CTRL-EVENT-EAP-FAILURE"), "\(end.everything)")
}
