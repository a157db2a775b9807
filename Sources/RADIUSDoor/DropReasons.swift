// SPDX-License-Identifier: Apache-2.0
// Why a datagram gets no answer, as a stable word for counters and as a sentence that names the remedy.

package import LoginEngine
package import RADIUS

/// Small numbers, because a flood asks for its counter with every packet; the word for people is `cause`.
package enum DropReason: UInt8, Sendable, CaseIterable {
    // Who asks
    case unknownClient
    case clientDisabled
    // No packet: the words of `PacketError.cause`
    case oversized
    case tooShort
    case tooLong
    case lengthFieldTooSmall
    case lengthFieldBeyondDatagram
    case unknownCode
    case attributeTruncated
    case attributeLengthTooSmall
    case tooManyAttributes
    case attributeRepeated
    case userPasswordLength
    case chapPasswordLength
    case nasIPAddressLength
    case nasIPv6AddressLength
    case stateLength
    case messageAuthenticatorLength
    case malformed
    // A packet that is not asked for here
    case accountingRequest
    case accessRequest
    case unexpectedCode
    // Not proven to be genuine
    case wrongMessageAuthenticator
    case missingMessageAuthenticator
    case pinnedWithoutMessageAuthenticator
    case proxyStateWithoutMessageAuthenticator
    case eapWithoutMessageAuthenticator
    case statusWithoutMessageAuthenticator
    case unsignedReplacement
    case wrongRequestAuthenticator
    // A request that asks nothing, or reports nothing
    case noProof
    case noSession
    case eapOutOfTurn
    // No answer could be given
    case overloaded
    case databaseUnavailable
    case sourceUnreachable
    case abandoned
    case replyTooLong
    case sendFailed
    // Over TLS
    case wrongSecretInTLS
    case notForThisServer
    case connectionClosed

    package init(_ error: PacketError) {
        self = Self.byCause[error.cause] ?? .malformed
    }

    package init(_ cause: NoAnswer) {
        switch cause {
        case .overloaded: self = .overloaded
        case .databaseUnavailable: self = .databaseUnavailable
        case .sourceUnreachable: self = .sourceUnreachable
        case .abandoned: self = .abandoned
        }
    }

    private static let byCause = Dictionary(uniqueKeysWithValues: allCases.map { ($0.cause, $0) })

    /// The `cause` of `sallyport_radius_dropped_total`; it never changes its meaning.
    package var cause: String {
        switch self {
        case .unknownClient: "unknown_client"
        case .clientDisabled: "client_disabled"
        case .oversized: "oversized"
        case .tooShort: "too_short"
        case .tooLong: "too_long"
        case .lengthFieldTooSmall: "length_field_too_small"
        case .lengthFieldBeyondDatagram: "length_field_beyond_datagram"
        case .unknownCode: "unknown_code"
        case .attributeTruncated: "attribute_truncated"
        case .attributeLengthTooSmall: "attribute_length_too_small"
        case .tooManyAttributes: "too_many_attributes"
        case .attributeRepeated: "attribute_repeated"
        case .userPasswordLength: "user_password_length"
        case .chapPasswordLength: "chap_password_length"
        case .nasIPAddressLength: "nas_ip_address_length"
        case .nasIPv6AddressLength: "nas_ipv6_address_length"
        case .stateLength: "state_length"
        case .messageAuthenticatorLength: "message_authenticator_length"
        case .malformed: "malformed"
        case .accountingRequest: "accounting_request"
        case .accessRequest: "access_request"
        case .unexpectedCode: "unexpected_code"
        case .wrongMessageAuthenticator: "wrong_message_authenticator"
        case .missingMessageAuthenticator: "missing_message_authenticator"
        case .pinnedWithoutMessageAuthenticator: "pinned_without_message_authenticator"
        case .proxyStateWithoutMessageAuthenticator: "proxy_state_without_message_authenticator"
        case .eapWithoutMessageAuthenticator: "eap_without_message_authenticator"
        case .statusWithoutMessageAuthenticator: "status_without_message_authenticator"
        case .unsignedReplacement: "unsigned_replacement"
        case .wrongRequestAuthenticator: "wrong_request_authenticator"
        case .noProof: "no_proof"
        case .noSession: "no_session"
        case .eapOutOfTurn: "eap_out_of_turn"
        case .overloaded: "overloaded"
        case .databaseUnavailable: "database_unavailable"
        case .sourceUnreachable: "source_unreachable"
        case .abandoned: "abandoned"
        case .replyTooLong: "reply_too_long"
        case .sendFailed: "send_failed"
        case .wrongSecretInTLS: "wrong_secret_in_tls"
        case .notForThisServer: "not_for_this_server"
        case .connectionClosed: "connection_closed"
        }
    }
}

extension DropReason {
    /// One sentence for the log: what is wrong, and what to do. Nil where there is nothing to do.
    ///
    /// - Parameter detail: what the decoder found.
    package func explanation(client: String?, source: NetworkAddress, detail: PacketError? = nil) -> String? {
        let name = client ?? "NAME"
        switch self {
        case .unknownClient:
            return "unknown client \(source): no answer is given; to add it: sallyport client add NAME --address \(source) --secret-stdin"
        case .clientDisabled:
            return "client \(name) is disabled: no answer is given; to enable it: sallyport client set \(name) --enable"
        case .oversized:
            return "a datagram is longer than the 4096 bytes of RFC 2865 §3; look at what \(source) sends to this port"
        case .accountingRequest:
            return "accounting arrives on the authentication port; have the gateway send it to the accounting port (radius.accounting, as"
                + " a rule 1813)"
        case .accessRequest:
            return "logins arrive on the accounting port; have the gateway send them to the authentication port (radius.listen, as a rule"
                + " 1812)"
        case .wrongRequestAuthenticator:
            return "the shared secret differs: an Accounting-Request was signed with another one (RFC 2866 §3); enter the same secret on"
                + " the gateway, where accounting often has a field of its own, and by sallyport client set \(name) --secret-stdin"
        case .noSession:
            return "an Accounting-Request without Acct-Status-Type or Acct-Session-Id (RFC 2866 §5.13) reports nothing that could be kept;"
                + " update the gateway's software"
        case .unexpectedCode:
            return "a packet is no request that this port answers; check which server and port the gateway uses for it"
        case .wrongMessageAuthenticator:
            return "the shared secret differs: Message-Authenticator is wrong; enter the same secret on the gateway and by"
                + " sallyport client set \(name) --secret-stdin"
        case .missingMessageAuthenticator:
            return "no Message-Authenticator: BlastRADIUS protection (CVE-2024-3596); update the gateway or allow it for this client:"
                + " sallyport client set \(name) --message-authenticator allow"
        case .pinnedWithoutMessageAuthenticator:
            return "no Message-Authenticator from \(source), which always sent one: someone else may send in its name; if the gateway was"
                + " replaced or set back: sallyport client unpin \(name) --address \(source)"
        case .proxyStateWithoutMessageAuthenticator:
            return "Proxy-State without Message-Authenticator: anyone on the way could turn the answer round (BlastRADIUS, CVE-2024-3596);"
                + " make the proxy in front of this server add Message-Authenticator, or update it"
        case .eapWithoutMessageAuthenticator:
            return "EAP-Message without Message-Authenticator: RFC 3579 §3.1 has it dropped; update the gateway"
        case .statusWithoutMessageAuthenticator:
            return "Status-Server without Message-Authenticator: RFC 5997 §3 has it dropped; update the gateway or turn its check off"
        case .unsignedReplacement:
            return "a request without Message-Authenticator came for the identifier of a signed one that is being decided; only the signed"
                + " one is answered, because someone else may send in the name of \(source)"
        case .noProof:
            return "an Access-Request with neither User-Password nor State (RFC 2865 §4.1); set the gateway to PAP"
        case .eapOutOfTurn:
            return "another EAP packet came for a login that is being decided; look at what \(source) sends"
        case .overloaded:
            return "overloaded: requests are dropped, because their answers would come too late; see the queues in /metrics"
        case .databaseUnavailable:
            return "the database cannot be read or written: no answer is given; see /readyz"
        case .sourceUnreachable:
            return
                "the directory that knows the password did not answer: no answer is given, since a reject would look like a wrong password;"
                + " see sallyport directory list"
        case .replyTooLong:
            return "the answer does not fit into 4096 bytes beside the request's Proxy-State; shorten what the proxies add"
        case .sendFailed:
            return "an answer could not be sent to \(source); check routes and firewall of this machine"
        case .wrongSecretInTLS:
            return
                "a packet is signed with another secret inside TLS; the shared secret of RADIUS over TLS is always the word radsec (RFC 6614 §2.3):"
                + " enter it at the gateway of client \(name)"
        case .notForThisServer:
            return
                "client \(name) sends CoA- or Disconnect-Requests by TLS, which this server sends and does not take, and was told so; turn that off at the gateway"
        case .abandoned, .connectionClosed:
            return nil
        default:
            // A malformed packet: the decoder's own sentence says what, the client says where to look.
            return "malformed packet: \(detail?.description ?? cause) Check the gateway's software and what lies between"
        }
    }
}
