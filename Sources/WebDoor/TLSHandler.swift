// SPDX-License-Identifier: Apache-2.0
// TLS for one HTTP connection: bytes of the socket below, bytes of HTTP above. Lives on the connection's event loop alone.

import NIOCore
import TLS

final class TLSHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What is decrypted at once: no record of TLS holds more (RFC 8446 §5.1).
    private static let record = 16_384

    private let session: TLSSession
    private var isOver = false

    init(_ context: TLSContext) throws(TLSError) {
        session = try TLSSession(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        let bytes = unwrapInboundIn(data)
        do throws(TLSError) {
            let result: Result<Void, TLSError> = bytes.withUnsafeReadableBytes { bytes in
                do throws(TLSError) { return .success(try session.put(bytes)) } catch { return .failure(error) }
            }
            try result.get()
            guard try session.handshake() else { return send(context) }
            send(context)
            try readAll(context)
        } catch {
            // What a port scanner sends is no news for whoever runs the node.
            end(context)
        }
    }

    private func readAll(_ context: ChannelHandlerContext) throws(TLSError) {
        while !isOver {
            var plain = context.channel.allocator.buffer(capacity: Self.record)
            var problem: TLSError?
            var isEnd = false
            plain.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.record) { bytes in
                do throws(TLSError) {
                    guard let count = try session.read(into: bytes) else {
                        isEnd = true
                        return 0
                    }
                    return count
                } catch {
                    problem = error
                    return 0
                }
            }
            if let problem { throw problem }
            if isEnd { return end(context) }
            guard plain.readableBytes > 0 else { return send(context) }
            context.fireChannelRead(wrapInboundOut(plain))
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isOver else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        do throws(TLSError) {
            try session.write(Array(unwrapOutboundIn(data).readableBytesView))
        } catch {
            promise?.fail(error)
            return end(context)
        }
        var sealed: [UInt8] = []
        session.takeOutput(into: &sealed)
        context.write(wrapOutboundOut(ByteBuffer(bytes: sealed)), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if !isOver, mode != .input {
            session.close()
            send(context)
            isOver = mode == .all
        }
        context.close(mode: mode, promise: promise)
    }

    /// What the session has to say by itself: handshakes, alerts, goodbyes.
    private func send(_ context: ChannelHandlerContext) {
        var bytes: [UInt8] = []
        session.takeOutput(into: &bytes)
        guard !bytes.isEmpty else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private func end(_ context: ChannelHandlerContext) {
        guard !isOver else { return }
        session.close()
        send(context)
        isOver = true
        context.close(promise: nil)
    }
}
