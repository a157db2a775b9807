// SPDX-License-Identifier: Apache-2.0
// What was taken from foreign files, in this server's terms, and a note for each thing that was taken, changed or left.

internal import Foundation
package import LoginEngine
package import OTP

package struct MigratedClient: Sendable {
    package enum SharedSecret: Sendable {
        case value(Secret)
        /// The product read it from a variable of its environment.
        case variable(String)
    }

    package var name: String
    package var addresses: [AddressRange]
    package var secret: SharedSecret
    /// Keys of `apply` beside these, in its order: `ask`, `require`, …
    package var settings: [(key: String, value: String)] = []
}

/// Another RADIUS server that passwords are asked of.
package struct MigratedDirectory: Sendable {
    package var name: String
    package var servers: [String]
    package var secret: Secret
    package var settings: [(key: String, value: String)] = []
    package var takes: [String] = []
}

package struct MigratedUser: Sendable {
    package var name: String
    package var password: Secret?
}

package struct MigratedFactor: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case totp, hotp
    }

    /// Empty where the file does not say whose it is.
    package var user: String
    package var kind: Kind
    /// Serial number or the like; empty for none.
    package var label: String
    package var key: [UInt8]
    package var algorithm: OTPAlgorithm = .sha1
    package var digits = 6
    package var period = 30
    /// HOTP: the next that counts.
    package var counter: Int64 = 0
}

extension OTPAlgorithm {
    /// `HMAC-SHA-256`, `SHA256`, `sha-2-256`; nil for what is none of the three.
    init?(loosely text: String) {
        let bare = text.lowercased().filter { $0.isASCII && ($0.isLetter || $0.isNumber) }
        if bare.hasSuffix("sha1") || bare.hasSuffix("sha") || bare == "hmac" {
            self = .sha1
        } else if bare.hasSuffix("sha256") || bare.hasSuffix("sha2256") {
            self = .sha256
        } else if bare.hasSuffix("sha512") || bare.hasSuffix("sha2512") {
            self = .sha512
        } else {
            return nil
        }
    }
}

/// One line of the report.
package struct MigrationNote: Sendable, Equatable {
    package enum Fate: String, Sendable {
        /// Will be there when the written files are applied.
        case taken
        /// Taken, and not as it was: worth a look.
        case changed
        /// Not taken over.
        case left
    }

    package var place: Place
    package var fate: Fate
    package var what: String
    package var why: String?
}

package struct MigrationDraft: Sendable {
    package let kind: MigrationKind
    package private(set) var clients: [MigratedClient] = []
    package private(set) var directories: [MigratedDirectory] = []
    package private(set) var users: [MigratedUser] = []
    package private(set) var factors: [MigratedFactor] = []
    package private(set) var notes: [MigrationNote] = []
    /// Notes beyond `mostNotes`, which are only counted.
    package private(set) var furtherNotes = 0

    package static let mostNotes = 50_000
    package static let mostEntries = 100_000

    private var names: Set<String> = []
    private var owners: [AddressRange: String] = [:]
    private var userKeys: [String: Int] = [:]

    init(kind: MigrationKind) {
        self.kind = kind
    }

    // MARK: Notes

    mutating func left(_ place: Place, _ what: String, _ why: String) { note(place, .left, what, why) }
    mutating func remark(_ place: Place, _ what: String, _ why: String) { note(place, .changed, what, why) }

    private mutating func note(_ place: Place, _ fate: MigrationNote.Fate, _ what: String, _ why: String?) {
        guard notes.count < Self.mostNotes else {
            furtherNotes += 1
            return
        }
        notes.append(MigrationNote(place: place, fate: fate, what: what, why: why))
    }

    private func checkCount(_ count: Int, _ place: Place) throws(MigrationError) {
        guard count < Self.mostEntries else {
            throw MigrationError(
                place, "There are more than \(Self.mostEntries) entries.", remedy: "Split the files, and import one part after another.")
        }
    }

    // MARK: Clients

    /// What `sallyport client add` would say of this secret; nil where it is fine.
    static func complaint(aboutSharedSecret secret: Secret) -> String? {
        if secret.isEmpty { return "it has no secret" }
        if secret.count < 8 { return "its secret has fewer than 8 bytes, which is too few here: choose another, on both sides" }
        let isClean = secret.reveal { bytes in
            !bytes.contains { $0 < 0x20 || $0 == 0x7F } && bytes.first != 0x20 && bytes.last != 0x20
        }
        guard isClean, secret.count <= 253 else {
            return "its secret is longer than 253 bytes, begins or ends with a blank, or holds a control character: choose another"
        }
        return nil
    }

    /// Takes a client under a name that is free, or notes why not.
    ///
    /// - Returns: whether it was taken.
    @discardableResult
    mutating func take(_ client: MigratedClient, called name: String, at place: Place) throws(MigrationError) -> Bool {
        try checkCount(clients.count, place)
        let what = "client \(Characters.shown(name))"
        if case .value(let secret) = client.secret, let complaint = Self.complaint(aboutSharedSecret: secret) {
            left(place, what, complaint)
            return false
        }
        for range in client.addresses where range.prefixLength == 0 || range == AddressRange("0.0.0.0/0") {
            left(place, what, "it may come from every address; a client is known by its address here, or by its certificate over TLS")
            return false
        }
        var client = client
        for range in client.addresses {
            if let owner = owners[range] {
                left(place, what, "\(range) is client \(owner) already, and one address is one client here")
                client.addresses.removeAll { $0 == range }
            }
        }
        guard !client.addresses.isEmpty else { return false }
        client.name = freeName(for: name)
        for range in client.addresses { owners[range] = client.name }
        let addresses = client.addresses.map(\.description).joined(separator: ", ")
        note(
            place, .taken, "client \(client.name)",
            client.name == name ? addresses : "\(addresses); it was called \(Characters.shown(name))")
        clients.append(client)
        return true
    }

    /// Of lower case letters, digits, `-`, `_` and `.`, 64 at most, and nobody else's.
    private mutating func freeName(for text: String) -> String {
        var name = ""
        // ö becomes o, and not a hyphen.
        for scalar in text.lowercased().decomposedStringWithCanonicalMapping.unicodeScalars
        where scalar.properties.generalCategory != .nonspacingMark {
            let isWord =
                scalar.isASCII && (scalar.properties.isLowercase || ("0"..."9").contains(scalar) || "-_.".unicodeScalars.contains(scalar))
            if isWord {
                name.unicodeScalars.append(scalar)
            } else if !name.hasSuffix("-") {
                name += "-"
            }
            if name.utf8.count >= 56 { break }
        }
        name = String(name.drop { $0 == "-" || $0 == "." }.reversed().drop { $0 == "-" || $0 == "." }.reversed())
        if name.isEmpty { name = "client" }
        var free = name
        var number = 1
        while names.contains(free) {
            number += 1
            free = "\(name)-\(number)"
        }
        names.insert(free)
        return free
    }

    // MARK: Directories, users, factors

    mutating func take(_ directory: MigratedDirectory, at place: Place) -> String {
        var directory = directory
        directory.name = freeName(for: directory.name == "local" ? "local-radius" : directory.name)
        note(place, .taken, "directory \(directory.name)", directory.servers.map { Characters.shown($0) }.joined(separator: ", "))
        directories.append(directory)
        return directory.name
    }

    func hasUser(_ name: String) -> Bool { UserName.key(of: name).flatMap { userKeys[$0] } != nil }

    /// - Parameter why: said beside it: what of the entry did not come along.
    mutating func take(_ user: MigratedUser, at place: Place, _ why: String? = nil) throws(MigrationError) {
        try checkCount(users.count, place)
        let what = "user \(Characters.shown(user.name))"
        guard let key = UserName.key(of: user.name) else {
            return left(place, what, "the name is empty, longer than \(UserName.longest) bytes, or holds a control character")
        }
        if let line = userKeys[key] { return left(place, what, "the same name stands on line \(line) already") }
        userKeys[key] = place.line
        var user = user
        var why = why
        if let password = user.password, let complaint = Self.complaint(aboutPassword: password) {
            user.password = nil
            why = [why, "without its password: \(complaint)"].compactMap(\.self).joined(separator: "; ")
        }
        note(place, why == nil ? .taken : .changed, what, why ?? (user.password == nil ? "without a password" : "with its password"))
        users.append(user)
    }

    /// What `sallyport user add` would say of this password; nil where it is fine.
    private static func complaint(aboutPassword password: Secret) -> String? {
        guard let text = password.revealText(), Characters.isPrintable(text) else { return "it holds a control character" }
        if text.count < 8 { return "it has fewer than 8 characters" }
        return password.count > 128 ? "it has more than 128 bytes" : nil
    }

    mutating func take(_ factor: MigratedFactor, at place: Place, _ why: String? = nil) throws(MigrationError) {
        try checkCount(factors.count, place)
        let owner = factor.user.isEmpty ? "nobody yet" : Characters.shown(factor.user)
        let what = "\(factor.kind.rawValue)\(factor.label.isEmpty ? "" : " \(Characters.shown(factor.label))") of \(owner)"
        if !factor.user.isEmpty, UserName.key(of: factor.user) == nil {
            return left(place, what, "the user's name is longer than \(UserName.longest) bytes, or holds a control character")
        }
        guard OTPKey.lengths.contains(factor.key.count) else {
            return left(
                place, what,
                "its key has \(factor.key.count) bytes; \(OTPKey.lengths.lowerBound) to \(OTPKey.lengths.upperBound) can be used")
        }
        guard HOTP.digitCounts.contains(factor.digits) else {
            return left(place, what, "its codes have \(factor.digits) digits; 6 to 8 can be used")
        }
        guard factor.kind == .hotp || TOTP.periods.contains(factor.period) else {
            return left(place, what, "a code of it lasts \(factor.period) seconds, which no token can mean")
        }
        guard factor.counter >= 0, factor.counter <= 1 << 62 else {
            return left(place, what, "its counter is none that a token has reached")
        }
        var factor = factor
        factor.label = Self.label(factor.label)
        note(place, why == nil ? .taken : .changed, what, why)
        factors.append(factor)
    }

    /// Without colons and control characters, 64 characters at most.
    private static func label(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { Characters.isPrintable(String($0)) && $0 != ":" ? $0 : "-" }
        let label = String(String.UnicodeScalarView(scalars))
        return String(label.drop { $0 == " " }.prefix(56).reversed().drop { $0 == " " }.reversed())
    }
}
