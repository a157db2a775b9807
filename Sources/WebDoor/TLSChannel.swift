// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over TLS, with whatever certificate is in force when a connection begins.

import HummingbirdCore
import Logging
import NIOCore
import TLS

struct TLSChannel<Base: ServerChildChannel>: ServerChildChannel {
    typealias Value = Base.Value

    let base: Base
    let certificates: @Sendable () -> TLSContext?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let ready = channel.eventLoop.makeCompletedFuture {
            guard let context = certificates() else { throw ChannelError.ioOnClosedChannel }
            try channel.pipeline.syncOperations.addHandler(try TLSHandler(context))
        }
        return ready.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}
