// SPDX-License-Identifier: Apache-2.0
// An address and a port.

package import LoginEngine

package struct UDPEndpoint: Hashable, Sendable {
    package var address: NetworkAddress
    /// For listening, 0 lets the kernel choose; the bound port is read back.
    package var port: UInt16

    package init(address: NetworkAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension UDPEndpoint: CustomStringConvertible {
    package var description: String {
        address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
