// SPDX-License-Identifier: Apache-2.0
// sallyport bench: what `make bench` calls to load a server and to make the data for it.

import ArgumentParser

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure a RADIUS server.",
        discussion: """
            Only for servers and data made for it: it logs in as many users as fast as the server answers.

            Examples:
              sallyport bench prepare --data-dir /tmp/bench --users 1000 --mode code
              sallyport bench radius --server 127.0.0.1:1812 --secret-file /tmp/bench/bench.secret --users 1000 --mode code --seconds 10
            """,
        subcommands: [
            BenchRADIUS.self, BenchPersist.self, BenchHold.self, BenchStorage.self, BenchPolicies.self, BenchPrepare.self,
            BenchRespond.self,
            BenchFreeRADIUSUsers.self,
        ], defaultSubcommand: nil)
}
