// SPDX-License-Identifier: Apache-2.0
// A channel and the mails that wait for one, as the administrator sees them, and what can be asked about them.

package struct ChannelView: Codable, Sendable, Equatable {
    package var name: String
    package var type: String
    package var server: String
    /// `none`, `starttls`, `tls`
    package var tls: String
    /// Whether others than the system's may have signed the server's certificate.
    package var hasOwnAuthorities: Bool
    package var user: String?
    package var from: String
    package var fromName: String?
    /// Seconds.
    package var timeout: Int
    package var perMinute: Int
    package var isEnabled: Bool
    package var warnings: [String] = []
}

package struct ChannelList: Codable, Sendable, Equatable {
    package var channels: [ChannelView]
}

/// Every field of a channel that can be set; nil leaves it as it is, or at its default.
package struct ChannelChoices: Codable, Sendable, Equatable {
    package var type: String?
    package var server: String?
    package var tls: String?
    /// PEM; empty: the system's.
    package var authorities: String?
    /// Empty: nobody logs in.
    package var user: String?
    package var password: SecretText?
    package var from: String?
    /// Empty: none.
    package var fromName: String?
    /// `30s`
    package var timeout: String?
    package var perMinute: Int?
    package var isEnabled: Bool?

    package init() {}
}

package struct AddChannel: AdminOperation {
    package static let verb = "channel.add"
    package var name: String
    package var choices: ChannelChoices

    package init(name: String, choices: ChannelChoices) {
        (self.name, self.choices) = (name, choices)
    }
}

package struct ListChannels: AdminOperation {
    package static let verb = "channel.list"

    package init() {}
}

package struct ShowChannel: AdminOperation {
    package static let verb = "channel.show"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

package struct SetChannel: AdminOperation {
    package static let verb = "channel.set"
    package var channel: String
    package var name: String?
    package var choices: ChannelChoices

    package init(channel: String, name: String? = nil, choices: ChannelChoices = ChannelChoices()) {
        (self.channel, self.name, self.choices) = (channel, name, choices)
    }
}

package struct RemoveChannel: AdminOperation {
    package static let verb = "channel.remove"
    package var name: String

    package init(name: String) {
        self.name = name
    }
}

/// Sends one mail from here, beside the outbox, and tells each step.
package struct TestChannel: AdminOperation {
    package static let verb = "channel.test"
    package var name: String
    package var recipient: String

    package init(name: String, recipient: String) {
        (self.name, self.recipient) = (name, recipient)
    }

    package struct Answer: Codable, Sendable, Equatable {
        package var channel: String
        /// `accepted`, `refused`: the server will not have it, or `failed`: it did not get so far.
        package var outcome: String
        package var message: String
        package var milliseconds: Int
        package var steps: [Step]

        package struct Step: Codable, Sendable, Equatable {
            /// `connect`, `greeting`, `hello`, `starttls`, `tls`, `login`, `sender`, `recipient`, `content`
            package var step: String
            package var isDone: Bool
            package var reply: String
            /// Since the start.
            package var milliseconds: Int
        }
    }
}

package struct MailView: Codable, Sendable, Equatable {
    package var number: Int64
    package var channel: String
    package var user: String?
    package var purpose: String
    package var recipient: String
    package var messageID: String
    /// `waiting`, `sent`, `failed`
    package var state: String
    package var created: Instant
    /// When it is tried next; nil where it is not.
    package var due: Instant?
    package var expires: Instant
    package var tries: Int
    package var ended: Instant?
    package var problem: String?
}

package struct MailList: Codable, Sendable, Equatable {
    package var mails: [MailView]
    package var waiting: Int
    package var failed: Int
}

package struct ListMails: AdminOperation {
    package static let verb = "outbox.list"
    package static let most = 10_000
    package var state: String?
    package var limit: Int

    package init(state: String? = nil, limit: Int = 100) {
        (self.state, self.limit) = (state, limit)
    }
}

/// Has one that waits tried at once.
package struct RetryMail: AdminOperation {
    package static let verb = "outbox.retry"
    package var number: Int64

    package init(number: Int64) {
        self.number = number
    }
}

package struct DropMail: AdminOperation {
    package static let verb = "outbox.drop"
    package var number: Int64

    package init(number: Int64) {
        self.number = number
    }
}
