// SPDX-License-Identifier: Apache-2.0
// What a packet is for: the registered codes that are in use.

/// The code of a packet (RFC 2865 §4, RFC 2866 §4, RFC 5176 §3, RFC 5997 §3, RFC 7930 §4).
///
/// A datagram with any other code is no packet: RFC 2865 §3 has it silently discarded.
public enum Code: UInt8, Sendable, Hashable, CaseIterable {
    case accessRequest = 1
    case accessAccept = 2
    case accessReject = 3
    case accountingRequest = 4
    case accountingResponse = 5
    case accessChallenge = 11
    case statusServer = 12
    case disconnectRequest = 40
    case disconnectACK = 41
    case disconnectNAK = 42
    case coaRequest = 43
    case coaACK = 44
    case coaNAK = 45
    case protocolError = 52

    /// The name as the RFCs write it, for example `Access-Request`.
    public var name: String {
        switch self {
        case .accessRequest: "Access-Request"
        case .accessAccept: "Access-Accept"
        case .accessReject: "Access-Reject"
        case .accountingRequest: "Accounting-Request"
        case .accountingResponse: "Accounting-Response"
        case .accessChallenge: "Access-Challenge"
        case .statusServer: "Status-Server"
        case .disconnectRequest: "Disconnect-Request"
        case .disconnectACK: "Disconnect-ACK"
        case .disconnectNAK: "Disconnect-NAK"
        case .coaRequest: "CoA-Request"
        case .coaACK: "CoA-ACK"
        case .coaNAK: "CoA-NAK"
        case .protocolError: "Protocol-Error"
        }
    }

    /// Whether the Request Authenticator is a digest over the packet (RFC 2866 §3, RFC 5176 §2.3) and not a random value.
    public var hasComputedRequestAuthenticator: Bool {
        switch self {
        case .accountingRequest, .disconnectRequest, .coaRequest: true
        default: false
        }
    }

    /// Whether packets of this code ask for an answer.
    public var isRequest: Bool {
        switch self {
        case .accessRequest, .accountingRequest, .statusServer, .disconnectRequest, .coaRequest: true
        default: false
        }
    }
}
