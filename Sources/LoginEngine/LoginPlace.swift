// SPDX-License-Identifier: Apache-2.0
// Who logs in, from where and when, as far as policies ask for it.

/// Two letters of ISO 3166-1, `DE`.
package struct CountryCode: Sendable, Hashable, CustomStringConvertible {
    private var letters: UInt16

    /// In upper or lower case; nil for anything but two letters of ASCII.
    package init?(_ text: some StringProtocol) {
        var value: UInt16 = 0
        guard text.utf8.count == 2 else { return nil }
        for byte in text.utf8 {
            let upper = byte & 0xDF
            guard (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(upper), byte & 0x40 != 0 else { return nil }
            value = value << 8 | UInt16(upper)
        }
        letters = value
    }

    package var description: String {
        String(decoding: [UInt8(letters >> 8), UInt8(truncatingIfNeeded: letters)], as: UTF8.self)
    }
}

extension NetworkAddress {
    /// The address in a Calling-Station-Id, as gateways write it: alone, or with a port as `192.0.2.7:4500`, `192.0.2.7[4500]` or
    /// `[2001:db8::7]:4500`. Nil for anything else: a MAC address or a phone number is from nowhere.
    package init?(station: some StringProtocol) {
        // The longest text of an address has 45 bytes, and a port and its marks eight.
        guard station.utf8.count <= 64 else { return nil }
        let text = station.drop(while: { $0 == " " })
        let bare = text[..<(text.lastIndex(where: { $0 != " " }).map { text.index(after: $0) } ?? text.startIndex)]
        if let address = NetworkAddress(bare) {
            self = address
            return
        }
        func isPort(_ text: some StringProtocol) -> Bool {
            (1...5).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt16(text) != nil
        }
        if bare.hasPrefix("["), let end = bare.lastIndex(of: "]") {
            let rest = bare[bare.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") && isPort(rest.dropFirst()),
                let address = NetworkAddress(bare[bare.index(after: bare.startIndex)..<end]), !address.isIPv4
            else { return nil }
            self = address
        } else if bare.hasSuffix("]"), let begin = bare.firstIndex(of: "[") {
            guard isPort(bare[bare.index(after: begin)...].dropLast()), let address = NetworkAddress(bare[..<begin]) else { return nil }
            self = address
        } else if let colon = bare.lastIndex(of: ":") {
            // Of IPv6 the last colon belongs to the address.
            guard isPort(bare[bare.index(after: colon)...]), let address = NetworkAddress(bare[..<colon]), address.isIPv4,
                bare.firstIndex(of: ":") == colon
            else { return nil }
            self = address
        } else {
            return nil
        }
    }
}

/// What is not known stays nil, and is never taken for what would let somebody in (`PolicyTable.ruling`).
package struct LoginPlace: Sendable, Equatable {
    /// The user's row; nil for a name that nobody has.
    package var user: Int64?
    /// Of the user's device, as the gateway says.
    package var address: NetworkAddress?
    package var country: CountryCode?
    package var time: Timestamp?
    /// The user's own; nil where none is kept.
    package var clock: ZoneClock?

    package static let unknown = LoginPlace()

    package init(
        user: Int64? = nil, address: NetworkAddress? = nil, country: CountryCode? = nil, time: Timestamp? = nil, clock: ZoneClock? = nil
    ) {
        (self.user, self.address, self.country, self.time, self.clock) = (user, address, country, time, clock)
    }
}

/// Finds countries by the administrator's database.
package struct CountryLookup: Sendable {
    /// Nil: the database does not know, or there is none.
    package var country: @Sendable (NetworkAddress) -> CountryCode?

    package static let none = CountryLookup { _ in nil }

    package init(_ country: @escaping @Sendable (NetworkAddress) -> CountryCode?) {
        self.country = country
    }
}
