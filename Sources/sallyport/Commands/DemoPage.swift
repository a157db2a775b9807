// SPDX-License-Identifier: Apache-2.0
// What a newcomer reads when the demo is up.

import Administration
import Foundation
import RADIUSDoor
import Store

struct DemoPage {
    private let demo: Demo
    private let directory: String
    private let server: String
    private let standing: Demo.Standing

    init(_ demo: Demo, node: Node, standing: Demo.Standing) {
        self.demo = demo
        self.standing = standing
        directory = node.store.directory.path
        server = node.radius.boundAddresses.first.map { "\($0)" } ?? ""
    }

    /// The command that the newcomer started, so that the line works where it is pasted.
    private var program: String {
        let path = CommandLine.arguments.first ?? "sallyport"
        return path.contains("/") ? URL(fileURLWithPath: path).standardizedFileURL.path : path
    }

    /// One line that logs alice in over real RADIUS, code and all.
    var line: String { "\(program) login \(Demo.user) --demo --server \(server) --data-dir \(directory)" }

    func show() {
        let output = Output(terminal: .current(.auto), isJSON: false)
        output.line()
        output.line(Span("Sallyport demo", .strong), Span("  RADIUS on \(server), data in \(directory)"))
        output.line()
        guard standing.hasUser else {
            output.line("User \(Demo.user), whom the demo made, is gone or disabled. For a new demo name an empty --data-dir.")
            output.line("Ctrl-C stops the node.")
            return output.line()
        }
        output.line("  user      \(Demo.user)")
        output.line(
            standing.password
                ? "  password  \(demo.password.text)"
                : "  password  was changed since; a new one: \(program) user set \(Demo.user) --password-stdin --data-dir \(directory)")
        if standing.token {
            output.line("  token     scan this with an authenticator app:")
            output.line()
            output.lines(QRCode(demo.uri.text)?.lines(output.terminal) ?? [demo.uri.text])
        } else {
            output.line("  token     was changed since; a new one: \(program) factor add \(Demo.user) totp --data-dir \(directory)")
        }
        output.line()
        if standing.isAll {
            output.line(Span("Log her in from a second terminal:", .strong))
            output.line()
            output.line("  \(line)")
            output.line()
            output.line("Leave --demo away from that line to type the password, and the code that your phone shows.")
        } else {
            let more = standing.gateway ? "" : ", of a client that covers 127.0.0.1"
            output.line(Span("Log her in from a second terminal, with what holds now\(more):", .strong))
            output.line()
            output.line("  \(program) login \(Demo.user) --client \(standing.gateway ? Demo.client : "CLIENT") --data-dir \(directory)")
            output.line()
        }
        output.line("Ctrl-C stops the node; the same command starts it again with the same data.")
        output.line()
    }
}
