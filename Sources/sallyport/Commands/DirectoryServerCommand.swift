// SPDX-License-Identifier: Apache-2.0
// sallyport directory server: one server of a directory, and a secret of its own.

import Administration
import ArgumentParser

struct DirectoryServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server", abstract: "One server of a directory, and the secret that it shares with this one.",
        discussion: """
            Example:
              pass show radius/nps2 | sallyport directory server add nps --address 192.0.2.12 --secret-stdin
            """,
        subcommands: [Add.self, Remove.self])

    struct Add: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a server behind the others, or give one another secret.",
            discussion: """
                Without --secret-stdin it shares the directory's secret.

                Examples:
                  sallyport directory server add nps --address 192.0.2.12
                  pass show radius/nps2 | sallyport directory server add nps --address 192.0.2.12 --secret-stdin
                """)

        @Argument(help: "The directory's name.") var directory: String
        @Option(help: ArgumentHelp("The server's address or host name, with its port where that is not 1812.", valueName: "address"))
        var address: String
        @Flag(help: "Read the secret that this server alone shares, one line, from standard input.") var secretStdin = false
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            let secret = secretStdin ? try options.prompts.secret("Shared secret") : nil
            try output.show(try await node.perform(AddDirectoryServer(directory: directory, server: address, secret: secret)))
        }
    }

    struct Remove: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask a server no more.",
            discussion: """
                Example:
                  sallyport directory server remove nps --address 192.0.2.12
                """)

        @Argument(help: "The directory's name.") var directory: String
        @Option(help: ArgumentHelp("The server's address.", valueName: "address")) var address: String
        @OptionGroup var options: GlobalOptions

        func run(_ node: NodeConnection, _ output: Output) async throws {
            try output.show(try await node.perform(RemoveDirectoryServer(directory: directory, server: address)))
        }
    }
}
