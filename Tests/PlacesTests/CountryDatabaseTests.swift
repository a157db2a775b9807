// SPDX-License-Identifier: Apache-2.0
// Countries of addresses by files as MaxMind's, and by files that are none.

import Foundation
import LoginEngine
import Places
import TestSupport
import Testing

@Suite struct CountryDatabaseTests {
    private let folder = NSTemporaryDirectory() + "sallyport-places-\(UUID().uuidString)"

    private func write(_ bytes: [UInt8], _ name: String = "countries.mmdb") throws -> String {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func address(_ text: String) throws -> NetworkAddress { try #require(NetworkAddress(text)) }

    private let sample = CountryFile(networks: [
        ("203.0.113.0/24", "DE"), ("198.51.100.128/25", "at"), ("2001:db8::/32", "FR"), ("192.0.2.7", "CH"),
    ])

    @Test func addressesOfBothFamiliesAreFound() throws {
        defer { remove() }
        let database = try CountryDatabase(path: write(sample.bytes()))
        for (text, country) in [
            ("203.0.113.9", "DE"), ("198.51.100.200", "AT"), ("198.51.100.1", nil), ("2001:db8::1", "FR"), ("2001:db9::1", nil),
            ("192.0.2.7", "CH"), ("192.0.2.8", nil), ("10.0.0.1", nil), ("::1", nil),
        ] as [(String, String?)] {
            #expect(database.country(of: try address(text))?.description == country, "\(text)")
        }
        #expect(database.built == Timestamp(seconds: 1_795_262_591) && database.kind == "Test-Country")
    }

    @Test func whereAnAddressIsRegisteredCountsWhereNothingElseIsSaid() throws {
        defer { remove() }
        var file = sample
        file.registeredOnly = true
        #expect(try CountryDatabase(path: write(file.bytes())).country(of: address("203.0.113.9"))?.description == "DE")
    }

    @Test func aDatabaseOfIPv4KnowsNothingOfIPv6() throws {
        defer { remove() }
        let file = CountryFile(networks: [("203.0.113.0/24", "DE")], isIPv4Alone: true)
        let database = try CountryDatabase(path: write(file.bytes()))
        #expect(database.country(of: try address("203.0.113.9"))?.description == "DE")
        #expect(database.country(of: try address("2001:db8::1")) == nil)
    }

    @Test func whatIsNoCountryIsUnknown() throws {
        defer { remove() }
        let file = CountryFile(networks: [("203.0.113.0/24", "DEU"), ("192.0.2.0/24", "1!")])
        let database = try CountryDatabase(path: write(file.bytes()))
        #expect(try database.country(of: address("203.0.113.9")) == nil && database.country(of: address("192.0.2.1")) == nil)
    }

    @Test func filesThatAreNoDatabaseAreRefusedWithTheReason() throws {
        defer { remove() }
        let whole = sample.bytes()
        for (bytes, words) in [
            ([], "is empty"), (Array("not a database".utf8), "MaxMind's format"),
            (Array(whole.prefix(whole.count / 2)), "MaxMind's format"),
        ] {
            let path = try write(bytes)
            let error = #expect(throws: CountryDatabaseError.self) { _ = try CountryDatabase(path: path) }
            #expect(error?.description.contains(words) == true && error?.description.contains(path) == true)
        }
        #expect(throws: CountryDatabaseError.self) { _ = try CountryDatabase(path: folder + "/none.mmdb") }
        #expect(throws: CountryDatabaseError.self) { _ = try CountryDatabase(path: folder) }
    }

    /// Each byte in turn is another one: an answer may be wrong, but nothing breaks.
    @Test func aDamagedFileBreaksNothing() throws {
        defer { remove() }
        let whole = CountryFile(networks: [("203.0.113.0/24", "DE"), ("2001:db8::/32", "FR")]).bytes()
        // The tree and its data; two marks for each.
        for position in stride(from: 0, to: whole.count, by: 3) {
            for value in [0x00, 0xFF] as [UInt8] {
                var bytes = whole
                bytes[position] = value
                guard let database = try? CountryDatabase(path: write(bytes)) else { continue }
                _ = database.country(of: try address("203.0.113.9"))
                _ = database.country(of: try address("2001:db8::1"))
            }
        }
    }

    @Test func aNewFileIsTakenAndABrokenOneIsNot() throws {
        defer { remove() }
        let path = try write(sample.bytes())
        let countries = Countries(path: path)
        #expect(try countries.problem == nil && countries.country(of: address("203.0.113.9"))?.description == "DE")
        #expect(countries.reload(isAsked: false) == nil)
        // Written over in place, as `cp` does: what was read before stays whole.
        _ = try write([])
        #expect(countries.country(of: try address("203.0.113.9"))?.description == "DE")
        #expect(countries.reload(isAsked: false)?.contains("is empty") == true)
        #expect(countries.problem == nil && countries.notInForce != nil)
        #expect(countries.country(of: try address("203.0.113.9"))?.description == "DE")
        _ = try write(CountryFile(networks: [("203.0.113.0/24", "PL")], built: 1_800_000_000).bytes())
        #expect(countries.reload(isAsked: false) == nil && countries.notInForce == nil)
        #expect(countries.country(of: try address("203.0.113.9"))?.description == "PL")
        #expect(countries.built == Timestamp(seconds: 1_800_000_000))
    }

    @Test func withoutAFileNothingIsKnown() throws {
        let countries = Countries(path: folder + "/none.mmdb")
        #expect(countries.problem?.contains("cannot be read") == true)
        #expect(countries.country(of: try address("203.0.113.9")) == nil)
    }
}
