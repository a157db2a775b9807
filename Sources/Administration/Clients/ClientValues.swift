// SPDX-License-Identifier: Apache-2.0
// A client as the administrator sees one, and what can be asked about clients.

package import LoginEngine

package struct ClientSummary: Codable, Sendable, Equatable {
    package var name: String
    package var addresses: [String]
    package var requirement: String
    package var asking: String
    package var messageAuthenticator: String
    package var pins: Int
    package var isEnabled: Bool
    package var tags: [String]
}

package struct ClientList: Codable, Sendable, Equatable {
    package var clients: [ClientSummary]
}

package struct ClientView: Codable, Sendable, Equatable {
    package var name: String
    package var profile: String
    package var addresses: [String]
    package var messageAuthenticator: String
    /// Source addresses that must send Message-Authenticator for good.
    package var pins: [Pin]
    package var requirement: String
    package var asking: String
    package var separator: String?
    package var fixedLengthTail: Bool
    package var concealFactor: Bool
    package var helpfulMessages: Bool
    package var nameStripping: String
    package var charset: String
    package var retryTimeout: Int
    package var retryTries: Int
    package var rejoin: Bool
    package var automaticPush: Bool
    package var protocols: [String]
    /// The methods of EAP that are offered, in their order.
    package var eap: [String] = []
    package var probeUser: String?
    /// By which certificates it is known over TLS.
    package var certificates: [String]
    /// What it calls its pre-shared key of TLS; nil: it has none.
    package var pskIdentity: String?
    package var isEnabled: Bool
    /// What policies may name it by.
    package var tags: [String]
    package var reply: [ReplySetting]
    /// Where it takes Disconnect-Requests; nil: nowhere.
    package var disconnectPort: Int?
    /// Where passwords live of which neither users nor groups say it: a directory, or `local`; nil: it does not say.
    package var directory: String?
    /// `corp.example=nps`: names that nobody has here and that a directory decides about alone.
    package var passThrough: [String] = []
    package var warnings: [String] = []
    /// What its requests showed; nil where no node runs, or it has not asked.
    package var seen: Seen?
    /// The lines to enter at the gateway, where they were asked for.
    package var howto: String?

    package struct Pin: Codable, Sendable, Equatable {
        package var address: String
        package var since: Instant
    }

    /// Counted in the node's memory, of requests that were proven to be the gateway's own.
    package struct Seen: Codable, Sendable, Equatable {
        package var since: Instant
        package var requests: Int
        package var accepts: Int
        /// Accepted without Message-Authenticator.
        package var unsigned: Int
        package var challenges: Int
        package var challengesAnswered: Int
        package var protocols: [String]
        package var withoutCallingStation: Int
        package var withoutAcctSession: Int
        package var textsUTF8: Int
        package var textsNotUTF8: Int
        package var accountingRecords: Int
        /// Some of the addresses.
        package var sources: [String]
        /// Requests that came more than once before their answer.
        package var repeated: Int
        /// Seconds from the first packet to the second.
        package var retryTimeout: Double?
        package var retryTries: Int?
        /// Retries with a new identifier, and those of them from another address.
        package var renewedRetries: Int
        package var movedRetries: Int
        /// Rounds; a login by EAP has several.
        package var eapRounds = 0
        /// Accepted logins by method.
        package var eapAccepted: [String: Int] = [:]
        /// Methods that devices asked for, none of which was offered.
        package var eapWanted: [String: Int] = [:]
        package var framedMTU: Int?
    }
}

/// Every field of a client that can be set; nil leaves it as it is, or at its default.
package struct ClientChoices: Codable, Sendable, Equatable {
    package var addresses: [String]?
    package var secret: SecretText?
    package var profile: String?
    package var messageAuthenticator: String?
    package var requirement: String?
    package var asking: String?
    /// One character, or `none`.
    package var separator: String?
    package var fixedLengthTail: Bool?
    package var concealFactor: Bool?
    package var helpfulMessages: Bool?
    package var nameStripping: String?
    /// `utf-8`, `latin-1` or `auto`.
    package var charset: String?
    package var retryTimeout: Int?
    package var retryTries: Int?
    package var rejoin: Bool?
    package var automaticPush: Bool?
    /// `none`, or a login name.
    package var probeUser: String?
    /// `pap`, `chap`, `ms-chap`, `ms-chap-v2`; replaces all.
    package var protocols: [String]?
    /// `gtc`, `mschapv2`, `md5`, `ttls`, `peap`, `tls`, in the order in which they are offered; replaces all. Empty: none.
    package var eap: [String]?
    /// `name:gw1.example.org`, `sha256:…`; replaces all. Empty: none.
    package var certificates: [String]?
    /// What the client calls its pre-shared key of TLS; its name where none is given.
    package var pskIdentity: String?
    /// Text, or `hex:` and digits.
    package var psk: SecretText?
    /// Takes it away.
    package var hasNoPSK: Bool?
    package var isEnabled: Bool?
    /// Empty: none.
    package var tags: [String]?
    /// Empty: none.
    package var reply: [ReplySetting]?
    /// 0: none.
    package var disconnectPort: Int?
    /// A directory, `local`, or `none`.
    package var directory: String?
    /// `corp.example=nps`, `CORP\=nps`, `*=nps`; replaces all. Empty: none.
    package var passThrough: [String]?

    package init() {}
}

package struct AddClient: AdminOperation {
    package static let verb = "client.add"
    package var name: String
    package var choices: ClientChoices
    /// The node makes a secret and the answer holds it, once.
    package var generateSecret: Bool
    /// The same for the pre-shared key of TLS.
    package var generatePSK: Bool

    package init(name: String, choices: ClientChoices, generateSecret: Bool = false, generatePSK: Bool = false) {
        self.name = name
        self.choices = choices
        self.generateSecret = generateSecret
        self.generatePSK = generatePSK
    }

    package struct Answer: Codable, Sendable {
        package var message: String
        package var warnings: [String]
        /// Shown once; nil when the administrator gave it.
        package var generatedSecret: SecretText?
        package var generatedPSK: SecretText?
    }
}

package struct ListClients: AdminOperation {
    package static let verb = "client.list"

    package init() {}
}

package struct ShowClient: AdminOperation {
    package static let verb = "client.show"
    package var name: String
    package var withHowto: Bool

    package init(name: String, withHowto: Bool = false) {
        self.name = name
        self.withHowto = withHowto
    }
}

package struct SetClient: AdminOperation {
    package static let verb = "client.set"
    package var client: String
    package var name: String?
    package var choices: ClientChoices
    package var generateSecret: Bool
    package var generatePSK: Bool

    package init(
        client: String, name: String? = nil, choices: ClientChoices, generateSecret: Bool = false, generatePSK: Bool = false
    ) {
        self.client = client
        self.name = name
        self.choices = choices
        self.generateSecret = generateSecret
        self.generatePSK = generatePSK
    }

    package typealias Answer = AddClient.Answer
}

package struct RemoveClient: AdminOperation {
    package static let verb = "client.remove"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

/// Lets sources that were pinned to Message-Authenticator come without it again.
package struct UnpinClient: AdminOperation {
    package static let verb = "client.unpin"
    package var name: String
    /// Nil: every one.
    package var address: String?

    package init(name: String, address: String? = nil) {
        self.name = name
        self.address = address
    }
}
