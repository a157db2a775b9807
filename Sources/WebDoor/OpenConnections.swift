// SPDX-License-Identifier: Apache-2.0
// The connections of one listener. A new one always gets in: what has been silent for longest makes room for it.

import NIOCore
import Synchronization

import struct LoginEngine.NetworkAddress

/// Thread-safe: connections live on several event loops.
final class OpenConnections: Sendable {
    /// A handful of probes and scrapers is what comes to listeners that are not for people.
    static let limit = 64
    /// One house cannot push out what others have open.
    static let limitOfASource = 16

    private let limit: Int
    private let limitOfASource: Int

    init(limit: Int = OpenConnections.limit, ofASource limitOfASource: Int = OpenConnections.limitOfASource) {
        (self.limit, self.limitOfASource) = (limit, limitOfASource)
    }

    private struct Entry {
        var channel: any Channel
        /// Nil: a connection without an address.
        var source: NetworkAddress?
        /// Counts up with each sign of life.
        var latest: UInt64
        /// Whether a whole head ever came.
        var hasAsked = false
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var now: UInt64 = 0

        mutating func tick() -> UInt64 {
            now += 1
            return now
        }

        /// The one that was silent for longest, where there are too many of a source or of all.
        func surplus(from source: NetworkAddress?, _ limit: Int, _ limitOfASource: Int) -> Entry? {
            let ofSource = entries.values.filter { $0.source == source }
            let candidates =
                ofSource.count > limitOfASource ? ofSource : entries.count > limit ? Array(entries.values) : []
            return candidates.min { $0.latest < $1.latest }
        }
    }

    private let state = Mutex(State())

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let source = channel.remoteAddress?.ipAddress.flatMap { NetworkAddress($0) }?.house
        let (limit, limitOfASource) = (limit, limitOfASource)
        let surplus = state.withLock { state -> (any Channel)? in
            state.entries[id] = Entry(channel: channel, source: source, latest: state.tick())
            guard let surplus = state.surplus(from: source, limit, limitOfASource) else { return nil }
            state.entries[ObjectIdentifier(surplus.channel)] = nil
            return surplus.channel
        }
        surplus?.close(promise: nil)
        channel.closeFuture.whenComplete { [self] _ in state.withLock { $0.entries[id] = nil } }
    }

    /// - Returns: whether a whole head ever came.
    func hasAsked(_ channel: any Channel) -> Bool {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.hasAsked ?? false }
    }

    /// Part of a request came.
    func note(_ channel: any Channel) {
        state.withLock { state in
            let now = state.tick()
            state.entries[ObjectIdentifier(channel)]?.latest = now
            state.entries[ObjectIdentifier(channel)]?.hasAsked = true
        }
    }
}

/// Tells the table of one connection; stands where whole heads and bodies arrive, so that bytes that never become one are no sign of life.
final class ConnectionGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    /// In the order in which they stand.
    static func handlers(_ connections: OpenConnections, headWithin: TimeAmount) -> [any RemovableChannelHandler] {
        [IdleStateHandler(readTimeout: headWithin), ConnectionGuard(connections)]
    }

    private let connections: OpenConnections
    private var isAdded = false

    init(_ connections: OpenConnections) {
        self.connections = connections
    }

    private func add(_ channel: any Channel) {
        guard !isAdded else { return }
        isAdded = true
        connections.add(channel)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { add(context.channel) }
    }

    func channelActive(context: ChannelHandlerContext) {
        add(context.channel)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connections.note(context.channel)
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Between two requests of one connection the server's own, longer time counts.
        if let idle = event as? IdleStateHandler.IdleStateEvent, idle == .read {
            if !connections.hasAsked(context.channel) { context.close(promise: nil) }
            return
        }
        context.fireUserInboundEventTriggered(event)
    }
}
