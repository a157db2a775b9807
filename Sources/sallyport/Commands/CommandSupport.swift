// SPDX-License-Identifier: Apache-2.0
// What the commands share: the run from options to an answer, and how answers are laid out.

import Administration
import ArgumentParser
import Foundation

protocol NodeCommand: AsyncParsableCommand {
    var options: GlobalOptions { get }
    func run(_ node: NodeConnection, _ output: Output) async throws
}

extension NodeCommand {
    func run() async throws {
        let node = try await NodeConnection.open(options)
        defer { node.close() }
        try await run(node, options.output)
    }
}

extension Output {
    func show(_ done: Done) throws {
        try show(done, warnings: done.warnings) { self.done($0.message) }
    }

    func list(_ items: [String]) -> Span {
        items.isEmpty ? .none : Span(items.joined(separator: ", "))
    }

    func time(_ instant: Instant?) -> Span {
        instant.map { Span(TimeText.full($0, terminal)) } ?? .none
    }

    func ago(_ instant: Instant?) -> Span {
        instant.map { Span(TimeText.ago($0, terminal)) } ?? .none
    }

    func heading(_ text: String) {
        line()
        line(Span(text, .strong))
    }
}
