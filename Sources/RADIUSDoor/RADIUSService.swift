// SPDX-License-Identifier: Apache-2.0
// The RADIUS door: starts the listeners, keeps them until shutdown, drains and closes them.

internal import CSockets
package import Logging
package import LoginEngine
import RADIUS
internal import ServiceLifecycle
internal import Synchronization
package import TLS

package struct RADIUSSettings: Sendable {
    package var listen: [UDPEndpoint]
    package var accounting: [UDPEndpoint] = []
    /// Bytes asked of the kernel for each listener: what a burst may wait in while a batch is judged.
    package var receiveBuffer = 4 << 20
    /// How long shutdown waits for logins that are being decided.
    package var drainTime = Timestamp.Span.seconds(10)
    package var duplicates = DuplicateLimits()
    package var eap = EAPConversationLimits()
    /// RADIUS over TLS; nil: none.
    package var tls: TLSListenSettings?

    package init(listen: [UDPEndpoint]) {
        self.listen = listen
    }
}

package final class RADIUSService: Service, Sendable {
    private let settings: RADIUSSettings
    private let door: Door
    private let state = Mutex(State())
    private let context = CurrentContext()

    private struct State {
        var listeners: [UDPListener] = []
        var tls: TLSListener?
        var isStarted = false
        var reading = 0
        var failure: RADIUSServiceError?
        var atEnd: CheckedContinuation<Void, Never>?
    }

    /// - Parameters:
    ///   - ledger: keeps what comes to the addresses for accounting, and what comes of it over TLS.
    ///   - random: of what State and challenges are made.
    ///   - now: read once a batch and once an answer.
    ///   - onPin: runs on a reading thread, so it must only queue; the pin is to be stored and the table replaced.
    package init(
        settings: RADIUSSettings, clients: ClientTable, judge: any LoginJudge, ledger: (any SessionLedger)? = nil,
        random: any RandomNumberGenerator & Sendable, logger: Logger, now: @escaping @Sendable () -> Moment,
        onPin: @escaping @Sendable (ClientPin) -> Void
    ) {
        self.settings = settings
        // Over TLS one port is for everything.
        let takesAccounting = !settings.accounting.isEmpty || settings.tls?.listen.isEmpty == false
        door = Door(
            clients: clients, judge: judge, ledger: takesAccounting ? ledger : nil, eap: settings.eap, random: random, logger: logger,
            now: now, onPin: onPin)
    }

    /// Where it listens, in the order of the settings; ports are the bound ones. Empty before `start`.
    package var boundAddresses: [UDPEndpoint] { listeners.filter { $0.purpose == .authentication }.map(\.endpoint) }
    /// The same of accounting.
    package var boundAccounting: [UDPEndpoint] { listeners.filter { $0.purpose == .accounting }.map(\.endpoint) }

    /// Where it listens for RADIUS over TLS.
    package var boundTLSAddresses: [UDPEndpoint] { tls?.endpoints ?? [] }

    package var statistics: RADIUSStatistics {
        door.counters.statistics(pending: listeners.reduce(tls?.pendingCount ?? 0) { $0 + $1.pendingCount })
    }

    /// EAP conversations that are under way.
    package var openConversations: Int { door.eap.figures.open }
    /// What waits for a thread that speaks TLS with devices, and how often that was refused because it would have taken too long.
    package var tunnelWork: (waiting: Int, shed: Int) { (door.tunnelWork.waiting, door.tunnelWork.shedCount) }
    /// Connections over TLS that are through their handshake.
    package var openConnections: Int { door.counters.tls.openCount }
    /// Connections over TLS that were refused, by cause.
    package var refusedConnections: [String: Int] { door.counters.tls.refusals() }

    /// The latest sentence about each cause for which a packet got no answer.
    package var explanations: [DropExplanation] { door.explanations }

    private var listeners: [UDPListener] { state.withLock { $0.listeners } }
    private var tls: TLSListener? { state.withLock { $0.tls } }

    /// The next batch of each listener is judged by this table.
    package func replaceClients(_ table: ClientTable) {
        door.replaceClients(table)
    }

    /// New connections over TLS are made from these; those that are open stay as they are.
    ///
    /// - Throws: `TLSError.unusable`; what was in force stays so.
    package func useCertificates(_ settings: TLSSettings) throws(TLSError) -> TLSContext {
        let versions = RADIUSVersion.allCases.filter { self.settings.tls?.versions.contains($0) ?? true }
        var settings = settings
        // The newer first; RFC 9765 §3.5: never below TLS 1.3.
        settings.applicationProtocols = versions.reversed().map(\.applicationProtocol)
        settings.needsTLS13 = [RADIUSVersion.tokens.applicationProtocol]
        settings.isPinned = { [door] in door.table.peers.isRegistered(fingerprint: $0) }
        settings.preSharedKey = { [door] in door.table.peers.key(of: $0)?.reveal { $0 } }
        let fresh = try TLSContext(.server, settings)
        context.value = fresh
        return fresh
    }

    /// Conversations that begin from now on may be EAP-TTLS, PEAP and EAP-TLS under this certificate; those that are under way keep theirs.
    ///
    /// - Returns: what devices are shown, and what they have to show; nil: EAP-TLS is not offered.
    /// - Throws: `TLSError.unusable`; what was in force stays so.
    @discardableResult
    package func useTunnel(
        _ settings: TLSSettings, trust: DeviceTrust = DeviceTrust()
    ) throws(TLSError) -> (tunnel: TLSContext, devices: TLSContext?) {
        var settings = settings
        // Users prove themselves inside, and no session is taken up: devices that do so take it for proof enough, and say nothing there.
        (settings.peerCertificate, settings.sessions) = (.none, nil)
        let tunnel = try TLSContext(.server, settings)
        let devices = trust.authorities.isEmpty ? nil : try TLSContext(.server, settings.asking(trust))
        door.eapContexts = EAPContexts(tunnel: tunnel, devices: devices, rules: trust.rules, status: trust.status)
        return (tunnel, devices)
    }

    /// Devices' certificates that were refused, by cause.
    package var refusedDevices: [String: Int] { door.counters.eap.refusals }

    /// Asks a gateway by the connection over TLS that it keeps open.
    package func ask(_ question: GatewayQuestion) async -> GatewayAnswer {
        await withCheckedContinuation { continuation in ask(question) { continuation.resume(returning: $0) } }
    }

    /// - Parameter completion: called once, on any thread.
    func ask(_ question: GatewayQuestion, _ completion: @escaping @Sendable (GatewayAnswer) -> Void) {
        guard let tls else { return completion(.notConnected) }
        tls.ask(PendingQuestion(question: question, completion: completion))
    }

    /// Binds every address and starts to read; all or none. A call after a successful one does nothing.
    package func start() throws(RADIUSServiceError) {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard isFirst else { return }
        do throws(RADIUSServiceError) {
            try openAll()
        } catch {
            stop(drain: .seconds(0))
            state.withLock { state in
                state.listeners = []
                state.tls = nil
                state.isStarted = false
            }
            throw error
        }
    }

    private func openAll() throws(RADIUSServiceError) {
        var opened: [UDPListener] = []
        let accounting = door.ledger == nil ? [] : settings.accounting
        let wanted = settings.listen.map { ($0, UDPPurpose.authentication) } + accounting.map { ($0, .accounting) }
        for (index, (endpoint, purpose)) in wanted.enumerated() {
            let socket = try UDPSocket(endpoint)
            grow(socket)
            opened.append(try UDPListener(socket: socket, purpose: purpose, index: index, limits: settings.duplicates, door: door))
        }
        var tls: TLSListener?
        if let wanted = settings.tls, !wanted.listen.isEmpty {
            tls = try TLSListener(wanted, context: context, index: opened.count, limits: settings.duplicates, door: door)
        }
        state.withLock { state in
            state.listeners = opened
            state.tls = tls
        }
        for listener in opened { try startReading(listener) }
        if let tls { try startReading(tls) }
    }

    /// Sends what completions on this thread have queued.
    ///
    /// For a thread that runs completions in groups, such as the one writer: it calls this after each group. From its first
    /// call on, replies completed on it are gathered until the next; on other threads each is sent at once.
    package func flush() {
        ThreadRole.becomeGroupWriter()
        let (listeners, tls) = state.withLock { ($0.listeners, $0.tls) }
        for listener in listeners { listener.flush() }
        tls?.flush()
    }

    /// Serves until graceful shutdown or cancellation: then nothing new is read, outstanding answers are waited for (not when
    /// cancelled), and the sockets are closed before it returns.
    package func run() async throws {
        try start()
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await untilEnd()
            } onGracefulShutdown: {
                self.stop(drain: self.settings.drainTime)
            }
        } onCancel: {
            stop(drain: .seconds(0))
        }
        // Whoever waits there waits for no answer any more.
        door.tunnelWork.stop()
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Stops reading; `run` returns when outstanding answers are sent or the time is over.
    package func stop(drain: Timestamp.Span) {
        for listener in listeners { listener.stop(drain: drain) }
        tls?.stop(drain: drain)
    }

    private func untilEnd() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.reading == 0 { return true }
                state.atEnd = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private func grow(_ socket: UDPSocket) {
        let granted = socket.growBuffer(to: settings.receiveBuffer)
        guard granted < settings.receiveBuffer else { return }
        door.logger.notice(
            "the kernel grants a smaller receive buffer than asked for, bursts may be lost; to raise it: sysctl -w net.core.rmem_max=\(settings.receiveBuffer)",
            metadata: ["listener": "\(socket.endpoint)", "granted": "\(granted)", "asked": "\(settings.receiveBuffer)"])
    }

    private func startReading(_ listener: UDPListener) throws(RADIUSServiceError) {
        let error = startThread("radius-\(listener.endpoint.port)") {
            let failure = Self.read(listener)
            listener.drainAndClose()
            return failure
        }
        if let error { throw .cannotStartThread(listener.endpoint, reason: error) }
        let what = listener.purpose == .accounting ? "RADIUS accounting" : "RADIUS"
        door.logger.info("listening for \(what) over UDP", metadata: ["listener": "\(listener.endpoint)"])
    }

    private func startReading(_ listener: TLSListener) throws(RADIUSServiceError) {
        let error = startThread("radsec") {
            let reader = TLSReader(listener)
            let failure = reader.run()
            reader.close()
            return failure
        }
        if let error { throw .overTLS(.cannotStartThread(listener.endpoints[0], reason: error)) }
        for endpoint in listener.endpoints {
            door.logger.info("listening for RADIUS over TLS", metadata: ["listener": "\(endpoint)"])
        }
    }

    /// - Returns: why it could not be started.
    private func startThread(_ name: String, _ body: @escaping @Sendable () -> RADIUSServiceError?) -> String? {
        state.withLock { $0.reading += 1 }
        let error = NamedThread.start(name) { [weak self] in
            let failure = body()
            self?.ended(failure)
        }
        if error != nil { state.withLock { $0.reading -= 1 } }
        return error
    }

    private static func read(_ listener: UDPListener) -> RADIUSServiceError? {
        guard let socket = listener.socket, let reader = UDPReader(listener, socket) else {
            return .cannotRead(listener.endpoint, reason: "no memory for its buffers")
        }
        return reader.run()
    }

    /// One listener is closed. One that broke takes the others with it: half a service would look healthy to its gateways.
    private func ended(_ failure: RADIUSServiceError?) {
        if let failure {
            state.withLock { $0.failure = $0.failure ?? failure }
            stop(drain: settings.drainTime)
        }
        let atEnd = state.withLock { state in
            state.reading -= 1
            guard state.reading == 0 else { return nil as CheckedContinuation<Void, Never>? }
            defer { state.atEnd = nil }
            return state.atEnd
        }
        atEnd?.resume()
    }
}
