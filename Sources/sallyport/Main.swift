// SPDX-License-Identifier: Apache-2.0
// The program: its commands, and how it ends (behaviour.md, exit codes).

import Administration
import ArgumentParser
import Foundation
import Glibc
import RADIUSDoor
import Store
import WebDoor

@main
struct Sallyport: AsyncParsableCommand {
    static let release = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "sallyport", abstract: "Second factors for VPNs: one server, your own.",
        discussion: """
            Commands that manage data go to the running node; without one they work on the data directory, as its owner.

            Examples:
              sallyport client add office --address 192.0.2.7 --generate-secret
              sallyport user add alice --password-stdin
              sallyport factor add alice totp
              sallyport trace 7k2m9

            Exit codes: 0 done, 1 failed, 2 login refused, 64 usage, 69 unavailable, 78 configuration.
            """,
        version: release,
        subcommands: [
            ServeCommand.self, UserCommand.self, GroupCommand.self, ClientCommand.self, DirectoryCommand.self, FactorCommand.self,
            PolicyCommand.self, SessionCommand.self, AuthorityCommand.self, TraceCommand.self, AuditCommand.self, KeyCommand.self,
            PasswordCommand.self,
            ApplyCommand.self,
            ExportCommand.self, ImportCommand.self, BackupCommand.self, RestoreCommand.self, LoginCommand.self, DoctorCommand.self,
            BenchCommand.self,
        ])

    static func main() async {
        do {
            try UnknownCommand.check(Array(CommandLine.arguments.dropFirst()), of: Sallyport.self)
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Prints what went wrong and ends with the code for it.
    private static func end(with error: any Error) -> Never {
        let refusal: Refusal
        switch error {
        case let error as Refusal: refusal = error
        case let error as SettingsError: refusal = Refusal(.configuration, error.description)
        case let error as StoreError: refusal = Refusal(error)
        case let error as RADIUSServiceError: refusal = Refusal(error.isBusy ? .unavailable : .configuration, error.description)
        case let error as WebDoorError: refusal = Refusal(error.code == .busy ? .unavailable : .configuration, error.description)
        case let error as ClientTableError: refusal = Refusal(.configuration, error.description)
        default: exit(withError: error)
        }
        // What was logged came first.
        Observability.flush()
        Output.write(refusal.text(.current()), STDERR_FILENO)
        Glibc.exit(refusal.exitCode)
    }
}

extension RADIUSServiceError {
    /// Somebody else has the port now: nothing in the settings is wrong by itself.
    fileprivate var isBusy: Bool {
        switch self {
        case .addressInUse: true
        case .overTLS(let error): error.isBusy
        default: false
        }
    }
}
