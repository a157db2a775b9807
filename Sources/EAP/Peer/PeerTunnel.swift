// SPDX-License-Identifier: Apache-2.0
// TLS in packets of EAP, the device's side: what the three methods share (RFC 5216 §2.1).

package import TLS

protocol TunnelledPeer {
    var tunnel: PeerTunnel { get }
}

package struct PeerTunnel {
    enum Event: Equatable {
        /// Goes out; the method has nothing to do with it.
        case response([UInt8])
        /// The handshake is done, and it is this side's turn.
        case established
        /// Came under the protection of TLS; empty: the server has nothing to say, and it is this side's turn.
        case received([UInt8])
        case failed(PeerFault)
    }

    package let session: TLSSession
    /// Nil: every name is good.
    private let serverName: String?
    private var assembly = FragmentAssembly()
    private var queue: FragmentQueue
    private var hasBegun = false
    /// An alert is out.
    private(set) var fault: PeerFault?
    /// Packets of the server in which TLS spoke.
    package private(set) var rounds = 0

    /// - Parameters:
    ///   - context: a client's.
    ///   - packet: the longest packet that is sent.
    /// - Throws: `broken`
    init(context: TLSContext, serverName: String?, packet: Int?) throws(TLSError) {
        session = try TLSSession(context)
        self.serverName = serverName?.lowercased()
        queue = FragmentQueue(packet: FragmentQueue.packet(framedMTU: packet), version: 0)
    }

    /// - Parameter request: what stands behind the type.
    mutating func take(_ request: ArraySlice<UInt8>) -> Event {
        if let fault { return .failed(fault) }
        rounds += 1
        guard let flags = request.first.map(FragmentFlags.init(byte:)) else { return .failed(.malformed("packet without flags")) }
        guard hasBegun else {
            guard flags.isStart else { return .failed(.malformed("packet before the start")) }
            hasBegun = true
            return shakeHands([])
        }
        let taken: FragmentAssembly.Taken
        do throws(FragmentError) {
            taken = try assembly.take(request)
        } catch {
            return .failed(.malformed(error.words))
        }
        guard queue.isEmpty else {
            guard taken == .acknowledgement else { return .failed(.malformed("answer to a fragment")) }
            return .response(queue.next())
        }
        switch taken {
        case .more: return .response(Self.acknowledgement)
        case .acknowledgement: return session.isEstablished ? .received([]) : .failed(.malformed("empty packet during the handshake"))
        case .message(let bytes): return session.isEstablished ? read(bytes) : shakeHands(bytes)
        }
    }

    /// Says that all was heard.
    static let acknowledgement: [UInt8] = [0]

    /// Protects what goes to the server, and gives the first packet of it.
    mutating func say(_ bytes: [UInt8]) -> PeerStep {
        do throws(TLSError) {
            try session.write(bytes)
            return .response(flush())
        } catch {
            return .failure(Self.fault(error))
        }
    }

    private mutating func flush() -> [UInt8] {
        var bytes: [UInt8] = []
        session.takeOutput(into: &bytes)
        queue.put(bytes)
        return queue.next()
    }

    private mutating func shakeHands(_ bytes: [UInt8]) -> Event {
        do throws(TLSError) {
            try session.put(bytes[...])
            guard try session.handshake() else {
                guard session.pendingOutput > 0 else { return .failed(.malformed("flight of the handshake")) }
                return .response(flush())
            }
        } catch {
            return failed(error)
        }
        // Before anything is said that only this server may hear.
        if let serverName {
            // A server that shows no certificate has no name either.
            let names = session.peer?.names ?? []
            guard names.contains(serverName) else { return .failed(.serverName(names)) }
        }
        // In TLS 1.3 the last word of the handshake is this side's.
        return session.pendingOutput > 0 ? .response(flush()) : .established
    }

    private mutating func read(_ bytes: [UInt8]) -> Event {
        do throws(TLSError) {
            try session.put(bytes[...])
            guard let plain = try session.readAll(atMost: TLSConversation.longestRecord) else {
                return .failed(.refusedWith("it closed the tunnel"))
            }
            return .received(plain)
        } catch {
            return failed(error)
        }
    }

    /// The alert goes out; the server's answer to it is a failure (RFC 5216 §2.1.3).
    private mutating func failed(_ error: TLSError) -> Event {
        let found = Self.fault(error)
        guard session.pendingOutput > 0 else { return .failed(found) }
        fault = found
        return .response(flush())
    }

    static func fault(_ error: TLSError) -> PeerFault { .tls(error.description) }
}
