// SPDX-License-Identifier: Apache-2.0
// What every operation works with: the records, and what comes in from outside as values and closures.

package import Directories
package import LoginEngine
package import Store

package final class Operations: Sendable {
    /// What a running node has to take up before a command returns.
    package enum Change: Sendable, Hashable {
        /// Clients or their pins: the doors need a new client table.
        case clients
        /// Names or reply attributes of groups.
        case replies
        /// Directories: whoever logs in from now on is checked by the new ones.
        case directories
        /// Policies: logins that begin from now on are judged by the new ones.
        case policies
        /// The counters of this user were cleared: the engine's memory has to forget them too.
        case failures(user: Int64)
        /// Authorities, or what was taken back: who checks certificates needs both anew.
        case certificates
        /// What is counted and not yet written may name somebody who is being erased: it is written now, to be erased with the rest.
        case erasure
        /// There is something to be sent, or another way to send it.
        case mail
    }

    package struct Ports: Sendable {
        /// Password → PHC string, on a pool of its own.
        package var hashPassword: @Sendable (Secret) async throws -> Secret
        package var now: @Sendable () -> Timestamp
        package var random: @Sendable () -> any RandomNumberGenerator
        /// Where RADIUS answers, as `192.0.2.1:1812`; where no node runs, what its settings say.
        package var radiusAddresses: @Sendable () -> [String]
        /// Returns when the change is in force; throws where it is written and is not. Does nothing where no node runs.
        package var changed: @Sendable (Change) async throws(Refusal) -> Void
        /// Whether logins are decided meanwhile.
        package var isServing: Bool
        /// What the running process knows about itself; nothing where no node runs.
        package var examine: @Sendable () -> [Finding]
        package var dataDirectory: String?
        /// Where accounting is taken.
        package var accountingAddresses: @Sendable () -> [String] = { [] }
        /// The attributes that can be set.
        package var replies = ReplyDictionary()
        /// How long a grant may last.
        package var longestGrant: Timestamp.Span = .minutes(8 * 60)
        /// Asks a gateway by its connection over TLS; nobody is connected where no node runs.
        package var askByTLS: @Sendable (TLSQuestion) async -> TLSQuestion.Answer = { _ in .notConnected }
        /// What the node shows to devices by EAP; nil where it shows nothing yet.
        package var eapShown: @Sendable () -> ShownCertificate? = { nil }
        /// The name that it would be issued for.
        package var eapServerName: @Sendable () -> String? = { nil }
        /// What the traffic of a client shows; nil where no node runs, or the client is not served.
        package var habits: @Sendable (Int64) -> GatewayHabits? = { _ in nil }
        /// The administrator's database of countries.
        package var countries: @Sendable () -> Countries = { Countries() }
        /// Which servers of directories answer; nothing where no node runs.
        package var directoryStatus: @Sendable () -> [DirectoryStatus] = { [] }
        /// What lists a directory's users and groups; nil for one that cannot.
        package var directoryPages: @Sendable (Directory) -> (any DirectoryPages)? = { LDAPPages($0) }
        /// What this host calls itself: to mail servers, and to other nodes where only one may do something.
        package var nodeName = "localhost"
        /// What links to the node's pages begin with, `https://vpn.example.org`; nil: it has none.
        package var publicURL: @Sendable () -> String? = { nil }

        package init(
            hashPassword: @escaping @Sendable (Secret) async throws -> Secret, now: @escaping @Sendable () -> Timestamp,
            random: @escaping @Sendable () -> any RandomNumberGenerator = { SystemRandomNumberGenerator() },
            radiusAddresses: @escaping @Sendable () -> [String] = { [] },
            changed: @escaping @Sendable (Change) async throws(Refusal) -> Void = { _ in }, isServing: Bool = false,
            examine: @escaping @Sendable () -> [Finding] = { [] }, dataDirectory: String? = nil
        ) {
            self.hashPassword = hashPassword
            self.now = now
            self.random = random
            self.radiusAddresses = radiusAddresses
            self.changed = changed
            self.isServing = isServing
            self.examine = examine
            self.dataDirectory = dataDirectory
        }
    }

    /// What finds countries, and why nothing does.
    package struct Countries: Sendable {
        package var lookup = CountryLookup.none
        /// Why no country is known, without a full stop; nil: the database is there.
        package var problem: String? = "no database is set (policy.country-database)"
        /// When the database was made.
        package var built: Timestamp?

        package init() {}

        package init(lookup: CountryLookup, problem: String?, built: Timestamp?) {
            (self.lookup, self.problem, self.built) = (lookup, problem, built)
        }
    }

    package struct ShownCertificate: Sendable {
        package var name: String
        package var fingerprint: [UInt8]

        package init(name: String, fingerprint: [UInt8]) {
            (self.name, self.fingerprint) = (name, fingerprint)
        }
    }

    let records: Records
    let ports: Ports
    let syncs = SyncRuns()
    /// The name that authenticator apps show.
    package let issuer: String

    package init(records: Records, ports: Ports, issuer: String = "Sallyport") {
        self.records = records
        self.ports = ports
        self.issuer = issuer
    }

    /// The one way in: whatever goes wrong comes out as words for an administrator.
    package func perform<Kind: AdminOperation>(_ operation: Kind, by actor: Actor) async throws(Refusal) -> Kind.Answer {
        do {
            return try await operation.perform(in: self, by: actor)
        } catch let refusal as Refusal {
            throw refusal
        } catch let error as StoreError {
            throw Refusal(error)
        } catch {
            throw Refusal(.failed, "`\(Kind.verb)` broke: \(error)", remedy: "Nothing was changed. See the node's log.")
        }
    }

    /// A password that came with a login, by the rules of any other: what is to be written of it.
    package func newPassword(_ password: Secret) async throws(Refusal) -> (hash: Secret, kept: KeptPassword?) {
        do {
            try checkPassword(password)
            return (try await hash(password), try kept(of: password))
        } catch let refusal as Refusal {
            throw refusal
        } catch let error as StoreError {
            throw Refusal(error)
        } catch {
            throw Refusal(.unavailable, "The new password could not be hashed: \(error)", remedy: "Try again.")
        }
    }

    func now() -> Timestamp { ports.now() }

    /// An event of a change; who did it is a personal field.
    func event(
        _ kind: EventKind, by actor: Actor, user: Int64? = nil, client: Int64? = nil, subject: [PersonalFields.Field] = [],
        _ details: KeyValuePairs<String, String> = [:]
    ) -> Event {
        Event(
            kind, at: now(), user: user, client: client, details: details.map { Event.Detail($0.key, $0.value) },
            subject: PersonalFields(subject), actor: PersonalFields([PersonalFields.Field("actor", actor.description)]))
    }
}

extension Refusal {
    package init(_ error: StoreError) {
        let kind: Kind =
            switch error.code {
            case .notFound: .missing
            case .nameTaken, .notAllowed: .conflict
            case .unavailable, .overloaded, .locked: .unavailable
            case .invalid: .invalid
            default: error.isConfiguration ? .configuration : .failed
            }
        let sentence = error.what.prefix(1).uppercased() + error.what.dropFirst() + (error.what.hasSuffix(".") ? "" : ".")
        self.init(kind, sentence, remedy: error.remedy.isEmpty ? nil : error.remedy, place: error.place.isEmpty ? nil : error.place)
    }
}
