// SPDX-License-Identifier: Apache-2.0

import LoginEngine
import RADIUS
import Testing

@testable import RADIUSDoor

@Suite struct DropLogTests {
    @Test func oneLineAMinuteForEachSourceAndCause() {
        let log = Log()
        #expect(log.admit(.client(1), .oversized, at: uptime(0)) == .write(keptBack: 0))
        #expect(log.admit(.client(1), .oversized, at: uptime(1)) == .keepBack)
        #expect(log.admit(.client(1), .oversized, at: uptime(59)) == .keepBack)
        #expect(log.admit(.client(1), .tooShort, at: uptime(59)) == .write(keptBack: 0))
        #expect(log.admit(.client(2), .oversized, at: uptime(59)) == .write(keptBack: 0))
        #expect(log.admit(.source(address("192.0.2.1")), .oversized, at: uptime(59)) == .write(keptBack: 0))
        #expect(log.admit(.client(1), .oversized, at: uptime(60)) == .write(keptBack: 2))
        #expect(log.admit(.client(1), .oversized, at: uptime(121)) == .write(keptBack: 0))
    }

    @Test func hundredThousandSourcesWriteFewLines() {
        let log = Log()
        var written = 0
        var summarised = 0
        for number in 0..<100_000 {
            let now = Timestamp(microseconds: Int64(number) * 1000)
            switch log.admit(.source(NetworkAddress(v4: UInt32(number))), .unknownClient, at: now) {
            case .write: written += 1
            case .writeSummary(let keptBack): summarised += keptBack
            case .keepBack: break
            }
            if log.count > log.capacity { Issue.record("\(log.count) lines are kept") }
        }
        // 100 seconds: twice the table, and a summary for each minute.
        #expect(written <= 2 * log.capacity)
        #expect(summarised > 0)
    }

    @Test func tableEmptiesAfterAFlood() {
        let log = Log(capacity: 2)
        for number in 0..<10 { _ = log.admit(.client(Int64(number)), .oversized, at: uptime(0)) }
        #expect(log.admit(.client(99), .oversized, at: uptime(61)) == .write(keptBack: 0))
    }
}

@Suite struct DropReasonTests {
    @Test func causesAreStable() {
        #expect(
            DropReason.allCases.map(\.cause) == [
                "unknown_client", "client_disabled", "oversized", "too_short", "too_long", "length_field_too_small",
                "length_field_beyond_datagram", "unknown_code", "attribute_truncated", "attribute_length_too_small",
                "too_many_attributes", "attribute_repeated", "user_password_length", "chap_password_length", "nas_ip_address_length",
                "nas_ipv6_address_length", "state_length", "message_authenticator_length", "malformed", "accounting_request",
                "access_request", "unexpected_code", "wrong_message_authenticator", "missing_message_authenticator",
                "pinned_without_message_authenticator", "proxy_state_without_message_authenticator",
                "eap_without_message_authenticator", "status_without_message_authenticator", "unsigned_replacement",
                "wrong_request_authenticator", "no_proof", "no_session", "eap_out_of_turn", "overloaded",
                "database_unavailable", "source_unreachable", "abandoned", "reply_too_long", "send_failed", "wrong_secret_in_tls",
                "not_for_this_server",
                "connection_closed",
            ])
    }

    /// Each thing the decoder can say of a datagram has a cause of its own.
    @Test(arguments: [
        PacketError.tooShort(received: 3), .tooLong(length: 5000), .lengthFieldTooSmall(length: 3),
        .lengthFieldBeyondDatagram(length: 30, received: 20), .unknownCode(99), .attributeTruncated(.userName),
        .attributeLengthTooSmall(.userName), .tooManyAttributes, .attributeRepeated(.state), .userPasswordLength(3),
        .chapPasswordLength(3), .nasIPAddressLength(3), .stateLength(0), .messageAuthenticatorLength(3), .nasIPv6AddressLength(3),
    ])
    func decoderErrorsKeepTheirCause(error: PacketError) {
        #expect(DropReason(error).cause == error.cause)
        let words = DropReason(error).explanation(client: "vpn", source: address("192.0.2.7"), detail: error)
        #expect(words?.contains(error.description) == true)
    }

    @Test func explanationsNameTheCommand() {
        let source = address("192.0.2.7")
        func words(_ reason: DropReason, _ client: String? = "vpn") -> String { reason.explanation(client: client, source: source) ?? "" }
        #expect(words(.unknownClient, nil).contains("sallyport client add NAME --address 192.0.2.7 --secret-stdin"))
        #expect(words(.pinnedWithoutMessageAuthenticator).contains("sallyport client unpin vpn --address 192.0.2.7"))
        #expect(words(.wrongMessageAuthenticator).hasPrefix("the shared secret differs"))
        #expect(words(.missingMessageAuthenticator).hasPrefix("no Message-Authenticator: BlastRADIUS protection"))
        for reason in DropReason.allCases where reason != .abandoned && reason != .connectionClosed { #expect(!words(reason).isEmpty) }
    }
}

/// `#expect` cannot call what mutates a value.
private final class Log {
    private var log: DropLog

    init(capacity: Int = 256) {
        log = DropLog(capacity: capacity)
    }

    var count: Int { log.count }
    var capacity: Int { log.capacity }

    func admit(_ subject: DropLog.Subject, _ cause: DropReason, at now: Timestamp) -> DropLog.Admission {
        log.admit(subject, .drop(cause), at: now)
    }
}
