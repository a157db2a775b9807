// SPDX-License-Identifier: Apache-2.0
// One node: everything plugged together, once.

import Administration
import ControlDoor
import Directories
import Factors
import Foundation
import Logging
import LoginEngine
import Places
import RADIUS
import RADIUSDoor
import ServiceLifecycle
import Store
import Synchronization
import UnixSignals
import WebDoor

final class Node: Sendable {
    let settings: Settings
    let store: OpenedStore
    let logins: Logins
    let radius: RADIUSService
    let operations: Operations
    private let control: ControlService
    let web: WebService
    private let deadlines: Deadlines
    private let logger: Logger
    private let pins: PinKeeper
    private let traffic: GatewayTraffic
    private let inForce: ChangesInForce
    private let trail: TrailKeeper
    private let sessions: SessionKeeper
    private let disk: DiskWatch?
    private let renewal: CertificateRenewal
    private let syncs: SyncKeeper
    /// Nil without RADIUS over TLS.
    let radsec: RadSecKeeper?
    let tunnel: TunnelKeeper
    /// Nil where no database is set.
    let countries: Countries?
    /// Nil without pages for users.
    let pages: PageKeeper?
    private let outbox: OutboxKeeper

    /// Opens the store and binds nothing yet.
    ///
    /// - Parameters:
    ///   - isServing: whether the disk is readied for many commits.
    ///   - factors: kinds beside those that ship.
    /// - Throws: `StoreError`, `ClientTableError`, `Refusal`, each one line with its remedy.
    static func open(
        _ settings: Settings, in directory: DataDirectory, metrics: PrometheusRegistry, migrates: Bool = true,
        isServing: Bool = false, factors: [any SecondFactor] = []
    ) throws -> Node {
        let logger = Logger(label: "sallyport.node")
        let store = try OpenedStore.open(settings, in: directory, migrates: migrates, isServing: isServing)
        do {
            return try Node(settings, store: store, factors: factors, metrics: metrics, logger: logger)
        } catch {
            store.close()
            throw error
        }
    }

    private init(
        _ settings: Settings, store: OpenedStore, factors: [any SecondFactor], metrics: PrometheusRegistry, logger: Logger
    ) throws {
        self.settings = settings
        self.store = store
        self.logger = logger
        let records = store.records
        let deadlines = Deadlines(now: NodeClock.now)
        let started = NodeClock.now()
        let log = LoginLog(logger: Logger(label: "sallyport.login"))
        let directoryLog = DirectoryLog(records: records, logger: Logger(label: "sallyport.directory"))
        let passwords = PasswordSources(
            local: try LocalPasswordSource(
                pool: store.hashing, cost: store.cost, nobodysPassword: Secret(BufferedRandom.bytes(32)),
                salt: BufferedRandom.bytes(Argon2id.saltLength)),
            deadlines: deadlines, random: { BufferedRandom() }, now: NodeClock.now, changed: { directoryLog.note($1, of: $0) },
            moved: { directoryLog.note($1, of: $0) }, ldapChanged: { directoryLog.note($1, of: $0) })
        var rules = LoginRules()
        rules.rejectRelease = RejectRelease()
        let issued = IssuedHere(records: records)
        rules.certificates.names = settings.deviceTrust.names
        rules.grants.codeHash = { records.temporaryCodeHash($0, grant: $1) }
        rules.certificates.registered = { certificate throws(NoAnswer) in try issued.registered(certificate) }
        let logins = Logins(
            records: records, seal: records.handles, passwords: passwords,
            factors: [TOTPFactor(), HOTPFactor(), store.recoveryCodes] + factors, rules: rules, deadlines: deadlines,
            random: BufferedRandom(),
            now: NodeClock.now, observe: { event, isWritten in log(event, isWritten: isWritten) })
        let pins = PinKeeper(records: records, logger: Logger(label: "sallyport.radius"))
        var listen = RADIUSSettings(listen: settings.radiusListen.map { UDPEndpoint(address: $0.host, port: $0.port) })
        listen.accounting = settings.radiusAccounting.map { UDPEndpoint(address: $0.host, port: $0.port) }
        listen.drainTime = .seconds(5)
        var tls = TLSListenSettings(listen: settings.radsec.listen.map { UDPEndpoint(address: $0.host, port: $0.port) })
        if let version = settings.radsec.version { tls.versions = [version] }
        listen.tls = tls
        let traffic = GatewayTraffic(at: started)
        let radius = RADIUSService(
            settings: listen, clients: try Self.clientTable(records, traffic, logger), judge: logins, ledger: records,
            random: BufferedRandom(), logger: Logger(label: "sallyport.radius"), now: NodeClock.now, onPin: { pins.keep($0) })
        radsec = RadSecKeeper(files: settings.radsec, radius: radius, logger: Logger(label: "sallyport.radsec"))
        try radsec?.load()
        let tunnel = try TunnelKeeper(
            TunnelFiles(dataDirectory: settings.dataDirectory, name: settings.eapServerName), files: settings.deviceTrust,
            staple: settings.staple, issued: issued, radius: radius, logger: Logger(label: "sallyport.eap"),
            record: { records.remember(.event($0)) })
        self.tunnel = tunnel
        records.writer.afterGroup { [weak radius] in radius?.flush() }
        deadlines.afterGroup { [weak radius] in radius?.flush() }
        let database = DatabaseLog(logger: Logger(label: "sallyport.database"))
        records.writer.afterGroup { [weak writer = records.writer] in
            if let writer { database.note(writer.statistics.lastError) }
        }
        let replies = try DictionaryFolder.read(in: settings.dataDirectory)
        let countries = settings.countryDatabase.map { Countries(path: $0) }
        self.countries = countries
        if let problem = countries?.problem { logger.error("no country is known: \(problem)") }
        let policies = PolicyKeeper(records: records, logins: logins, replies: replies, countries: countries?.lookup ?? .none)
        try policies.reload()
        try Self.reload(passwords, from: records, replies)
        let inForce = ChangesInForce { [weak radius, weak tunnel] part in
            switch part {
            case .rules: try policies.reload()
            case .directories: try Self.reload(passwords, from: records, replies)
            case .clients:
                guard let radius, let tunnel else { return }
                let now = NodeClock.now().wall
                try tunnel.use(for: records.clients(), at: now)
                tunnel.reload(isAsked: false, at: now)
                try radius.replaceClients(Self.clientTable(records, traffic, logger))
            }
        }
        pins.inForce = inForce
        let pages = PageKeeper(files: settings.pages, logger: Logger(label: "sallyport.web"))
        self.pages = pages
        try pages?.load(at: started.wall)
        let outbox = OutboxKeeper(
            records: records, deadlines: deadlines, hostName: NodeLocation.nodeName, logger: Logger(label: "sallyport.mail"))
        self.outbox = outbox
        let renewal = CertificateRenewal(tunnel: tunnel, records: records)
        self.renewal = renewal
        var ports = Operations.Ports(
            hashPassword: { try await store.hash($0) }, now: { NodeClock.now().wall },
            random: { BufferedRandom() }, radiusAddresses: { [weak radius] in radius?.boundAddresses.map { "\($0)" } ?? [] },
            changed: { [weak logins] change throws(Refusal) in
                do throws(Refusal) {
                    switch change {
                    case .policies, .replies: try inForce.take(.rules)
                    case .clients, .certificates:
                        try await renewal.renew()
                        try inForce.take(.clients)
                    case .directories:
                        try inForce.take(.directories)
                        // Their names stand in what logins are sent by.
                        try inForce.take(.rules)
                    case .failures(let user): logins?.forgetFailures(ofUser: user)
                    case .erasure: logins?.flushTallies()
                    case .mail: outbox.wake()
                    }
                } catch {
                    logger.error("a change is not in force", metadata: ["error": "\(error)"])
                    throw error
                }
            }, isServing: true,
            examine: { [weak radius, radsec, tunnel, pages] in
                let now = NodeClock.now()
                return NodeCheck.findings(radius, since: started, now: now) + RadSecCheck.findings(radsec, now: now.wall)
                    + TunnelCheck.findings(tunnel, offersTLS: Self.offersTLS(records), now: now.wall)
                    + DirectoryCheck.findings(passwords, now: now) + PageCheck.findings(pages, now: now.wall)
            },
            dataDirectory: settings.dataDirectory)
        ports.replies = replies
        ports.nodeName = NodeLocation.nodeName
        if let countries { ports.countries = { Operations.Countries(countries) } }
        ports.longestGrant = settings.grantsLongest
        (ports.eapShown, ports.eapServerName) = ({ tunnel.own.shown }, { tunnel.own.name })
        ports.accountingAddresses = { [weak radius] in radius?.boundAccounting.map { "\($0)" } ?? [] }
        ports.askByTLS = { [weak radius] request in
            guard let radius else { return .notConnected }
            let question = GatewayQuestion(
                request.code, client: request.client, source: request.source, attributes: request.attributes)
            return switch await radius.ask(question) {
            case .reply(let packet):
                packet.code == .disconnectACK || packet.code == .coaACK ? .acknowledged : .refused(packet.integer(.errorCause))
            case .notConnected: .notConnected
            case .noAnswer: .noAnswer
            case .disconnected: .disconnected
            case .notWritable(let error): .notWritable("\(error)")
            }
        }
        ports.habits = { traffic.habits(ofClient: $0, at: NodeClock.now()) }
        ports.directoryStatus = { DirectoryCheck.status(passwords, now: NodeClock.now()) }
        ports.publicURL = { settings.pages.url }
        ports.nodeName = NodeLocation.nodeName
        operations = Operations(records: records, ports: ports)
        renewal.operations = operations
        syncs = SyncKeeper(
            operations: operations, actor: Actor("sync@\(NodeLocation.nodeName)"), jitter: Double.random(in: 0..<1),
            logger: Logger(label: "sallyport.sync"))
        logins.checkNewPassword = NewPasswords(operations: operations).check
        control = try ControlService(
            operations: operations, dataDirectory: store.directory.path, node: NodeLocation.nodeName, release: Sallyport.release,
            logger: Logger(label: "sallyport.control"))
        let figures = NodeFigures(
            records: records, hashing: store.hashing, logins: logins, passwords: passwords,
            openConversations: { [weak radius] in radius?.openConversations ?? 0 },
            tunnelWork: { [weak radius] in radius?.tunnelWork ?? (0, 0) }, tunnel: tunnel)
        let answering = operations
        web = WebService(
            health: settings.webHealth, metrics: settings.webMetrics,
            pages: pages.map { pages in
                WebService.Pages(
                    listen: settings.pages.listen,
                    sources: PageSources(answering, origin: settings.pages.url ?? "", logger: Logger(label: "sallyport.web")),
                    certificates: { pages.context })
            },
            sources: WebSources(
                readiness: { Self.problems(of: records, inForce) },
                renderMetrics: {
                    figures.refresh()
                    return Observability.page(metrics, version: Sallyport.release)
                }),
            logger: Logger(label: "sallyport.web"))
        self.logins = logins
        self.radius = radius
        self.traffic = traffic
        self.deadlines = deadlines
        self.pins = pins
        self.inForce = inForce
        disk = store.reserve.map { DiskWatch(records: records, reserve: $0, logger: Logger(label: "sallyport.disk")) }
        trail = TrailKeeper(records: records, settings: settings, logger: Logger(label: "sallyport.trail"))
        sessions = SessionKeeper(records: records, settings: settings, since: started, logger: Logger(label: "sallyport.sessions"))
    }

    private static func offersTLS(_ records: Records) -> Bool {
        (try? records.clients().contains { $0.settings.isEnabled && $0.settings.eap.contains(.tls) }) ?? false
    }

    private static func reload(_ passwords: PasswordSources, from records: Records, _ replies: ReplyDictionary) throws {
        passwords.replace(try records.directories()) { directory in
            Set(
                replies.takenNumbers(directory.settings.takes).map { taken in
                    taken.vendor.map { .vendor($0.number, $0.type) } ?? .standard(taken.type)
                })
        }
    }

    /// A client whose shared secret does not open is left out: it costs nobody else the service.
    private static func clientTable(_ records: Records, _ traffic: GatewayTraffic, _ logger: Logger) throws -> ClientTable {
        let pins = try records.pins(ofClient: nil).map { RADIUSDoor.ClientPin(client: $0.client, address: $0.address) }
        let clients = try records.clients()
        for client in clients where client.settings.lacksSecret {
            logger.error(
                "the shared secret of client \(client.name) does not open, so its requests get no answer: sallyport client set \(client.name) --generate-secret"
            )
        }
        let refused = clients.contains { $0.settings.isKnownByTLS } ? Set(try records.certificatesOfNoGateway()) : []
        return try ClientTable(clients.filter { !$0.settings.lacksSecret }, pins: pins, traffic: traffic, refused: refused)
    }

    /// What keeps this node from deciding logins; empty when nothing does.
    private static func problems(of records: Records, _ inForce: ChangesInForce) -> [ReadinessProblem] {
        let health = records.health()
        guard health.isUsable else { return [ReadinessProblem(part: "database", reason: health.problem ?? "cannot be written")] }
        return inForce.problem.map { [ReadinessProblem(part: "changes", reason: "written, but not in force: \($0)")] } ?? []
    }

    /// Binds everything. After it returns, packets are answered and commands are taken.
    func start() async throws {
        if let made = try store.made() { logger.notice("\(made)") }
        if store.records.schemaBefore != 0, store.records.schemaBefore < store.records.schema {
            logger.notice("migrated the database from schema \(store.records.schemaBefore) to \(store.records.schema)")
            try await store.records.append(
                Event(
                    .schemaMigrated, at: NodeClock.now().wall,
                    details: [.init("from", "\(store.records.schemaBefore)"), .init("to", "\(store.records.schema)")]))
        }
        if let story = try await operations.beginEpoch() {
            for line in story { logger.warning("\(line)") }
        }
        try await renewal.renew()
        try tunnel.use(for: store.records.clients(), at: NodeClock.now().wall)
        try await store.records.append(Event(.nodeStarted, at: NodeClock.now().wall, details: [Event.Detail("release", Sallyport.release)]))
        deadlines.start()
        try radius.start()
        try await control.start()
        tunnel.fetch(isAsked: false, at: NodeClock.now().wall)
        scheduleHousekeeping()
        outbox.wake()
        goOnWithKeyRotation()
        watchDisk(at: NodeClock.now())
    }

    private func watchDisk(at moment: Moment) {
        guard let disk else { return }
        disk.look(at: moment.wall)
        deadlines.schedule(at: moment.uptime + DiskWatch.every) { [weak self] moment in self?.watchDisk(at: moment) }
    }

    /// A change of the master key that was interrupted goes on by itself.
    private func goOnWithKeyRotation() {
        let (operations, logger) = (operations, logger)
        Task {
            do {
                let done = try await operations.resumeKeyRotation(by: Actor("node@\(NodeLocation.nodeName)"))
                if let done { logger.notice("\(done)") }
            } catch {
                logger.error(
                    "the master key could not be changed to the end; `sallyport key rotate` goes on", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Runs until the process is told to stop, then finishes what waits.
    func run(onReady: @escaping @Sendable () async -> Void = {}) async throws {
        let services: [any Service] = [web, control, radius]
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "sallyport.services")))
        let reloading = Task { [weak self] in
            for await _ in await UnixSignalsSequence(trapping: .sighup) { self?.reloadCertificates() }
        }
        defer { reloading.cancel() }
        async let stopped: Void = group.run()
        do {
            _ = try await web.bound(.health)
            // Told only now: whoever reads this may send signals, and they are trapped.
            for endpoint in radius.boundAddresses { logger.info("RADIUS answers on udp \(endpoint)") }
            for endpoint in radius.boundAccounting { logger.info("RADIUS accounting answers on udp \(endpoint)") }
            for endpoint in radius.boundTLSAddresses { logger.info("RADIUS over TLS answers on tcp \(endpoint)") }
            await onReady()
        } catch {
            // What hinders the web listeners is thrown by the group as well.
        }
        try await stopped
    }

    /// At SIGHUP.
    func reloadCertificates() {
        if let why = countries?.reload(isAsked: true) { logger.error("the database of countries is not in force: \(why)") }
        if radsec == nil, tunnel.inForce == nil, tunnel.lists.sources.isEmpty, pages == nil, countries == nil {
            logger.notice("SIGHUP reads certificates again, and this node has none")
        }
        let now = NodeClock.now().wall
        radsec?.reload(isAsked: true, at: now)
        tunnel.reload(isAsked: true, at: now)
        pages?.reload(isAsked: true, at: now)
        tunnel.fetch(isAsked: true, at: now)
    }

    /// Writes what is still counted, ends the writer, gives the lock back.
    func close() async {
        await outbox.stop()
        logins.flushTallies()
        tunnel.stop()
        let now = NodeClock.now().wall
        try? await store.records.append(Event(.nodeStopped, at: now))
        try? await trail.anchor(at: now)
        deadlines.stop()
        // Each holds the other.
        renewal.operations = nil
        store.close()
    }

    /// Marks are folded, handles expire and indexes are filled behind; every minute is often enough.
    private func scheduleHousekeeping() {
        let (records, logger, trail, sessions, inForce, radsec, tunnel, traffic, renewal, syncs, countries) = (
            store.records, logger, trail, sessions, inForce, radsec, tunnel, traffic, renewal, syncs, countries
        )
        let (pages, outbox) = (pages, outbox)
        deadlines.schedule(at: NodeClock.now().uptime + .seconds(60)) { [weak self] moment in
            Task {
                do {
                    try await records.housekeeping(at: moment.wall)
                } catch {
                    logger.warning("housekeeping failed and is tried again in a minute", metadata: ["error": "\(error)"])
                }
                await trail.everyMinute(at: moment)
                await sessions.everyMinute(at: moment)
                syncs.everyMinute()
                do {
                    if try await renewal.renew() { try inForce.take(.clients) }
                } catch {
                    logger.error("the certificate of EAP cannot be renewed", metadata: ["error": "\(error)"])
                }
                if let why = inForce.tryAgain() { logger.error("changes are written and not in force", metadata: ["error": "\(why)"]) }
                radsec?.reload(isAsked: false, at: moment.wall)
                tunnel.reload(isAsked: false, at: moment.wall)
                if let why = countries?.reload(isAsked: false) { logger.error("the database of countries is not in force: \(why)") }
                pages?.reload(isAsked: false, at: moment.wall)
                outbox.wake()
                tunnel.fetch(isAsked: false, at: moment.wall)
                traffic.turn(at: moment)
                self?.scheduleHousekeeping()
            }
        }
    }
}

/// Brings the policies of the database into force, what accepts carry, and how many sessions members of groups may have.
final class PolicyKeeper: Sendable {
    private let records: Records
    private let logins: Mutex<Logins>
    private let replies: ReplyDictionary
    private let countries: CountryLookup

    init(records: Records, logins: Logins, replies: ReplyDictionary, countries: CountryLookup) {
        self.countries = countries
        self.records = records
        self.logins = Mutex(logins)
        self.replies = replies
    }

    /// One after the other, so that an older reading never replaces a newer one.
    func reload() throws {
        try logins.withLock { logins in
            logins.rulebook = Rulebook(
                policies: try records.policySet().table, replies: try records.replyTable(replies), limits: try records.sessionLimits(),
                homes: try records.homeTable(), countries: countries)
        }
    }
}

/// Writes a pin and brings it into force.
final class PinKeeper: Sendable {
    private let records: Records
    private let logger: Logger
    private let reloading = Mutex<ChangesInForce?>(nil)

    init(records: Records, logger: Logger) {
        self.records = records
        self.logger = logger
    }

    var inForce: ChangesInForce? {
        get { reloading.withLock { $0 } }
        set { reloading.withLock { $0 = newValue } }
    }

    /// Called on a reading thread: queues and returns.
    func keep(_ pin: RADIUSDoor.ClientPin) {
        Task { [self] in
            let now = NodeClock.now().wall
            do {
                let event = Event(.clientPinned, at: now, client: pin.client, source: pin.address)
                try await records.addPin(client: pin.client, address: pin.address, at: now, event: event)
                try inForce?.take(.clients)
            } catch {
                logger.warning("the pin of \(pin.address) is not in force; it is tried again", metadata: ["error": "\(error)"])
            }
        }
    }
}
