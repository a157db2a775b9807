// SPDX-License-Identifier: Apache-2.0
// Revocation lists that are fetched: beside all logins, checked before they count, and kept on disk so that a node that starts has them.

import Crypto
import Dispatch
import Foundation
import Logging
import LoginEngine
import Synchronization
import TLS

final class ListKeeper: Sendable {
    /// What is known of one address.
    struct Source: Sendable, Equatable {
        let address: WebAddress
        /// What is believed; of an earlier fetch where the newest came to nothing.
        var list: SignedRevocationList?
        /// Why the newest fetch came to nothing, and since when none does.
        var problem: String?
        var failingSince: Timestamp?
        fileprivate var failures = 0
        /// By the clock of the wall: a list says by that one until when it is good.
        fileprivate var due = Timestamp(seconds: 0)
    }

    struct Figures: Sendable, Equatable {
        var fresh = 0
        var same = 0
        var failed = 0
    }

    /// Authorities sign new lists some time before the older ones end, and at once for what cannot wait.
    static let longestPause = Timestamp.Span.minutes(60)
    static let shortestPause = Timestamp.Span.minutes(1)
    /// Behind failures the pause doubles up to this.
    static let longestRetry = Timestamp.Span.minutes(16)
    static let folder = "lists"

    private struct State {
        var sources: [Source]
        var isBusy = false
        var figures = Figures()
    }

    /// Under the data directory.
    private let path: String
    private let authorities: @Sendable () throws -> [UInt8]
    private let logger: Logger
    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "revocation-lists", qos: .utility)
    private let changed = Mutex<@Sendable () -> Void>({})
    private let record: @Sendable (Event) -> Void

    /// - Parameters:
    ///   - record: takes what belongs into the trail.
    ///   - authorities: PEM: who may sign them.
    init(
        _ addresses: [WebAddress], dataDirectory: String, logger: Logger, record: @escaping @Sendable (Event) -> Void,
        authorities: @escaping @Sendable () throws -> [UInt8]
    ) {
        path = "\(dataDirectory)/eap/\(Self.folder)"
        (self.authorities, self.logger, self.record) = (authorities, logger, record)
        state = Mutex(State(sources: addresses.map { Source(address: $0) }))
        load()
    }

    /// Told on a thread of its own once a newer list has come.
    func whenChanged(_ body: @escaping @Sendable () -> Void) { changed.withLock { $0 = body } }

    var sources: [Source] { state.withLock { $0.sources } }
    var figures: Figures { state.withLock { $0.figures } }

    /// PEM: all that is believed.
    var lists: [UInt8] { sources.flatMap { ($0.list?.pem ?? []) + [0x0A] } }

    /// Changes whenever a list does.
    var mark: [String] {
        sources.map { source in source.list.map { "\($0.issuer) \($0.number) \($0.begins)" } ?? "" }
    }

    // MARK: Disk

    private func file(of address: WebAddress) -> String {
        let name = SHA256.hash(data: Array(address.text.utf8)).prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "\(path)/\(name).crl"
    }

    /// Whoever can write there could put an older list: it is checked like one that was fetched, and its age is its own.
    private func load() {
        guard let trusted = try? authorities() else { return }
        for source in sources {
            let file = file(of: source.address)
            guard let bytes = FileManager.default.contents(atPath: file), bytes.count <= RadSecFiles.largestFile else { continue }
            do throws(TLSError) {
                let list = try SignedRevocationList(Array(bytes), by: trusted)
                change(source.address) { $0.list = list }
            } catch {
                logger.warning("the kept list of \(source.address) is not used: \(error)", metadata: ["file": "\(file)"])
            }
        }
        // Of addresses that are set no more.
        let wanted = Set(sources.map { file(of: $0.address) })
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] where !wanted.contains("\(path)/\(name)") {
            try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
        }
    }

    private func keep(_ list: SignedRevocationList, of address: WebAddress) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try PrivateFile.write(list.pem, to: file(of: address))
        } catch {
            // It is in force all the same; a restart fetches it again.
            logger.warning("the list of \(address) cannot be kept: \(error)")
        }
    }

    // MARK: Fetching

    /// Fetches what is due; returns at once.
    ///
    /// - Parameter isAsked: all of them, however young.
    func fetch(isAsked: Bool = false, at now: Timestamp) {
        let due = state.withLock { state -> [WebAddress] in
            guard !state.isBusy else { return [] }
            // A clock that was set back must not keep lists from being fetched.
            let due = state.sources.filter { isAsked || $0.due <= now || $0.due > now + Self.longestPause }.map(\.address)
            state.isBusy = !due.isEmpty
            return due
        }
        guard !due.isEmpty else { return }
        queue.async { [self] in
            var isNew = false
            for address in due where fetch(address) { isNew = true }
            state.withLock { $0.isBusy = false }
            if isNew { changed.withLock { $0 }() }
        }
    }

    /// - Returns: whether a newer list is believed from now on.
    private func fetch(_ address: WebAddress) -> Bool {
        do {
            let bytes = try WebRequest(address.text, largest: RadSecFiles.largestFile).perform()
            return try take(SignedRevocationList(bytes, by: try authorities()), of: address, at: NodeClock.now().wall)
        } catch {
            failed("\(error)", address, at: NodeClock.now().wall)
            return false
        }
    }

    /// - Throws: why it is not believed.
    func take(_ list: SignedRevocationList, of address: WebAddress, at now: Timestamp) throws(WebProblem) -> Bool {
        let before = sources.first { $0.address == address }?.list
        guard list.begins <= now.seconds else {
            throw WebProblem(description: "the list of \(list.issuer) begins in the future; is the clock of this host right?")
        }
        // Otherwise an older list of the first authority could come behind it.
        if let before, before.issuer != list.issuer, before.ends > now.seconds {
            throw WebProblem(description: "the list is of \(list.issuer), and that of \(before.issuer) from there is in force")
        }
        if let before, before.issuer == list.issuer, !list.succeeds(before) {
            throw WebProblem(description: "the list of \(list.issuer) is older than the one that is kept")
        }
        let isNew = before != list
        if isNew { keep(list, of: address) }
        var wasFailing = false
        change(address) { source in
            wasFailing = source.problem != nil
            source.list = list
            (source.problem, source.failingSince, source.failures) = (nil, nil, 0)
            // Half of what is left: a new one is there in time, and one that ended is not asked for at each breath.
            let half = Timestamp.Span.seconds((list.ends - now.seconds) / 2)
            source.due = now + min(Self.longestPause, max(Self.shortestPause, half))
        }
        state.withLock { isNew ? ($0.figures.fresh += 1) : ($0.figures.same += 1) }
        if isNew || wasFailing {
            logger.notice("the revocation list of \(list.issuer) was fetched", metadata: ["address": "\(address)"])
            let ends = Timestamp(seconds: list.ends).iso8601
            tell(address, [Event.Detail("issuer", list.issuer), Event.Detail("until", ends)], at: now)
        }
        return isNew
    }

    private func failed(_ why: String, _ address: WebAddress, at now: Timestamp) {
        var isFirst = false
        change(address) { source in
            isFirst = source.problem == nil
            source.problem = why
            source.failingSince = source.failingSince ?? now
            source.failures += 1
            let pause = Timestamp.Span.minutes(Int64(1) << Int64(min(source.failures - 1, 10)))
            source.due = now + min(Self.longestRetry, pause)
        }
        state.withLock { $0.figures.failed += 1 }
        guard isFirst else { return }
        logger.warning("the revocation list at \(address) cannot be fetched: \(why)")
        tell(address, [Event.Detail("why", why)], at: now)
    }

    private func tell(_ address: WebAddress, _ details: [Event.Detail], at now: Timestamp) {
        record(Event(.revocationsFetched, at: now, details: [Event.Detail("address", address.text)] + details))
    }

    private func change(_ address: WebAddress, _ body: (inout Source) -> Void) {
        state.withLock { state in
            guard let index = state.sources.firstIndex(where: { $0.address == address }) else { return }
            body(&state.sources[index])
        }
    }
}
