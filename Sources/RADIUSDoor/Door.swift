// SPDX-License-Identifier: Apache-2.0
// What all listeners share: the clients, the judge, the counters, and what is said in the log.

import EAP
internal import Logging
package import LoginEngine
import RADIUS
internal import Synchronization
import TLS

/// What was last said about why packets got no answer.
package struct DropExplanation: Sendable, Equatable {
    package var cause: String
    package var words: String
    /// By the clock that only moves forward.
    package var at: Timestamp

    package init(cause: String, words: String, at: Timestamp) {
        self.cause = cause
        self.words = words
        self.at = at
    }
}

final class Door: Sendable {
    let judge: any LoginJudge
    /// Nil where no accounting is taken.
    let ledger: (any SessionLedger)?
    let links: LoginLinks?
    let eap: EAPConversations
    let tunnelWork: TunnelPool
    let now: @Sendable () -> Moment
    let counters = DoorCounters()
    let logger: Logger
    private let clients: Mutex<ClientTable>
    private let contexts = Mutex(EAPContexts())
    private let pinRule = Mutex(PinRule())
    private let dropLog = Mutex(DropLog())
    private let explained = Mutex<[String: DropExplanation]>([:])
    private let onPin: @Sendable (ClientPin) -> Void

    init(
        clients: ClientTable, judge: any LoginJudge, ledger: (any SessionLedger)? = nil, eap: EAPConversationLimits,
        random: any RandomNumberGenerator & Sendable, logger: Logger, now: @escaping @Sendable () -> Moment,
        onPin: @escaping @Sendable (ClientPin) -> Void
    ) {
        self.clients = Mutex(clients)
        self.judge = judge
        self.ledger = ledger
        links = ledger == nil ? nil : LoginLinks()
        self.eap = EAPConversations(limits: eap, random: random, counters: counters.eap)
        tunnelWork = TunnelPool(threads: TunnelPool.usualThreads) { now().uptime }
        self.logger = logger
        self.now = now
        self.onPin = onPin
    }

    var table: ClientTable { clients.withLock { $0 } }

    /// The latest sentence of each cause.
    var explanations: [DropExplanation] { explained.withLock { $0.values.sorted { $0.cause < $1.cause } } }

    var eapContexts: EAPContexts {
        get { contexts.withLock { $0 } }
        set { contexts.withLock { $0 = newValue } }
    }

    func replaceClients(_ table: ClientTable) {
        clients.withLock { $0 = table }
    }

    /// So that the session that begins now is known to be this login's.
    ///
    /// - Parameter name: who was let in, where the packet says another name.
    func noteAccept(_ login: LoginID, _ packet: Packet, of entry: ClientEntry, name: [UInt8]? = nil) {
        guard let links else { return }
        let nameKey = name.flatMap { OuterIdentity.key($0, of: entry.client.settings) }
        links.note(login, nameKey: nameKey, packet, of: entry.client.id, at: now().uptime)
    }

    enum ConversationOfPacket {
        case known(EAPConversation)
        /// Its State is nobody's.
        case unknown
        /// There is no room for another.
        case overloaded
    }

    /// The conversation that a packet belongs to, or a new one.
    func conversation(
        of packet: Packet, _ entry: ClientEntry, from source: NetworkAddress, at now: Timestamp
    ) -> ConversationOfPacket {
        let client = entry.client
        if let state = packet.octets(.state) {
            let found = eap.find(state, client: client.id, source: source, at: now)
            if found == nil { counters.eap.unknown.add() }
            return found.map { .known($0) } ?? .unknown
        }
        let methods = client.settings.eap
        // Who may prove a password without a tunnel as well could have his proof carried into the tunnel of another (Asokan, Niemi and
        // Nyberg 2003).
        let binding: PEAPMethod.Binding = methods.contains(.msCHAPv2) ? .required : .offered
        let framedMTU = packet.integer(.framedMTU)
        let clock = self.now
        let opened = eap.open(
            { state in
                var offers = methods.compactMap {
                    $0.method(
                        contexts: { [self] in eapContexts }, binding: binding, framedMTU: framedMTU, now: { clock().wall.seconds },
                        challenge: eap.challenge)
                }
                // The trail has to say why the device was offered nothing.
                if offers.isEmpty { offers = [DeferredMethod(.tls) { throw NothingToOffer() }] }
                return EAPConversation(state: state, client: client.id, source: source, methods: offers)
            }, client: client.id, at: now)
        return opened.map { .known($0) } ?? .overloaded
    }

    func notePin(_ source: ClientPin, hasMessageAuthenticator: Bool, at now: Timestamp) {
        if pinRule.withLock({ $0.note(source, hasMessageAuthenticator: hasMessageAuthenticator, at: now) }) { onPin(source) }
    }

    /// Counts, and explains once a minute.
    func drop(
        _ reason: DropReason, from source: NetworkAddress, of client: ClientEntry? = nil, detail: PacketError? = nil, at now: Timestamp
    ) {
        counters.drop(reason)
        // A pin belongs to one address, so the command that undoes it must be seen for each.
        let subject: DropLog.Subject =
            if let client, reason != .pinnedWithoutMessageAuthenticator { .client(client.client.id) } else { .source(source) }
        explain(subject, .drop(reason), from: source, of: client, at: now) {
            reason.explanation(client: client?.client.name, source: source, detail: detail)
        }
    }

    /// Counts a connection over TLS that was refused, and explains once a minute.
    func refuse(_ refusal: ConnectionRefusal, from source: NetworkAddress, at now: Timestamp, words: @autoclosure () -> String) {
        counters.tls.refuse(refusal)
        explain(.source(source), .refusedConnection(refusal), from: source, of: nil, at: now, words: words)
    }

    /// A device's certificate that was not taken: counted, and explained once a minute.
    func refuse(_ refusal: EAPCertificateRefusal, from source: NetworkAddress, of client: ClientEntry, at now: Timestamp) {
        counters.eap.refuse(refusal.cause)
        explain(.client(client.client.id), .refusedDevice(refusal.cause), from: source, of: client, at: now) {
            "the certificate \"\(refusal.subject)\" of a device, issued by \"\(refusal.issuer)\", was refused: \(refusal.reason); expected "
                + "\(refusal.expected) (sha256 \(refusal.fingerprint))"
        }
    }

    /// Not a drop: the login is rejected.
    func hintAtSecret(from source: NetworkAddress, of client: ClientEntry, at now: Timestamp) {
        explain(.client(client.client.id), .secretLooksWrong, from: source, of: client, at: now) {
            if client.isProtected { return DropReason.wrongSecretInTLS.explanation(client: client.client.name, source: source) }
            return
                "the shared secret probably differs: a password came out as bytes that nobody types; enter the same secret on the gateway and"
                + " by sallyport client set \(client.client.name) --secret-stdin"
        }
    }

    private func explain(
        _ subject: DropLog.Subject, _ cause: DropLog.Cause, from source: NetworkAddress, of client: ClientEntry?, at now: Timestamp,
        words: () -> String?
    ) {
        switch dropLog.withLock({ $0.admit(subject, cause, at: now) }) {
        case .keepBack:
            break
        case .write(let keptBack):
            guard let words = words() else { return }
            explained.withLock { $0[cause.word] = DropExplanation(cause: cause.word, words: words, at: now) }
            var metadata: Logger.Metadata = ["source": "\(source)", "cause": "\(cause.word)"]
            if let client { metadata["client"] = "\(client.client.name)" }
            if keptBack > 0 { metadata["more_since_last"] = "\(keptBack)" }
            logger.warning("\(words)", metadata: metadata)
        case .writeSummary(let keptBack):
            logger.warning(
                "packets are dropped for more sources and causes than are logged one by one; /metrics counts all by cause",
                metadata: ["kept_back": "\(keptBack)", "cause": "\(cause.word)"])
        }
    }
}
