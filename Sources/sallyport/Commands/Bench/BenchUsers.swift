// SPDX-License-Identifier: Apache-2.0
// The users of a benchmark: names and keys derived from a seed and a number, so that two programs agree without a file.

import ArgumentParser
import Crypto
import Foundation
import LoginEngine
import OTP
import RADIUS
import Store

enum BenchMode: String, ExpressibleByArgument, CaseIterable, Codable {
    /// HOTP code alone; every login uses the next counter.
    case code
    case password
    /// Password, then a challenge for the HOTP code.
    case passwordAndCode = "password+code"
    /// The password, shown by CHAP; the server keeps it sealed.
    case chap
    /// The password, shown by MS-CHAPv2; the server keeps its NT hash.
    case mschapv2
    /// The TOTP code of this moment, again and again: for servers that take one twice, such as FreeRADIUS with rlm_totp.
    case totp
    /// A login whose request is sent again, byte by byte, so often after its answer that the repetitions are what is measured.
    case duplicate
    /// Codes of names that nobody has.
    case unknown
    /// Codes that are wrong.
    case wrongCode = "wrong-code"
    /// Whole packets but for a wrong Message-Authenticator; nobody answers them.
    case badSignature = "bad-signature"
    /// Records of sessions, one of each user at a time: all begin, all report, all end.
    case accounting
    /// EAP-TTLS with the HOTP code as PAP's password: a full handshake each.
    case ttlsCode = "ttls-code"
    /// The same with the password: for servers that do not hash it slowly.
    case ttlsPassword = "ttls-password"
    /// PEAP with the password by EAP-MSCHAPv2; the server keeps its NT hash.
    case peapMSCHAPv2 = "peap-mschapv2"
    /// EAP-TLS: a full handshake with a certificate of each user's.
    case tls = "eap-tls"
    /// The same, each but a user's first taking up the session of the one before.
    case tlsResumed = "eap-tls-resumed"
    /// Conversations of EAP-TTLS that stop in the middle of the handshake.
    case halfOpen = "half-open"

    var requirement: Requirement {
        switch self {
        case .password, .chap, .mschapv2, .ttlsPassword, .peapMSCHAPv2: .password
        case .passwordAndCode: .passwordAndFactor
        case .tls, .tlsResumed: .certificate
        default: .factor
        }
    }

    var usesCounters: Bool { [.code, .passwordAndCode, .duplicate, .ttlsCode].contains(self) }
    /// A conversation of several rounds.
    var isEAP: Bool { eap != nil || self == .halfOpen }
    /// What its client is offered.
    var eap: EAPMethodName? {
        switch self {
        case .ttlsCode, .ttlsPassword: .ttls
        case .peapMSCHAPv2: .peap
        case .tls, .tlsResumed: .tls
        default: nil
        }
    }
    /// What a data directory is prepared for; the others are played on one of `code`.
    var hasOwnDirectory: Bool {
        switch self {
        case .code, .password, .passwordAndCode, .chap, .mschapv2, .ttlsCode, .ttlsPassword, .peapMSCHAPv2, .tls: true
        case .totp, .duplicate, .unknown, .wrongCode, .badSignature, .accounting, .halfOpen, .tlsResumed: false
        }
    }
    /// A certificate of the user's proves her.
    var showsCertificates: Bool { eap == .tls }
    var isAnswered: Bool { self != .badSignature }
    /// Whether a proof can be made wrong on purpose.
    var canBeWrong: Bool { self != .mschapv2 && self != .accounting && !isEAP }

    /// What a server has to keep of the password for it.
    var kept: PasswordKeeping.Part? {
        switch self {
        case .chap: .clearPassword
        case .mschapv2, .peapMSCHAPv2: .ntHash
        default: nil
        }
    }
}

struct BenchUsers: Sendable {
    var prefix: String
    var count: Int
    var seed: UInt64
    /// The number of the first of them.
    var first = 0

    /// Everybody's; it protects nothing.
    static let password = Secret(utf8: "correct horse battery staple")
    static var ntHash: NTHash? { password.reveal { NTHash(password: $0) } }

    func name(_ number: Int) -> String { "\(prefix)\(first + number)" }
    /// A name that nobody has.
    func strangersName(_ number: Int) -> String { "x\(prefix)\(number)" }

    /// The first 20 bytes of SHA-256 over seed and number.
    func key(_ number: Int) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: Array("sallyport-bench".utf8))
        for word in [seed, UInt64(first + number)] {
            hash.update(data: (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) })
        }
        return Array(hash.finalize().prefix(OTPAlgorithm.sha1.keyLength))
    }

    func hotp(_ number: Int) throws -> HOTP { try HOTP(key: OTPKey(key(number))) }
    func totp(_ number: Int) throws -> TOTP { try TOTP(key: OTPKey(key(number))) }
}

struct BenchUserFlags: ParsableArguments {
    @Option(help: ArgumentHelp("How many users.", valueName: "count")) var users = 1000
    @Option(help: ArgumentHelp("Their names are this and a number.", valueName: "text")) var userPrefix = "u"
    @Option(help: ArgumentHelp("What their keys are derived from.", valueName: "number")) var seed: UInt64 = 1
    @Option(help: ArgumentHelp("\(BenchMode.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "mode")) var mode: BenchMode =
        .code

    var made: BenchUsers { BenchUsers(prefix: userPrefix, count: users, seed: seed) }
    /// Those who wait, by the name of `bench hold --user-prefix`.
    func waiting(_ count: Int) -> BenchUsers { BenchUsers(prefix: "w" + userPrefix, count: count, seed: seed) }

    func validate() throws {
        guard (1...10_000_000).contains(users) else { throw ValidationError("--users is 1 to 10000000.") }
        guard !userPrefix.isEmpty, userPrefix.utf8.count <= 32 else { throw ValidationError("--user-prefix has 1 to 32 bytes.") }
    }
}

/// The `users` file of FreeRADIUS for the same users.
struct BenchFreeRADIUSUsers: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "freeradius-users", abstract: "Print the users as FreeRADIUS' files module reads them.", shouldDisplay: false)

    @OptionGroup var flags: BenchUserFlags

    /// Without passwords it is rlm_totp that checks.
    private func line(_ users: BenchUsers, _ number: Int) -> String {
        let name = users.name(number)
        switch flags.mode {
        case .chap, .ttlsPassword:
            return "\(name) Cleartext-Password := \"\(BenchUsers.password.reveal { String(decoding: $0, as: UTF8.self) })\"\n\n"
        case .mschapv2, .peapMSCHAPv2:
            let hash = BenchUsers.ntHash?.bytes ?? []
            return "\(name) NT-Password := 0x\(hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())\n\n"
        default: return "\(name) TOTP-Secret := \"\(Base32.encode(users.key(number)))\", Auth-Type := totp\n\n"
        }
    }

    func run() throws {
        let users = flags.made
        var text = ""
        for number in 0..<users.count {
            text += line(users, number)
            if text.utf8.count > 65_536 {
                Output.write(text, STDOUT_FILENO)
                text = ""
            }
        }
        Output.write(text, STDOUT_FILENO)
    }
}
