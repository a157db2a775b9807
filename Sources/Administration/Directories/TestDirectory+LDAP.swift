// SPDX-License-Identifier: Apache-2.0
// Asks the servers of an LDAP directory from here, each step with its time.

internal import Directories
internal import LoginEngine

extension TestDirectory {
    func performLDAP(_ directory: Directory, _ settings: LDAPSettings) async -> Answer {
        let trial = LDAPTrial(directory, settings, user: user.map(Valid.trimmed), password: password?.secret)
        var results: [Answer.Result] = []
        // A wrong password is to be counted once.
        var isAsked = false
        for server in settings.servers {
            let asksUser = !isAsked
            let steps = await Self.offThread { trial.perform(at: server, asksUser: asksUser) }
            if steps.contains(where: { ["search", "password"].contains($0.name) }) { isAsked = true }
            results += steps.map { step in
                var result = Answer.Result(
                    server: step.server, outcome: step.outcome.rawValue, milliseconds: Int(step.span.microseconds / 1_000),
                    message: step.message)
                result.step = step.name
                result.remedy = step.remedy
                result.values = step.values.isEmpty ? nil : step.values
                return result
            }
        }
        return Answer(directory: directory.name, results: results)
    }
}
