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
    /// The same, of TCP for RADIUS over TLS.
    indirect case overTLS(RADIUSServiceError)

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
    package var description: String { words(transport: "UDP", setting: "radius.listen or radius.accounting") }

    private func words(transport: String, setting: String) -> String {
        switch self {
        case .overTLS(let error): error.words(transport: "TCP", setting: "radsec.listen")
        case .addressInUse(let endpoint):
            "\(transport) \(endpoint) is in use by another program; stop it or set \(setting)"
        case .notPermitted(let endpoint):
            "\(transport) \(endpoint) may not be opened by this user; set \(setting) to a port above 1023, or give the service"
                + " CAP_NET_BIND_SERVICE"
        case .addressNotOurs(let endpoint):
            "\(transport) \(endpoint) cannot be opened: this machine does not have the address; set \(setting)"
        case .cannotListen(let endpoint, let reason):
            "\(transport) \(endpoint) cannot be opened: \(reason); set \(setting)"
        case .cannotStartThread(let endpoint, let reason):
            "no thread can be started for \(transport) \(endpoint): \(reason); raise the limit on threads"
        case .cannotRead(let endpoint, let reason):
            "\(transport) \(endpoint) can no longer be read: \(reason)"
        }
    }
}
