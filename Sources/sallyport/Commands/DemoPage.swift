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

    init(_ demo: Demo, node: Node) {
        self.demo = demo
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
        output.line("  user      \(Demo.user)")
        output.line("  password  \(demo.password.text)")
        output.line("  token     scan this with an authenticator app:")
        output.line()
        output.lines(QRCode(demo.uri.text)?.lines(output.terminal) ?? [demo.uri.text])
        output.line()
        output.line(Span("Log her in from a second terminal:", .strong))
        output.line()
        output.line("  \(line)")
        output.line()
        output.line("Leave --demo away from that line to type the password, and the code that your phone shows.")
        output.line("Ctrl-C stops the node; the same command starts it again with the same data.")
        output.line()
    }
}
