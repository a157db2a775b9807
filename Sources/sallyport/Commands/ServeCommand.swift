// SPDX-License-Identifier: Apache-2.0
// `sallyport serve`: runs the node.

import Administration
import ArgumentParser
import Foundation
import Logging
import LoginEngine
import RADIUSDoor
import Store
import WebDoor

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the node.",
        discussion: """
            Answers RADIUS until it is told to stop (SIGTERM, ctrl-C). Settings come from flags, then the
            environment (SALLYPORT_RADIUS_LISTEN), then sallyport.yaml, then defaults.

            Examples:
              sallyport serve --data-dir /var/lib/sallyport
              sallyport serve --demo --data-dir demo      try it: a user, a token and a gateway on loopback
            """)

    @OptionGroup var flags: SettingsFlags

    @Flag(help: "Make a user, her token and a gateway, on loopback and in an empty data directory.")
    var demo = false

    @Flag(name: .customLong("no-migrate"), help: "Refuse an older database instead of bringing it up to date.")
    var refusesToMigrate = false

    private func open(_ settings: Settings) throws(StoreError) -> DataDirectory {
        do throws(StoreError) {
            if demo { return try Demo.open(settings.dataDirectory) }
            let directory = try DataDirectory.open(settings.dataDirectory)
            try Demo.refuse(directory)
            return directory
        } catch {
            throw error.whenLocked(
                demo
                    ? "If that is a demo, it runs already: use it, end it with ctrl-C, or name another directory with --data-dir."
                    : "If that is a node, it runs already: `sallyport doctor` shows it. Stop it, or name another directory with --data-dir."
            )
        }
    }

    func run() async throws {
        var settings = try flags.settings()
        if demo { try Demo.prepare(&settings) }
        let directory = try open(settings)
        let metrics = PrometheusRegistry(help: NodeFigures.help)
        Observability.start(level: settings.logLevel, format: settings.logFormat, metrics: metrics)
        let logger = Logger(label: "sallyport.node")
        for warning in settings.warnings { logger.warning("\(warning)") }
        let node = try Node.open(settings, in: directory, metrics: metrics, migrates: !refusesToMigrate, isServing: true)
        let notice = ServiceNotice()
        do {
            try await node.start()
            let story = demo ? try await Demo.prepare(node) : nil
            let page = try story.map { ($0, try $0.standing(node.store.records, at: NodeClock.now().wall)) }
            try await node.run {
                notice?.ready("RADIUS on \(node.radius.boundAddresses.map { "\($0)" }.joined(separator: ", "))")
                if let (story, standing) = page { DemoPage(story, node: node, standing: standing).show() }
            }
        } catch {
            await node.close()
            throw error
        }
        notice?.stopping()
        await node.close()
        logger.info("stopped")
        Observability.flush()
    }
}
