// SPDX-License-Identifier: Apache-2.0
// Why the RADIUS door does not open, in words that name the remedy.

internal import Glibc

package enum RADIUSServiceError: Error, Equatable {
    case addressInUse(UDPEndpoint)
    case notPermitted(UDPEndpoint)
    case addressNotOurs(UDPEndpoint)
    case cannotListen(UDPEndpoint, reason: String)
    case cannotStartThread(UDPEndpoint, reason: String)
    /// Reading broke while the service ran.
    case cannotRead(UDPEndpoint, reason: String)

    init(_ error: CInt, at endpoint: UDPEndpoint) {
        self =
            switch error {
            case EADDRINUSE: .addressInUse(endpoint)
            case EACCES, EPERM: .notPermitted(endpoint)
            case EADDRNOTAVAIL: .addressNotOurs(endpoint)
            default: .cannotListen(endpoint, reason: Self.words(for: error))
            }
    }

    static func words(for error: CInt) -> String {
        String(cString: strerror(error))
    }
}

extension RADIUSServiceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .addressInUse(let endpoint):
            "UDP \(endpoint) is in use by another program; stop it or set radius.listen"
        case .notPermitted(let endpoint):
            "UDP \(endpoint) may not be opened by this user; set radius.listen to a port above 1023, or give the service"
                + " CAP_NET_BIND_SERVICE"
        case .addressNotOurs(let endpoint):
            "UDP \(endpoint) cannot be opened: this machine does not have the address; set radius.listen"
        case .cannotListen(let endpoint, let reason):
            "UDP \(endpoint) cannot be opened: \(reason); set radius.listen"
        case .cannotStartThread(let endpoint, let reason):
            "no thread can be started for UDP \(endpoint): \(reason); raise the limit on threads"
        case .cannotRead(let endpoint, let reason):
            "UDP \(endpoint) can no longer be read: \(reason)"
        }
    }
}
