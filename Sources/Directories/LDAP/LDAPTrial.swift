// SPDX-License-Identifier: Apache-2.0
// One server asked step by step, for an administrator: where it ends, how long each step took, what was found.

internal import Foundation
package import LoginEngine

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

package struct LDAPTrial: Sendable {
    package struct Step: Sendable, Equatable {
        package enum Outcome: String, Sendable {
            case done, failed, accepted, rejected
        }

        package var server: String
        /// `resolve`, `connect`, `tls`, `account`, `search`, `mapping`, `groups`, `password`.
        package var name: String
        package var outcome: Outcome
        package var span: Timestamp.Span
        package var message: String
        package var remedy: String?
        /// What was fetched, a line each.
        package var values: [String] = []
    }

    let directory: Directory
    let settings: LDAPSettings
    let user: String?
    let password: Secret?
    private let lookup: LDAPLookup

    package init(_ directory: Directory, _ settings: LDAPSettings, user: String?, password: Secret?) {
        self.directory = directory
        self.settings = settings
        self.user = user
        self.password = password
        lookup = LDAPLookup(directory, settings)
    }

    private var timeout: Timestamp.Span { directory.settings.timeout }

    private func uptime() -> Timestamp { BlockingPool.uptime() }

    /// Blocks for at most a few times the directory's timeout, beside the look-up of a name.
    package func perform(at server: LDAPServer, asksUser: Bool) -> [Step] {
        var steps: [Step] = []
        /// - Returns: nil where the step failed.
        func step<Value>(_ name: String, _ remedy: (LDAPFailure) -> String, _ body: () throws(LDAPFailure) -> (Value, Step)) -> Value? {
            let begun = uptime()
            do throws(LDAPFailure) {
                var (value, step) = try body()
                (step.server, step.name, step.span) = ("\(server)", name, uptime() - begun)
                steps.append(step)
                return value
            } catch {
                steps.append(
                    Step(
                        server: "\(server)", name: name, outcome: .failed, span: uptime() - begun, message: error.text + ".",
                        remedy: remedy(error)))
                return nil
            }
        }
        func done(_ message: String, _ values: [String] = []) -> Step {
            Step(server: "", name: "", outcome: .done, span: .seconds(0), message: message, values: values)
        }
        let set = "sallyport directory set \(directory.name)"
        let addresses = step("resolve", { _ in "See what this machine's name server says of it: `getent hosts \(server.host)`." }) {
            () throws(LDAPFailure) in
            let found = try Self.addresses(of: server.host)
            return (found, done("\(server.host) is \(found.map(\.description).joined(separator: ", ")).", []))
        }
        guard let addresses else { return steps }
        let isReached: Bool? = step(
            "connect", { _ in "See whether it listens on port \(server.port) and a firewall lets this machine through." }
        ) { () throws(LDAPFailure) in
            try Self.connect(server.host, server.port, within: timeout)
            return (true, done("Port \(server.port) of \(addresses.first?.description ?? server.host) answers."))
        }
        guard isReached != nil else { return steps }
        let connection = step("tls", { Self.remedy(ofTLS: $0, server, set) }) { () throws(LDAPFailure) in
            let connection = try LDAPConnection.open(server, caFile: settings.caFile, until: uptime() + timeout, now: uptime())
            return server.security == .plain
                ? (connection, done("No TLS: passwords can be read on the way. `\(set) --server starttls://…` or ldaps://… ends that."))
                : (
                    connection,
                    done(
                        "Its certificate fits \(server.host), and was signed by \(settings.caFile ?? "an authority that this machine trusts")."
                    )
                )
        }
        guard let connection else { return steps }
        defer { connection.close() }
        if settings.bind == .service {
            let account = settings.account ?? ""
            let isBound: Bool? = step("account", { _ in "Set its name and password: `\(set) --account … --password-stdin`." }) {
                () throws(LDAPFailure) in
                let answer = try connection.bind(
                    account, directory.settings.secret, asksPolicy: false, until: uptime() + timeout, now: uptime)
                guard answer.isSuccess else {
                    throw LDAPFailure(.refused(answer.code), "\(account) is refused with code \(answer.code) \(answer.diagnostic)")
                }
                return (true, done("\(account) is let in."))
            }
            guard isBound != nil else { return steps }
        }
        guard asksUser, let user else { return steps }
        guard let name = lookup.reading(of: user) else {
            steps.append(
                Step(
                    server: "\(server)", name: "search", outcome: .failed, span: .seconds(0),
                    message: "The domain of \(user) is none of this directory's, so that it would be asked nothing.",
                    remedy: "Name it as one: `\(set) --domain …`, all of them."))
            return steps
        }
        var isProved = false
        if settings.bind == .direct {
            guard let password else {
                steps.append(
                    Step(
                        server: "\(server)", name: "password", outcome: .done, span: .seconds(0),
                        message: "Users bind as themselves: nothing can be looked up without a password.",
                        remedy: "Give it with --password-stdin."))
                return steps
            }
            guard judge(lookup.bindName(of: name), password, server, connection, &steps) else { return steps }
            isProved = true
        }
        let found: LDAPEntry?? = step("search", { _ in "Look at --base and --filter: `sallyport directory show \(directory.name)`." }) {
            () throws(LDAPFailure) in
            let entry = try lookup.find(name, on: connection, until: uptime() + timeout, now: uptime)
            guard let entry else {
                throw LDAPFailure(
                    .refused(32),
                    "nothing below \(settings.base) fits \(LDAPText.filled(settings.filterText, name, LDAPText.filterValue))\(settings.users ?? "")"
                )
            }
            return (entry, done(entry.dn))
        }
        guard let found, let entry = found else { return steps }
        let person = lookup.person(entry, groups: [])
        var values = ["id: \(person.key)"]
        if !person.aliases.isEmpty { values.append("aliases: \(person.aliases.joined(separator: ", "))") }
        if let email = person.email { values.append("e-mail: \(email)") }
        if let phone = person.phone { values.append("phone: \(phone)") }
        steps.append(
            person.name.map {
                Step(server: "\(server)", name: "mapping", outcome: .done, span: .seconds(0), message: "Login name \($0).", values: values)
            }
                ?? Step(
                    server: "\(server)", name: "mapping", outcome: .failed, span: .seconds(0),
                    message: "The entry has no \(settings.attributes.name) that could be a login name.",
                    remedy: "Map another attribute: `\(set) --map name=…`.", values: values))
        _ = step("groups", { _ in "Look at --group-base, and whether groups may be read." }) { () throws(LDAPFailure) in
            let groups = try lookup.groups(of: entry, name, on: connection, until: uptime() + timeout, now: uptime)
            let names = groups.map { DirectoryPerson.groupName($0, of: directory.name) }
            return (true, done(groups.isEmpty ? "In no group." : "In \(groups.count) of its groups.", names))
        }
        if !isProved, let password { _ = judge(entry.dn, password, server, connection, &steps) }
        return steps
    }

    private func judge(
        _ name: String, _ password: Secret, _ server: LDAPServer, _ connection: LDAPConnection, _ steps: inout [Step]
    ) -> Bool {
        let begun = uptime()
        func add(_ outcome: Step.Outcome, _ message: String, _ remedy: String? = nil) {
            steps.append(
                Step(server: "\(server)", name: "password", outcome: outcome, span: uptime() - begun, message: message, remedy: remedy))
        }
        do throws(LDAPFailure) {
            let answer = try connection.bind(
                name, password, asksPolicy: !lookup.isActiveDirectory, until: uptime() + timeout, now: uptime)
            let said = answer.diagnostic.isEmpty ? "" : " It says: \(answer.diagnostic)"
            switch LDAPVerdict(answer) {
            case .right:
                add(.accepted, "The password is right, for \(name).")
                return true
            case .wrong: add(.rejected, "The password of \(name) is wrong, or there is no such entry.\(said)")
            case .expired: add(.rejected, "The password of \(name) is right and has to be changed there.\(said)")
            case .refused(let reason): add(.rejected, "\(name) is not let in: \(reason.rawValue).\(said)")
            case .unjudged(let why): add(.failed, "\(why).")
            }
        } catch {
            add(.failed, error.text + ".", "Try again; other servers of the directory are asked when one does not answer.")
        }
        return false
    }

    private static func remedy(ofTLS failure: LDAPFailure, _ server: LDAPServer, _ set: String) -> String {
        if server.security == .tls, failure.kind == .timeout {
            return "Does port \(server.port) speak TLS at once? If not: \(set) --server starttls://\(server.host)"
        }
        return
            "Give the file with the authority that signed its certificate (`\(set) --ca /path/ca.pem`), and name the server as the certificate "
            + "does: `openssl s_client -connect \(server.host):\(server.port)\(server.security == .startTLS ? " -starttls ldap" : "")` shows it."
    }

    // MARK: Sockets

    private static func addresses(of host: String) throws(LDAPFailure) -> [NetworkAddress] {
        if let address = NetworkAddress(host) { return [address] }
        do throws(ServerAddressError) {
            return try ServerAddress.addresses(of: host)
        } catch {
            throw LDAPFailure(.unreachable, error.description)
        }
    }

    /// A connection that is closed again at once; libldap makes its own.
    private static func connect(_ host: String, _ port: UInt16, within span: Timestamp.Span) throws(LDAPFailure) {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &found) == 0 else { throw LDAPFailure(.unreachable, "\(host) is not found") }
        defer { freeaddrinfo(found) }
        var why = "no address"
        var next = found
        while let entry = next {
            next = entry.pointee.ai_next
            let descriptor = socket(entry.pointee.ai_family, entry.pointee.ai_socktype | CInt(SOCK_NONBLOCK.rawValue), 0)
            guard descriptor >= 0 else { continue }
            defer { Glibc.close(descriptor) }
            if Glibc.connect(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen) == 0 { return }
            guard errno == EINPROGRESS else {
                why = String(cString: strerror(errno))
                continue
            }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&waiting, 1, CInt(span.microseconds / 1_000)) == 1 else {
                why = "no answer in time"
                continue
            }
            var code: CInt = 0
            var size = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
            if code == 0 { return }
            why = String(cString: strerror(code))
        }
        throw LDAPFailure(.unreachable, "no connection to \(host), port \(port): \(why)")
    }
}
