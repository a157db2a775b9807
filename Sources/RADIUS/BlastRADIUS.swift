// SPDX-License-Identifier: Apache-2.0
// Which requests are dropped because anyone on the way could have written them (CVE-2024-3596, RFC 3579 §3.2).

/// What is asked of a client's Access-Requests.
public enum MessageAuthenticatorMode: Sendable, Hashable {
    /// Every request must carry a right Message-Authenticator.
    case require
    /// As `require` from the first right one on: `pinned` says that this client has sent one.
    case auto(pinned: Bool)
    /// For old gateways: only what is always wrong is dropped.
    case allow
}

/// What the rule looks at.
public struct RequestFacts: Sendable, Hashable {
    public enum MessageAuthenticatorState: Sendable, Hashable {
        case absent, right, wrong
    }

    public var messageAuthenticator: MessageAuthenticatorState
    public var hasProxyState: Bool
    public var hasEAPMessage: Bool
    /// RFC 5997 §3: Status-Server always needs a Message-Authenticator.
    public var isStatusServer: Bool

    public init(
        messageAuthenticator: MessageAuthenticatorState, hasProxyState: Bool = false, hasEAPMessage: Bool = false,
        isStatusServer: Bool = false
    ) {
        self.messageAuthenticator = messageAuthenticator
        self.hasProxyState = hasProxyState
        self.hasEAPMessage = hasEAPMessage
        self.isStatusServer = isStatusServer
    }

    /// Looks at a request; checks its Message-Authenticator when it has one.
    public init(_ packet: Packet, secret: SharedSecret) {
        let state: MessageAuthenticatorState =
            if !packet.contains(.messageAuthenticator) {
                .absent
            } else {
                packet.hasValidMessageAuthenticator(secret: secret) ? .right : .wrong
            }
        self.init(
            messageAuthenticator: state, hasProxyState: packet.contains(.proxyState), hasEAPMessage: packet.contains(.eapMessage),
            isStatusServer: packet.code == .statusServer)
    }
}

/// Whether a request may be looked at, or why not. A dropped one gets no answer.
public enum BlastRADIUSVerdict: String, Sendable, Hashable {
    case accept
    case missingMessageAuthenticator
    case proxyStateWithoutMessageAuthenticator
    case wrongMessageAuthenticator
    case eapWithoutMessageAuthenticator

    /// Judges an Access-Request or Status-Server.
    ///
    /// Proxy-State without Message-Authenticator is what the attack needs, so it is dropped in every mode.
    public static func judge(_ facts: RequestFacts, mode: MessageAuthenticatorMode) -> BlastRADIUSVerdict {
        switch facts.messageAuthenticator {
        case .right: return .accept
        case .wrong: return .wrongMessageAuthenticator
        case .absent: break
        }
        // RFC 3579 §3.1: a packet with EAP-Message without Message-Authenticator is silently discarded.
        if facts.hasEAPMessage { return .eapWithoutMessageAuthenticator }
        if facts.hasProxyState { return .proxyStateWithoutMessageAuthenticator }
        if facts.isStatusServer { return .missingMessageAuthenticator }
        return switch mode {
        case .require, .auto(pinned: true): .missingMessageAuthenticator
        case .auto(pinned: false), .allow: .accept
        }
    }
}
