// SPDX-License-Identifier: Apache-2.0
// What a gateway's own requests show about how it is set. No login is decided by it: it is for people.

package struct GatewayHabits: Sendable, Equatable {
    /// From when on this was counted: half a day to a day back, or since the node started.
    package var since: Timestamp
    /// Access-Requests that were proven to be the gateway's own, retransmissions not among them. All below is counted of these.
    package var requests = 0
    package var accepts = 0
    /// Without Message-Authenticator; only those that were accepted are known to be its own.
    package var unsigned = 0
    /// Without EAP: there, each round is a challenge.
    package var challenges = 0
    /// Requests that brought the State of a challenge back.
    package var answers = 0
    package var chap = 0
    package var msCHAP = 0
    package var msCHAPv2 = 0
    /// Rounds of EAP; a login by it has several.
    package var eap = 0
    /// Accepted logins by the number of the outer method (RFC 3748 §5).
    package var eapAccepted: [UInt8: Int] = [:]
    /// Methods that devices asked for, none of which was offered.
    package var eapWanted: [UInt8: Int] = [:]
    /// The smallest that it told (RFC 2865 §5.12): longer packets of EAP do not fit on the device's link.
    package var framedMTU: Int?
    /// Without Calling-Station-Id.
    package var withoutStation = 0
    /// Without Acct-Session-Id.
    package var withoutSession = 0
    /// Names and passwords with more than ASCII that are UTF-8, and those that are not.
    package var textsUTF8 = 0
    package var textsNotUTF8 = 0
    /// Accounting-Requests.
    package var records = 0
    /// Some of the addresses that it asked from, in order.
    package var sources: [NetworkAddress] = []
    package var retries = Retries()

    package struct Retries: Sendable, Equatable {
        /// Requests that came more than once while they were being decided.
        package var repeated = 0
        /// From the first packet to the second, the middle one of what was seen.
        package var interval: Timestamp.Span?
        /// How often it sends a request, where it was seen to stop before an answer came.
        package var tries: Int?
        /// The most packets of one request.
        package var most = 0
        /// So long it was seen to wait, several times, without asking again.
        package var patience: Timestamp.Span?
        /// Retries with a new identifier and authenticator.
        package var renewed = 0
        /// Those of them that came from another address.
        package var moved = 0

        package init() {}
    }

    /// `EAP-TLS`, or a number that few know.
    package static func title(ofEAP type: UInt8) -> String { titles[type] ?? "EAP type \(type)" }

    /// IANA's registry of EAP method types.
    private static let titles: [UInt8: String] = [
        4: "EAP-MD5", 6: "EAP-GTC", 13: "EAP-TLS", 17: "LEAP", 18: "EAP-SIM", 21: "EAP-TTLS", 23: "EAP-AKA", 25: "PEAP", 26: "EAP-MSCHAPv2",
        43: "EAP-FAST", 50: "EAP-AKA'", 52: "EAP-PWD", 55: "TEAP",
    ]

    package init(since: Timestamp) {
        self.since = since
    }

    package func count(_ scheme: ProofScheme) -> Int {
        switch scheme {
        case .pap: max(0, requests - chap - msCHAP - msCHAPv2 - eap)
        case .chap: chap
        case .msCHAP: msCHAP
        case .msCHAPv2: msCHAPv2
        }
    }
}
