// SPDX-License-Identifier: Apache-2.0
// What a gateway reports of a session that it carries (RFC 2866), and who keeps it.

/// What has been carried so far. Octets and packets as the gateway counts them: input is what came from the user.
package struct SessionFigures: Sendable, Equatable {
    package var seconds: Int64 = 0
    package var input: Int64 = 0
    package var output: Int64 = 0
    package var inputPackets: Int64 = 0
    package var outputPackets: Int64 = 0

    package init(seconds: Int64 = 0, input: Int64 = 0, output: Int64 = 0, inputPackets: Int64 = 0, outputPackets: Int64 = 0) {
        self.seconds = seconds
        self.input = input
        self.output = output
        self.inputPackets = inputPackets
        self.outputPackets = outputPackets
    }
}

package struct AccountingRecord: Sendable, Equatable {
    /// Acct-Status-Type (RFC 2866 §5.1).
    package enum Kind: String, Sendable, CaseIterable {
        case start
        case update = "interim-update"
        case stop
        /// The gateway began or ends to work: nothing that it carried before goes on.
        case gatewayOn = "accounting-on"
        case gatewayOff = "accounting-off"

        package var isOfGateway: Bool { self == .gatewayOn || self == .gatewayOff }
    }

    package var kind: Kind
    package var client: Int64
    /// What the gateway calls itself, or its address.
    package var gateway: String
    /// Acct-Session-Id; empty where the record is of the gateway.
    package var sessionID: String
    /// The login name as the gateway has it; empty where it says none.
    package var name = ""
    /// What the user is found by; nil where nobody can have that name.
    package var nameKey: String?
    package var station: String?
    /// What the user was given, IPv4 before IPv6, a blank between two.
    package var addresses = ""
    package var port: UInt32?
    package var groupClass: String?
    /// The address that the record came from.
    package var source: NetworkAddress
    /// When it happened, by our clock: when it was read, less Acct-Delay-Time.
    package var at: Timestamp
    package var read: Timestamp
    package var figures = SessionFigures()
    /// The record says how long the session has lasted.
    package var hasTime = false
    /// Octets stand in 32 bits, without Gigawords (RFC 2869 §5.1): past 4 GiB they begin anew.
    package var isShort = false
    /// Acct-Terminate-Cause.
    package var cause: UInt32?
    /// The login that opened it, as far as the door knows.
    package var login: LoginID?

    package init(
        _ kind: Kind, client: Int64, gateway: String, sessionID: String, source: NetworkAddress, at: Timestamp, read: Timestamp
    ) {
        self.kind = kind
        self.client = client
        self.gateway = gateway
        self.sessionID = sessionID
        self.source = source
        self.at = at
        self.read = read
    }

    /// When the session must have begun by what the record says; nil where it says nothing of that.
    package var began: Timestamp? {
        if kind == .start { return at }
        return hasTime ? at - .seconds(figures.seconds) : nil
    }
}

/// One record with who waits for its acknowledgement.
package struct AccountingEntry: Sendable {
    package var record: AccountingRecord
    /// Runs once, on any thread: nil when the record is durable.
    package var completion: @Sendable (NoAnswer?) -> Void

    package init(_ record: AccountingRecord, completion: @escaping @Sendable (NoAnswer?) -> Void) {
        self.record = record
        self.completion = completion
    }
}

/// Keeps what gateways report. Implemented by `Store`.
package protocol SessionLedger: Sendable {
    /// Hands a batch to the one writer, to become durable in as few transactions as that has.
    func account(_ entries: [AccountingEntry])
}
